package invalidation

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Change is an entry that is another one. One of SCOPE_INSTANCE has none: all entries may be others.
type Change struct {
	*tenurev1.Invalidation
	state    *domain.State
	key      *domain.Key
	user     *domain.User
	holdings []domain.Holding // of the user
}

// Entry is what the entry is now. Those of keys and people are made when they are asked for: most readers want to know which they are.
func (c Change) Entry() proto.Message {
	switch c.Scope {
	case tenurev1.Scope_SCOPE_ORG:
		return c.Org
	case tenurev1.Scope_SCOPE_PROJECT:
		return c.Project
	case tenurev1.Scope_SCOPE_KEY:
		return KeyEntry(c.state, c.key)
	case tenurev1.Scope_SCOPE_USER:
		return userEntry(c.state, c.user, c.holdings)
	}
	return nil
}

// Of are the changes of a message. What can't be told of it is an error, and does not end the server.
func Of(m eventstore.Folded) (list []Change, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("what position %d changed for caches can't be told: %v", m.Position, r)
		}
	}()
	return Changes(m.Before, m.After), nil
}

// Changes are the entries that one commit changed, with the states in front of it and behind it: each once, always in the same order.
// It takes time for what was changed and for the people concerned, not for the keys.
func Changes(before, after *domain.State) []Change {
	if before.Catalog() != after.Catalog() && before.Position > 0 {
		return numbered(after.Position, []Change{{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_INSTANCE}}})
	}
	var list []Change
	concerned := people{}
	for c := range before.Orgs().Changes(after.Orgs()) {
		if c.Old == c.New {
			continue
		}
		if e := OrgEntry(c.New); c.Old == nil || !proto.Equal(OrgEntry(c.Old), e) {
			list = append(list, orgChange(e))
		}
		concerned.byOrg(c.Old, c.New)
	}
	for c := range before.Projects().Changes(after.Projects()) {
		if c.Old == c.New {
			continue
		}
		if e := ProjectEntry(c.New); c.Old == nil || !proto.Equal(ProjectEntry(c.Old), e) {
			list = append(list, projectChange(e))
		}
		concerned.byProject(c.Old, c.New)
	}
	for c := range before.Groups().Changes(after.Groups()) {
		if c.Old != c.New {
			concerned.byGroup(c.Old)
			concerned.byGroup(c.New)
		}
	}
	for c := range before.Users().Changes(after.Users()) {
		if c.Old != c.New {
			concerned.add(c.Key)
		}
	}
	for c := range before.Admins().Changes(after.Admins()) {
		if c.Had != c.Has {
			concerned.add(c.Key)
		}
	}
	for id := range concerned {
		u, ok := after.User(id)
		if !ok {
			continue
		}
		c := userChange(after, u)
		old, had := before.User(id)
		if !had || old.Status != u.Status || before.Admins().Has(id) != after.Admins().Has(id) || !slices.Equal(before.Holdings(id), c.holdings) {
			list = append(list, c)
		}
	}
	for c := range before.Keys().Changes(after.Keys()) {
		if c.Old == c.New {
			continue
		}
		if c.Old == nil || !proto.Equal(KeyEntry(before, c.Old), KeyEntry(after, c.New)) {
			list = append(list, keyChange(after, c.New))
		}
	}
	return numbered(after.Position, list)
}

// All are the changes that lead from nothing to a state, in the order of Changes.
func All(s *domain.State) func(yield func(Change) bool) {
	return func(yield func(Change) bool) {
		n := uint32(0)
		give := func(c Change) bool {
			c.Position, c.Index = uint64(s.Position), n
			n++
			return yield(c)
		}
		for _, o := range s.Orgs().All() {
			if !give(orgChange(OrgEntry(o))) {
				return
			}
		}
		for _, p := range s.Projects().All() {
			if !give(projectChange(ProjectEntry(p))) {
				return
			}
		}
		for _, u := range s.Users().All() {
			if !give(userChange(s, u)) {
				return
			}
		}
		for _, k := range s.Keys().All() {
			if !give(keyChange(s, k)) {
				return
			}
		}
	}
}

func orgChange(e *tenurev1.OrgEntry) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_ORG, Id: e.Id, Org: e}}
}

func projectChange(e *tenurev1.ProjectEntry) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_PROJECT, Id: e.Id, Project: e}}
}

func keyChange(s *domain.State, k *domain.Key) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_KEY, Id: string(k.ID), PublicKey: k.Public}, state: s, key: k}
}

func userChange(s *domain.State, u *domain.User) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_USER, Id: string(u.ID)}, state: s, user: u, holdings: s.Holdings(u.ID)}
}

// Revoked tells of the change of a key that it is revoked, for good.
func (c Change) Revoked() bool { return c.key != nil && !c.key.RevokedAt.IsZero() }

// numbered puts changes in an order that every server finds, whatever order tables have: who writes them twice writes the same.
func numbered(at domain.Position, list []Change) []Change {
	slices.SortFunc(list, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Id, b.Id)) })
	for i := range list {
		list[i].Position, list[i].Index = uint64(at), uint32(i)
	}
	return list
}

// people are those whose entry may be another one; more than those whose is.
type people map[domain.UserID]struct{}

func (p people) add(id domain.UserID) { p[id] = struct{}{} }

func (p people) byOrg(old, new *domain.Org) {
	if old == nil {
		return // who is in a new organization has another account
	}
	for m := range old.Members.Changes(new.Members) {
		if m.Had != m.Has || m.Old.Grant != m.New.Grant || m.Old.Suspended != m.New.Suspended || !slices.Equal(m.Old.Groups, m.New.Groups) {
			p.add(m.Key)
		}
	}
	for r := range old.Roles.Changes(new.Roles) {
		if r.Had && r.Old != r.New {
			for id := range new.Members.All() {
				p.add(id)
			}
			return
		}
	}
}

func (p people) byProject(old, new *domain.Project) {
	if old == nil {
		old = &domain.Project{Org: new.Org}
	}
	for o := range old.Overrides.Changes(new.Overrides) {
		if o.Had != o.Has || o.Old != o.New {
			p.add(o.Key)
		}
	}
	if old.Org != new.Org {
		for id := range old.Overrides.All() {
			p.add(id)
		}
	}
}

func (p people) byGroup(g *domain.Group) {
	if g != nil {
		for id := range g.Members.All() {
			p.add(id)
		}
	}
}
