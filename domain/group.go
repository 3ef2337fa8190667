package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Groups, in words:
//
//  1. A group has a role in its organization, NONE if it is for projects alone, and roles in some of its projects. Whoever is
//     in it is a member of the organization. Names are unique in the organization, whatever the case of their letters.
//  2. Nobody gives or takes through a group more than they hold: the group's roles that change, or all of them for who enters
//     or leaves, and what anybody affected holds before and after, at every place the group reaches, now and when a grant of
//     theirs ends, must be within the actor's own.
//  3. Who leaves the last hold on the organization loses the overrides there.
//  4. When a project leaves the organization, the groups' roles in it end.

// Group is a set of people of an organization who share roles.
type Group struct {
	ID        GroupID
	Org       OrgID
	Name      string
	Role      Role
	Projects  Table[ProjectID, Role]
	Members   Table[UserID, struct{}]
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ProjectRole is a role in one project.
type ProjectRole struct {
	Project ProjectID
	Role    Role
}

// CreateGroup makes a group.
type CreateGroup struct {
	ID           GroupID
	Chosen       bool // the caller chose the id
	Org          OrgID
	GroupName    string
	Role         Role // "" is None
	ProjectRoles []ProjectRole
	Users        []UserID
}

// UpdateGroup changes what is given.
type UpdateGroup struct {
	ID        GroupID
	GroupName *string
	Role      Role // "" keeps it
	// ProjectRoles are set, roles in DropProjects end; those in other projects stay.
	ProjectRoles []ProjectRole
	DropProjects []ProjectID
	Add, Remove  []UserID
}

// DeleteGroup ends a group.
type DeleteGroup struct{ ID GroupID }

// Name is the method's name.
func (CreateGroup) Name() string { return "CreateGroup" }
func (UpdateGroup) Name() string { return "UpdateGroup" }
func (DeleteGroup) Name() string { return "DeleteGroup" }

// Targets names the organization.
func (c CreateGroup) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }
func (c UpdateGroup) Targets(s *State) ([]Target, error) { return s.GroupTarget(c.ID) }
func (c DeleteGroup) Targets(s *State) ([]Target, error) { return s.GroupTarget(c.ID) }

// GroupTarget is the organization of a group that a request names.
func (s *State) GroupTarget(id GroupID) ([]Target, error) {
	g, ok := s.groups.Get(id)
	if !ok {
		return nil, groupNotFound(id)
	}
	targets, err := s.OrgTarget(g.Org)
	if err != nil {
		return nil, err
	}
	targets[0].Missing = groupNotFound(id)
	return targets, nil
}

func (c CreateGroup) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if err := s.chosenID(c.Chosen, by); err != nil {
		return nil, err
	}
	if s.groups.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	if err := o.groupNameFree(c.GroupName, c.ID); err != nil {
		return nil, err
	}
	role := None
	if c.Role != "" {
		if role, err = s.knownRole(o, "role", c.Role); err != nil {
			return nil, err
		}
	}
	roles, err := s.projectRoles(o, c.ProjectRoles)
	if err != nil {
		return nil, err
	}
	users, err := s.enterable(o, c.Users)
	if err != nil {
		return nil, err
	}
	body := &eventv1.GroupCreated{Name: c.GroupName, Role: string(role), UserIds: users}
	for _, r := range roles {
		body.ProjectRoles = append(body.ProjectRoles, &eventv1.ProjectRole{ProjectId: string(r.Project), Role: string(r.Role)})
	}
	e := Place{Org: o}.event(&eventv1.Event{GroupId: string(c.ID), Body: &eventv1.Event_GroupCreated{GroupCreated: body}})
	return s.groupEvent(by, o, e, &Group{}, now)
}

func (c UpdateGroup) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	g, o, err := s.liveGroup(c.ID)
	if err != nil {
		return nil, err
	}
	body := &eventv1.GroupUpdated{Name: stringChange(g.Name, c.GroupName)}
	if body.Name != nil {
		if err := o.groupNameFree(body.Name.New, c.ID); err != nil {
			return nil, err
		}
	}
	if c.Role != "" {
		role, err := s.knownRole(o, "role", c.Role)
		if err != nil {
			return nil, err
		}
		body.Role = stringChange(string(g.Role), new(string(role)))
	}
	roles, err := s.projectRoles(o, c.ProjectRoles)
	if err != nil {
		return nil, err
	}
	for _, id := range c.DropProjects {
		if slices.ContainsFunc(roles, func(r ProjectRole) bool { return r.Project == id }) {
			return nil, Invalidf("drop_project_ids", InvalidField, "project %s is named twice", id)
		}
		roles = append(roles, ProjectRole{id, ""})
	}
	for _, r := range roles {
		old, _ := g.Projects.Get(r.Project)
		if change := stringChange(string(old), new(string(r.Role))); change != nil {
			body.ProjectRoles = append(body.ProjectRoles, &eventv1.GroupUpdated_ProjectRoleChange{ProjectId: string(r.Project), Role: change})
		}
	}
	add := slices.DeleteFunc(slices.Clone(c.Add), g.Members.Has)
	if body.AddedUserIds, err = s.enterable(o, add); err != nil {
		return nil, err
	}
	for _, id := range c.Remove {
		if g.Members.Has(id) && !slices.Contains(c.Add, id) {
			body.RemovedUserIds = append(body.RemovedUserIds, string(id))
		}
	}
	slices.Sort(body.RemovedUserIds)
	if body.Name == nil && body.Role == nil && body.ProjectRoles == nil && body.AddedUserIds == nil && body.RemovedUserIds == nil {
		return nil, nil
	}
	e := Place{Org: o}.event(&eventv1.Event{GroupId: string(c.ID), Body: &eventv1.Event_GroupUpdated{GroupUpdated: body}})
	return s.groupEvent(by, o, e, g, now)
}

