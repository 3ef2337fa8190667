package feed

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// made are the messages of one event, given as text, by organization.
func made(t *testing.T, c Config, text string) map[string]*nats.Msg {
	t.Helper()
	e := &eventv1.Event{}
	if err := prototext.Unmarshal([]byte(text), e); err != nil {
		t.Fatal(err)
	}
	m := eventstore.Folded{}
	m.Position, m.Commit = 7, &eventv1.Commit{Time: timestamppb.Now(), ParentHash: make([]byte, 32), Entries: []*eventv1.Entry{{
		CommandId: "cmd_1", Command: "Command", Reason: "because of Ada",
		Actor:   &eventv1.Actor{Kind: eventv1.Actor_KIND_USER, Id: "usr_actor", KeyId: "key_actor", Method: "bearer", Role: "ADMIN"},
		Request: &eventv1.RequestInfo{Ip: sealed("ip"), UserAgent: sealed("agent"), RequestId: "request of Ada", TraceId: "trace"},
		Events:  []*eventv1.Event{e},
	}}}
	list, err := c.withDefaults().messagesOf(m)
	if err != nil {
		t.Fatal(err)
	}
	byOrg := map[string]*nats.Msg{}
	for _, msg := range list {
		byOrg[strings.Split(msg.Subject, ".")[2]] = msg
	}
	return byOrg
}

func sealed(what string) *eventv1.Sealed {
	return &eventv1.Sealed{Subject: "usr_actor", Data: []byte("sealed " + what)}
}

// Nobody reads in a message what is personal, secret, or of the other side. Fails if what is sealed is opened, if reason or request are
// kept, and if a transfer's messages are the same for both sides: tried, for each.
func TestMessagesHoldNothingElse(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	const sealedName = `{subject:"usr_ada" data:"sealed"}`
	for _, c := range []struct {
		name, event, org string
		holds, lacks     []string
	}{
		{
			"a person", `user_id:"usr_ada" user_registered{email` + sealedName + ` email_digest:"digest" name` + sealedName + `}`, "~",
			[]string{`"user_id":"usr_ada"`, `"id":"usr_actor"`, `"key_id":"key_actor"`, `"command_id":"cmd_1"`},
			[]string{"sealed", "email", "name", "digest", "because", "request", "trace", "agent"},
		},
		{
			"a person of several organizations", `org_ids:"org_a" org_ids:"org_b" user_id:"usr_ada" user_deactivated{}`, "org_b",
			[]string{`"org_ids":["org_b"]`}, []string{"org_a", "ADMIN"},
		},
		{
			"a key", `org_ids:"org_a" key_id:"key_1" key_created{public_key:"pk" verifier{scheme:"hmac" hash:"hash"} display_secret:"sk-...."}`, "org_a",
			[]string{`"public_key":"pk"`}, []string{"hash", "verifier", "hmac"},
		},
		{
			"a transfer, to the source", `org_ids:"org_a" org_ids:"org_b" project_id:"prj" project_transferred{name{old:"x" new:"y"}
				dropped_overrides{user_id:"usr_x"} dropped_group_roles{group_id:"grp_x"} changed_invitation_ids:"inv_x"}`, "org_a",
			[]string{"usr_x", "grp_x", "inv_x", `"org_ids":["org_a","org_b"]`, `"role":"ADMIN"`}, nil,
		},
		{
			"a transfer, to the target", `org_ids:"org_a" org_ids:"org_b" project_id:"prj" project_transferred{name{old:"x" new:"y"}
				dropped_overrides{user_id:"usr_x"} dropped_group_roles{group_id:"grp_x"} changed_invitation_ids:"inv_x"}`, "org_b",
			[]string{`"new":"y"`, `"org_ids":["org_a","org_b"]`}, []string{"usr_x", "grp_x", "inv_x"},
		},
		{
			"an offer, to whom it is made", `org_ids:"org_a" org_ids:"org_b" project_id:"prj" offer_id:"xfr" transfer_offered{}`, "org_b",
			[]string{`"id":"usr_actor"`}, []string{"key_actor", "bearer", "ADMIN"},
		},
		{
			"a webhook", `org_ids:"org_a" webhook_created{webhook_id:"whk" url:"https://a" secret:"sealed"}`, "org_a", []string{`"webhook_id":"whk"`}, []string{"secret", "sealed"},
		},
	} {
		for _, format := range []Format{JSON, Protobuf} {
			msg := made(t, Config{LogID: "log", Conn: conn, Format: format}, c.event)[c.org]
			if msg == nil {
				t.Fatalf("%s: nothing for %s", c.name, c.org)
			}
			text := string(msg.Data)
			if format == Protobuf {
				record := &tenurev1.AuditRecord{}
				if err := proto.Unmarshal(msg.Data, record); err != nil {
					t.Fatal(err)
				}
				again := made(t, Config{LogID: "log", Conn: conn}, c.event)[c.org]
				want := &tenurev1.AuditRecord{}
				if err := protojson.Unmarshal(again.Data, want); err != nil {
					t.Fatal(err)
				}
				if want.Time = record.Time; !proto.Equal(want, record) {
					t.Errorf("%s: protobuf says\n%v\nJSON\n%v", c.name, record, want)
				}
				continue
			}
			for _, word := range c.holds {
				if !strings.Contains(text, word) {
					t.Errorf("%s lacks %s: %s", c.name, word, text)
				}
			}
			for _, word := range c.lacks {
				if strings.Contains(text, word) {
					t.Errorf("%s holds %s: %s", c.name, word, text)
				}
			}
		}
	}
}

// What is too big for a message comes without its values, and says so. Fails without the question: tried.
func TestTooBigForAMessage(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	description := strings.Repeat("x", int(conn.MaxPayload()))
	msg := made(t, Config{LogID: "log", Conn: conn}, `org_ids:"org_a" role_defined{role:"R" description:"`+description+`"}`)["org_a"]
	var record struct {
		EventType string `json:"event_type"`
		Data      any
	}
	if err := json.Unmarshal(msg.Data, &record); err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get(OmittedHeader) != "true" || len(msg.Data) > 1000 || record.EventType != "RoleDefined" || record.Data != nil {
		t.Errorf("%s %s", msg.Header, msg.Data[:min(1000, len(msg.Data))])
	}
	if small := made(t, Config{LogID: "log", Conn: conn}, `org_ids:"org_a" role_defined{role:"R"}`)["org_a"]; small.Header.Get(OmittedHeader) != "" {
		t.Error("a small one lacks its values as well")
	}
}
