package domain

import (
	"slices"
	"time"
)

// Access, in words:
//
//  1. An instance admin may do everything, and the answer says that this is why.
//  2. A deactivated or erased user, a suspended or deleted organization and a deleted project deny everything, a suspended
//     membership everything in its organization.
//  3. The role in an organization is the one granted to the user if that is in force, else what the user's groups give.
//  4. The role in a project is the override granted to the user there if that is in force, else what the user's groups give
//     there, else the role in the organization. At organization level only the role in the organization counts. An override
//     needs a membership in force.
//  5. What several groups give at one level adds up; the strongest role gives it its name.
//  6. A key of a project holds its permissions in that project, a key of an organization holds them in the organization
//     and its projects. A user's key holds at most what the user holds, and at most its own permissions.
//  7. Expiry is judged at the time of the question.

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

// Effective is the role somebody has at a place, and what gives it. The zero Effective is no role at all.
type Effective struct {
	Role Role
	// By is ByOrgRole, ByOrgGroup, ByProjectOverride or ByProjectGroup.
	By Reason
	// Group is the one that gives the role, or the strongest of several; "" if a grant does.
	Group GroupID
	// ExpiresAt is when the grant ends; zero for never.
	ExpiresAt time.Time

	set PermissionSet
}

// Permissions are what the role holds; of several groups, what all of them hold.
func (e Effective) Permissions() PermissionSet { return e.set }

// Check tells whether the actor holds a permission at a place at a time. The permission's level must be the place's.
func (s *State) Check(a Actor, p Permission, at Place, now time.Time) Verdict {
	h := s.held(a, at, now)
	if deny := s.stateOf(a, at); deny != "" && !s.IsAdmin(a) {
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

// IsAdmin tells whether the actor is an instance admin: the holder of the admin key or of a key of the instance, or a person
// who was made one and may act.
func (s *State) IsAdmin(a Actor) bool {
	return a.Kind == ActorInstance || a.Kind == ActorUser && s.admins.Has(a.User) && s.userState(a.User) == ""
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
		h.set, h.by = s.Catalog().all, ByInstanceAdmin
	case ActorUser:
		h = s.heldByUser(a.User, at, now)
		if s.IsAdmin(a) {
			h = holding{set: s.Catalog().all, role: h.role, by: ByInstanceAdmin, lacks: KeyLacks}
		}
	case ActorOrg:
		if a.Org != at.Org.ID {
			return holding{deny: KeyOfOtherTenant}
		}
		h.set = s.Catalog().all
	case ActorProject:
		switch {
		case !s.Sees(a, at, now):
			return holding{deny: KeyOfOtherTenant}
		case at.Project != nil:
			h.set = s.Catalog().allProject
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
		h.set = h.set.And(s.Catalog().allProject)
	}
	return h
}

func (s *State) heldByUser(id UserID, at Place, now time.Time) holding {
	m, ok := at.Org.Members.Get(id)
	if !ok {
		return holding{deny: NotAMember}
	}
	if m.Suspended {
		return holding{role: None, deny: MemberSuspended}
	}
	e := s.roleOf(id, m, at, now)
	if e.Role == "" {
		return holding{deny: GrantExpired}
	}
	h := holding{set: e.set, role: e.Role, by: e.By, lacks: RoleLacks}
	if e.Role == None && (e.By == ByProjectOverride || e.By == ByProjectGroup) {
		h.lacks = BlockedInProject
	}
	return h
}

// roleOf is the role that grants and groups give a member at a place, a suspension aside.
func (s *State) roleOf(id UserID, m Member, at Place, now time.Time) Effective {
	org := s.orgRole(m, at.Org, now)
	if at.Project == nil || org.Role == "" {
		return org
	}
	if g, ok := at.Project.Overrides.Get(id); ok && g.At(now) != "" {
		return Effective{Role: g.Role, By: ByProjectOverride, ExpiresAt: g.ExpiresAt, set: s.permissions(at.Org, g.Role)}
	}
	return s.underOverride(m, at, org)
}

// underOverride is the role a member has in a project without a grant of their own there.
func (s *State) underOverride(m Member, at Place, org Effective) Effective {
	if e := s.byGroups(m, at.Org, at.Project.ID); e.Role != "" {
		return e
	}
	return org
}

func (s *State) orgRole(m Member, o *Org, now time.Time) Effective {
	if role := m.At(now); role != "" {
		return Effective{Role: role, By: ByOrgRole, ExpiresAt: m.ExpiresAt, set: s.permissions(o, role)}
	}
	return s.byGroups(m, o, "")
}

// byGroups is what a member's groups give: their roles in a project, or in the organization if none is named.
func (s *State) byGroups(m Member, o *Org, project ProjectID) (e Effective) {
	for _, id := range m.Groups {
		g, ok := s.groups.Get(id)
		if !ok {
			continue
		}
		role := g.Role
		by := ByOrgGroup
		if project != "" {
			if role, ok = g.Projects.Get(project); !ok {
				continue
			}
			by = ByProjectGroup
		}
		set := s.permissions(o, role)
		if e.Role == "" || s.stronger(o, role, e.Role) {
			e.Role, e.By, e.Group = role, by, id
		}
		e.set = e.set.Or(set)
	}
	return e
}

// stronger tells whether a role holds more permissions than another; of those that hold as many a built-in one names the
// result, then the first by name.
func (s *State) stronger(o *Org, a, b Role) bool {
	x, y := s.permissions(o, a).Len(), s.permissions(o, b).Len()
	if x != y {
		return x > y
	}
	if isA, isB := slices.Contains(BuiltInRoles, a), slices.Contains(BuiltInRoles, b); isA != isB {
		return isA
	}
	return a < b
}

// ceiling is the most the actor may give away or take at a place: what it holds there; in a project, what it holds there
// or through the organization.
func (s *State) ceiling(a Actor, at Place, now time.Time) PermissionSet {
	set := s.held(a, at, now).set
	if at.Project != nil {
		set = set.Or(s.held(a, Place{Org: at.Org}, now).set).And(s.Catalog().allProject)
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
		if s.IsAdmin(a) {
			return true
		}
		m, ok := at.Org.Members.Get(a.User)
		if !ok || s.orgRole(m, at.Org, now).Role == "" {
			return false
		}
		if at.Project == nil {
			return true
		}
		return !s.heldByUser(a.User, at, now).set.And(s.Catalog().allProject).IsEmpty()
	}
	return false
}

// EffectiveRole is the role a user has at a place at a time, and what gives it; the zero Effective if there is none. A
// suspended membership gives None.
func (s *State) EffectiveRole(id UserID, at Place, now time.Time) Effective {
	m, ok := at.Org.Members.Get(id)
	if !ok {
		return Effective{}
	}
	e := s.roleOf(id, m, at, now)
	if m.Suspended && e.Role != "" {
		return Effective{Role: None, By: e.By, ExpiresAt: e.ExpiresAt}
	}
	return e
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
