//go:build tenure_next

package eventstore

import "google.golang.org/protobuf/reflect/protoreflect"

// Format is that of a version after this one, for which an event counts as new that is none.
const Format = 3

var newEvents = map[protoreflect.Name]uint32{
	"webhook_created": 2, "webhook_updated": 2, "webhook_secret_rotated": 2, "webhook_deleted": 2, "plan_defined": 3,
}
