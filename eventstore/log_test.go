package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/tests/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns an empty log on a server of its own, and its connection.
func open(t testing.TB) (*Log, *nats.Conn) {
	t.Helper()
	conn := natstest.Single(t)
	l, err := Open(t.Context(), Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	return l, conn
}

// add appends n messages "1", "2" ... to an empty log.
func add(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(t.Context(), domain.Position(i), fmt.Append(nil, i+1), Header{}); err != nil {
			t.Fatal(err)
		}
	}
}

// soon ends long before a test that hangs would, and long after one that works.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var errDone = errors.New("the test has seen enough")

// dense fails the test unless messages come from position from on, each once, holding their position as text.
func dense(t testing.TB, from domain.Position) func(Message) error {
	next := from
	return func(m Message) error {
		if m.Position != next || string(m.Data) != fmt.Sprint(next) || m.Time.IsZero() {
			return fmt.Errorf("position %d with %q at %s, want %d", m.Position, m.Data, m.Time, next)
		}
		next++
		return nil
	}
}

// publish puts n messages into the log quickly and without a guard, as nobody but a test may.
func publish(t testing.TB, l *Log, first, n int) {
	t.Helper()
	for end := first + n; first < end; {
		var acks []jetstream.PubAckFuture
		for ; first < end && len(acks) < 1000; first++ {
			ack, err := l.js.PublishAsync(Subject, fmt.Append(nil, first))
			if err != nil {
				t.Fatal(err)
			}
			acks = append(acks, ack)
		}
		for _, ack := range acks {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				t.Fatal(err)
			}
		}
	}
}

func TestOpenByManyServersAtOnce(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Open(t.Context(), Config{Conn: conn, Replicas: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l, err := Open(t.Context(), Config{Conn: conn, Replicas: 3})
	if err != nil {
		t.Fatalf("another number of replicas: %v", err)
	}
	info, err := l.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := info.Config; !c.DenyDelete || !c.DenyPurge || c.Storage != jetstream.FileStorage || c.MaxMsgSize != -1 {
		t.Errorf("created as %+v", c)
	}
}

// Each setting was taken out of checkStream once to see its case fail.
func TestOpenRefusesOtherSettings(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(*jetstream.StreamConfig)
		names string
	}{
		{"deletes", func(c *jetstream.StreamConfig) { c.DenyDelete = false }, "deny_delete is false"},
		{"purge", func(c *jetstream.StreamConfig) { c.DenyPurge = false }, "deny_purge is false"},
		{"age", func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour }, "max_age is 24h"},
		{"count", func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 }, "max_msgs is 5"},
		{"count per subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject is 1"},
		{"size", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "max_bytes is 1048576"},
		{"message size", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 }, "max_msg_size is 100"},
		{"discard", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard is DiscardOld"},
		{"retention", func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "retention is Interest"},
		{"memory", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage is Memory"},
		{"no direct get", func(c *jetstream.StreamConfig) { c.AllowDirect = false }, "allow_direct is false"},
		{"subjects", func(c *jetstream.StreamConfig) { c.Subjects = []string{Subject, "b"} }, `subjects are ["tenure.log" "b"]`},
		{"rollup", func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false }, "allow_rollup_hdrs is true"},
		{"time to live", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }, "allow_msg_ttl is true"},
		{"batches", func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = true }, "allow_atomic is true"},
		{"fast batches", func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true }, "allow_batched is true"},
		{"no acknowledgement", func(c *jetstream.StreamConfig) { c.NoAck = true }, "no_ack is true"},
		{"consumers", func(c *jetstream.StreamConfig) { c.MaxConsumers = 3 }, "max_consumers is 3"},
		{"first position", func(c *jetstream.StreamConfig) { c.FirstSeq = 9 }, "first_seq is 9"},
		{"transform", func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: Subject, Destination: "x"}
		}, "subject_transform is true"},
		{"mirror", func(c *jetstream.StreamConfig) {
			c.Mirror, c.Subjects = &jetstream.StreamSource{Name: "OTHER"}, nil
			c.Discard = jetstream.DiscardOld
		}, "mirror is true"},
		{"sources", func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} }, "sources is true"},
		{"counters", func(c *jetstream.StreamConfig) { c.AllowMsgCounter, c.Discard = true, jetstream.DiscardOld }, "allow_msg_counter is true"},
		{"schedules", func(c *jetstream.StreamConfig) { c.AllowMsgSchedules, c.Discard = true, jetstream.DiscardOld }, "allow_msg_schedules is true"},
		{"asynchronous", func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "persist_mode is Async"},
	} {
		cfg := streamConfig(1)
		test.spoil(&cfg)
		// The server is not always done with the files of the stream before.
		_, err := js.CreateStream(t.Context(), cfg)
		for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
			_, err = js.CreateStream(t.Context(), cfg)
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		_, err = Open(t.Context(), Config{Conn: conn})
		if !errors.Is(err, ErrStreamSettings) || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: got %v, want it to say %q", test.name, err, test.names)
		}
		if err := js.DeleteStream(t.Context(), StreamName); err != nil {
			t.Fatal(err)
		}
	}
	sealed := streamConfig(1)
	sealed.Sealed = true // no stream is created like that
	if err := checkStream(sealed); !errors.Is(err, ErrStreamSettings) {
		t.Errorf("sealed: %v", err)
	}
}

func TestTip(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	tip, err := l.Tip(t.Context())
	if err != nil || tip.Last != 0 {
		t.Fatalf("empty log: %+v, %v", tip, err)
	}
	add(t, l, 3)
	tip, err = l.Tip(t.Context())
	if err != nil || tip.Last != 3 {
		t.Fatalf("three messages: %+v, %v", tip, err)
	}
	m, err := l.Read(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if tip.Time.Before(m.Time) || tip.Time.Sub(m.Time) > time.Minute {
		t.Errorf("answered at %s, stored at %s", tip.Time, m.Time)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Tip(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A leader's word is as old as what it last heard from half of the others, rounded up: with them it is more than half of all.
// Fails if the oldest or the newest of several counts: tried.
func TestHeard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ago  []time.Duration
		want time.Duration
	}{{nil, 0}, {[]time.Duration{7}, 7}, {[]time.Duration{9, 2}, 2}, {[]time.Duration{4, 1, 3, 2}, 2}} {
		info := &jetstream.ClusterInfo{}
		for _, d := range c.ago {
			info.Replicas = append(info.Replicas, &jetstream.PeerInfo{Active: d})
		}
		if got := heard(info); got != c.want {
			t.Errorf("heard from the others %v ago: %v, want %v", c.ago, got, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for v, ok := range map[string]bool{
		"2.15.2": true, "2.15.3-RC.1": true, "2.16.0": true, "3.0.0": true,
		"2.15.1": false, "2.14.9": false, "1.99.99": false, "": false, "new": false,
	} {
		if err := checkVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}
