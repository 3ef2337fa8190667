// Package audit turns the events of the log into readable records. There is nothing to write: an event is its own record.
package audit

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Reader is who reads, and what of.
type Reader struct {
	// Place is the project whose history is read, else the organization; everything if there is neither, for instance admins.
	Place domain.Place
	// Instance tells that the reader is an instance admin, who sees everything.
	Instance bool
	Open     projections.Opener

	impersonal bool // nothing sealed is wanted, nor anything that its author wrote
}

// Impersonal is the record of an event for an organization, "" for the instance, as it can be handed to programs that hear of no
// erasure: without what is sealed, without reason and request, and without what only the other side of a transfer may know. Position,
// index and time are the caller's to add.
func Impersonal(entry *eventv1.Entry, e *eventv1.Event, org string) (*tenurev1.AuditRecord, error) {
	r := Reader{Instance: org == "", impersonal: true}
	if org != "" {
		r.Place.Org = &domain.Org{ID: domain.OrgID(org)}
		if moved := e.GetProjectTransferred(); moved != nil && org != e.OrgIds[0] {
			e = proto.CloneOf(e)
			e.Body = &eventv1.Event_ProjectTransferred{ProjectTransferred: &eventv1.ProjectTransferred{Name: moved.Name}}
		}
	}
	record, err := r.record(context.Background(), entry, e)
	if err != nil {
		return nil, err
	}
	record.Reason, record.RequestId, record.TraceId = "", "", ""
	if org != "" && !slices.Contains(domain.ActedIn(e), org) {
		record.Actor = &tenurev1.AuditActor{Kind: record.Actor.Kind, Id: record.Actor.Id}
	}
	return record, nil
}

// Records are the events of a commit that belong to the reader's place, in order. A project's history follows the project
// into another organization; what is personal about people of the former one stays behind. fits chooses among them.
func (r Reader) Records(ctx context.Context, at domain.Position, c *eventv1.Commit, fits func(domain.Position, *eventv1.Commit, *eventv1.Entry, *eventv1.Event) bool) ([]*tenurev1.AuditRecord, error) {
	var records []*tenurev1.AuditRecord
	index := uint32(0)
	for _, entry := range c.Entries {
		for _, event := range entry.Events {
			// Records are counted from 1, whether the reader sees them or not.
			index++
			if !r.belongs(event) || !fits(at, c, entry, event) {
				continue
			}
			record, err := r.record(ctx, entry, event)
			if err != nil {
				return nil, err
			}
			record.Position, record.Index, record.Time = uint64(at), index, c.Time
			records = append(records, record)
		}
	}
	return records, nil
}

// Record is what was found, as the reader may see it.
func (r Reader) Record(ctx context.Context, f Found) (*tenurev1.AuditRecord, error) {
	record, err := r.record(ctx, f.Entry, f.Entry.Events[0])
	if err != nil {
		return nil, err
	}
	record.Position, record.Index, record.Time = uint64(f.Position), uint32(f.Index), timestamppb.New(f.Time)
	return record, nil
}

func (r Reader) belongs(e *eventv1.Event) bool {
	if r.Place.Org == nil {
		return r.Instance
	}
	if r.Place.Project != nil {
		return e.ProjectId == string(r.Place.Project.ID)
	}
	return slices.Contains(e.OrgIds, string(r.Place.Org.ID))
}

func (r Reader) record(ctx context.Context, entry *eventv1.Entry, e *eventv1.Event) (*tenurev1.AuditRecord, error) {
	here := ""
	if r.Place.Org != nil {
		here = string(r.Place.Org.ID)
	}
	own := !r.impersonal && (r.Instance || slices.Contains(domain.ActedIn(e), here))
	data, err := r.fields(ctx, body(e), "", own)
	if err != nil {
		return nil, err
	}
	orgIDs, by := e.OrgIds, Actor(entry.Actor)
	if !r.Instance && e.ProjectId == "" {
		// An event about a person names every organization of theirs; which others those are is not this one's business.
		if len(e.OrgIds) > 0 && e.OrgIds[0] != here {
			by.Role = ""
		}
		orgIDs = []string{here}
	}
	record := &tenurev1.AuditRecord{
		EventType: EventType(e), Command: entry.Command, CommandId: entry.CommandId, Actor: by,
		OrgIds: orgIDs, ProjectId: e.ProjectId, UserId: e.UserId, KeyId: e.KeyId, Reason: entry.Reason, Data: data,
		RequestId: entry.Request.GetRequestId(), TraceId: entry.Request.GetTraceId(),
	}
	// Where instance admins work from is not the tenants' business.
	if !own || entry.Actor.GetRole() == string(domain.ByInstanceAdmin) && !r.Instance {
		return record, nil
	}
	if record.Ip, err = r.Open(ctx, entry.Request.GetIp(), "ip"); err != nil {
		return nil, err
	}
	record.UserAgent, err = r.Open(ctx, entry.Request.GetUserAgent(), "user_agent")
	return record, err
}

