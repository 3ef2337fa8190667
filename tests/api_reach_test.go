package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// accessible is all that a person can reach, page by page.
func apiAccessible(t testing.TB, c apiCaller, req *tenurev1.ListAccessibleRequest) (list []string) {
	t.Helper()
	for range 50 {
		res := apiOK[*tenurev1.ListAccessibleResponse](t, c, req)
		for _, a := range res.Accessible {
			list = append(list, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s", a.OrgId, a.ProjectId, a.Role, a.By, a.GroupId)), " "))
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			return list
		}
	}
	t.Fatalf("the list has no end: %v", list)
	return nil
}

// ListAccessible shows each organization of a person and behind it its projects in which they hold something, with what gives it,
// and nothing else, whatever the size of a page. Seen to fail when a page begins at its place instead of behind it, and when
// projects in which nothing is held are left in.
func TestAPIReachOfAPerson(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b, c, other := s.tenant(t), s.tenant(t), s.tenant(t), s.tenant(t)
	p := s.person(t)
	grant := func(req *tenurev1.GrantRoleRequest) { apiOK[*tenurev1.GrantRoleResponse](t, s.admin(), req) }
	grant(&tenurev1.GrantRoleRequest{OrgId: a.org, UserId: p.id, Role: "MEMBER"})
	blocked, raised, deleted := s.project(t, a.org), s.project(t, a.org), s.project(t, a.org)
	grant(&tenurev1.GrantRoleRequest{ProjectId: blocked, UserId: p.id, Role: "NONE"})
	until := timestamppb.New(s.Engine.Now().Add(apiWait))
	grant(&tenurev1.GrantRoleRequest{ProjectId: raised, UserId: p.id, Role: "ADMIN", ExpiresAt: until})
	apiOK[*tenurev1.DeleteProjectResponse](t, s.admin(), &tenurev1.DeleteProjectRequest{ProjectId: deleted})
	group := apiOK[*tenurev1.CreateGroupResponse](t, s.admin(), &tenurev1.CreateGroupRequest{
		OrgId: b.org, Name: "reaches", UserIds: []string{p.id}, ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: b.project, Role: "VIEWER"}},
	}).Group.Id
	s.project(t, b.org)
	grant(&tenurev1.GrantRoleRequest{OrgId: c.org, UserId: p.id, Role: "ADMIN"})
	apiOK[*tenurev1.SuspendMemberResponse](t, s.admin(), &tenurev1.SuspendMemberRequest{OrgId: c.org, UserId: p.id})
	want := []string{
		a.org + " MEMBER ORG_ROLE", a.org + " " + a.project + " MEMBER ORG_ROLE", a.org + " " + raised + " ADMIN PROJECT_OVERRIDE",
		b.org + " NONE ORG_GROUP " + group, b.org + " " + b.project + " VIEWER PROJECT_GROUP " + group,
	}
	for _, size := range []int32{1, 2, 3, 1000} {
		for name, c := range map[string]apiCaller{"oneself": s.bearer(p.key.secret), "an admin": s.admin()} {
			req := &tenurev1.ListAccessibleRequest{PageSize: size}
			if name != "oneself" {
				req.UserId = p.id
			}
			if got := apiAccessible(t, c, req); !slices.Equal(got, want) {
				t.Errorf("%s, in pages of %d:\n%s\nwant\n%s", name, size, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		// The owner of one organization is told of that one.
		if got := apiAccessible(t, s.bearer(a.owner.key.secret), &tenurev1.ListAccessibleRequest{UserId: p.id, OrgId: a.org, PageSize: size}); !slices.Equal(got, want[:3]) {
			t.Errorf("in one organization: %v", got)
		}
	}
	list := apiOK[*tenurev1.ListAccessibleResponse](t, s.bearer(p.key.secret), &tenurev1.ListAccessibleRequest{OrgId: a.org}).Accessible
	if list[2].ExpiresAt.AsTime() != until.AsTime() || list[2].OrgName == "" || list[2].ProjectName == "" || list[0].ExpiresAt != nil {
		t.Errorf("accessible %v", list)
	}
	// People who are nobody here read alike.
	for _, id := range []string{other.owner.id, apiNowhere.user} {
		if got := apiAccessible(t, s.bearer(a.owner.key.secret), &tenurev1.ListAccessibleRequest{UserId: id, OrgId: a.org}); len(got) != 0 {
			t.Errorf("%s reaches %v", id, got)
		}
		apiRefused(t, s.bearer(a.owner.key.secret), &tenurev1.ListAccessibleRequest{UserId: id}, connect.CodeNotFound, domain.UserNotFound)
	}
	apiOK[*tenurev1.DeactivateUserResponse](t, s.admin(), &tenurev1.DeactivateUserRequest{UserId: p.id})
	if got := apiAccessible(t, s.admin(), &tenurev1.ListAccessibleRequest{UserId: p.id}); len(got) != 0 {
		t.Errorf("deactivated, the person reaches %v", got)
	}
}

// apiSubjects is everybody who holds a permission, page by page.
func apiSubjects(t testing.TB, c apiCaller, req *tenurev1.ListSubjectsRequest) (list []string) {
	t.Helper()
	for range 50 {
		res := apiOK[*tenurev1.ListSubjectsResponse](t, c, req)
		for _, s := range res.Subjects {
			list = append(list, strings.Join(strings.Fields(fmt.Sprintf("%s%s %s %s %s", s.UserId, s.KeyId, s.Role, s.By, s.GroupId)), " "))
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			return list
		}
	}
	t.Fatalf("the list has no end: %v", list)
	return nil
}

// ListSubjects shows exactly those of whom Check says yes: people, then keys, with what gives it; instance admins to instance
// admins alone. Seen to fail when suspended members are left in, and when admins are shown to everybody.
func TestAPIReachOfAPermission(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	member, viewer, admin := s.join(t, a.org, "MEMBER"), s.join(t, a.org, "VIEWER"), s.person(t)
	grouped, suspended, blocked := s.person(t), s.join(t, a.org, "ADMIN"), s.join(t, a.org, "ADMIN")
	group := apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{
		OrgId: a.org, Name: "writers", UserIds: []string{grouped.id}, ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: a.project, Role: "MEMBER"}},
	}).Group.Id
	apiOK[*tenurev1.SuspendMemberResponse](t, owner, &tenurev1.SuspendMemberRequest{OrgId: a.org, UserId: suspended.id})
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: blocked.id, Role: "NONE"})
	s.key(t, owner, &tenurev1.CreateKeyRequest{ProjectId: a.project, Permissions: []string{"scores:CUD"}})
	revoked := s.key(t, owner, &tenurev1.CreateKeyRequest{ProjectId: a.project})
	apiOK[*tenurev1.RevokeKeyResponse](t, owner, &tenurev1.RevokeKeyRequest{KeyId: revoked.id})
	for _, p := range []apiPerson{admin, viewer} {
		apiOK[*tenurev1.GrantInstanceAdminResponse](t, s.admin(), &tenurev1.GrantInstanceAdminRequest{UserId: p.id})
	}
	instance := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true})
	want := []string{
		a.owner.id + " OWNER ORG_ROLE", member.id + " MEMBER ORG_ROLE", grouped.id + " MEMBER PROJECT_GROUP " + group,
		a.orgKey.id + " KEY_PERMISSION", a.projectKey.id + " KEY_PERMISSION",
	}
	all := []string{
		a.owner.id + " OWNER ORG_ROLE", member.id + " MEMBER ORG_ROLE", viewer.id + " VIEWER INSTANCE_ADMIN", admin.id + " INSTANCE_ADMIN",
		grouped.id + " MEMBER PROJECT_GROUP " + group, a.orgKey.id + " KEY_PERMISSION", a.projectKey.id + " KEY_PERMISSION", instance.id + " INSTANCE_ADMIN",
	}
	slices.Sort(want[:3])
	slices.Sort(all[:5])
	for _, size := range []int32{1, 2, 1000} {
		req := func() *tenurev1.ListSubjectsRequest {
			return &tenurev1.ListSubjectsRequest{ProjectId: a.project, Permission: "prompts:CUD", PageSize: size}
		}
		if got := apiSubjects(t, owner, req()); !slices.Equal(got, want) {
			t.Errorf("in pages of %d, the owner sees\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := apiSubjects(t, s.admin(), req()); !slices.Equal(got, all) {
			t.Errorf("in pages of %d, an admin sees\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(all, "\n"))
		}
	}
	subjects := apiOK[*tenurev1.ListSubjectsResponse](t, owner, &tenurev1.ListSubjectsRequest{OrgId: a.org, Permission: "members:CUD"}).Subjects
	if len(subjects) != 3 || subjects[0].Email != a.owner.email || subjects[2].KeyId != a.orgKey.id || subjects[2].UserId != "" {
		t.Errorf("who manages members: %v", subjects)
	}
	apiOK[*tenurev1.SuspendOrgResponse](t, s.admin(), &tenurev1.SuspendOrgRequest{OrgId: a.org})
	got := apiSubjects(t, s.admin(), &tenurev1.ListSubjectsRequest{ProjectId: a.project, Permission: "prompts:CUD"})
	for _, subject := range got {
		if !strings.HasSuffix(subject, " INSTANCE_ADMIN") {
			t.Errorf("in a suspended organization %s holds something", subject)
		}
	}
	if len(got) != 3 {
		t.Errorf("in a suspended organization: %v", got)
	}
}
