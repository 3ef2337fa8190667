package domain_test

import (
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// role is mostly one that the organization knows, in some spelling.
func (m *machine) role(t *rapid.T, o domain.OrgID) domain.Role {
	roles := append([]domain.Role{"none"}, weakestFirst...)
	if org := m.model.orgs[o]; org != nil && len(org.roles) > 0 && dice(t, "custom", 2) == 0 {
		roles = sorted(org.roles)
	}
	if seldom(t, "perhaps unknown") && seldom(t, "unknown") {
		roles = []domain.Role{"rx", "RY"}
	}
	return one(t, "role", roles)
}

func (m *machine) grant(t *rapid.T) {
	c := domain.GrantRole{ExpiresAt: m.until(t)}
	if dice(t, "in project", 2) == 0 {
		c.Project = m.project(t)
		o := m.model.projects[c.Project].org
		c.User, c.Role = m.member(t, o), m.role(t, o)
		m.give(t, c, manageMembers, place{org: o})
		return
	}
	c.Org = m.org(t)
	c.User, c.Role = m.user(t), m.role(t, c.Org)
	m.give(t, c, manageMembers, place{org: c.Org})
}

func (m *machine) revoke(t *rapid.T) {
	c := domain.RevokeRole{}
	if dice(t, "in project", 2) == 0 {
		c.Project = pickIf(t, "project", m.model.projects, func(_ domain.ProjectID, p *modelProject) bool { return len(p.overrides) > 0 })
		p := m.model.projects[c.Project]
		c.User = pickIf(t, "user", m.model.users, func(u domain.UserID, _ *modelUser) bool { return p.overrides[u] != domain.Grant{} })
		m.give(t, c, manageMembers, place{org: p.org})
		return
	}
	c.Org = m.org(t)
	c.User = pickIf(t, "user", m.model.users, func(u domain.UserID, _ *modelUser) bool { return m.model.orgs[c.Org].members[u] != domain.Grant{} })
	m.give(t, c, manageMembers, place{org: c.Org})
}

// memberCommand suspends and resumes, or lets somebody leave.
func (m *machine) memberCommand(t *rapid.T) {
	o := m.org(t)
	if dice(t, "leave", 4) == 0 {
		m.do(t, user(m.member(t, o)), domain.LeaveOrg{Org: o})
		return
	}
	if dice(t, "resume", 2) == 0 {
		o := pickIf(t, "organization with suspended", m.model.orgs, func(_ domain.OrgID, o *modelOrg) bool { return len(o.suspended) > 0 })
		if u, ok := find(t, "suspended", m.model.users, func(u domain.UserID, _ *modelUser) bool { return m.model.orgs[o].suspended[u] }); ok {
			m.give(t, domain.ResumeMember{Org: o, User: u}, manageMembers, place{org: o})
			return
		}
	}
	m.give(t, domain.SuspendMember{Org: o, User: m.member(t, o)}, manageMembers, place{org: o})
}

func some(t *rapid.T, what string, from []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 4, rapid.ID[string]).Draw(t, what)
}

func (m *machine) roleCommand(t *rapid.T) {
	o := m.org(t)
	inOrg := func(t *rapid.T) []string { return some(t, "organization permissions", orgSample) }
	inProject := func(t *rapid.T) []string { return some(t, "project permissions", projectSample) }
	if dice(t, "define", 3) == 0 {
		name := one(t, "name", []domain.Role{"RX", "RY", "RZ", "Owner"})
		m.give(t, domain.DefineRole{Org: o, Role: name, OrgPermissions: inOrg(t), ProjectPermissions: inProject(t)}, manageMembers, place{org: o})
		return
	}
	o = pickIf(t, "organization with roles", m.model.orgs, func(_ domain.OrgID, o *modelOrg) bool { return o.status == domain.Active && len(o.roles) > 0 })
	name := m.role(t, o)
	if roles := m.model.orgs[o].roles; len(roles) > 0 && often(t, "known") {
		name = pick(t, "name", roles)
	}
	if dice(t, "delete", 2) == 0 {
		m.give(t, domain.DeleteRole{Org: o, Role: name}, manageMembers, place{org: o})
		return
	}
	c := domain.UpdateRole{Org: o, Role: name, OrgPermissions: maybe(t, "organization", inOrg), ProjectPermissions: maybe(t, "project", inProject)}
	m.give(t, c, manageMembers, place{org: o})
}

