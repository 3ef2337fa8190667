package tests

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/tests/natstest"
)

// The checker finds what it is for: each of these is a mistake that an implementation could make, put between the engine and
// the log, and must be caught.

// unguarded appends wherever the log ends by now.
type unguarded struct {
	*eventstore.Log
	js jetstream.JetStream
}

func (u unguarded) Append(ctx context.Context, _ domain.Position, data []byte, _ eventstore.Header) error {
	_, err := u.js.Publish(ctx, eventstore.Subject, data)
	return err
}

// hasty answers before anything is stored, and never stores some of it.
type hasty struct{ *eventstore.Log }

func (h hasty) Append(ctx context.Context, expected domain.Position, data []byte, header eventstore.Header) error {
	if rand.IntN(20) == 0 {
		return nil
	}
	return h.Log.Append(ctx, expected, data, header)
}

// caught wants the checker to refuse what a run brings within some rounds.
func caught(t *testing.T, run func(t *testing.T) *linearRun) {
	t.Helper()
	const rounds = 10
	for round := range rounds {
		r := run(t)
		if result, _ := porcupine.CheckOperationsVerbose(linearModel, r.history, processWait); result == porcupine.Illegal {
			t.Logf("caught in round %d, after %d operations", round+1, len(r.history))
			return
		}
	}
	t.Errorf("not caught in %d rounds", rounds)
}

// pair is two engines on one server's log, behind what between makes of it.
func pair(t *testing.T, between func(*eventstore.Log, jetstream.JetStream) engine.Log) []*engine.Engine {
	t.Helper()
	conn := natstest.Single(t)
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	good := []*engine.Engine{linearEngine(t, log, "good", false)}
	if between == nil {
		return append(good, linearEngine(t, log, "too", false))
	}
	return append(good, linearEngine(t, between(log, js), "bad", false))
}

func onePair(between func(*eventstore.Log, jetstream.JetStream) engine.Log) func(*testing.T) *linearRun {
	return func(t *testing.T) *linearRun {
		r := newLinearRun(t, engine.Linearizable, 1, pair(t, between)...)
		stop := r.work(3)
		r.until(t, 200, "operations of a pair")
		stop()
		return r
	}
}

func TestLinearFindsAMissingGuard(t *testing.T) {
	t.Parallel()
	caught(t, onePair(func(log *eventstore.Log, js jetstream.JetStream) engine.Log { return unguarded{log, js} }))
}

func TestLinearFindsAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	caught(t, onePair(func(log *eventstore.Log, _ jetstream.JetStream) engine.Log { return hasty{log} }))
}

// Nothing planted: the same run is accepted.
func TestLinearPairWithoutAFault(t *testing.T) {
	t.Parallel()
	onePair(nil)(t).accepted(t)
}

// A leader that is cut off goes on answering for some seconds, and does not know better: asking the leader is not a barrier. A
// read by leader_latest that is taken for a linearizable one is caught then.
func TestLinearFindsALeaderAskedInsteadOfABarrier(t *testing.T) {
	t.Parallel()
	p, engines := linearCluster(t)
	caught(t, func(t *testing.T) *linearRun {
		leader := p.Leader(t, eventstore.StreamName)
		behind, ahead := engines[leader], engines[(leader+1)%3]
		for _, e := range engines {
			if _, err := e.Await(processContext(t), engine.Consistency{Level: engine.Linearizable}); err != nil {
				t.Fatal(err)
			}
		}
		r := newLinearRun(t, engine.Linearizable, 1, ahead, behind)
		p.Cut(leader)
		defer func() { p.Heal(); p.AwaitReady(t) }()
		for round := range 20 {
			op := linearOp{kind: "rename", to: (round + 1) % 2}
			r.write(processContext(t), 0, 0, op)
			call := r.now()
			if s, err := behind.Await(processContext(t), engine.Consistency{Level: engine.LeaderLatest}); err == nil {
				r.add(1, linearOp{kind: "read"}, call, linearAnswer{read: linearSeen(s, 0)}, r.now())
			}
		}
		return r
	})
}
