package domain

import (
	"iter"
	"slices"
	"time"
)

// Accessible is an organization, or a project in it, that somebody can reach, with the role there.
type Accessible struct {
	Place
	Effective
}

// AccessibleAfter visits what a user can reach, organization by organization in order of ids, each in front of its projects,
// behind a place: all of it behind "", "". Of an organization alone if only names one. Projects in which the user holds nothing
// are left out.
func (s *State) AccessibleAfter(user UserID, only, org OrgID, project ProjectID, now time.Time) iter.Seq[Accessible] {
	return func(yield func(Accessible) bool) {
		u, ok := s.users.Get(user)
		if !ok || u.Status != UserActive {
			return
		}
		for _, id := range u.Orgs.Keys() {
			o, _ := s.orgs.Get(id)
			m, _ := o.Members.Get(user)
			if id < org || only != "" && id != only || o.Status != Active || m.Suspended {
				continue
			}
			at := Place{Org: o}
			e := s.roleOf(user, m, at, now)
			if e.Role == "" || id != org && !yield(Accessible{at, e}) {
				if e.Role == "" {
					continue
				}
				return
			}
			for _, pid := range o.Projects.Keys() {
				p, _ := s.projects.Get(pid)
				if id == org && pid <= project || p.Status != Active {
					continue
				}
				in := Place{o, p}
				if e := s.usable(user, in, now); e.Role != "" && !yield(Accessible{in, e}) {
					return
				}
			}
		}
	}
}

// Subject is a user or a key that holds a permission, and by what.
type Subject struct {
	User UserID
	Key  KeyID
	Effective
}

// SubjectsAfter visits who holds a permission at a place: users in order of ids, then keys in order of ids, behind one of them.
// With admins, instance admins and keys of the instance are among them.
func (s *State) SubjectsAfter(p Permission, at Place, user UserID, key KeyID, admins bool, now time.Time) iter.Seq[Subject] {
	return func(yield func(Subject) bool) {
		var users []UserID
		if key == "" {
			users = at.Org.Members.Keys()
			if admins {
				users = append(users, s.admins.Keys()...)
				slices.Sort(users)
				users = slices.Compact(users)
			}
		}
		for _, id := range users {
			a := Actor{Kind: ActorUser, User: id}
			if id <= user || s.IsAdmin(a) && !admins && !s.heldAsMember(id, p, at, now) {
				continue
			}
			v := s.Check(a, p, at, now)
			if !v.Allowed {
				continue
			}
			e := s.EffectiveRole(id, at, now)
			if admins && v.Reason == ByInstanceAdmin {
				e = Effective{Role: e.Role, By: ByInstanceAdmin}
			}
			if !yield(Subject{User: id, Effective: e}) {
				return
			}
		}
		keys := at.Org.Keys.Keys()
		if at.Project != nil {
			keys = append(keys, at.Project.Keys.Keys()...)
		}
		if admins {
			keys = append(keys, s.instanceKeys.Keys()...)
		}
		slices.Sort(keys)
		for _, id := range keys {
			k, _ := s.keys.Get(id)
			if id <= key {
				continue
			}
			if v := s.Check(KeyActor(k, ""), p, at, now); v.Allowed && !yield(Subject{Key: id, Effective: Effective{By: v.Reason, ExpiresAt: k.ExpiresAt}}) {
				return
			}
		}
	}
}

// heldAsMember tells whether a user would hold a permission without being an instance admin.
func (s *State) heldAsMember(id UserID, p Permission, at Place, now time.Time) bool {
	return s.stateOf(Actor{Kind: ActorUser, User: id}, at) == "" && s.heldByUser(id, at, now).set.Has(p)
}
