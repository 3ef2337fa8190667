package tests

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A command repeated with its Idempotency-Key is done once and answers its first result, also after a restart. Fails if
// Recall finds nothing: tried.
func TestAPIIdempotency(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	create := &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "made once"}
	first := apiOK[*tenurev1.CreateProjectResponse](t, owner.with("Idempotency-Key", "k1"), create)
	before := s.mark()
	again := func(s *apiServer) {
		t.Helper()
		res := apiOK[*tenurev1.CreateProjectResponse](t, s.bearer(a.owner.key.secret).with("Idempotency-Key", "k1"), create)
		if res.Project.Id != first.Project.Id || res.Token != first.Token {
			t.Errorf("repeated: %v, want %v", res, first)
		}
	}
	again(s)
	other := &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "another one"}
	apiRefused(t, owner.with("Idempotency-Key", "k1"), other, connect.CodeInvalidArgument, domain.IdempotencyReuse)
	before.unchanged(t, s)

	// The key is the caller's own: somebody else's is another.
	apiRefused(t, s.bearer(a.orgKey.secret).with("Idempotency-Key", "k1"), create, connect.CodeAlreadyExists, domain.NameTaken)

	// What changed nothing is remembered as well: repeated later it must not change anything either.
	grant := &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.owner.id, Role: "OWNER"}
	second := s.person(t)
	apiOK[*tenurev1.GrantRoleResponse](t, owner.with("Idempotency-Key", "k2"), grant)
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: second.id, Role: "OWNER"})
	apiOK[*tenurev1.GrantRoleResponse](t, s.bearer(second.key.secret), &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.owner.id, Role: "ADMIN"})

	// A secret is shown once.
	key := &tenurev1.CreateKeyRequest{ProjectId: a.project}
	made := apiOK[*tenurev1.CreateKeyResponse](t, owner.with("Idempotency-Key", "k3"), key)
	e := apiRefused(t, owner.with("Idempotency-Key", "k3"), key, connect.CodeAlreadyExists, "SECRET_ALREADY_SHOWN")
	if want := made.Key.Id; !strings.Contains(e.message, want) {
		t.Errorf("%q does not name the key %s", e.message, want)
	}

	s.stop(t)
	restarted := apiStart(t, func(c *app.Config) { c.DataDir = s.dir })
	again(restarted)

	// What was a no-op stays one: the former owner, an ADMIN now, repeats it and is not made OWNER again.
	apiOK[*tenurev1.GrantRoleResponse](t, restarted.bearer(a.owner.key.secret).with("Idempotency-Key", "k2"), grant)
	check := &tenurev1.CheckRequest{OrgId: a.org, Permission: "organization:delete"}
	if res := apiOK[*tenurev1.CheckResponse](t, restarted.bearer(a.owner.key.secret), check); res.Role != "ADMIN" {
		t.Errorf("after the repetition the role is %s", res.Role)
	}

	// A repetition is authorized anew: who left is told nothing.
	apiOK[*tenurev1.RevokeRoleResponse](t, restarted.admin(), &tenurev1.RevokeRoleRequest{OrgId: a.org, UserId: a.owner.id})
	apiRefused(t, restarted.bearer(a.owner.key.secret).with("Idempotency-Key", "k1"), create, connect.CodeNotFound, domain.OrgNotFound)
}
