package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/tests/natstest"
)

// Several servers on a cluster make one stream together, with its copies, and all their records are in it. Seen to fail with a stream
// that is not flushed, of which a cluster makes no copies.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := natstest.Cluster(t, 3)
	recorders := make([]*Recorder, 3)
	var starting sync.WaitGroup
	for i := range recorders {
		conn := cluster.Connect(t, i)
		starting.Go(func() {
			cfg := Config{Conn: conn, Replicas: 3, Logger: slog.New(slog.DiscardHandler), Erased: func(string) bool { return false }}
			r, err := Start(context.WithoutCancel(t.Context()), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			recorders[i] = r
		})
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	for i, r := range recorders {
		for n := range 10 {
			r.Record(denied("acme", 10*i+n))
		}
	}
	for i, r := range recorders {
		until(t, fmt.Sprint("the records of server ", i), func() bool { return r.Stats().Recorded == 10 })
	}
	until(t, "all records", func() bool {
		page, err := recorders[0].Read(t.Context(), Query{Org: "acme", Limit: 100})
		return err == nil && len(page.Records) == 30
	})
	stream, err := recorders[0].js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.Replicas != 3 || c.PersistMode != jetstream.DefaultPersistMode {
		t.Errorf("made with %+v", c)
	}
	for _, r := range recorders {
		if got := stop(t, r); got.Dropped != 0 {
			t.Errorf("%+v", got)
		}
	}
}
