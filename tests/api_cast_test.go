package tests

import (
	"testing"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiCast are the callers of the matrix, by their letters, and what they act on.
type apiCast struct {
	s           *apiServer
	people      map[byte]apiPerson
	callers     map[byte]apiCaller
	org, target string
	project     string
	second      string
}

var apiRoles = map[byte]string{'O': "OWNER", 'A': "ADMIN", 'M': "MEMBER", 'V': "VIEWER", 'N': "NONE", 'P': "NONE", 'X': "ADMIN"}

func apiNewCast(t *testing.T, s *apiServer) *apiCast {
	c := &apiCast{s: s, people: map[byte]apiPerson{}, callers: map[byte]apiCaller{'I': s.admin()}, second: s.person(t).id}
	for letter := range apiRoles {
		c.people[letter] = s.person(t)
		c.callers[letter] = s.bearer(c.people[letter].key.secret)
	}
	c.callers['R'] = s.bearer(s.key(t, s.admin(), &tenurev1.CreateKeyRequest{UserId: c.people['O'].id, Preset: "read-only"}).secret)
	c.callers['S'] = s.bearer(s.tenant(t).owner.key.secret)
	c.target = c.newOrg(t)
	return c
}

func (c *apiCast) grant(t *testing.T, req *tenurev1.GrantRoleRequest) {
	t.Helper()
	apiOK[*tenurev1.GrantRoleResponse](t, c.s.admin(), req)
}

func (c *apiCast) newOrg(t *testing.T) string {
	// A second owner, so that the first can leave.
	org := c.s.org(t, c.second)
	for letter, role := range apiRoles {
		c.grant(t, &tenurev1.GrantRoleRequest{OrgId: org, UserId: c.people[letter].id, Role: role})
	}
	return org
}

// fresh puts new things in front of the callers: a project with its overrides and key, a member VIEWER, a weak key and
// furniture, and if asked, all of it in a new organization.
func (c *apiCast) fresh(t *testing.T, org bool) apiNames {
	admin := c.s.admin()
	if org {
		c.org = c.newOrg(t)
		c.callers['G'] = c.s.bearer(c.s.key(t, admin, &tenurev1.CreateKeyRequest{OrgId: c.org}).secret)
	}
	c.project = c.s.project(t, c.org)
	c.grant(t, &tenurev1.GrantRoleRequest{ProjectId: c.project, UserId: c.people['P'].id, Role: "ADMIN"})
	c.grant(t, &tenurev1.GrantRoleRequest{ProjectId: c.project, UserId: c.people['X'].id, Role: "NONE"})
	c.callers['K'] = c.s.bearer(c.s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: c.project}).secret)
	email := apiUnique("member") + "@example.com"
	user := apiOK[*tenurev1.RegisterUserResponse](t, admin, &tenurev1.RegisterUserRequest{Email: email}).User.Id
	c.grant(t, &tenurev1.GrantRoleRequest{OrgId: c.org, UserId: user, Role: "VIEWER"})
	c.grant(t, &tenurev1.GrantRoleRequest{ProjectId: c.project, UserId: user, Role: "VIEWER"})
	key := c.s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: c.project, Permissions: []string{"scores:CUD"}})
	return apiNames{
		org: c.org, target: c.target, project: c.project, user: user, key: key.id, public: key.public, secret: key.secret,
		apiFurniture: c.s.furniture(t, c.org, c.project, c.target, email),
	}
}
