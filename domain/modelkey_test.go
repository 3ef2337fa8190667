package domain_test

import (
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure/domain"
)

type modelKey struct {
	id        domain.KeyID
	public    string
	verifier  string
	project   domain.ProjectID
	org       domain.OrgID
	user      domain.UserID
	holds     permissions
	expires   time.Time
	revoked   bool
	successor domain.KeyID
}

func newModelKey(of domain.Minted, p domain.ProjectID, o domain.OrgID, u domain.UserID, expires time.Time, holds permissions) *modelKey {
	return &modelKey{
		id: of.ID, public: of.Public, verifier: string(of.Verifier.Hash), project: p, org: o, user: u, expires: expires, holds: holds,
	}
}

func (m *model) taken(of domain.Minted) bool {
	for _, k := range m.keys {
		if k.id == of.ID || k.public == of.Public || k.verifier == string(of.Verifier.Hash) {
			return true
		}
	}
	return false
}

// good is whether VerifyKey must find a key valid.
func (m *model) good(k *modelKey, now time.Time) bool {
	if k.revoked || over(k.expires, now) {
		return false
	}
	org := k.org
	switch {
	case k.project != "":
		org = m.projects[k.project].org
	case k.user != "":
		org = m.users[k.user].home
	}
	if p := m.projects[k.project]; p != nil && p.deleted {
		return false
	}
	if u := m.users[k.user]; u != nil && u.status != domain.UserActive {
		return false
	}
	return org == "" || m.orgs[org].status == domain.Active
}

// principal is where a key acts, and where who makes it must hold what it holds; nowhere for a person's and the instance's.
func (m *model) principal(p domain.ProjectID, o domain.OrgID, u domain.UserID) (domain.OrgID, domain.ProjectID) {
	switch {
	case p != "":
		return m.projects[p].org, p
	case u != "":
		return m.users[u].home, ""
	}
	return o, ""
}

// keyScope is all that a key of a principal can hold.
func (m *model) keyScope(p domain.ProjectID) permissions {
	if p != "" {
		return m.everything().inProjects()
	}
	return m.everything()
}

// mayPutInKey tells whether the actor may give a key of the principal a permission.
func (m *model) mayPutInKey(a domain.Actor, l levelled, p domain.ProjectID, o domain.OrgID, u domain.UserID, now time.Time) bool {
	if org, project := m.principal(p, o, u); org != "" {
		return m.holds(a, l, org, project, now)
	}
	return m.exists(l) && (a.Key == "" || m.keys[a.Key].holds[l])
}

// named are the permissions of these names that a key can hold, at every level.
func (m *model) named(names []string, p domain.ProjectID) permissions {
	set := m.keyScope(p)
	maps.DeleteFunc(set, func(l levelled, _ bool) bool { return !slices.Contains(names, l.name) })
	return set
}

// preset is what a key gets without names: what whoever makes it may give of a preset, of both levels only if both may be given.
func (m *model) preset(c domain.CreateKey, by domain.Actor, now time.Time) permissions {
	set := m.keyScope(c.Project)
	maps.DeleteFunc(set, func(l levelled, _ bool) bool {
		out := c.Preset == domain.PresetReadOnly && !m.gives("", domain.Viewer, l) || c.Preset == domain.PresetIngestOnly && l.name != "scores:CUD"
		return out || !m.mayPutInKey(by, l, c.Project, c.Org, c.User, now)
	})
	whole := maps.Clone(set)
	maps.DeleteFunc(whole, func(l levelled, _ bool) bool { return !m.named([]string{l.name}, c.Project).within(set) })
	return whole
}

func (m *model) applyKey(c domain.Command, by domain.Actor, now time.Time) {
	switch c := c.(type) {
	case domain.CreateKey:
		holds := m.named(c.Permissions, c.Project)
		if len(c.Permissions) == 0 {
			holds = m.preset(c, by, now)
		}
		m.keys[c.Minted.ID] = newModelKey(c.Minted, c.Project, c.Org, c.User, c.ExpiresAt, holds)
	case domain.ImportKey:
		holds := m.keyScope(c.Project)
		if len(c.Permissions) > 0 {
			holds = m.named(c.Permissions, c.Project)
		}
		m.keys[c.Minted.ID] = newModelKey(c.Minted, c.Project, c.Org, c.User, c.ExpiresAt, holds)
	case domain.RehashKey:
		k := m.keys[c.ID]
		taken := m.taken(domain.Minted{Verifier: c.Verifier})
		if k != nil && k.verifier == c.Old && !k.revoked && !over(k.expires, now) && !taken {
			k.verifier = string(c.Verifier.Hash)
		}
	case domain.UpdateKey:
		k := m.keys[c.ID]
		if c.Permissions != nil {
			if wanted := m.named(*c.Permissions, k.project); !slices.Equal(wanted.names(), m.live(k).names()) {
				k.holds = wanted
			}
		}
		set(&k.expires, c.ExpiresAt)
	case domain.RotateKey:
		k := m.keys[c.ID]
		next := *k
		next.id, next.public, next.verifier, next.holds = c.Successor.ID, c.Successor.Public, string(c.Successor.Verifier.Hash), m.live(k)
		m.keys[c.Successor.ID] = &next
		if end := now.Add(c.Grace); k.expires.IsZero() || end.Before(k.expires) {
			k.expires = end
		}
		k.successor = c.Successor.ID
	case domain.RevokeKey:
		m.keys[c.ID].revoked = true
	}
}

// live is what a key holds of what there is.
func (m *model) live(k *modelKey) permissions {
	set := maps.Clone(k.holds)
	maps.DeleteFunc(set, func(l levelled, _ bool) bool { return !m.exists(l) })
	return set
}
