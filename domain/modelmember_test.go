package domain_test

import (
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure/domain"
)

type modelInvitation struct {
	email       string // its digest
	org         domain.OrgID
	project     domain.ProjectID
	role        domain.Role
	projectRole domain.Role
	status      domain.InvitationStatus
	token       string
	expires     time.Time
	user        domain.UserID // who accepted
}

func (m *model) applyMember(c domain.Command, by domain.Actor) {
	switch c := c.(type) {
	case domain.GrantRole:
		if c.Project != "" {
			p := m.projects[c.Project]
			role, _ := m.spelled(p.org, c.Role)
			p.overrides[c.User] = domain.Grant{Role: role, ExpiresAt: c.ExpiresAt}
			return
		}
		role, _ := m.spelled(c.Org, c.Role)
		m.orgs[c.Org].members[c.User] = domain.Grant{Role: role, ExpiresAt: c.ExpiresAt}
	case domain.RevokeRole:
		if c.Project != "" {
			delete(m.projects[c.Project].overrides, c.User)
			return
		}
		delete(m.orgs[c.Org].members, c.User)
	case domain.SuspendMember:
		m.orgs[c.Org].suspended[c.User] = true
	case domain.ResumeMember:
		delete(m.orgs[c.Org].suspended, c.User)
	case domain.LeaveOrg:
		delete(m.orgs[c.Org].members, by.User)
		for _, g := range m.groupsOf(by.User, c.Org) {
			delete(g.users, by.User)
		}
	case domain.CreateGroup:
		g := &modelGroup{
			org: c.Org, name: c.GroupName, role: m.roleOrNone(c.Org, c.Role), projects: map[domain.ProjectID]domain.Role{},
			users: map[domain.UserID]bool{},
		}
		m.groups[c.ID] = g
		m.changeGroup(g, c.ProjectRoles, c.Users)
	case domain.UpdateGroup:
		g := m.groups[c.ID]
		set(&g.name, c.GroupName)
		if c.Role != "" {
			g.role, _ = m.spelled(g.org, c.Role)
		}
		for _, p := range c.DropProjects {
			delete(g.projects, p)
		}
		for _, u := range c.Remove {
			delete(g.users, u)
		}
		m.changeGroup(g, c.ProjectRoles, c.Add)
	case domain.DeleteGroup:
		delete(m.groups, c.ID)
	}
}

func (m *model) changeGroup(g *modelGroup, roles []domain.ProjectRole, users []domain.UserID) {
	for _, r := range roles {
		g.projects[r.Project], _ = m.spelled(g.org, r.Role)
	}
	for _, u := range users {
		g.users[u] = true
	}
}

func (m *model) applyRole(c domain.Command, _ time.Time) {
	switch c := c.(type) {
	case domain.DefineRole:
		m.orgs[c.Org].roles[c.Role] = ofLevel(domain.OrgLevel, c.OrgPermissions).with(ofLevel(domain.ProjectLevel, c.ProjectPermissions))
	case domain.UpdateRole:
		o := m.orgs[c.Org]
		role, _ := m.spelled(c.Org, c.Role)
		if wanted := m.updated(c); !maps.Equal(wanted, m.givenBy(c.Org, role)) {
			o.roles[role] = wanted
		}
	case domain.DeleteRole:
		role, _ := m.spelled(c.Org, c.Role)
		delete(m.orgs[c.Org].roles, role)
	}
}

// updated is what a role would hold after a change.
func (m *model) updated(c domain.UpdateRole) permissions {
	role, _ := m.spelled(c.Org, c.Role)
	set := permissions{}
	for l := range m.givenBy(c.Org, role) {
		if l.level == domain.OrgLevel && c.OrgPermissions == nil || l.level == domain.ProjectLevel && c.ProjectPermissions == nil {
			set[l] = true
		}
	}
	if c.OrgPermissions != nil {
		set = set.with(ofLevel(domain.OrgLevel, *c.OrgPermissions))
	}
	if c.ProjectPermissions != nil {
		set = set.with(ofLevel(domain.ProjectLevel, *c.ProjectPermissions))
	}
	return set
}

