package tests

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Whoever writes and sends the answer's token reads what was written, at once and in every level, also among others who
// write. Seen to fail when a command answers the token of the position behind its own.
func TestAPIConsistencyReadsOwnWrites(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 10 {
				name := fmt.Sprintf("writer %d project %d", w, i)
				made, _, err := s.bearer(a.owner.key.secret).call(t.Context(), &tenurev1.CreateProjectRequest{OrgId: a.org, Name: name})
				if err != nil {
					t.Error(err)
					return
				}
				project := made.(*tenurev1.CreateProjectResponse)
				level := []string{"", "minimize_latency", "leader_latest", "linearizable"}[i%4]
				reader := s.bearer(a.orgKey.secret).with("Tenure-Token", project.Token)
				if level != "" {
					reader = reader.with("Tenure-Consistency", level)
				}
				read, header, err := reader.call(t.Context(), &tenurev1.GetProjectRequest{ProjectId: project.Project.Id})
				if err != nil || read.(*tenurev1.GetProjectResponse).Project.Name != name {
					t.Errorf("%s at %q: %v, %v", name, level, read, err)
					return
				}
				if wrote, saw := positionOf(t, project.Token), positionOf(t, header.Get("Tenure-Token")); saw < wrote {
					t.Errorf("%s was written at %d and read at %d", name, wrote, saw)
				}
			}
		})
	}
	writers.Wait()
}

// positionOf is the position in a token, which clients can't know.
func positionOf(t *testing.T, token string) (at domain.Position) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 33 {
		t.Errorf("%q is no token", token)
		return 0
	}
	for _, digit := range b[17:25] {
		at = at<<8 | domain.Position(digit)
	}
	return at
}

// A state that is not there yet is waited for, but not for ever, and never is an older one answered. Seen to fail when
// awaitToken gives the newest state after its wait.
func TestAPIConsistencyWaitsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	state := s.Engine.State()
	const ahead = 3
	future := engine.Token(state.Instance.LogID, state.Position+ahead, state.Hash)
	began := time.Now()
	e := apiRefused(t, s.admin().with("Tenure-Token", future), &tenurev1.GetOrgRequest{OrgId: a.org}, connect.CodeUnavailable, engine.NotCaughtUp)
	if want := fmt.Sprintf("the state is at %d, %d wanted; try again", state.Position, state.Position+ahead); e.message != want {
		t.Errorf("message %q, want %q", e.message, want)
	}
	if took := time.Since(began); took < engine.DefaultWait-time.Second || took > engine.DefaultWait+10*time.Second {
		t.Errorf("waited %s, want %s", took, engine.DefaultWait)
	}
	// The position comes, but holds something else than the token says: of a log that went another way.
	for range ahead {
		s.project(t, a.org)
	}
	apiRefused(t, s.admin().with("Tenure-Token", future), &tenurev1.GetOrgRequest{OrgId: a.org}, connect.CodeFailedPrecondition, engine.LostToken)
}

// A token that was cut, changed or never was one is refused, and so is one of another log.
func TestAPIConsistencyRefusesForeignTokens(t *testing.T) {
	t.Parallel()
	s, other := apiStart(t, nil), apiStart(t, nil)
	token := engine.StateToken(s.Engine.State())
	foreign := engine.StateToken(other.Engine.State())
	list := &tenurev1.ListOrgsRequest{}
	for _, garbage := range []string{"x", token[1:], token[:len(token)-2], token + "AA", "B" + token[1:], token + "=", "%%%"} {
		apiRefused(t, s.admin().with("Tenure-Token", garbage), list, connect.CodeInvalidArgument, engine.BadToken)
	}
	apiRefused(t, s.admin().with("Tenure-Token", foreign), list, connect.CodeFailedPrecondition, engine.OtherLogToken)
	apiOK[*tenurev1.ListOrgsResponse](t, s.admin().with("Tenure-Token", token), list)
	// A level that needs no token does not look at it.
	apiOK[*tenurev1.ListOrgsResponse](t, s.admin().with("Tenure-Token", foreign).with("Tenure-Consistency", "minimize_latency"), list)
}

var apiULID = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)

// Every answer says which request it was, and of which state it is; what came as a request id and is none is replaced.
func TestAPIConsistencyHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.furnished(t)
	seen := map[string]bool{}
	apiEveryRequest(t, a.names(), func(method string, request proto.Message) {
		seen[method] = true
		for _, caller := range []apiCaller{s.admin(), s.bearer(a.orgKey.secret), s.anonymous()} {
			for _, id := range []string{"", "mine-1.2_3", "<script>"} {
				_, header, err := caller.with("X-Request-Id", id).call(t.Context(), request)
				if wire := new(connect.Error); errors.As(err, &wire) && header == nil {
					header = wire.Meta()
				}
				got := header.Get("X-Request-Id")
				if kept := id == "mine-1.2_3"; kept != (got == id) || !kept && !apiULID.MatchString(got) {
					t.Errorf("%s: request id %q became %q (%v)", method, id, got, err)
				}
				if err == nil && !apiMethods[method].IsStreamingServer() && positionOf(t, header.Get("Tenure-Token")) == 0 {
					t.Errorf("%s answers no token", method)
				}
			}
		}
	})
	if len(seen) != len(apiMethods) {
		t.Errorf("%d of %d methods were called", len(seen), len(apiMethods))
	}
}
