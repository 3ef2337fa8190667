package eventstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/tests/natstest"
)

// Without the guard's header the first conflict of this table becomes a commit: tried.
func TestAppend(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	big := make([]byte, l.MaxBytes())
	for i, test := range []struct {
		name     string
		expected domain.Position
		data     []byte
		want     error
	}{
		{"empty log, not expected so", 1, []byte("a"), ErrConflict},
		{"first", 0, []byte("a"), nil},
		{"first again", 0, []byte("a"), ErrConflict},
		{"second", 1, []byte("b"), nil},
		{"behind an older one", 1, []byte("c"), ErrConflict},
		{"ahead", 7, []byte("c"), ErrConflict},
		{"the biggest", 2, big, nil},
		{"too large", 3, append(big, make([]byte, headerRoom)...), ErrTooLarge},
		{"empty message", 3, nil, nil},
	} {
		err := l.Append(t.Context(), test.expected, test.data, Header{CommitID: fmt.Sprint("id-", i), Entries: 2})
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Fatalf("%s: got %v, want %v", test.name, err, test.want)
		}
		if test.want != nil {
			continue
		}
		m, err := l.Read(t.Context(), test.expected+1)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if string(m.Data) != string(test.data) {
			t.Errorf("%s: stored something else", test.name)
		}
	}
	tip, err := l.Tip(t.Context())
	if err != nil || tip.Last != 4 {
		t.Errorf("tip %+v, %v, want 4", tip, err)
	}
}

func TestAppendHeaders(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	if err := l.Append(t.Context(), 0, []byte("x"), Header{CommitID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Entries: 3}); err != nil {
		t.Fatal(err)
	}
	s, err := l.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Tenure-Commit-Id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "Tenure-Entries": "3", "ce-specversion": "1.0",
		"ce-id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "ce-type": "tenure.commit", "ce-source": "tenure", jetstream.MsgIDHeader: "",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = m.Header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Each of these said "conflict" or "too large" once, by changing the default of readAck, to see the test fail.
func TestAppendOutcomeUnknown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, conn := open(t)
	if err := l.Append(ctx, 0, []byte("x"), Header{}); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := l.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), 0, []byte("x"), Header{}); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("no stream: %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := l.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{Subject}})
		if err == nil {
			break
		}
		// The server clears away behind a deleted stream for a moment, directories that the new one needs among it.
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if err := l.Append(t.Context(), 0, []byte("x"), Header{}); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("subject of another stream: %v", err)
	}
	other, err := l.js.Stream(t.Context(), "OTHER")
	if err != nil {
		t.Fatal(err)
	}
	if n := other.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d commits went to another stream", n)
	}
	conn.Close()
	if err := l.Append(t.Context(), 0, []byte("x"), Header{}); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("closed connection: %v", err)
	}
}

func TestReadAck(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]error{
		`{"stream":"TENURE_LOG","seq":8}`: nil,
		`{"stream":"TENURE_LOG","seq":9}`: ErrOutcomeUnknown,
		`{"stream":"TENURE_LOG"}`:         ErrOutcomeUnknown,
		`{"stream":"OTHER","seq":8}`:      ErrOutcomeUnknown,
		``:                                ErrOutcomeUnknown,
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence"}}`: ErrConflict,
		`{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}`: ErrConflict,
		`{"error":{"code":400,"err_code":10054,"description":"message size"}}`:        ErrTooLarge,
		`{"error":{"code":400,"err_code":10097,"description":"header size"}}`:         ErrTooLarge,
		`{"error":{"code":503,"err_code":10077,"description":"no space"}}`:            ErrOutcomeUnknown,
		`{"error":{"code":503,"err_code":10008,"description":"not available"}}`:       ErrOutcomeUnknown,
	} {
		err := readAck([]byte(answer), 7)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", answer, err, want)
		}
	}
}

func TestHeaderTooLargeIsDefinite(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), Config{Conn: natstest.Single(t)})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Append(t.Context(), 0, nil, Header{CommitID: string(make([]byte, 70_000))})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
