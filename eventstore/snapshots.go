package eventstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/tenurehq/tenure/domain"
)

// Snapshots keeps States, so that a start need not fold the whole log. A snapshot is only a shortcut: whatever is wrong with
// one, the log is there.
//
// Each is authenticated with a key that only the servers have, because whoever could plant a State would be whoever they
// like, and the log would know nothing of it.
type Snapshots struct {
	store SnapshotStore
	key   []byte
}

// SnapshotStore is where the bytes of snapshots are. A position names a snapshot.
type SnapshotStore interface {
	// List names all snapshots, the newest first.
	List(ctx context.Context) ([]domain.Position, error)
	// Write keeps what write writes, whole or not at all.
	Write(ctx context.Context, at domain.Position, write func(io.Writer) error) error
	// Open is the content of a snapshot, and its length.
	Open(ctx context.Context, at domain.Position) (io.ReadCloser, int64, error)
	// Delete ends a snapshot; there may be none.
	Delete(ctx context.Context, at domain.Position) error
}

var (
	// ErrSnapshotSchema is returned by Load for a snapshot of a build whose State differs.
	ErrSnapshotSchema = errors.New("the snapshot was written by a build with another state")
	// ErrSnapshotDamaged is returned by Load for a snapshot that is not as it was written, or was written with another key.
	ErrSnapshotDamaged = errors.New("the snapshot is damaged, or of another installation")
)

// snapshotMagic begins every snapshot; the schema follows, then the State, then HMAC-SHA256 of all that.
const snapshotMagic = "TNRSNAP\x01"

// NewSnapshots keeps snapshots in a store, authenticated with key.
func NewSnapshots(store SnapshotStore, key []byte) *Snapshots { return &Snapshots{store, key} }

// List names all snapshots, the newest first.
func (x *Snapshots) List(ctx context.Context) ([]domain.Position, error) { return x.store.List(ctx) }

// Save keeps a state.
func (x *Snapshots) Save(ctx context.Context, s *domain.State) error {
	err := x.store.Write(ctx, s.Position, func(w io.Writer) error {
		mac := hmac.New(sha256.New, x.key)
		schema := domain.SchemaHash()
		both := io.MultiWriter(w, mac)
		if _, err := both.Write(append([]byte(snapshotMagic), schema[:]...)); err != nil {
			return err
		}
		if err := s.WriteSnapshot(both); err != nil {
			return err
		}
		_, err := w.Write(mac.Sum(nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("save snapshot at %d: %w", s.Position, err)
	}
	return nil
}

// Load reads a state. It returns an error wrapping ErrSnapshotSchema or ErrSnapshotDamaged for one that must not be used, and
// else why the store did not give it.
func (x *Snapshots) Load(ctx context.Context, at domain.Position) (*domain.State, error) {
	s, err := x.load(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("load snapshot at %d: %w", at, err)
	}
	return s, nil
}

func (x *Snapshots) load(ctx context.Context, at domain.Position) (*domain.State, error) {
	content, size, err := x.store.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	mac := hmac.New(sha256.New, x.key)
	signed := io.TeeReader(io.LimitReader(content, size-int64(mac.Size())), mac)
	schema := domain.SchemaHash()
	header := make([]byte, len(snapshotMagic)+len(schema))
	if _, err := io.ReadFull(signed, header); err != nil || string(header[:len(snapshotMagic)]) != snapshotMagic {
		return nil, ErrSnapshotDamaged
	}
	if domain.Hash(header[len(snapshotMagic):]) != schema {
		return nil, ErrSnapshotSchema
	}
	s, err := domain.ReadSnapshot(signed)
	if err := authentic(content, signed, mac); err != nil {
		return nil, err
	}
	switch {
	case err != nil:
		return nil, err
	case s.Position != at:
		return nil, ErrSnapshotDamaged
	case !reads(s.Instance.LogFormat()):
		// Two versions may have the same State and not know the same events. From here this one would not see where the log was
		// raised, and write to it.
		return nil, fmt.Errorf("%w: the log had format %d there", ErrSnapshotSchema, s.Instance.LogFormat())
	}
	return s, nil
}

// authentic reads the rest and tells whether all of it is as it was written.
func authentic(content, signed io.Reader, mac hash.Hash) error {
	if _, err := io.Copy(io.Discard, signed); err != nil {
		return err
	}
	want := make([]byte, mac.Size())
	if _, err := io.ReadFull(content, want); err != nil || !hmac.Equal(want, mac.Sum(nil)) {
		return ErrSnapshotDamaged
	}
	return nil
}

// Drop deletes the snapshots for which which is true; it gets their positions and how many newer ones there are.
func (x *Snapshots) Drop(ctx context.Context, which func(at domain.Position, newer int) bool) error {
	list, err := x.store.List(ctx)
	for newer, at := range list {
		if which(at, newer) {
			err = errors.Join(err, x.store.Delete(ctx, at))
		}
	}
	return err
}
