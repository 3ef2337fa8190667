package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Memberships, in words:
//
//  1. A member has one role in the organization, or is one by groups alone, and may have an override in each of its projects;
//     an override needs a membership in force and goes with it. An expired grant counts as absent. A service account is a
//     member nowhere but in its home.
//  2. Nobody grants or takes away more than they hold: the permissions of the role given, of the role the user has now, of
//     what comes to count when a grant ends, and of every override that ends, or whose membership gets another expiry, must
//     be within the actor's own. In a project only project-level permissions count.
//  3. Once owned, never ownerless: the last active owner without expiry can't be removed, demoted, given an expiry,
//     suspended, deactivated or erased, and can't leave. The first owner of an unclaimed organization has no expiry. A
//     service account may hold OWNER but owns nothing.
//  4. A suspended membership counts as NONE, in projects too; what it holds stays, and counts again when it is resumed.
//  5. Who leaves gives up everything: role, overrides and groups.

// GrantRole sets a role in an organization, or an override in a project.
type GrantRole struct {
	Org       OrgID
	Project   ProjectID
	User      UserID
	Role      Role
	ExpiresAt time.Time
}

// RevokeRole ends a membership as far as it was granted, or an override in a project.
type RevokeRole struct {
	Org     OrgID
	Project ProjectID
	User    UserID
}

// SuspendMember makes a membership count as NONE.
type SuspendMember struct {
	Org  OrgID
	User UserID
}

// ResumeMember ends a suspension.
type ResumeMember struct {
	Org  OrgID
	User UserID
}

// LeaveOrg ends the actor's own membership.
type LeaveOrg struct{ Org OrgID }

// Name is the method's name.
func (GrantRole) Name() string     { return "GrantRole" }
func (RevokeRole) Name() string    { return "RevokeRole" }
func (SuspendMember) Name() string { return "SuspendMember" }
func (ResumeMember) Name() string  { return "ResumeMember" }
func (LeaveOrg) Name() string      { return "LeaveOrg" }

// Targets names the project, else the organization.
func (c GrantRole) Targets(s *State) ([]Target, error)     { return s.PlaceTarget(c.Org, c.Project) }
func (c RevokeRole) Targets(s *State) ([]Target, error)    { return s.PlaceTarget(c.Org, c.Project) }
func (c SuspendMember) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }
func (c ResumeMember) Targets(s *State) ([]Target, error)  { return s.OrgTarget(c.Org) }
func (c LeaveOrg) Targets(s *State) ([]Target, error)      { return s.OrgTarget(c.Org) }

func (c GrantRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.grantPlace(c.Org, c.Project)
	if err != nil {
		return nil, err
	}
	if expired(c.ExpiresAt, now) {
		return nil, Invalidf("expires_at", ExpiryInPast, "must be in the future")
	}
	role, err := s.knownRole(at.Org, "role", c.Role)
	if err != nil {
		return nil, err
	}
	if err := s.grantable(c.User, at.Org.ID); err != nil {
		return nil, err
	}
	m, isMember := at.Org.Members.Get(c.User)
	wanted := Grant{role, c.ExpiresAt}
	old := m.Grant
	if at.Project != nil {
		if s.orgRole(m, at.Org, now).Role == "" {
			return nil, Errorf(CodePrecondition, NotAMember, "the user is not a member of the project's organization; grant a role there first")
		}
		old, _ = at.Project.Overrides.Get(c.User)
	}
	if old.equal(wanted) {
		return nil, nil
	}
	sets := []PermissionSet{s.permissions(at.Org, role)}
	for _, when := range m.moments(now) {
		sets = append(sets, s.roleOf(c.User, m, at, when).set)
		if !wanted.ExpiresAt.IsZero() || !old.ExpiresAt.IsZero() {
			// What a grant leaves when it ends is given with it, or taken by another in its place.
			sets = append(sets, s.under(m, at, when))
		}
	}
	if at.Project == nil && !old.ExpiresAt.Equal(wanted.ExpiresAt) {
		// Overrides sleep and wake with the membership.
		sets = append(sets, s.overrideSets(at.Org, c.User, now)...)
	}
	if err := s.withinCeiling(by, at, now, sets...); err != nil {
		return nil, err
	}
	if at.Project == nil {
		if !wanted.permanentOwner() {
			if err := s.keepsOwner(at.Org, c.User, role == Owner); err != nil {
				return nil, err
			}
		}
		if !isMember {
			if err := s.roomForMembers(at.Org, 1); err != nil {
				return nil, err
			}
		}
	}
	return one(at.granted(c.User, old, wanted)), nil
}

// granted is the event of a grant in place of another.
func (at Place) granted(user UserID, old, wanted Grant) *eventv1.Event {
	return at.event(&eventv1.Event{
		UserId: string(user),
		Body: &eventv1.Event_RoleGranted{RoleGranted: &eventv1.RoleGranted{
			Grant: &eventv1.GrantChange{Old: old.stored(), New: wanted.stored()},
		}},
	})
}

