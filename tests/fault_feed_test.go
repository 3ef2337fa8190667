package tests

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections/feed"
)

// The process that publishes is killed (-9) at random moments while sixteen writers give commands. In the end every event of the log
// is in the feed once for each organization it affects, in the log's order. What it takes is broken one by one in projections/feed.
func TestFaultFeedKilled(t *testing.T) {
	t.Parallel()
	rounds := soak(3, 20)
	dir := t.TempDir()
	users := killUsers(t, dir)
	writers := make([]*killWriter, 16)
	for i := range writers {
		writers[i] = newKillWriter(i, users)
	}
	for range rounds {
		p := processServe(t, dir, "--feed")
		killRound(t, p, processClient(t, p.url, processAdmin), writers)
	}
	p := processServe(t, dir, "--feed")
	end := killPosition(t, processClient(t, p.url, processAdmin))
	began := time.Now()
	feedAt(t, p.url, end)
	caughtUp := time.Since(began)
	p.stop(t, syscall.SIGTERM)

	embedded, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Close()
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: embedded.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(embedded.Conn())
	if err != nil {
		t.Fatal(err)
	}
	events, orgs := feedIsTheLog(t, log, js, end)
	t.Logf("kill -9 of the feed's projector, %d rounds: %d positions, %d messages of %d organizations, none missing, none twice, in order; caught up %s after the last start",
		rounds, end, events, orgs, caughtUp.Round(time.Millisecond))
}

// feedAt waits until a server's feed is at a position.
func feedAt(t *testing.T, url string, at domain.Position) {
	t.Helper()
	want := fmt.Sprintf("read model feed: running, position %d of %d", at, at)
	for ctx := processContext(t); ; {
		res, err := http.Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if _ = res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), want) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the feed is not at %d: %s", at, body)
		}
	}
}

// feedIsTheLog wants of every event up to a position one message for each organization, in order and nothing else.
func feedIsTheLog(t *testing.T, log *eventstore.Log, js jetstream.JetStream, end domain.Position) (messages, orgs int) {
	t.Helper()
	var want, got []string
	logID := ""
	named := map[string]bool{}
	err := eventstore.ReplayDecoded(processContext(t), log, 1, end, domain.Hash{}, func(d eventstore.Decoded) error {
		index := 0
		for _, entry := range d.Commit.GetEntries() {
			for _, e := range entry.Events {
				if index++; e.GetInstanceCreated() != nil {
					logID = e.GetInstanceCreated().LogId
				}
				for _, org := range e.OrgIds {
					named[org] = true
					want = append(want, fmt.Sprintf("%s/%d/%d/%s", logID, d.Position, index, org))
				}
				if len(e.OrgIds) == 0 {
					want = append(want, fmt.Sprintf("%s/%d/%d/~", logID, d.Position, index))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(processContext(t), feed.StreamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for pending := uint64(1); pending > 0; {
		m, err := consumer.Next(jetstream.FetchMaxWait(processWait))
		if err != nil {
			t.Fatalf("behind %d messages: %v", len(got), err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		pending = meta.NumPending
		got = append(got, m.Headers().Get(jetstream.MsgIDHeader))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-log +feed\n%s", diff)
	}
	return len(got), len(named)
}
