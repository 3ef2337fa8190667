package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// replay is how quickly a state is folded from a log, and from a snapshot.
func replay(s sizes) (rows []row) {
	var perEvent []float64
	for _, each := range []int{1, 100} {
		dir := tempDir()
		events := writeLog(s, dir, each)
		embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: silent}))
		log := must(eventstore.Open(context.Background(), eventstore.Config{Conn: embedded.Conn()}))
		last := must(log.Tip(context.Background())).Last
		var counted, folded []float64
		var state *domain.State
		for range s.rounds {
			// Both as in a server that starts: what the collector is told makes as much of a difference to who counts.
			often := app.FewerCollections()
			counted = append(counted, seconds(func() {
				n := 0
				check(log.Replay(context.Background(), 1, last, func(eventstore.Message) error { n++; return nil }))
				if n != int(last) {
					panic("messages are missing")
				}
			}))
			state = nil
			folded = append(folded, seconds(func() { state = must(engine.Replay(context.Background(), log, last)) }))
			often()
		}
		rate := float64(events) / median(folded)
		perEvent = append(perEvent, rate)
		what := fmt.Sprintf("replay of %s events, %d in a commit", number(float64(events)), each)
		if each == 1 {
			rows = append(rows, atLeast(row{
				What: what, Figure: rate, Unit: "events/s", Floor: float64(last) / median(counted), FloorIs: "a consumer that counts",
			}, 0.33))
			rows = append(rows, fromSnapshot(s, log, state, median(folded))...)
		} else {
			r := row{What: what, Figure: rate, Unit: "events/s", Floor: perEvent[0], FloorIs: "1 in a commit"}
			rows = append(rows, atLeast(r, 1))
		}
		check(embedded.Close())
	}
	return rows
}

func seconds(do func()) float64 {
	began := time.Now()
	do()
	return time.Since(began).Seconds()
}

// fromSnapshot starts an engine whose snapshot is at the end of the log.
func fromSnapshot(s sizes, log *eventstore.Log, state *domain.State, full float64) []row {
	dir := tempDir()
	snapshots := eventstore.NewSnapshots(eventstore.SnapshotDir(dir), []byte("key"))
	written := seconds(func() { check(snapshots.Save(context.Background(), state)) })
	defer app.FewerCollections()()
	var started []float64
	for range s.rounds {
		started = append(started, seconds(func() {
			e := must(engine.Start(context.Background(), engine.Config{Log: log, Sole: true, Logger: silent, Snapshots: snapshots}))
			if s.rounds == 1 && e.State().Digest() != state.Digest() {
				panic("the snapshot is another state")
			}
			e.Close()
		}))
	}
	took := median(started)
	return []row{
		within(row{What: "start from a snapshot of the same", Figure: took, Unit: "s", Floor: full, FloorIs: "full replay", Note: fmt.Sprintf("written in %.1f s", written)}, 5),
		atMost(row{What: "  beside a full replay", Figure: took, Unit: "s", Floor: full, FloorIs: "full replay"}, 0.5),
	}
}

// writeLog writes a log of as many events as are replayed, so many in a commit: people, memberships and keys. It publishes
// without waiting for the disk, and answers the number of events.
func writeLog(s sizes, dir string, each int) (events int) {
	embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: silent, NoSync: true}))
	must(eventstore.Open(context.Background(), eventstore.Config{Conn: embedded.Conn()}))
	js := must(jetstream.New(embedded.Conn(), jetstream.WithPublishAsyncMaxPending(4096)))
	l := &logWriter{each: each}
	l.put = func(_ domain.Position, data []byte, _ eventstore.Header) {
		must(js.PublishAsync(eventstore.Subject, data, jetstream.WithStallWait(time.Minute)))
	}
	w := newWorldInto(func(entry *eventv1.Entry, now time.Time) {
		l.add(entry, now)
		events += len(entry.Events)
	})
	// A third of the events each are people, memberships and keys, about.
	s.orgsPerPerson = 1
	s.membersPerOrg = max(1, s.replayed/3/s.orgs)
	w.places(s)
	w.memberships(s)
	s.keysPerProject = max(1, (s.replayed-events)/len(w.projects))
	w.makeKeys(s)
	l.flush()
	<-js.PublishAsyncComplete()
	check(embedded.Close())
	return events
}
