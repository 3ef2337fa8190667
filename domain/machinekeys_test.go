package domain_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

func (m *machine) userCommand(t *rapid.T) {
	id := m.user(t)
	switch dice(t, "what", 10) {
	case 0, 1, 2:
		email := m.email(t)
		c := domain.RegisterUser{ID: domain.UserID(m.fresh("u")), Email: sealed("u", email), EmailDigest: []byte(email)}
		if len(m.model.users) > 7 {
			c.ID = id
		}
		m.give(t, c, admin)
	case 3:
		m.give(t, domain.EraseUser{ID: id}, admin)
	default:
		if id, ok := find(t, "deactivated", m.model.users, func(_ domain.UserID, u *modelUser) bool { return u.status == domain.UserIsDeactivated }); ok {
			m.give(t, domain.ReactivateUser{ID: id}, admin)
			return
		}
		m.give(t, domain.DeactivateUser{ID: id}, admin)
	}
}

// account changes what an account is known by, or makes one without login.
func (m *machine) account(t *rapid.T) {
	id := m.user(t)
	digest := []byte(one(t, "identity", words("identity0 identity1 identity2")))
	self := func(c domain.Command) {
		if dice(t, "self", 2) == 0 {
			m.do(t, user(id), c)
			return
		}
		m.give(t, c, admin)
	}
	switch dice(t, "what", 7) {
	case 0:
		email := m.email(t)
		self(domain.UpdateUser{ID: id, Email: sealed(string(id), email), EmailDigest: []byte(email)})
	case 1, 6:
		self(domain.LinkIdentity{ID: id, Issuer: "issuer", Digest: digest, Subject: sealed(string(id), "subject")})
	case 2, 3:
		id = pickIf(t, "holder of the identity", m.model.users, func(u domain.UserID, _ *modelUser) bool { return m.model.identities[string(digest)] == u })
		self(domain.UnlinkIdentity{ID: id, Digest: digest})
	default:
		c := domain.CreateServiceAccount{ID: domain.UserID(m.fresh("s")), Org: m.org(t), FullName: sealed("s", "bot")}
		if len(m.model.users) > 7 {
			c.ID = id
		}
		if often(t, "with a role") {
			c.Role = m.role(t, c.Org)
		}
		m.give(t, c, manageMembers, place{org: c.Org})
	}
}

// manage gives a command to a principal's key, mostly by somebody who manages its keys.
func (m *machine) manage(t *rapid.T, c domain.Command, p domain.ProjectID, o domain.OrgID, u domain.UserID) {
	org, project := m.model.principal(p, o, u)
	switch {
	case project != "":
		m.give(t, c, levelled{domain.ProjectLevel, "apiKeys:CUD"}, place{org, project})
	case org != "":
		m.give(t, c, need("organization:CRUD_apiKeys"), place{org: org})
	case u != "" && often(t, "self"):
		own := map[string]domain.Actor{}
		for name, a := range m.actors() {
			if a.User == u {
				own[name] = a
			}
		}
		m.do(t, own[pick(t, "by", own)], c)
	default:
		m.give(t, c, admin)
	}
}

func (m *machine) keyCommand(t *rapid.T) {
	id := pickIf(t, "key", m.model.keys, func(_ domain.KeyID, k *modelKey) bool { return m.model.good(k, m.now) })
	k := m.model.keys[id]
	what := dice(t, "what", 8)
	if what < 2 && len(m.model.keys) > 11 {
		what += 3 // makes no more
	}
	switch what {
	case 0, 1:
		grace := one(t, "grace", []time.Duration{0, hour, domain.DefaultGrace})
		m.manage(t, domain.RotateKey{ID: id, Successor: minted(domain.KeyID(m.fresh("k"))), Grace: grace}, k.project, k.org, k.user)
	case 2:
		m.do(t, system, domain.RehashKey{
			ID: id, Old: one(t, "old", []string{k.verifier, k.verifier, "other"}),
			Verifier: verifier(one(t, "hash", words("hash0 hash1 hash2"))),
		})
	case 3, 4, 5:
		c := domain.UpdateKey{ID: id}
		if dice(t, "its permissions", 2) == 0 {
			c.Permissions = new(m.permissions(t, k.project))
		} else {
			c.ExpiresAt = new(m.until(t))
		}
		m.manage(t, c, k.project, k.org, k.user)
	case 6:
		m.manage(t, domain.RevokeKey{ID: id}, k.project, k.org, k.user)
	}
}

func (m *machine) newKey(t *rapid.T) {
	if len(m.model.keys) > 11 {
		return
	}
	c := domain.CreateKey{
		Minted: minted(domain.KeyID(m.fresh("k"))), ExpiresAt: m.until(t),
		Preset: one(t, "preset", []domain.Preset{"", "", domain.PresetFull, domain.PresetReadOnly, domain.PresetIngestOnly}),
	}
	switch dice(t, "of", 10) {
	case 0:
	case 1, 2, 3:
		c.User = m.user(t)
	case 4, 5, 6:
		c.Org = m.org(t)
	default:
		c.Project = m.project(t)
	}
	if dice(t, "named", 2) == 0 {
		c.Permissions = m.permissions(t, c.Project)
	}
	if seldom(t, "imported") {
		i := domain.ImportKey{Minted: c.Minted, Project: c.Project, Org: c.Org, User: c.User, Permissions: c.Permissions, ExpiresAt: c.ExpiresAt}
		m.give(t, i, admin)
		return
	}
	m.manage(t, c, c.Project, c.Org, c.User)
}

// permissions are one or more; a project's key holds only those of projects.
func (m *machine) permissions(t *rapid.T, of domain.ProjectID) []string {
	from := words("project:delete project:update project:read scores:CUD apiKeys:CUD projectMembers:CUD auditLogs:read own:both")
	if of == "" {
		from = append(from, words("organization:delete organization:CRUD_apiKeys organizationMembers:CUD projects:transfer_org projects:create own:org")...)
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 5, rapid.ID[string]).Draw(t, "permissions")
}