func (c RevokeRole) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.grantPlace(c.Org, c.Project)
	if err != nil {
		return nil, err
	}
	m, _ := at.Org.Members.Get(c.User)
	body := &eventv1.RoleRevoked{}
	sets := []PermissionSet{s.roleOf(c.User, m, at, now).set}
	for _, when := range m.moments(now) {
		sets = append(sets, s.under(m, at, when))
	}
	if at.Project != nil {
		old, ok := at.Project.Overrides.Get(c.User)
		if !ok {
			return nil, Errorf(CodeNotFound, MemberNotFound, "the user has no override in this project")
		}
		// It may sleep, and not be what counts now.
		sets = append(sets, s.permissions(at.Org, old.At(now)))
		body.Grant = old.stored()
	} else {
		if m.Role == "" {
			if len(m.Groups) > 0 {
				return nil, Errorf(CodePrecondition, MemberByGroup, "the user is a member by groups alone (%s); take them out of those", m.Groups[0])
			}
			return nil, Errorf(CodeNotFound, MemberNotFound, "the user is not a member of this organization")
		}
		if len(m.Groups) == 0 {
			body.DroppedOverrides = s.droppedWithMember(at.Org, c.User)
			sets = append(sets, s.overrideSets(at.Org, c.User, now)...)
		}
		if err := s.keepsOwner(at.Org, c.User, false); err != nil {
			// Who holds less than an owner learns that first.
			if ceiling := s.withinCeiling(by, at, now, sets...); ceiling != nil {
				return nil, ceiling
			}
			return nil, err
		}
		body.Grant = m.stored()
	}
	if err := s.withinCeiling(by, at, now, sets...); err != nil {
		return nil, err
	}
	return one(at.event(&eventv1.Event{UserId: string(c.User), Body: &eventv1.Event_RoleRevoked{RoleRevoked: body}})), nil
}

// revoked is the event of an override that ends.
func (at Place) revoked(user UserID, old Grant) *eventv1.Event {
	return at.event(&eventv1.Event{
		UserId: string(user), Body: &eventv1.Event_RoleRevoked{RoleRevoked: &eventv1.RoleRevoked{Grant: old.stored()}},
	})
}

func (c SuspendMember) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, m, err := s.managedMember(by, c.Org, c.User, now)
	if err != nil || m.Suspended {
		return nil, err
	}
	if err := s.keepsOwner(at.Org, c.User, false); err != nil {
		return nil, err
	}
	return one(at.event(&eventv1.Event{UserId: string(c.User), Body: &eventv1.Event_MemberSuspended{MemberSuspended: &eventv1.MemberSuspended{}}})), nil
}

func (c ResumeMember) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, m, err := s.managedMember(by, c.Org, c.User, now)
	if err != nil || !m.Suspended {
		return nil, err
	}
	return one(at.event(&eventv1.Event{UserId: string(c.User), Body: &eventv1.Event_MemberResumed{MemberResumed: &eventv1.MemberResumed{}}})), nil
}

// managedMember finds a member all of whose rights the actor holds.
func (s *State) managedMember(by Actor, org OrgID, user UserID, now time.Time) (Place, Member, error) {
	o, err := s.undeleted(org)
	if err != nil {
		return Place{}, Member{}, err
	}
	at := Place{Org: o}
	m, ok := o.Members.Get(user)
	if !ok {
		return at, m, Errorf(CodeNotFound, MemberNotFound, "the user is not a member of this organization")
	}
	sets := append(s.overrideSets(o, user, now), s.orgRole(m, o, now).set, s.under(m, at, now))
	for _, id := range m.Groups {
		g, _ := s.groups.Get(id)
		for _, role := range g.Projects.All() {
			sets = append(sets, s.permissions(o, role).And(s.Catalog().allProject))
		}
	}
	return at, m, s.withinCeiling(by, at, now, sets...)
}

func (c LeaveOrg) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	if by.Kind != ActorUser {
		return nil, Errorf(CodeDenied, PermissionDenied, "only a person can leave an organization; RevokeRole ends somebody else's membership")
	}
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	m, ok := o.Members.Get(by.User)
	if !ok {
		return nil, Errorf(CodeNotFound, MemberNotFound, "you are not a member of this organization")
	}
	if err := s.fullKey(by); err != nil {
		return nil, err
	}
	if err := s.keepsOwner(o, by.User, false); err != nil {
		return nil, err
	}
	body := &eventv1.RoleRevoked{Grant: m.stored(), DroppedOverrides: s.droppedWithMember(o, by.User)}
	for _, g := range m.Groups {
		body.LeftGroupIds = append(body.LeftGroupIds, string(g))
	}
	return one(Place{Org: o}.event(&eventv1.Event{UserId: string(by.User), Body: &eventv1.Event_RoleRevoked{RoleRevoked: body}})), nil
}

func (s *State) grantPlace(org OrgID, project ProjectID) (Place, error) {
	if project != "" {
		return s.activeProject(project)
	}
	o, err := s.undeleted(org)
	return Place{Org: o}, err
}

