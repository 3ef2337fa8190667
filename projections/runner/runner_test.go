package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/readmodel/readmodeltest"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func TestMain(m *testing.M) { readmodeltest.Main(m) }

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

const wait = 30 * time.Second

// onBoth runs a test on both engines.
func onBoth(t *testing.T, test func(t *testing.T, db *readmodel.Database)) {
	t.Helper()
	for _, db := range readmodeltest.Both(t) {
		t.Run(db.Engine(), func(t *testing.T) { test(t, db) })
	}
}

// fakeLog is a log of commits with an event each, which grows.
type fakeLog struct {
	mu    sync.Mutex
	list  []eventstore.Folded
	grown chan struct{}
}

func newLog(n int) *fakeLog {
	l := &fakeLog{grown: make(chan struct{})}
	l.grow(n)
	return l
}

func (l *fakeLog) grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		m := eventstore.Folded{}
		m.Position = domain.Position(len(l.list) + 1)
		m.Hash = eventstore.HashOf(fmt.Append(nil, m.Position))
		m.Commit = &eventv1.Commit{Time: timestamppb.Now(), Entries: []*eventv1.Entry{{Events: []*eventv1.Event{{}}}}}
		l.list = append(l.list, m)
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *fakeLog) end() domain.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return domain.Position(len(l.list))
}

func (l *fakeLog) log() Log {
	return Log{ID: "log", End: l.end, Open: func(_ context.Context, at projections.Checkpoint, _ bool) (projections.Next, error) {
		if at.Position > l.end() {
			return nil, errors.New("the log is shorter")
		}
		next := at.Position
		return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
			for {
				l.mu.Lock()
				list, grown := l.list[next:], l.grown
				l.mu.Unlock()
				if len(list) > 0 {
					// Small batches, so that there are many.
					list = list[:min(len(list), most, 7)]
					next += domain.Position(len(list))
					return list, nil
				}
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-grown:
				}
			}
		}, nil
	}}
}

var numbers = readmodel.Table{
	Name: "numbers", Key: []string{"position"}, Columns: []readmodel.Column{{Name: "position", Type: "BIGINT NOT NULL"}, {Name: "hash", Type: "TEXT NOT NULL"}},
	Indexes: []string{"(position)"},
}

// numbering is a projection that writes each position down once, with something in the way.
func numbering(version int, inTheWay func(*readmodel.Tx, []eventstore.Folded) error) Projection {
	return Projection{
		Schema: readmodel.Schema{Name: "numbering", Version: version, Tables: []readmodel.Table{numbers}},
		Apply: func(_ context.Context, tx *readmodel.Tx, messages []eventstore.Folded) error {
			var rows [][]any
			for _, m := range messages {
				rows = append(rows, []any{int64(m.Position), m.Hash.String()})
			}
			if err := tx.Insert(numbers, rows); err != nil {
				return err
			}
			if inTheWay == nil {
				return nil
			}
			return inTheWay(tx, messages)
		},
	}
}

// judge checks that a generation holds every position up to its end exactly once.
func judge(t *testing.T, m *readmodel.Model, end domain.Position) {
	t.Helper()
	var rows, distinct, last int64
	err := m.All().Query(t.Context(), func(r *sql.Rows) error { return r.Scan(&rows, &distinct, &last) },
		"SELECT count(*), count(DISTINCT position), max(position) FROM {}numbers")
	if err != nil || rows != int64(end) || distinct != rows || last != rows {
		t.Errorf("%d rows of %d positions up to %d, want %d; %v", rows, distinct, last, end, err)
	}
}

func await(t *testing.T, p *Projector, at domain.Position) *readmodel.Model {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	m, err := p.Await(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// crashing ends a projector's transactions at the three moments that a process can end at.
type crashing struct {
	projections.Sink
	crashes atomic.Int64
}

func (c *crashing) Apply(ctx context.Context, from, to projections.Checkpoint, messages []eventstore.Folded) error {
	n := c.crashes.Add(1)
	switch {
	case n%4 == 1:
		return fmt.Errorf("%w: ended in front of the write", projections.ErrTransient)
	case n%4 == 2:
		// Ended in front of the commit: what the database does when the connection goes.
		err := c.Sink.(sink).model.Apply(ctx, from, to, func(tx *readmodel.Tx) error {
			if err := c.Sink.(sink).Projection.Apply(ctx, tx, messages); err != nil {
				return err
			}
			return fmt.Errorf("%w: ended in front of the commit", projections.ErrTransient)
		})
		return err
	case n%4 == 3:
		// Ended behind the commit, of which nobody was told.
		if err := c.Sink.Apply(ctx, from, to, messages); err != nil {
			return err
		}
		return fmt.Errorf("%w: ended behind the commit", projections.ErrTransient)
	}
	return c.Sink.Apply(ctx, from, to, messages)
}

// However often a projector ends, before the write, before the commit or behind it, every position is applied once.
func TestRunnerOverCrashes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l, p := newLog(100), numbering(1, nil)
		m, err := db.Make(t.Context(), p.Schema, readmodel.Live)
		if err != nil {
			t.Fatal(err)
		}
		c := &crashing{Sink: sink{p, m}}
		r := &Runner{Name: "numbering", Log: l.log(), Sink: c, Logger: silent}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if err := r.Run(ctx, 100); err != nil {
			t.Fatal(err)
		}
		judge(t, m, 100)
		t.Logf("100 positions over %d attempts, 3 of 4 of which ended early: none missing, none twice", c.crashes.Load())
	})
}

