package domain

import "time"

// Access, in words:
//
//  1. An instance admin may do everything, and the answer says that this is why.
//  2. A deactivated or erased user, a suspended or deleted organization and a deleted project deny everything.
//  3. A user's effective role in a project is the override there if one is in force, else the role in the organization. At
//     organization level only the role in the organization counts. An override needs a membership in force.
//  4. A key of a project holds its permissions in that project, a key of an organization holds them in the organization
//     and its projects. A user's key holds at most what the user holds, and at most its own permissions.
//  5. Expiry is judged at the time of the question.

// Place is where a permission is asked or a command acts: in a project, else in an organization. The project's
// organization is always set as well.
type Place struct {
	Org     *Org
	Project *Project
}

// Verdict is the answer of an access check.
type Verdict struct {
	Allowed bool
	// Reason is what decided.
	Reason Reason
	// Role is the effective role of a user; "" if there is none or a key was asked about.
	Role Role
}

// Check tells whether the actor holds a permission at a place at a time. The permission's level must be the place's.
func (s *State) Check(a Actor, p Permission, at Place, now time.Time) Verdict {
	h := s.held(a, at, now)
	if deny := s.stateOf(a, at); deny != "" && a.Kind != ActorInstance {
		return Verdict{Reason: deny, Role: h.role}
	}
	if h.deny != "" {
		return Verdict{Reason: h.deny, Role: h.role}
	}
	if !h.set.Has(p) {
		return Verdict{Reason: h.lacks, Role: h.role}
	}
	return Verdict{Allowed: true, Reason: h.by, Role: h.role}
}

// stateOf is what denies the actor everything at a place, whatever it holds; "" if nothing does.
func (s *State) stateOf(a Actor, at Place) Reason {
	if a.Kind == ActorUser {
		if reason := s.userState(a.User); reason != "" {
			return reason
		}
	}
	if reason := at.Org.state(); reason != "" {
		return reason
	}
	if at.Project != nil && at.Project.Status == Deleted {
		return ProjectDeleted
	}
	return ""
}

func (s *State) userState(id UserID) Reason {
	u, ok := s.users.Get(id)
	switch {
	case !ok:
		return UserUnknown
	case u.Status == UserIsDeactivated:
		return UserDeactivated
	case u.Status == UserIsErased:
		return UserErased
	}
	return ""
}

func (o *Org) state() Reason {
	switch o.Status {
	case Suspended:
		return OrgSuspended
	case Deleted:
		return OrgDeleted
	}
	return ""
}

// holding is what an actor holds at a place, states of the place aside.
type holding struct {
	set  PermissionSet
	role Role
	// deny is why nothing is held at all; by and lacks are the reasons to give for a permission in or not in the set.
	deny, by, lacks Reason
}

// held answers what the actor holds: in a project the project-level permissions, in an organization those of both levels
// (the latter being what its projects inherit).
func (s *State) held(a Actor, at Place, now time.Time) holding {
	var key *Key
	if a.Key != "" {
		var ok bool
		if key, ok = s.keys.Get(a.Key); !ok {
			return holding{deny: KeyUnknown}
		}
		if reason := key.state(now); reason != "" {
			return holding{deny: reason}
		}
	}
	h := holding{by: ByKeyPermission, lacks: KeyLacks}
	switch a.Kind {
	case ActorInstance:
		h.set, h.by = all, ByInstanceAdmin
	case ActorUser:
		h = s.heldByUser(a.User, at, now)
	case ActorOrg:
		if a.Org != at.Org.ID {
			return holding{deny: KeyOfOtherTenant}
		}
		h.set = all
	case ActorProject:
		switch {
		case !s.Sees(a, at, now):
			return holding{deny: KeyOfOtherTenant}
		case at.Project != nil:
			h.set = allProject
		}
	default:
		return holding{deny: PermissionDenied}
	}
	if key != nil {
		if capped := h.set.And(key.Permissions); capped != h.set {
			h.set = capped
			if h.lacks == RoleLacks {
				h.lacks = KeyLacks
			}
		}
	}
	if at.Project != nil {
		h.set = h.set.And(allProject)
	}
	return h
}

func (s *State) heldByUser(id UserID, at Place, now time.Time) holding {
	membership, ok := at.Org.Members.Get(id)
	if !ok {
		return holding{deny: NotAMember}
	}
	role := membership.At(now)
	if role == "" {
		return holding{deny: GrantExpired}
	}
	by := ByOrgRole
	if at.Project != nil {
		if override, ok := at.Project.Overrides.Get(id); ok && override.At(now) != "" {
			role, by = override.At(now), ByProjectOverride
		}
	}
	h := holding{set: role.Permissions(), role: role, by: by, lacks: RoleLacks}
	if role == None && by == ByProjectOverride {
		h.lacks = BlockedInProject
	}
	return h
}

// ceiling is the most the actor may give away or take at a place: what it holds there; in a project, what it holds there
// or through the organization.
func (s *State) ceiling(a Actor, at Place, now time.Time) PermissionSet {
	set := s.held(a, at, now).set
	if at.Project != nil {
		set = set.Or(s.held(a, Place{Org: at.Org}, now).set).And(allProject)
	}
	return set
}

// Sees tells whether the actor may know that the place exists: instance admins, members in force, keys of the
// organization, keys of the project; of an organization also the keys of its projects. In a project a member must hold
// something there. A permission of the organization that reaches into projects needs no sight of them.
func (s *State) Sees(a Actor, at Place, now time.Time) bool {
	switch a.Kind {
	case ActorInstance:
		return true
	case ActorProject:
		if at.Project != nil {
			return a.Project == at.Project.ID
		}
		p, ok := s.projects.Get(a.Project)
		return ok && p.Org == at.Org.ID
	case ActorOrg:
		return a.Org == at.Org.ID
	case ActorUser:
		membership, ok := at.Org.Members.Get(a.User)
		if !ok || membership.At(now) == "" {
			return false
		}
		if at.Project == nil {
			return true
		}
		return !s.heldByUser(a.User, at, now).set.IsEmpty()
	}
	return false
}

// EffectiveRole is the user's role at a place at a time, and until when the grant that gives it lasts; "" if there is none.
func (s *State) EffectiveRole(id UserID, at Place, now time.Time) Grant {
	h := s.heldByUser(id, at, now)
	if h.role == "" {
		return Grant{}
	}
	g, _ := at.Org.Members.Get(id)
	if h.by == ByProjectOverride {
		g, _ = at.Project.Overrides.Get(id)
	}
	return Grant{Role: h.role, ExpiresAt: g.ExpiresAt}
}

// Place finds a project with its organization, or an organization if no project is named.
func (s *State) Place(org OrgID, project ProjectID) (Place, error) {
	if project != "" {
		p, ok := s.projects.Get(project)
		if !ok {
			return Place{}, projectNotFound(project)
		}
		o, _ := s.orgs.Get(p.Org)
		return Place{Org: o, Project: p}, nil
	}
	o, ok := s.orgs.Get(org)
	if !ok {
		return Place{}, orgNotFound(org)
	}
	return Place{Org: o}, nil
}

// Holds tells whether the actor holds a permission at a place, whatever state the place is in.
func (s *State) Holds(a Actor, p Permission, at Place, now time.Time) bool {
	return s.held(a, at, now).set.Has(p)
}
