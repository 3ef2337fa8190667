//go:build !tenure_next

package eventstore

import "google.golang.org/protobuf/reflect/protoreflect"

// Format is the newest format of the log that this build writes and reads.
const Format = 2

// newEvents are the formats of events that format 1 does not have, by their names in the body of Event.
var newEvents = map[protoreflect.Name]uint32{
	"webhook_created": 2, "webhook_updated": 2, "webhook_secret_rotated": 2, "webhook_deleted": 2,
}
