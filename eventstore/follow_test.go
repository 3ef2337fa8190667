package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/tests/natstest"
)

func TestReplayManyMessages(t *testing.T) {
	t.Parallel()
	const n = 20_000
	l, _ := open(t)
	publish(t, l, 1, n)
	for _, r := range [][2]domain.Position{{1, n}, {1, 1}, {500, 600}, {n - 10, n}, {7, 7 + shortReplay}, {8, 7}} {
		var seen int
		want := dense(t, r[0])
		err := l.Replay(soon(t), r[0], r[1], func(m Message) error { seen++; return want(m) })
		if err != nil || seen != int(r[1]+1-r[0]) {
			t.Errorf("replay %d..%d: %d messages, %v", r[0], r[1], seen, err)
		}
	}
	if err := l.Replay(t.Context(), 0, 5, dense(t, 0)); err == nil {
		t.Error("position 0 replayed")
	}
}

// The window is bounded by bytes as well: messages as big as they get must pass.
func TestReplayBigMessages(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	const small, big = 2 * shortReplay, 6
	publish(t, l, 1, small)
	for i := range big {
		if err := l.Append(t.Context(), domain.Position(small+i), make([]byte, l.MaxBytes()), Header{}); err != nil {
			t.Fatal(err)
		}
	}
	var bytes int
	err := l.Replay(soon(t), 1, small+big, func(m Message) error {
		bytes += len(m.Data)
		return nil
	})
	if err != nil || bytes < big*l.MaxBytes() {
		t.Errorf("%d bytes, %v", bytes, err)
	}
}

func TestReplayWaitsForWhatIsNotThereYet(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 2 * shortReplay} {
		l, _ := open(t)
		add(t, l, 2)
		done := make(chan error, 1)
		go func() { done <- l.Replay(soon(t), 1, domain.Position(n), dense(t, 1)) }()
		publish(t, l, 3, n-2)
		if err := <-done; err != nil {
			t.Errorf("%d messages: %v", n, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := l.Replay(ctx, 1, domain.Position(n)+1, dense(t, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more than there is: %v", err)
		}
	}
}

func TestReplayAndTailReturnTheError(t *testing.T) {
	t.Parallel()
	l, conn := open(t)
	publish(t, l, 1, 200)
	stopAt := func(p domain.Position) func(Message) error {
		return func(m Message) error {
			if m.Position > p {
				t.Errorf("called for %d after the error at %d", m.Position, p)
			}
			if m.Position == p {
				return errDone
			}
			return nil
		}
	}
	for _, p := range []domain.Position{1, 100} {
		if err := l.Replay(soon(t), 1, 200, stopAt(p)); !errors.Is(err, errDone) {
			t.Errorf("replay: %v", err)
		}
		if err := l.Tail(soon(t), 0, stopAt(p)); !errors.Is(err, errDone) {
			t.Errorf("tail: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := l.Tail(ctx, 199, func(Message) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled tail: %v", err)
	}
	err := l.Tail(soon(t), 199, func(Message) error { conn.Close(); return nil })
	if !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("tail on a closed connection: %v", err)
	}
}

// gapped is a log that lost positions, as only a broken store does.
func gapped(t *testing.T, n int, lost ...uint64) *Log {
	t.Helper()
	conn := natstest.Single(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streamConfig(1)
	cfg.DenyDelete = false
	s, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{conn: conn, js: js}
	publish(t, l, 1, n)
	for _, p := range lost {
		if err := s.DeleteMsg(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// Without judge, both of them wait for the missing position until ctx ends: tried.
func TestGapStopsReaders(t *testing.T) {
	t.Parallel()
	l := gapped(t, 300, 150)
	for name, read := range map[string]func(func(Message) error) error{
		"long replay":  func(fn func(Message) error) error { return l.Replay(soon(t), 1, 300, fn) },
		"short replay": func(fn func(Message) error) error { return l.Replay(soon(t), 140, 160, fn) },
		"tail":         func(fn func(Message) error) error { return l.Tail(soon(t), 100, fn) },
	} {
		var newest domain.Position
		err := read(func(m Message) error { newest = m.Position; return nil })
		if !errors.Is(err, ErrGap) || !strings.Contains(err.Error(), "position 150 ") || newest != 149 {
			t.Errorf("%s: %v after %d", name, err, newest)
		}
	}
}

// What follows needs no consumer: they go on by direct reads when none can be made. Without them this test hangs: tried.
func TestReadersWithoutConsumers(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streamConfig(1)
	cfg.MaxConsumers = 1
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), StreamName, jetstream.ConsumerConfig{Durable: "taken"}); err != nil {
		t.Fatal(err)
	}
	l := &Log{conn: conn, js: js}
	publish(t, l, 1, 300)
	if err := l.Replay(soon(t), 1, 300, dense(t, 1)); err != nil {
		t.Errorf("replay: %v", err)
	}
	want := dense(t, 201)
	err = l.Tail(soon(t), 200, func(m Message) error {
		if m.Position == 300 {
			publish(t, l, 301, 1)
		}
		if m.Position == 301 {
			return errDone
		}
		return want(m)
	})
	if !errors.Is(err, errDone) {
		t.Errorf("tail: %v", err)
	}
}

// A consumer that is deleted under a live reader is replaced; without the loop in startFeed it is not: tried.
func TestTailOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	add(t, l, 1)
	want := dense(t, 1)
	next := 2
	err := l.Tail(soon(t), 0, func(m Message) error {
		if err := want(m); err != nil || next > 200 {
			return errors.Join(errDone, err)
		}
		s, err := l.js.Stream(t.Context(), StreamName)
		if err != nil {
			return err
		}
		if next%50 == 0 {
			deleted := consumers(t, s)
			for _, name := range deleted {
				if err := s.DeleteConsumer(t.Context(), name); err != nil {
					return err
				}
			}
			for deadline := time.Now().Add(10 * time.Second); len(consumers(t, s)) == 0; {
				if time.Now().After(deadline) {
					return fmt.Errorf("no consumer after %s was deleted", deleted)
				}
			}
		}
		publish(t, l, next, 1)
		next++
		return nil
	})
	if err == nil || err.Error() != errDone.Error() {
		t.Errorf("tail: %v after %d", err, next-1)
	}
}

func consumers(t testing.TB, s jetstream.Stream) (names []string) {
	t.Helper()
	list := s.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		t.Error(err)
	}
	return names
}

func TestReadersKeepTheirData(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	publish(t, l, 1, 2_000)
	var kept []Message
	if err := l.Replay(soon(t), 1, 2_000, func(m Message) error { kept = append(kept, m); return nil }); err != nil {
		t.Fatal(err)
	}
	want := dense(t, 1)
	for _, m := range kept {
		if err := want(m); err != nil {
			t.Fatal(err)
		}
		clear(m.Data)
	}
}

func BenchmarkReplay(b *testing.B) {
	l, _ := open(b)
	const n = 20_000
	publish(b, l, 1, n)
	for b.Loop() {
		if err := l.Replay(b.Context(), 1, n, dense(b, 1)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
