package tests

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiList is one list: who asks for it, and the fields of an entry that name it ("" for a list of ids).
type apiList struct {
	caller  apiCaller
	request proto.Message
	names   string
}

// read pages through the list and answers the names of all entries, calling between before each page but the first. Every page
// but the last must be full.
func (l apiList) read(t testing.TB, size int32, between func()) (names []string) {
	t.Helper()
	request := proto.Clone(l.request).ProtoReflect()
	fields := request.Descriptor().Fields()
	request.Set(fields.ByName("page_size"), protoreflect.ValueOfInt32(size))
	for {
		res := apiOK[proto.Message](t, l.caller, request.Interface()).ProtoReflect()
		var entries protoreflect.List
		for i := range res.Descriptor().Fields().Len() {
			if f := res.Descriptor().Fields().Get(i); f.IsList() {
				entries = res.Get(f).List()
			}
		}
		for i := range entries.Len() {
			names = append(names, l.name(entries.Get(i)))
		}
		next := res.Get(res.Descriptor().Fields().ByName("next_page_token")).String()
		if next == "" {
			return names
		}
		if entries.Len() != int(size) {
			t.Fatalf("%s: a page of %d entries that is not the last, want %d", request.Descriptor().Name(), entries.Len(), size)
		}
		request.Set(fields.ByName("page_token"), protoreflect.ValueOfString(next))
		between()
	}
}

func (l apiList) name(entry protoreflect.Value) (name string) {
	if l.names == "" {
		return entry.String()
	}
	m := entry.Message()
	for field := range strings.FieldsSeq(l.names) {
		name += m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(field))).String()
	}
	return name
}

