package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/runner"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sampleLog is a log of n commits: some without entries, some void, some with several events, of no, one or two organizations.
type sampleLog []eventstore.Folded

func newLog(n int) sampleLog {
	var list sampleLog
	random := rand.New(rand.NewPCG(1, 2))
	for at := range n {
		m := eventstore.Folded{}
		m.Position = domain.Position(at + 1)
		m.Hash = eventstore.HashOf(fmt.Append(nil, m.Position))
		if at%7 == 5 {
			list = append(list, m) // void
			continue
		}
		m.Commit = &eventv1.Commit{Time: timestamppb.New(time.Unix(int64(at), 0))}
		if at > 0 {
			m.Commit.ParentHash = list[at-1].Hash[:]
		}
		for range random.IntN(4) {
			entry := &eventv1.Entry{Command: "Anything", Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_USER, Id: "usr_a"}}
			for range 1 + random.IntN(3) {
				e := &eventv1.Event{ProjectId: "prj_1", Body: &eventv1.Event_ProjectUpdated{ProjectUpdated: &eventv1.ProjectUpdated{}}}
				for org := range random.IntN(3) {
					e.OrgIds = append(e.OrgIds, fmt.Sprintf("org_%d", org+random.IntN(3)*2))
				}
				entry.Events = append(entry.Events, e)
			}
			m.Commit.Entries = append(m.Commit.Entries, entry)
		}
		list = append(list, m)
	}
	return list
}

func (l sampleLog) end() domain.Position { return domain.Position(len(l)) }

// log hands out batches of at most seven.
func (l sampleLog) log() runner.Log {
	return runner.Log{ID: "log", End: l.end, Open: func(_ context.Context, at projections.Checkpoint, _ bool) (projections.Next, error) {
		if at.Position > l.end() || at.Position > 0 && l[at.Position-1].Hash != at.Hash {
			return nil, fmt.Errorf("the log has no position %d with hash %s", at.Position, at.Hash)
		}
		next := int(at.Position)
		return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
			if next == len(l) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			list := l[next:min(len(l), next+min(most, 7))]
			next += len(list)
			return list, nil
		}, nil
	}}
}

// ids are those of all messages that the log makes.
func (l sampleLog) ids(t *testing.T) (list []string) {
	t.Helper()
	for _, m := range l {
		index := 0
		for _, entry := range m.Commit.GetEntries() {
			for _, e := range entry.Events {
				index++
				for _, org := range e.OrgIds {
					list = append(list, fmt.Sprintf("log/%d/%d/%s", m.Position, index, org))
				}
				if len(e.OrgIds) == 0 {
					list = append(list, fmt.Sprintf("log/%d/%d/~", m.Position, index))
				}
			}
		}
	}
	return list
}

func newSink(t *testing.T, conn *nats.Conn, change func(*Config)) *Sink {
	t.Helper()
	// That the stream knows ids for a while must not be what keeps a message from being there twice.
	cfg := Config{LogID: "log", Conn: conn, Logger: slog.New(slog.DiscardHandler), sameWithin: 100 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run applies a log up to its end.
func run(t *testing.T, s *Sink, l sampleLog) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := &runner.Runner{Name: "feed", Log: l.log(), Sink: s, Logger: slog.New(slog.DiscardHandler)}
	if err := r.Run(ctx, l.end()); err != nil {
		t.Fatal(err)
	}
}

// messages are those in the stream.
func messages(t *testing.T, conn *nats.Conn) (list []*jetstream.RawStreamMsg) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	for at := max(state.FirstSeq, 1); at <= state.LastSeq; at++ {
		m, err := stream.GetMsg(t.Context(), at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func idsIn(t *testing.T, conn *nats.Conn) (list []string) {
	t.Helper()
	for _, m := range messages(t, conn) {
		list = append(list, m.Header.Get(jetstream.MsgIDHeader))
	}
	return list
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: -want +got\n%s", what, diff)
	}
}

// Each event is there once for each organization, in the order of the log, where its organization looks for it.
func TestFeedIsTheLog(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, Protobuf} {
		conn, l := natstest.Single(t), newLog(300)
		run(t, newSink(t, conn, func(c *Config) { c.Format = format }), l)
		same(t, string(format), l.ids(t), idsIn(t, conn))
		for _, m := range messages(t, conn) {
			id := strings.Split(m.Header.Get("ce-id"), "/")
			if want := "tenure.feed." + id[3] + ".prj_1.ProjectUpdated"; m.Subject != want || m.Header.Get(PositionHeader) != id[1] || m.Header.Get(IndexHeader) != id[2] {
				t.Fatalf("%s is on %s, position %s, index %s", id, m.Subject, m.Header.Get(PositionHeader), m.Header.Get(IndexHeader))
			}
		}
	}
}

// A projector that was paused while another took its place publishes nothing when it wakes up. Fails without the guard of each
// publish: tried.
func TestPausedProjectorIsRefused(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(60)
	paused := newSink(t, conn, nil)
	run(t, paused, l[:30])
	at, err := paused.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, newSink(t, conn, nil), l)
	time.Sleep(300 * time.Millisecond) // until the stream has forgotten the ids
	to := projections.Checkpoint{LogID: "log", Position: l.end(), Hash: l[len(l)-1].Hash}
	if err := paused.Apply(t.Context(), at, to, l[30:]); !errors.Is(err, projections.ErrCheckpointMoved) {
		t.Errorf("the paused one: %v, want %v", err, projections.ErrCheckpointMoved)
	}
	same(t, "behind the paused one", l.ids(t), idsIn(t, conn))
}

