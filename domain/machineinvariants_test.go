package domain_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// invariants hold after every step. What takes long is asked in part: all of it at the end, see everywhere.
func (m *machine) invariants(t rapid.TB) {
	m.sameOrgs(t)
	m.sameProjects(t)
	m.sameUsers(t)
	m.sameKeys(t)
	m.sameGroups(t)
	m.sameInvitations(t)
	m.sameOffers(t)
	m.sameInstance(t)
	m.rolesKnown(t)
	m.keySets(t, m.steps%4, 4)
	m.checks(t, m.steps%5, 5)
}

func (m *machine) sameOrgs(t rapid.TB) {
	for id, want := range m.model.orgs {
		got, ok := m.state.Org(id)
		if !ok || got.Name != want.name || got.Status != want.status || got.Claimed != want.owned || got.Plan != want.plan ||
			got.Residency != want.residency || got.DataPlane != want.plane {
			t.Fatalf("organization %s is %+v, want %+v", id, got, want)
		}
		m.sameMembers(t, id, got, want)
		if want.owned && want.status != domain.Deleted && !m.owned(want) {
			t.Fatalf("organization %s was owned once and has no active owner for good", id)
		}
		if names := m.model.namesIn(id); !slices.Equal(got.Names.Keys(), names) || len(slices.Compact(names)) != got.Names.Len() {
			t.Fatalf("organization %s has the project names %q, want %q, each once", id, got.Names.Keys(), names)
		}
		if names := m.model.groupNamesIn(id); !slices.Equal(got.GroupNames.Keys(), names) || len(slices.Compact(names)) != got.GroupNames.Len() {
			t.Fatalf("organization %s has the group names %q, want %q, each once", id, got.GroupNames.Keys(), names)
		}
		if got.Roles.Len() != len(want.roles) {
			t.Fatalf("organization %s has the roles %q, want %+v", id, got.Roles.Keys(), want.roles)
		}
		for name := range want.roles {
			r, _ := got.Role(domain.Role(strings.ToLower(string(name))))
			if r == nil || r.Name != name {
				t.Fatalf("role %s of organization %s is %+v", name, id, r)
			}
			m.sameSet(t, "role "+string(name), r.Permissions, m.model.givenBy(id, name))
		}
		if n := m.keysHeld(func(k *modelKey) bool { return k.org == id || k.project != "" && m.model.projects[k.project].org == id }); got.KeysHeld != n {
			t.Fatalf("organization %s counts %d keys that are not revoked, want %d", id, got.KeysHeld, n)
		}
		if want.status != domain.Deleted && !inside(want.residency, m.model.planes[want.plane].region) && want.plane != "" {
			t.Fatalf("organization %s must stay in %s and is on %s", id, want.residency, want.plane)
		}
	}
}

func (m *machine) sameMembers(t rapid.TB, id domain.OrgID, got *domain.Org, want *modelOrg) {
	for u := range m.model.users {
		member, ok := got.Members.Get(u)
		account, _ := m.state.User(u)
		if want := m.model.isMember(u, id); ok != want || account.Orgs.Has(id) != want {
			t.Fatalf("%s is a member of %s: %t, want %t", u, id, ok, want)
		}
		if home := m.model.users[u].home; ok && home != "" && home != id {
			t.Fatalf("%s, a service account of %s, is a member of %s", u, home, id)
		}
		if g := want.members[u]; member.Role != g.Role || !member.ExpiresAt.Equal(g.ExpiresAt) || member.Suspended != want.suspended[u] {
			t.Fatalf("%s is %+v in %s, want %+v, suspended %t", u, member, id, g, want.suspended[u])
		}
		var groups []domain.GroupID
		for g, group := range m.model.groups {
			if group.org == id && group.users[u] {
				groups = append(groups, g)
			}
		}
		if slices.Sort(groups); !slices.Equal(member.Groups, groups) {
			t.Fatalf("%s is in the groups %q of %s, want %q", u, member.Groups, id, groups)
		}
	}
}

func (m *machine) owned(o *modelOrg) bool {
	for u, g := range o.members {
		if g == (domain.Grant{Role: domain.Owner}) && m.model.users[u].status == domain.UserActive && m.model.users[u].home == "" && !o.suspended[u] {
			return true
		}
	}
	return false
}

func (m *machine) keysHeld(in func(*modelKey) bool) (n int) {
	for _, k := range m.model.keys {
		if !k.revoked && in(k) {
			n++
		}
	}
	return n
}

