package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Command is a wish to change something. Its name is the method's name, and the same in every layer.
type Command interface {
	// Name is the method's name, such as "TransferProject".
	Name() string
	// Targets are the things the command names, for the rule of its method. An error is the answer to give to everybody.
	Targets(s *State) ([]Target, error)
	// decide answers the events that fulfil the command on s: none if there is nothing to change. The caller is authorized.
	decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error)
}

// Decide authorizes the actor and decides the command, both on the same state. It answers the events that fulfil the
// command, none if nothing needs to change, or an *Error that says why not.
func Decide(s *State, c Command, rule Rule, by Actor, now time.Time) ([]*eventv1.Event, error) {
	if err := Allow(s, c, rule, by, now); err != nil {
		return nil, err
	}
	return c.decide(s, by, now)
}

// Allow authorizes the actor for the command, without deciding it.
func Allow(s *State, c Command, rule Rule, by Actor, now time.Time) error {
	targets, err := c.Targets(s)
	if err != nil {
		// Whoever has no credentials learns nothing, not even what does not exist.
		if unauthenticated := s.Authorize(by, Rule{Requirement: Authenticated}, nil, now); unauthenticated != nil {
			return unauthenticated
		}
		return err
	}
	return s.Authorize(by, rule, targets, now)
}

// OrgTarget is an organization that a request names.
func (s *State) OrgTarget(id OrgID) ([]Target, error) {
	o, ok := s.orgs.Get(id)
	if !ok {
		return nil, orgNotFound(id)
	}
	return []Target{{Place: Place{Org: o}, Missing: orgNotFound(id)}}, nil
}

// ProjectTarget is a project that a request names.
func (s *State) ProjectTarget(id ProjectID) ([]Target, error) {
	place, err := s.Place("", id)
	if err != nil {
		return nil, err
	}
	return []Target{{Place: place, Missing: projectNotFound(id)}}, nil
}

// PlaceTarget is a project that a request names, else an organization.
func (s *State) PlaceTarget(org OrgID, project ProjectID) ([]Target, error) {
	if project != "" {
		return s.ProjectTarget(project)
	}
	return s.OrgTarget(org)
}

// UserTarget is a user that a request names.
func (s *State) UserTarget(id UserID) ([]Target, error) {
	u, ok := s.users.Get(id)
	if !ok {
		return nil, userNotFound(id)
	}
	home, _ := s.orgs.Get(u.Home)
	return []Target{{User: id, Place: Place{Org: home}, Missing: userNotFound(id)}}, nil
}

// KeyTarget is the principal of a key that a request names.
func (s *State) KeyTarget(id KeyID) ([]Target, error) {
	k, ok := s.keys.Get(id)
	if !ok {
		return nil, keyNotFound(id)
	}
	targets, err := s.PrincipalTarget(k.Project, k.Org, k.User)
	if err != nil {
		return nil, err
	}
	targets[0].Missing = keyNotFound(id)
	return targets, nil
}

// PrincipalTarget is what a key may act as: the project, else the user, else the organization, else the instance.
func (s *State) PrincipalTarget(project ProjectID, org OrgID, user UserID) ([]Target, error) {
	switch {
	case project != "":
		return s.ProjectTarget(project)
	case user != "":
		targets, err := s.UserTarget(user)
		if err == nil && targets[0].Place.Org != nil {
			// A service account does not manage its keys by being itself.
			targets[0].User = ""
		}
		return targets, err
	case org != "":
		return s.OrgTarget(org)
	}
	return []Target{{Missing: Errorf(CodeDenied, PermissionDenied, "this call is for instance admins")}}, nil
}

// chosenID refuses ids chosen by anybody but instance admins: they would reveal what exists.
func (s *State) chosenID(chosen bool, by Actor) error {
	if chosen && !s.IsAdmin(by) && by.Kind != ActorSystem {
		return Errorf(CodeDenied, ChosenID, "only instance admins may choose ids; leave it out and one is made")
	}
	return nil
}

func idTaken(id string) *Error {
	return Errorf(CodeExists, IDTaken, "the id %q is taken; choose another or leave it out", id)
}

// one is the list of a single event.
func one(e *eventv1.Event) []*eventv1.Event { return []*eventv1.Event{e} }

// ActedIn are the organizations of an event that its actor acted in: of an offer, and of what is made of it, one side alone.
func ActedIn(e *eventv1.Event) []string {
	if e.OfferId == "" || len(e.OrgIds) < 2 {
		return e.OrgIds
	}
	switch e.Body.(type) {
	case *eventv1.Event_TransferOffered, *eventv1.Event_TransferCancelled:
		return e.OrgIds[:1]
	}
	return e.OrgIds[1:]
}