// Projectors that end anywhere, and two at a time, publish everything once and in order.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(600)
	var both sync.WaitGroup
	ended := make([]int, 2)
	for i := range ended {
		both.Go(func() {
			for {
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(40*time.Millisecond))
				r := &runner.Runner{Name: "feed", Log: l.log(), Sink: newSink(t, conn, nil), Logger: slog.New(slog.DiscardHandler)}
				err := r.Run(ctx, l.end())
				cancel()
				if err == nil {
					return
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
					return
				}
				ended[i]++
			}
		})
	}
	both.Wait()
	same(t, "two projectors", l.ids(t), idsIn(t, conn))
	t.Logf("%d messages, projectors ended %v times", len(l.ids(t)), ended)
}

// A projector that ended between a publish and the record of it goes on behind its last message, in the middle of a commit. Fails if
// the stream's end is not looked at: tried.
func TestGoesOnInTheMiddleOfACommit(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(12)
	all := l.ids(t)
	for done := range all {
		s := newSink(t, conn, nil)
		if _, err := s.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := publish(t.Context(), conn, 0, l.first(t, s, done)); err != nil {
			t.Fatal(err)
		}
		run(t, newSink(t, conn, nil), l)
		same(t, fmt.Sprintf("behind %d messages", done), all, idsIn(t, conn))
		if err := errors.Join(s.js.DeleteStream(t.Context(), StreamName), s.js.DeleteKeyValue(t.Context(), CheckpointBucket)); err != nil {
			t.Fatal(err)
		}
	}
}

// first are the first n messages of a log.
func (l sampleLog) first(t *testing.T, s *Sink, n int) (list []*nats.Msg) {
	t.Helper()
	for _, m := range l {
		some, err := s.cfg.messagesOf(m)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, some...)
	}
	return list[:n]
}

