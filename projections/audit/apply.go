package audit

import (
	"context"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/runner"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Personal reads what is sealed.
type Personal struct {
	Open projections.Opener
	// Digest is a keyed digest, by which what is not shown can be found.
	Digest func(content string) []byte
}

// IPDigest is how an address is searched for.
func (p Personal) IPDigest(ip string) string {
	if ip == "" || ip == projections.Erased {
		return ""
	}
	return hex.EncodeToString(p.Digest("ip " + ip))
}

// Projection is the audit log as a read model.
func Projection(p Personal) runner.Projection {
	return runner.Projection{Schema: Schema(), Apply: func(ctx context.Context, tx *readmodel.Tx, messages []eventstore.Folded) error {
		b, err := Collect(ctx, p, messages)
		if err != nil {
			return err
		}
		return b.Write(tx)
	}}
}

// Batch is rows that are to be written.
type Batch struct {
	records, entries, erased [][]any
}

// Collect makes the rows of messages.
func Collect(ctx context.Context, p Personal, messages []eventstore.Folded) (*Batch, error) {
	b := &Batch{}
	for _, m := range messages {
		index := int64(0)
		for _, entry := range m.Commit.GetEntries() {
			ip, err := p.Open(ctx, entry.Request.GetIp(), "ip")
			if err != nil {
				return nil, err
			}
			for _, e := range entry.Events {
				index++
				if err := b.add(m, entry, e, index, p.IPDigest(ip)); err != nil {
					return nil, fmt.Errorf("position %d, event %d: %w", m.Position, index, err)
				}
			}
		}
	}
	return b, nil
}

// Write writes the rows.
func (b *Batch) Write(tx *readmodel.Tx) error {
	if err := tx.Insert(records, b.records); err != nil {
		return err
	}
	if err := tx.Insert(entries, b.entries); err != nil {
		return err
	}
	return tx.Each("UPDATE {}audit SET ip_digest = '' WHERE actor_id = $1 AND ip_digest <> ''", b.erased)
}

func (b *Batch) add(m eventstore.Folded, entry *eventv1.Entry, e *eventv1.Event, index int64, ip string) error {
	shown, err := Reader{}.fields(context.Background(), body(e), "", false)
	if err != nil {
		return err
	}
	data := appendJSON(nil, structpb.NewStructValue(shown))
	stored := &eventv1.Entry{
		CommandId: entry.CommandId, Command: entry.Command, Actor: entry.Actor, Request: entry.Request, Reason: entry.Reason,
		Events: []*eventv1.Event{withoutVerifiers(e)},
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(stored)
	if err != nil {
		return err
	}
	if e.GetUserErased() != nil {
		b.erased = append(b.erased, []any{e.UserId})
	}
	position, time := int64(m.Position), m.Commit.Time.AsTime().UnixMicro()
	orgs := e.OrgIds
	if len(orgs) == 0 {
		orgs = []string{""}
	}
	by := Actor(entry.Actor)
	for nr, org := range orgs {
		b.records = append(b.records, []any{
			position, index, int64(nr), org, time, EventType(e), entry.Command, entry.CommandId, by.Kind, by.Id, by.KeyId, e.ProjectId, e.UserId,
			e.KeyId, e.GroupId, e.InvitationId, e.OfferId, entry.Reason, entry.Request.GetRequestId(), entry.Request.GetTraceId(), ip, string(data),
		})
	}
	b.entries = append(b.entries, []any{position, index, bytes})
	return nil
}

// withoutVerifiers is the event without what secrets are verified with, and without digests.
func withoutVerifiers(e *eventv1.Event) *eventv1.Event {
	if !hasSecrets(body(e)) {
		return e
	}
	e = proto.CloneOf(e)
	clearSecrets(body(e))
	return e
}

var verifier = (&eventv1.Verifier{}).ProtoReflect().Descriptor().FullName()

// isSecret: bytes in bodies are digests and hashes, those of sealed values excepted.
func isSecret(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.BytesKind || f.Kind() == protoreflect.MessageKind && f.Message().FullName() == verifier
}

var sealedName = (&eventv1.Sealed{}).ProtoReflect().Descriptor().FullName()

func nested(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.MessageKind && !f.IsMap() && f.Message().FullName() != sealedName
}

func hasSecrets(m protoreflect.Message) (has bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(f):
			has = true
		case nested(f) && f.IsList():
			for i := range v.List().Len() {
				has = has || hasSecrets(v.List().Get(i).Message())
			}
		case nested(f):
			has = hasSecrets(v.Message())
		}
		return !has
	})
	return has
}

func clearSecrets(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isSecret(f):
			m.Clear(f)
		case nested(f) && f.IsList():
			for i := range v.List().Len() {
				clearSecrets(v.List().Get(i).Message())
			}
		case nested(f):
			clearSecrets(v.Message())
		}
		return true
	})
}
