package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// texts are what may be in a field.
var texts = []string{"key_1", `a "quoted" name`, `back\slash`, "Zoë\n\x00\u2028<&>", "\U0001f511", "datasets:CUD"}

// filled sets every field of a message, or some.
func filled(m protoreflect.Message, all bool) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !all && rand.IntN(2) == 0 {
			continue
		}
		one := func() protoreflect.Value {
			switch f.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(texts[rand.IntN(len(texts))])
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.Uint32Kind:
				return protoreflect.ValueOfUint32(1 + rand.Uint32())
			}
			panic(fmt.Sprint("a field of another kind: ", f.FullName()))
		}
		switch {
		case f.IsList() && f.Message() != nil:
			list := m.Mutable(f).List()
			for range 1 + rand.IntN(3) {
				filled(list.AppendMutable().Message(), all)
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range 1 + rand.IntN(3) {
				list.Append(one())
			}
		case f.Message() != nil:
			m.Set(f, protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: rand.Int64N(4e9), Nanos: rand.Int32N(3) * 120_000_001}).ProtoReflect()))
		default:
			m.Set(f, one())
		}
	}
}

// An entry's text is read as what was written, whatever is in it, all fields. Fails if a field is left out or a string is not quoted: tried.
func TestEntryText(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{&tenurev1.KeyEntry{}, &tenurev1.ProjectEntry{}, &tenurev1.OrgEntry{}, &tenurev1.UserEntry{}} {
		for n := range 300 {
			proto.Reset(m)
			filled(m.ProtoReflect(), n < 50)
			got := entryText(layout.ID{Position: 7, N: 2}, m)
			rest, ok := strings.CutPrefix(got, `{"version":"7-2"`)
			if !ok {
				t.Fatal(got)
			}
			read := m.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal([]byte("{"+strings.TrimPrefix(rest, ",")), read); err != nil || !proto.Equal(m, read) {
				t.Fatalf("%v\n%s\nof %v", err, got, m)
			}
		}
	}
}
