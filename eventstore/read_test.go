package eventstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/domain"
)

func TestRead(t *testing.T) {
	t.Parallel()
	l, conn := open(t)
	if _, err := l.Read(t.Context(), 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("empty log: %v", err)
	}
	add(t, l, 2)
	for p := domain.Position(1); p <= 2; p++ {
		m, err := l.Read(t.Context(), p)
		if err != nil || m.Position != p || string(m.Data) != fmt.Sprint(p) || time.Since(m.Time).Abs() > time.Minute {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if _, err := l.Read(t.Context(), 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("behind the end: %v", err)
	}
	conn.Close()
	if _, err := l.Read(t.Context(), 1); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("closed connection: %v", err)
	}
}

// Anybody with permission can publish by hand, also messages that look like a server's answer. No reader may stop at
// them, take them for an end of the log, or believe their headers. Without the question to the leader, or with the first of
// several headers instead of the last, they do: tried.
func TestMessagesThatLookLikeAnswers(t *testing.T) {
	t.Parallel()
	l, conn := open(t)
	hostile := []nats.Header{
		{"Status": {"503"}},
		{"Status": {"404"}, "Description": {"Message Not Found"}},
		{"Status": {"409"}, "Description": {"Consumer Deleted"}},
		{"Status": {"100"}, "Description": {"Idle Heartbeat"}},
		{"Status": {"400"}},
		{"Nats-Sequence": {"1"}, "Nats-Time-Stamp": {"yesterday"}, "Nats-Stream": {"X"}},
		{"Nats-Sequence": {"x"}},
	}
	for _, h := range hostile {
		if _, err := conn.RequestMsg(&nats.Msg{Subject: Subject, Header: h}, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, l, len(hostile)+1, shortReplay+1)
	end := domain.Position(len(hostile) + shortReplay + 1)
	check := func(next domain.Position) func(Message) error {
		return func(m Message) error {
			if m.Position != next || (len(m.Data) == 0) != (int(next) <= len(hostile)) {
				return fmt.Errorf("position %d with %q, want %d", m.Position, m.Data, next)
			}
			if m.Time.IsZero() {
				return fmt.Errorf("position %d has no time", next)
			}
			if next++; next > end {
				return errDone
			}
			return nil
		}
	}
	for p := range end {
		if m, err := l.Read(t.Context(), p+1); err != nil || m.Position != p+1 {
			t.Errorf("read %d: %+v, %v", p+1, m, err)
		}
	}
	if err := l.Replay(soon(t), 1, end, check(1)); !errors.Is(err, errDone) {
		t.Errorf("replay: %v", err)
	}
	if err := l.Tail(soon(t), 0, check(1)); !errors.Is(err, errDone) {
		t.Errorf("tail: %v", err)
	}
}
