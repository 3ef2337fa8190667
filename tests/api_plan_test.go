package tests

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// plan gives an organization a plan of these quotas.
func (s *apiServer) plan(t testing.TB, org string, quotas *tenurev1.Quotas) string {
	t.Helper()
	id := apiUnique("plan")
	apiOK[*tenurev1.DefinePlanResponse](t, s.admin(), &tenurev1.DefinePlanRequest{PlanId: id, Name: "A plan", Quotas: quotas})
	if got := apiOK[*tenurev1.SetPlanResponse](t, s.admin(), &tenurev1.SetPlanRequest{OrgId: org, PlanId: id}).Org.PlanId; got != id {
		t.Errorf("the organization has the plan %q, want %q", got, id)
	}
	return id
}

// A quota holds at every way in, for everybody; what is there beyond it stays and works, and rotating is always possible. Seen to
// fail when RestoreProject, UpdateGroup and ImportKey do not look at it.
func TestAPIPlanQuotasAtEveryWayIn(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.furnished(t), s.tenant(t)
	owner, admin := s.bearer(a.owner.key.secret), s.admin()
	gone := s.project(t, a.org)
	apiOK[*tenurev1.DeleteProjectResponse](t, owner, &tenurev1.DeleteProjectRequest{ProjectId: gone})
	p, q := s.person(t), s.person(t)
	invited := apiOK[*tenurev1.InviteResponse](t, owner, &tenurev1.InviteRequest{OrgId: a.org, Email: p.email, Role: "VIEWER"})
	offered := s.offer(t, b.project, a.org)
	zero := func() *uint32 { return proto.Uint32(0) }
	id := s.plan(t, a.org, &tenurev1.Quotas{Projects: zero(), Members: zero(), Keys: zero()})
	before := s.mark()
	for name, row := range map[string]struct {
		caller  apiCaller
		request proto.Message
	}{
		"CreateProject":            {owner, &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "one more"}},
		"CreateProject by admin":   {admin, &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "one more"}},
		"RestoreProject":           {owner, &tenurev1.RestoreProjectRequest{ProjectId: gone}},
		"TransferProject":          {admin, &tenurev1.TransferProjectRequest{ProjectId: b.project, TargetOrgId: a.org}},
		"AcceptTransfer":           {owner, &tenurev1.AcceptTransferRequest{OfferId: offered}},
		"GrantRole":                {owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: q.id, Role: "NONE"}},
		"CreateGroup":              {owner, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "more people", UserIds: []string{q.id}}},
		"UpdateGroup":              {owner, &tenurev1.UpdateGroupRequest{GroupId: a.group, AddUserIds: []string{q.id}}},
		"AcceptInvitation":         {s.bearer(p.key.secret), &tenurev1.AcceptInvitationRequest{AcceptToken: invited.AcceptToken}},
		"CreateServiceAccount":     {owner, &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "one more"}},
		"CreateKey":                {owner, &tenurev1.CreateKeyRequest{OrgId: a.org}},
		"CreateKey of the project": {owner, &tenurev1.CreateKeyRequest{ProjectId: a.project}},
		"ImportKey":                {admin, &tenurev1.ImportKeyRequest{ProjectId: a.project, PublicKey: "pk-lf-1", Scheme: "bcrypt", Hash: apiBcrypt("x")}},
	} {
		if e := apiRefused(t, row.caller, row.request, connect.CodeResourceExhausted, domain.QuotaExceeded); !strings.Contains(e.message, id) || !strings.Contains(e.message, "0") {
			t.Errorf("%s: %q does not name the plan and its bound", name, e.message)
		}
	}
	before.unchanged(t, s)
	preview := apiOK[*tenurev1.PreviewTransferResponse](t, admin, &tenurev1.PreviewTransferRequest{ProjectId: b.project, TargetOrgId: a.org})
	if len(preview.Obstacles) != 2 || preview.Obstacles[0] != string(domain.QuotaExceeded) || preview.Preview.NewPlanId != id {
		t.Errorf("preview %v", preview)
	}
	// What is there stays; a member's role can change, a key be rotated, an empty group made.
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{Secret: a.projectKey.secret}); !v.Valid || v.PlanId != id {
		t.Errorf("the project's key: %v", v)
	}
	apiOK[*tenurev1.RotateKeyResponse](t, owner, &tenurev1.RotateKeyRequest{KeyId: a.orgKey.id, Grace: durationpb.New(time.Hour)})
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.account, Role: "VIEWER"})
	apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "of members", UserIds: []string{a.account}})
	apiOK[*tenurev1.CreateKeyResponse](t, owner, &tenurev1.CreateKeyRequest{UserId: a.owner.id})
	// A wider plan lets in at once, and none bounds nothing.
	apiOK[*tenurev1.DefinePlanResponse](t, admin, &tenurev1.DefinePlanRequest{PlanId: id, Quotas: &tenurev1.Quotas{Members: zero(), Keys: zero()}})
	apiOK[*tenurev1.CreateProjectResponse](t, owner, &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "one more"})
	apiOK[*tenurev1.SetPlanResponse](t, admin, &tenurev1.SetPlanRequest{OrgId: a.org})
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(p.key.secret), &tenurev1.AcceptInvitationRequest{AcceptToken: invited.AcceptToken})
	apiRefused(t, admin, &tenurev1.SetPlanRequest{OrgId: a.org, PlanId: "no-such-plan"}, connect.CodeNotFound, domain.PlanNotFound)
	plans := apiOK[*tenurev1.ListPlansResponse](t, admin, &tenurev1.ListPlansRequest{}).Plans
	if want := (&tenurev1.Plan{Id: id, Quotas: &tenurev1.Quotas{Members: zero(), Keys: zero()}}); len(plans) != 1 || !proto.Equal(plans[0], want) {
		t.Errorf("plans %v, want %v", plans, want)
	}
}

