package tests

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
)

// linearRun lets clients work on some worlds through some engines, and keeps what they were answered: one history.
type linearRun struct {
	engines []*engine.Engine
	logID   string
	first   int // the worlds are this one and those after it
	worlds  int
	// levels are those that reads ask for, one picked for each.
	levels []engine.Level
	// strong tells which of them promise linearizability, so that their reads are in the history.
	strong map[engine.Level]bool

	begin time.Time
	done  atomic.Bool
	ops   atomic.Int64   // that were answered, or may have happened
	acked []atomic.Int64 // by engine: writes whose outcome was answered
	faced atomic.Int64   // faults

	mu      sync.Mutex
	history []porcupine.Operation
	// facts are all answers that show a position, and stale the times when leader_latest may be stale.
	facts []linearFact
	stale []linearWindow
	// newest is a token of the newest write that was answered.
	newest   string
	newestAt domain.Position

	ok, refused, unknown, nothing int
}

// linearFact is an answer that showed a position of the log.
type linearFact struct {
	engine, world  int
	call, returned int64
	at             domain.Position
	// read is set for a read by a level that promises no linearizability; then seen is what it saw, not older than wanted.
	read   bool
	level  engine.Level
	seen   linearWorld
	wanted domain.Position
}

type linearWindow struct{ from, to int64 }

