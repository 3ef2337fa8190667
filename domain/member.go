package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Memberships, in words:
//
//  1. A member has one role in the organization, and may have an override in each of its projects; an override needs a
//     membership in force and goes with it. An expired grant counts as absent.
//  2. Nobody grants or takes away more than they hold: the permissions of the role given, of the role the user has now and
//     of every override that ends, or whose membership gets another expiry, must be within the actor's own. In a project
//     only project-level permissions count.
//  3. Once owned, never ownerless: the last active owner without expiry can't be removed, demoted, given an expiry,
//     deactivated or erased. The first owner of an unclaimed organization has no expiry.

// GrantRole sets a role in an organization, or an override in a project.
type GrantRole struct {
	Org       OrgID
	Project   ProjectID
	User      UserID
	Role      Role
	ExpiresAt time.Time
}

// RevokeRole ends a membership, or an override in a project.
type RevokeRole struct {
	Org     OrgID
	Project ProjectID
	User    UserID
}

// Name is the method's name.
func (GrantRole) Name() string  { return "GrantRole" }
func (RevokeRole) Name() string { return "RevokeRole" }

// Targets names the project, else the organization.
func (c GrantRole) Targets(s *State) ([]Target, error)  { return s.PlaceTarget(c.Org, c.Project) }
func (c RevokeRole) Targets(s *State) ([]Target, error) { return s.PlaceTarget(c.Org, c.Project) }

func (c GrantRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.grantPlace(c.Org, c.Project)
	if err != nil {
		return nil, err
	}
	if expired(c.ExpiresAt, now) {
		return nil, Invalidf("expires_at", ExpiryInPast, "must be in the future")
	}
	if err := s.grantable(c.User); err != nil {
		return nil, err
	}
	old, _ := at.Org.Members.Get(c.User)
	wanted := Grant{c.Role, c.ExpiresAt}
	if at.Project != nil {
		if old.At(now) == "" {
			return nil, Errorf(CodePrecondition, NotAMember, "the user is not a member of the project's organization; grant a role there first")
		}
		old, _ = at.Project.Overrides.Get(c.User)
	}
	if old.Role == wanted.Role && old.ExpiresAt.Equal(wanted.ExpiresAt) {
		return nil, nil
	}
	roles := []Role{wanted.Role, s.EffectiveRole(c.User, at, now).Role}
	if at.Project == nil && !old.ExpiresAt.Equal(wanted.ExpiresAt) {
		// Overrides sleep and wake with the membership.
		for _, o := range s.overridesOf(at.Org, c.User) {
			roles = append(roles, o.grant.At(now))
		}
	}
	if at.Project != nil && !wanted.ExpiresAt.IsZero() {
		// What the override leaves when it ends is given with it.
		membership, _ := at.Org.Members.Get(c.User)
		roles = append(roles, membership.At(now))
	}
	if err := s.withinCeiling(by, at, now, roles...); err != nil {
		return nil, err
	}
	if at.Project == nil && !wanted.permanentOwner() {
		if err := s.keepsOwner(at.Org, c.User, wanted.Role == Owner); err != nil {
			return nil, err
		}
	}
	return one(at.event(&eventv1.Event{
		UserId: string(c.User),
		Body: &eventv1.Event_RoleGranted{RoleGranted: &eventv1.RoleGranted{
			Grant: &eventv1.GrantChange{Old: old.stored(), New: wanted.stored()},
		}},
	})), nil
}

func (c RevokeRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.grantPlace(c.Org, c.Project)
	if err != nil {
		return nil, err
	}
	body := &eventv1.RoleRevoked{}
	if at.Project != nil {
		old, ok := at.Project.Overrides.Get(c.User)
		if !ok {
			return nil, Errorf(CodeNotFound, MemberNotFound, "the user has no override in this project")
		}
		member, _ := at.Org.Members.Get(c.User)
		if err := s.withinCeiling(by, at, now, s.EffectiveRole(c.User, at, now).Role, member.At(now)); err != nil {
			return nil, err
		}
		body.Grant = old.stored()
	} else {
		old, ok := at.Org.Members.Get(c.User)
		if !ok {
			return nil, Errorf(CodeNotFound, MemberNotFound, "the user is not a member of this organization")
		}
		roles := []Role{old.At(now)}
		for _, o := range s.overridesOf(at.Org, c.User) {
			roles = append(roles, o.grant.At(now))
			body.DroppedOverrides = append(body.DroppedOverrides,
				&eventv1.RoleRevoked_DroppedOverride{ProjectId: string(o.project), Grant: o.grant.stored()})
		}
		if err := s.withinCeiling(by, at, now, roles...); err != nil {
			return nil, err
		}
		if err := s.keepsOwner(at.Org, c.User, false); err != nil {
			return nil, err
		}
		body.Grant = old.stored()
	}
	return one(at.event(&eventv1.Event{UserId: string(c.User), Body: &eventv1.Event_RoleRevoked{RoleRevoked: body}})), nil
}

