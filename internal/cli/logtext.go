package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// tellStored tells a position in a line for each command and each event.
func tellStored(w io.Writer, s stored) error {
	at := fmt.Sprintf("%-6d ", s.position)
	if s.commit == nil {
		_, err := fmt.Fprintf(w, "%s void: %d bytes published by hand (%s)\n", at, s.size, s.void)
		return err
	}
	at += s.commit.Time.AsTime().Local().Format(time.DateTime)
	var b strings.Builder
	if len(s.commit.Entries) == 0 {
		fmt.Fprintf(&b, "%s  barrier\n", at)
	}
	for _, e := range s.commit.Entries {
		fmt.Fprintf(&b, "%s  %s by %s", at, visible(e.Command), actorOf(e.Actor))
		if e.Reason != "" {
			fmt.Fprintf(&b, ": %s", visible(e.Reason))
		}
		b.WriteByte('\n')
		for _, event := range e.Events {
			fmt.Fprintf(&b, "       %s\n", eventOf(event))
		}
		at = strings.Repeat(" ", len(at))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explainStored tells everything about a position.
func explainStored(w io.Writer, s stored) error {
	rows := [][]string{{"position", fmt.Sprint(s.position)}, {"hash", fmt.Sprintf("%x", s.hash)}}
	if s.commit == nil {
		rows = append(rows, []string{"void", "published by hand: " + s.void}, []string{"size", fmt.Sprint(s.size)})
		return printLines(w, "", rows)
	}
	c := s.commit
	rows = append(rows, [][]string{
		{"parent", fmt.Sprint(c.Parent)}, {"parent hash", fmt.Sprintf("%x", c.ParentHash)}, {"commit", visible(c.CommitId)},
		{"time", c.Time.AsTime().Local().Format(exact)}, {"node", visible(c.Node)}, {"size", fmt.Sprint(s.size)},
	}...)
	if err := printLines(w, "", rows); err != nil {
		return err
	}
	for _, e := range c.Entries {
		rows := [][]string{{"id", visible(e.CommandId)}, {"by", actorOf(e.Actor)}}
		for _, row := range [][]string{
			{"reason", e.Reason}, {"key", e.Actor.GetKeyId()}, {"authenticated", e.Actor.GetMethod()}, {"role", e.Actor.GetRole()},
			{"request", e.Request.GetRequestId()}, {"trace", e.Request.GetTraceId()},
		} {
			if row[1] != "" {
				rows = append(rows, []string{row[0], visible(row[1])})
			}
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", visible(e.Command)); err != nil {
			return err
		}
		if err := printLines(w, "  ", rows); err != nil {
			return err
		}
		for _, event := range e.Events {
			if _, err := fmt.Fprintf(w, "  %s\n", eventOf(event)); err != nil {
				return err
			}
		}
	}
	return nil
}

func actorOf(a *eventv1.Actor) string {
	kind := strings.ToLower(strings.TrimPrefix(a.GetKind().String(), "KIND_"))
	return visible(strings.TrimSpace(kind + " " + a.GetId()))
}

// eventOf is an event in a line: what, about whom, and what changed.
func eventOf(e *eventv1.Event) string {
	m := e.ProtoReflect()
	var about []string
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if f.ContainingOneof() != nil || !m.Has(f) {
			continue
		}
		if f.IsList() {
			// A transfer names source, then target.
			about = append(about, strings.ReplaceAll(cell(f, m.Get(f), brief), ", ", " -> "))
		} else {
			about = append(about, cell(f, m.Get(f), brief))
		}
	}
	text := strings.Join(about, " ")
	body := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
	if body == nil {
		return "an event that this program does not know " + text
	}
	text = strings.TrimSpace(string(body.Message().Name()) + " " + text)
	if changes := changesOf(structOf(m.Get(body).Message())); changes != "" {
		text += ": " + changes
	}
	return text
}

// structOf is a message of the log as names and values. Nobody but the servers can read what is sealed.
func structOf(m protoreflect.Message) *structpb.Struct {
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		// Digests and verifiers say nothing to people; --output json has them.
		if !m.Has(f) || f.Kind() == protoreflect.BytesKind {
			continue
		}
		v := m.Get(f)
		switch {
		case f.IsMap():
			entries := map[string]*structpb.Value{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				entries[k.String()] = structpb.NewStringValue(v.String())
				return true
			})
			out.Fields[string(f.Name())] = structpb.NewStructValue(&structpb.Struct{Fields: entries})
		case f.IsList():
			list := &structpb.ListValue{}
			for i := range v.List().Len() {
				list.Values = append(list.Values, valueOf(f, v.List().Get(i)))
			}
			out.Fields[string(f.Name())] = structpb.NewListValue(list)
		default:
			out.Fields[string(f.Name())] = valueOf(f, v)
		}
	}
	return out
}

func valueOf(f protoreflect.FieldDescriptor, v protoreflect.Value) *structpb.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return structpb.NewStringValue(v.String())
	case protoreflect.BoolKind:
		return structpb.NewBoolValue(v.Bool())
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *eventv1.Sealed:
			return structpb.NewStringValue("<sealed>")
		case *timestamppb.Timestamp:
			return structpb.NewStringValue(m.AsTime().Format(time.RFC3339))
		}
		return structpb.NewStructValue(structOf(v.Message()))
	}
	return structpb.NewStringValue(single(f, v, exact))
}
