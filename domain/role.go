package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Roles of an organization's own, in words:
//
//  1. A role is a name and a set of permissions, good in one organization. Names are compared whatever the case of their
//     letters, and no built-in one is among them.
//  2. Nobody makes, changes or deletes a role that holds, or held, more than they do in the organization.
//  3. A role that somebody has or is invited to can't be deleted. A change holds for everybody who has it, at once.

// CustomRole is a role that an organization defined.
type CustomRole struct {
	Name        Role
	Description string
	Permissions PermissionSet
}

// DefineRole makes a role.
type DefineRole struct {
	Org         OrgID
	Role        Role
	Description string
	// OrgPermissions and ProjectPermissions are names at their level.
	OrgPermissions, ProjectPermissions []string
}

// UpdateRole changes what is not nil.
type UpdateRole struct {
	Org                                OrgID
	Role                               Role
	Description                        *string
	OrgPermissions, ProjectPermissions *[]string
}

// DeleteRole ends a role that nobody has.
type DeleteRole struct {
	Org  OrgID
	Role Role
}

// Name is the method's name.
func (DefineRole) Name() string { return "DefineRole" }
func (UpdateRole) Name() string { return "UpdateRole" }
func (DeleteRole) Name() string { return "DeleteRole" }

// Targets names the organization.
func (c DefineRole) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }
func (c UpdateRole) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }
func (c DeleteRole) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }

func (c DefineRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if isBuiltIn(c.Role) {
		return nil, builtInRole(c.Role)
	}
	if _, ok := o.Role(c.Role); ok {
		return nil, Errorf(CodeExists, RoleExists, "the organization has a role %s already; change it with UpdateRole, or choose another name", c.Role)
	}
	set, err := s.levelled(c.OrgPermissions, c.ProjectPermissions)
	if err != nil {
		return nil, err
	}
	if err := s.holdsAll(by, Place{Org: o}, now, set); err != nil {
		return nil, err
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_RoleDefined{RoleDefined: &eventv1.RoleDefined{
		Role: string(c.Role), Description: c.Description, Permissions: s.storedSet(set),
	}}})), nil
}

func (c UpdateRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, r, err := s.customRole(c.Org, c.Role)
	if err != nil {
		return nil, err
	}
	names := func(level Level, wanted *[]string) []string {
		if wanted != nil {
			return *wanted
		}
		return s.Catalog().NamesAt(level, r.Permissions)
	}
	set, err := s.levelled(names(OrgLevel, c.OrgPermissions), names(ProjectLevel, c.ProjectPermissions))
	if err != nil {
		return nil, err
	}
	body := &eventv1.RoleUpdated{Role: string(r.Name), Description: stringChange(r.Description, c.Description)}
	if old := r.Permissions.And(s.Catalog().all); set != old {
		if err := s.holdsAll(by, Place{Org: o}, now, set.Or(old)); err != nil {
			return nil, err
		}
		body.OldPermissions, body.NewPermissions = s.storedSet(old), s.storedSet(set)
	}
	if body.Description == nil && body.NewPermissions == nil {
		return nil, nil
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_RoleUpdated{RoleUpdated: body}})), nil
}

func (c DeleteRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, r, err := s.customRole(c.Org, c.Role)
	if err != nil {
		return nil, err
	}
	if err := s.holdsAll(by, Place{Org: o}, now, r.Permissions.And(s.Catalog().all)); err != nil {
		return nil, err
	}
	if who := s.whoHas(o, r.Name, now); who != "" {
		return nil, Errorf(CodePrecondition, RoleInUse, "%s has the role %s; give it another one first", who, r.Name)
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_RoleDeleted{RoleDeleted: &eventv1.RoleDeleted{
		Role: string(r.Name), Permissions: s.storedSet(r.Permissions),
	}}})), nil
}

func (s *State) customRole(org OrgID, role Role) (*Org, *CustomRole, error) {
	o, err := s.undeleted(org)
	if err != nil {
		return nil, nil, err
	}
	if isBuiltIn(role) {
		return nil, nil, builtInRole(role)
	}
	r, ok := o.Role(role)
	if !ok {
		return nil, nil, Errorf(CodeNotFound, RoleNotFound, "the organization has no role %s of its own; ListRoles lists them", role)
	}
	return o, r, nil
}

// levelled is the set of permissions named at each level.
func (s *State) levelled(org, project []string) (set PermissionSet, err error) {
	for _, part := range []struct {
		level Level
		field string
		names []string
	}{{OrgLevel, "organization_permissions", org}, {ProjectLevel, "project_permissions", project}} {
		for _, name := range part.names {
			p := s.Catalog().Parse(part.level, name)
			if p == 0 {
				return set, Invalidf(part.field, UnknownPermission, "%q is not a permission at %s level; ListPermissions lists them", name, part.level)
			}
			set = set.with(p)
		}
	}
	return set, nil
}

