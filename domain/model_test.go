package domain_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// model is what the state must say, by plain maps and brute force. It knows commands that were accepted, not events; what it
// says about permissions is recomputed from the grants at every question.
type model struct {
	orgs     map[domain.OrgID]*modelOrg
	projects map[domain.ProjectID]*modelProject
	users    map[domain.UserID]*modelUser
	keys     map[domain.KeyID]*modelKey
}

type modelOrg struct {
	status  domain.Status
	owned   bool // was ever
	members map[domain.UserID]domain.Grant
}

type modelProject struct {
	org       domain.OrgID
	name      string
	deleted   bool
	overrides map[domain.UserID]domain.Grant
}

type modelUser struct {
	status domain.UserStatus
	email  string
}

type modelKey struct {
	minted    domain.Minted
	project   domain.ProjectID
	org       domain.OrgID
	user      domain.UserID
	names     []string // of permissions, sorted
	expires   time.Time
	revoked   bool
	successor domain.KeyID
}

func newModel() *model {
	return &model{
		orgs: map[domain.OrgID]*modelOrg{}, projects: map[domain.ProjectID]*modelProject{},
		users: map[domain.UserID]*modelUser{}, keys: map[domain.KeyID]*modelKey{},
	}
}

type levelled struct {
	level domain.Level
	name  string
}

// roleHolds are the permissions of each role, from the table of permissions_test.go.
var roleHolds = sync.OnceValue(func() map[domain.Role]map[levelled]bool {
	holds := map[domain.Role]map[levelled]bool{}
	for _, r := range weakestFirst {
		holds[r] = map[levelled]bool{}
		for _, name := range listed(orgLevel, r) {
			holds[r][levelled{domain.OrgLevel, name}] = true
		}
		for _, name := range listed(projectLevel, r) {
			holds[r][levelled{domain.ProjectLevel, name}] = true
		}
	}
	return holds
})

var everyName = sync.OnceValue(func() []string { return everywhere(domain.Owner) })