// grantable tells whether a user can be given a role in an organization. A service account of another one reads like nobody.
func (s *State) grantable(id UserID, org OrgID) error {
	switch reason := s.userState(id); reason {
	case "":
		if u, _ := s.users.Get(id); u.Home != "" && u.Home != org {
			return userNotFound(id)
		}
		return nil
	case UserUnknown:
		return userNotFound(id)
	default:
		return inState(reason)
	}
}

// withinCeiling refuses to give or take what the actor does not hold at the place.
func (s *State) withinCeiling(by Actor, at Place, now time.Time, sets ...PermissionSet) error {
	ceiling := s.ceiling(by, at, now)
	for _, set := range sets {
		if at.Project != nil {
			set = set.And(s.Catalog().allProject)
		}
		if !set.Within(ceiling) {
			return Errorf(CodeDenied, GrantCeiling, "that role holds more than you do here, so you can neither give nor take it; ask somebody who holds it")
		}
	}
	return nil
}

// until is when a membership ends by itself; zero for never.
func (m Member) until() time.Time {
	if len(m.Groups) > 0 {
		return time.Time{}
	}
	return m.ExpiresAt
}

// moments are now and when the role granted in the organization ends: something else may count from then on.
func (m Member) moments(now time.Time) []time.Time {
	if m.ExpiresAt.After(now) {
		return []time.Time{now, m.ExpiresAt}
	}
	return []time.Time{now}
}

// under is what a member holds at a place without the grant of their own there.
func (s *State) under(m Member, at Place, now time.Time) PermissionSet {
	if at.Project != nil {
		return s.underOverride(m, at, s.orgRole(m, at.Org, now)).set
	}
	return s.byGroups(m, at.Org, "").set
}

// overrideSets are what the user's overrides in force in an organization's projects hold.
func (s *State) overrideSets(o *Org, user UserID, now time.Time) (sets []PermissionSet) {
	for _, d := range s.overridesOf(o, user) {
		sets = append(sets, s.permissions(o, d.grant.At(now)).And(s.Catalog().allProject))
	}
	return sets
}

func (s *State) droppedWithMember(o *Org, user UserID) (dropped []*eventv1.RoleRevoked_DroppedOverride) {
	for _, d := range s.overridesOf(o, user) {
		dropped = append(dropped, &eventv1.RoleRevoked_DroppedOverride{ProjectId: string(d.project), Grant: d.grant.stored()})
	}
	return dropped
}

// owns tells whether a member is one that an organization may be left to.
func (s *State) owns(id UserID, m Member) bool {
	u, ok := s.users.Get(id)
	return ok && m.permanentOwner() && !m.Suspended && u.Status == UserActive && u.Home == ""
}

// keepsOwner refuses what would leave an owned organization without a permanent owner besides the user. An organization
// that has none yet may only be left so by what is not an owner's grant.
func (s *State) keepsOwner(o *Org, id UserID, firstWithExpiry bool) error {
	m, _ := o.Members.Get(id)
	if u, _ := s.users.Get(id); u != nil && u.Home != "" {
		firstWithExpiry = false
	}
	if !s.owns(id, m) && !firstWithExpiry {
		return nil
	}
	for other, m := range o.Members.All() {
		if other != id && s.owns(other, m) {
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
	s.setMember(OrgID(e.OrgIds[0]), user, func(m *Member) { m.Grant = grant })
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
	org := OrgID(e.OrgIds[0])
	s.setMember(org, user, func(m *Member) { m.Grant = Grant{} })
	for _, g := range body.LeftGroupIds {
		s.leaveGroup(GroupID(g), user)
	}
}

func (s *State) memberSuspended(e *eventv1.Event, suspended bool) {
	s.setMember(OrgID(e.OrgIds[0]), UserID(e.UserId), func(m *Member) { m.Suspended = suspended })
}

// setMember changes a user's hold on an organization; with the last of it the membership ends.
func (s *State) setMember(org OrgID, user UserID, change func(*Member)) {
	o, ok := s.orgs.Get(org)
	if !ok {
		panic(misfit("organization " + string(org)))
	}
	m, _ := o.Members.Get(user)
	change(&m)
	if m.Role == "" && len(m.Groups) == 0 {
		for _, d := range s.overridesOf(o, user) {
			s.dropOverride(d.project, user)
		}
		s.editOrg(org, func(o *Org) { o.Members = o.Members.Without(user) })
		s.editUser(user, func(u *User) { u.Orgs = u.Orgs.Without(org) })
		return
	}
	u, _ := s.users.Get(user)
	s.editOrg(org, func(o *Org) {
		o.Members = o.Members.With(user, m)
		o.Claimed = o.Claimed || m.Role == Owner && u != nil && u.Home == ""
	})
	s.editUser(user, func(u *User) { u.Orgs = u.Orgs.With(org, struct{}{}) })
}

func (s *State) dropOverride(project ProjectID, user UserID) {
	s.editProject(project, func(p *Project) { p.Overrides = p.Overrides.Without(user) })
}
