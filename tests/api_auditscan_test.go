package tests

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiBroker is a NATS server that does not flush, for tests that need a long log and no crash.
func apiBroker(t *testing.T) *nats.Conn {
	t.Helper()
	broker, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	if !broker.ReadyForConnections(apiWait) {
		t.Fatal("the NATS server is not ready")
	}
	conn, err := nats.Connect(broker.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// reach waits until the server's state is at a position.
func (s *apiServer) reach(t *testing.T, at domain.Position) {
	t.Helper()
	late := time.After(apiWait)
	for {
		moved := s.Engine.Moved()
		if s.Engine.State().Position >= at {
			return
		}
		select {
		case <-moved:
		case <-late:
			t.Fatalf("the state is at %d, not at %d", s.Engine.State().Position, at)
		}
	}
}

// Whatever somebody else publishes to the log, a tenant's history is found in front of it and behind, and no page is empty. Fails
// if void positions stop the projection: tried.
func TestAPIAuditBehindVoidPositions(t *testing.T) {
	t.Parallel()
	conn := apiBroker(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.NATSURL = conn.ConnectedUrl() })
	a := s.tenant(t)
	// Positions that hold nothing are read as any other, and are made faster than commits.
	const scan, more = 5_000, 300
	before := s.Engine.State().Position
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for i := range scan + more {
		if _, err := js.PublishAsync(eventstore.Subject, []byte("not a commit")); err != nil {
			t.Fatal(err)
		}
		if i%1000 < 999 && i < scan+more-1 {
			continue
		}
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(apiWait):
			t.Fatal("the messages are not acknowledged")
		}
	}
	s.reach(t, before+scan+more)
	s.project(t, a.org)
	var pages [][]string
	req := &tenurev1.QueryAuditRequest{OrgId: a.org, PageSize: 3}
	for {
		res := apiOK[*tenurev1.QueryAuditResponse](t, s.bearer(a.owner.key.secret), req)
		pages = append(pages, apiTypes(res.Records))
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			break
		}
	}
	want := [][]string{{"ProjectCreated", "KeyCreated", "KeyCreated"}, {"ProjectCreated", "OrgCreated"}}
	if !slices.EqualFunc(pages, want, slices.Equal[[]string]) {
		t.Errorf("pages %v, want %v", pages, want)
	}
}
