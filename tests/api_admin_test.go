package tests

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A person who is an instance admin does what the holder of the admin key may, as far as the key goes that they call with, and
// nothing of it is left when it ends. Seen to fail when Authorize does not ask an instance admin for a full key, and when IsAdmin
// does not look at the account's state.
func TestAPIAdminPerson(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.tenant(t), s.tenant(t)
	p := s.person(t)
	full := s.bearer(p.key.secret)
	narrow := s.bearer(s.key(t, full, &tenurev1.CreateKeyRequest{UserId: p.id, Preset: "read-only"}).secret)
	grant := &tenurev1.GrantInstanceAdminRequest{UserId: p.id, Reason: "on call"}
	nothing := func() {
		t.Helper()
		for _, c := range []apiCaller{full, narrow} {
			who := apiOK[*tenurev1.WhoAmIResponse](t, c, &tenurev1.WhoAmIRequest{})
			orgs := apiOK[*tenurev1.ListOrgsResponse](t, c, &tenurev1.ListOrgsRequest{}).Orgs
			instance := apiOK[*tenurev1.GetInstanceResponse](t, c, &tenurev1.GetInstanceRequest{})
			if who.InstanceAdmin || who.Kind != "user" || len(who.Permissions) != 0 || len(orgs) != 0 || instance.Counts != nil || instance.Warnings != nil {
				t.Errorf("who is no admin is told %v, %v, %v", who, orgs, instance)
			}
			apiRefused(t, c, &tenurev1.GetOrgRequest{OrgId: a.org}, connect.CodeNotFound, domain.OrgNotFound)
			apiRefused(t, c, &tenurev1.UpdateOrgRequest{OrgId: a.org, Name: proto.String("taken over")}, connect.CodeNotFound, domain.OrgNotFound)
			apiRefused(t, c, &tenurev1.SuspendOrgRequest{OrgId: a.org}, connect.CodeNotFound, domain.OrgNotFound)
			apiRefused(t, c, &tenurev1.ListUsersRequest{}, connect.CodePermissionDenied, domain.PermissionDenied)
			apiRefused(t, c, &tenurev1.GetPolicyRequest{}, connect.CodePermissionDenied, domain.PermissionDenied)
			apiRefused(t, c, &tenurev1.ReadLogRequest{}, connect.CodePermissionDenied, domain.PermissionDenied)
			apiRefused(t, c, grant, connect.CodePermissionDenied, domain.PermissionDenied)
		}
		u := apiOK[*tenurev1.GetUserResponse](t, s.admin(), &tenurev1.GetUserRequest{UserId: p.id}).User
		list := apiOK[*tenurev1.ListInstanceAdminsResponse](t, s.admin(), &tenurev1.ListInstanceAdminsRequest{}).UserIds
		if u.InstanceAdmin || len(list) != 0 {
			t.Errorf("%v is among the admins %v", u, list)
		}
	}
	nothing()
	apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), grant)
	before := s.mark()
	apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), grant)
	before.unchanged(t, s)
	for name, c := range map[string]apiCaller{"full": full, "narrow": narrow} {
		who := apiOK[*tenurev1.WhoAmIResponse](t, c, &tenurev1.WhoAmIRequest{})
		orgs := apiOK[*tenurev1.ListOrgsResponse](t, c, &tenurev1.ListOrgsRequest{}).Orgs
		instance := apiOK[*tenurev1.GetInstanceResponse](t, c, &tenurev1.GetInstanceRequest{})
		if !who.InstanceAdmin || who.Kind != "user" || who.UserId != p.id || len(orgs) != 2 || instance.Counts.GetOrgs() != 2 {
			t.Errorf("%s key: %v, %v, %v", name, who, orgs, instance)
		}
		if want := map[string]int{"full": 64, "narrow": 18}[name]; len(who.Permissions) != want {
			t.Errorf("%s key: %d permissions, want %d", name, len(who.Permissions), want)
		}
		apiOK[*tenurev1.GetProjectResponse](t, c, &tenurev1.GetProjectRequest{ProjectId: b.project})
	}
	apiIs(t, full, &tenurev1.CheckRequest{OrgId: a.org, Permission: "organization:delete"}, "true INSTANCE_ADMIN")
	apiIs(t, narrow, &tenurev1.CheckRequest{OrgId: a.org, Permission: "organization:delete"}, "false KEY_LACKS_PERMISSION")
	apiIs(t, narrow, &tenurev1.CheckRequest{ProjectId: a.project, Permission: "project:read"}, "true INSTANCE_ADMIN")
	if list := apiOK[*tenurev1.ListInstanceAdminsResponse](t, full, &tenurev1.ListInstanceAdminsRequest{}).UserIds; !slices.Equal(list, []string{p.id}) {
		t.Errorf("admins %v", list)
	}
	if u := apiOK[*tenurev1.GetUserResponse](t, full, &tenurev1.GetUserRequest{UserId: p.id}).User; !u.InstanceAdmin {
		t.Errorf("GetUser: %v", u)
	}

	// What takes an instance admin takes a full key, and nothing narrow becomes full.
	other := s.person(t)
	before = s.mark()
	for _, request := range []proto.Message{
		&tenurev1.SuspendOrgRequest{OrgId: a.org}, &tenurev1.GrantInstanceAdminRequest{UserId: other.id}, &tenurev1.RegisterUserRequest{Email: "x@example.com"},
		&tenurev1.ListUsersRequest{}, &tenurev1.UpdatePolicyRequest{}, &tenurev1.DefinePlanRequest{PlanId: "x"}, &tenurev1.ReadLogRequest{},
		&tenurev1.CreateOrgRequest{Name: "made with little"}, &tenurev1.EraseUserRequest{UserId: other.id},
	} {
		apiRefused(t, narrow, request, connect.CodePermissionDenied, domain.KeyCeiling)
	}
	for _, request := range []proto.Message{
		&tenurev1.UpdateOrgRequest{OrgId: a.org, Name: proto.String("taken over")}, &tenurev1.CreateKeyRequest{OrgId: a.org},
		&tenurev1.GrantRoleRequest{OrgId: a.org, UserId: p.id, Role: "OWNER"}, &tenurev1.DeleteProjectRequest{ProjectId: a.project},
	} {
		apiRefused(t, narrow, request, connect.CodePermissionDenied, domain.PermissionDenied)
	}
	before.unchanged(t, s)

	// What the person does as an admin is told as that, and from where stays with the admins.
	renamed := full.from("203.0.113.66")
	apiOK[*tenurev1.UpdateOrgResponse](t, renamed, &tenurev1.UpdateOrgRequest{OrgId: a.org, Name: proto.String("renamed by an admin")})
	apiOK[*tenurev1.CreateOrgResponse](t, full, &tenurev1.CreateOrgRequest{Name: "unclaimed", OrgId: "chosen-by-a-person"})
	r := apiOK[*tenurev1.QueryAuditResponse](t, s.bearer(a.owner.key.secret), &tenurev1.QueryAuditRequest{OrgId: a.org}).Records[0]
	if r.Actor.Kind != "user" || r.Actor.Id != p.id || r.Actor.Role != "INSTANCE_ADMIN" || r.Ip != "" || r.UserAgent != "" {
		t.Errorf("the tenant reads %v", r)
	}
	r = apiOK[*tenurev1.QueryAuditResponse](t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org}).Records[0]
	if r.Ip != "203.0.113.66" {
		t.Errorf("an admin reads %v", r)
	}

	apiOK[*tenurev1.RevokeInstanceAdminResponse](t, s.admin(), &tenurev1.RevokeInstanceAdminRequest{UserId: p.id})
	nothing()
	before = s.mark()
	apiOK[*tenurev1.RevokeInstanceAdminResponse](t, s.admin(), &tenurev1.RevokeInstanceAdminRequest{UserId: p.id})
	before.unchanged(t, s)
	apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), grant)
	apiOK[*tenurev1.DeactivateUserResponse](t, s.admin(), &tenurev1.DeactivateUserRequest{UserId: p.id})
	apiRefused(t, full, &tenurev1.ListUsersRequest{}, connect.CodeUnauthenticated, domain.UserDeactivated)
	apiIs(t, s.admin(), &tenurev1.CheckRequest{UserId: p.id, OrgId: a.org, Permission: "organization:delete"}, "false USER_DEACTIVATED")
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: p.id})
	if list := apiOK[*tenurev1.ListInstanceAdminsResponse](t, s.admin(), &tenurev1.ListInstanceAdminsRequest{}).UserIds; len(list) != 0 {
		t.Errorf("the erased person is among the admins %v", list)
	}
}

// Who can't be made an instance admin, each with its reason.
func TestAPIAdminRefusals(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	inactive, erased := s.person(t), s.person(t)
	apiOK[*tenurev1.DeactivateUserResponse](t, s.admin(), &tenurev1.DeactivateUserRequest{UserId: inactive.id})
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: erased.id})
	for user, row := range map[string]struct {
		code   connect.Code
		reason domain.Reason
	}{
		apiNowhere.user: {connect.CodeNotFound, domain.UserNotFound},
		inactive.id:     {connect.CodeFailedPrecondition, domain.UserDeactivated},
		erased.id:       {connect.CodeFailedPrecondition, domain.UserErased},
	} {
		apiRefused(t, s.admin(), &tenurev1.GrantInstanceAdminRequest{UserId: user}, row.code, row.reason)
	}
}
