package tests

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/tests/natstest"
)

// The checker finds what it is for: each of these is a mistake that an implementation could make, put between an engine and
// the log, and must be caught. With the mistake taken out, as in TestLinearPairWithoutAFault, the same histories are accepted.

// unguarded appends wherever the log ends by now.
type unguarded struct {
	*eventstore.Log
	js jetstream.JetStream
}

func (u unguarded) Append(ctx context.Context, _ domain.Position, data []byte, _ eventstore.Header) error {
	_, err := u.js.Publish(ctx, eventstore.Subject, data)
	return err
}

// hasty answers before anything is stored, and stores it a little later, if nobody was quicker.
type hasty struct {
	*eventstore.Log
	storing *sync.WaitGroup
}

func (h hasty) Append(_ context.Context, expected domain.Position, data []byte, header eventstore.Header) error {
	h.storing.Go(func() {
		time.Sleep(rand.N(5 * time.Millisecond))
		_ = h.Log.Append(context.Background(), expected, data, header)
	})
	return nil
}

// deaf does not hear of what others write, unless it looks.
type deaf struct{ *eventstore.Log }

func (d deaf) Tail(ctx context.Context, _ domain.Position, _ func(eventstore.Message) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// caught wants the checker to refuse what a run brings within some rounds.
func caught(t *testing.T, run func(t *testing.T) *linearRun) {
	t.Helper()
	const rounds = 50
	for round := range rounds {
		r := run(t)
		if result, _ := porcupine.CheckOperationsVerbose(linearModel, r.history, processWait); result == porcupine.Illegal {
			t.Logf("caught in round %d: %s", round+1, r)
			return
		}
	}
	t.Errorf("not caught in %d rounds", rounds)
}

// pair runs two engines on one server's log, the second as planted.
func pair(t *testing.T, second func(log *eventstore.Log, js jetstream.JetStream) *engine.Engine) *linearRun {
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
	r := newLinearRun(t, 0, 1, []engine.Level{engine.Linearizable}, nil, linearEngine(t, log, "good", false), second(log, js))
	stop := r.work(t, 3)
	r.until(t, 120, nobody, "writes of a pair")
	stop()
	return r
}

func TestLinearFindsAMissingGuard(t *testing.T) {
	t.Parallel()
	caught(t, func(t *testing.T) *linearRun {
		return pair(t, func(log *eventstore.Log, js jetstream.JetStream) *engine.Engine {
			return linearEngine(t, unguarded{log, js}, "unguarded", false)
		})
	})
}

func TestLinearFindsAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	caught(t, func(t *testing.T) *linearRun {
		var storing sync.WaitGroup
		t.Cleanup(storing.Wait)
		return pair(t, func(log *eventstore.Log, _ jetstream.JetStream) *engine.Engine {
			return linearEngine(t, hasty{log, &storing}, "hasty", false)
		})
	})
}

// A server that takes itself for the only one neither appends barriers nor looks before it refuses.
func TestLinearFindsAMissingBarrier(t *testing.T) {
	t.Parallel()
	caught(t, func(t *testing.T) *linearRun {
		return pair(t, func(log *eventstore.Log, _ jetstream.JetStream) *engine.Engine {
			return linearEngine(t, deaf{log}, "alone", true)
		})
	})
}

// Nothing planted: the same runs are accepted.
func TestLinearPairWithoutAFault(t *testing.T) {
	t.Parallel()
	r := pair(t, func(log *eventstore.Log, _ jetstream.JetStream) *engine.Engine {
		return linearEngine(t, log, "too", false)
	})
	r.accepted(t)
	t.Logf("two servers: %s", r)
	r = pair(t, func(log *eventstore.Log, _ jetstream.JetStream) *engine.Engine {
		return linearEngine(t, deaf{log}, "deaf", false)
	})
	r.accepted(t)
	t.Logf("two servers, one deaf: %s", r)
}
