package tests

import (
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/tests/natstest"
)

// faultServers are whole servers on one log, each with a client that holds the admin key.
type faultServers struct {
	apps []*app.App
	apis []*processAPI
}

// startFaultServers starts a server for each NATS address, all at once and on the same secrets, with settings changed if asked. They
// end with the test.
func startFaultServers(t *testing.T, dir string, replicas int, change func(*app.Config), urls ...string) *faultServers {
	t.Helper()
	f := &faultServers{apps: make([]*app.App, len(urls))}
	var starting sync.WaitGroup
	for i, url := range urls {
		own := t.TempDir()
		starting.Go(func() {
			cfg := app.Config{
				DataDir: own, Listen: "127.0.0.1:0", NATSURL: url, Replicas: replicas, AdminKey: processAdmin,
				PepperFile: filepath.Join(dir, "pepper"), SealingKeyFile: filepath.Join(dir, "sealing-key"),
				Logger: slog.New(slog.DiscardHandler),
			}
			if change != nil {
				change(&cfg)
			}
			a, err := app.Start(processContext(t), cfg)
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			f.apps[i] = a
		})
	}
	starting.Wait()
	t.Cleanup(f.close)
	if t.Failed() {
		t.FailNow()
	}
	for _, a := range f.apps {
		f.apis = append(f.apis, processClient(t, a.URL, processAdmin))
	}
	return f
}

func (f *faultServers) close() {
	for _, a := range f.apps {
		if a != nil {
			_ = a.Close()
		}
	}
}

// startFaultCluster starts three servers, each on its own node of a cluster of three.
func startFaultCluster(t *testing.T) (*natstest.C, *faultServers) {
	t.Helper()
	c := natstest.Cluster(t, 3)
	return c, startFaultServers(t, t.TempDir(), 3, nil, c.URL(0), c.URL(1), c.URL(2))
}

// settled waits until all servers are at the end of the log, and wants them, and a replay from zero, to be the same there.
func (f *faultServers) settled(t *testing.T) (*domain.State, map[string][]killEntry) {
	t.Helper()
	var end eventstore.Tip
	faultUntil(t, "all servers to be at the end of the log", func() bool {
		var err error
		if end, err = f.apps[0].Log.Tip(processContext(t)); err != nil {
			return false
		}
		for _, a := range f.apps {
			if a.Engine.State().Position != end.Last {
				return false
			}
		}
		return true
	})
	replayed, found := replayTwice(t, f.apps[0].Log, end.Last)
	for i, a := range f.apps {
		if s := a.Engine.State(); s.Position != end.Last || s.Digest() != replayed.Digest() {
			t.Errorf("server %d is at %d with %s, a replay at %d with %s", i, s.Position, s.Digest(), end.Last, replayed.Digest())
		}
		if err := a.Engine.Err(); err != nil {
			t.Errorf("server %d: %v", i, err)
		}
	}
	return replayed, found
}

// faultUntil polls a condition and ends the test if it stays false.
func faultUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(processWait); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still waiting for %s", processWait, what)
		}
	}
}