// The same messages delivered again, or an earlier part of them, change nothing. Seen to fail without the condition on the position.
func TestCheckpointRefusesRepeatedDelivery(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l, p := newLog(20), numbering(1, nil)
		m, err := db.Make(t.Context(), p.Schema, readmodel.Live)
		if err != nil {
			t.Fatal(err)
		}
		s := sink{p, m}
		at := func(n int) projections.Checkpoint {
			if n == 0 {
				return projections.Checkpoint{}
			}
			return projections.Checkpoint{LogID: "log", Position: domain.Position(n), Hash: l.list[n-1].Hash}
		}
		if err := s.Apply(t.Context(), at(0), at(10), l.list[:10]); err != nil {
			t.Fatal(err)
		}
		other := at(10)
		other.Hash[0]++
		for _, row := range []struct {
			from, to projections.Checkpoint
			list     []eventstore.Folded
		}{
			{at(0), at(10), l.list[:10]}, {at(5), at(12), l.list[5:12]}, {at(11), at(12), l.list[11:12]}, {other, at(12), l.list[10:12]},
		} {
			if err := s.Apply(t.Context(), row.from, row.to, row.list); !errors.Is(err, projections.ErrCheckpointMoved) {
				t.Errorf("from %d to %d: %v", row.from.Position, row.to.Position, err)
			}
		}
		judge(t, m, 10)
	})
}

// Two runners on one read model write nothing twice; when one ends the other takes over. Fails with a
// runner that gives up when the checkpoint has moved: tried.
func TestTwoRunners(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l, p := newLog(1), numbering(1, nil)
		m, err := db.Make(t.Context(), p.Schema, readmodel.Live)
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		stops := make([]context.CancelFunc, 2)
		runners := make([]*Runner, 2)
		for i := range stops {
			var ctx context.Context
			ctx, stops[i] = context.WithCancel(t.Context())
			runners[i] = &Runner{Name: "numbering", Log: l.log(), Sink: sink{p, m}, Logger: silent}
			running.Go(func() { _ = runners[i].Run(ctx, Forever) })
		}
		defer running.Wait()
		defer func() { stops[0](); stops[1]() }()
		reach := func(r *Runner, at domain.Position) time.Duration {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			if got, ok := r.Await(ctx, at); !ok {
				t.Fatalf("at %d, %d wanted", got, at)
			}
			return time.Since(began)
		}
		for range 50 {
			l.grow(10)
			time.Sleep(2 * time.Millisecond) // the load itself
		}
		reach(runners[0], l.end())
		reach(runners[1], l.end())
		// The one that makes progress ends.
		first, second := runners[0], runners[1]
		if s, _ := first.Status(); s.Phase == Standby {
			first, second = second, first
		}
		stops[map[*Runner]int{runners[0]: 0, runners[1]: 1}[first]]()
		l.grow(50)
		took := reach(second, l.end())
		judge(t, m, l.end())
		t.Logf("the other runner took over and was at the end after %s", took.Round(time.Millisecond))
	})
}

// An event that can't be applied stops the projection where it is, loudly, also if it panics; nothing behind it is applied. Ends the test
// program without the recover: tried.
func TestPoisonStopsTheProjection(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		for name, poison := range map[string]func() error{
			"error": func() error { return errors.New("this can't be applied") }, "panic": func() error { panic("this can't be applied") },
		} {
			l := newLog(100)
			p := numbering(1, func(_ *readmodel.Tx, messages []eventstore.Folded) error {
				for _, m := range messages {
					if m.Position == 50 {
						return poison()
					}
				}
				return nil
			})
			p.Schema.Name += name
			projector := Start(p, db, l.log(), silent)
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			m, err := projector.Await(ctx, 100)
			cancel()
			if m != nil || !strings.Contains(fmt.Sprint(err), "49") && !strings.Contains(fmt.Sprint(err), "is at 4") {
				t.Errorf("%s: %v", name, err)
			}
			report := projector.Report()
			if report.Status.Phase != Stopped || report.Status.Position >= 50 || !strings.Contains(fmt.Sprint(report.Err), "this can't be applied") ||
				!strings.Contains(fmt.Sprint(report.Err), "positions ") {
				t.Errorf("%s: %+v", name, report)
			}
			projector.Close()
			m, err = db.Live(t.Context(), p.Schema)
			if err != nil {
				t.Fatal(err)
			}
			judge(t, m, report.Status.Position)
		}
	})
}

