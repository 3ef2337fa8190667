package domain_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// dice is a number below n, all as often: rapid's own generators prefer the first ones.
func dice(t *rapid.T, what string, n int) int {
	return rapid.Custom(func(t *rapid.T) (drawn int) {
		for i := 1; i < 8*n; i *= 2 {
			drawn *= 2
			if rapid.Bool().Draw(t, "bit") {
				drawn++
			}
		}
		return drawn % n
	}).Draw(t, what)
}

func one[V any](t *rapid.T, what string, from []V) V { return from[dice(t, what, len(from))] }

// manageMembers is what most commands about members need.
var manageMembers = need("organizationMembers:CUD")

func pick[K ~string, V any](t *rapid.T, what string, from map[K]V) K {
	return one(t, what, sorted(from))
}

// find picks one that fits.
func find[K ~string, V any](t *rapid.T, what string, from map[K]V, fits func(K, V) bool) (K, bool) {
	fitting := maps.Clone(from)
	maps.DeleteFunc(fitting, func(k K, v V) bool { return !fits(k, v) })
	if len(fitting) == 0 {
		var none K
		return none, false
	}
	return pick(t, what, fitting), true
}

// pickIf picks mostly from those that fit.
func pickIf[K ~string, V any](t *rapid.T, what string, from map[K]V, fits func(K, V) bool) K {
	if often(t, what+" that fits") {
		if k, ok := find(t, what, from, fits); ok {
			return k
		}
	}
	return pick(t, what, from)
}

func often(t *rapid.T, what string) bool { return dice(t, what, 6) > 0 }

// seldom is for what would end too much.
func seldom(t *rapid.T, what string) bool { return dice(t, what, 4) == 0 }

// need is the permission that a command needs; admin is for commands of instance admins.
func need(name string) levelled { return levelled{domain.OrgLevel, name} }

var admin levelled

// give gives a command: of the instance, of somebody who may give it at all of these places, or of anybody.
func (m *machine) give(t *rapid.T, c domain.Command, l levelled, places ...place) {
	able := m.actors()
	maps.DeleteFunc(able, func(_ string, a domain.Actor) bool {
		return l == admin && !m.model.isAdmin(a) || slices.ContainsFunc(places, func(at place) bool { return !m.model.mayGive(a, l, at.org, at.project, m.now) })
	})
	from := "instance able able able able anybody"
	if l == admin {
		from = "instance instance instance able anybody"
	}
	switch who := one(t, "actor", words(from)); {
	case who == "instance":
		m.do(t, instance, c)
	case who == "able" && len(able) > 0:
		m.do(t, able[pick(t, "by", able)], c)
	default:
		all := m.actors()
		m.do(t, all[pick(t, "by", all)], c)
	}
}

type place struct {
	org     domain.OrgID
	project domain.ProjectID
}

// actors are all who can call: people, and keys, which are what service accounts call with.
func (m *machine) actors() map[string]domain.Actor {
	all := map[string]domain.Actor{}
	for u, account := range m.model.users {
		if account.home == "" {
			all["user "+string(u)] = user(u)
		}
	}
	for id := range m.model.keys {
		k, _ := m.state.Key(id)
		all["key "+string(id)] = domain.KeyActor(k, "basic")
	}
	return all
}

func (m *machine) until(t *rapid.T) time.Time {
	if d := one(t, "until", []time.Duration{0, 0, 0, hour, hour, 24 * hour, 24 * hour, -1}); d != 0 {
		return m.now.Add(d)
	}
	return time.Time{}
}

// name is one of few, so that they clash.
func name(t *rapid.T) string { return one(t, "name", words("a A b B c d")) }

func maybe[T any](t *rapid.T, what string, value func(*rapid.T) T) *T {
	if dice(t, what, 2) == 0 {
		return new(value(t))
	}
	return nil
}

func region(t *rapid.T) string { return one(t, "region", words("eu eu-west us")) }

// org is mostly one that is in use.
func (m *machine) org(t *rapid.T) domain.OrgID {
	return pickIf(t, "org", m.model.orgs, func(_ domain.OrgID, o *modelOrg) bool { return o.status == domain.Active })
}

