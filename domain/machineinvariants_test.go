package domain_test

import (
	"maps"
	"net/netip"
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

// sameKeys: what a key is never changes, and it is good as long as the model says.
func (m *machine) sameKeys(t rapid.TB) {
	for id, want := range m.model.keys {
		k, ok := m.state.Key(id)
		if !ok || k.ID != id || k.Public != want.public || k.Verifier != want.verifier ||
			k.Project != want.project || k.Org != want.org || k.User != want.user {
			t.Fatalf("key %s became %+v, was %+v", id, k, want)
		}
		if holder, ok := m.state.KeyByPublic(want.public); !ok || holder.ID != id {
			t.Fatalf("the public part of %s is that of %+v", id, holder)
		}
		if holder, ok := m.state.KeyByVerifier([]byte(want.verifier)); !ok || holder.ID != id {
			t.Fatalf("the hash of %s is that of %+v", id, holder)
		}
		if !k.ExpiresAt.Equal(want.expires) || k.RevokedAt.IsZero() == want.revoked || k.Successor != want.successor {
			t.Fatalf("key %s ends %s, revoked %s, successor %q, want %+v", id, k.ExpiresAt, k.RevokedAt, k.Successor, want)
		}
		if got := m.state.VerifyKey(k, "", netip.Addr{}, m.now); (got == domain.KeyValid) != m.model.good(want, m.now) {
			t.Fatalf("key %s is %s, want good %t", id, got, m.model.good(want, m.now))
		}
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

// keySets compares what keys hold: a part of the keys out of several.
func (m *machine) keySets(t rapid.TB, part, of int) {
	for i, id := range sorted(m.model.keys) {
		if i%of == part {
			k, _ := m.state.Key(id)
			m.sameSet(t, "key "+string(id), k.Permissions, m.model.live(m.model.keys[id]))
		}
	}
}

func (m *machine) sameGroups(t rapid.TB) {
	n := 0
	for _, o := range m.state.Orgs().All() {
		n += o.Groups.Len()
	}
	if n != len(m.model.groups) {
		t.Fatalf("the organizations have %d groups, want %d", n, len(m.model.groups))
	}
	for id, want := range m.model.groups {
		got, ok := m.state.Group(id)
		if !ok || got.Org != want.org || got.Name != want.name || got.Role != want.role || !slices.Equal(got.Members.Keys(), sorted(want.users)) ||
			!maps.Equal(maps.Collect(got.Projects.All()), want.projects) {
			t.Fatalf("group %s is %+v, want %+v", id, got, want)
		}
		if o, _ := m.state.Org(want.org); !o.Groups.Has(id) {
			t.Fatalf("group %s is not among those of %s", id, want.org)
		}
		for p := range want.projects {
			if m.model.projects[p].org != want.org {
				t.Fatalf("group %s of %s has a role in %s, which is in %s", id, want.org, p, m.model.projects[p].org)
			}
		}
	}
}

func (m *machine) sameInvitations(t rapid.TB) {
	n := 0
	for _, o := range m.state.Orgs().All() {
		n += o.Invitations.Len()
	}
	if n != len(m.model.invitations) {
		t.Fatalf("the organizations have %d invitations, want %d", n, len(m.model.invitations))
	}
	for id, want := range m.model.invitations {
		got, ok := m.state.Invitation(id)
		if !ok || got.Org != want.org || got.Project != want.project || got.Role != want.role || got.ProjectRole != want.projectRole ||
			got.Status != want.status || got.EmailDigest != want.email || got.User != want.user || !got.ExpiresAt.Equal(want.expires) {
			t.Fatalf("invitation %s is %+v, want %+v", id, got, want)
		}
		if !m.state.Invited(want.email).Has(id) {
			t.Fatalf("invitation %s is not found by its address", id)
		}
		byToken, ok := m.state.InvitationByToken([]byte(want.token))
		if ok != (want.status != domain.InvitationRevoked) || ok && byToken.ID != id {
			t.Fatalf("the token of invitation %s finds %+v", id, byToken)
		}
		if p := m.model.projects[want.project]; want.status == domain.InvitationPending && p != nil && p.org != want.org {
			t.Fatalf("invitation %s of %s names %s, which is in %s", id, want.org, want.project, p.org)
		}
	}
	for _, token := range m.tokens {
		if i, ok := m.state.InvitationByToken(token); ok && m.model.invitations[i.ID].token != string(token) {
			t.Fatalf("an old token still finds invitation %s", i.ID)
		}
	}
}

// sameOffers: an offer that waits is its project's only one, and the project is where it was offered.
func (m *machine) sameOffers(t rapid.TB) {
	for id, want := range m.model.offers {
		got, ok := m.state.Offer(id)
		if !ok || got.Project != want.project || got.Source != want.source || got.Target != want.target || got.Status != want.status ||
			!got.ExpiresAt.Equal(want.expires) {
			t.Fatalf("offer %s is %+v, want %+v", id, got, want)
		}
		for _, side := range []domain.OrgID{want.source, want.target} {
			if o, ok := m.state.Org(side); ok && !o.Offers.Has(id) {
				t.Fatalf("offer %s is not among those of %s", id, side)
			}
		}
		p, _ := m.state.Project(want.project)
		if got.At(m.now) == domain.OfferPending && (p.Offer != id || p.Org != want.source) {
			t.Fatalf("offer %s waits, and its project names %q and is in %s, not %s", id, p.Offer, p.Org, want.source)
		}
	}
	for id, want := range m.model.projects {
		p, _ := m.state.Project(id)
		if p.Offer != want.offer || p.Offer != "" && m.model.offers[p.Offer].status != domain.OfferPending {
			t.Fatalf("project %s names the offer %q, want %q", id, p.Offer, want.offer)
		}
	}
}

func (m *machine) sameInstance(t rapid.TB) {
	if got := m.state.Instance.Pepper(); got != m.model.pepper {
		t.Fatalf("the pepper is %q, want %q", got, m.model.pepper)
	}
	var own int
	for _, e := range m.state.Catalog().Entries() {
		if !e.Own {
			continue
		}
		if e.From == domain.None {
			t.Fatalf("NONE holds %s", e.Name)
		}
		if own++; m.model.own[levelled{e.Level, e.Name}] != e.From {
			t.Fatalf("the operator's %+v, want %+v", e, m.model.own)
		}
	}
	if own != len(m.model.own) {
		t.Fatalf("there are %d permissions of the operator's own, want %d", own, len(m.model.own))
	}
	p, want := m.state.Instance.Policy, m.model.policy
	if p.OrgNamePattern != want.naming.OrgPattern || p.ProjectNamePattern != want.naming.ProjectPattern || p.WarnOnly != want.naming.WarnOnly ||
		p.OrgCreators != want.creators.Who || !slices.Equal(p.SignUp, want.signUp) {
		t.Fatalf("the policy is %+v, want %+v", p, want)
	}
	for id, want := range m.model.plans {
		if got, ok := m.state.Plan(id); !ok || got.Quotas != want {
			t.Fatalf("plan %s is %+v, want %+v", id, got, want)
		}
	}
	for id, want := range m.model.planes {
		var orgs []domain.OrgID
		for o, org := range m.model.orgs {
			if org.plane == id && org.status != domain.Deleted {
				orgs = append(orgs, o)
			}
		}
		slices.Sort(orgs)
		if got, ok := m.state.DataPlane(id); !ok || got.Region != want.region || got.Dedicated != want.dedicated || !slices.Equal(got.Orgs.Keys(), orgs) {
			t.Fatalf("data plane %s is %+v, want %+v of %q", id, got, want, orgs)
		}
		if want.dedicated && len(orgs) > 1 {
			t.Fatalf("data plane %s is dedicated and serves %q", id, orgs)
		}
	}
}
