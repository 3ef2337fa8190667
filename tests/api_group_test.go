package tests

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A group makes members and gives them its roles, and takes both away, at once and on every server; a direct grant comes first,
// and of several groups the strongest. Seen to fail when byGroups looks at the first group alone, and when a group's role comes
// before an override.
func TestAPIGroupGivesAndTakes(t *testing.T) {
	t.Parallel()
	s, other, _ := apiPair(t)
	a := s.tenant(t)
	owner, p := s.bearer(a.owner.key.secret), s.person(t)
	inOrg := &tenurev1.CheckRequest{UserId: p.id, OrgId: a.org, Permission: "organizationMembers:read"}
	inProject := &tenurev1.CheckRequest{UserId: p.id, ProjectId: a.project, Permission: "apiKeys:CUD"}
	step := func(token, org, project string) {
		t.Helper()
		for _, c := range []apiCaller{owner, other.bearer(a.owner.key.secret).with("Tenure-Token", token)} {
			apiIs(t, c, inOrg, org)
			apiIs(t, c, inProject, project)
		}
	}
	made := apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{
		OrgId: a.org, Name: "Reviewers", Role: "MEMBER", UserIds: []string{p.id},
		ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: a.project, Role: "ADMIN"}},
	})
	want := &tenurev1.Group{
		Id: made.Group.Id, OrgId: a.org, Name: "Reviewers", Role: "MEMBER", Members: 1, CreatedAt: made.Group.CreatedAt, UpdatedAt: made.Group.CreatedAt,
		ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: a.project, Role: "ADMIN"}},
	}
	if !proto.Equal(made.Group, want) {
		t.Errorf("made %v, want %v", made.Group, want)
	}
	id := made.Group.Id
	step(made.Token, "true ORG_GROUP MEMBER", "true PROJECT_GROUP ADMIN")
	apiOK[*tenurev1.GetProjectResponse](t, s.bearer(p.key.secret), &tenurev1.GetProjectRequest{ProjectId: a.project})
	members := apiOK[*tenurev1.ListMembersResponse](t, owner, &tenurev1.ListMembersRequest{ProjectId: a.project}).Members
	if i := slices.IndexFunc(members, func(m *tenurev1.Member) bool { return m.UserId == p.id }); i < 0 ||
		members[i].Role != "ADMIN" || members[i].ByGroupId != id || members[i].OrgRole != "" || !slices.Equal(members[i].GroupIds, []string{id}) {
		t.Errorf("members %v", members)
	}
	apiRefused(t, owner, &tenurev1.RevokeRoleRequest{OrgId: a.org, UserId: p.id}, connect.CodeFailedPrecondition, domain.MemberByGroup)

	// A direct grant beats the group's, and the group's is there again when it ends.
	blocked := apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: p.id, Role: "NONE"})
	step(blocked.Token, "true ORG_GROUP MEMBER", "false BLOCKED_IN_PROJECT NONE")
	back := apiOK[*tenurev1.RevokeRoleResponse](t, owner, &tenurev1.RevokeRoleRequest{ProjectId: a.project, UserId: p.id})
	step(back.Token, "true ORG_GROUP MEMBER", "true PROJECT_GROUP ADMIN")
	direct := apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: p.id, Role: "NONE"})
	step(direct.Token, "false ROLE_LACKS_PERMISSION NONE", "true PROJECT_GROUP ADMIN")
	left := apiOK[*tenurev1.RevokeRoleResponse](t, owner, &tenurev1.RevokeRoleRequest{OrgId: a.org, UserId: p.id})
	step(left.Token, "true ORG_GROUP MEMBER", "true PROJECT_GROUP ADMIN")

	// Two groups add up.
	second := apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "watchers", Role: "VIEWER", UserIds: []string{p.id}})
	changed := apiOK[*tenurev1.UpdateGroupResponse](t, owner, &tenurev1.UpdateGroupRequest{GroupId: id, Role: "NONE", DropProjectIds: []string{a.project}})
	step(changed.Token, "false ROLE_LACKS_PERMISSION VIEWER", "false ROLE_LACKS_PERMISSION VIEWER")
	groups := apiOK[*tenurev1.ListGroupsResponse](t, owner, &tenurev1.ListGroupsRequest{OrgId: a.org, UserId: p.id}).Groups
	if len(groups) != 2 || groups[0].Id != id || groups[1].Id != second.Group.Id || len(groups[0].ProjectRoles) != 0 {
		t.Errorf("groups of the person: %v", groups)
	}
	apiOK[*tenurev1.UpdateGroupResponse](t, owner, &tenurev1.UpdateGroupRequest{GroupId: second.Group.Id, RemoveUserIds: []string{p.id}})
	ended := apiOK[*tenurev1.DeleteGroupResponse](t, owner, &tenurev1.DeleteGroupRequest{GroupId: id})
	step(ended.Token, "false NOT_A_MEMBER", "false NOT_A_MEMBER")
	apiRefused(t, s.bearer(p.key.secret), &tenurev1.GetOrgRequest{OrgId: a.org}, connect.CodeNotFound, domain.OrgNotFound)
	apiRefused(t, owner, &tenurev1.ListGroupMembersRequest{GroupId: id}, connect.CodeNotFound, domain.GroupNotFound)
}

