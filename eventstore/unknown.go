package eventstore

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// ErrUnknown is what errors.Is finds in an *UnknownError.
var ErrUnknown = errors.New("written by a newer version of Tenure")

// UnknownError is returned by Decode for a commit of ours that this build can't fully read.
type UnknownError struct {
	Position domain.Position
	// What this build does not know, such as "format 2" or a field's number and message.
	What string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("position %d: %s: %s; run a version that knows it", e.Position, ErrUnknown, e.What)
}

// Unwrap returns ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// unknownIn names the first thing in c that this build does not know, or nothing.
func unknownIn(c *eventv1.Commit) string {
	if f := c.GetFormat(); f == 0 || f > Format {
		return fmt.Sprintf("format %d", f)
	}
	for i, e := range c.GetEntries() {
		for j, ev := range e.GetEvents() {
			if ev.GetBody() == nil {
				return fmt.Sprintf("the event in entry %d, event %d (%s)", i, j, unknownFields(ev.ProtoReflect()))
			}
		}
	}
	return unknownInMessage(c.ProtoReflect())
}

func unknownInMessage(m protoreflect.Message) string {
	if len(m.GetUnknown()) > 0 {
		return unknownFields(m)
	}
	var found string
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			found = unknownInMap(fd, v.Map())
		case fd.IsList():
			list := v.List()
			for i := 0; i < list.Len() && found == ""; i++ {
				found = unknownInValue(fd, list.Get(i))
			}
		default:
			found = unknownInValue(fd, v)
		}
		return found == ""
	})
	return found
}

func unknownInMap(fd protoreflect.FieldDescriptor, entries protoreflect.Map) string {
	var found string
	entries.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
		found = unknownInValue(fd.MapValue(), v)
		return found == ""
	})
	return found
}

func unknownInValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return unknownInMessage(v.Message())
	case protoreflect.EnumKind:
		if fd.Enum().Values().ByNumber(v.Enum()) == nil {
			return fmt.Sprintf("value %d of %s", v.Enum(), fd.Enum().FullName())
		}
	}
	return ""
}

// unknownFields describes the unknown fields of m for whoever has to find the version that knows them.
func unknownFields(m protoreflect.Message) string {
	name := m.Descriptor().FullName()
	if number, _, n := protowire.ConsumeTag(m.GetUnknown()); n > 0 {
		return fmt.Sprintf("field %d of %s", number, name)
	}
	return fmt.Sprintf("%s without content", name)
}