// project is mostly one that is in use.
func (m *machine) project(t *rapid.T) domain.ProjectID {
	return pickIf(t, "project", m.model.projects, func(id domain.ProjectID, p *modelProject) bool { return m.model.usable(p.org, id) })
}

// otherOrg is mostly one in use that a project is not in.
func (m *machine) otherOrg(t *rapid.T, p domain.ProjectID) domain.OrgID {
	return pickIf(t, "target", m.model.orgs, func(id domain.OrgID, o *modelOrg) bool {
		return o.status == domain.Active && id != m.model.projects[p].org
	})
}

// projectOf is mostly one of the organization.
func (m *machine) projectOf(t *rapid.T, o domain.OrgID) domain.ProjectID {
	return pickIf(t, "project", m.model.projects, func(_ domain.ProjectID, p *modelProject) bool { return p.org == o && !p.deleted })
}

func (m *machine) user(t *rapid.T) domain.UserID {
	return pickIf(t, "user", m.model.users, func(_ domain.UserID, u *modelUser) bool { return u.status == domain.UserActive })
}

// member is mostly one of the organization.
func (m *machine) member(t *rapid.T, o domain.OrgID) domain.UserID {
	return pickIf(t, "member", m.model.users, func(u domain.UserID, _ *modelUser) bool { return m.model.isMember(u, o) })
}

func (m *machine) orgCommand(t *rapid.T) {
	id := m.org(t)
	switch dice(t, "what", 8) {
	case 0, 1:
		c := domain.CreateOrg{ID: domain.OrgID(m.fresh("o")), Chosen: seldom(t, "chosen"), OrgName: name(t)}
		if len(m.model.orgs) > 4 {
			c.ID = id
		}
		if seldom(t, "bound") {
			c.Residency = region(t)
		}
		by := pick(t, "by", m.people())
		c.EmailDigest = []byte(m.model.users[by].email)
		c.EmailDomain = domainOf(m.model.users[by].email)
		if seldom(t, "by the instance") {
			c.Owner = m.user(t)
			m.do(t, instance, c)
			return
		}
		m.do(t, user(by), c)
	case 2, 3:
		c := domain.UpdateOrg{ID: id, OrgName: maybe(t, "renamed", name), Residency: maybe(t, "bound", func(t *rapid.T) string {
			return one(t, "residency", []string{"", "eu", "us"})
		})}
		m.give(t, c, need("organization:update"), place{org: id})
	case 4:
		c := domain.DeleteOrg{ID: id, Cascade: often(t, "cascade")}
		if dice(t, "delete", 2) == 0 {
			m.give(t, c, need("organization:delete"), place{org: id})
		}
	default:
		if suspended, ok := find(t, "suspended", m.model.orgs, func(_ domain.OrgID, o *modelOrg) bool { return o.status == domain.Suspended }); ok {
			m.give(t, domain.ResumeOrg{ID: suspended}, admin)
			return
		}
		m.give(t, domain.SuspendOrg{ID: id}, admin)
	}
}

func (m *machine) people() map[domain.UserID]*modelUser {
	people := maps.Clone(m.model.users)
	maps.DeleteFunc(people, func(_ domain.UserID, u *modelUser) bool { return u.home != "" })
	return people
}

// placement is about plans and data planes.
func (m *machine) placement(t *rapid.T) {
	id := m.org(t)
	plan := one(t, "plan", []domain.PlanID{"free", "pro"})
	plane := one(t, "data plane", []domain.DataPlaneID{"d0", "d1", "d2"})
	switch dice(t, "what", 5) {
	case 0:
		quota := func(what string, from int) domain.Quota { return bound(uint32(from + dice(t, what, 4))) }
		c := domain.DefinePlan{ID: plan, PlanName: "plan"}
		if often(t, "bounded") {
			c.Quotas = domain.Quotas{Projects: quota("projects", 0), Members: quota("members", 2), Keys: quota("keys", 1)}
		}
		m.give(t, c, admin)
	case 1:
		if seldom(t, "none") {
			plan = ""
		}
		m.give(t, domain.SetPlan{Org: id, Plan: plan}, admin)
	case 2:
		m.give(t, domain.RegisterDataPlane{ID: plane, Region: region(t), Dedicated: dice(t, "dedicated", 2) == 0}, admin)
	default:
		if seldom(t, "none") {
			plane = ""
		}
		m.give(t, domain.PlaceOrg{Org: id, DataPlane: plane}, admin)
	}
}

