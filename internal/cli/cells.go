package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Times as people read them: in a table, and where one thing is shown.
const (
	brief = "2006-01-02 15:04"
	exact = "2006-01-02 15:04:05 MST"
)

// cell is a field's value as people read it.
func cell(f protoreflect.FieldDescriptor, v protoreflect.Value, layout string) string {
	if f.Name() == "time" && layout == brief {
		// What happened when is told to the second.
		layout = time.DateTime
	}
	switch {
	case f.IsMap():
		var pairs []string
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			pairs = append(pairs, visible(k.String()+"="+v.String()))
			return true
		})
		slices.Sort(pairs)
		return strings.Join(pairs, " ")
	case f.IsList():
		var list []string
		for i := range v.List().Len() {
			list = append(list, single(f, v.List().Get(i), layout))
		}
		return strings.Join(list, ", ")
	}
	return single(f, v, layout)
}

// single is one value of a field.
func single(f protoreflect.FieldDescriptor, v protoreflect.Value, layout string) string {
	switch f.Kind() {
	case protoreflect.BoolKind:
		if v.Bool() {
			return "yes"
		}
		return "no"
	case protoreflect.EnumKind:
		if v.Enum() == 0 {
			return ""
		}
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return enumWord(value)
		}
		return fmt.Sprint(v.Enum())
	case protoreflect.BytesKind:
		return fmt.Sprintf("%x", v.Bytes())
	case protoreflect.MessageKind:
		return message(v.Message(), layout)
	}
	return visible(v.String())
}

// message is a message inside another in one line.
func message(m protoreflect.Message, layout string) string {
	if !m.IsValid() {
		return ""
	}
	switch m := m.Interface().(type) {
	case *timestamppb.Timestamp:
		return m.AsTime().Local().Format(layout)
	case *durationpb.Duration:
		return m.AsDuration().String()
	case *structpb.Struct:
		return changesOf(m)
	case *tenurev1.AuditActor:
		return strings.TrimSpace(visible(m.Kind + " " + m.Id))
	case *tenurev1.ProjectRole:
		return visible(m.ProjectId + "=" + m.Role)
	}
	var pairs []string
	for i := range m.Descriptor().Fields().Len() {
		if f := m.Descriptor().Fields().Get(i); m.Has(f) {
			pairs = append(pairs, strings.ReplaceAll(header(f), " ", "-")+"="+cell(f, m.Get(f), layout))
		}
	}
	return strings.Join(pairs, " ")
}

func escaped(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

func hexByte(b byte) string { return fmt.Sprintf("%02x", b) }
