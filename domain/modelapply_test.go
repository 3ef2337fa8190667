package domain_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// apply is what a command does that was accepted.
func (m *model) apply(c domain.Command, by domain.Actor, now time.Time) {
	m.applyOrg(c, by)
	m.applyProject(c)
	m.applyUser(c)
	m.applyInstance(c)
	m.applyMember(c, by)
	m.applyRole(c, now)
	m.applyInvitation(c, by, now)
	m.applyTransfer(c, by, now)
	m.applyKey(c, by, now)
	m.settle()
}

func (m *model) applyOrg(c domain.Command, by domain.Actor) {
	switch c := c.(type) {
	case domain.CreateOrg:
		owner := c.Owner
		if owner == "" && !m.isAdmin(by) {
			owner = by.User
		}
		o := m.newOrg(c.ID, c.OrgName, c.Residency)
		if owner != "" {
			o.members[owner] = domain.Grant{Role: domain.Owner}
		}
	case domain.UpdateOrg:
		set(&m.orgs[c.ID].name, c.OrgName)
		set(&m.orgs[c.ID].residency, c.Residency)
	case domain.SuspendOrg:
		m.orgs[c.ID].status = domain.Suspended
	case domain.ResumeOrg:
		m.orgs[c.ID].status = domain.Active
	case domain.DeleteOrg:
		m.orgs[c.ID].status = domain.Deleted
	case domain.SetPlan:
		m.orgs[c.Org].plan = c.Plan
	case domain.PlaceOrg:
		m.orgs[c.Org].plane = c.DataPlane
	}
}

func (m *model) newOrg(id domain.OrgID, name, residency string) *modelOrg {
	m.orgs[id] = &modelOrg{
		name: name, residency: residency, status: domain.Active, members: map[domain.UserID]domain.Grant{},
		suspended: map[domain.UserID]bool{}, roles: map[domain.Role]permissions{},
	}
	return m.orgs[id]
}

func set[T any](to, wanted *T) {
	if wanted != nil {
		*to = *wanted
	}
}

func (m *model) applyProject(c domain.Command) {
	switch c := c.(type) {
	case domain.CreateProject:
		m.newProject(c.ID, c.Org, c.ProjectName)
	case domain.UpdateProject:
		set(&m.projects[c.ID].name, c.ProjectName)
	case domain.DeleteProject:
		m.projects[c.ID].deleted = true
	case domain.RestoreProject:
		if p := m.projects[c.ID]; p.deleted {
			p.deleted = false
			set(&p.name, c.NewName)
		}
	}
}

func (m *model) newProject(id domain.ProjectID, o domain.OrgID, name string) {
	m.projects[id] = &modelProject{org: o, name: name, overrides: map[domain.UserID]domain.Grant{}}
}

func (m *model) applyUser(c domain.Command) {
	switch c := c.(type) {
	case domain.RegisterUser:
		if _, known := m.byEmail(c.EmailDigest); !known {
			m.users[c.ID] = &modelUser{status: domain.UserActive, email: string(c.EmailDigest)}
			m.signUp(c.ID)
		}
	case domain.CreateServiceAccount:
		m.users[c.ID] = &modelUser{status: domain.UserActive, home: c.Org}
		m.orgs[c.Org].members[c.ID] = domain.Grant{Role: m.roleOrNone(c.Org, c.Role)}
	case domain.UpdateUser:
		if c.Email != nil {
			m.users[c.ID].email = string(c.EmailDigest)
		}
	case domain.DeactivateUser:
		m.users[c.ID].status = domain.UserIsDeactivated
	case domain.ReactivateUser:
		m.users[c.ID].status = domain.UserActive
	case domain.EraseUser:
		m.users[c.ID] = &modelUser{status: domain.UserIsErased, home: m.users[c.ID].home}
		for _, o := range m.orgs {
			delete(o.members, c.ID)
		}
		for _, g := range m.groups {
			delete(g.users, c.ID)
		}
		for _, k := range m.keys {
			k.revoked = k.revoked || k.user == c.ID
		}
		delete(m.admins, c.ID)
		maps.DeleteFunc(m.identities, func(_ string, u domain.UserID) bool { return u == c.ID })
	case domain.LinkIdentity:
		m.identities[string(c.Digest)] = c.ID
	case domain.UnlinkIdentity:
		if m.identities[string(c.Digest)] == c.ID {
			delete(m.identities, string(c.Digest))
		}
	}
}

func (m *model) byEmail(digest []byte) (domain.UserID, bool) {
	for id, u := range m.users {
		if u.email != "" && u.email == string(digest) {
			return id, true
		}
	}
	return "", false
}

// signUp gives a new person what the policy says, as far as it is still there and there is room.
func (m *model) signUp(u domain.UserID) {
	before := map[domain.OrgID]bool{}
	for id := range m.orgs {
		before[id] = m.room(id, m.count(id, time.Time{}).members+1, quotaOfMembers)
	}
	for _, g := range m.policy.signUp {
		role, known := m.spelled(g.Org, g.Role)
		if !known || m.orgs[g.Org].status != domain.Active || !before[g.Org] {
			continue
		}
		m.orgs[g.Org].members[u] = domain.Grant{Role: role}
		p := m.projects[g.Project]
		if p == nil || p.org != g.Org || p.deleted {
			continue
		}
		if role, known := m.spelled(g.Org, g.ProjectRole); known {
			p.overrides[u] = domain.Grant{Role: role}
		}
	}
}

func (m *model) roleOrNone(o domain.OrgID, r domain.Role) domain.Role {
	if r == "" {
		return domain.None
	}
	r, _ = m.spelled(o, r)
	return r
}

