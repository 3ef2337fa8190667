package natstest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/tests/natstest"
)

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
