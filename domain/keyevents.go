package domain

import (
	"net/netip"
	"slices"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func (s *State) keyCreated(e *eventv1.Event, body *eventv1.KeyCreated, by *eventv1.Actor, at moment) {
	s.addKey(KeyID(e.KeyId), e, body, createdBy(by), at)
}

func (s *State) addKey(id KeyID, e *eventv1.Event, body *eventv1.KeyCreated, by string, at moment) {
	a := body.Attributes
	k := &Key{
		ID: id, Public: body.PublicKey, Display: body.DisplaySecret,
		Scheme: body.Verifier.GetScheme(), Pepper: body.Verifier.GetPepperId(), Verifier: string(body.Verifier.GetHash()),
		Project: ProjectID(e.ProjectId), User: UserID(e.UserId),
		Name: a.GetName(), Note: a.GetNote(), Environments: a.GetEnvironments(), Networks: networksOf(a.GetAllowedNetworks()),
		ExpiresAt: timeOf(a.GetExpiresAt()), CreatedAt: at.Time, CreatedBy: by,
	}
	switch {
	case k.Project != "":
		s.editProject(k.Project, func(p *Project) { p.Keys = p.Keys.With(id, struct{}{}) })
	case k.User != "":
		s.editUser(k.User, func(u *User) { u.Keys = u.Keys.With(id, struct{}{}) })
	case len(e.OrgIds) > 0:
		k.Org = OrgID(e.OrgIds[0])
		s.editOrg(k.Org, func(o *Org) { o.Keys = o.Keys.With(id, struct{}{}) })
	default:
		s.instanceKeys = s.instanceKeys.With(id, struct{}{})
	}
	k.Permissions = s.keySetOf(k, a.GetPermissions())
	s.countKey(k, 1)
	s.keys = s.keys.With(id, k)
	s.publicKeys = s.publicKeys.With(k.Public, id)
	s.verifiers = s.verifiers.With(k.Verifier, id)
}

func (s *State) keyUpdated(e *eventv1.Event, body *eventv1.KeyUpdated) {
	s.editKey(KeyID(e.KeyId), func(k *Key) {
		if body.Name != nil {
			k.Name = body.Name.New
		}
		if body.Note != nil {
			k.Note = body.Note.New
		}
		if body.Permissions != nil {
			k.Permissions = s.keySetOf(k, body.Permissions.New)
		}
		if body.Environments != nil {
			k.Environments = body.Environments.New
		}
		if body.AllowedNetworks != nil {
			k.Networks = networksOf(body.AllowedNetworks.New)
		}
		if body.ExpiresAt != nil {
			k.ExpiresAt = timeOf(body.ExpiresAt.New)
		}
	})
}

func (s *State) keyRotated(e *eventv1.Event, body *eventv1.KeyRotated, by *eventv1.Actor, at moment) {
	successor := KeyID(body.SuccessorKeyId)
	var held PermissionSet
	s.editKey(KeyID(e.KeyId), func(k *Key) {
		k.Successor, k.ExpiresAt = successor, timeOf(body.ExpiresAt.GetNew())
		held = k.Permissions
	})
	s.addKey(successor, e, body.Successor, createdBy(by), at)
	// A name may stand for more by now than when the old key was made.
	s.editKey(successor, func(k *Key) { k.Permissions = k.Permissions.And(held) })
}

func (s *State) keyRevoked(e *eventv1.Event, at moment) {
	s.editKey(KeyID(e.KeyId), func(k *Key) {
		k.RevokedAt = at.Time
		s.countKey(k, -1)
	})
}

func (s *State) keyRehashed(e *eventv1.Event, body *eventv1.KeyRehashed) {
	id := KeyID(e.KeyId)
	s.editKey(id, func(k *Key) {
		s.verifiers = s.verifiers.Without(k.Verifier)
		k.Scheme, k.Pepper, k.Verifier = body.Verifier.GetScheme(), body.Verifier.GetPepperId(), string(body.Verifier.GetHash())
		s.verifiers = s.verifiers.With(k.Verifier, id)
	})
}

func (s *State) keyImported(e *eventv1.Event, body *eventv1.KeyImported, by *eventv1.Actor, at moment) {
	s.addKey(KeyID(e.KeyId), e, body.Key, createdBy(by), at)
	if body.CreatedAt != nil {
		s.editKey(KeyID(e.KeyId), func(k *Key) { k.CreatedAt = timeOf(body.CreatedAt) })
	}
}

// keySetOf is what a key holds by names; those that this build does not know are left out.
func (s *State) keySetOf(k *Key, names []string) PermissionSet {
	scope := s.Catalog().all
	if k.Project != "" {
		scope = s.Catalog().allProject
		// Looking up each name costs more than everything else about a key.
		if slices.Equal(names, s.Catalog().projectNames) {
			return scope
		}
	}
	set, _ := s.Catalog().named(names, scope)
	return set
}

// countKey keeps count of the keys that are not revoked, for the quota.
func (s *State) countKey(k *Key, n int) {
	if k.User != "" {
		return
	}
	at := s.keyPlace(k)
	if at.Project != nil {
		s.editProject(at.Project.ID, func(p *Project) { p.KeysHeld += n })
	}
	if at.Org != nil {
		s.editOrg(at.Org.ID, func(o *Org) { o.KeysHeld += n })
	}
}

func (s *State) editKey(id KeyID, change func(*Key)) {
	old, ok := s.keys.Get(id)
	if !ok {
		panic(misfit("key " + string(id)))
	}
	k := *old
	change(&k)
	s.keys = s.keys.With(id, &k)
}

func networksOf(names []string) []netip.Prefix {
	var networks []netip.Prefix
	for _, name := range names {
		// What can't be parsed matches nothing, and the key stays bound.
		n, _ := netip.ParsePrefix(name)
		networks = append(networks, n)
	}
	return networks
}

var storedKinds = map[eventv1.Actor_Kind]ActorKind{
	eventv1.Actor_KIND_SYSTEM: ActorSystem, eventv1.Actor_KIND_INSTANCE: ActorInstance, eventv1.Actor_KIND_USER: ActorUser,
	eventv1.Actor_KIND_ORG: ActorOrg, eventv1.Actor_KIND_PROJECT: ActorProject,
}

func createdBy(by *eventv1.Actor) string {
	kind := Actor{Kind: storedKinds[by.GetKind()]}.KindName()
	if by.GetId() == "" {
		return kind
	}
	return kind + " " + by.GetId()
}
