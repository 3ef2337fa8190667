package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

type line struct {
	by   domain.Actor
	when domain.Command
}

// TestMachineStories: what random commands come to once in thousands of runs, looked at as the machine looks at everything. u2 is
// an ADMIN of o0 who holds less than an OWNER of p0. Each was a hole, or fails without a guard: moments (GrantRole, RevokeRole,
// groupEvent), under in GrantRole, overridesEnd, suspended in owns, the account's state in IsAdmin, byName, the successor's
// permissions in keyRotated, NONE in ExtendCatalog, the last of two roles in signUp.
func TestMachineStories(t *testing.T) {
	t.Parallel()
	untilTomorrow := func(r domain.Role) line {
		return line{instance, domain.GrantRole{Org: "o0", User: "u3", Role: r, ExpiresAt: in(24 * hour)}}
	}
	owner := line{instance, domain.GrantRole{Project: "p0", User: "u3", Role: domain.Owner}}
	ownerGroup := line{instance, domain.UpdateGroup{ID: "g0", Role: domain.Owner}}
	add, remove := domain.UpdateGroup{ID: "g0", Add: []domain.UserID{"u3"}}, domain.UpdateGroup{ID: "g0", Remove: []domain.UserID{"u3"}}
	admin := user("u2")
	invite := func(role domain.Role) line {
		return line{admin, domain.Invite{ID: "i0", Org: "o0", Role: role, Email: sealed("i0", "e"), EmailDigest: []byte("digest of u3"), TokenHash: []byte("t")}}
	}
	accept := line{user("u3"), domain.AcceptInvitation{TokenHash: []byte("t")}}
	atBoth := domain.CatalogEntry{Level: domain.OrgLevel, Name: "own:both", From: domain.RoleMember}
	inProject := domain.CatalogEntry{Level: domain.ProjectLevel, Name: "own:both", From: domain.RoleMember}
	for _, c := range []struct {
		name  string
		lines []line
	}{
		{"a group keeps an override alive", []line{untilTomorrow(domain.RoleMember), {instance, remove}, owner, {admin, add}}},
		{"a group leaves an override to die", []line{untilTomorrow(domain.RoleMember), owner, {admin, remove}}},
		{"a group ends, and with it an override", []line{untilTomorrow(domain.RoleMember), owner, {admin, domain.DeleteGroup{ID: "g0"}}}},
		{"a group's role in a project goes, and what comes later shows", []line{
			untilTomorrow(domain.Viewer), ownerGroup,
			{instance, domain.CreateGroup{ID: "g1", Org: "o0", GroupName: "b", ProjectRoles: []domain.ProjectRole{{Project: "p0", Role: domain.Viewer}}, Users: []domain.UserID{"u3"}}},
			{admin, domain.UpdateGroup{ID: "g1", DropProjects: []domain.ProjectID{"p0"}}},
		}},
		{"a block goes, and what comes later shows", []line{
			ownerGroup, untilTomorrow(domain.Viewer), {instance, domain.GrantRole{Project: "p0", User: "u3", Role: domain.None}},
			{admin, domain.RevokeRole{Project: "p0", User: "u3"}},
		}},
		{"a block covers what comes later", []line{ownerGroup, untilTomorrow(domain.Viewer), {admin, domain.GrantRole{Project: "p0", User: "u3", Role: domain.None}}}},
		{"a role for good covers what comes later", []line{ownerGroup, untilTomorrow(domain.Viewer), {admin, domain.GrantRole{Org: "o0", User: "u3", Role: domain.Viewer}}}},
		{"a role for good in a project covers what is under one that ends", []line{
			{instance, domain.GrantRole{Org: "o0", User: "u3", Role: domain.Owner}},
			{instance, domain.GrantRole{Project: "p0", User: "u3", Role: domain.Viewer, ExpiresAt: in(24 * hour)}},
			{admin, domain.GrantRole{Project: "p0", User: "u3", Role: domain.Admin}},
		}},
		{"who is suspended owns nothing", []line{
			{instance, domain.GrantRole{Org: "o0", User: "u1", Role: domain.Owner}}, {user("u0"), domain.SuspendMember{Org: "o0", User: "u1"}},
			{user("u0"), domain.LeaveOrg{Org: "o0"}},
		}},
		{"an instance admin is deactivated", []line{{instance, domain.GrantInstanceAdmin{User: "u3"}}, {instance, domain.DeactivateUser{ID: "u3"}}}},
		{"data leaves its residency", []line{
			{instance, domain.UpdateOrg{ID: "o0", Residency: new("eu")}}, {instance, domain.PlaceOrg{Org: "o1", DataPlane: "d1"}},
			{admin, domain.TransferProject{ID: "p0", Target: "o1"}},
		}},
		{"an invitation keeps an override alive", []line{untilTomorrow(domain.RoleMember), {instance, remove}, owner, invite(domain.Admin), accept}},
		{"an invitation covers what comes later", []line{ownerGroup, untilTomorrow(domain.Viewer), invite(domain.Admin), accept}},
		{"NONE holds nothing", []line{
			{system, domain.ExtendCatalog{Own: []domain.CatalogEntry{{Level: domain.OrgLevel, Name: "own:org", From: domain.None}}}}, invite(domain.None), accept,
		}},
		{"who signs up owns for no time", []line{
			{instance, domain.UpdatePolicy{SignUp: &[]domain.SignUpGrant{{Org: "o2", Role: domain.Owner}, {Org: "o2", Role: domain.Viewer}}}}, {instance, register("u9")},
		}},
		{"a name comes to stand for more", []line{
			{system, domain.ExtendCatalog{Own: []domain.CatalogEntry{atBoth}}}, {instance, domain.CreateKey{Minted: minted("k5"), Org: "o0", Permissions: words("own:both")}},
			{system, domain.ExtendCatalog{Own: []domain.CatalogEntry{atBoth, inProject}}}, {instance, domain.RotateKey{ID: "k5", Successor: minted("k6")}},
		}},
		{"a name of both levels, of which somebody holds one", []line{
			{instance, domain.DefineRole{Org: "o0", Role: "RZ", OrgPermissions: words("auditLogs:read organization:CRUD_apiKeys")}},
			{instance, domain.GrantRole{Org: "o0", User: "u3", Role: "RZ"}}, {user("u3"), domain.CreateKey{Minted: minted("k5"), Org: "o0"}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := opened(t)
			for _, l := range c.lines {
				m.do(t, l.by, l.when)
				m.invariants(t)
			}
			m.everywhere(t)
			m.replay(t, len(m.log)/2)
		})
	}
}
