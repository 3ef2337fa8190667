package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// ActorKind is what an actor acts as.
type ActorKind uint8

const (
	// ActorSystem is Tenure itself; only the beginning of the log is its doing.
	ActorSystem ActorKind = iota + 1
	// ActorInstance is the holder of an instance admin's key.
	ActorInstance
	// ActorUser is a person.
	ActorUser
	// ActorOrg is an organization, through one of its keys.
	ActorOrg
	// ActorProject is a project, through one of its keys.
	ActorProject
)

// Actor is whoever acts, or is asked about. Of User, Org and Project the one that Kind says is set.
type Actor struct {
	Kind    ActorKind
	User    UserID
	Org     OrgID
	Project ProjectID
	// Key is the key used, "" for the admin key; it caps what the principal can do.
	Key KeyID
	// Method is how the caller authenticated: "admin_key", "basic" or "bearer".
	Method string
}

// KeyActor is the actor that a key makes of its caller.
func KeyActor(k *Key, method string) Actor {
	a := Actor{Kind: ActorInstance, Key: k.ID, Method: method}
	switch {
	case k.Project != "":
		a.Kind, a.Project = ActorProject, k.Project
	case k.User != "":
		a.Kind, a.User = ActorUser, k.User
	case k.Org != "":
		a.Kind, a.Org = ActorOrg, k.Org
	}
	return a
}

// ID is the id of the principal; "" of the instance and the system.
func (a Actor) ID() string {
	switch a.Kind {
	case ActorUser:
		return string(a.User)
	case ActorOrg:
		return string(a.Org)
	case ActorProject:
		return string(a.Project)
	}
	return ""
}

// Subject is the id under which what is personal about the actor's requests is sealed.
func (a Actor) Subject() string {
	if a.Kind == ActorUser {
		return string(a.User)
	}
	if a.Key != "" {
		return string(a.Key)
	}
	return "instance"
}

// String is the actor for people: "user usr_1", "organization org_1", "project prj_1", "instance" or "system".
func (a Actor) String() string {
	if id := a.ID(); id != "" {
		return a.KindName() + " " + id
	}
	return a.KindName()
}

// KindName is the kind in one word.
func (a Actor) KindName() string {
	switch a.Kind {
	case ActorSystem:
		return "system"
	case ActorInstance:
		return "instance"
	case ActorUser:
		return "user"
	case ActorOrg:
		return "organization"
	case ActorProject:
		return "project"
	}
	return "nobody"
}

// Stored is the actor as an entry of the log names it, with the role held in org on the state s.
func (a Actor) Stored(s *State, org OrgID, now time.Time) *eventv1.Actor {
	stored := &eventv1.Actor{Id: a.ID(), KeyId: string(a.Key), Method: a.Method}
	switch a.Kind {
	case ActorSystem:
		stored.Kind = eventv1.Actor_KIND_SYSTEM
	case ActorInstance:
		stored.Kind, stored.Role = eventv1.Actor_KIND_INSTANCE, string(ByInstanceAdmin)
	case ActorUser:
		stored.Kind = eventv1.Actor_KIND_USER
		if s.IsAdmin(a) {
			stored.Role = string(ByInstanceAdmin)
		} else if o, ok := s.orgs.Get(org); ok {
			stored.Role = string(s.EffectiveRole(a.User, Place{Org: o}, now).Role)
		}
	case ActorOrg:
		stored.Kind = eventv1.Actor_KIND_ORG
	case ActorProject:
		stored.Kind = eventv1.Actor_KIND_PROJECT
	}
	return stored
}