// newLinearRun makes worlds that nobody else uses. Reads ask for strong levels, whose answers must be linearizable, and weak
// ones.
func newLinearRun(t *testing.T, first, worlds int, strong, weak []engine.Level, engines ...*engine.Engine) *linearRun {
	t.Helper()
	r := &linearRun{
		engines: engines, first: first, worlds: worlds, levels: slices.Concat(strong, weak), strong: map[engine.Level]bool{},
		begin: time.Now(), acked: make([]atomic.Int64, len(engines)),
	}
	for _, level := range strong {
		r.strong[level] = true
	}
	for w := range worlds {
		for _, c := range linearSetup(first + w) {
			if _, err := engines[0].Execute(processContext(t), linearRequest(c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range engines {
		if _, err := e.Await(processContext(t), engine.Consistency{Level: engine.Linearizable}); err != nil {
			t.Fatal(err)
		}
	}
	s := engines[0].State()
	r.logID, r.newest, r.newestAt = s.Instance.LogID, engine.StateToken(s), s.Position
	return r
}

func linearRequest(c domain.Command) engine.Request {
	return engine.Request{Command: c, Rule: domain.Rule{Requirement: domain.InstanceAdmin}, Actor: domain.Actor{Kind: domain.ActorInstance}}
}

func (r *linearRun) now() int64 { return int64(time.Since(r.begin)) }

// readPause is how long a client that only reads rests in between, so that histories stay short.
const readPause = 20 * time.Millisecond

// work lets so many clients of each engine work until stop is called, or the test ends; and one for each level that only reads:
// the others wait for their writes when the log is away, and see little of what is shown then.
func (r *linearRun) work(t *testing.T, clients int) (stop func()) {
	var working sync.WaitGroup
	next := 0
	for e := range r.engines {
		for range clients {
			client := next
			working.Go(func() {
				for !r.done.Load() {
					r.step(e, client)
				}
			})
			next++
		}
		for _, level := range r.levels {
			client := next
			working.Go(func() {
				for ; !r.done.Load(); time.Sleep(readPause) {
					ctx, cancel := context.WithTimeout(context.Background(), linearPatience)
					r.read(ctx, e, client, linearOp{kind: "read", world: r.first + rand.IntN(r.worlds)}, level)
					cancel()
				}
			})
			next++
		}
	}
	stop = func() { r.done.Store(true); working.Wait() }
	t.Cleanup(stop)
	return stop
}

// until waits until so many more writes were answered by engines other than one; by all of them if that is nobody.
func (r *linearRun) until(t *testing.T, more int64, one int, why string) {
	t.Helper()
	count := func() (n int64) {
		for e := range r.acked {
			if e != one {
				n += r.acked[e].Load()
			}
		}
		return n
	}
	wanted := count() + more
	faultUntil(t, why, func() bool { return count() >= wanted })
}

// nobody is no engine.
const nobody = -1

// linearPatience of clients is shorter than that of an engine without contact, so that they go on.
const linearPatience = 10 * time.Second

// step is one operation of a client.
func (r *linearRun) step(e, client int) {
	op := linearOp{world: r.first + rand.IntN(r.worlds), which: rand.IntN(2), to: rand.IntN(2), role: domain.BuiltInRoles[rand.IntN(3)]}
	op.kind = []string{
		"rename", "rename", "transfer", "transfer", "grant", "grant", "revoke", "revoke", "create key", "revoke key",
		"read", "read", "read", "read", "read", "read", "read", "read",
	}[rand.IntN(18)]
	if op.kind == "create key" || op.kind == "revoke key" {
		op.which = rand.IntN(linearKeys)
	}
	ctx, cancel := context.WithTimeout(context.Background(), linearPatience)
	defer cancel()
	if op.kind == "read" {
		r.read(ctx, e, client, op, r.levels[rand.IntN(len(r.levels))])
	} else {
		r.write(ctx, e, client, op)
	}
}

func (r *linearRun) read(ctx context.Context, e, client int, op linearOp, level engine.Level) {
	r.mu.Lock()
	token, wanted := r.newest, r.newestAt
	r.mu.Unlock()
	if level != engine.AtLeast {
		wanted = 0
	}
	call := r.now()
	s, err := r.engines[e].Await(ctx, engine.Consistency{Level: level, Token: token})
	returned := r.now()
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.nothing++
		return
	}
	seen := linearSeen(s, op.world)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ok++
	r.ops.Add(1)
	if r.strong[level] {
		r.add(client, op, call, linearAnswer{read: seen}, returned)
	}
	r.facts = append(r.facts, linearFact{
		engine: e, world: op.world, call: call, returned: returned, at: s.Position, read: !r.strong[level], level: level, seen: seen, wanted: wanted,
	})
}

func (r *linearRun) write(ctx context.Context, e, client int, op linearOp) {
	call := r.now()
	out, err := r.engines[e].Execute(ctx, linearRequest(op.command()))
	returned := r.now()
	var known *domain.Error
	errors.As(err, &known)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known == nil || !linearNothingHappened[known.Reason] {
		r.ops.Add(1)
	}
	switch {
	case err == nil:
		r.ok++
		r.add(client, op, call, linearAnswer{}, returned)
		r.facts = append(r.facts, linearFact{engine: e, world: op.world, call: call, returned: returned, at: out.Position})
		if out.Position > r.newestAt {
			r.newest, r.newestAt = engine.Token(r.logID, out.Position, out.Hash), out.Position
		}
		r.acked[e].Add(1)
	case known != nil && linearNothingHappened[known.Reason]:
		r.nothing++
	case known == nil || known.Code == domain.CodeUnavailable || known.Code == domain.CodeInternal:
		r.unknown++
		r.add(client, op, call, linearAnswer{unknown: true}, math.MaxInt64)
	default:
		r.refused++
		r.add(client, op, call, linearAnswer{reason: known.Reason}, returned)
		r.acked[e].Add(1)
	}
}

func (r *linearRun) add(client int, op linearOp, call int64, answer linearAnswer, returned int64) {
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: op, Call: call, Output: answer, Return: returned})
}

// accepted wants the history to be linearizable.
func (r *linearRun) accepted(t *testing.T) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(linearModel, r.history, processWait)
	switch result {
	case porcupine.Illegal:
		drawn := "nowhere"
		if f, err := os.CreateTemp("", "linear-*.html"); err == nil {
			if porcupine.Visualize(linearModel, info, f) == nil {
				drawn = f.Name()
			}
			f.Close()
		}
		t.Errorf("the history is not linearizable; it is drawn in %s", drawn)
	case porcupine.Unknown:
		t.Errorf("the checker found no verdict in %s: give it more, or let less happen at once", processWait)
	}
}

func (r *linearRun) String() string {
	return fmt.Sprintf("%d operations in %d worlds: %d done or read, %d refused, %d unknown, %d that did nothing; %d faults; %d operations in the history",
		r.ops.Load(), r.worlds, r.ok, r.refused, r.unknown, r.nothing, r.faced.Load(), len(r.history))
}