// holdsAll refuses a set of permissions that the actor does not hold at the place.
func (s *State) holdsAll(by Actor, at Place, now time.Time, set PermissionSet) error {
	if set.Within(s.ceiling(by, at, now)) {
		return nil
	}
	return Errorf(CodeDenied, GrantCeiling, "that holds more than you do here, so you can neither give nor take it; ask somebody who holds it")
}

// whoHas names somebody or something that has a role now or may come to have it; "" if nobody.
func (s *State) whoHas(o *Org, role Role, now time.Time) string {
	for id, m := range o.Members.All() {
		if m.Role == role {
			return "user " + string(id)
		}
	}
	for id := range o.Projects.All() {
		p, _ := s.projects.Get(id)
		for user, g := range p.Overrides.All() {
			if g.Role == role {
				return "user " + string(user) + " in project " + string(id)
			}
		}
	}
	for id := range o.Groups.All() {
		g, _ := s.groups.Get(id)
		if g.Role == role {
			return "group " + string(id)
		}
		for project, r := range g.Projects.All() {
			if r == role {
				return "group " + string(id) + " in project " + string(project)
			}
		}
	}
	for id := range o.Invitations.All() {
		if i, _ := s.invitations.Get(id); i.Status == InvitationPending && (i.Role == role || i.ProjectRole == role) {
			return "invitation " + string(id)
		}
	}
	return ""
}

// permissions are what a role holds in the organization; nothing for one that is not known there.
func (s *State) permissions(o *Org, role Role) PermissionSet {
	if set, ok := s.Catalog().roles[role]; ok || role == None {
		return set
	}
	if r, ok := o.Roles.Get(role); ok {
		return r.Permissions.And(s.Catalog().all)
	}
	return PermissionSet{}
}

// RolePermissions are what a role, built-in or custom, holds in the organization at both levels.
func (s *State) RolePermissions(o *Org, role Role) PermissionSet { return s.permissions(o, role) }

// knownRole finds a role that can be given in the organization, in the spelling it was defined in.
func (s *State) knownRole(o *Org, field string, role Role) (Role, error) {
	if isBuiltIn(role) {
		return Role(strings.ToUpper(string(role))), nil
	}
	if r, ok := o.Role(role); ok {
		return r.Name, nil
	}
	return "", Invalidf(field, UnknownRole, "%s is neither OWNER, ADMIN, MEMBER, VIEWER or NONE nor a role of the organization; DefineRole makes one", role)
}

// Role finds a role of the organization's own by its name in any spelling.
func (o *Org) Role(role Role) (*CustomRole, bool) {
	if r, ok := o.Roles.Get(role); ok {
		return r, true
	}
	name, ok := o.RoleNames.Get(foldName(string(role)))
	if !ok {
		return nil, false
	}
	return o.Roles.Get(name)
}

func isBuiltIn(role Role) bool {
	return slices.ContainsFunc(BuiltInRoles, func(b Role) bool { return strings.EqualFold(string(b), string(role)) })
}

func builtInRole(role Role) error {
	return Invalidf("role", BuiltInRole, "%s is built in and can't be changed; choose another name", role)
}

func (s *State) storedSet(set PermissionSet) *eventv1.PermissionNames {
	return &eventv1.PermissionNames{Organization: s.Catalog().NamesAt(OrgLevel, set), Project: s.Catalog().NamesAt(ProjectLevel, set)}
}

// setOf reads a stored set; names that this build does not know are left out, and not held.
func (s *State) setOf(names *eventv1.PermissionNames) (set PermissionSet) {
	for _, name := range names.GetOrganization() {
		if p := s.Catalog().Parse(OrgLevel, name); p != 0 {
			set = set.with(p)
		}
	}
	for _, name := range names.GetProject() {
		if p := s.Catalog().Parse(ProjectLevel, name); p != 0 {
			set = set.with(p)
		}
	}
	return set
}

func (s *State) roleDefined(e *eventv1.Event, body *eventv1.RoleDefined) {
	s.changeOrg(e, func(o *Org) {
		o.RoleNames = o.RoleNames.With(foldName(body.Role), Role(body.Role))
		o.Roles = o.Roles.With(Role(body.Role), &CustomRole{Role(body.Role), body.Description, s.setOf(body.Permissions)})
	})
}

func (s *State) roleUpdated(e *eventv1.Event, body *eventv1.RoleUpdated) {
	s.changeOrg(e, func(o *Org) {
		old, ok := o.Roles.Get(Role(body.Role))
		if !ok {
			panic(misfit("role " + body.Role))
		}
		r := *old
		if body.Description != nil {
			r.Description = body.Description.New
		}
		if body.NewPermissions != nil {
			r.Permissions = s.setOf(body.NewPermissions)
		}
		o.Roles = o.Roles.With(r.Name, &r)
	})
}

func (s *State) roleDeleted(e *eventv1.Event, body *eventv1.RoleDeleted) {
	s.changeOrg(e, func(o *Org) {
		o.Roles, o.RoleNames = o.Roles.Without(Role(body.Role)), o.RoleNames.Without(foldName(body.Role))
	})
}