// What stands in the way of a group, each with its reason; people, projects and groups of others read like none. Seen to fail when
// groupEvent looks at no ceiling.
func TestAPIGroupRefusals(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.furnished(t), s.furnished(t)
	owner := s.bearer(a.owner.key.secret)
	admin := s.bearer(s.join(t, a.org, "ADMIN").key.secret)
	owners := apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "Owners", Role: "OWNER"}).Group.Id
	m := s.join(t, a.org, "VIEWER")
	create := func(change func(*tenurev1.CreateGroupRequest)) proto.Message {
		req := &tenurev1.CreateGroupRequest{OrgId: a.org, Name: "another group"}
		change(req)
		return req
	}
	inProject := func(project, role string) proto.Message {
		return create(func(r *tenurev1.CreateGroupRequest) {
			r.ProjectRoles = []*tenurev1.ProjectRole{{ProjectId: project, Role: role}}
		})
	}
	with := func(user string) proto.Message {
		return create(func(r *tenurev1.CreateGroupRequest) { r.UserIds = []string{user} })
	}
	before := s.mark()
	for _, row := range []struct {
		name    string
		caller  apiCaller
		request proto.Message
		code    connect.Code
		reason  domain.Reason
		field   string
	}{
		{"name in another spelling", owner, create(func(r *tenurev1.CreateGroupRequest) { r.Name = "oWNERS" }), connect.CodeAlreadyExists, domain.NameTaken, ""},
		{"chosen id", owner, create(func(r *tenurev1.CreateGroupRequest) { r.GroupId = "mine" }), connect.CodePermissionDenied, domain.ChosenID, ""},
		{"chosen id that is taken", s.admin(), create(func(r *tenurev1.CreateGroupRequest) { r.GroupId = b.group }), connect.CodeAlreadyExists, domain.IDTaken, ""},
		{"unknown role", owner, create(func(r *tenurev1.CreateGroupRequest) { r.Role = "BOSS" }), connect.CodeInvalidArgument, domain.UnknownRole, "role"},
		{"unknown role in a project", owner, inProject(a.project, "BOSS"), connect.CodeInvalidArgument, domain.UnknownRole, "project_roles"},
		{"stronger than the caller", admin, create(func(r *tenurev1.CreateGroupRequest) { r.Role = "OWNER" }), connect.CodePermissionDenied, domain.GrantCeiling, ""},
		{"stronger in a project", admin, inProject(a.project, "OWNER"), connect.CodePermissionDenied, domain.GrantCeiling, ""},
		{"into a stronger group", admin, &tenurev1.UpdateGroupRequest{GroupId: owners, AddUserIds: []string{m.id}}, connect.CodePermissionDenied, domain.GrantCeiling, ""},
		{"end of a stronger group", admin, &tenurev1.DeleteGroupRequest{GroupId: owners}, connect.CodePermissionDenied, domain.GrantCeiling, ""},
		{"role of a stronger group", admin, &tenurev1.UpdateGroupRequest{GroupId: owners, Role: "VIEWER"}, connect.CodePermissionDenied, domain.GrantCeiling, ""},
		{"project of another organization", owner, inProject(b.project, "VIEWER"), connect.CodeNotFound, domain.ProjectNotFound, ""},
		{"no project", owner, inProject(apiNowhere.project, "VIEWER"), connect.CodeNotFound, domain.ProjectNotFound, ""},
		{"service account of another organization", owner, with(b.account), connect.CodeNotFound, domain.UserNotFound, ""},
		{"nobody", owner, with(apiNowhere.user), connect.CodeNotFound, domain.UserNotFound, ""},
		{"group of another organization", owner, &tenurev1.DeleteGroupRequest{GroupId: b.group}, connect.CodeNotFound, domain.GroupNotFound, ""},
	} {
		e := apiRefused(t, row.caller, row.request, row.code, row.reason)
		if e.field != row.field {
			t.Errorf("%s: field %q, want %q", row.name, e.field, row.field)
		}
	}
	before.unchanged(t, s)
	// Nothing to change is no error.
	apiOK[*tenurev1.UpdateGroupResponse](t, admin, &tenurev1.UpdateGroupRequest{GroupId: owners, Name: proto.String("Owners")})
	before.unchanged(t, s)
}