func (m *machine) projectCommand(t *rapid.T) {
	id := m.project(t)
	o := m.model.projects[id].org
	project := func(name string) levelled { return levelled{domain.ProjectLevel, name} }
	switch dice(t, "what", 6) {
	case 0, 1:
		c := domain.CreateProject{ID: domain.ProjectID(m.fresh("p")), Org: m.org(t), ProjectName: name(t)}
		if len(m.model.projects) > 5 {
			c.ID = id
		}
		m.give(t, c, need("projects:create"), place{org: c.Org})
	case 2:
		m.give(t, domain.DeleteProject{ID: id}, project("project:delete"), place{o, id})
	case 3, 4:
		id := pickIf(t, "deleted", m.model.projects, func(_ domain.ProjectID, p *modelProject) bool { return p.deleted })
		m.give(t, domain.RestoreProject{ID: id, NewName: maybe(t, "renamed", name)}, project("project:delete"), place{m.model.projects[id].org, id})
	default:
		m.give(t, domain.UpdateProject{ID: id, ProjectName: new(name(t))}, project("project:update"), place{o, id})
	}
}

func (m *machine) transfer(t *rapid.T) {
	c := domain.TransferProject{ID: m.project(t), NewName: maybe(t, "renamed", name), KeepOverrides: dice(t, "keep", 2) == 0}
	c.Target = m.otherOrg(t, c.ID)
	m.give(t, c, need("projects:transfer_org"), place{org: c.Target}, place{org: m.model.projects[c.ID].org})
}

func (m *machine) offer(t *rapid.T) {
	waiting := func(_ domain.OfferID, o *modelOffer) bool {
		return o.status == domain.OfferPending && !over(o.expires, m.now)
	}
	id, ok := find(t, "waiting", m.model.offers, waiting)
	if !ok || seldom(t, "another") {
		c := domain.OfferTransfer{ID: domain.OfferID(m.fresh("x")), Project: m.project(t), ExpiresAt: m.until(t)}
		c.Target = m.otherOrg(t, c.Project)
		if seldom(t, "nowhere") && seldom(t, "really nowhere") {
			c.Target = "nowhere"
		}
		m.give(t, c, need("projects:transfer_org"), place{org: m.model.projects[c.Project].org})
		return
	}
	if !often(t, "waits") {
		id = pick(t, "offer", m.model.offers)
	}
	o := m.model.offers[id]
	if m.model.orgs[o.target] == nil {
		m.give(t, domain.CancelTransfer{ID: id}, need("projects:transfer_org"), place{org: o.source})
		return
	}
	switch dice(t, "what", 8) {
	case 0, 1:
		m.give(t, domain.DeclineTransfer{ID: id}, need("projects:transfer_org"), place{org: o.target})
	case 2:
		m.give(t, domain.CancelTransfer{ID: id}, need("projects:transfer_org"), place{org: o.source})
	default:
		c := domain.AcceptTransfer{ID: id, NewName: maybe(t, "renamed", name), KeepOverrides: dice(t, "keep", 2) == 0}
		m.give(t, c, need("projects:transfer_org"), place{org: o.target})
	}
}