func (s *State) grantPlace(org OrgID, project ProjectID) (Place, error) {
	if project != "" {
		return s.activeProject(project)
	}
	o, err := s.undeleted(org)
	return Place{Org: o}, err
}

// grantable tells whether a user can be given a role.
func (s *State) grantable(id UserID) error {
	switch reason := s.userState(id); reason {
	case "":
		return nil
	case UserUnknown:
		return userNotFound(id)
	default:
		return inState(reason)
	}
}

// withinCeiling refuses to give or take roles that hold more than the actor.
func (s *State) withinCeiling(by Actor, at Place, now time.Time, roles ...Role) error {
	ceiling := s.ceiling(by, at, now)
	for _, role := range roles {
		set := role.Permissions()
		if at.Project != nil {
			set = set.And(allProject)
		}
		if !set.Within(ceiling) {
			return Errorf(CodeDenied, GrantCeiling, "%s holds more than you do here, so you can neither give nor take it; ask somebody who holds it", role)
		}
	}
	return nil
}

// keepsOwner refuses what would leave an owned organization without a permanent owner besides the user. An organization
// that has none yet may only be left so by what is not an owner's grant.
func (s *State) keepsOwner(o *Org, id UserID, firstWithExpiry bool) error {
	grant, _ := o.Members.Get(id)
	owning := grant.permanentOwner() && s.userState(id) == ""
	if !owning && !firstWithExpiry {
		return nil
	}
	for other, g := range o.Members.All() {
		if other != id && g.permanentOwner() && s.userState(other) == "" {
			return nil
		}
	}
	return Errorf(CodePrecondition, LastOwner, "organization %s needs an active owner without expiry; make somebody else one first", o.ID)
}

type override struct {
	project ProjectID
	grant   Grant
}

// overridesOf are a user's overrides in the projects of an organization, by project.
func (s *State) overridesOf(o *Org, id UserID) (list []override) {
	for project := range o.Projects.All() {
		p, _ := s.projects.Get(project)
		if g, ok := p.Overrides.Get(id); ok {
			list = append(list, override{project, g})
		}
	}
	slices.SortFunc(list, func(a, b override) int { return strings.Compare(string(a.project), string(b.project)) })
	return list
}

func (s *State) roleGranted(e *eventv1.Event, body *eventv1.RoleGranted) {
	user, grant := UserID(e.UserId), grantOf(body.Grant.GetNew())
	if e.ProjectId != "" {
		s.editProject(ProjectID(e.ProjectId), func(p *Project) { p.Overrides = p.Overrides.With(user, grant) })
		return
	}
	s.setMember(OrgID(e.OrgIds[0]), user, grant)
}

func (s *State) roleRevoked(e *eventv1.Event, body *eventv1.RoleRevoked) {
	user := UserID(e.UserId)
	if e.ProjectId != "" {
		s.dropOverride(ProjectID(e.ProjectId), user)
		return
	}
	for _, d := range body.DroppedOverrides {
		s.dropOverride(ProjectID(d.ProjectId), user)
	}
	s.dropMember(OrgID(e.OrgIds[0]), user)
}

func (s *State) setMember(org OrgID, user UserID, grant Grant) {
	s.editOrg(org, func(o *Org) {
		o.Members = o.Members.With(user, grant)
		o.Claimed = o.Claimed || grant.Role == Owner
	})
	s.editUser(user, func(u *User) { u.Orgs = u.Orgs.With(org, struct{}{}) })
}

func (s *State) dropMember(org OrgID, user UserID) {
	s.editOrg(org, func(o *Org) { o.Members = o.Members.Without(user) })
	s.editUser(user, func(u *User) { u.Orgs = u.Orgs.Without(org) })
}

func (s *State) dropOverride(project ProjectID, user UserID) {
	s.editProject(project, func(p *Project) { p.Overrides = p.Overrides.Without(user) })
}
