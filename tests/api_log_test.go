package tests

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// readLog begins to read the log with a secret.
func (s *apiServer) readLog(t testing.TB, secret string, req *tenurev1.ReadLogRequest) *connect.ServerStreamForClient[tenurev1.ReadLogResponse] {
	t.Helper()
	ctx := streaming(t, secret)
	stream, err := tenurev1connect.NewLogServiceClient(http.DefaultClient, s.URL).ReadLog(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	return stream
}

// streaming is for a stream that is called with a secret.
func streaming(t testing.TB, secret string) context.Context {
	// Wide enough for a test under way, and it ends with the test.
	ctx, cancel := context.WithTimeout(t.Context(), 3*apiWait)
	t.Cleanup(cancel)
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+secret)
	return ctx
}

// readKeys begins to read the personal keys with a secret.
func (s *apiServer) readKeys(t testing.TB, secret string) (*connect.ServerStreamForClient[tenurev1.ReadPersonalKeysResponse], error) {
	t.Helper()
	stream, err := tenurev1connect.NewLogServiceClient(http.DefaultClient, s.URL).ReadPersonalKeys(streaming(t, secret), &tenurev1.ReadPersonalKeysRequest{})
	if err == nil {
		t.Cleanup(func() { stream.Close() })
	}
	return stream, err
}

// wholeLog is all that a request for the log is answered.
func (s *apiServer) wholeLog(t testing.TB, req *tenurev1.ReadLogRequest) (messages []*tenurev1.ReadLogResponse) {
	t.Helper()
	stream := s.readLog(t, apiAdminKey, req)
	for stream.Receive() {
		messages = append(messages, proto.CloneOf(stream.Msg()))
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	return messages
}

// logLacks fails the test if a text stands anywhere in the log.
func (s *apiServer) logLacks(t testing.TB, texts ...string) {
	t.Helper()
	messages := s.wholeLog(t, &tenurev1.ReadLogRequest{})
	if len(messages) != int(s.Engine.State().Position) {
		t.Errorf("%d messages of %d", len(messages), s.Engine.State().Position)
	}
	for _, m := range messages {
		for _, text := range texts {
			if bytes.Contains(bytes.ToLower(m.Data), bytes.ToLower([]byte(text))) {
				t.Errorf("%q is at position %d of the log", text, m.Position)
			}
		}
	}
}

// The log comes as it is stored, and its chain can be checked by whoever reads it: each commit names the hash of what stands in
// front of it, also of what was published by hand, which is flagged. Seen to fail when void positions are left out.
func TestAPILogChain(t *testing.T) {
	t.Parallel()
	conn := apiBroker(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.NATSURL = conn.ConnectedUrl() })
	a := s.tenant(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := js.Publish(t.Context(), eventstore.Subject, []byte("by hand"))
	if err != nil {
		t.Fatal(err)
	}
	void := ack.Sequence
	s.reach(t, domain.Position(void))
	s.project(t, a.org)
	s.project(t, a.org)
	last := uint64(s.Engine.State().Position)
	messages := s.wholeLog(t, &tenurev1.ReadLogRequest{})
	if len(messages) != int(last) {
		t.Fatalf("%d messages, want %d", len(messages), last)
	}
	var parent []byte
	for i, m := range messages {
		if sum := sha256.Sum256(m.Data); m.Position != uint64(i+1) || !bytes.Equal(m.Hash, sum[:]) {
			t.Errorf("message %d is at position %d with hash %x of %x", i, m.Position, m.Hash, sum)
		}
		if m.Void != (m.Position == void) || m.Void != (m.Time == nil) {
			t.Errorf("position %d: void %t, time %v", m.Position, m.Void, m.Time)
		}
		if m.Void {
			if string(m.Data) != "by hand" {
				t.Errorf("position %d holds %q", m.Position, m.Data)
			}
		} else {
			var c eventv1.Commit
			data, ok := bytes.CutPrefix(m.Data, []byte("TNR\x01"))
			if err := proto.Unmarshal(data, &c); err != nil || !ok {
				t.Fatalf("position %d is no commit: %v", m.Position, err)
			}
			if !bytes.Equal(c.ParentHash, parent) || c.Parent != m.Position-1 || !proto.Equal(c.Time, m.Time) {
				t.Errorf("position %d names parent %d with %x, want %x", m.Position, c.Parent, c.ParentHash, parent)
			}
		}
		parent = m.Hash
	}
	for _, row := range []struct{ from, to, first, last uint64 }{
		{3, 5, 3, 5}, {0, 2, 1, 2}, {last, 0, last, last}, {void, void, void, void}, {last + 1, 0, 0, 0}, {5, 3, 0, 0}, {last - 1, last + 100, last - 1, last},
	} {
		var got []uint64
		for _, m := range s.wholeLog(t, &tenurev1.ReadLogRequest{From: row.from, To: row.to}) {
			if got = append(got, m.Position); !proto.Equal(m, messages[m.Position-1]) {
				t.Errorf("position %d reads otherwise from %d", m.Position, row.from)
			}
		}
		if n := len(got); row.first == 0 && n != 0 || row.first != 0 && (n != int(row.last-row.first+1) || got[0] != row.first || got[n-1] != row.last) {
			t.Errorf("from %d to %d: positions %v", row.from, row.to, got)
		}
	}
}

// A follower gets each commit as it comes, ends at the position it named, and loses the log with its rights. Seen to fail when
// ReadLog does not authorize anew.
func TestAPILogFollow(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, p := s.tenant(t), s.person(t)
	grant := &tenurev1.GrantInstanceAdminRequest{UserId: p.id}
	apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), grant)
	next := uint64(s.Engine.State().Position) + 1
	stream := s.readLog(t, p.key.secret, &tenurev1.ReadLogRequest{From: next, Follow: true})
	bounded := s.readLog(t, p.key.secret, &tenurev1.ReadLogRequest{From: next, To: next + 1, Follow: true})
	for i := range uint64(3) {
		s.project(t, a.org)
		if !stream.Receive() || stream.Msg().Position != next+i {
			t.Fatalf("want position %d: %v, %v", next+i, stream.Msg(), stream.Err())
		}
	}
	for i := range uint64(2) {
		if !bounded.Receive() || bounded.Msg().Position != next+i {
			t.Errorf("want position %d: %v, %v", next+i, bounded.Msg(), bounded.Err())
		}
	}
	if bounded.Receive() || bounded.Err() != nil {
		t.Errorf("behind its end: %v, %v", bounded.Msg(), bounded.Err())
	}
	apiOK[*tenurev1.RevokeInstanceAdminResponse](t, s.admin(), &tenurev1.RevokeInstanceAdminRequest{UserId: p.id})
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodePermissionDenied {
		t.Errorf("after the end of the rights: %v, %v", stream.Msg(), stream.Err())
	}
	// A key that ended, and one that never held everything.
	apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), grant)
	stream = s.readLog(t, p.key.secret, &tenurev1.ReadLogRequest{From: uint64(s.Engine.State().Position) + 1, Follow: true})
	apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: p.key.id})
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("after the end of the key: %v, %v", stream.Msg(), stream.Err())
	}
	narrow := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "read-only"})
	apiRefused(t, s.bearer(narrow.secret), &tenurev1.ReadLogRequest{}, connect.CodePermissionDenied, domain.KeyCeiling)
}
