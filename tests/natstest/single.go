// Package natstest starts NATS servers with JetStream inside a test's process: Single for what one server shows, Cluster
// for what only several do, such as races on the log. Every server fsyncs each message, listens on loopback only, keeps
// its data in the test's temporary directory and ends with the test.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// wait is how long a server may take to become what a test needs.
const wait = 30 * time.Second

// Single starts one server and returns a connection to it. Both end with the test.
func Single(t testing.TB) *nats.Conn {
	t.Helper()
	s := start(t, options(t.TempDir(), "single"))
	t.Cleanup(func() { stop(s) })
	return connect(t, s.ClientURL())
}

func options(dir, name string) *server.Options {
	return &server.Options{
		ServerName:             name,
		Host:                   "127.0.0.1",
		Port:                   server.RANDOM_PORT,
		NoLog:                  true,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             true,
		MaxPayload:             8 << 20,
	}
}

func start(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatalf("nats-server %s: %v", opts.ServerName, err)
	}
	s.Start()
	if !s.ReadyForConnections(wait) {
		stop(s)
		t.Fatalf("nats-server %s is not ready after %s", opts.ServerName, wait)
	}
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url,
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectBufSize(-1),
	)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// until polls a condition and fails the test when it is still false in the end.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(wait)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still waiting for: %s", wait, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