// A read model is rebuilt while it is read and grows; the switch is one step, and the new one goes on. An interrupted build goes on
// where it was. Seen to fail when Make begins anew, and when Switch does not retire the old one.
func TestRebuildBesideTheLiveOne(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l := newLog(500)
		var slow atomic.Bool
		p := numbering(1, func(*readmodel.Tx, []eventstore.Folded) error {
			if slow.Load() {
				time.Sleep(3 * time.Millisecond)
			}
			return nil
		})
		projector := Start(p, db, l.log(), silent)
		first := await(t, projector, 500)
		slow.Store(true)
		b, err := projector.Rebuild(false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := projector.Rebuild(false); !errors.Is(err, ErrBuilding) {
			t.Errorf("two builds at once: %v", err)
		}
		for b.Progress().Position < 100 {
			time.Sleep(time.Millisecond)
		}
		l.grow(5)
		judge(t, await(t, projector, 505), 505)
		projector.Close() // in the middle
		interrupted := b.Progress()
		if interrupted.Position >= 500 {
			t.Fatalf("the build was done: %+v", interrupted)
		}
		slow.Store(false)

		projector = Start(p, db, l.log(), silent)
		defer projector.Close()
		deadline := time.Now().Add(wait)
		for projector.Report().Generation.Number != 2 {
			if time.Now().After(deadline) {
				t.Fatalf("the build did not go on by itself: %+v", projector.Report())
			}
			time.Sleep(time.Millisecond)
		}
		if again := projector.Building(); again.from < interrupted.Position {
			t.Errorf("the build began at %d, and had been at %d", again.from, interrupted.Position)
		}
		l.grow(20)
		m := await(t, projector, 525)
		judge(t, m, 525)
		if m.Number == first.Number {
			t.Errorf("generation %d still answers", m.Number)
		}
		// Whoever has begun to read the old one can end.
		judge(t, first, 505)
		list, err := db.Generations(t.Context(), p.Schema.Name)
		if err != nil || len(list) != 2 || list[0].Status != readmodel.Retired || list[1].Status != readmodel.Live {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// A new version builds itself at start; until then the old one answers, as it stood. Seen to fail when look ignores the version.
func TestNewVersionRebuildsItself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l := newLog(200)
		projector := Start(numbering(1, nil), db, l.log(), silent)
		await(t, projector, 200)
		projector.Close()
		gate := make(chan struct{})
		projector = Start(numbering(2, func(*readmodel.Tx, []eventstore.Folded) error { <-gate; return nil }), db, l.log(), silent)
		defer projector.Close()
		if m := await(t, projector, 200); m.Version != 1 {
			t.Errorf("version %d answers while version 2 is built", m.Version)
		}
		close(gate)
		l.grow(10)
		if m := await(t, projector, 210); m.Version != 2 {
			t.Errorf("version %d answers", m.Version)
		}
		// An older build of the program must not run on what a newer one made.
		older := Start(numbering(1, nil), db, l.log(), silent)
		defer older.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if m, err := older.Await(ctx, 1); err == nil || !strings.Contains(fmt.Sprint(older.Report().Err), "newer version") {
			t.Errorf("%v, %v, %v", m, err, older.Report().Err)
		}
	})
}