func over(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// role is what the grants give a user in an organization, or in a project of it.
func (m *model) role(u domain.UserID, o domain.OrgID, p domain.ProjectID, now time.Time) domain.Role {
	g, ok := m.orgs[o].members[u]
	if !ok || over(g.ExpiresAt, now) {
		return ""
	}
	if p != "" {
		if v, ok := m.projects[p].overrides[u]; ok && !over(v.ExpiresAt, now) {
			return v.Role
		}
	}
	return g.Role
}

// holds tells whether an actor holds a permission at a place, states of the place aside.
func (m *model) holds(a domain.Actor, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	if a.Key != "" {
		k := m.keys[a.Key]
		if k.revoked || over(k.expires, now) || !slices.Contains(k.names, l.name) || k.project != "" && l.level == domain.OrgLevel {
			return false
		}
	}
	switch a.Kind {
	case domain.ActorInstance:
		return true
	case domain.ActorOrg:
		return a.Org == o
	case domain.ActorProject:
		return a.Project == p && l.level == domain.ProjectLevel
	case domain.ActorUser:
		return roleHolds()[m.role(a.User, o, p, now)][l]
	}
	return false
}

// may is what Check must say.
func (m *model) may(a domain.Actor, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	if a.Kind != domain.ActorInstance {
		if m.orgs[o].status != domain.Active || p != "" && m.projects[p].deleted {
			return false
		}
		if a.Kind == domain.ActorUser && m.users[a.User].status != domain.UserActive {
			return false
		}
	}
	return m.holds(a, l, o, p, now)
}

// mayGive is the ceiling: what the actor holds in the project or through the organization.
func (m *model) mayGive(a domain.Actor, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	return m.holds(a, l, o, p, now) || m.holds(a, l, o, "", now)
}

// holdsAll tells whether the actor holds in an organization all that a role holds in a project.
func (m *model) holdsAll(a domain.Actor, r domain.Role, o domain.OrgID, now time.Time) bool {
	for l := range roleHolds()[r] {
		if l.level == domain.ProjectLevel && !m.holds(a, l, o, "", now) {
			return false
		}
	}
	return true
}

// mayPutInKey tells whether the actor may give a new key of the principal a permission of this name.
func (m *model) mayPutInKey(a domain.Actor, name string, c domain.CreateKey, now time.Time) bool {
	switch {
	case c.Project != "":
		return m.holds(a, levelled{domain.ProjectLevel, name}, m.projects[c.Project].org, c.Project, now) &&
			roleHolds()[domain.Owner][levelled{domain.ProjectLevel, name}]
	case c.Org != "" && c.User == "":
		return m.holds(a, levelled{domain.OrgLevel, name}, c.Org, "", now) || m.holds(a, levelled{domain.ProjectLevel, name}, c.Org, "", now)
	}
	return a.Key == "" || slices.Contains(m.keys[a.Key].names, name)
}

// good is whether VerifyKey must find a key valid.
func (m *model) good(k *modelKey, now time.Time) bool {
	if k.revoked || over(k.expires, now) {
		return false
	}
	switch {
	case k.project != "":
		p := m.projects[k.project]
		return !p.deleted && m.orgs[p.org].status == domain.Active
	case k.user != "":
		return m.users[k.user].status == domain.UserActive
	case k.org != "":
		return m.orgs[k.org].status == domain.Active
	}
	return true
}

// apply is what a command does that was accepted.
func (m *model) apply(c domain.Command, by domain.Actor, now time.Time) {
	switch c := c.(type) {
	case domain.RegisterUser:
		for _, u := range m.users {
			if u.email == string(c.EmailDigest) {
				return
			}
		}
		m.users[c.ID] = &modelUser{status: domain.UserActive, email: string(c.EmailDigest)}
	case domain.DeactivateUser:
		m.users[c.ID].status = domain.UserIsDeactivated
	case domain.ReactivateUser:
		m.users[c.ID].status = domain.UserActive
	case domain.EraseUser:
		m.users[c.ID] = &modelUser{status: domain.UserIsErased}
		for _, o := range m.orgs {
			delete(o.members, c.ID)
		}
		for _, p := range m.projects {
			delete(p.overrides, c.ID)
		}
		for _, k := range m.keys {
			k.revoked = k.revoked || k.user == c.ID
		}
	case domain.CreateOrg:
		o := &modelOrg{status: domain.Active, members: map[domain.UserID]domain.Grant{}}
		owner := c.Owner
		if owner == "" {
			owner = by.User
		}
		if owner != "" {
			o.members[owner], o.owned = domain.Grant{Role: domain.Owner}, true
		}
		m.orgs[c.ID] = o
	case domain.SuspendOrg:
		m.orgs[c.ID].status = domain.Suspended
	case domain.ResumeOrg:
		m.orgs[c.ID].status = domain.Active
	case domain.DeleteOrg:
		m.orgs[c.ID].status = domain.Deleted
	case domain.GrantRole:
		g := domain.Grant{Role: c.Role, ExpiresAt: c.ExpiresAt}
		if c.Project != "" {
			m.projects[c.Project].overrides[c.User] = g
			return
		}
		m.orgs[c.Org].members[c.User] = g
		m.orgs[c.Org].owned = m.orgs[c.Org].owned || c.Role == domain.Owner
	case domain.RevokeRole:
		if c.Project != "" {
			delete(m.projects[c.Project].overrides, c.User)
			return
		}
		delete(m.orgs[c.Org].members, c.User)
		for _, p := range m.projects {
			if p.org == c.Org {
				delete(p.overrides, c.User)
			}
		}
	case domain.CreateProject:
		m.projects[c.ID] = &modelProject{org: c.Org, name: c.ProjectName, overrides: map[domain.UserID]domain.Grant{}}
	case domain.UpdateProject:
		m.projects[c.ID].name = *c.ProjectName
	case domain.DeleteProject:
		m.projects[c.ID].deleted = true
	case domain.RestoreProject:
		if p := m.projects[c.ID]; p.deleted {
			p.deleted = false
			if c.NewName != nil {
				p.name = *c.NewName
			}
		}
	case domain.TransferProject:
		p := m.projects[c.ID]
		maps.DeleteFunc(p.overrides, func(u domain.UserID, g domain.Grant) bool {
			return !c.KeepOverrides || m.role(u, p.org, "", now) == "" || m.role(u, c.Target, "", now) == "" ||
				!m.holdsAll(by, g.Role, c.Target, now)
		})
		if p.org = c.Target; c.NewName != nil {
			p.name = *c.NewName
		}
	default:
		m.applyKey(c, by, now)
	}
}

func (m *model) applyKey(c domain.Command, by domain.Actor, now time.Time) {
	switch c := c.(type) {
	case domain.CreateKey:
		k := &modelKey{minted: c.Minted, project: c.Project, org: c.Org, user: c.User, expires: c.ExpiresAt}
		if k.names = slices.Sorted(slices.Values(c.Permissions)); len(k.names) == 0 {
			for _, name := range everyName() {
				if m.mayPutInKey(by, name, c, now) {
					k.names = append(k.names, name)
				}
			}
		}
		m.keys[c.Minted.ID] = k
	case domain.UpdateKey:
		k := m.keys[c.ID]
		if c.Permissions != nil {
			k.names = slices.Sorted(slices.Values(*c.Permissions))
		}
		if c.ExpiresAt != nil {
			k.expires = *c.ExpiresAt
		}
	case domain.RotateKey:
		k := m.keys[c.ID]
		next := *k
		next.minted = c.Successor
		m.keys[c.Successor.ID] = &next
		if end := now.Add(c.Grace); k.expires.IsZero() || end.Before(k.expires) {
			k.expires = end
		}
		k.successor = c.Successor.ID
	case domain.RevokeKey:
		m.keys[c.ID].revoked = true
	}
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
