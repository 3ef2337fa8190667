package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// Run adds to the backup in a directory, or begins one. Until Finish the former backup there stays as it is. Messages come first,
// then keys. It is for one goroutine.
type Run struct {
	dir      string
	lock     *os.File
	former   *Backup // nil for the first one
	settings *Settings
	manifest Manifest
	chain    chain
	logID    string
	newest   domain.Position

	log    *frameWriter // nil until there is a new message
	keys   *frameWriter
	keySum hash.Hash
}

// Begin begins a run, by a program of a version, that takes in settings if any are given. The directory is made if it is missing.
// It returns ErrInUse, why the settings can't be read, or why the backup that is there can't be added to.
func Begin(dir, version string, settings *Settings) (_ *Run, err error) {
	// Before hours of copying, not behind them.
	if err := settings.readable(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &Run{dir: dir, settings: settings, chain: chain{next: 1}}
	if r.lock, err = os.Open(dir); err != nil {
		return nil, err
	}
	// The operating system drops the lock when the process ends, however that happens.
	if err = syscall.Flock(int(r.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	if err == nil {
		r.former, err = Open(dir)
	}
	if errors.Is(err, ErrNone) {
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, r.lock.Close())
	}
	if r.former != nil {
		r.manifest = r.former.Manifest
		r.chain = chain{next: r.former.Position + 1, pepper: r.former.Pepper, sealingKey: r.former.SealingKey, logID: r.former.LogID}
		hash, err := hex.DecodeString(r.former.Hash)
		if err != nil || len(hash) != len(r.chain.parent) {
			return nil, errors.Join(fmt.Errorf("%w: %s: hash %q", ErrDamaged, filepath.Join(dir, manifestFile), r.former.Hash), r.lock.Close())
		}
		r.chain.parent = domain.Hash(hash)
	}
	r.manifest.Format, r.manifest.Version, r.manifest.Run = format, version, r.manifest.Run+1
	return r, nil
}

// Start says which log comes, and up to which position. It returns an error wrapping ErrOtherLog if that is not the one the
// directory has, or is shorter.
func (r *Run) Start(logID string, newest domain.Position) error {
	if r.former != nil {
		if logID != r.former.LogID {
			return fmt.Errorf("%w: the server has log %s, %s has %s", ErrOtherLog, logID, r.dir, r.former.LogID)
		}
		if newest < r.former.Position {
			return fmt.Errorf("%w: the server's ends at position %d, that in %s at %d: what is in between was lost there, or came from another server that is ahead",
				ErrOtherLog, newest, r.dir, r.former.Position)
		}
	}
	r.logID, r.newest = logID, newest
	return nil
}

// From is the first position that Add wants: the last one of the former backup, to be compared, or 1.
func (r *Run) From() domain.Position { return max(1, r.chain.next-1) }

// Add takes the message at a position. It returns an error wrapping ErrOtherLog if the log does not continue the former backup,
// and otherwise what is wrong with the message or the disk.
func (r *Run) Add(at domain.Position, data []byte) error {
	if at == r.chain.next-1 {
		// Compared whenever it comes: the first one, and the first after a connection was lost.
		if got := eventstore.HashOf(data); got != r.chain.parent {
			return fmt.Errorf("%w: position %d has the hash %s, and %s in %s: the log was restored and grew anew, or was changed",
				ErrOtherLog, at, got, r.chain.parent, r.dir)
		}
		return nil
	}
	if err := r.chain.add(at, data); err != nil {
		return fmt.Errorf("what the server sends is not whole: %w; `tenure log verify` says more", err)
	}
	if r.chain.logID != r.logID {
		return fmt.Errorf("what the server sends is not whole: position 1 is of log %q, the server says %q", r.chain.logID, r.logID)
	}
	if at == 1 && r.settings != nil {
		if _, err := CheckSealingKey(r.settings.SealingKey, r.chain.sealingKey); err != nil {
			return err
		}
	}
	if r.log == nil {
		var err error
		s := Segment{File: fmt.Sprintf("log-%020d.tnr", at), From: at}
		if r.log, err = createFrames(r.path(s.File), logMagic, fileHeader{r.logID, uint64(at)}, nil); err != nil {
			return err
		}
		r.manifest.Segments = append(r.manifest.Segments, s)
	}
	return r.log.frame(binary.BigEndian.AppendUint64(nil, uint64(at)), data)
}

// AddKey takes the wrapped key of a subject.
func (r *Run) AddKey(subject string, wrapped []byte) error {
	if err := r.beginKeys(); err != nil {
		return err
	}
	r.manifest.Keys.Count++
	return r.keys.frame([]byte{byte(len(subject))}, []byte(subject), wrapped)
}

func (r *Run) beginKeys() (err error) {
	if r.keys != nil {
		return nil
	}
	// A name of its own: the former file belongs to the former backup until this one stands.
	r.manifest.Keys = KeyFile{File: fmt.Sprintf("personal-keys-%06d.tnr", r.manifest.Run)}
	r.keySum = sha256.New()
	r.keys, err = createFrames(r.path(r.manifest.Keys.File), keysMagic, fileHeader{r.logID, uint64(r.chain.next - 1)}, r.keySum)
	return err
}

// DropKeys forgets the keys that were added, to take all of them once more.
func (r *Run) DropKeys() {
	if r.keys != nil {
		r.keys.abandon()
		r.keys = nil
	}
}

// Finish makes what was added the backup, takes in the settings, and deletes the keys of the former one: whoever was erased since
// must not live on in them.
func (r *Run) Finish() (Manifest, error) {
	m := &r.manifest
	if at := r.chain.next - 1; at != r.newest || at == 0 {
		return *m, fmt.Errorf("the log ended at position %d, and the server had told of %d", at, r.newest)
	}
	m.LogID, m.Position, m.Hash = r.chain.logID, r.chain.next-1, r.chain.parent.String()
	m.Pepper, m.SealingKey = r.chain.pepper, r.chain.sealingKey
	if err := r.settings.check(m.Pepper, m.SealingKey); err != nil {
		return *m, err
	}
	if err := r.beginKeys(); err != nil { // if there are none
		return *m, err
	}
	if _, err := r.keys.finish(); err != nil {
		return *m, err
	}
	m.Keys.SHA256 = hex.EncodeToString(r.keySum.Sum(nil))
	if r.log != nil {
		size, err := r.log.finish()
		if err != nil {
			return *m, err
		}
		s := &m.Segments[len(m.Segments)-1]
		s.To, s.Size = m.Position, size
	}
	r.log, r.keys = nil, nil
	if err := r.settings.copyTo(r.path(settingsDir)); err != nil {
		return *m, err
	}
	m.TakenAt = time.Now().UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return *m, err
	}
	if err := writeWhole(r.path(manifestFile), append(text, '\n')); err != nil {
		return *m, err
	}
	return *m, r.removeOtherKeys()
}

func (r *Run) removeOtherKeys() error {
	files, err := filepath.Glob(r.path("personal-keys-*"))
	for _, file := range files {
		if filepath.Base(file) != r.manifest.Keys.File {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return errors.Join(err, syncDir(r.dir))
}

// Close ends the run. Without Finish before it nothing has happened.
func (r *Run) Close() error {
	for _, w := range []*frameWriter{r.log, r.keys} {
		if w != nil {
			w.abandon()
		}
	}
	return r.lock.Close()
}

func (r *Run) path(name string) string { return filepath.Join(r.dir, name) }
