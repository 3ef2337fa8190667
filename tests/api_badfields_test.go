package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Each limit of roles, groups, invitations, offers, policy, plans, data planes and imports is enforced, and the error names the
// field. Seen to fail when the gate does not validate, and when answerableUntil has no longest time.
func TestAPIBadFieldsOfNouns(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.furnished(t)
	past, far := timestamppb.New(time.Now().Add(-time.Hour)), timestamppb.New(time.Now().Add(91*24*time.Hour))
	long := strings.Repeat("x", 501)
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint("usr_", i))
		}
		return list
	}
	role := func(name string) proto.Message { return &tenurev1.DefineRoleRequest{OrgId: a.org, Role: name} }
	group := func(change func(*tenurev1.CreateGroupRequest)) proto.Message {
		req := &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "a group"}
		change(req)
		return req
	}
	invite := func(change func(*tenurev1.InviteRequest)) proto.Message {
		req := &tenurev1.InviteRequest{OrgId: a.org, Email: "x@example.com", Role: "VIEWER"}
		change(req)
		return req
	}
	creators := func(who tenurev1.OrgCreatorsPolicy_Who, emails ...string) proto.Message {
		return &tenurev1.UpdatePolicyRequest{OrgCreators: &tenurev1.OrgCreatorsPolicy{Who: who, Emails: emails}}
	}
	plane := func(change func(*tenurev1.RegisterDataPlaneRequest)) proto.Message {
		req := &tenurev1.RegisterDataPlaneRequest{DataPlaneId: "plane", BaseUrl: "https://plane.example.com"}
		change(req)
		return req
	}
	imported := func(change func(*tenurev1.ImportKeyRequest)) proto.Message {
		req := &tenurev1.ImportKeyRequest{ProjectId: a.project, PublicKey: "pk-lf-x", Scheme: "bcrypt", Hash: apiBcrypt("x")}
		change(req)
		return req
	}
	before := s.mark()
	apiBadRows(t, s, []apiBadRow{
		{"role that begins with a digit", role("1st"), "role", "pattern"},
		{"role with a space", role("prompt writer"), "role", "pattern"},
		{"role too long", role(strings.Repeat("x", 41)), "role", "pattern"},
		{"no role", role(""), "role", "pattern"},
		{"description too long", &tenurev1.DefineRoleRequest{OrgId: a.org, Role: "x", Description: long}, "description", "500"},
		{"permission twice", &tenurev1.DefineRoleRequest{OrgId: a.org, Role: "x", ProjectPermissions: []string{"prompts:CUD", "prompts:CUD"}}, "project_permissions", "unique"},
		{"empty permission", &tenurev1.UpdateRoleRequest{OrgId: a.org, Role: a.role, OrganizationPermissions: []string{""}}, "organization_permissions[0]", "1"},
		{"permission that there is not", &tenurev1.UpdateRoleRequest{OrgId: a.org, Role: a.role, OrganizationPermissions: []string{"no:such"}}, "organization_permissions", "ListPermissions"},
		{"role to delete", &tenurev1.DeleteRoleRequest{OrgId: a.org, Role: "a b"}, "role", "pattern"},

		{"group's name too short", group(func(r *tenurev1.CreateGroupRequest) { r.Name = "ab" }), "name", "3-60"},
		{"group's name with markup", &tenurev1.UpdateGroupRequest{GroupId: a.group, Name: proto.String("a <b>")}, "name", "markup"},
		{"group's id", group(func(r *tenurev1.CreateGroupRequest) { r.GroupId = "a.b" }), "group_id", "pattern"},
		{"group's role", group(func(r *tenurev1.CreateGroupRequest) { r.Role = "a b" }), "role", "pattern"},
		{"too many people", group(func(r *tenurev1.CreateGroupRequest) { r.UserIds = many(1001) }), "user_ids", "1000"},
		{"a person twice", &tenurev1.UpdateGroupRequest{GroupId: a.group, AddUserIds: []string{"usr_1", "usr_1"}}, "add_user_ids", "unique"},
		{"no person", &tenurev1.UpdateGroupRequest{GroupId: a.group, RemoveUserIds: []string{"a.b"}}, "remove_user_ids[0]", "pattern"},
		{"role without a project", group(func(r *tenurev1.CreateGroupRequest) { r.ProjectRoles = []*tenurev1.ProjectRole{{Role: "VIEWER"}} }), "project_roles[0].project_id", "pattern"},
		{"project without a role", group(func(r *tenurev1.CreateGroupRequest) { r.ProjectRoles = []*tenurev1.ProjectRole{{ProjectId: a.project}} }), "project_roles[0].role", "pattern"},
		{"project twice", group(func(r *tenurev1.CreateGroupRequest) {
			r.ProjectRoles = []*tenurev1.ProjectRole{{ProjectId: a.project, Role: "VIEWER"}, {ProjectId: a.project, Role: "NONE"}}
		}), "project_roles", "twice"},

		{"invitation of no address", invite(func(r *tenurev1.InviteRequest) { r.Email = "not one" }), "email", "email"},
		{"invitation to both places", invite(func(r *tenurev1.InviteRequest) { r.ProjectId = a.project }), "", "only one of org_id, project_id"},
		{"invitation to nothing", invite(func(r *tenurev1.InviteRequest) { r.OrgId = "" }), "", "one of org_id, project_id"},
		{"invitation without a role", invite(func(r *tenurev1.InviteRequest) { r.Role = "" }), "role", "NONE"},
		{"invitation with an unknown role", invite(func(r *tenurev1.InviteRequest) { r.Role = "BOSS" }), "role", "OWNER"},
		{"project's role without a project", invite(func(r *tenurev1.InviteRequest) { r.ProjectRole = "VIEWER" }), "project_role", "project_id"},
		{"project without a project's role", &tenurev1.InviteRequest{ProjectId: a.project, Email: "x@example.com"}, "project_role", "must be given"},
		{"unknown role in the project", &tenurev1.InviteRequest{ProjectId: a.project, Email: "x@example.com", ProjectRole: "BOSS"}, "project_role", "OWNER"},
		{"invitation of the past", invite(func(r *tenurev1.InviteRequest) { r.ExpiresAt = past }), "expires_at", "future"},
		{"invitation for too long", invite(func(r *tenurev1.InviteRequest) { r.ExpiresAt = far }), "expires_at", "90 days"},
		{"renewal for too long", &tenurev1.ResendInvitationRequest{InvitationId: a.invitation, ExpiresAt: far}, "expires_at", "90 days"},
		{"nothing to accept", &tenurev1.AcceptInvitationRequest{}, "", "one of accept_token, invitation_id"},
		{"two to accept", &tenurev1.AcceptInvitationRequest{AcceptToken: a.token, InvitationId: a.invitation}, "", "only one of"},
		{"token too long", &tenurev1.DeclineInvitationRequest{AcceptToken: strings.Repeat("x", 101)}, "accept_token", "100"},
		{"accepted for nobody", &tenurev1.AcceptInvitationRequest{InvitationId: a.invitation}, "user_id", "whose"},
		{"invitations of two", &tenurev1.ListInvitationsRequest{OrgId: a.org, UserId: a.owner.id}, "", "only one of"},

		{"offer of the past", &tenurev1.OfferTransferRequest{ProjectId: a.project, TargetOrgId: apiNowhere.org, ExpiresAt: past}, "expires_at", "future"},
		{"offer for too long", &tenurev1.OfferTransferRequest{ProjectId: a.project, TargetOrgId: apiNowhere.org, ExpiresAt: far}, "expires_at", "90 days"},
		{"offer to no id", &tenurev1.OfferTransferRequest{ProjectId: a.project, TargetOrgId: "a.b"}, "target_org_id", "pattern"},
		{"accepted under a short name", &tenurev1.AcceptTransferRequest{OfferId: a.offered, NewName: proto.String("ab")}, "new_name", "3-60"},

		{"account's name", &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "x"}, "name", "3-60"},
		{"account's id of a key", &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "account", UserId: "key_1"}, "user_id", "key_"},
		{"account's role", &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "account", Role: "BOSS"}, "role", "OWNER"},
		{"identity without a subject", &tenurev1.LinkIdentityRequest{UserId: a.owner.id, Issuer: "x"}, "subject", "1"},
		{"issuer too long", &tenurev1.UnlinkIdentityRequest{UserId: a.owner.id, Issuer: long, Subject: "x"}, "issuer", "200"},

		{"pattern that is none", &tenurev1.UpdatePolicyRequest{Naming: &tenurev1.NamingPolicy{OrgPattern: "("}}, "naming.org_pattern", "RE2"},
		{"pattern too long", &tenurev1.UpdatePolicyRequest{Naming: &tenurev1.NamingPolicy{ProjectPattern: long}}, "naming.project_pattern", "500"},
		{"form too long", &tenurev1.UpdatePolicyRequest{Naming: &tenurev1.NamingPolicy{OrgForm: long}}, "naming.org_form", "200"},
		{"creators that are no address", creators(tenurev1.OrgCreatorsPolicy_WHO_LISTED, "example.com"), "org_creators.emails[0]", "pattern"},
		{"creators twice", creators(tenurev1.OrgCreatorsPolicy_WHO_LISTED, "*@a.example", "*@a.example"), "org_creators.emails", "unique"},
		{"creators unsaid", creators(tenurev1.OrgCreatorsPolicy_WHO_UNSPECIFIED), "org_creators.who", "WHO_EVERYONE"},
		{"creators unknown", creators(99), "org_creators.who", "WHO_EVERYONE"},
		{"creators listed, and none is", creators(tenurev1.OrgCreatorsPolicy_WHO_LISTED), "org_creators.emails", "WHO_LISTED"},
		{"creators listed for everyone", creators(tenurev1.OrgCreatorsPolicy_WHO_EVERYONE, "x@example.com"), "org_creators.emails", "WHO_LISTED"},
		{"sign-up without a role", &tenurev1.UpdatePolicyRequest{SignUp: &tenurev1.SignUpPolicy{Grants: []*tenurev1.SignUpGrant{{OrgId: a.org}}}}, "sign_up.grants[0].role", "pattern"},

		{"plan's id", &tenurev1.DefinePlanRequest{PlanId: "a b"}, "plan_id", "pattern"},
		{"plan's name", &tenurev1.DefinePlanRequest{PlanId: "x", Name: strings.Repeat("x", 101)}, "name", "100"},
		{"plan to set", &tenurev1.SetPlanRequest{OrgId: a.org, PlanId: "a b"}, "plan_id", "pattern"},
		{"no address of a data plane", plane(func(r *tenurev1.RegisterDataPlaneRequest) { r.BaseUrl = "plane" }), "base_url", "URI"},
		{"region in capitals", plane(func(r *tenurev1.RegisterDataPlaneRequest) { r.Region = "EU" }), "region", "pattern"},
		{"unknown key scheme", plane(func(r *tenurev1.RegisterDataPlaneRequest) { r.KeyScheme = "md5" }), "key_scheme", "langfuse"},
		{"residency in capitals", &tenurev1.CreateOrgRequest{Name: "org", Residency: "EU"}, "residency", "pattern"},
		{"residency with a space", &tenurev1.UpdateOrgRequest{OrgId: a.org, Residency: "e u"}, "residency", "pattern"},
		{"data plane to place on", &tenurev1.PlaceOrgRequest{OrgId: a.org, DataPlaneId: "a b"}, "data_plane_id", "pattern"},

		{"imported public part", imported(func(r *tenurev1.ImportKeyRequest) { r.PublicKey = "a b" }), "public_key", "pattern"},
		{"imported scheme", imported(func(r *tenurev1.ImportKeyRequest) { r.Scheme = "hmac" }), "scheme", "langfuse"},
		{"imported without a hash", imported(func(r *tenurev1.ImportKeyRequest) { r.Hash = "" }), "hash", "1"},
		{"imported for nobody", imported(func(r *tenurev1.ImportKeyRequest) { r.ProjectId = "" }), "", "one of project_id"},
		{"imported for two", imported(func(r *tenurev1.ImportKeyRequest) { r.OrgId = a.org }), "", "only one of"},

		{"nothing to explain", &tenurev1.ExplainRequest{}, "check", "required"},
		{"explained permission", &tenurev1.ExplainRequest{Check: &tenurev1.CheckRequest{OrgId: a.org}}, "check.permission", "1"},
		{"explained permission of the other level", &tenurev1.ExplainRequest{Check: &tenurev1.CheckRequest{OrgId: a.org, Permission: "prompts:CUD"}}, "permission", "level"},
		{"subjects of no permission", &tenurev1.ListSubjectsRequest{OrgId: a.org, Permission: "no:such"}, "permission", "level"},
		{"accessible to a key", &tenurev1.ListAccessibleRequest{OrgId: a.org}, "user_id", "person"},
		{"page of accessible", &tenurev1.ListAccessibleRequest{UserId: a.owner.id, PageToken: "?"}, "page_token", "next_page_token"},
		{"page of subjects", &tenurev1.ListSubjectsRequest{OrgId: a.org, Permission: "members:CUD", PageToken: "dXNlcnM6eA"}, "page_token", "next_page_token"},
		{"page of another list", &tenurev1.ListRolesRequest{OrgId: a.org, PageToken: "dXNlcnM6eA"}, "page_token", "next_page_token"},
		{"page too large", &tenurev1.ListGroupMembersRequest{GroupId: a.group, PageSize: 1001}, "page_size", "1000"},
		{"reason too long", &tenurev1.LeaveOrgRequest{OrgId: a.org, Reason: long}, "reason", "500"},
	})
	before.unchanged(t, s)
}
