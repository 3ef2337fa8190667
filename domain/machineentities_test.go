package domain_test

import (
	"maps"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

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
	if got := m.state.Instance.LogFormat(); got != m.model.format {
		t.Fatalf("the format is %d, want %d", got, m.model.format)
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
