package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// broker is a real NATS server in this process that can be stopped and started again on its store.
type broker struct {
	dir    string
	server atomic.Pointer[server.Server]
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	b := &broker{dir: t.TempDir()}
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start(t testing.TB) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: b.dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	b.server.Store(s)
}

func (b *broker) stop() {
	b.server.Load().Shutdown()
	b.server.Load().WaitForShutdown()
}

// InProcessConn connects to the server that runs at the time.
func (b *broker) InProcessConn() (net.Conn, error) { return b.server.Load().InProcessConn() }

func (b *broker) connect(t testing.TB) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(b), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// config seals by writing subject and field in front.
func (b *broker) config(t testing.TB) Config {
	t.Helper()
	return Config{
		Conn: b.connect(t), Logger: slog.New(slog.DiscardHandler), Erased: func(subject string) bool { return subject == "erased" },
		Seal: func(_ context.Context, subject, field, value string) (*eventv1.Sealed, error) {
			return &eventv1.Sealed{Subject: subject, Data: []byte(field + " " + value)}, nil
		},
	}
}

func start(t testing.TB, cfg Config) *Recorder {
	t.Helper()
	r, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stop(t testing.TB, r *Recorder) Stats {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return r.Stats()
}

// denied is a record like no other.
func denied(org string, n int) Record {
	return Record{Caller: fmt.Sprint("user ", n), Stored: &eventv1.AccessRecord{
		Kind: eventv1.AccessRecord_KIND_DENIED, Time: timestamppb.Now(), OrgId: org, Procedure: "UpdateOrg", Own: true,
		Actor: &eventv1.Actor{Id: fmt.Sprint(n)},
	}}
}

// all reads to the end in pages of a size, and answers which records these were, newest first.
func all(t testing.TB, r *Recorder, q Query) (ids []string, pages int) {
	t.Helper()
	for {
		page, err := r.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Records {
			ids = append(ids, a.Actor.GetId())
		}
		pages++
		if q.Before = page.Next; q.Before == 0 {
			return ids, pages
		}
	}
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("waited in vain for " + what)
		}
	}
}
