package tests

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// flipped is a data directory of a stopped server, to be damaged in copies.
type flipped struct {
	dir string
	// blocks is the log's file of messages below dir, others are the other files of the store.
	blocks string
	others []string
	end    domain.Position
	digest domain.Hash
}

const (
	flipStore = "log/jetstream"
	// flipHeaders is where in a record it is said how long the headers are: behind 22 bytes and the subject.
	flipHeaders = 22 + len(eventstore.Subject)
)

func flipStart(t *testing.T, dir string) (*app.App, error) {
	t.Helper()
	return app.Start(processContext(t), app.Config{
		DataDir: dir, Listen: "127.0.0.1:0", AdminKey: processAdmin, Logger: slog.New(slog.DiscardHandler),
	})
}

func newFlipped(t *testing.T, dir string, end domain.Position, digest domain.Hash) *flipped {
	t.Helper()
	f := &flipped{dir: dir, end: end, digest: digest}
	err := fs.WalkDir(os.DirFS(dir), flipStore, func(path string, d fs.DirEntry, err error) error {
		info, infoErr := d.Info()
		switch {
		case err != nil || infoErr != nil || d.IsDir() || info.Size() == 0:
		case strings.HasSuffix(path, ".blk") && strings.Contains(path, eventstore.StreamName):
			f.blocks = path
		default:
			f.others = append(f.others, path)
		}
		return errors.Join(err, infoErr)
	})
	if err != nil || f.blocks == "" {
		t.Fatalf("files of the store: %+v, %v", f, err)
	}
	return f
}

