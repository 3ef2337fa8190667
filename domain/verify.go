package domain

import (
	"net/netip"
	"slices"
	"time"
)

// state is why the key itself is no longer good; "" if it is.
func (k *Key) state(now time.Time) Reason {
	switch {
	case !k.RevokedAt.IsZero():
		return KeyRevoked
	case expired(k.ExpiresAt, now):
		return KeyExpired
	}
	return ""
}

// verdict is why the key or its principal is not good; "" if both are.
func (s *State) verdict(k *Key, now time.Time) Reason {
	if reason := k.state(now); reason != "" {
		return reason
	}
	if k.User != "" {
		if reason := s.userState(k.User); reason != "" {
			return reason
		}
	}
	at := s.keyPlace(k)
	if at.Org == nil {
		return ""
	}
	if reason := at.Org.state(); reason != "" {
		return reason
	}
	if at.Project != nil && at.Project.Status == Deleted {
		return ProjectDeleted
	}
	return ""
}

// Usable tells whether a key whose secret was right may be used from an address at a time: KeyValid, or why not. An
// invalid address matches no network.
func (s *State) Usable(k *Key, from netip.Addr, now time.Time) Reason {
	if reason := s.verdict(k, now); reason != "" {
		return reason
	}
	if len(k.Networks) > 0 && !slices.ContainsFunc(k.Networks, func(n netip.Prefix) bool { return n.Contains(from) }) {
		return NetworkNotAllowed
	}
	return KeyValid
}

// VerifyKey is Usable for an environment as well; "" stands for the default one.
func (s *State) VerifyKey(k *Key, environment string, from netip.Addr, now time.Time) Reason {
	reason := s.Usable(k, from, now)
	if environment == "" {
		environment = DefaultEnvironment
	}
	if reason == KeyValid && len(k.Environments) > 0 && !slices.Contains(k.Environments, environment) {
		return WrongEnvironment
	}
	return reason
}

// KeyPermissions are what the key holds now. A user's key holds at most these: the union of what the user holds in each
// organization and each overridden project, within the key's own.
func (s *State) KeyPermissions(k *Key, now time.Time) PermissionSet {
	if k.User == "" {
		return s.keyHolds(k)
	}
	var held PermissionSet
	if s.IsAdmin(Actor{Kind: ActorUser, User: k.User}) {
		return s.keyHolds(k)
	}
	u, _ := s.users.Get(k.User)
	for id := range u.Orgs.All() {
		o, _ := s.orgs.Get(id)
		m, _ := o.Members.Get(k.User)
		org := s.orgRole(m, o, now)
		if o.state() != "" || m.Suspended || org.Role == "" {
			continue
		}
		held = held.Or(org.set)
		for project := range o.Projects.All() {
			p, _ := s.projects.Get(project)
			if p.Status == Deleted || len(m.Groups) == 0 && !p.Overrides.Has(k.User) {
				continue
			}
			held = held.Or(s.roleOf(k.User, m, Place{o, p}, now).set.And(s.Catalog().allProject))
		}
	}
	return held.And(s.keyHolds(k))
}

// State is why the key itself is no longer good, its principal aside; "" if it is.
func (k *Key) State(now time.Time) Reason { return k.state(now) }
