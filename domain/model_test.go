package domain_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// model is what the state must say, by plain maps and brute force. It knows commands that were accepted, not events; what it
// says about permissions is recomputed from grants and groups at every question.
type model struct {
	orgs        map[domain.OrgID]*modelOrg
	projects    map[domain.ProjectID]*modelProject
	users       map[domain.UserID]*modelUser
	keys        map[domain.KeyID]*modelKey
	groups      map[domain.GroupID]*modelGroup
	invitations map[domain.InvitationID]*modelInvitation
	offers      map[domain.OfferID]*modelOffer
	plans       map[domain.PlanID]domain.Quotas
	planes      map[domain.DataPlaneID]modelPlane
	identities  map[string]domain.UserID
	admins      map[domain.UserID]bool
	own         map[levelled]domain.Role // the operator's permissions, and the weakest role that holds each
	policy      modelPolicy
	given       map[string]bool // by Init, once
	pepper      string
	format      uint32
}

type modelOrg struct {
	name      string
	status    domain.Status
	owned     bool // was ever
	members   map[domain.UserID]domain.Grant
	suspended map[domain.UserID]bool
	roles     map[domain.Role]permissions
	plan      domain.PlanID
	residency string
	plane     domain.DataPlaneID
}

type modelProject struct {
	org       domain.OrgID
	name      string
	deleted   bool
	overrides map[domain.UserID]domain.Grant
	offer     domain.OfferID // the last one, unless it was answered
}

type modelUser struct {
	status domain.UserStatus
	email  string // its digest
	home   domain.OrgID
}

type modelGroup struct {
	org      domain.OrgID
	name     string
	role     domain.Role
	projects map[domain.ProjectID]domain.Role
	users    map[domain.UserID]bool
}

type modelPlane struct {
	region    string
	dedicated bool
}

type modelPolicy struct {
	naming   domain.Naming
	creators domain.Creators
	signUp   []domain.SignUpGrant
}

func newModel() *model {
	return &model{
		orgs: map[domain.OrgID]*modelOrg{}, projects: map[domain.ProjectID]*modelProject{}, users: map[domain.UserID]*modelUser{},
		keys: map[domain.KeyID]*modelKey{}, groups: map[domain.GroupID]*modelGroup{},
		invitations: map[domain.InvitationID]*modelInvitation{}, offers: map[domain.OfferID]*modelOffer{},
		plans: map[domain.PlanID]domain.Quotas{}, planes: map[domain.DataPlaneID]modelPlane{},
		identities: map[string]domain.UserID{}, admins: map[domain.UserID]bool{}, own: map[levelled]domain.Role{}, given: map[string]bool{}, format: 1,
	}
}

type levelled struct {
	level domain.Level
	name  string
}

type permissions map[levelled]bool

// ofLevel are these names at a level.
func ofLevel(level domain.Level, names []string) permissions {
	set := permissions{}
	for _, name := range names {
		set[levelled{level, name}] = true
	}
	return set
}

// with is the union.
func (s permissions) with(o permissions) permissions {
	union := maps.Clone(s)
	maps.Copy(union, o)
	return union
}

// within tells whether each of these is one of those.
func (s permissions) within(o permissions) bool {
	for l := range s {
		if !o[l] {
			return false
		}
	}
	return true
}

// inProjects is the part that counts in projects.
func (s permissions) inProjects() permissions {
	part := maps.Clone(s)
	maps.DeleteFunc(part, func(l levelled, _ bool) bool { return l.level != domain.ProjectLevel })
	return part
}

