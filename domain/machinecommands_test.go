package domain_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

func pick[K ~string, V any](t *rapid.T, what string, from map[K]V) K {
	return rapid.SampledFrom(sorted(from)).Draw(t, what)
}

// actor is the instance, a person or a key.
func (m *machine) actor(t *rapid.T) domain.Actor {
	switch rapid.SampledFrom(words("instance instance user user key")).Draw(t, "actor") {
	case "instance":
		return instance
	case "user":
		return user(pick(t, "by", m.model.users))
	}
	k, _ := m.state.Key(pick(t, "by key", m.model.keys))
	return domain.KeyActor(k, "basic")
}

func (m *machine) until(t *rapid.T) time.Time {
	if d := rapid.SampledFrom([]time.Duration{0, 0, hour, 24 * hour, -1}).Draw(t, "until"); d != 0 {
		return m.now.Add(d)
	}
	return time.Time{}
}

// name is one of few, so that they clash.
func name(t *rapid.T) string { return rapid.SampledFrom(words("a A b B c")).Draw(t, "name") }

func (m *machine) orgCommand(t *rapid.T) domain.Command {
	id := pick(t, "org", m.model.orgs)
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		if len(m.model.orgs) < 5 {
			c := domain.CreateOrg{ID: domain.OrgID(m.fresh("o")), OrgName: "O"}
			if rapid.Bool().Draw(t, "owned") {
				c.Owner = pick(t, "owner", m.model.users)
			}
			return c
		}
		return domain.CreateOrg{ID: id, OrgName: "O"}
	case 9:
		return domain.DeleteOrg{ID: id, Cascade: rapid.Bool().Draw(t, "cascade")}
	case 2, 3, 4:
		return domain.SuspendOrg{ID: id}
	}
	return domain.ResumeOrg{ID: id}
}

func (m *machine) projectCommand(t *rapid.T) domain.Command {
	id := pick(t, "project", m.model.projects)
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0, 1:
		if len(m.model.projects) < 5 {
			return domain.CreateProject{ID: domain.ProjectID(m.fresh("p")), Org: pick(t, "org", m.model.orgs), ProjectName: name(t)}
		}
		return domain.UpdateProject{ID: id, ProjectName: new(name(t))}
	case 2:
		return domain.DeleteProject{ID: id}
	case 3, 4:
		c := domain.RestoreProject{ID: id}
		if rapid.Bool().Draw(t, "renamed") {
			c.NewName = new(name(t))
		}
		return c
	}
	return domain.UpdateProject{ID: id, ProjectName: new(name(t))}
}

func (m *machine) transfer(t *rapid.T) domain.Command {
	c := domain.TransferProject{
		ID: pick(t, "project", m.model.projects), Target: pick(t, "target", m.model.orgs), KeepOverrides: rapid.Bool().Draw(t, "keep"),
	}
	if rapid.Bool().Draw(t, "renamed") {
		c.NewName = new(name(t))
	}
	return c
}

func (m *machine) memberCommand(t *rapid.T) domain.Command {
	c := domain.RevokeRole{User: pick(t, "user", m.model.users)}
	if rapid.Bool().Draw(t, "in project") {
		c.Project = pick(t, "project", m.model.projects)
	} else {
		c.Org = pick(t, "org", m.model.orgs)
	}
	return c
}

func (m *machine) grant(t *rapid.T) domain.Command {
	c := domain.GrantRole{
		User: pick(t, "user", m.model.users), Role: rapid.SampledFrom(weakestFirst).Draw(t, "role"), ExpiresAt: m.until(t),
	}
	if rapid.Bool().Draw(t, "in project") {
		c.Project = pick(t, "project", m.model.projects)
	} else {
		c.Org = pick(t, "org", m.model.orgs)
	}
	return c
}

func (m *machine) userCommand(t *rapid.T) domain.Command {
	id := pick(t, "user", m.model.users)
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1:
		if len(m.model.users) < 6 {
			return register(domain.UserID(m.fresh("u")))
		}
		return register(id)
	case 2, 3, 4:
		return domain.DeactivateUser{ID: id}
	case 9:
		return domain.EraseUser{ID: id}
	}
	return domain.ReactivateUser{ID: id}
}

func (m *machine) keyCommand(t *rapid.T) domain.Command {
	id := pick(t, "key", m.model.keys)
	what := rapid.IntRange(0, 6).Draw(t, "what")
	if what < 4 && len(m.model.keys) >= 9 {
		what += 3 // makes no more
	}
	switch what {
	case 0, 1, 2:
		return m.newKey(t)
	case 3:
		return domain.RotateKey{
			ID: id, Successor: minted(domain.KeyID(m.fresh("k"))),
			Grace: rapid.SampledFrom([]time.Duration{0, hour, domain.DefaultGrace}).Draw(t, "grace"),
		}
	case 4, 5:
		c := domain.UpdateKey{ID: id}
		if rapid.Bool().Draw(t, "its permissions") {
			c.Permissions = new(m.permissions(t, m.model.keys[id].project))
		} else {
			c.ExpiresAt = new(m.until(t))
		}
		return c
	}
	return domain.RevokeKey{ID: id}
}

func (m *machine) newKey(t *rapid.T) domain.Command {
	c := domain.CreateKey{Minted: minted(domain.KeyID(m.fresh("k"))), ExpiresAt: m.until(t)}
	switch rapid.IntRange(0, 9).Draw(t, "of") {
	case 0:
	case 1, 2:
		c.User = pick(t, "user", m.model.users)
	case 3, 4, 5:
		c.Org = pick(t, "org", m.model.orgs)
	default:
		c.Project = pick(t, "project", m.model.projects)
	}
	if rapid.Bool().Draw(t, "named") {
		c.Permissions = m.permissions(t, c.Project)
	}
	return c
}

// permissions are one or more; a project's key holds only those of projects.
func (m *machine) permissions(t *rapid.T, of domain.ProjectID) []string {
	from := words("project:delete project:update project:read scores:CUD apiKeys:CUD projectMembers:CUD auditLogs:read")
	if of == "" {
		from = append(from, words("organization:delete organization:CRUD_apiKeys organizationMembers:CUD projects:transfer_org projects:create")...)
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 5, rapid.ID[string]).Draw(t, "permissions")
}
