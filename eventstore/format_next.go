//go:build tenure_next

package eventstore

import "google.golang.org/protobuf/reflect/protoreflect"

// Format is that of a version after this one, for which an event counts as new that is none.
const Format = 2

var newEvents = map[protoreflect.Name]uint32{"plan_defined": 2}