// EventType is the name of an event, such as "ProjectTransferred".
func EventType(e *eventv1.Event) string { return string(body(e).Descriptor().Name()) }

var bodyOneof = (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body")

func body(e *eventv1.Event) protoreflect.Message {
	m := e.ProtoReflect()
	return m.Get(m.WhichOneof(bodyOneof)).Message()
}

var kinds = map[eventv1.Actor_Kind]string{
	eventv1.Actor_KIND_SYSTEM: "system", eventv1.Actor_KIND_INSTANCE: "instance", eventv1.Actor_KIND_USER: "user",
	eventv1.Actor_KIND_ORG: "organization", eventv1.Actor_KIND_PROJECT: "project",
}

// Actor is a stored actor as records show it.
func Actor(a *eventv1.Actor) *tenurev1.AuditActor {
	return &tenurev1.AuditActor{Kind: kinds[a.GetKind()], Id: a.GetId(), KeyId: a.GetKeyId(), Method: a.GetMethod(), Role: a.GetRole()}
}

// fields writes a body as names and values: sealed values opened, or left out if they are not the reader's own; what
// verifies secrets and digests left out always. sealedAs is the name under which values inside were sealed, "" to use the
// field's own.
func (r Reader) fields(ctx context.Context, m protoreflect.Message, sealedAs string, own bool) (*structpb.Struct, error) {
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !m.Has(f) || f.Kind() == protoreflect.BytesKind {
			continue
		}
		field := sealedAs
		if field == "" {
			field = string(f.Name())
		}
		v, err := r.value(ctx, f, m.Get(f), field, own)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.Fields[string(f.Name())] = v
		}
	}
	return out, nil
}

func (r Reader) value(ctx context.Context, f protoreflect.FieldDescriptor, v protoreflect.Value, field string, own bool) (*structpb.Value, error) {
	switch {
	case f.IsMap():
		entries := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entries.Fields[k.String()] = structpb.NewStringValue(v.String())
			return true
		})
		return structpb.NewStructValue(entries), nil
	case f.IsList():
		list := &structpb.ListValue{}
		for i := range v.List().Len() {
			item, err := r.single(ctx, f, v.List().Get(i), field, own)
			if err != nil {
				return nil, err
			}
			list.Values = append(list.Values, item)
		}
		return structpb.NewListValue(list), nil
	}
	return r.single(ctx, f, v, field, own)
}

func (r Reader) single(ctx context.Context, f protoreflect.FieldDescriptor, v protoreflect.Value, field string, own bool) (*structpb.Value, error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		return structpb.NewStringValue(v.String()), nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return structpb.NewNumberValue(float64(v.Uint())), nil
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return structpb.NewStringValue(string(e.Name())), nil
		}
		return structpb.NewNumberValue(float64(v.Enum())), nil
	case protoreflect.BoolKind:
		return structpb.NewBoolValue(v.Bool()), nil
	}
	switch m := v.Message().Interface().(type) {
	case *timestamppb.Timestamp:
		return structpb.NewStringValue(m.AsTime().Format("2006-01-02T15:04:05.000Z07:00")), nil
	case *eventv1.Verifier:
		return nil, nil
	case *eventv1.Sealed:
		if !own {
			return nil, nil
		}
		text, err := r.Open(ctx, m, field)
		return structpb.NewStringValue(text), err
	case *eventv1.SealedChange:
		s, err := r.fields(ctx, v.Message(), field, own)
		return structpb.NewStructValue(s), err
	}
	s, err := r.fields(ctx, v.Message(), "", own)
	return structpb.NewStructValue(s), err
}