func (m *machine) groupCommand(t *rapid.T) {
	what := dice(t, "what", 10)
	if what < 3 || len(m.model.groups) == 0 {
		c := domain.CreateGroup{ID: domain.GroupID(m.fresh("g")), Org: m.org(t), GroupName: name(t)}
		if len(m.model.groups) > 4 {
			c.GroupName = "a"
		}
		if often(t, "with a role") {
			c.Role = m.role(t, c.Org)
		}
		c.ProjectRoles, c.Users = m.projectRoles(t, c.Org), m.users(t)
		m.give(t, c, manageMembers, place{org: c.Org})
		return
	}
	id := pick(t, "group", m.model.groups)
	o := m.model.groups[id].org
	if what == 9 {
		m.give(t, domain.DeleteGroup{ID: id}, manageMembers, place{org: o})
		return
	}
	c := domain.UpdateGroup{ID: id}
	switch what {
	case 3:
		c.GroupName = new(name(t))
	case 4:
		c.Role = m.role(t, o)
	case 5:
		c.ProjectRoles = m.projectRoles(t, o)
	case 6:
		c.DropProjects = []domain.ProjectID{m.projectOf(t, o)}
	case 7:
		c.Add = append(m.users(t), m.user(t))
	default:
		c.Remove = []domain.UserID{pickIf(t, "member", m.model.users, func(u domain.UserID, _ *modelUser) bool { return m.model.groups[id].users[u] })}
	}
	m.give(t, c, manageMembers, place{org: o})
}

func (m *machine) projectRoles(t *rapid.T, o domain.OrgID) (roles []domain.ProjectRole) {
	for range dice(t, "projects", 3) {
		roles = append(roles, domain.ProjectRole{Project: m.projectOf(t, o), Role: m.role(t, o)})
	}
	return roles
}

func (m *machine) users(t *rapid.T) (users []domain.UserID) {
	for range dice(t, "users", 3) {
		users = append(users, m.user(t))
	}
	return users
}

func (m *machine) token() []byte {
	token := []byte(m.fresh("token"))
	m.tokens = append(m.tokens, token)
	return token
}

func (m *machine) invite(t *rapid.T) {
	email := m.email(t)
	c := domain.Invite{
		ID: domain.InvitationID(m.fresh("i")), Email: sealed("i", email), EmailDigest: []byte(email), ExpiresAt: m.until(t), TokenHash: m.token(),
	}
	if dice(t, "to a project", 2) == 0 {
		c.Project = m.project(t)
		o := m.model.projects[c.Project].org
		if c.ProjectRole = m.role(t, o); dice(t, "and the organization", 2) == 0 {
			c.Role = m.role(t, o)
		}
		m.give(t, c, levelled{domain.ProjectLevel, "projectMembers:CUD"}, place{o, c.Project})
		return
	}
	c.Org = m.org(t)
	c.Role = m.role(t, c.Org)
	m.give(t, c, manageMembers, place{org: c.Org})
}

func (m *machine) invitationCommand(t *rapid.T) {
	if len(m.model.invitations) == 0 {
		return
	}
	id := pickIf(t, "invitation", m.model.invitations, func(_ domain.InvitationID, i *modelInvitation) bool {
		return i.status == domain.InvitationPending && !over(i.expires, m.now)
	})
	i := m.model.invitations[id]
	manager := func(c domain.Command) {
		m.give(t, c, levelled{domain.ProjectLevel, "projectMembers:CUD"}, place{i.org, i.project})
	}
	invited := pickIf(t, "invited", m.people(), func(_ domain.UserID, u *modelUser) bool { return u.email == i.email })
	token := []byte(i.token)
	if !often(t, "right token") {
		token = one(t, "token", m.tokens)
	}
	switch dice(t, "what", 8) {
	case 0:
		manager(domain.RevokeInvitation{ID: id})
	case 1:
		manager(domain.ResendInvitation{ID: id, ExpiresAt: m.until(t), TokenHash: m.token()})
	case 2:
		m.do(t, user(invited), domain.DeclineInvitation{ID: id})
	case 3:
		m.give(t, domain.AcceptInvitation{ID: id, User: invited}, admin)
	default:
		m.do(t, user(invited), domain.AcceptInvitation{TokenHash: token})
	}
}
