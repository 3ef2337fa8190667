package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/backup"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/sealing"
)

// RestoreConfig says what to put back, and where.
type RestoreConfig struct {
	// From is the directory of the backup.
	From string
	// To is the last position to put back; the backup's last if 0.
	To domain.Position
	// DryRun checks the backup and writes nothing.
	DryRun bool
	// Config names the data directory, the external NATS if there is one, and files that are not in the data directory.
	Config
	// Progress is told what is going on, and up to which of how many it is done; how many is 0 if that is not known.
	Progress func(what string, at, of uint64)
}

// Restored says what was put back.
type Restored struct {
	backup.Manifest
	// At is the last position put back, State that of the log there; nil after a dry run.
	At    backup.Facts
	State *domain.State
	Keys  int
	// Wrote is the time that writing the messages took.
	Wrote time.Duration
	// Keyless is how many people have something sealed that nothing opens any more, though they are not erased at that position:
	// they were later, or their keys are lost.
	Keyless int
	// Missing are files that must be in the data directory before a server starts, with the ids they must have.
	Missing []string
}

const (
	logDir = "log"
	// restoringDir is where a restore writes an embedded log. It becomes the log in the end, whole or not at all.
	restoringDir = "log.restoring"
)

// errRestoring says that a data directory holds half a log.
func errRestoring(dir string) error {
	return fmt.Errorf("%s: %w; or remove that directory, if there is nothing to be restored", filepath.Join(dir, restoringDir), eventstore.ErrRestoring)
}

// Restore puts a backup back, into a data directory without a log or a NATS without one. Before it writes anything it has read
// the whole backup and found it right; before the log can be opened it has read it back. Errors say what to do.
func Restore(ctx context.Context, cfg RestoreConfig) (_ *Restored, err error) {
	b, err := backup.Open(cfg.From)
	if err != nil {
		return nil, err
	}
	if cfg.To == 0 {
		cfg.To = b.Position
	}
	if cfg.To > b.Position {
		return nil, fmt.Errorf("the backup ends at position %d, before %d", b.Position, cfg.To)
	}
	r := &restoring{RestoreConfig: cfg, backup: b, done: &Restored{Manifest: b.Manifest}}
	if err := r.check(ctx); err != nil || cfg.DryRun {
		return r.done, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if cfg.NATSURL == "" {
		err = r.embedded(ctx)
	} else {
		err = r.external(ctx)
	}
	return r.done, err
}

// restoring is a restore under way.
type restoring struct {
	RestoreConfig
	backup *backup.Backup
	done   *Restored
}

// check reads everything that there is in the backup, and the files it needs.
func (r *restoring) check(ctx context.Context) error {
	last := uint64(r.backup.Position)
	facts, err := r.backup.Messages(ctx, r.backup.Position, func(at domain.Position, _ []byte) error {
		r.Progress("Checking the backup", uint64(at), last)
		return nil
	})
	if err != nil {
		return err
	}
	if r.To < r.backup.Position {
		// The log may have used another pepper there.
		if facts, err = r.backup.Messages(ctx, r.To, func(domain.Position, []byte) error { return nil }); err != nil {
			return err
		}
	}
	r.done.At = facts
	opens, err := r.files()
	if err != nil {
		return err
	}
	return r.backup.EachKey(func(subject string, wrapped []byte) error {
		r.done.Keys++
		r.Progress("Checking the personal keys", uint64(r.done.Keys), uint64(r.backup.Keys.Count))
		if !opens(subject, wrapped) {
			return fmt.Errorf("%w: the personal key of %s was not wrapped by sealing key %s", backup.ErrDamaged, subject, r.done.At.SealingKey)
		}
		return nil
	})
}

// files checks pepper and sealing key, as far as they are at hand, and answers what tells whether a personal key opens.
func (r *restoring) files() (opens func(subject string, wrapped []byte) bool, err error) {
	opens = func(string, []byte) bool { return true }
	at := r.done.At
	peppers := []string{r.file(r.PepperFile, backup.PepperName)}
	sealingKeys := []string{r.file(r.SealingKeyFile, backup.SealingKeyName)}
	if s := r.backup.Settings(); s != nil {
		peppers, sealingKeys = append(peppers, s.Pepper), append(sealingKeys, s.SealingKey)
	}
	missing := true
	for _, path := range peppers {
		err := backup.CheckPepper(path, at.Pepper)
		if missing = missing && errors.Is(err, fs.ErrNotExist); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if missing {
		r.done.Missing = append(r.done.Missing, fmt.Sprintf("%s with the id %s", peppers[0], at.Pepper))
	}
	missing = true
	for _, path := range sealingKeys {
		master, err := backup.CheckSealingKey(path, at.SealingKey)
		if missing = missing && errors.Is(err, fs.ErrNotExist); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			opens = master.Opens
		}
	}
	if missing {
		r.done.Missing = append(r.done.Missing, fmt.Sprintf("%s with the id %s", sealingKeys[0], at.SealingKey))
	}
	return opens, nil
}

// embedded makes a data directory with a log.
func (r *restoring) embedded(ctx context.Context) (err error) {
	lock, err := os.Open(r.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another restore into %s is under way: %w", r.DataDir, err)
	}
	place, aside := filepath.Join(r.DataDir, logDir), filepath.Join(r.DataDir, restoringDir)
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds a log already: restore into another directory, or move that one away", r.DataDir)
	}
	// What an interrupted restore left.
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	// Everything is flushed in the end: whoever begins anew after a crash loses nothing.
	nats, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: aside, NoSync: true, Logger: r.Logger})
	if err != nil {
		return err
	}
	err = r.fill(ctx, nats.Conn(), 1)
	if err = errors.Join(err, nats.Close()); err != nil {
		return err
	}
	r.Progress("Flushing to disk", uint64(r.To), uint64(r.To))
	if err := syncTree(aside); err != nil {
		return err
	}
	if err := os.Rename(aside, place); err != nil {
		return err
	}
	return syncOne(r.DataDir)
}

