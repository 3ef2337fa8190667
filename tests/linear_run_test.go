package tests

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
)

// linearRun lets clients work on some worlds through some engines, and keeps what they were answered.
type linearRun struct {
	engines []*engine.Engine
	worlds  int
	// level is how reads are asked.
	level engine.Level

	begin time.Time
	done  atomic.Bool
	ops   atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	// reads by a level that promises no linearizability, with what is needed to judge them.
	reads  []linearRead
	writes []linearWrite

	ok, refused, unknown, nothing int
}

// linearRead is a read that is not in the history.
type linearRead struct {
	engine, world int
	client        int
	call          int64
	at            domain.Position
	seen          linearWorld
}

// linearWrite is an acknowledged write.
type linearWrite struct {
	world int
	done  int64
	at    domain.Position
}

func newLinearRun(t *testing.T, level engine.Level, worlds int, engines ...*engine.Engine) *linearRun {
	t.Helper()
	r := &linearRun{engines: engines, worlds: worlds, level: level, begin: time.Now()}
	for _, c := range linearSetup(worlds) {
		if _, err := engines[0].Execute(processContext(t), linearRequest(c)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range engines {
		if _, err := e.Await(processContext(t), engine.Consistency{Level: engine.Linearizable}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func linearRequest(c domain.Command) engine.Request {
	return engine.Request{Command: c, Rule: domain.Rule{Requirement: domain.InstanceAdmin}, Actor: domain.Actor{Kind: domain.ActorInstance}}
}

func (r *linearRun) now() int64 { return int64(time.Since(r.begin)) }

// work lets so many clients of each engine work until stop is called.
func (r *linearRun) work(clients int) (stop func()) {
	var working sync.WaitGroup
	for e := range r.engines {
		for c := range clients {
			working.Go(func() {
				for !r.done.Load() {
					r.step(e, e*clients+c)
				}
			})
		}
	}
	return func() { r.done.Store(true); working.Wait() }
}

// until waits for so many more operations.
func (r *linearRun) until(t *testing.T, more int64, why string) {
	t.Helper()
	wanted := r.ops.Load() + more
	faultUntil(t, why, func() bool { return r.ops.Load() >= wanted })
}

// step is one operation of a client.
func (r *linearRun) step(e, client int) {
	op := linearOp{world: rand.IntN(r.worlds), project: rand.IntN(2), to: rand.IntN(2), role: domain.BuiltInRoles[1+rand.IntN(3)]}
	op.kind = []string{"rename", "transfer", "grant", "revoke", "read", "read", "read"}[rand.IntN(7)]
	// Shorter than that of an engine without contact, so that clients go on.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if op.kind == "read" {
		r.read(ctx, e, client, op)
	} else {
		r.write(ctx, e, client, op)
	}
	r.ops.Add(1)
}

func (r *linearRun) read(ctx context.Context, e, client int, op linearOp) {
	call := r.now()
	s, err := r.engines[e].Await(ctx, engine.Consistency{Level: r.level})
	returned := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.nothing++
	case r.level == engine.Linearizable:
		r.ok++
		r.add(client, op, call, linearAnswer{read: linearSeen(s, op.world)}, returned)
	default:
		r.ok++
		r.reads = append(r.reads, linearRead{e, op.world, client, call, s.Position, linearSeen(s, op.world)})
	}
}

func (r *linearRun) write(ctx context.Context, e, client int, op linearOp) {
	call := r.now()
	out, err := r.engines[e].Execute(ctx, linearRequest(op.command()))
	returned := r.now()
	var known *domain.Error
	errors.As(err, &known)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.ok++
		r.add(client, op, call, linearAnswer{}, returned)
		r.writes = append(r.writes, linearWrite{op.world, returned, out.Position})
	case known != nil && linearNothingHappened[known.Reason]:
		r.nothing++
	case known == nil || known.Code == domain.CodeUnavailable || known.Code == domain.CodeInternal:
		r.unknown++
		r.add(client, op, call, linearAnswer{unknown: true}, math.MaxInt64)
	default:
		r.refused++
		r.add(client, op, call, linearAnswer{reason: known.Reason}, returned)
	}
}

func (r *linearRun) add(client int, op linearOp, call int64, answer linearAnswer, returned int64) {
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: op, Call: call, Output: answer, Return: returned})
}

// verdict is the checker's about the history.
func (r *linearRun) verdict(t *testing.T) porcupine.CheckResult {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(linearModel, r.history, time.Minute)
	if result == porcupine.Illegal {
		if f, err := os.CreateTemp("", "linear-*.html"); err == nil {
			if porcupine.Visualize(linearModel, info, f) == nil {
				t.Logf("the history is drawn in %s", f.Name())
			}
			f.Close()
		}
	}
	return result
}

// accepted wants the history to be linearizable.
func (r *linearRun) accepted(t *testing.T) {
	t.Helper()
	switch r.verdict(t) {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
	case porcupine.Unknown:
		t.Error("the checker found no verdict in its time: give it more, or let less happen at once")
	}
	t.Logf("%d operations: %d done or read, %d refused, %d unknown, %d that did nothing", r.ops.Load(), r.ok, r.refused, r.unknown, r.nothing)
}

// anomalies judges the reads that promise no linearizability: each saw a state that once was, none went back on one server,
// and it counts those that missed a write acknowledged before they came.
func (r *linearRun) anomalies(t *testing.T) (stale int) {
	t.Helper()
	newest := domain.Position(0)
	for _, read := range r.reads {
		newest = max(newest, read.at)
	}
	worlds := make([]map[domain.Position]linearWorld, r.worlds)
	for w := range worlds {
		worlds[w] = map[domain.Position]linearWorld{}
	}
	s := &domain.State{}
	if err := r.engines[0].Messages(processContext(t), 1, newest, func(m engine.Message) (err error) {
		if m.Commit == nil {
			s = s.Void(m.Position, m.Hash)
		} else if s, err = domain.Evolve(s, m.Commit, m.Position, m.Hash); err != nil {
			return err
		}
		for w := range worlds {
			worlds[w][m.Position] = linearSeen(s, w)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := map[int]domain.Position{} // by client: what it saw last on its server
	for _, read := range r.reads {
		if was := worlds[read.world][read.at]; was != read.seen {
			t.Errorf("a read at %d saw %+v, which was %+v", read.at, read.seen, was)
		}
		if read.at < before[read.client] {
			t.Errorf("client %d saw position %d and then %d of one server", read.client, before[read.client], read.at)
		}
		before[read.client] = read.at
		for _, w := range r.writes {
			if w.world == read.world && w.done < read.call && w.at > read.at {
				stale++
				break
			}
		}
	}
	return stale
}