func (m *machine) instanceCommand(t *rapid.T) {
	switch dice(t, "what", 12) {
	case 0, 1, 11:
		m.give(t, domain.GrantInstanceAdmin{User: m.user(t)}, admin)
	case 2, 3:
		if id, ok := find(t, "admin", m.model.admins, func(domain.UserID, bool) bool { return true }); ok {
			m.give(t, domain.RevokeInstanceAdmin{User: id}, admin)
			return
		}
		m.give(t, domain.RevokeInstanceAdmin{User: m.user(t)}, admin)
	case 4, 5, 6:
		m.give(t, m.policy(t), admin)
	case 7:
		m.do(t, system, domain.IntroducePepper{Pepper: one(t, "pepper", words("pep pep2"))})
	case 8:
		m.do(t, system, domain.CreateInstance{LogID: "other", Pepper: "other"})
	default:
		c := domain.ExtendCatalog{}
		for _, e := range []domain.CatalogEntry{
			{Level: domain.OrgLevel, Name: "own:both"}, {Level: domain.ProjectLevel, Name: "own:both"}, {Level: domain.OrgLevel, Name: "own:org"},
		} {
			if e.From = one(t, "from", append([]domain.Role{""}, weakestFirst...)); e.From != "" {
				c.Own = append(c.Own, e)
			}
		}
		m.do(t, system, c)
	}
}

func (m *machine) policy(t *rapid.T) domain.UpdatePolicy {
	c := domain.UpdatePolicy{}
	switch dice(t, "part", 3) {
	case 0:
		c.Naming = &domain.Naming{
			OrgPattern:     one(t, "orgs", []string{"", "^[a-cA-C]$"}),
			ProjectPattern: one(t, "projects", []string{"", "^[a-z]$"}), WarnOnly: seldom(t, "warn"),
		}
	case 1:
		c.Creators = m.creators(t)
	default:
		c.SignUp = m.signUp(t)
	}
	return c
}

func (m *machine) creators(t *rapid.T) *domain.Creators {
	c := domain.Creators{Who: one(t, "creators", []domain.OrgCreators{
		domain.CreatorsEveryone, domain.CreatorsListed, domain.CreatorsAdmins,
	})}
	if c.Who == domain.CreatorsListed {
		c.Domains, c.Emails = []string{"EVEN.EXAMPLE"}, [][]byte{[]byte(m.email(t))}
	}
	return &c
}

func (m *machine) signUp(t *rapid.T) *[]domain.SignUpGrant {
	var grants []domain.SignUpGrant
	for range dice(t, "grants", 3) {
		g := domain.SignUpGrant{Org: m.org(t)}
		g.Role = m.role(t, g.Org)
		if dice(t, "in project", 2) == 0 {
			g.Project, g.ProjectRole = m.projectOf(t, g.Org), m.role(t, g.Org)
		}
		grants = append(grants, g)
	}
	return &grants
}

// init is given twice: the second time nothing is left to do.
func (m *machine) init(t *rapid.T) {
	if !seldom(t, "init") {
		return
	}
	email := m.email(t)
	c := domain.Init{
		Org: m.org(t), OrgName: name(t), Project: m.project(t), ProjectName: name(t), User: domain.UserID(m.fresh("u")), Email: sealed("init", email),
		EmailDigest: []byte(email), Key: minted(domain.KeyID(m.fresh("k"))),
	}
	if len(m.model.orgs) < 5 && seldom(t, "new org") {
		c.Org = domain.OrgID(m.fresh("o"))
	}
	if len(m.model.projects) < 6 && dice(t, "new project", 2) == 0 {
		c.Project = domain.ProjectID(m.fresh("p"))
	}
	if len(m.model.users) > 7 {
		c.User = ""
	}
	if len(m.model.keys) > 9 {
		c.Key.Public = ""
	}
	switch dice(t, "with", 6) {
	case 0:
		c.SignUp = m.signUp(t)
	case 1:
		c.Creators = m.creators(t)
	}
	m.do(t, system, c)
	if again, err := domain.Decide(m.state, c, ruleOf(c), system, m.now); err == nil && len(again) > 0 {
		t.Fatalf("init again: %+v", again)
	}
}

// emails are few, so that they clash.
func (m *machine) email(t *rapid.T) string {
	return "digest of " + one(t, "e-mail", words("u0 u1 u2 u3 e4 e5 e6 e7"))
}

// domainOf is the domain of an address, whose digest ends in a number here.
func domainOf(email string) string {
	if email != "" && strings.Contains("02468", email[len(email)-1:]) {
		return "even.example"
	}
	return "odd.example"
}

func verifier(hash string) *eventv1.Verifier {
	return &eventv1.Verifier{Scheme: "hmac", PepperId: "pep", Hash: []byte(hash)}
}
