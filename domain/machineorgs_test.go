package domain_test

import (
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

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