func (c DeleteGroup) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	g, o, err := s.liveGroup(c.ID)
	if err != nil {
		return nil, err
	}
	body := &eventv1.GroupDeleted{Name: g.Name, Role: string(g.Role), Members: uint32(g.Members.Len())}
	for _, id := range g.Projects.Keys() {
		role, _ := g.Projects.Get(id)
		body.ProjectRoles = append(body.ProjectRoles, &eventv1.ProjectRole{ProjectId: string(id), Role: string(role)})
	}
	e := Place{Org: o}.event(&eventv1.Event{GroupId: string(c.ID), Body: &eventv1.Event_GroupDeleted{GroupDeleted: body}})
	return s.groupEvent(by, o, e, g, now)
}

func (s *State) liveGroup(id GroupID) (*Group, *Org, error) {
	g, ok := s.groups.Get(id)
	if !ok {
		return nil, nil, groupNotFound(id)
	}
	o, err := s.undeleted(g.Org)
	return g, o, err
}

func (o *Org) groupNameFree(name string, id GroupID) error {
	if holder, taken := o.GroupNames.Get(foldName(name)); taken && holder != id {
		return Errorf(CodeExists, NameTaken, "a group of the organization is already named %q; choose another name", name)
	}
	return nil
}

// projectRoles checks roles in projects and sorts them. A project of another organization reads like none.
func (s *State) projectRoles(o *Org, wanted []ProjectRole) (list []ProjectRole, err error) {
	for _, w := range wanted {
		p, ok := s.projects.Get(w.Project)
		if !ok || p.Org != o.ID {
			return nil, projectNotFound(w.Project)
		}
		if p.Status == Deleted {
			return nil, inState(ProjectDeleted)
		}
		role, err := s.knownRole(o, "project_roles", w.Role)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(r ProjectRole) bool { return r.Project == w.Project }) {
			return nil, Invalidf("project_roles", InvalidField, "project %s is named twice", w.Project)
		}
		list = append(list, ProjectRole{w.Project, role})
	}
	slices.SortFunc(list, func(a, b ProjectRole) int { return strings.Compare(string(a.Project), string(b.Project)) })
	return list, nil
}

