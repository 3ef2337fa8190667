package domain

import (
	"slices"
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
}

// IntroducePepper makes new key verifiers use another pepper. Only Tenure itself gives it, at start.
type IntroducePepper struct{ Pepper string }

// Name is the command's name.
func (CreateInstance) Name() string  { return "CreateInstance" }
func (IntroducePepper) Name() string { return "IntroducePepper" }

// Targets names nothing.
func (CreateInstance) Targets(*State) ([]Target, error)  { return nil, nil }
func (IntroducePepper) Targets(*State) ([]Target, error) { return nil, nil }

func (c CreateInstance) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	if s.Instance.LogID != "" {
		return nil, nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_InstanceCreated{InstanceCreated: &eventv1.InstanceCreated{
		LogId: c.LogID, PepperId: c.Pepper, SealingKeyId: c.SealingKey, IdempotencyCapacity: uint32(c.IdempotencyCapacity),
	}}}), nil
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
