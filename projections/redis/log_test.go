package redis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	"github.com/tenurehq/tenure/projections/runner"
	"github.com/tenurehq/tenure/tests/redistest"
)

func TestMain(m *testing.M) {
	// A client of a cluster closes connections that it replaces some seconds later.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// wait is how long anything that must happen may take on a busy machine.
const wait = 60 * time.Second

var errLost = errors.New("the log does not hold it")

// testLog is a history of which a test lets more and more be seen.
type testLog struct {
	all []eventstore.Folded

	mu    sync.Mutex
	end   int
	seen  []time.Time // when each could be seen, or before
	grown chan struct{}
}

func newLog(all []eventstore.Folded, end int) *testLog {
	l := &testLog{all: all, grown: make(chan struct{})}
	l.to(end)
	return l
}

// to lets the messages up to a position be seen.
func (l *testLog) to(end int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for now := time.Now(); l.end < min(end, len(l.all)); l.end++ {
		l.seen = append(l.seen, now)
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *testLog) state() *domain.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[l.end-1].After
}

// at is how far the log was at a time, at least.
func (l *testLog) at(t time.Time) domain.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.seen) && l.seen[n].Before(t) {
		n++
	}
	return domain.Position(n)
}

func (l *testLog) open(_ context.Context, at projections.Checkpoint, _ bool) (projections.Next, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(at.Position) > l.end || at.Position > 0 && l.all[at.Position-1].Hash != at.Hash {
		return nil, errLost
	}
	return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
		for {
			l.mu.Lock()
			list, grown := l.all[at.Position:l.end], l.grown
			l.mu.Unlock()
			if len(list) > 0 {
				list = list[:min(most, len(list))]
				last := list[len(list)-1]
				at = projections.Checkpoint{Position: last.Position, Hash: last.Hash}
				return list, nil
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-grown:
			}
		}
	}, nil
}

func (l *testLog) log() runner.Log {
	return runner.Log{ID: l.all[0].After.Instance.LogID, Open: l.open, End: func() domain.Position { return l.state().Position }}
}

// config is that of a projector of a log.
func (l *testLog) config(url string) Config {
	return Config{
		URL: url, Prefix: layout.DefaultPrefix, Partitions: 4, Log: l.log(), Lost: func(err error) bool { return errors.Is(err, errLost) },
		State: l.state, SinceContact: func() time.Duration { return 0 }, Logger: silent,
	}
}

func started(t testing.TB, cfg Config) *Projector {
	t.Helper()
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func reached(t testing.TB, p *Projector, at domain.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := p.Await(ctx, at); err != nil {
		t.Fatal(errors.Join(err, errors.Unwrap(err)), p.Report())
	}
}

// until waits for something that must come about.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// entriesOf are the entries of a state by their names, without versions.
func entriesOf(l layout.Layout, s *domain.State) map[string]string {
	list := map[string]string{}
	for c := range invalidation.All(s) {
		_, o := changeOf(l, c)
		list[o.name] = unversioned(o.text())
	}
	return list
}

func unversioned(value string) string {
	_, rest, _ := strings.Cut(value, ",")
	return rest
}

// entriesIn are the entries that are in Redis, of all servers.
func entriesIn(t testing.TB, l layout.Layout, servers ...*redistest.Server) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, s := range servers {
		for name := range strings.Lines(s.Must(t, "KEYS", l.Prefix+":{*}:*")) {
			name = strings.TrimSpace(name)
			if name == "" || strings.HasSuffix(name, ":stream") || strings.HasSuffix(name, ":meta") {
				continue
			}
			list[name] = unversioned(s.Must(t, "GET", name))
		}
	}
	return list
}

// conform checks that Redis holds the entries of a state and nothing else.
func conform(t testing.TB, l layout.Layout, s *domain.State, servers ...*redistest.Server) {
	t.Helper()
	if diff := cmp.Diff(entriesOf(l, s), entriesIn(t, l, servers...)); diff != "" {
		t.Fatalf("position %d (-state +Redis):\n%s", s.Position, diff)
	}
}

// chained checks that a partition's stream has no gap.
func chained(t testing.TB, l layout.Layout, s *redistest.Server) (entries int) {
	t.Helper()
	for p := range l.Partitions {
		list := strings.Split(s.Must(t, "XRANGE", l.Stream(p), "-", "+"), "\n")
		last := ""
		for i, line := range list {
			if line != layout.StreamPrevious || i == 0 {
				continue
			}
			if id := list[i-1]; last != "" && list[i+1] != last {
				t.Fatalf("partition %d: %s follows on %s, and says on %s", p, id, last, list[i+1])
			} else {
				last = id
			}
			entries++
		}
		if meta := s.Must(t, "HGET", l.Meta(p), layout.MetaLast); last != "" && meta != last {
			t.Fatalf("partition %d ends with %s, and says %s", p, last, meta)
		}
	}
	return entries
}
