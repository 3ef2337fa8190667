package tests

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// linkWriters give commands to an engine, each again with the same idempotency key until it is acknowledged.
type linkWriters struct {
	engine *engine.Engine
	done   atomic.Bool
	// acknowledged, unknown and repeated count answers: good ones, those that leave the outcome open, and good ones that
	// tell that the command had been done before.
	acknowledged, unknown, repeated atomic.Int64

	mu   sync.Mutex
	keys []string // of acknowledged commands, digested
	all  sync.WaitGroup
}

func (w *linkWriters) start(t *testing.T, n int) {
	for i := range n {
		w.all.Go(func() {
			for count := 0; !w.done.Load() && !t.Failed(); count++ {
				w.give(t, fmt.Sprintf("org_%d_%d", i, count))
			}
		})
	}
}

func (w *linkWriters) give(t *testing.T, id string) {
	key := sha256.Sum256([]byte(id))
	request := engine.Request{
		Command: domain.CreateOrg{ID: domain.OrgID(id), Chosen: true, OrgName: id}, Rule: domain.Rule{Requirement: domain.AnyUser},
		Actor: domain.Actor{Kind: domain.ActorInstance}, Idempotency: &eventv1.Idempotency{Key: key[:16], Command: key[16:]},
	}
	for !t.Failed() {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		out, err := w.engine.Execute(ctx, request)
		cancel()
		var known *domain.Error
		switch {
		case err == nil:
			if out.Repeated {
				w.repeated.Add(1)
			}
			if len(out.Events) != 1 || out.Events[0].OrgIds[0] != id {
				t.Errorf("%s is answered with %v", id, out.Events)
			}
			w.mu.Lock()
			w.keys = append(w.keys, string(key[:16]))
			w.mu.Unlock()
			w.acknowledged.Add(1)
			return
		case !errors.As(err, &known) || known.Code != domain.CodeUnavailable:
			t.Errorf("%s: %v, expected unavailable", id, err)
			return
		case known.Reason == engine.OutcomeUnknown:
			w.unknown.Add(1)
		}
	}
}

// more waits for further acknowledgements.
func (w *linkWriters) more(t *testing.T, n int64, why string) {
	t.Helper()
	wanted := w.acknowledged.Load() + n
	faultUntil(t, fmt.Sprintf("%d acknowledgements %s", n, why), func() bool { return w.acknowledged.Load() >= wanted })
}

// linkEngine starts an engine behind a link to a server of its own, and returns a log that has a link of its own too.
func linkEngine(t *testing.T) (*faultProxy, *engine.Engine, *eventstore.Log) {
	t.Helper()
	direct := natstest.Single(t)
	proxy := newFaultProxy(t, direct.ConnectedUrl())
	quiet := slog.New(slog.DiscardHandler)
	x, err := eventstore.Connect(processContext(t), eventstore.ConnectConfig{URL: proxy.url(), Name: "test", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Conn.Close)
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: x.Conn})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(processContext(t), engine.Config{
		Log: log, Node: "test", Logger: quiet, ContactGap: 1500 * time.Millisecond,
		Genesis: domain.CreateInstance{LogID: "01K00000000000000000000000", Pepper: "p", SealingKey: "s", IdempotencyCapacity: 1_000_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	other, err := eventstore.Open(processContext(t), eventstore.Config{Conn: direct})
	if err != nil {
		t.Fatal(err)
	}
	return proxy, e, other
}

// The link to the log is cut, held up, and made to lose every acknowledgement, all under load. Nobody is told anything
// wrong: commands are acknowledged or their outcome is unknown, and repeating them settles it, exactly once each. While
// there is no contact the engine says that it can't answer for what it knows.
//
// With Recall forgetting everything, repeated commands are refused; without the guard in Append, appends that are repeated
// land twice; with Fresh answering nil, the loss of contact is never seen: all tried.
func TestFaultLinkUnderLoad(t *testing.T) {
	t.Parallel()
	proxy, e, log := linkEngine(t)
	w := &linkWriters{engine: e}
	w.start(t, 8)
	defer func() { w.done.Store(true); proxy.set(linkWorks); w.all.Wait() }()
	w.more(t, 50, "at first")
	var slowest time.Duration
	for _, fault := range []struct {
		name string
		mode linkMode
	}{{"cut", linkCut}, {"held", linkHeld}, {"deaf", linkDeaf}} {
		unknown, retries, at := w.unknown.Load(), e.Stats().Retries, e.State().Position
		proxy.set(fault.mode)
		faultUntil(t, fault.name+": unknown outcomes", func() bool { return w.unknown.Load() > unknown })
		faultUntil(t, fault.name+": loss of contact", func() bool {
			var known *domain.Error
			err := e.Fresh()
			return errors.As(err, &known) && known.Code == domain.CodeUnavailable && known.Reason == engine.NoContact
		})
		faultUntil(t, fault.name+": appends sent again", func() bool { return e.Stats().Retries > retries+1 })
		if fault.mode == linkDeaf {
			faultUntil(t, "deaf: a commit that landed unacknowledged", func() bool {
				tip, err := log.Tip(processContext(t))
				return err == nil && tip.Last > max(at, e.State().Position)
			})
		}
		proxy.set(linkWorks)
		mended := time.Now()
		faultUntil(t, fault.name+": contact", func() bool { return e.Fresh() == nil })
		w.more(t, 1, "after the link was "+fault.name)
		slowest = max(slowest, time.Since(mended))
		w.more(t, 50, "after the link was "+fault.name)
	}
	w.done.Store(true)
	w.all.Wait()

	var tip eventstore.Tip
	faultUntil(t, "the engine to be at the end of the log", func() (ok bool) {
		var err error
		tip, err = log.Tip(processContext(t))
		return err == nil && e.State().Position == tip.Last
	})
	state, found := replayTwice(t, log, tip.Last)
	if state.Voids != 0 || state.Digest() != e.State().Digest() {
		t.Errorf("replayed: %d void positions and %s, the engine has %s", state.Voids, state.Digest(), e.State().Digest())
	}
	lost, doubled := 0, 0
	for _, key := range w.keys {
		if len(found[key]) == 0 {
			lost++
		}
	}
	for _, entries := range found {
		if len(entries) > 1 {
			doubled++
		}
	}
	if lost+doubled > 0 || len(found) != len(w.keys) {
		t.Errorf("%d commands acknowledged, %d in the log, %d lost, %d doubled", len(w.keys), len(found), lost, doubled)
	}
	if w.repeated.Load() == 0 {
		t.Error("no command landed without its acknowledgement")
	}
	figures := faultFigures{issued: len(w.keys), acknowledged: len(w.keys), lost: lost, doubled: doubled, recovery: slowest}
	figures.report(t, "link cut, held up and deaf", w.unknown.Load(), " answers were unknown, ", w.repeated.Load(), " of those commands had landed; ", e.Stats().Retries, " appends repeated")
}