// Keys that are revoked or expired, and those of deleted projects, leave room. Seen to fail when roomForKeys trusts its count.
func TestAPIPlanCountsLiveKeys(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	s.plan(t, a.org, &tenurev1.Quotas{Keys: proto.Uint32(3)})
	soon := s.key(t, owner, &tenurev1.CreateKeyRequest{ProjectId: a.project, ExpiresAt: timestamppb.New(s.Engine.Now().Add(2 * time.Second))})
	create := &tenurev1.CreateKeyRequest{OrgId: a.org}
	apiRefused(t, owner, create, connect.CodeResourceExhausted, domain.QuotaExceeded)
	s.ahead.Add(int64(2 * time.Second))
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{Secret: soon.secret}); v.Valid {
		t.Fatalf("the key did not expire: %v", v)
	}
	third := s.key(t, owner, create)
	apiRefused(t, owner, create, connect.CodeResourceExhausted, domain.QuotaExceeded)
	apiOK[*tenurev1.RevokeKeyResponse](t, owner, &tenurev1.RevokeKeyRequest{KeyId: third.id})
	s.key(t, owner, create)
	apiRefused(t, owner, create, connect.CodeResourceExhausted, domain.QuotaExceeded)
	apiOK[*tenurev1.DeleteProjectResponse](t, owner, &tenurev1.DeleteProjectRequest{ProjectId: a.project})
	s.key(t, owner, create)
	// With its keys the project does not fit any more.
	apiRefused(t, owner, &tenurev1.RestoreProjectRequest{ProjectId: a.project}, connect.CodeResourceExhausted, domain.QuotaExceeded)
}

// Fifty callers at once, on two servers, fill a quota of ten exactly. Seen to fail when roomForProject counts on a
// state that is 20 ms old.
func TestAPIPlanQuotaUnderConcurrency(t *testing.T) {
	t.Parallel()
	s, other, _ := apiPair(t)
	a := s.tenant(t)
	apiOK[*tenurev1.DeleteProjectResponse](t, s.admin(), &tenurev1.DeleteProjectRequest{ProjectId: a.project})
	s.plan(t, a.org, &tenurev1.Quotas{Projects: proto.Uint32(10)})
	// The other server knows the key before it is used there.
	apiOK[*tenurev1.GetInstanceResponse](t, other.admin().with("Tenure-Consistency", "linearizable"), &tenurev1.GetInstanceRequest{})
	var made, full atomic.Int64
	var callers sync.WaitGroup
	for i := range 50 {
		server := []*apiServer{s, other}[i%2]
		name := apiUnique("rushed")
		callers.Go(func() {
			_, _, err := server.bearer(a.orgKey.secret).call(t.Context(), &tenurev1.CreateProjectRequest{OrgId: a.org, Name: name})
			switch e := apiErrorOf(err); {
			case err == nil:
				made.Add(1)
			case e.code == connect.CodeResourceExhausted && e.reason == string(domain.QuotaExceeded):
				full.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	callers.Wait()
	list := apiOK[*tenurev1.ListProjectsResponse](t, s.bearer(a.orgKey.secret).with("Tenure-Consistency", "linearizable"), &tenurev1.ListProjectsRequest{OrgId: a.org})
	if made.Load() != 10 || full.Load() != 40 || len(list.Projects) != 10 {
		t.Errorf("%d made, %d refused, %d there; want 10, 40, 10", made.Load(), full.Load(), len(list.Projects))
	}
}
