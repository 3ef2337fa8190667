package tests

import (
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	"github.com/tenurehq/tenure/internal/rpc"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Reflection shows every service.
func TestAPIReflection(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	stream := grpcreflect.NewClient(apiH2C(t), s.URL, connect.WithGRPC()).NewStream(t.Context())
	defer stream.Close()
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range rpc.Services {
		found := false
		for _, n := range names {
			found = found || string(n) == want
		}
		if !found {
			t.Errorf("reflection does not show %s", want)
		}
	}
}

// An answer's headers say what it reflects and which request it was; a token sent back is honoured.
func TestAPITokens(t *testing.T) {
	t.Parallel()
	s, other := apiStart(t, nil), apiStart(t, nil)
	a := s.tenant(t)
	_, header, err := s.admin().with("X-Request-Id", "mine").call(t.Context(), &tenurev1.GetOrgRequest{OrgId: a.org})
	if err != nil || header.Get("Tenure-Token") == "" || header.Get("X-Request-Id") != "mine" {
		t.Fatalf("headers %v, %v", header, err)
	}
	made := apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: "to be read"})
	for _, level := range []string{"", "minimize_latency", "at_least", "leader_latest", "linearizable"} {
		c := s.admin().with("Tenure-Token", made.Token)
		if level != "" {
			c = c.with("Tenure-Consistency", level)
		}
		apiOK[*tenurev1.GetOrgResponse](t, c, &tenurev1.GetOrgRequest{OrgId: made.Org.Id})
	}
	apiRefused(t, other.admin().with("Tenure-Token", made.Token), &tenurev1.ListOrgsRequest{}, connect.CodeFailedPrecondition, "TOKEN_OF_ANOTHER_LOG")
}
