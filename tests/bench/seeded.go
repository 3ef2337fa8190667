package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/keyring"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const adminKey = "admin-key-of-the-benchmarks"

var silent = slog.New(slog.DiscardHandler)

// seeded is a server whose log holds a world; it is made once and shared by the groups that need one.
type seeded struct {
	*app.App
	*world
}

var (
	seededOnce   sync.Once
	seededServer *seeded
	scratch      []string
)

func tempDir() string {
	dir := must(os.MkdirTemp("", "tenure-bench-"))
	scratch = append(scratch, dir)
	return dir
}

func cleanUp() {
	if seededServer != nil {
		check(seededServer.Close())
	}
	for _, dir := range scratch {
		os.RemoveAll(dir)
	}
	seededServer, seededOnce, scratch = nil, sync.Once{}, nil
}

func startApp(dir string) *app.App {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	a := must(app.Start(ctx, app.Config{DataDir: dir, Listen: "127.0.0.1:0", AdminKey: adminKey, Logger: silent, SnapshotEvery: 1 << 40, HugePages: true}))
	// Building the read models of so large a log takes minutes; they are measured apart.
	for _, p := range a.ReadModels.All() {
		p.Close()
	}
	return a
}

func serving(s sizes) *seeded {
	seededOnce.Do(func() {
		dir := tempDir()
		a := startApp(dir)
		genesis := a.Engine.State()
		check(a.Close())
		peppers, _, err := keyring.LoadPeppers(filepath.Join(dir, "pepper"))
		check(err)
		w := &world{
			s: genesis.Loading(), ring: must(keyring.New(keyring.Config{Brand: "tn", Peppers: peppers})), now: genesis.Time.Add(time.Second), anonymous: true,
		}
		log := newLogWriter(filepath.Join(dir, "log"), 500, genesis)
		w.stored = log.add
		w.places(s)
		w.memberships(s)
		w.makeKeys(s)
		log.close()
		w.s = nil
		debug.FreeOSMemory() // a server that starts lets garbage lie for longer
		seededServer = &seeded{startApp(dir), w}
		w.s = seededServer.Engine.State()
	})
	seededServer.s = seededServer.Engine.State()
	return seededServer
}

// logWriter appends entries to a log, so many in each commit.
type logWriter struct {
	embedded *eventstore.Embedded
	// put stores the bytes of the next commit.
	put    func(behind domain.Position, data []byte, h eventstore.Header)
	each   int
	parent domain.Position
	hash   domain.Hash
	open   *eventv1.Commit
}

func newLogWriter(dir string, each int, behind *domain.State) *logWriter {
	embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: dir, Logger: silent}))
	log := must(eventstore.Open(context.Background(), eventstore.Config{Conn: embedded.Conn()}))
	put := func(behind domain.Position, data []byte, h eventstore.Header) {
		check(log.Append(context.Background(), behind, data, h))
	}
	return &logWriter{embedded: embedded, put: put, each: each, parent: behind.Position, hash: behind.Hash}
}

// add stores an entry.
func (l *logWriter) add(entry *eventv1.Entry, now time.Time) {
	if l.open == nil {
		l.open = l.next(now)
	}
	if l.open.Entries = append(l.open.Entries, entry); len(l.open.Entries) == l.each {
		l.flush()
	}
}

func (l *logWriter) next(now time.Time) *eventv1.Commit {
	c := &eventv1.Commit{
		CommitId: ulid.Make().String(), Parent: uint64(l.parent), Time: timestamppb.New(now), Node: "bench", Format: eventstore.Format,
	}
	if l.parent > 0 {
		c.ParentHash = l.hash[:]
	}
	return c
}

func (l *logWriter) flush() {
	if l.open == nil {
		return
	}
	data := must(eventstore.Encode(l.open))
	l.put(l.parent, data, eventstore.Header{CommitID: l.open.CommitId, Entries: len(l.open.Entries)})
	l.parent, l.hash, l.open = l.parent+1, eventstore.HashOf(data), nil
}

func (l *logWriter) close() {
	l.flush()
	check(l.embedded.Close())
}
