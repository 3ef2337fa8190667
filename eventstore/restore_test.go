package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/tests/natstest"
)

// A log is put back message by message although the leader steps down again and again in between: every message is at its
// position, once. Until the end nobody can open it. Fails if what is on its way is not sent again: tried.
func TestRestoreOverChangesOfLeader(t *testing.T) {
	t.Parallel()
	const messages = 20_000
	cluster := natstest.Cluster(t, 3)
	conn, ctx := cluster.Connect(t, 0), soon(t)
	cfg := Config{Conn: conn, Replicas: 3}
	content := func(at domain.Position) []byte { return bytes.Repeat(fmt.Appendf(nil, "message %d ", at), 20) }
	r, err := BeginRestore(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, cfg); !errors.Is(err, ErrRestoring) {
		t.Errorf("opened in the middle: %v", err)
	}
	began := time.Now()
	steps := make(chan struct{})
	go func() {
		defer close(steps)
		for range 3 {
			cluster.StepDown(t, StreamName)
		}
	}()
	stepping := true
	at := domain.Position(1)
	for ; at <= messages || stepping; at++ {
		if err := r.Add(ctx, at, content(at)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-steps:
			stepping = false
		default:
		}
	}
	<-steps
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if err := r.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	l, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := domain.Position(0)
	err = l.Replay(ctx, 1, at-1, func(m Message) error {
		if n++; m.Position != n || !bytes.Equal(m.Data, content(n)) {
			return fmt.Errorf("position %d holds %q", m.Position, m.Data)
		}
		return nil
	})
	tip, tipErr := l.Tip(ctx)
	if err = errors.Join(err, tipErr); err != nil || tip.Last != at-1 {
		t.Errorf("the log ends at %d of %d: %v", tip.Last, at-1, err)
	}
	t.Logf("%d messages in %s, while the leader stepped down three times", at-1, took.Round(time.Millisecond))
	if _, err := BeginRestore(ctx, cfg); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over what is there: %v", err)
	}
}

// Nobody else may write in between, positions come in order, and what does not fit is refused with what to set.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	_, conn := open(t) // which makes an empty log
	ctx := soon(t)
	cfg := Config{Conn: conn}
	r, err := BeginRestore(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(ctx, 2, []byte("second")); err == nil || !strings.Contains(err.Error(), "position 2 comes where 1 must come") {
		t.Errorf("the second one first: %v", err)
	}
	if err := r.Add(ctx, 1, make([]byte, 9<<20)); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("one that is too large: %v", err)
	}
	if _, err := conn.Request(Subject, []byte("by hand"), time.Second); err != nil {
		t.Fatal(err)
	}
	// Where somebody else's message took a place, ours is not. That is found when all of it is read back.
	if err := errors.Join(r.Add(ctx, 1, []byte("first")), r.Add(ctx, 2, []byte("second")), r.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	l := r.Log()
	if first, err := l.Read(ctx, 1); err != nil || string(first.Data) != "by hand" {
		t.Errorf("position 1 holds %q, %v", first.Data, err)
	}
	if _, err := conn.Request(Subject, []byte("by hand"), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Add(ctx, 3, []byte("third")), r.Add(ctx, 4, []byte("fourth")), r.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := conn.Request(Subject, []byte("by hand"), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Add(ctx, 5, []byte("fifth")), r.Flush(ctx)); err == nil || !strings.Contains(err.Error(), "somebody else writes") {
		t.Errorf("behind more than is on its way: %v", err)
	}

	// Begun anew there is nothing left of it.
	r, err = BeginRestore(ctx, cfg)
	if err != nil || !r.Again {
		t.Fatalf("after an interrupted one: again is %v, %v", r, err)
	}
	if err := errors.Join(r.Add(ctx, 1, []byte("first")), r.Flush(ctx), r.Finish(ctx)); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if m, err := l.Read(ctx, 1); err != nil || string(m.Data) != "first" {
		t.Errorf("position 1 holds %q, %v", m.Data, err)
	}
}