// flipCopy copies a data directory. Secrets must stay secret.
func flipCopy(t *testing.T, to, from string) {
	t.Helper()
	err := os.CopyFS(to, os.DirFS(from))
	for _, secret := range []string{"pepper", "sealing-key"} {
		err = errors.Join(err, os.Chmod(filepath.Join(to, secret), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// at is the position of the message that a byte of the file belongs to.
func (f *flipped) at(t *testing.T, offset int) domain.Position {
	t.Helper()
	position, _ := f.find(t, offset)
	return position
}

// headersLength tells whether a byte is of the length of a message's headers.
func (f *flipped) headersLength(t *testing.T, offset int) bool {
	t.Helper()
	_, within := f.find(t, offset)
	return within >= flipHeaders && within < flipHeaders+4
}

// find is the message that a byte of the file belongs to, and where in its record. Each begins with its length.
func (f *flipped) find(t *testing.T, offset int) (position domain.Position, within int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, f.blocks))
	if err != nil {
		t.Fatal(err)
	}
	start := 0
	for position = 1; ; position++ {
		size := int(binary.LittleEndian.Uint32(data[start:]) &^ (1 << 31))
		if offset < start+size {
			return position, offset - start
		}
		start += size
	}
}

// try turns a bit of a file of a copy, starts a server on it, and answers what it said. It wants the refused start to have
// changed nothing, and a server that starts to have the State that it had.
func (f *flipped) try(t *testing.T, file string, offset, bit int) (recovery time.Duration, refusal error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	defer os.RemoveAll(dir)
	flipCopy(t, dir, f.dir)
	name := filepath.Join(dir, file)
	turn := func() string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[offset] ^= 1 << bit
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	damaged := turn()
	a, refusal := flipStart(t, dir)
	if refusal != nil {
		if now, err := os.ReadFile(name); err != nil || string(now) != damaged {
			t.Errorf("the refused start changed %s: %v", file, err)
		}
		turn()
		began := time.Now()
		var err error
		if a, err = flipStart(t, dir); err != nil {
			t.Fatalf("bit %d of byte %d of %s was turned back, and still: %v", bit, offset, file, err)
		}
		recovery = time.Since(began)
	}
	if s := a.Engine.State(); s.Position != f.end || s.Digest() != f.digest || s.Voids != 0 {
		t.Errorf("bit %d of byte %d of %s: the server is at %d of %d, with another State: %v, %d void positions; refused: %v",
			bit, offset, file, s.Position, f.end, s.Digest() != f.digest, s.Voids, refusal)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	return recovery, refusal
}

// A bit turns in the files of a stopped server, anywhere: in a length, a header, the subject, a commit, a checksum, the last
// message too, after an orderly end and after a kill. If it is in a message, the start is refused, the error names the
// position, and nothing is changed; with the bit turned back the server starts with the State it had. In any other file of
// the store it is found or does not matter: no server ever starts with another State.
//
// Without checkStore the embedded server takes the damage for an interrupted write: after a kill it cuts the log at that
// place for good, and the server goes on from there with a shorter log; after an orderly end the newest commit is waited for and
// never comes. With `interrupted` true for every last record, the newest commit is cut off silently; without the look at the
// end of the headers in `whole`, the newest commit becomes a void position: all tried.
func TestFaultBitFlips(t *testing.T) {
	t.Parallel()
	rounds := soak(15, 500)
	dir := t.TempDir()
	a, err := flipStart(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	api := processClient(t, a.URL, processAdmin)
	load := startFaultLoad(t, 4, func(int) *processAPI { return api })
	load.more(t, 60, "before the bits turn")
	load.stop(t)
	state := a.Engine.State()
	killed := t.TempDir()
	flipCopy(t, killed, dir)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	found, harmless, slowest := 0, 0, time.Duration(0)
	for name, f := range map[string]*flipped{
		"stopped": newFlipped(t, dir, state.Position, state.Digest()), "killed": newFlipped(t, killed, state.Position, state.Digest()),
	} {
		size := flipSize(t, f, f.blocks)
		last := size
		for f.at(t, last-1) == f.end {
			last--
		}
		for round := range rounds {
			offset := rand.IntN(size)
			switch round % 5 {
			case 0:
				offset = last + rand.IntN(size-last) // the newest commit is where damage looks most like an interrupted write
			case 1:
				offset = last + rand.IntN(4) // its length
			case 2:
				offset = last + flipHeaders + rand.IntN(4)
			}
			took, refusal := f.try(t, f.blocks, offset, rand.IntN(8))
			slowest = max(slowest, took)
			position := fmt.Sprintf("position %d,", f.at(t, offset))
			if !errors.Is(refusal, eventstore.ErrDamaged) || !strings.Contains(refusal.Error(), position) {
				t.Errorf("%s: byte %d of the log was damaged, expected to be refused with %s: %v", name, offset, position, refusal)
			}
			found++
		}
		for i := range max(rounds/2, len(f.others)) {
			file := f.others[i%len(f.others)]
			took, refusal := f.try(t, file, rand.IntN(flipSize(t, f, file)), rand.IntN(8))
			slowest = max(slowest, took)
			if refusal == nil {
				harmless++
				continue
			}
			found++
			if !errors.Is(refusal, eventstore.ErrDamaged) {
				t.Errorf("%s: %s was damaged, and the start is refused with %v", name, file, refusal)
			}
		}
	}
	replayed, entries := killReplay(t, dir, state.Position)
	figures := killJudge(t, replayed, entries, load.writers)
	figures.recovery = slowest
	figures.report(t, "a bit flipped", found, " found with file and position, ", harmless, " in files that are made anew")
}

// flipSize is the size of a file below f.dir.
func flipSize(t *testing.T, f *flipped, file string) int {
	t.Helper()
	info, err := os.Stat(filepath.Join(f.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

// A bit turns under a running server. What it has in memory stays right: access is answered. Whoever
// reads the log is given all that is in front of the damage, and then an error, never other bytes. The next start is refused
// with the position. (Where it says how long the headers are, the broker's own checksum does not notice: there a reader is
// given other bytes, flagged as void, and stops at the next commit, which names the hash of the right ones.)
//
// Without checkStore the next start is refused for a gap, or waits without end for the newest commit if that is the one: both
// seen.
func TestFaultBitFlipsUnderARunningServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apiStart(t, func(cfg *app.Config) { cfg.DataDir = dir })
	api := processClient(t, s.URL, apiAdminKey)
	load := startFaultLoad(t, 4, func(int) *processAPI { return api })
	load.more(t, 100, "before the bit turns")
	load.stop(t)
	f := newFlipped(t, dir, s.Engine.State().Position, s.Engine.State().Digest())
	// The embedded server forgets after ten seconds what it has written and read: from then on it reads the file.
	time.Sleep(13 * time.Second)
	name := filepath.Join(dir, f.blocks)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	offset, bit := rand.IntN(len(data)), rand.IntN(8)
	for f.headersLength(t, offset) {
		offset = rand.IntN(len(data))
	}
	data[offset] ^= 1 << bit
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	at := f.at(t, offset)
	read := uint64(0)
	stream := s.readLog(t, apiAdminKey, &tenurev1.ReadLogRequest{})
	for stream.Receive() {
		read = stream.Msg().Position
	}
	if read >= uint64(at) || stream.Err() == nil {
		t.Errorf("position %d of %d is damaged; the log is read up to %d, then: %v", at, f.end, read, stream.Err())
	}
	// Behind the damage another position shows that this one does not come any more.
	if text := fmt.Sprint(stream.Err()); at < f.end && !(strings.Contains(text, "damaged") && strings.Contains(text, fmt.Sprintf("position %d ", at))) {
		t.Errorf("position %d is damaged, and whoever reads the log is told: %v", at, stream.Err())
	}
	if _, err := api.orgs.ListOrgs(processContext(t), &tenurev1.ListOrgsRequest{}); err != nil {
		t.Errorf("reads: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := flipStart(t, dir); !errors.Is(err, eventstore.ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("position %d,", at)) {
		t.Errorf("position %d was damaged, and the next start is answered %v", at, err)
	}
	data[offset] ^= 1 << bit
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a, err := flipStart(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	recovery := time.Since(began)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	state, found := killReplay(t, dir, f.end)
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = recovery
	figures.report(t, "a bit flipped under a running server", "position ", at, " of ", f.end, " found by a reader and by the next start")
}
