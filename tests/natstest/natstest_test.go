package natstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/tests/natstest"
)

func TestMain(m *testing.M) {
	natstest.RunServerIfAsked()
	goleak.VerifyTestMain(m)
}

// Servers in processes form a cluster, keep a stream over a kill, a pause and a cut of its leader, and a leader that is cut
// off is another's follower when the cut is healed.
func TestProcesses(t *testing.T) {
	t.Parallel()
	p := natstest.Processes(t, 3)
	connect := func(i int) jetstream.JetStream {
		conn, err := nats.Connect(p.URL(i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	_, err := connect(0).CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	publish := func(i int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		js := connect(i)
		for ctx.Err() == nil {
			attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := js.Publish(attempt, "s", nil)
			cancel()
			if err == nil {
				n++
				return
			}
		}
		t.Fatal(ctx.Err())
	}
	publish(0)
	p.StepDown(t, "S")
	publish(1)
	killed := p.Leader(t, "S")
	p.Kill(killed)
	publish((killed + 1) % 3)
	p.Start(t, killed)
	p.AwaitReady(t)
	cut := p.Leader(t, "S")
	p.Cut(cut)
	publish((cut + 1) % 3)
	p.Heal()
	paused := (cut + 1) % 3
	p.Pause(t, paused)
	publish((paused + 1) % 3)
	p.Resume(t, paused)
	p.AwaitReady(t)
	s, err := connect(paused).Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got < uint64(n) {
		t.Errorf("%d messages, %d were acknowledged", got, n)
	}
}

func TestClusterKeepsAStreamOverALostServer(t *testing.T) {
	t.Parallel()
	c := natstest.Cluster(t, 3)
	js, err := jetstream.New(c.Connect(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("one")); err != nil {
		t.Fatal(err)
	}
	c.StepDown(t, "S")
	lost := c.Leader(t, "S")
	c.Stop(lost)
	if now := c.Leader(t, "S"); now == lost {
		t.Fatalf("server %d still leads after it was stopped", lost)
	}
	url := c.URL(lost)
	c.Restart(t, lost)
	if c.URL(lost) != url {
		t.Errorf("address changed from %s to %s", url, c.URL(lost))
	}
	js, err = jetstream.New(c.Connect(t, lost))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages after the restart, want 1", n)
	}
}

func TestSingleHasJetStream(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	if _, err := conn.Request("$JS.API.INFO", nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
}
