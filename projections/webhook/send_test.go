package webhook

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/projections/feed"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// The example of the specification. Fails if anything else is signed: tried.
func TestSignatures(t *testing.T) {
	t.Parallel()
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const first = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	got := signatures([][]byte{secret, []byte("another")}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if a, b, two := strings.Cut(got, " "); a != first || !two || !strings.HasPrefix(b, "v1,") {
		t.Errorf("got %s", got)
	}
}

// A secret is 32 bytes, and never the same.
func TestNewSecret(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(), NewSecret()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(a, "whsec_"))
	if err != nil || len(raw) != 32 || a == b || !strings.HasPrefix(a, "whsec_") {
		t.Errorf("%s, %s, %v", a, b, err)
	}
}

// What is in the feed's stream and not the feed's is sent to nobody. Fails without the question for a position: tried.
func TestMessageOf(t *testing.T) {
	t.Parallel()
	good := nats.Header{
		"Nats-Msg-Id": {"log/1/1/org"}, feed.PositionHeader: {"1"}, "ce-time": {"2026-01-01T00:00:00Z"}, "ce-type": {"tenure.OrgCreated"}, "Content-Type": {"application/json"},
	}
	m, err := messageOf(good, []byte(`{"a":1}`))
	if err != nil || m.id != "log/1/1/org" || m.eventType != "OrgCreated" || string(m.body) != `{"type":"OrgCreated","timestamp":"2026-01-01T00:00:00Z","data":{"a":1}}` {
		t.Errorf("%+v %s %v", m, m.body, err)
	}
	for name := range good {
		if name == "ce-type" || name == "Content-Type" {
			continue
		}
		bad := nats.Header{}
		for n, v := range good {
			if n != name {
				bad[n] = v
			}
		}
		if m, err := messageOf(bad, []byte(`{}`)); err == nil {
			t.Errorf("without %s: %+v", name, m)
		}
	}
}

// A feed of protobuf is sent as JSON all the same. Fails if the body is taken as it is: tried.
func TestMessageOfProtobuf(t *testing.T) {
	t.Parallel()
	data, err := proto.Marshal(&tenurev1.AuditRecord{Position: 7, EventType: "OrgCreated"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := messageOf(nats.Header{
		"Nats-Msg-Id": {"log/7/1/org"}, feed.PositionHeader: {"7"}, "ce-time": {"2026-01-01T00:00:00Z"}, "ce-type": {"tenure.OrgCreated"}, "Content-Type": {"application/protobuf"},
	}, data)
	if want := `{"type":"OrgCreated","timestamp":"2026-01-01T00:00:00Z","data":{"position":"7","event_type":"OrgCreated"}}`; err != nil || string(m.body) != want {
		t.Errorf("%s, %v", m.body, err)
	}
}

// The waits come to three days, and each differs by a tenth at most.
func TestSchedule(t *testing.T) {
	t.Parallel()
	sum := time.Duration(0)
	for _, d := range DefaultSchedule {
		sum += d
		for range 100 {
			if j := jittered(d); j < d-d/10 || j > d+d/10 {
				t.Errorf("%s became %s", d, j)
			}
		}
	}
	if sum < 70*time.Hour || sum > 76*time.Hour {
		t.Errorf("all waits come to %s", sum)
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for want, is := range map[string]struct {
		status int
		err    error
	}{
		"": {204, nil}, "redirects are not followed": {302, nil}, "not accepted": {http.StatusGone, nil},
		"the connection broke": {0, fmt.Errorf("read tcp 10.0.0.1:5->10.0.0.2:6: reset")}, errPrivate.Error(): {0, fmt.Errorf("dial: %w (10.0.0.1)", errPrivate)},
	} {
		if got := reason(is.status, is.err); got != want {
			t.Errorf("%+v: %q, want %q", is, got, want)
		}
	}
}
