package tests

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/tests/natstest"
)

func linearEngine(t *testing.T, log engine.Log, node string, sole bool) *engine.Engine {
	t.Helper()
	e, err := engine.Start(processContext(t), engine.Config{
		Log: log, Sole: sole, Node: node, Logger: slog.New(slog.DiscardHandler),
		Genesis: domain.CreateInstance{LogID: ulid.Make().String(), Pepper: "p", SealingKey: "s", IdempotencyCapacity: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func linearEmbedded(t *testing.T) *eventstore.Log {
	t.Helper()
	embedded, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(t.TempDir(), "log"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { embedded.Close() })
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: embedded.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// linearCluster is three engines, each on a server of its own of a cluster in processes.
func linearCluster(t *testing.T) (*natstest.P, []*engine.Engine) {
	t.Helper()
	p := natstest.Processes(t, 3)
	var engines []*engine.Engine
	for i := range 3 {
		x, err := eventstore.Connect(processContext(t), eventstore.ConnectConfig{URL: p.URL(i), Name: "linear", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Conn.Close)
		log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: x.Conn, Replicas: 3})
		if err != nil {
			t.Fatal(err)
		}
		engines = append(engines, linearEngine(t, log, fmt.Sprint(i), false))
	}
	return p, engines
}

// On one server with the log inside, everything is linearizable, whatever level is asked. That reads and commands are judged
// at all is shown by the planted faults below.
func TestLinearEmbedded(t *testing.T) {
	t.Parallel()
	for _, level := range []engine.Level{engine.Linearizable, engine.MinimizeLatency} {
		e := linearEngine(t, linearEmbedded(t), "one", true)
		r := newLinearRun(t, level, 4, e)
		stop := r.work(6)
		r.until(t, soak[int64](3000, 100_000), "operations on the embedded log")
		stop()
		r.accepted(t)
		if stale := r.anomalies(t); stale > 0 {
			t.Errorf("level %d: %d reads missed a write that was acknowledged before", level, stale)
		}
	}
}

// Three engines on three replicas in processes, while the log's leader steps down, servers are killed, paused and cut off: what
// was asked as linearizable is, and commands are always.
func TestLinearCluster(t *testing.T) {
	t.Parallel()
	p, engines := linearCluster(t)
	r := newLinearRun(t, engine.Linearizable, 4, engines...)
	stop := r.work(2)
	linearFaults(t, p, r, soak(4, 60))
	stop()
	r.accepted(t)
}

// With the default level reads may miss what others have just written, and that is all that they may: each is answered from a
// state that once was, and a server never goes back. Commands are linearizable all the same.
func TestLinearClusterDefaultReads(t *testing.T) {
	t.Parallel()
	p, engines := linearCluster(t)
	r := newLinearRun(t, engine.MinimizeLatency, 4, engines...)
	stop := r.work(2)
	linearFaults(t, p, r, soak(3, 60))
	stop()
	r.accepted(t)
	for _, e := range engines {
		if _, err := e.Await(processContext(t), engine.Consistency{Level: engine.Linearizable}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("of %d reads by the default level %d missed a write acknowledged before; none saw what never was, none went back", len(r.reads), r.anomalies(t))
}

// linearFaults makes trouble so many times, each time when things work.
func linearFaults(t *testing.T, p *natstest.P, r *linearRun, n int) {
	t.Helper()
	const between = 100
	first := rand.IntN(4)
	for i := range n {
		r.until(t, between, "operations before the next fault")
		leader := p.Leader(t, eventstore.StreamName)
		victim := leader
		if rand.IntN(3) == 0 {
			victim = rand.IntN(3)
		}
		// How long a fault lasts is what is random here; nothing is waited for.
		lasts := time.NewTimer(time.Second + rand.N(2*time.Second))
		began := time.Now()
		what := []string{"step down", "kill", "pause", "cut"}[(first+i)%4]
		switch what {
		case "step down":
			p.StepDown(t, eventstore.StreamName)
		case "kill":
			p.Kill(victim)
			<-lasts.C
			p.Start(t, victim)
			p.AwaitReady(t)
		case "pause":
			p.Pause(t, victim)
			<-lasts.C
			p.Resume(t, victim)
		case "cut":
			p.Cut(victim)
			<-lasts.C
			p.Heal()
		}
		lasts.Stop()
		r.until(t, between, "operations after "+what)
		t.Logf("%s of server %d (leader was %d): %s until %d operations were done after it", what, victim, leader, time.Since(began).Round(time.Millisecond), between)
	}
}
