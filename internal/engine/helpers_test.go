package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/tests/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty is the real log with faults in between. A nil function is the real one.
type faulty struct {
	*eventstore.Log
	mu     sync.Mutex
	append func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error
	tip    func(ctx context.Context) (eventstore.Tip, error)
	max    int
}

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) Append(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
	f.mu.Lock()
	fault := f.append
	f.mu.Unlock()
	if fault != nil {
		return fault(ctx, expected, data, h)
	}
	return f.Log.Append(ctx, expected, data, h)
}

func (f *faulty) Tip(ctx context.Context) (eventstore.Tip, error) {
	f.mu.Lock()
	fault := f.tip
	f.mu.Unlock()
	if fault != nil {
		return fault(ctx)
	}
	return f.Log.Tip(ctx)
}

func (f *faulty) MaxBytes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.max > 0 {
		return f.max
	}
	return f.Log.MaxBytes()
}

func openLog(t testing.TB) *faulty {
	t.Helper()
	log, err := eventstore.Open(t.Context(), eventstore.Config{Conn: natstest.Single(t)})
	if err != nil {
		t.Fatal(err)
	}
	return &faulty{Log: log}
}

func start(t testing.TB, log Log, change func(*Config)) *Engine {
	t.Helper()
	cfg := Config{
		Log: log, Sole: true, Node: "test", Logger: slog.New(slog.DiscardHandler),
		Genesis: domain.CreateInstance{LogID: ulid.Make().String(), Pepper: "p", SealingKey: "s", IdempotencyCapacity: 1000},
	}
	if change != nil {
		change(&cfg)
	}
	e, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

var (
	admin  = domain.Actor{Kind: domain.ActorInstance, Method: "admin_key"}
	anyone = domain.Rule{Requirement: domain.InstanceAdmin}
)

func createOrg(id string) Request {
	return Request{Command: domain.CreateOrg{ID: domain.OrgID(id), Chosen: true, OrgName: "org " + id}, Rule: anyone, Actor: admin}
}

func createProject(org, id, name string) Request {
	return Request{
		Command: domain.CreateProject{ID: domain.ProjectID(id), Chosen: true, Org: domain.OrgID(org), ProjectName: name},
		Rule:    anyone, Actor: admin,
	}
}

// must executes a command that has to succeed.
func must(t testing.TB, e *Engine, req Request) Outcome {
	t.Helper()
	out, err := e.Execute(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused executes a command that has to fail for a reason.
func refused(t testing.TB, e *Engine, req Request, reason domain.Reason) {
	t.Helper()
	_, err := e.Execute(t.Context(), req)
	wantReason(t, err, reason)
}

func wantReason(t testing.TB, err error, reason domain.Reason) {
	t.Helper()
	known, ok := err.(*domain.Error)
	if !ok || known.Reason != reason {
		t.Fatalf("got %v, want %s", err, reason)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		pause(context.Background(), 5*time.Millisecond)
	}
}

// createdOnce replays the log from zero and counts the creations of each organization; it must agree with the state.
func createdOnce(t testing.TB, e *Engine, log Log, ids ...string) {
	t.Helper()
	live := e.State()
	replayed, err := Replay(t.Context(), log, live.Position)
	if err != nil {
		t.Fatal(err)
	}
	if replayed.Digest() != live.Digest() {
		t.Fatalf("replayed state differs from the live one at %d", live.Position)
	}
	count := map[string]int{}
	err = e.Commits(t.Context(), 1, live.Position, func(c Commit) error {
		for _, entry := range c.Entries {
			for _, event := range entry.Events {
				if event.GetOrgCreated() != nil {
					count[event.OrgIds[0]]++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if count[id] != 1 {
			t.Errorf("organization %s was created %d times in the log", id, count[id])
		}
	}
}

func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("o%04d", i))
	}
	return list
}