// Verify finds a row that is not what the log says, and drops what it built. A hash that is always the same does not find it.
func TestVerifyFindsADifference(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l, p := newLog(50), numbering(1, nil)
		projector := Start(p, db, l.log(), silent)
		defer projector.Close()
		m := await(t, projector, 50)
		verify := func() (Verdict, error) {
			b, err := projector.Verify()
			if err != nil {
				t.Fatal(err)
			}
			<-b.Done()
			return b.Result()
		}
		v, err := verify()
		if err != nil || v.Position != 50 || v.Live == "" || v.Live != v.Built || v.Rows != 50 {
			t.Errorf("%+v, %v", v, err)
		}
		at, _ := m.Checkpoint(t.Context())
		if err := m.Apply(t.Context(), at, at, func(tx *readmodel.Tx) error {
			return tx.Exec("UPDATE {}numbers SET hash = 'changed by hand' WHERE position = 20")
		}); err != nil {
			t.Fatal(err)
		}
		if v, err := verify(); !errors.Is(err, ErrDiffers) || v.Live == v.Built {
			t.Errorf("%+v, %v", v, err)
		}
		b, err := projector.Rebuild(true)
		if err != nil {
			t.Fatal(err)
		}
		<-b.Done()
		if _, err := b.Result(); !errors.Is(err, ErrDiffers) {
			t.Errorf("a build that is to be the same, and is not: %v", err)
		}
		b, err = projector.Rebuild(false)
		if err != nil {
			t.Fatal(err)
		}
		<-b.Done()
		if _, err := b.Result(); err != nil {
			t.Error(err)
		}
		if v, err := verify(); err != nil {
			t.Errorf("after the rebuild: %+v, %v", v, err)
		}
		list, err := db.Generations(t.Context(), p.Schema.Name)
		if err != nil || len(list) > 2 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// What was to be verified and was interrupted is not gone on with: it would take the live one's place without a comparison. Fails if
// it is built as one that need not be verified: tried.
func TestInterruptedVerificationGoesNowhere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l := newLog(200)
		var slow atomic.Bool
		p := numbering(1, func(*readmodel.Tx, []eventstore.Folded) error {
			if slow.Load() {
				time.Sleep(5 * time.Millisecond)
			}
			return nil
		})
		projector := Start(p, db, l.log(), silent)
		await(t, projector, 200)
		slow.Store(true)
		b, err := projector.Rebuild(true)
		if err != nil {
			t.Fatal(err)
		}
		for b.Progress().Position < 20 {
			time.Sleep(time.Millisecond)
		}
		projector.Close()
		slow.Store(false)
		projector = Start(p, db, l.log(), silent)
		defer projector.Close()
		await(t, projector, 200)
		if err := projector.look(); err != nil { // what it does every second
			t.Fatal(err)
		}
		if again := projector.Building(); again != nil {
			t.Errorf("it is gone on with: %+v", again.Progress())
		}
		if b, err = projector.Rebuild(true); err != nil {
			t.Fatal(err)
		}
		<-b.Done()
		if v, err := b.Result(); err != nil || v.Live != v.Built || v.Live == "" {
			t.Errorf("asked again: %+v, %v", v, err)
		}
		if g := projector.Report().Generation; g.Number == 1 || g.Status != readmodel.Live {
			t.Errorf("%+v", g)
		}
	})
}

// broken is a sink that somebody else moves, and that then can't be read any more.
type broken struct{ asked atomic.Int64 }

var errBroken = errors.New("the table is gone")

func (b *broken) Checkpoint(context.Context) (projections.Checkpoint, error) {
	if b.asked.Add(1) > 1 {
		return projections.Checkpoint{}, errBroken
	}
	return projections.Checkpoint{}, nil
}

func (b *broken) Apply(context.Context, projections.Checkpoint, projections.Checkpoint, []eventstore.Folded) error {
	return projections.ErrCheckpointMoved
}

// A runner that stands by stops as loudly as one that runs. Fails if Run answers what standBy met without saying so: tried.
func TestStandbyStopsLoudly(t *testing.T) {
	t.Parallel()
	r := &Runner{Name: "broken", Log: newLog(3).log(), Sink: &broken{}, Logger: silent}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	err := r.Run(ctx, Forever)
	if s, _ := r.Status(); !errors.Is(err, errBroken) || s.Phase != Stopped || !errors.Is(s.Err, errBroken) {
		t.Errorf("%v, %+v", err, s)
	}
}

// A comparison at the very beginning compares nothing, and ends. Seen to hang when 0 stood for no end.
func TestVerifyAtTheBeginning(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		projector := Start(numbering(1, nil), db, newLog(0).log(), silent)
		defer projector.Close()
		await(t, projector, 0)
		b, err := projector.Verify()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-b.Done():
		case <-time.After(wait):
			t.Fatal("the comparison does not end")
		}
		if v, err := b.Result(); err != nil || v.Position != 0 || v.Live != v.Built {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// A read model of another log, or of a part that is no more, is refused and said so.
func TestOtherLogIsRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *readmodel.Database) {
		l, p := newLog(50), numbering(1, nil)
		projector := Start(p, db, l.log(), silent)
		await(t, projector, 50)
		projector.Close()
		other := newLog(60).log()
		other.ID = "another"
		for want, log := range map[string]Log{"another": other, "shorter": newLog(40).log()} {
			projector := Start(p, db, log, silent)
			deadline := time.Now().Add(wait)
			for projector.Report().Status.Phase != Stopped && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if r := projector.Report(); !strings.Contains(fmt.Sprint(r.Err), want) {
				t.Errorf("%s: %+v", want, r)
			}
			projector.Close()
		}
	})
}
