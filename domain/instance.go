package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// DefaultIdempotencyCapacity is how many idempotency keys a new log remembers at most.
const DefaultIdempotencyCapacity = 1_000_000

// CreateInstance begins the log. Only Tenure itself gives it, when the log is empty; repeated, it changes nothing.
type CreateInstance struct {
	LogID               string
	Pepper              string
	SealingKey          string
	IdempotencyCapacity int
	// Format that the log begins with, because no older server can be there; 0 means 1.
	Format uint32
}

// IntroducePepper makes new key verifiers use another pepper. Only Tenure itself gives it, at start.
type IntroducePepper struct{ Pepper string }

// ExtendCatalog makes these the operator's own permissions. Only Tenure itself gives it, at start.
type ExtendCatalog struct{ Own []CatalogEntry }

// GrantInstanceAdmin makes a person an instance admin.
type GrantInstanceAdmin struct{ User UserID }

// RevokeInstanceAdmin ends it.
type RevokeInstanceAdmin struct{ User UserID }

// Name is the command's name.
func (CreateInstance) Name() string      { return "CreateInstance" }
func (IntroducePepper) Name() string     { return "IntroducePepper" }
func (ExtendCatalog) Name() string       { return "ExtendCatalog" }
func (GrantInstanceAdmin) Name() string  { return "GrantInstanceAdmin" }
func (RevokeInstanceAdmin) Name() string { return "RevokeInstanceAdmin" }

// Targets names the user, or nothing.
func (CreateInstance) Targets(*State) ([]Target, error)          { return nil, nil }
func (IntroducePepper) Targets(*State) ([]Target, error)         { return nil, nil }
func (ExtendCatalog) Targets(*State) ([]Target, error)           { return nil, nil }
func (c GrantInstanceAdmin) Targets(s *State) ([]Target, error)  { return s.UserTarget(c.User) }
func (c RevokeInstanceAdmin) Targets(s *State) ([]Target, error) { return s.UserTarget(c.User) }

func (c CreateInstance) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	if s.Instance.LogID != "" {
		return nil, nil
	}
	events := one(&eventv1.Event{Body: &eventv1.Event_InstanceCreated{InstanceCreated: &eventv1.InstanceCreated{
		LogId: c.LogID, PepperId: c.Pepper, SealingKeyId: c.SealingKey, IdempotencyCapacity: uint32(c.IdempotencyCapacity),
	}}})
	return append(events, s.Instance.raisedTo(c.Format)...), nil
}

func (c IntroducePepper) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	old := s.Instance.Pepper()
	if old == c.Pepper {
		return nil, nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_PepperIntroduced{PepperIntroduced: &eventv1.PepperIntroduced{
		OldPepperId: old, NewPepperId: c.Pepper,
	}}}), nil
}

func (c ExtendCatalog) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	own := slices.Clone(c.Own)
	for i, e := range own {
		taken := builtIn.Parse(e.Level, e.Name) != 0 || slices.ContainsFunc(own[:i], func(o CatalogEntry) bool {
			return o.Level == e.Level && o.Name == e.Name
		})
		switch {
		case taken:
			return nil, Invalidf("permissions", NameTaken, "%s at %s level is one of Tenure's own, or named twice", e.Name, e.Level)
		case e.Level == 0 || !isBuiltIn(e.From) || strings.EqualFold(string(e.From), string(None)):
			return nil, Invalidf("permissions", InvalidField, "%s needs a level (organization or project) and the weakest built-in role that holds it, VIEWER at the least", e.Name)
		}
		own[i].From, own[i].Own = Role(strings.ToUpper(string(e.From))), true
	}
	next := s.Catalog().withOwn(own)
	old, wanted := s.Catalog().own(), next.own()
	if len(wanted) != len(own) {
		return nil, Errorf(CodeExhausted, TooMany, "there is room for %d permissions of this installation's own, those taken away in the past included", maxPermissions-len(tenures))
	}
	if slices.Equal(old, wanted) {
		return nil, nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_CatalogExtended{CatalogExtended: &eventv1.CatalogExtended{
		Old: storedEntries(old), New: storedEntries(wanted),
	}}}), nil
}

func storedEntries(entries []CatalogEntry) (list []*eventv1.CatalogExtended_Permission) {
	for _, e := range entries {
		list = append(list, &eventv1.CatalogExtended_Permission{Level: e.Level.String(), Name: e.Name, FromRole: string(e.From)})
	}
	return list
}

func (c GrantInstanceAdmin) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	if err := s.person(c.User); err != nil {
		return nil, err
	}
	if reason := s.userState(c.User); reason != "" {
		return nil, inState(reason)
	}
	if s.admins.Has(c.User) {
		return nil, nil
	}
	return one(&eventv1.Event{
		UserId: string(c.User), Body: &eventv1.Event_InstanceAdminGranted{InstanceAdminGranted: &eventv1.InstanceAdminGranted{}},
	}), nil
}

func (c RevokeInstanceAdmin) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	if !s.admins.Has(c.User) {
		return nil, nil
	}
	return one(&eventv1.Event{
		UserId: string(c.User), Body: &eventv1.Event_InstanceAdminRevoked{InstanceAdminRevoked: &eventv1.InstanceAdminRevoked{}},
	}), nil
}

// Pepper is the id of the pepper that new key verifiers are made with; "" before the first commit.
func (i Instance) Pepper() string {
	if len(i.Peppers) == 0 {
		return ""
	}
	return i.Peppers[len(i.Peppers)-1]
}

func (s *State) instanceCreated(body *eventv1.InstanceCreated) {
	s.Instance = Instance{
		LogID: body.LogId, Peppers: []string{body.PepperId}, SealingKey: body.SealingKeyId,
		IdempotencyCapacity: int(body.IdempotencyCapacity),
	}
}

func (s *State) pepperIntroduced(body *eventv1.PepperIntroduced) {
	s.Instance.Peppers = append(slices.Clone(s.Instance.Peppers), body.NewPepperId)
}

func (s *State) catalogExtended(body *eventv1.CatalogExtended) {
	var own []CatalogEntry
	for _, p := range body.New {
		level := ParseLevel(p.Level)
		// One that a later build of Tenure brings itself is Tenure's from then on.
		if level != 0 && builtIn.Parse(level, p.Name) == 0 {
			own = append(own, CatalogEntry{Level: level, Name: p.Name, From: Role(strings.ToUpper(p.FromRole)), Own: true})
		}
	}
	s.catalog = s.Catalog().withOwn(own)
}

func (s *State) instanceAdmin(e *eventv1.Event, is bool) {
	if !s.users.Has(UserID(e.UserId)) {
		panic(misfit("user " + e.UserId))
	}
	if is {
		s.admins = s.admins.With(UserID(e.UserId), struct{}{})
	} else {
		s.admins = s.admins.Without(UserID(e.UserId))
	}
}
