// Package feed publishes the events of the log one by one, in a JetStream stream that forgets: what an organization's own programs
// read, and what webhooks are sent from.
package feed

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections/audit"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Format is how the events are written.
type Format string

// The formats there are. What is already in the stream stays as it is when another is set; Content-Type tells.
const (
	JSON     Format = "json"
	Protobuf Format = "protobuf"
)

// Headers of a message besides Nats-Msg-Id, Content-Type and those of CloudEvents.
const (
	// PositionHeader and IndexHeader are the event's place in the log; index counts the events of a position from 1.
	PositionHeader = "Tenure-Position"
	IndexHeader    = "Tenure-Index"
	// OmittedHeader is there if the event's values were too big for a message and are left out.
	OmittedHeader = "Tenure-Data-Omitted"

	parentHeader = "Tenure-Parent-Hash" // the hash in front of the position, from which a projector goes on
)

const (
	noOrg     = "~" // stands for the organization of what names none; it is no id, as "_" would be
	noProject = "_"

	subjectPrefix = "tenure.feed."
	// headRoom is more than the headers of a message and a publish take.
	headRoom = 4 << 10
)

// Subject is where an event of an organization is published.
func Subject(org, project, eventType string) string {
	if org == "" {
		org = noOrg
	}
	if project == "" {
		project = noProject
	}
	return subjectPrefix + org + "." + project + "." + eventType
}

// messagesOf are the messages of a message of the log: for each event one for each organization it affects, in order.
func (c Config) messagesOf(m eventstore.Folded) (list []*nats.Msg, err error) {
	index := uint32(0)
	for _, entry := range m.Commit.GetEntries() {
		for _, e := range entry.Events {
			index++
			orgs := e.OrgIds
			if len(orgs) == 0 {
				orgs = []string{""}
			}
			for _, org := range orgs {
				message, err := c.message(m, entry, e, index, org)
				if err != nil {
					return nil, fmt.Errorf("position %d, event %d: %w", m.Position, index, err)
				}
				list = append(list, message)
			}
		}
	}
	return list, nil
}

func (c Config) message(m eventstore.Folded, entry *eventv1.Entry, e *eventv1.Event, index uint32, org string) (*nats.Msg, error) {
	record, err := audit.Impersonal(entry, e, org)
	if err != nil {
		return nil, err
	}
	record.Position, record.Index, record.Time = uint64(m.Position), index, m.Commit.Time
	msg := nats.NewMsg(Subject(org, e.ProjectId, record.EventType))
	for name, value := range map[string]string{
		jetstream.MsgIDHeader: id(c.LogID, m.Position, index, org),
		PositionHeader:        strconv.FormatUint(uint64(m.Position), 10),
		IndexHeader:           strconv.FormatUint(uint64(index), 10),
		parentHeader:          hex.EncodeToString(m.Commit.ParentHash),
		"ce-specversion":      "1.0",
		"ce-id":               id(c.LogID, m.Position, index, org),
		"ce-source":           "tenure/" + c.LogID,
		"ce-type":             "tenure." + record.EventType,
		"ce-subject":          audit.Subject(record),
		"ce-time":             m.Commit.Time.AsTime().UTC().Format(time.RFC3339Nano),
		"ce-datacontenttype":  c.contentType(),
		"Content-Type":        c.contentType(),
	} {
		msg.Header[name] = []string{value}
	}
	if msg.Data, err = c.data(record); err != nil || len(msg.Data)+headRoom <= int(c.Conn.MaxPayload()) {
		return msg, err
	}
	record.Data = nil
	msg.Header[OmittedHeader] = []string{"true"}
	msg.Data, err = c.data(record)
	return msg, err
}

func (c Config) contentType() string {
	if c.Format == Protobuf {
		return "application/protobuf"
	}
	return "application/json"
}

func (c Config) data(record *tenurev1.AuditRecord) ([]byte, error) {
	if c.Format == Protobuf {
		return proto.MarshalOptions{Deterministic: true}.Marshal(record)
	}
	return audit.JSON(record)
}

// id tells a message from all others, of other logs too. It is the same however often the message is made.
func id(logID string, at domain.Position, index uint32, org string) string {
	if org == "" {
		org = noOrg
	}
	return fmt.Sprintf("%s/%d/%d/%s", logID, at, index, org)
}

// placed is where a message of the stream stands in the log.
type placed struct {
	id       string
	position domain.Position
	parent   domain.Hash
}

// placeOf reads a message of the stream; not ok if it was published by somebody else.
func (c Config) placeOf(header nats.Header) (p placed, ok bool) {
	p.id = header.Get(jetstream.MsgIDHeader)
	at, err := strconv.ParseUint(header.Get(PositionHeader), 10, 63)
	parent, err2 := hex.DecodeString(header.Get(parentHeader))
	if err != nil || err2 != nil || at == 0 || len(parent) != 0 && len(parent) != len(p.parent) {
		return p, false
	}
	p.position = domain.Position(at)
	copy(p.parent[:], parent)
	return p, len(p.id) > len(c.LogID) && p.id[:len(c.LogID)+1] == c.LogID+"/"
}
