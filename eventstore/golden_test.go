package eventstore

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

var addGolden = flag.Bool("add-golden", false, "store a commit with the event types that no golden commit has yet")

// goldenParent is the hash of what the golden commits stand behind, at position 2.
var goldenParent = HashOf([]byte("golden parent"))

// Commits as they were once stored, in testdata/golden: NNN.commit holds the bytes, NNN.txtpb beside it what they mean.
// They must read like that for ever. The set is grown, with -add-golden when an event is new, and never edited: if this
// test fails on a file, the code is wrong.
//
// Seen to fail for an event type without a golden, for a changed byte in a .commit and for an edited .txtpb.
func TestGoldenCommits(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/golden/*.commit")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[protoreflect.FieldNumber]bool{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		meaning, err := os.ReadFile(name[:len(name)-len(".commit")] + ".txtpb")
		if err != nil {
			t.Fatal(err)
		}
		want := &eventv1.Commit{}
		if err := prototext.Unmarshal(meaning, want); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := Decode(data, 3, goldenParent)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s means something else (-then +now):\n%s", name, diff)
		}
		for _, entry := range got.Entries {
			for _, event := range entry.Events {
				seen[event.ProtoReflect().WhichOneof(bodyOneof()).Number()] = true
			}
		}
	}
	var lacking []protoreflect.FieldDescriptor
	for i := range bodyOneof().Fields().Len() {
		if fd := bodyOneof().Fields().Get(i); !seen[fd.Number()] {
			lacking = append(lacking, fd)
		}
	}
	if *addGolden && len(lacking) > 0 {
		writeGolden(t, fmt.Sprintf("testdata/golden/%03d", len(names)+1), lacking)
		return
	}
	for _, fd := range lacking {
		t.Errorf("event %s has no golden commit: run go test ./eventstore -run TestGoldenCommits -add-golden", fd.Name())
	}
}

func bodyOneof() protoreflect.OneofDescriptor {
	return (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body")
}

// writeGolden stores one commit with an event of each given type, every field set.
func writeGolden(t *testing.T, name string, bodies []protoreflect.FieldDescriptor) {
	c := &eventv1.Commit{}
	n := 0
	fill(c.ProtoReflect(), &n)
	c.CommitId, c.Parent, c.ParentHash, c.Format = "01JZZZZZZZZZZZZZZZZZZZZZZZ", 2, goldenParent[:], 1
	var events []*eventv1.Event
	for _, fd := range bodies {
		event := &eventv1.Event{}
		n++
		event.OrgIds, event.ProjectId = []string{fmt.Sprintf("org_%d", n)}, fmt.Sprintf("prj_%d", n)
		event.UserId, event.KeyId = fmt.Sprintf("usr_%d", n), fmt.Sprintf("key_%d", n)
		fill(event.ProtoReflect().Mutable(fd).Message(), &n)
		if raised := event.GetFormatRaised(); raised != nil {
			// Any other number would stop a reader that does not know it yet.
			raised.Old, raised.New = 1, 1
		}
		c.Format = max(c.Format, FormatOf(event))
		events = append(events, event)
	}
	c.Entries[0].Events = events
	data := mustEncode(t, c)
	if _, err := Decode(data, domain.Position(c.Parent+1), goldenParent); err != nil {
		t.Fatal(err)
	}
	meaning := []byte(prototext.MarshalOptions{Multiline: true}.Format(c))
	for file, content := range map[string][]byte{name + ".commit": data, name + ".txtpb": meaning} {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// fill gives every field of m, and of the messages in it, a value of its own.
func fill(m protoreflect.Message, n *int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.ContainingOneof() != nil:
		case fd.IsMap():
			m.Mutable(fd).Map().Set(value(fd.MapKey(), n).MapKey(), value(fd.MapValue(), n))
		case fd.IsList() && fd.Message() != nil:
			fill(m.Mutable(fd).List().AppendMutable().Message(), n)
		case fd.IsList():
			m.Mutable(fd).List().Append(value(fd, n))
			m.Mutable(fd).List().Append(value(fd, n))
		case fd.Message() != nil:
			fill(m.Mutable(fd).Message(), n)
		default:
			m.Set(fd, value(fd, n))
		}
	}
}

func value(fd protoreflect.FieldDescriptor, n *int) protoreflect.Value {
	*n++
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("%s-%d", fd.Name(), *n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0xff, byte(*n >> 8), byte(*n)})
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(*n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(*n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(*n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(*n))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	}
	panic("no golden value for " + fd.Kind().String())
}