// enterable checks that users can be in a group of the organization, and sorts them.
func (s *State) enterable(o *Org, users []UserID) (ids []string, err error) {
	for _, id := range users {
		if err := s.grantable(id, o.ID); err != nil {
			return nil, err
		}
		ids = append(ids, string(id))
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// groupEvent answers an event of a group after looking at what it does: to the actor's ceiling, the quota and the owner. old is
// the group before.
func (s *State) groupEvent(by Actor, o *Org, e *eventv1.Event, old *Group, now time.Time) ([]*eventv1.Event, error) {
	after := *s
	after.evolve(e, nil, moment{Time: now})
	group, exists := after.groups.Get(GroupID(e.GroupId))
	if !exists {
		group = &Group{}
	}
	entered, left := difference(group.Members, old.Members), difference(old.Members, group.Members)
	rolesChange := group.Role != old.Role
	places := map[ProjectID]bool{} // those the group reaches, true if its role there changes
	for id, role := range group.Projects.All() {
		was, _ := old.Projects.Get(id)
		places[id] = was != role
	}
	for id := range old.Projects.All() {
		places[id] = places[id] || !group.Projects.Has(id)
	}
	affected := append(entered, left...)
	for _, changes := range places {
		rolesChange = rolesChange || changes
	}
	if rolesChange {
		affected = slices.Concat(affected, old.Members.Keys())
	}
	orgAfter, _ := after.orgs.Get(o.ID)
	look := func(project ProjectID, sets ...PermissionSet) error {
		at := Place{Org: o}
		if project != "" {
			at.Project, _ = s.projects.Get(project)
		}
		return s.withinCeiling(by, at, now, sets...)
	}
	if rolesChange || len(affected) > 0 {
		if group.Role != old.Role || len(entered)+len(left) > 0 {
			if err := look("", s.permissions(o, group.Role), s.permissions(o, old.Role)); err != nil {
				return nil, err
			}
		}
		for id, changes := range places {
			if !changes && len(entered)+len(left) == 0 {
				continue
			}
			was, _ := old.Projects.Get(id)
			is, _ := group.Projects.Get(id)
			if err := look(id, s.permissions(o, was), s.permissions(o, is)); err != nil {
				return nil, err
			}
		}
	}
	for _, user := range affected {
		m, _ := o.Members.Get(user)
		next, _ := orgAfter.Members.Get(user)
		for _, when := range m.moments(now) {
			was, is := s.orgRole(m, o, when), after.orgRole(next, orgAfter, when)
			if was.set != is.set {
				if err := look("", was.set, is.set); err != nil {
					return nil, err
				}
			}
			if (was.Role == "") != (is.Role == "") {
				// Overrides sleep, wake and end with the membership.
				for _, d := range s.overridesOf(o, user) {
					if err := look(d.project, s.permissions(o, d.grant.At(when))); err != nil {
						return nil, err
					}
				}
			}
			for id := range places {
				p, _ := s.projects.Get(id)
				before := s.underOverride(m, Place{o, p}, was)
				then := after.underOverride(next, Place{orgAfter, p}, is)
				if before.set != then.set {
					if err := look(id, before.set, then.set); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	if more := orgAfter.Members.Len() - o.Members.Len(); more > 0 {
		if err := s.roomForMembers(o, more); err != nil {
			return nil, err
		}
	}
	return one(e), nil
}

// difference are the keys of a that are not in b, in order.
func difference[K ~string, V any](a, b Table[K, V]) []K {
	return slices.DeleteFunc(a.Keys(), b.Has)
}

func (s *State) groupCreated(e *eventv1.Event, body *eventv1.GroupCreated, at moment) {
	g := &Group{ID: GroupID(e.GroupId), Org: OrgID(e.OrgIds[0]), Name: body.Name, Role: Role(body.Role), CreatedAt: at.Time, UpdatedAt: at.Time}
	for _, r := range body.ProjectRoles {
		g.Projects = g.Projects.With(ProjectID(r.ProjectId), Role(r.Role))
	}
	s.groups = s.groups.With(g.ID, g)
	s.editOrg(g.Org, func(o *Org) {
		o.Groups = o.Groups.With(g.ID, struct{}{})
		o.GroupNames = o.GroupNames.With(foldName(g.Name), g.ID)
	})
	for _, id := range body.UserIds {
		s.enterGroup(g.ID, UserID(id))
	}
}

func (s *State) groupUpdated(e *eventv1.Event, body *eventv1.GroupUpdated, at moment) {
	id := GroupID(e.GroupId)
	s.editGroup(id, func(g *Group) {
		g.UpdatedAt = at.Time
		if body.Name != nil {
			g.Name = body.Name.New
			s.changeOrg(e, func(o *Org) {
				o.GroupNames = o.GroupNames.Without(foldName(body.Name.Old)).With(foldName(body.Name.New), id)
			})
		}
		if body.Role != nil {
			g.Role = Role(body.Role.New)
		}
		for _, r := range body.ProjectRoles {
			if r.Role.New == "" {
				g.Projects = g.Projects.Without(ProjectID(r.ProjectId))
			} else {
				g.Projects = g.Projects.With(ProjectID(r.ProjectId), Role(r.Role.New))
			}
		}
	})
	for _, user := range body.AddedUserIds {
		s.enterGroup(id, UserID(user))
	}
	for _, user := range body.RemovedUserIds {
		s.leaveGroup(id, UserID(user))
	}
}

func (s *State) groupDeleted(e *eventv1.Event, body *eventv1.GroupDeleted) {
	id := GroupID(e.GroupId)
	g, ok := s.groups.Get(id)
	if !ok {
		panic(misfit("group " + e.GroupId))
	}
	for user := range g.Members.All() {
		s.leaveGroup(id, user)
	}
	s.groups = s.groups.Without(id)
	s.changeOrg(e, func(o *Org) {
		o.Groups = o.Groups.Without(id)
		o.GroupNames = o.GroupNames.Without(foldName(body.Name))
	})
}

func (s *State) enterGroup(id GroupID, user UserID) {
	var org OrgID
	s.editGroup(id, func(g *Group) {
		g.Members = g.Members.With(user, struct{}{})
		org = g.Org
	})
	s.setMember(org, user, func(m *Member) {
		m.Groups = append(slices.Clone(m.Groups), id)
		slices.Sort(m.Groups)
		m.Groups = slices.Compact(m.Groups)
	})
}

func (s *State) leaveGroup(id GroupID, user UserID) {
	var org OrgID
	s.editGroup(id, func(g *Group) {
		g.Members = g.Members.Without(user)
		org = g.Org
	})
	s.setMember(org, user, func(m *Member) {
		m.Groups = slices.DeleteFunc(slices.Clone(m.Groups), func(g GroupID) bool { return g == id })
	})
}

func (s *State) editGroup(id GroupID, change func(*Group)) {
	old, ok := s.groups.Get(id)
	if !ok {
		panic(misfit("group " + string(id)))
	}
	g := *old
	change(&g)
	s.groups = s.groups.With(id, &g)
}
