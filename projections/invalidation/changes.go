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

// Change is an entry that is another one, with what it is now. One of SCOPE_INSTANCE has none: all entries may be others.
type Change struct {
	*tenurev1.Invalidation
	// Key and User are entries of those; the invalidation holds the others.
	Key  *tenurev1.KeyEntry
	User *tenurev1.UserEntry
}

// Of are the changes of each message. What can't be told of a commit is an error, and does not end the server.
func Of(messages []eventstore.Folded) (list [][]Change, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("what it changed for caches can't be told: %v", r)
		}
	}()
	for _, m := range messages {
		list = append(list, Changes(m.Before, m.After))
	}
	return list, nil
}

// Changes are the entries that one commit changed, with the states in front of it and behind it: each once, always in the same order.
// It takes time for what was changed and for the people concerned, not for the keys.
func Changes(before, after *domain.State) []Change {
	if before.Catalog() != after.Catalog() && before.Position > 0 {
		return numbered(after.Position, []Change{{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_INSTANCE}}})
	}
	var list []Change
	for c := range before.Orgs().Changes(after.Orgs()) {
		if c.Old == c.New {
			continue
		}
		if e := OrgEntry(c.New); c.Old == nil || !proto.Equal(OrgEntry(c.Old), e) {
			list = append(list, orgChange(e))
		}
	}
	for c := range before.Projects().Changes(after.Projects()) {
		if c.Old == c.New {
			continue
		}
		if e := ProjectEntry(c.New); c.Old == nil || !proto.Equal(ProjectEntry(c.Old), e) {
			list = append(list, projectChange(e))
		}
	}
	for c := range before.Keys().Changes(after.Keys()) {
		if c.Old == c.New {
			continue
		}
		if e := KeyEntry(after, c.New); c.Old == nil || !proto.Equal(KeyEntry(before, c.Old), e) {
			list = append(list, keyChange(e))
		}
	}
	for id := range concerned(before, after) {
		u, ok := after.User(id)
		if !ok {
			continue
		}
		old, had := before.User(id)
		if e := UserEntry(after, u); !had || !proto.Equal(UserEntry(before, old), e) {
			list = append(list, userChange(e))
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
			if !give(userChange(UserEntry(s, u))) {
				return
			}
		}
		for _, k := range s.Keys().All() {
			if !give(keyChange(KeyEntry(s, k))) {
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

func keyChange(e *tenurev1.KeyEntry) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_KEY, Id: e.Id, PublicKey: e.PublicKey}, Key: e}
}

func userChange(e *tenurev1.UserEntry) Change {
	return Change{Invalidation: &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_USER, Id: e.Id}, User: e}
}

// numbered puts changes in an order that every server finds, whatever order tables have: who writes them twice writes the same.
func numbered(at domain.Position, list []Change) []Change {
	slices.SortFunc(list, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Id, b.Id)) })
	for i := range list {
		list[i].Position, list[i].Index = uint64(at), uint32(i)
	}
	return list
}

// concerned are the people whose entry may be another one; more than those whose is.
func concerned(before, after *domain.State) map[domain.UserID]struct{} {
	people := map[domain.UserID]struct{}{}
	add := func(id domain.UserID) { people[id] = struct{}{} }
	for c := range before.Users().Changes(after.Users()) {
		if c.Old != c.New {
			add(c.Key)
		}
	}
	for c := range before.Admins().Changes(after.Admins()) {
		if c.Had != c.Has {
			add(c.Key)
		}
	}
	for c := range before.Orgs().Changes(after.Orgs()) {
		if c.Old == nil || c.Old == c.New {
			continue // who is in a new organization has another account
		}
		for m := range c.Old.Members.Changes(c.New.Members) {
			if m.Had != m.Has || m.Old.Grant != m.New.Grant || m.Old.Suspended != m.New.Suspended || !slices.Equal(m.Old.Groups, m.New.Groups) {
				add(m.Key)
			}
		}
		for r := range c.Old.Roles.Changes(c.New.Roles) {
			if r.Had && r.Old != r.New {
				for id := range c.New.Members.All() {
					add(id)
				}
				break
			}
		}
	}
	for c := range before.Projects().Changes(after.Projects()) {
		if c.Old == c.New {
			continue
		}
		was := c.Old
		if was == nil {
			was = &domain.Project{Org: c.New.Org}
		}
		for o := range was.Overrides.Changes(c.New.Overrides) {
			if o.Had != o.Has || o.Old != o.New {
				add(o.Key)
			}
		}
		if was.Org != c.New.Org {
			for id := range was.Overrides.All() {
				add(id)
			}
		}
	}
	for c := range before.Groups().Changes(after.Groups()) {
		if c.Old == c.New {
			continue
		}
		for _, g := range []*domain.Group{c.Old, c.New} {
			if g != nil {
				for id := range g.Members.All() {
					add(id)
				}
			}
		}
	}
	return people
}
