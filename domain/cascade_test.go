package domain_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// Overrides go with the last hold on an organization, whichever command ends it, and stay with any other. Fails if setMember keeps
// a member without a hold, or its overrides: tried.
func TestOverridesGoWithTheLastHold(t *testing.T) {
	t.Parallel()
	byGroup := []domain.Command{team(domain.Viewer, domain.Viewer, "sam"), override("sam", domain.Admin, never)}
	byBoth := with(byGroup, domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer})
	for name, c := range map[string]struct {
		given  []domain.Command
		member bool
	}{
		"the role revoked, a group left":   {with(byBoth, domain.RevokeRole{Org: "acme", User: "sam"}), true},
		"out of the group, a role left":    {with(byBoth, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}), true},
		"one of two groups deleted":        {with(byGroup, group("other", domain.None, "sam"), domain.DeleteGroup{ID: "team"}), true},
		"out of the only group":            {with(byGroup, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}), false},
		"the only group deleted":           {with(byGroup, domain.DeleteGroup{ID: "team"}), false},
		"the role revoked, then the group": {with(byBoth, domain.RevokeRole{Org: "acme", User: "sam"}, domain.DeleteGroup{ID: "team"}), false},
		"suspended, and then out":          {with(byGroup, memberSuspended("acme", "sam"), domain.DeleteGroup{ID: "team"}), false},
	} {
		s := given(t, c.given...)
		web := at(t, s, "project web")
		u, _ := s.User("sam")
		if web.Org.Members.Has("sam") != c.member || web.Project.Overrides.Has("sam") != c.member || u.Orgs.Has("acme") != c.member {
			t.Errorf("%s: member %t, override %t, named by the user %t, want %t", name, web.Org.Members.Has("sam"), web.Project.Overrides.Has("sam"), u.Orgs.Has("acme"), c.member)
		}
	}
	// Who comes back begins anew, not suspended.
	s := given(t, with(byGroup, memberSuspended("acme", "sam"), domain.DeleteGroup{ID: "team"}, domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer})...)
	if m, _ := at(t, s, "acme").Org.Members.Get("sam"); m.Suspended || len(m.Groups) > 0 {
		t.Errorf("back again as %+v", m)
	}
}

// TestEraseTakesEverything: groups, identities, instance admin, and the keys of invitations that hold an address of the person.
// Fails without one of the steps of userErased or of invitationSubjects: tried.
func TestEraseTakesEverything(t *testing.T) {
	t.Parallel()
	s := given(t, slices.Concat(admins, []domain.Command{
		team(domain.Viewer, domain.Admin, "sam", "mia"), override("sam", domain.Viewer, never), link("sam", "s"), link("sam", "s2"),
		invite("inv1", "sam", "acme", "", domain.Viewer, ""), invite("inv2", "sam", "globex", "", domain.Viewer, ""), domain.DeclineInvitation{ID: "inv1", User: "sam"},
		domain.UpdateUser{ID: "sam", Email: sealed("sam", "new"), EmailDigest: []byte("digest of new")},
		invite("inv3", "new", "acme", "", domain.Viewer, ""), domain.AcceptInvitation{ID: "inv3", User: "sam"}, invite("inv4", "new", "globex", "", domain.Viewer, ""),
		invite("other", "mia", "globex", "", domain.Viewer, ""),
		domain.CreateKey{Minted: minted("k_sam"), User: "sam"},
	})...)
	events, err := domain.Decide(s, domain.EraseUser{ID: "sam"}, rules()["EraseUser"], instance, began)
	if err != nil || len(events) != 1 {
		t.Fatalf("got %v, %v", events, err)
	}
	s, err = domain.Evolve(s, commit(s, instance, began, events), s.Position+1, domain.Hash{1})
	if err != nil {
		t.Fatal(err)
	}
	subjects := s.ErasedBy(events[0])
	slices.Sort(subjects)
	if want := words("inv1 inv2 inv3 inv4 sam"); !slices.Equal(slices.Compact(subjects), want) {
		t.Errorf("keys to destroy: %q, want %q", subjects, want)
	}
	for _, id := range words("inv1 inv2 inv3 inv4 sam") {
		if !s.Erased().Has(id) {
			t.Errorf("the key of %s may be made again", id)
		}
	}
	if s.Erased().Has("other") || s.ErasedBy(eventsOf(t, `org_ids:"acme" org_suspended{}`)[0]) != nil {
		t.Error("keys of others are destroyed")
	}
	u, _ := s.User("sam")
	g, _ := s.Group("team")
	web := at(t, s, "project web")
	_, byIdentity := s.UserByIdentity([]byte("digest of s2"))
	if u.Identities.Len() > 0 || byIdentity || g.Members.Has("sam") || !g.Members.Has("mia") || s.Admins().Has("sam") || web.Org.Members.Has("sam") || web.Project.Overrides.Has("sam") {
		t.Errorf("left of the user: %+v; in the group %q, instance admin %t", u, g.Members.Keys(), s.Admins().Has("sam"))
	}
}

