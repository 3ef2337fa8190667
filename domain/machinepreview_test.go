package domain_test

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// foretold is what a preview says about a transfer, right before it is given by the same actor.
type foretold struct {
	by      domain.Actor
	move    domain.TransferProject
	preview domain.TransferPreview
	err     error // of the preview
	whole   bool  // the actor is told both halves
}

// preview asks what a command would do; nil if it is no transfer, or the actor may not give it.
func (m *machine) preview(by domain.Actor, c domain.Command) *foretold {
	if domain.Allow(m.state, c, ruleOf(c), by, m.now) != nil {
		return nil
	}
	switch c := c.(type) {
	case domain.TransferProject:
		return &foretold{by: by, move: c, preview: m.state.PreviewTransfer(c, by, m.now), whole: true}
	case domain.AcceptTransfer:
		o, _ := m.state.Offer(c.ID)
		f := &foretold{by: by, move: domain.TransferProject{ID: o.Project, Target: o.Target, NewName: c.NewName, KeepOverrides: c.KeepOverrides}}
		f.preview, f.err = m.state.PreviewOffer(o, c, by, m.now)
		source := m.model.holds(by, levelled{domain.OrgLevel, "projects:transfer_org"}, o.Source, "", m.now)
		target := m.model.holds(by, levelled{domain.OrgLevel, "projects:transfer_org"}, o.Target, "", m.now)
		f.whole = source && target
		return f
	}
	return nil
}

// foretells: who is told of obstacles is refused for the first of them, who is told of all and of none is not refused.
func (f *foretold) foretells(t rapid.TB, err error) {
	if f == nil {
		return
	}
	want := f.err
	if want == nil && len(f.preview.Obstacles) > 0 {
		want = f.preview.Obstacles[0].Error
	}
	switch got := refusal(err); {
	case want == nil && err == nil, want == nil && !f.whole:
	case want == nil || err == nil:
		t.Fatalf("%+v was foretold: %v; and then: %v", f.move, want, err)
	case f.whole && *got != *refusal(want):
		t.Fatalf("%+v was foretold: %v; and then: %v", f.move, want, err)
	}
}

// cameTrue holds what was foretold against what happened.
func (f *foretold) cameTrue(t rapid.TB, m *machine, old *model) {
	if f == nil {
		return
	}
	p, was, is := f.preview, old.projects[f.move.ID], m.model.projects[f.move.ID]
	live := 0
	for id, k := range m.model.keys {
		if k.project != f.move.ID {
			continue
		}
		if !maps.Equal(old.live(old.keys[id]), m.model.live(k)) {
			t.Fatalf("key %s holds something else after the transfer", id)
		}
		if !k.revoked && !over(k.expires, m.now) {
			live++
		}
	}
	if p.KeysKept != live {
		t.Fatalf("%+v: %d keys work on, %d were foretold", f.move, live, p.KeysKept)
	}
	if !inside(old.orgs[was.org].residency, m.model.planes[m.model.orgs[is.org].plane].region) && m.model.orgs[is.org].plane != "" {
		t.Fatalf("%+v took data out of %s", f.move, old.orgs[was.org].residency)
	}
	// Which half the actor is told of.
	ofSource, ofTarget := p.Source != nil, p.Target != nil
	if f.whole && (!ofSource || !ofTarget) || !f.whole && ofSource == ofTarget {
		t.Fatalf("%+v: the actor was told of source %t, target %t", f.move, ofSource, ofTarget)
	}
	var dropped []domain.UserID
	var groups []domain.GroupID
	var invitations []domain.InvitationID
	for u := range was.overrides {
		if _, kept := is.overrides[u]; !kept {
			dropped = append(dropped, u)
		}
	}
	for id, g := range m.model.groups {
		if !maps.Equal(old.groups[id].projects, g.projects) {
			groups = append(groups, id)
		}
	}
	for id, i := range m.model.invitations {
		if *i != *old.invitations[id] {
			invitations = append(invitations, id)
		}
	}
	slices.Sort(dropped)
	slices.Sort(groups)
	slices.Sort(invitations)
	if ofSource && (!slices.Equal(p.Dropped, dropped) || !slices.Equal(p.DroppedGroups, groups) || !slices.Equal(p.ChangedInvitations, invitations)) {
		t.Fatalf("%+v drops %q, %q, %q; foretold were %q, %q, %q", f.move, dropped, groups, invitations, p.Dropped, p.DroppedGroups, p.ChangedInvitations)
	}
	type change struct {
		user     domain.UserID
		old, new domain.Role
	}
	var want, got []change
	for _, u := range sorted(m.model.users) {
		c := change{user: u}
		if ofSource {
			c.old = old.roleInUse(u, was.org, f.move.ID, m)
		}
		if ofTarget {
			c.new = m.model.roleInUse(u, is.org, f.move.ID, m)
		}
		if c.old != c.new {
			want = append(want, c)
		}
	}
	for _, c := range p.Changes {
		got = append(got, change{c.User, c.Old.Role, c.New.Role})
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v changes access %+v, foretold was %+v", f.move, want, got)
	}
}

// roleInUse is the role of a user in a project if it gives anything there to somebody who may act.
func (m *model) roleInUse(u domain.UserID, o domain.OrgID, p domain.ProjectID, at *machine) domain.Role {
	if m.users[u].status != domain.UserActive || m.orgs[o].suspended[u] || len(m.heldBy(u, o, p, at.now)) == 0 {
		return ""
	}
	return m.role(u, o, p, at.now)
}