// names are those of both levels, sorted, each once.
func (s permissions) names() []string {
	names := map[string]bool{}
	for l := range s {
		names[l.name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// tenures are Tenure's own permissions of each built-in role, from the table of permissions_test.go.
var tenures = sync.OnceValue(func() map[domain.Role]permissions {
	holds := map[domain.Role]permissions{}
	for _, r := range weakestFirst {
		holds[r] = ofLevel(domain.OrgLevel, listed(orgLevel, r)).with(ofLevel(domain.ProjectLevel, listed(projectLevel, r)))
	}
	return holds
})

// everything is what there is to hold.
func (m *model) everything() permissions {
	all := maps.Clone(tenures()[domain.Owner])
	for l := range m.own {
		all[l] = true
	}
	return all
}

func (m *model) exists(l levelled) bool {
	_, own := m.own[l]
	return own || tenures()[domain.Owner][l]
}

// gives tells whether a role of an organization holds a permission.
func (m *model) gives(o domain.OrgID, r domain.Role, l levelled) bool {
	from, own := m.own[l]
	switch {
	case !own && !tenures()[domain.Owner][l]:
		return false
	case !slices.Contains(weakestFirst, r):
		return m.orgs[o].roles[r][l]
	case own:
		return slices.Index(weakestFirst, r) >= slices.Index(weakestFirst, from)
	}
	return tenures()[r][l]
}

// givenBy is all that a role of an organization holds.
func (m *model) givenBy(o domain.OrgID, r domain.Role) permissions {
	set := m.everything()
	maps.DeleteFunc(set, func(l levelled, _ bool) bool { return !m.gives(o, r, l) })
	return set
}

// spelled is a role in the spelling it was made in; false if the organization does not know it.
func (m *model) spelled(o domain.OrgID, r domain.Role) (domain.Role, bool) {
	for _, known := range append(slices.Collect(maps.Keys(m.orgs[o].roles)), weakestFirst...) {
		if strings.EqualFold(string(known), string(r)) {
			return known, true
		}
	}
	return "", false
}

func over(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// granted are the roles that count for a user in an organization, or in a project of it, a suspension aside: the one that was
// granted to them, else those of their groups. until is when the grant ends.
func (m *model) granted(u domain.UserID, o domain.OrgID, p domain.ProjectID, now time.Time) (roles []domain.Role, until time.Time) {
	g, ok := m.orgs[o].members[u]
	if ok && !over(g.ExpiresAt, now) {
		roles, until = []domain.Role{g.Role}, g.ExpiresAt
	} else {
		for _, group := range m.groupsOf(u, o) {
			roles = append(roles, group.role)
		}
	}
	if len(roles) == 0 || p == "" {
		return roles, until
	}
	if g, ok := m.projects[p].overrides[u]; ok && !over(g.ExpiresAt, now) {
		return []domain.Role{g.Role}, g.ExpiresAt
	}
	var there []domain.Role
	for _, group := range m.groupsOf(u, o) {
		if r, ok := group.projects[p]; ok {
			there = append(there, r)
		}
	}
	if len(there) > 0 {
		return there, time.Time{}
	}
	return roles, until
}

func (m *model) groupsOf(u domain.UserID, o domain.OrgID) (list []*modelGroup) {
	for _, g := range m.groups {
		if g.org == o && g.users[u] {
			list = append(list, g)
		}
	}
	return list
}

func (m *model) isMember(u domain.UserID, o domain.OrgID) bool {
	_, granted := m.orgs[o].members[u]
	return granted || len(m.groupsOf(u, o)) > 0
}

// role is what EffectiveRole must name.
func (m *model) role(u domain.UserID, o domain.OrgID, p domain.ProjectID, now time.Time) domain.Role {
	role, ok := m.strongest(u, o, p, now)
	if ok && m.orgs[o].suspended[u] {
		return domain.None
	}
	return role
}

// strongest is the role that holds most of those that count, then a built-in one, then the first by name.
func (m *model) strongest(u domain.UserID, o domain.OrgID, p domain.ProjectID, now time.Time) (domain.Role, bool) {
	roles, _ := m.granted(u, o, p, now)
	if len(roles) == 0 {
		return "", false
	}
	return slices.MinFunc(roles, func(a, b domain.Role) int {
		custom := map[bool]int{true: 1}
		return cmp.Or(cmp.Compare(len(m.givenBy(o, b)), len(m.givenBy(o, a))),
			cmp.Compare(custom[!slices.Contains(weakestFirst, a)], custom[!slices.Contains(weakestFirst, b)]), cmp.Compare(a, b))
	}), true
}

// byRole tells whether roles give a user a permission at a place, the user's own state and that of the place aside.
func (m *model) byRole(u domain.UserID, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	if m.orgs[o].suspended[u] {
		return false
	}
	roles, _ := m.granted(u, o, p, now)
	return slices.ContainsFunc(roles, func(r domain.Role) bool { return m.gives(o, r, l) })
}

// heldBy are the permissions that roles give a user, a suspension aside; in a project those of its level.
func (m *model) heldBy(u domain.UserID, o domain.OrgID, p domain.ProjectID, now time.Time) permissions {
	set := permissions{}
	roles, _ := m.granted(u, o, p, now)
	for _, r := range roles {
		set = set.with(m.givenBy(o, r))
	}
	if p != "" {
		set = set.inProjects()
	}
	return set
}

func (m *model) isAdmin(a domain.Actor) bool {
	return a.Kind == domain.ActorInstance || a.Kind == domain.ActorUser && m.admins[a.User] && m.users[a.User].status == domain.UserActive
}

// holds tells whether an actor holds a permission at a place, states of the place aside.
func (m *model) holds(a domain.Actor, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	if !m.exists(l) || p != "" && l.level != domain.ProjectLevel {
		return false
	}
	if a.Key != "" {
		if k := m.keys[a.Key]; k.revoked || over(k.expires, now) || !k.holds[l] {
			return false
		}
	}
	switch {
	case m.isAdmin(a):
		return true
	case a.Kind == domain.ActorOrg:
		return a.Org == o
	case a.Kind == domain.ActorProject:
		return a.Project == p
	case a.Kind == domain.ActorUser:
		return m.byRole(a.User, l, o, p, now)
	}
	return false
}

// may is what Check must say.
func (m *model) may(a domain.Actor, l levelled, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	if !m.isAdmin(a) {
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

// mayGiveAll tells whether the actor may give all of a set; in a project only what is of its level counts.
func (m *model) mayGiveAll(a domain.Actor, set permissions, o domain.OrgID, p domain.ProjectID, now time.Time) bool {
	for l := range set {
		if (p == "" || l.level == domain.ProjectLevel) && !m.mayGive(a, l, o, p, now) {
			return false
		}
	}
	return true
}

// settle ends what has no membership to hold on to.
func (m *model) settle() {
	for id, o := range m.orgs {
		for u, g := range o.members {
			o.owned = o.owned || g.Role == domain.Owner && m.users[u].home == ""
		}
		maps.DeleteFunc(o.suspended, func(u domain.UserID, _ bool) bool { return !m.isMember(u, id) })
	}
	for _, p := range m.projects {
		maps.DeleteFunc(p.overrides, func(u domain.UserID, _ domain.Grant) bool { return !m.isMember(u, p.org) })
	}
}