func (m *model) applyInvitation(c domain.Command, by domain.Actor, now time.Time) {
	switch c := c.(type) {
	case domain.Invite:
		i := &modelInvitation{
			email: string(c.EmailDigest), org: c.Org, project: c.Project, status: domain.InvitationPending, token: string(c.TokenHash),
			expires: orDefault(c.ExpiresAt, now),
		}
		if c.Project != "" {
			i.org = m.projects[c.Project].org
			i.projectRole, _ = m.spelled(i.org, c.ProjectRole)
		}
		i.role = m.roleOrNone(i.org, c.Role)
		m.invitations[c.ID] = i
	case domain.AcceptInvitation:
		u := c.User
		if u == "" {
			u = by.User
		}
		m.accept(m.invitation(c.TokenHash, c.ID), u, now)
	case domain.DeclineInvitation:
		m.invitation(c.TokenHash, c.ID).status = domain.InvitationDeclined
	case domain.RevokeInvitation:
		m.invitations[c.ID].status = domain.InvitationRevoked
	case domain.ResendInvitation:
		i := m.invitations[c.ID]
		i.token, i.expires = string(c.TokenHash), orDefault(c.ExpiresAt, now)
	}
}

func orDefault(until, now time.Time) time.Time {
	if until.IsZero() {
		return now.Add(domain.DefaultInvitationAge)
	}
	return until
}

// invitation is the one with a token, else the one with an id.
func (m *model) invitation(token []byte, id domain.InvitationID) *modelInvitation {
	for _, i := range m.invitations {
		if len(token) > 0 && i.token == string(token) {
			return i
		}
	}
	return m.invitations[id]
}

// accept gives what adds to what the person has. Overrides that hold more than the invitation end with the membership that there
// was, if that had an end.
func (m *model) accept(i *modelInvitation, u domain.UserID, now time.Time) {
	if i.status == domain.InvitationAccepted {
		return
	}
	i.status, i.user = domain.InvitationAccepted, u
	if m.adds(u, i.org, "", i.role, now) {
		if end := m.orgs[i.org].members[u].ExpiresAt; !end.IsZero() && len(m.groupsOf(u, i.org)) == 0 {
			m.endOverrides(i, u, end, now)
		}
		m.orgs[i.org].members[u] = domain.Grant{Role: i.role}
	}
	p := m.projects[i.project]
	if p == nil || p.org != i.org || p.deleted || m.blocked(u, i.project, now) {
		return
	}
	if m.adds(u, i.org, i.project, i.projectRole, now) {
		p.overrides[u] = domain.Grant{Role: i.projectRole}
	}
}

func (m *model) endOverrides(i *modelInvitation, u domain.UserID, end, now time.Time) {
	for id, p := range m.projects {
		gives := m.givenBy(i.org, i.role)
		if id == i.project {
			gives = gives.with(m.givenBy(i.org, i.projectRole))
		}
		g, ok := p.overrides[u]
		if !ok || p.org != i.org || over(g.ExpiresAt, now) || m.givenBy(i.org, g.Role).inProjects().within(gives) {
			continue
		}
		if over(end, now) {
			delete(p.overrides, u)
		} else if g.ExpiresAt.IsZero() || g.ExpiresAt.After(end) {
			p.overrides[u] = domain.Grant{Role: g.Role, ExpiresAt: end}
		}
	}
}

// blocked tells whether an override or groups give a member NONE in a project.
func (m *model) blocked(u domain.UserID, id domain.ProjectID, now time.Time) bool {
	p := m.projects[id]
	g, ok := p.overrides[u]
	there := ok && !over(g.ExpiresAt, now) || slices.ContainsFunc(m.groupsOf(u, p.org), func(g *modelGroup) bool { return g.projects[id] != "" })
	role, _ := m.strongest(u, p.org, id, now)
	return there && role == domain.None
}

// adds tells whether a role for ever takes nothing away, neither now nor when a grant ends, and gives more, or longer.
func (m *model) adds(u domain.UserID, o domain.OrgID, p domain.ProjectID, r domain.Role, now time.Time) bool {
	gets := m.givenBy(o, r)
	if p != "" {
		gets = gets.inProjects()
	}
	ends := []time.Time{m.orgs[o].members[u].ExpiresAt}
	if p != "" {
		ends = append(ends, m.projects[p].overrides[u].ExpiresAt)
	}
	for _, end := range ends {
		if end.After(now) && !m.heldBy(u, o, p, end).within(gets) {
			return false
		}
	}
	roles, until := m.granted(u, o, p, now)
	had := m.heldBy(u, o, p, now)
	return len(roles) == 0 || had.within(gets) && (!maps.Equal(had, gets) || !until.IsZero())
}
