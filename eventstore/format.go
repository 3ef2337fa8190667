package eventstore

import eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"

// A log begins with format 1, and every event that is not in newEvents is part of that. Who adds an event to a release takes the
// next Format, once per release, and names the event in newEvents: a server writes it only after FormatRaised, which an instance
// admin gives when all servers are of that release. Until then its command is refused.
//
// Format, the newest one that this build writes and reads, and newEvents are in format_released.go. With the build tag
// tenure_next they are those of a version after this one, which does not exist: tests upgrade to it.

var eventBody = (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body")

// FormatOf is the format that a log needs to hold an event.
func FormatOf(e *eventv1.Event) uint32 {
	body := e.ProtoReflect().WhichOneof(eventBody)
	if len(newEvents) == 0 || body == nil {
		return 1
	}
	return max(1, newEvents[body.Name()])
}

// reads tells whether this build knows a format.
func reads(format uint32) bool { return format >= 1 && format <= Format }