// What retention removed is not published again, be it recorded or not. Fails without counting what was removed: tried.
func TestRetentionLosesNoCheckpoint(t *testing.T) {
	t.Parallel()
	short, long := newLog(100), newLog(200)
	for _, unrecorded := range []int{0, 3} {
		conn := natstest.Single(t)
		s := newSink(t, conn, nil)
		run(t, s, short)
		done := len(short.ids(t))
		if err := publish(t.Context(), conn, uint64(done), long.first(t, s, done+unrecorded)[done:]); err != nil {
			t.Fatal(err)
		}
		stream, err := s.js.Stream(t.Context(), StreamName)
		if err == nil {
			err = stream.Purge(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		run(t, newSink(t, conn, nil), long)
		same(t, fmt.Sprintf("%d not recorded", unrecorded), long.ids(t)[done+unrecorded:], idsIn(t, conn))
	}
}

// A stream that was deleted is filled again from the log. Fails if the record is believed: tried.
func TestDeletedStreamIsFilledAgain(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(100)
	s := newSink(t, conn, nil)
	run(t, s, l[:60])
	if err := s.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	run(t, newSink(t, conn, nil), l)
	same(t, "deleted", l.ids(t), idsIn(t, conn))
}

// A stream that lost its end, as in a crash of a NATS that does not flush, is filled again behind what is left. Fails if the record is
// believed: tried.
func TestLostEndIsFilledAgain(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(60)
	all := l.ids(t)
	for _, left := range []int{0, 1, len(all) / 2, len(all) - 1} {
		s := newSink(t, conn, nil)
		run(t, s, l)
		if err := s.js.DeleteStream(t.Context(), StreamName); err != nil {
			t.Fatal(err)
		}
		// What is left, as it was: a crash does not touch it.
		again := newSink(t, conn, nil)
		if _, err := again.stream(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := publish(t.Context(), conn, 0, l.first(t, s, left)); err != nil {
			t.Fatal(err)
		}
		run(t, newSink(t, conn, nil), l)
		same(t, fmt.Sprintf("%d of %d left", left, len(all)), all, idsIn(t, conn))
		if err := errors.Join(s.js.DeleteStream(t.Context(), StreamName), s.js.DeleteKeyValue(t.Context(), CheckpointBucket)); err != nil {
			t.Fatal(err)
		}
	}
}

// Without the record, the stream's last message says where to go on.
func TestDeletedRecord(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(100)
	s := newSink(t, conn, nil)
	run(t, s, l[:60])
	if err := s.js.DeleteKeyValue(t.Context(), CheckpointBucket); err != nil {
		t.Fatal(err)
	}
	run(t, newSink(t, conn, nil), l)
	same(t, "without the record", l.ids(t), idsIn(t, conn))
}

// A feed that is ahead of the log, as when an older copy was restored, stops, and publishes nothing of another history; once its stream and
// its record were deleted it is made anew, by itself. Fails if a projector that stopped never looks again: tried.
func TestOlderLogStops(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(100)
	run(t, newSink(t, conn, nil), l)
	older := l[:40]
	s := newSink(t, conn, nil)
	p := runner.StartSolo("feed", s, "JetStream", StreamName, older.log(), slog.New(slog.DiscardHandler))
	defer p.Close()
	until := func(what string, is func(runner.Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			status, _ := p.Status()
			if is(status) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for it to %s: %+v", what, status)
			}
		}
	}
	until("stop", func(s runner.Status) bool { return s.Phase == runner.Stopped && s.Err != nil })
	same(t, "the stream", l.ids(t), idsIn(t, conn))
	if err := errors.Join(s.js.DeleteKeyValue(t.Context(), CheckpointBucket), s.js.DeleteStream(t.Context(), StreamName)); err != nil {
		t.Fatal(err)
	}
	until("go on", func(s runner.Status) bool { return s.Phase == runner.Running && s.Position == older.end() })
	same(t, "made anew", older.ids(t), idsIn(t, conn))
}

// A message that somebody published by hand is in nobody's way, also as the last one. Fails if the last message is taken for the
// feed's: tried.
func TestPublishedByHand(t *testing.T) {
	t.Parallel()
	conn, l := natstest.Single(t), newLog(100)
	run(t, newSink(t, conn, nil), l[:50])
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "tenure.feed.org_1.x.Strange", nil); err != nil {
		t.Fatal(err)
	}
	run(t, newSink(t, conn, nil), l)
	got := slices.DeleteFunc(idsIn(t, conn), func(id string) bool { return id == "" })
	same(t, "around it", l.ids(t), got)
}

// On three servers whose leader changes all the time it is exactly once as well.
func TestExactlyOnceOnACluster(t *testing.T) {
	t.Parallel()
	c, l := natstest.Cluster(t, 3), newLog(400)
	conn := c.Connect(t, 0)
	three := func(c *Config) { c.Replicas = 3 }
	if _, err := newSink(t, conn, three).Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	done := make(chan struct{})
	for i := range 2 {
		both.Go(func() {
			r := &runner.Runner{Name: "feed", Log: slow(l.log()), Sink: newSink(t, c.Connect(t, i), three), Logger: slog.New(slog.DiscardHandler)}
			if err := r.Run(t.Context(), l.end()); err != nil {
				t.Error(err)
			}
		})
	}
	go func() { both.Wait(); close(done) }()
	changes := 0
	for ended := false; !ended; changes++ {
		c.StepDown(t, StreamName)
		select {
		case <-done:
			ended = true
		default:
		}
	}
	same(t, "cluster", l.ids(t), idsIn(t, conn))
	t.Logf("%d messages over %d changes of the leader", len(l.ids(t)), changes)
}

// slow is a log that takes a while to be read.
func slow(l runner.Log) runner.Log {
	open := l.Open
	l.Open = func(ctx context.Context, at projections.Checkpoint, states bool) (projections.Next, error) {
		next, err := open(ctx, at, states)
		return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
			time.Sleep(10 * time.Millisecond)
			return next(ctx, most)
		}, err
	}
	return l
}
