package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// The format of a log says which events may be in it. A server writes no event of a newer one, because servers of an earlier
// version would stop there:
//
//  1. A log has format 1 until FormatRaised.
//  2. It is raised when every server knows the new format, which who gives the command has to see to.
//  3. It is never lowered: what was written stays.

// RaiseFormat raises the log to a format that every server reads.
type RaiseFormat struct{ To uint32 }

// Name is the command's name.
func (RaiseFormat) Name() string { return "RaiseFormat" }

// Targets names nothing.
func (RaiseFormat) Targets(*State) ([]Target, error) { return nil, nil }

func (c RaiseFormat) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	return s.Instance.raisedTo(c.To), nil
}

// LogFormat is the format of the log.
func (i Instance) LogFormat() uint32 { return max(i.Format, 1) }

func (i Instance) raisedTo(format uint32) []*eventv1.Event {
	if format <= i.LogFormat() {
		return nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_FormatRaised{FormatRaised: &eventv1.FormatRaised{Old: i.LogFormat(), New: format}}})
}

func (s *State) formatRaised(body *eventv1.FormatRaised) { s.Instance.Format = body.New }
