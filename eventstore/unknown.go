package eventstore

import (
	"errors"
	"fmt"
	"sync"

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

// unknownIn names the first thing in c, whose encoding is body, that this build does not know, or nothing.
func unknownIn(c *eventv1.Commit, body []byte) string {
	if f := c.GetFormat(); !reads(f) {
		return fmt.Sprintf("format %d", f)
	}
	if what := commitSchema().unknownIn(body); what != "" {
		return what
	}
	for i, e := range c.GetEntries() {
		for j, ev := range e.GetEvents() {
			if ev.GetBody() == nil {
				return fmt.Sprintf("the event in entry %d, event %d (%s without content)", i, j, ev.ProtoReflect().Descriptor().FullName())
			}
			// Here, not at the first event that is new: who reads on would go on deciding commands.
			if raised := ev.GetFormatRaised(); raised != nil && !reads(raised.New) {
				return fmt.Sprintf("format %d", raised.New)
			}
		}
	}
	return ""
}

// schema is what this build knows of a message. It is held against the encoding, because asking the decoded message by
// reflection costs several times as much as decoding it.
type schema struct {
	name   protoreflect.FullName
	fields []*schemaField // by number
}

type schemaField struct {
	name protoreflect.FullName
	wire protowire.Type
	// packed tells that many values may stand in one record.
	packed  bool
	message *schema
	enum    protoreflect.EnumDescriptor
}

var commitSchema = sync.OnceValue(func() *schema {
	return schemaOf((&eventv1.Commit{}).ProtoReflect().Descriptor(), map[protoreflect.FullName]*schema{})
})

func schemaOf(m protoreflect.MessageDescriptor, done map[protoreflect.FullName]*schema) *schema {
	if s, ok := done[m.FullName()]; ok {
		return s
	}
	s := &schema{name: m.FullName()}
	done[s.name] = s
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		f := &schemaField{name: fd.FullName(), wire: wireType(fd.Kind()), enum: fd.Enum()}
		f.packed = fd.IsList() && f.wire != protowire.BytesType
		if fd.Message() != nil {
			f.message = schemaOf(fd.Message(), done)
		}
		for len(s.fields) <= int(fd.Number()) {
			s.fields = append(s.fields, nil)
		}
		s.fields[fd.Number()] = f
	}
	return s
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

// unknownIn describes the first unknown thing for whoever has to find the version that knows it. b has been decoded.
func (s *schema) unknownIn(b []byte) string {
	for len(b) > 0 {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Sprintf("%s that can't be read", s.name)
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, wire, b)
		if size < 0 {
			return fmt.Sprintf("%s that can't be read", s.name)
		}
		var f *schemaField
		if int(number) < len(s.fields) {
			f = s.fields[number]
		}
		if f == nil || wire != f.wire && !(f.packed && wire == protowire.BytesType) {
			return fmt.Sprintf("field %d of %s", number, s.name)
		}
		if f.message != nil || f.enum != nil {
			if what := f.unknownIn(b[:size], wire); what != "" {
				return what
			}
		}
		b = b[size:]
	}
	return ""
}

func (f *schemaField) unknownIn(b []byte, wire protowire.Type) string {
	if wire == protowire.BytesType {
		b, _ = protowire.ConsumeBytes(b)
	}
	if f.message != nil {
		return f.message.unknownIn(b)
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || f.enum.Values().ByNumber(protoreflect.EnumNumber(v)) == nil {
			return fmt.Sprintf("value %d of %s", int32(v), f.enum.FullName())
		}
		b = b[n:]
	}
	return ""
}