// Deactivation keeps what erasure ends, and it counts again after.
func TestDeactivatedAdmin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given []domain.Command
		want  bool
	}{
		"deactivated":             {[]domain.Command{domain.DeactivateUser{ID: "sam"}}, false},
		"reactivated":             {[]domain.Command{domain.DeactivateUser{ID: "sam"}, domain.ReactivateUser{ID: "sam"}}, true},
		"revoked and reactivated": {[]domain.Command{domain.DeactivateUser{ID: "sam"}, domain.RevokeInstanceAdmin{User: "sam"}, domain.ReactivateUser{ID: "sam"}}, false},
	} {
		if s := given(t, append(admins[:5:5], c.given...)...); s.IsAdmin(user("sam")) != c.want {
			t.Errorf("%s: instance admin is %t", name, !c.want)
		}
	}
}

// TestKeysHeld recounts what organizations and projects count along: the keys that are not revoked, wherever their project is.
// Fails if a rotation, an import, a revocation or a transfer forgets to count: tried, for each.
func TestKeysHeld(t *testing.T) {
	t.Parallel()
	history := append(accounts[:2:2],
		domain.CreateKey{Minted: minted("k1"), Project: "web", ExpiresAt: in(hour)}, domain.RotateKey{ID: "k_web", Successor: minted("k2"), Grace: hour},
		domain.RotateKey{ID: "k_acme", Successor: minted("k3"), Grace: hour}, domain.ImportKey{Minted: minted("k4"), Project: "web"},
		domain.ImportKey{Minted: minted("k5"), Org: "globex", ExpiresAt: began}, domain.CreateKey{Minted: minted("k6"), User: "bot"}, domain.CreateKey{Minted: minted("k7"), User: "mia"},
		domain.RevokeKey{ID: "k1"}, domain.RevokeKey{ID: "k1"}, domain.TransferProject{ID: "web", Target: "globex"}, domain.RevokeKey{ID: "k2"},
		domain.RevokeKey{ID: "k3"}, domain.RevokeKey{ID: "k6"}, domain.DeleteProject{ID: "app"}, domain.RevokeKey{ID: "k_app"}, domain.EraseUser{ID: "mia"},
		domain.TransferProject{ID: "web", Target: "empty"}, domain.DeleteOrg{ID: "empty", Cascade: true}, domain.RevokeKey{ID: "k4"}, domain.EraseUser{ID: "bot"},
	)
	for n := range len(history) + 1 {
		s := given(t, history[:n]...)
		want, got := map[string]int{}, map[string]int{}
		for _, k := range s.Keys().All() {
			if !k.RevokedAt.IsZero() || k.User != "" {
				continue
			}
			org := k.Org
			if k.Project != "" {
				org = at(t, s, "project "+string(k.Project)).Org.ID
				want["project "+string(k.Project)]++
			}
			want[string(org)]++
		}
		for id, o := range s.Orgs().All() {
			got[string(id)] = o.KeysHeld
		}
		for id, p := range s.Projects().All() {
			got["project "+string(id)] = p.KeysHeld
		}
		delete(want, "") // keys of the instance
		for where, held := range got {
			if held != want[where] {
				last := "nothing"
				if n > 0 {
					last = fmt.Sprintf("%+v", history[n-1])
				}
				t.Errorf("after %s: %s counts %d keys, holds %d", last, where, held, want[where])
			}
		}
	}
}

// What somebody is invited to is found by address and organization, whatever became of it.
func TestInvited(t *testing.T) {
	t.Parallel()
	s := given(t, invite("inv1", "sam", "acme", "", domain.Viewer, ""), invite("inv2", "sam", "", "web", "", domain.Viewer), domain.RevokeInvitation{ID: "inv1"},
		domain.UpdateUser{ID: "sam", Email: sealed("sam", "new"), EmailDigest: []byte("digest of new")})
	u, _ := s.User("sam")
	acme, web := at(t, s, "acme").Org, at(t, s, "project web").Project
	if got := s.Invited("digest of sam").Keys(); !slices.Equal(got, []domain.InvitationID{"inv1", "inv2"}) || s.Invited("digest of new").Len() > 0 {
		t.Errorf("by address %q", got)
	}
	if acme.Invitations.Len() != 2 || !slices.Equal(web.Invitations.Keys(), []domain.InvitationID{"inv2"}) || u.Invitations.Len() != 2 {
		t.Errorf("of the organization %q, of the project %q, of the person %q", acme.Invitations.Keys(), web.Invitations.Keys(), u.Invitations.Keys())
	}
}
