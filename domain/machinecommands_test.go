package domain_test

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
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

func (m *machine) people() map[domain.UserID]*modelUser {
	people := maps.Clone(m.model.users)
	maps.DeleteFunc(people, func(_ domain.UserID, u *modelUser) bool { return u.home != "" })
	return people
}
