package domain_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/domain"
)

type modelOffer struct {
	project        domain.ProjectID
	source, target domain.OrgID
	status         domain.OfferStatus
	expires        time.Time
}

func (m *model) applyTransfer(c domain.Command, by domain.Actor, now time.Time) {
	switch c := c.(type) {
	case domain.TransferProject:
		m.move(c, by, now)
	case domain.OfferTransfer:
		m.projects[c.Project].offer = c.ID
		m.offers[c.ID] = &modelOffer{c.Project, m.projects[c.Project].org, c.Target, domain.OfferPending, orDefault(c.ExpiresAt, now)}
	case domain.AcceptTransfer:
		o := m.offers[c.ID]
		m.endOffer(c.ID, domain.OfferAccepted)
		m.move(domain.TransferProject{ID: o.project, Target: o.target, NewName: c.NewName, KeepOverrides: c.KeepOverrides}, by, now)
	case domain.DeclineTransfer:
		m.endOffer(c.ID, domain.OfferDeclined)
	case domain.CancelTransfer:
		m.endOffer(c.ID, domain.OfferCancelled)
	}
}

func (m *model) endOffer(id domain.OfferID, status domain.OfferStatus) {
	o := m.offers[id]
	o.status = status
	if p := m.projects[o.project]; p.offer == id {
		p.offer = ""
	}
}

func (m *model) move(c domain.TransferProject, by domain.Actor, now time.Time) {
	p := m.projects[c.ID]
	inForce := func(u domain.UserID, o domain.OrgID) bool {
		roles, _ := m.granted(u, o, "", now)
		return len(roles) > 0
	}
	maps.DeleteFunc(p.overrides, func(u domain.UserID, g domain.Grant) bool {
		if !c.KeepOverrides || !slices.Contains(weakestFirst, g.Role) || !inForce(u, p.org) || !inForce(u, c.Target) {
			return true
		}
		// What it stands in front of would be taken by keeping it.
		for l := range m.givenBy(c.Target, g.Role).with(m.heldBy(u, c.Target, "", now)).inProjects() {
			if !m.holds(by, l, c.Target, "", now) {
				return true
			}
		}
		return false
	})
	for _, g := range m.groups {
		delete(g.projects, c.ID)
	}
	for _, i := range m.invitations {
		if i.project == c.ID && i.status == domain.InvitationPending {
			i.project, i.projectRole = "", ""
		}
	}
	if p.offer != "" {
		m.endOffer(p.offer, domain.OfferCancelled)
	}
	p.org = c.Target
	set(&p.name, c.NewName)
}

// inside tells whether a region is in a residency.
func inside(residency, region string) bool {
	return residency == "" || region == residency || strings.HasPrefix(region, residency+"-")
}