// external fills an external NATS.
func (r *restoring) external(ctx context.Context) error {
	x, err := eventstore.Connect(ctx, eventstore.ConnectConfig{
		URL: r.NATSURL, Credentials: r.NATSCredentials, CAFile: r.NATSCA, Name: "tenure restore", Logger: r.Logger,
	})
	if err != nil {
		return err
	}
	defer x.Conn.Close()
	if err := nobodyServes(ctx, x.Conn); err != nil {
		return err
	}
	return r.fill(ctx, x.Conn, max(1, r.Replicas))
}

// nobodyServes is an error if servers run on a NATS: they would take what is put back for a log of their own, half of it.
func nobodyServes(ctx context.Context, conn *nats.Conn) error {
	me := eventstore.Server{Node: "restore", PID: os.Getpid(), Version: Version, Format: eventstore.Format}
	if err := eventstore.AnswerServers(ctx, conn, me); err != nil {
		return err
	}
	servers, err := eventstore.AskServers(ctx, conn, me)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range servers {
		if s != me {
			others = append(others, s.String())
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("servers run on this NATS; stop them first: %s", strings.Join(others, "; "))
	}
	return nil
}

// fill writes log, keys and settings, reads the log back, and lets it be opened.
func (r *restoring) fill(ctx context.Context, conn *nats.Conn, replicas int) error {
	log, err := eventstore.BeginRestore(ctx, eventstore.Config{Conn: conn, Replicas: replicas})
	if err != nil {
		return err
	}
	if log.Again {
		if err := sealing.Discard(ctx, conn); err != nil {
			return err
		}
	}
	began := time.Now()
	_, err = r.backup.Messages(ctx, r.To, func(at domain.Position, data []byte) error {
		r.Progress("Writing the log", uint64(at), uint64(r.To))
		return log.Add(ctx, at, data)
	})
	if err != nil {
		return err
	}
	if err := log.Flush(ctx); err != nil {
		return err
	}
	r.done.Wrote = time.Since(began)
	n := 0
	_, err = sealing.PutBack(ctx, conn, replicas, func(put func(subject string, wrapped []byte) error) error {
		return r.backup.EachKey(func(subject string, wrapped []byte) error {
			n++
			r.Progress("Writing the personal keys", uint64(n), uint64(r.backup.Keys.Count))
			return put(subject, wrapped)
		})
	})
	if err != nil {
		return err
	}
	if err := r.readBack(ctx, log.Log()); err != nil {
		return err
	}
	if s := r.backup.Settings(); s != nil {
		if err := s.PutBack(r.DataDir); err != nil {
			return err
		}
	}
	return log.Finish(ctx)
}

// readBack folds the log that was written, as a server does at its start.
func (r *restoring) readBack(ctx context.Context, log *eventstore.Log) error {
	tip, err := log.Tip(ctx)
	if err != nil {
		return err
	}
	defer FewerCollections()()
	state, err := engine.Replay(ctx, watched{log, func(at domain.Position) { r.Progress("Reading the log back", uint64(at), uint64(r.To)) }}, r.To)
	if err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	if tip.Last != r.To || state.Position != r.To || state.Hash != r.done.At.Hash {
		return fmt.Errorf("read back what was written: the log ends at %d with the hash %s, and should at %d with %s", tip.Last, state.Hash, r.To, r.done.At.Hash)
	}
	r.done.State = state
	have := map[string]bool{}
	if err := r.backup.EachKey(func(subject string, _ []byte) error { have[subject] = true; return nil }); err != nil {
		return err
	}
	for _, u := range state.Users().All() {
		if sealed := cmp.Or(u.Email.Subject, u.Name.Subject); sealed != "" && !have[sealed] {
			r.done.Keyless++
		}
	}
	return nil
}

// watched tells how far a replay is.
type watched struct {
	*eventstore.Log
	tell func(domain.Position)
}

func (w watched) Replay(ctx context.Context, from, to domain.Position, fn func(eventstore.Message) error) error {
	return w.Log.Replay(ctx, from, to, func(m eventstore.Message) error {
		w.tell(m.Position)
		return fn(m)
	})
}

// syncTree flushes everything in a directory.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncOne(path)
	})
}

func syncOne(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
