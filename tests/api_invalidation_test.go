package tests

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// apiWatch is a watch of what is no longer as it was.
type apiWatch struct {
	t      *testing.T
	stream *connect.ServerStreamForClient[tenurev1.WatchInvalidationsResponse]
	stop   context.CancelFunc
}

func (s *apiServer) watch(t *testing.T, secret, token string) *apiWatch {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), apiWait)
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+secret)
	stream, err := tenurev1connect.NewInvalidationServiceClient(http.DefaultClient, s.URL).WatchInvalidations(ctx, &tenurev1.WatchInvalidationsRequest{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	w := &apiWatch{t, stream, stop}
	t.Cleanup(w.end)
	return w
}

func (w *apiWatch) end() {
	w.stop()
	w.stream.Close()
}

// next is the next message.
func (w *apiWatch) next() *tenurev1.WatchInvalidationsResponse {
	w.t.Helper()
	if !w.stream.Receive() {
		w.t.Fatal(errors.Join(w.stream.Err(), errors.New("the watch ended")))
	}
	return w.stream.Msg()
}

// until reads up to an invalidation of something, and answers it with the message's token.
func (w *apiWatch) until(scope tenurev1.Scope, id string) (*tenurev1.Invalidation, string) {
	w.t.Helper()
	for {
		m := w.next()
		if m.Reset_ {
			w.t.Fatal("told to forget everything")
		}
		for _, i := range m.Invalidations {
			if i.Scope == scope && i.Id == id {
				return i, m.Token
			}
		}
	}
}

// Who comes back with a token is told what was missed; who comes with one that is not kept, or of a log that is no more, to forget; and who
// may not watch any more is not told. Fails if a token's hash is not looked at, and if rights are only looked at when the watch begins:
// tried both.
func TestAPIWatchInvalidations(t *testing.T) {
	t.Parallel()
	s, other := apiStart(t, nil), apiStart(t, nil)
	before := engine.StateToken(s.Engine.State())
	a := s.tenant(t)
	plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	w := s.watch(t, plane.secret, "")
	if m := w.next(); m.Reset_ || len(m.Invalidations) > 0 || m.Age == nil || m.Elapsed == nil || m.Token == "" {
		t.Errorf("the first message is %v", m)
	}
	key := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
	made, token := w.until(tenurev1.Scope_SCOPE_KEY, key.id)
	if made.PublicKey != key.public || made.Position == 0 {
		t.Errorf("a new key is told as %v", made)
	}
	// Nothing told is new: it beats, and says how new that is.
	beat := w.next()
	for len(beat.Invalidations) > 0 || beat.Age == nil {
		beat = w.next()
	}
	if age := beat.Age.AsDuration(); age < 0 || age > apiWait || beat.Elapsed.AsDuration() <= 0 {
		t.Errorf("it beats with %v", beat)
	}
	w.end()

	apiOK[*tenurev1.SuspendOrgResponse](t, s.admin(), &tenurev1.SuspendOrgRequest{OrgId: a.org})
	again := s.watch(t, plane.secret, token)
	suspended, _ := again.until(tenurev1.Scope_SCOPE_ORG, a.org)
	if suspended.Org.GetReason() != "ORG_SUSPENDED" {
		t.Errorf("the missed suspension is told as %v", suspended)
	}
	for name, token := range map[string]string{"older than what is kept": before, "of another log": engine.StateToken(other.Engine.State())} {
		if m := s.watch(t, plane.secret, token).next(); !m.Reset_ || m.Position == 0 {
			t.Errorf("a token %s is answered %v, want a reset", name, m)
		}
	}
	bad := s.watch(t, plane.secret, "no token")
	if bad.stream.Receive() || connect.CodeOf(bad.stream.Err()) != connect.CodeInvalidArgument {
		t.Errorf("what is no token is answered %v", bad.stream.Err())
	}

	apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: plane.id})
	for again.stream.Receive() {
	}
	if code := connect.CodeOf(again.stream.Err()); code != connect.CodeUnauthenticated {
		t.Errorf("with a revoked key the watch ends with %v", again.stream.Err())
	}
}
