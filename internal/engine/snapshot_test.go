package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// counting counts the positions that are replayed.
type counting struct {
	*faulty
	replayed int
}

func (c *counting) Replay(ctx context.Context, from, to domain.Position, fn func(eventstore.Message) error) error {
	return c.faulty.Replay(ctx, from, to, func(m eventstore.Message) error {
		c.replayed++
		return fn(m)
	})
}

// snapshotDir is where snapshots are, and a Config that writes one after every ten events.
func snapshotDir(t *testing.T) (dir string, with func(*Config)) {
	dir = t.TempDir()
	return dir, func(c *Config) {
		c.Snapshots = eventstore.NewSnapshots(eventstore.SnapshotDir(dir), []byte("key"))
		c.SnapshotEvery, c.SnapshotPause = 10, time.Millisecond
	}
}

func writeOrgs(t *testing.T, e *Engine, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		must(t, e, createOrg(fmt.Sprintf("o%d", i)))
	}
}

func snapshotFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	names, err := filepath.Glob(dir + "/snapshot-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// restarted starts again and wants the same state; it answers how many positions were replayed for it.
func restarted(t *testing.T, log *faulty, want *domain.State, with func(*Config)) int {
	t.Helper()
	c := &counting{faulty: log}
	e := start(t, c, with)
	defer e.Close()
	if e.State().Digest() != want.Digest() {
		t.Fatalf("started at %d with another state than was left at %d", e.State().Position, want.Position)
	}
	return c.replayed
}

// A snapshot is written while commands go on, and the next start reads no more than what came behind it. Fails if restore
// does nothing: tried.
func TestStartFromASnapshot(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	dir, with := snapshotDir(t)
	e := start(t, log, with)
	writeOrgs(t, e, 0, 35)
	eventually(t, "a snapshot is there", func() bool { return e.Stats().Snapshot > 10 })
	writeOrgs(t, e, 35, 100)
	eventually(t, "a newer snapshot is there", func() bool { return e.Stats().Snapshot > 90 })
	want := e.State()
	e.Close()
	if n := len(snapshotFiles(t, dir)); n > snapshotsKept {
		t.Errorf("%d snapshots are kept", n)
	}
	if n := restarted(t, log, want, with); n > 12 {
		t.Errorf("%d of %d positions were replayed behind a snapshot", n, want.Position)
	}
	if n := restarted(t, log, want, nil); n < int(want.Position) {
		t.Errorf("%d of %d positions were replayed without a snapshot", n, want.Position)
	}
}

// A start needs no snapshot: damaged ones, those of other builds and an unreadable directory are passed over, the older one
// is taken if the newer is no good.
func TestStartPassesOverBadSnapshots(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	dir, with := snapshotDir(t)
	e := start(t, log, with)
	writeOrgs(t, e, 0, 30)
	eventually(t, "there are two snapshots", func() bool {
		writeOrgs(t, e, int(e.State().Position)+100, int(e.State().Position)+101)
		return len(snapshotFiles(t, dir)) == 2
	})
	want := e.State()
	e.Close()
	files := snapshotFiles(t, dir)
	slices.Sort(files)
	damage := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage(files[1])
	if n := restarted(t, log, want, with); n >= int(want.Position) {
		t.Errorf("%d of %d positions were replayed, though one snapshot was good", n, want.Position)
	}
	damage(files[0])
	if n := restarted(t, log, want, with); n < int(want.Position) {
		t.Errorf("%d of %d positions were replayed, though no snapshot was good", n, want.Position)
	}
	restarted(t, log, want, func(c *Config) {
		c.Snapshots = eventstore.NewSnapshots(eventstore.SnapshotDir(files[0]), []byte("key")) // a file
	})
}

// A log that is shorter than the snapshot, or another, as after a restore of an older copy, is not continued behind it, and
// the snapshot is deleted. Fails if ofThisLog answers nil, and without the Drop in restore: both tried.
func TestSnapshotOfAnotherLogIsRefused(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int{"shorter": 3, "longer": 60} {
		dir, with := snapshotDir(t)
		first := start(t, openLog(t), with)
		writeOrgs(t, first, 0, 40)
		eventually(t, "a snapshot is there", func() bool { return first.Stats().Snapshot > 30 })
		first.Close()
		others := snapshotFiles(t, dir)
		log := openLog(t)
		e := start(t, log, nil)
		writeOrgs(t, e, 500, 500+length)
		want := e.State()
		e.Close()
		if n := restarted(t, log, want, with); n < int(want.Position) {
			t.Errorf("%s: %d of %d positions were replayed", name, n, want.Position)
		}
		for _, file := range snapshotFiles(t, dir) {
			if slices.Contains(others, file) {
				t.Errorf("%s: %s would pass for a snapshot of another server", name, file)
			}
		}
	}
}

// When somebody is erased, the snapshots that hold what they left are replaced, whatever the number of events, and what must
// be destroyed is told again at every start. Fails without the Drop in front of Save, and without the loop over Erased in
// restore: both tried.
func TestSnapshotsAreReplacedAfterAnErasure(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	dir, with := snapshotDir(t)
	e := start(t, log, with)
	sealed := []byte("sealed bytes of Ada")
	must(t, e, Request{Command: domain.RegisterUser{
		ID: "u1", Chosen: true, Email: &eventv1.Sealed{Subject: "u1", Data: sealed}, EmailDigest: []byte("digest"),
		FullName: &eventv1.Sealed{Subject: "u1", Data: sealed},
	}, Rule: anyone, Actor: admin})
	writeOrgs(t, e, 0, 12)
	holding := func() (n int) {
		for _, name := range snapshotFiles(t, dir) {
			if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, sealed) {
				n++
			}
		}
		return n
	}
	eventually(t, "a snapshot holds Ada", func() bool { return holding() > 0 })
	at := must(t, e, Request{Command: domain.EraseUser{ID: "u1"}, Rule: anyone, Actor: admin}).Position
	eventually(t, "a snapshot behind the erasure is there, and none that holds Ada", func() bool {
		return e.Stats().Snapshot >= at && holding() == 0
	})
	want := e.State()
	e.Close()
	var told []string
	restarted(t, log, want, func(c *Config) {
		with(c)
		c.Erased = func(subject string) { told = append(told, subject) }
	})
	if !slices.Contains(told, "u1") {
		t.Errorf("a start behind the erasure tells of %q", told)
	}
}