func (m *machine) sameSet(t rapid.TB, what string, got domain.PermissionSet, want permissions) {
	for _, level := range []domain.Level{domain.OrgLevel, domain.ProjectLevel} {
		var names []string
		for l := range want {
			if l.level == level {
				names = append(names, l.name)
			}
		}
		if slices.Sort(names); !slices.Equal(m.state.Catalog().NamesAt(level, got), names) {
			t.Fatalf("%s holds %q at %s level, want %q", what, m.state.Catalog().NamesAt(level, got), level, names)
		}
	}
}

func (m *machine) sameProjects(t rapid.TB) {
	for id, want := range m.model.projects {
		got, ok := m.state.Project(id)
		if !ok || got.Org != want.org || got.Name != want.name || (got.Status == domain.Deleted) != want.deleted || !sameGrants(got.Overrides, want.overrides) {
			t.Fatalf("project %s is %+v, want %+v", id, got, want)
		}
		for org, o := range m.state.Orgs().All() {
			if o.Projects.Has(id) != (org == want.org) {
				t.Fatalf("project %s is in %s, among others", id, org)
			}
		}
		if n := m.keysHeld(func(k *modelKey) bool { return k.project == id }); got.KeysHeld != n {
			t.Fatalf("project %s counts %d keys that are not revoked, want %d", id, got.KeysHeld, n)
		}
		var pending []domain.InvitationID
		for i, invitation := range m.model.invitations {
			if invitation.project == id && invitation.status == domain.InvitationPending {
				pending = append(pending, i)
			}
		}
		if slices.Sort(pending); !slices.Equal(got.Invitations.Keys(), pending) {
			t.Fatalf("project %s has the invitations %q, want %q", id, got.Invitations.Keys(), pending)
		}
	}
}

func sameGrants(got domain.Table[domain.UserID, domain.Grant], want map[domain.UserID]domain.Grant) bool {
	for u, g := range want {
		if have, ok := got.Get(u); !ok || have.Role != g.Role || !have.ExpiresAt.Equal(g.ExpiresAt) {
			return false
		}
	}
	return got.Len() == len(want)
}

func (m *machine) sameUsers(t rapid.TB) {
	for id, want := range m.model.users {
		got, ok := m.state.User(id)
		if !ok || got.Status != want.status || got.EmailDigest != want.email || got.Home != want.home {
			t.Fatalf("user %s is %+v, want %+v", id, got, want)
		}
		if holder, ok := m.state.UserByEmail([]byte(want.email)); want.email != "" && (!ok || holder.ID != id) {
			t.Fatalf("the e-mail of %s belongs to %+v", id, holder)
		}
		if m.state.Admins().Has(id) != m.model.admins[id] {
			t.Fatalf("%s is an instance admin: %t", id, !m.model.admins[id])
		}
		n := 0
		for digest, of := range m.model.identities {
			if holder, ok := m.state.UserByIdentity([]byte(digest)); !ok || holder.ID != of || got.Identities.Has(digest) != (of == id) {
				t.Fatalf("the identity %q of %s belongs to %+v", digest, of, holder)
			}
			if of == id {
				n++
			}
		}
		if got.Identities.Len() != n {
			t.Fatalf("%s has %d identities, want %d", id, got.Identities.Len(), n)
		}
	}
	if n, want := m.state.Users().Len(), len(m.model.users); n != want || m.state.Orgs().Len() != len(m.model.orgs) ||
		m.state.Projects().Len() != len(m.model.projects) || m.state.Keys().Len() != len(m.model.keys) {
		t.Fatalf("the state has %d users, want %d, or more or fewer of something else", n, want)
	}
}

// rolesKnown: every role that somebody has or is invited to is one of the organization.
func (m *machine) rolesKnown(t rapid.TB) {
	known := func(who any, o domain.OrgID, roles ...domain.Role) {
		for _, r := range roles {
			if spelled, ok := m.model.spelled(o, r); r != "" && (!ok || spelled != r) {
				t.Fatalf("%v has the role %q, which %s does not know", who, r, o)
			}
		}
	}
	for id, o := range m.model.orgs {
		for u, g := range o.members {
			known(u, id, g.Role)
		}
	}
	for _, p := range m.model.projects {
		for u, g := range p.overrides {
			known(u, p.org, g.Role)
		}
	}
	for id, g := range m.model.groups {
		known(id, g.org, g.role)
		known(id, g.org, slices.Collect(maps.Values(g.projects))...)
	}
	for id, i := range m.model.invitations {
		if i.status == domain.InvitationPending {
			known(id, i.org, i.role, i.projectRole)
		}
	}
}