// Lists of every kind are complete page by page, in the order of ids, while others are added. Seen to fail when the next
// page begins behind the first entry that this one had no room for.
func TestAPIListsOfEveryKindAreComplete(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.furnished(t)
	admin, owner, key := s.admin(), s.bearer(a.owner.key.secret), s.bearer(a.orgKey.secret)
	invited := s.person(t)
	const size, count = 7, 40
	account := func(role string) string {
		req := &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: apiUnique("account"), Role: role}
		return apiOK[*tenurev1.CreateServiceAccountResponse](t, admin, req).User.Id
	}
	invite := func(req *tenurev1.InviteRequest) string {
		if req.Email == "" {
			req.Email = apiUnique("invited") + "@example.com"
		}
		return apiOK[*tenurev1.InviteResponse](t, admin, req).Invitation.Id
	}
	named := func() string { return apiUnique("named") }
	for name, row := range map[string]struct {
		apiList
		add func() string
	}{
		"ListOrgs":     {apiList{owner, &tenurev1.ListOrgsRequest{}, "id"}, func() string { return s.org(t, a.owner.id) }},
		"ListProjects": {apiList{owner, &tenurev1.ListProjectsRequest{OrgId: a.org}, "id"}, func() string { return s.project(t, a.org) }},
		"ListMembers":  {apiList{key, &tenurev1.ListMembersRequest{ProjectId: a.project}, "user_id"}, func() string { return account("VIEWER") }},
		"ListKeys": {apiList{key, &tenurev1.ListKeysRequest{ProjectId: a.project}, "id"}, func() string {
			return s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project}).id
		}},
		"ListUsers": {apiList{admin, &tenurev1.ListUsersRequest{}, "id"}, func() string {
			return apiOK[*tenurev1.RegisterUserResponse](t, admin, &tenurev1.RegisterUserRequest{Email: apiUnique("user") + "@example.com"}).User.Id
		}},
		"ListRoles": {apiList{key, &tenurev1.ListRolesRequest{OrgId: a.org}, "name"}, func() string {
			return apiOK[*tenurev1.DefineRoleResponse](t, admin, &tenurev1.DefineRoleRequest{OrgId: a.org, Role: named()}).Role.Name
		}},
		"ListGroups": {apiList{key, &tenurev1.ListGroupsRequest{OrgId: a.org}, "id"}, func() string {
			return apiOK[*tenurev1.CreateGroupResponse](t, admin, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: named()}).Group.Id
		}},
		"ListGroups of a member": {apiList{key, &tenurev1.ListGroupsRequest{OrgId: a.org, UserId: a.account}, "id"}, func() string {
			apiOK[*tenurev1.CreateGroupResponse](t, admin, &tenurev1.CreateGroupRequest{OrgId: a.org, Name: named()})
			req := &tenurev1.CreateGroupRequest{OrgId: a.org, Name: named(), UserIds: []string{a.account}}
			return apiOK[*tenurev1.CreateGroupResponse](t, admin, req).Group.Id
		}},
		"ListGroupMembers": {apiList{key, &tenurev1.ListGroupMembersRequest{GroupId: a.group}, "user_id"}, func() string {
			id := account("NONE")
			apiOK[*tenurev1.UpdateGroupResponse](t, admin, &tenurev1.UpdateGroupRequest{GroupId: a.group, AddUserIds: []string{id}})
			return id
		}},
		"ListInvitations": {apiList{key, &tenurev1.ListInvitationsRequest{OrgId: a.org}, "id"}, func() string {
			return invite(&tenurev1.InviteRequest{OrgId: a.org, Role: "VIEWER"})
		}},
		"ListInvitations to a project": {apiList{key, &tenurev1.ListInvitationsRequest{ProjectId: a.project}, "id"}, func() string {
			invite(&tenurev1.InviteRequest{OrgId: a.org, Role: "VIEWER"})
			return invite(&tenurev1.InviteRequest{ProjectId: a.project, ProjectRole: "VIEWER"})
		}},
		"ListInvitations of a person": {apiList{s.bearer(invited.key.secret), &tenurev1.ListInvitationsRequest{UserId: invited.id}, "id"}, func() string {
			return invite(&tenurev1.InviteRequest{OrgId: s.org(t, ""), Email: invited.email, Role: "VIEWER"})
		}},
		"ListTransferOffers": {apiList{key, &tenurev1.ListTransferOffersRequest{OrgId: a.org}, "id"}, func() string {
			return s.offer(t, s.project(t, a.org), apiNowhere.org)
		}},
		"ListInstanceAdmins": {apiList{admin, &tenurev1.ListInstanceAdminsRequest{}, ""}, func() string {
			id := s.person(t).id
			apiOK[*tenurev1.GrantInstanceAdminResponse](t, admin, &tenurev1.GrantInstanceAdminRequest{UserId: id})
			return id
		}},
		"ListPlans": {apiList{admin, &tenurev1.ListPlansRequest{}, "id"}, func() string {
			return apiOK[*tenurev1.DefinePlanResponse](t, admin, &tenurev1.DefinePlanRequest{PlanId: named()}).Plan.Id
		}},
		"ListDataPlanes": {apiList{admin, &tenurev1.ListDataPlanesRequest{}, "id"}, func() string {
			req := &tenurev1.RegisterDataPlaneRequest{DataPlaneId: named(), BaseUrl: "https://plane.example.com"}
			return apiOK[*tenurev1.RegisterDataPlaneResponse](t, admin, req).DataPlane.Id
		}},
		"ListAccessible": {apiList{owner, &tenurev1.ListAccessibleRequest{}, "org_id project_id"}, func() string {
			return a.org + s.project(t, a.org)
		}},
		"ListSubjects": {apiList{key, &tenurev1.ListSubjectsRequest{ProjectId: a.project, Permission: "project:read"}, "user_id"}, func() string {
			return account("VIEWER")
		}},
		"ListSubjects, keys": {apiList{key, &tenurev1.ListSubjectsRequest{OrgId: a.org, Permission: "organization:delete"}, "key_id"}, func() string {
			return s.key(t, admin, &tenurev1.CreateKeyRequest{OrgId: a.org}).id
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for range count {
				want = append(want, row.add())
			}
			got := row.read(t, size, func() { row.add() })
			if name == "ListRoles" {
				// The built-in ones come first.
				got = got[5:]
			}
			// Of subjects, those of the other kind have no such id.
			got = slices.DeleteFunc(got, func(id string) bool { return id == "" })
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("not by id, or something twice: %v", got)
			}
			for _, id := range want {
				if !slices.Contains(got, id) {
					t.Errorf("%s is missing in %v", id, got)
				}
			}
		})
	}
}
