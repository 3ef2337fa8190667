package tests

import (
	"slices"
	"testing"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Lists of every kind are complete page by page, in the order of ids, while others are added. Seen to fail when the next
// page begins behind the first entry that this one had no room for.
func TestAPIListsOfEveryKindAreComplete(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	admin := s.admin()
	const size, count = 7, 40
	for name, list := range map[string]struct {
		add  func() string
		page func(token string) (ids []string, next string)
	}{
		"ListOrgs": {
			func() string { return s.org(t, a.owner.id) },
			func(token string) (ids []string, next string) {
				res := apiOK[*tenurev1.ListOrgsResponse](t, s.bearer(a.owner.key.secret), &tenurev1.ListOrgsRequest{PageSize: size, PageToken: token})
				for _, o := range res.Orgs {
					ids = append(ids, o.Id)
				}
				return ids, res.NextPageToken
			},
		},
		"ListMembers": {
			func() string {
				email := apiUnique("member") + "@example.com"
				id := apiOK[*tenurev1.RegisterUserResponse](t, admin, &tenurev1.RegisterUserRequest{Email: email}).User.Id
				apiOK[*tenurev1.GrantRoleResponse](t, admin, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: id, Role: "VIEWER"})
				return id
			},
			func(token string) (ids []string, next string) {
				res := apiOK[*tenurev1.ListMembersResponse](t, s.bearer(a.orgKey.secret), &tenurev1.ListMembersRequest{ProjectId: a.project, PageSize: size, PageToken: token})
				for _, m := range res.Members {
					ids = append(ids, m.UserId)
				}
				return ids, res.NextPageToken
			},
		},
		"ListKeys": {
			func() string { return s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project}).id },
			func(token string) (ids []string, next string) {
				res := apiOK[*tenurev1.ListKeysResponse](t, s.bearer(a.projectKey.secret), &tenurev1.ListKeysRequest{ProjectId: a.project, PageSize: size, PageToken: token})
				for _, k := range res.Keys {
					ids = append(ids, k.Id)
				}
				return ids, res.NextPageToken
			},
		},
		"ListUsers": {
			func() string {
				return apiOK[*tenurev1.RegisterUserResponse](t, admin, &tenurev1.RegisterUserRequest{Email: apiUnique("user") + "@example.com"}).User.Id
			},
			func(token string) (ids []string, next string) {
				res := apiOK[*tenurev1.ListUsersResponse](t, admin, &tenurev1.ListUsersRequest{PageSize: size, PageToken: token})
				for _, u := range res.Users {
					ids = append(ids, u.Id)
				}
				return ids, res.NextPageToken
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for range count {
				want = append(want, list.add())
			}
			var got []string
			for token, pages := "", 0; ; pages++ {
				ids, next := list.page(token)
				if got = append(got, ids...); next == "" {
					break
				}
				if len(ids) != size || pages > 3*count {
					t.Fatalf("page %d has %d entries, want %d", pages, len(ids), size)
				}
				token = next
				list.add()
			}
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