func (m *model) applyInstance(c domain.Command) {
	switch c := c.(type) {
	case domain.CreateInstance:
		if m.pepper == "" {
			m.pepper = c.Pepper
		}
	case domain.IntroducePepper:
		m.pepper = c.Pepper
	case domain.RaiseFormat:
		m.format = max(m.format, c.To)
	case domain.ExtendCatalog:
		m.own = map[levelled]domain.Role{}
		for _, e := range c.Own {
			m.own[levelled{e.Level, e.Name}] = e.From
		}
	case domain.GrantInstanceAdmin:
		m.admins[c.User] = true
	case domain.RevokeInstanceAdmin:
		delete(m.admins, c.User)
	case domain.DefinePlan:
		m.plans[c.ID] = c.Quotas
	case domain.RegisterDataPlane:
		m.planes[c.ID] = modelPlane{c.Region, c.Dedicated}
	case domain.UpdatePolicy:
		m.updatePolicy(c)
	case domain.Init:
		m.applyInit(c)
	}
}

func (m *model) updatePolicy(c domain.UpdatePolicy) {
	set(&m.policy.naming, c.Naming)
	set(&m.policy.creators, c.Creators)
	if c.SignUp != nil {
		m.policy.signUp = nil
		for _, g := range *c.SignUp {
			g.Role, _ = m.spelled(g.Org, g.Role)
			if g.Project != "" {
				g.ProjectRole, _ = m.spelled(g.Org, g.ProjectRole)
			}
			m.policy.signUp = append(m.policy.signUp, g)
		}
	}
}

// once tells whether Init gives something that it never gave.
func (m *model) once(what string) bool {
	before := m.given[what]
	m.given[what] = true
	return !before
}

func (m *model) applyInit(c domain.Init) {
	m.initTenancy(c)
	if grants := m.toGive(c.SignUp); len(grants) > 0 && m.once("sign_up") {
		m.updatePolicy(domain.UpdatePolicy{SignUp: &grants})
	}
	if c.Creators != nil && m.once("creators") {
		m.updatePolicy(domain.UpdatePolicy{Creators: c.Creators})
	}
}

// toGive is what there is to give to new people.
func (m *model) toGive(wanted *[]domain.SignUpGrant) (list []domain.SignUpGrant) {
	if wanted == nil {
		return nil
	}
	for _, g := range *wanted {
		o, p := m.orgs[g.Org], m.projects[g.Project]
		if o == nil || o.status == domain.Deleted || g.Project != "" && (p == nil || p.org != g.Org) {
			continue
		}
		_, known := m.spelled(g.Org, g.Role)
		if _, knownThere := m.spelled(g.Org, g.ProjectRole); known && (knownThere || g.Project == "") {
			list = append(list, g)
		}
	}
	return list
}

func (m *model) initTenancy(c domain.Init) {
	if c.Org == "" {
		return
	}
	if m.orgs[c.Org] == nil {
		m.newOrg(c.Org, c.OrgName, "")
	}
	o := m.orgs[c.Org]
	if o.status == domain.Deleted {
		return
	}
	if c.User != "" {
		u, known := m.byEmail(c.EmailDigest)
		if !known {
			u = c.User
			m.users[u] = &modelUser{status: domain.UserActive, email: string(c.EmailDigest)}
		}
		if m.once("owner "+string(c.Org)+" "+string(u)) && !m.isMember(u, c.Org) && m.users[u].status == domain.UserActive {
			o.members[u] = domain.Grant{Role: domain.Owner}
		}
	}
	if c.Project == "" {
		return
	}
	if m.projects[c.Project] == nil && !slices.Contains(m.namesIn(c.Org), strings.ToLower(c.ProjectName)) {
		m.newProject(c.Project, c.Org, c.ProjectName)
	}
	p := m.projects[c.Project]
	if p == nil || p.org != c.Org || p.deleted || c.Key.Public == "" || m.taken(c.Key) || !m.once("key "+c.Key.Public) {
		return
	}
	m.keys[c.Key.ID] = newModelKey(c.Key, c.Project, "", "", time.Time{}, m.everything().inProjects())
}

// namesIn are the names of the active projects of an organization, folded.
func (m *model) namesIn(o domain.OrgID) (names []string) {
	for _, p := range m.projects {
		if p.org == o && !p.deleted {
			names = append(names, strings.ToLower(p.name))
		}
	}
	slices.Sort(names)
	return names
}

// groupNamesIn are the names of the groups of an organization, folded.
func (m *model) groupNamesIn(o domain.OrgID) (names []string) {
	for _, g := range m.groups {
		if g.org == o {
			names = append(names, strings.ToLower(g.name))
		}
	}
	slices.Sort(names)
	return names
}

// counts are what quotas bound.
type counts struct{ projects, members, keys int }

func (m *model) count(o domain.OrgID, now time.Time) (n counts) {
	n.projects = len(m.namesIn(o))
	for u := range m.users {
		if m.isMember(u, o) {
			n.members++
		}
	}
	for _, k := range m.keys {
		in := k.org
		if p := m.projects[k.project]; p != nil && !p.deleted {
			in = p.org
		}
		if in == o && !k.revoked && !over(k.expires, now) {
			n.keys++
		}
	}
	return n
}

func quotaOfProjects(q domain.Quotas) domain.Quota { return q.Projects }
func quotaOfMembers(q domain.Quotas) domain.Quota  { return q.Members }
func quotaOfKeys(q domain.Quotas) domain.Quota     { return q.Keys }

// room tells whether the plan of an organization has room for so many.
func (m *model) room(o domain.OrgID, n int, of func(domain.Quotas) domain.Quota) bool {
	q := of(m.plans[m.orgs[o].plan])
	return !q.Bound || n <= int(q.Max)
}
