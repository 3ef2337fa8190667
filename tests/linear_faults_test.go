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

// linearCluster is three engines, each on a server of its own of a cluster in processes, and staying there.
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

const (
	// linearBetween is how many writes are answered between faults.
	linearBetween = 60
	// linearMeanwhile is how many writes the other servers answer while one is away. Without a leader they answer none, so that
	// when it was the leader who is away, another one leads by then.
	linearMeanwhile = 30
	// linearKnows is how long the leader that was may take, when it is back, to hear that it is one no more: some heartbeats.
	linearKnows = 3 * time.Second
)

// faults makes every kind of trouble once, in some order, each time when things work. Mostly it meets the leader.
func (r *linearRun) faults(t *testing.T, p *natstest.P) {
	t.Helper()
	kinds := []string{"step down", "kill", "pause", "cut"}
	rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		r.until(t, linearBetween, nobody, "writes before "+kind)
		leader := p.Leader(t, eventstore.StreamName)
		victim := leader
		if kind != "cut" && rand.IntN(3) == 0 {
			victim = rand.IntN(3)
		}
		began, from := time.Now(), r.now()
		away := func() {
			r.until(t, linearMeanwhile, victim, fmt.Sprintf("writes without server %d, which met %s", victim, kind))
			// How much longer is what is random here; nothing is waited for.
			time.Sleep(rand.N(time.Second))
		}
		switch kind {
		case "step down":
			p.StepDown(t, eventstore.StreamName)
		case "kill":
			p.Kill(victim)
			away()
			p.Start(t, victim)
			p.AwaitReady(t)
		case "pause":
			p.Pause(t, victim)
			away()
			p.Resume(t, victim)
		case "cut":
			p.Cut(victim)
			away()
			p.Heal()
		}
		if kind == "pause" || kind == "cut" {
			r.mu.Lock()
			r.stale = append(r.stale, linearWindow{from, r.now() + int64(linearKnows)})
			r.mu.Unlock()
		}
		r.faced.Add(1)
		r.until(t, linearBetween, nobody, "writes after "+kind)
		t.Logf("%s of server %d (leader was %d): %s until %d writes were answered after it", kind, victim, leader, time.Since(began).Round(time.Millisecond), linearBetween)
	}
}
