package eventstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/tests/natstest"
)

// fakeServer says the hello of a NATS server, with another version for each connection; the last one is kept.
type fakeServer struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

func newFakeServer(t *testing.T, versions ...string) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, conn)
			f.mu.Unlock()
			serving.Go(func() { greet(conn, versions[min(i, len(versions)-1)]) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.drop()
		serving.Wait()
	})
	return f
}

func greet(conn net.Conn, version string) {
	fmt.Fprintf(conn, "INFO {\"server_id\":\"fake\",\"version\":%q,\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n", version)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "PING") {
			io.WriteString(conn, "PONG\r\n")
		}
	}
}

func (f *fakeServer) url() string { return "nats://" + f.listener.Addr().String() }

// drop ends all connections, as the loss of a server does.
func (f *fakeServer) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		conn.Close()
	}
}

var quietLog = slog.New(slog.DiscardHandler)

func TestConnect(t *testing.T) {
	t.Parallel()
	url := natstest.Single(t).ConnectedUrl()
	x, err := Connect(t.Context(), ConnectConfig{URL: url, Name: "test", Logger: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Conn.Close()
	if err := x.VersionErr(); err != nil {
		t.Error(err)
	}
	l, err := Open(t.Context(), Config{Conn: x.Conn})
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, 2)
}

func TestConnectRefuses(t *testing.T) {
	t.Parallel()
	old := newFakeServer(t, "2.15.1")
	if _, err := Connect(t.Context(), ConnectConfig{URL: old.url(), Logger: quietLog}); err == nil || !strings.Contains(err.Error(), "2.15.1 is too old") {
		t.Errorf("old server: %v", err)
	}
	if _, err := Connect(t.Context(), ConnectConfig{URL: old.url(), Credentials: "testdata/none.creds", Logger: quietLog}); err == nil {
		t.Error("missing credentials file: connected")
	}
	if _, err := Connect(t.Context(), ConnectConfig{URL: old.url(), CAFile: "testdata/none.pem", Logger: quietLog}); err == nil {
		t.Error("missing certificates: connected")
	}
	old.listener.Close()
	if _, err := Connect(t.Context(), ConnectConfig{URL: old.url(), Logger: quietLog}); err == nil {
		t.Error("nobody there: connected")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, ConnectConfig{URL: old.url(), Logger: quietLog}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Without the check in the reconnect handler the version is never complained about: tried.
func TestConnectChecksAgainAfterAReconnect(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t, MinServerVersion, "2.10.0", MinServerVersion)
	x, err := Connect(t.Context(), ConnectConfig{URL: server.url(), Logger: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Conn.Close()
	if err := x.VersionErr(); err != nil {
		t.Fatal(err)
	}
	for _, old := range []bool{true, false} {
		server.drop()
		for deadline := time.Now().Add(20 * time.Second); (x.VersionErr() != nil) != old; {
			if time.Now().After(deadline) {
				t.Fatalf("old server: %t, but %v", old, x.VersionErr())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// A commit that its sender gave up must not be sent after the connection is back. With nats.go's default buffer it
// would be: tried.
func TestNothingIsBufferedWhileDisconnected(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t, MinServerVersion)
	x, err := Connect(t.Context(), ConnectConfig{URL: server.url(), Logger: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Conn.Close()
	server.listener.Close()
	server.drop()
	for x.Conn.Status() == nats.CONNECTED {
		time.Sleep(time.Millisecond)
	}
	if err := x.Conn.Publish(Subject, []byte("late")); err == nil {
		t.Error("published without a connection")
	}
}
