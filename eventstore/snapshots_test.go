package eventstore

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// snapshotStores are all implementations: each test runs on each.
func snapshotStores(t *testing.T, test func(*testing.T, SnapshotStore)) {
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		test(t, SnapshotDir(t.TempDir()+"/snapshots"))
	})
	t.Run("bucket", func(t *testing.T) {
		t.Parallel()
		_, conn := open(t)
		b, err := NewSnapshotBucket(conn, 1)
		if err != nil {
			t.Fatal(err)
		}
		test(t, b)
	})
}

func put(t *testing.T, store SnapshotStore, at domain.Position, content []byte) {
	t.Helper()
	err := store.Write(soon(t), at, func(w io.Writer) error { _, err := w.Write(content); return err })
	if err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, store SnapshotStore, at domain.Position) []byte {
	t.Helper()
	r, size, err := store.Open(soon(t), at)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("%d bytes of %d, %v", len(b), size, err)
	}
	return b
}

func wantList(t *testing.T, store SnapshotStore, want ...domain.Position) {
	t.Helper()
	if got, err := store.List(soon(t)); err != nil || !slices.Equal(got, want) {
		t.Errorf("snapshots at %d, %v, expected %d", got, err, want)
	}
}

// A snapshot is there whole or not at all. Fails if Write gives a file its name before write has answered: tried.
func TestSnapshotStores(t *testing.T) {
	t.Parallel()
	snapshotStores(t, func(t *testing.T, store SnapshotStore) {
		wantList(t, store)
		if err := store.Delete(soon(t), 1); err != nil {
			t.Errorf("delete what is not there: %v", err)
		}
		if _, _, err := store.Open(soon(t), 1); err == nil {
			t.Error("what is not there can be opened")
		}
		big := bytes.Repeat([]byte("0123456789"), 100_000)
		put(t, store, 9, []byte("nine"))
		put(t, store, 10, big)
		put(t, store, 1_000_000_000_000, nil)
		wantList(t, store, 1_000_000_000_000, 10, 9)
		if !bytes.Equal(content(t, store, 10), big) || string(content(t, store, 9)) != "nine" {
			t.Error("the content is another")
		}
		failed := errors.New("failed")
		err := store.Write(soon(t), 11, func(w io.Writer) error { _, _ = w.Write(big); return failed })
		if !errors.Is(err, failed) {
			t.Errorf("a write that fails is answered %v", err)
		}
		if err := store.Delete(soon(t), 10); err != nil {
			t.Error(err)
		}
		wantList(t, store, 1_000_000_000_000, 9)
	})
}

// What is not as it was written is refused, whichever byte it is, and so is what another key or another build wrote. Fails
// if authentic answers nil, or if the schema is not compared: both tried.
func TestSnapshotsAreAuthentic(t *testing.T) {
	t.Parallel()
	snapshotStores(t, func(t *testing.T, store SnapshotStore) {
		ours := NewSnapshots(store, []byte("our key"))
		state := &domain.State{Position: 5, Hash: HashOf([]byte("five")), Instance: domain.Instance{LogID: "log", Peppers: []string{"a"}}}
		if err := ours.Save(soon(t), state); err != nil {
			t.Fatal(err)
		}
		s, err := ours.Load(soon(t), 5)
		if err != nil || s.Digest() != state.Digest() {
			t.Fatalf("%v, %v", s, err)
		}
		if _, err := NewSnapshots(store, []byte("another key")).Load(soon(t), 5); !errors.Is(err, ErrSnapshotDamaged) {
			t.Errorf("of another installation: %v", err)
		}
		whole := content(t, store, 5)
		schema := len(snapshotMagic)
		for i := range whole {
			changed := bytes.Clone(whole)
			changed[i] ^= 4
			put(t, store, 6, changed)
			want := ErrSnapshotDamaged
			if i >= schema && i < schema+len(domain.Hash{}) {
				want = ErrSnapshotSchema
			}
			if _, err := ours.Load(soon(t), 6); !errors.Is(err, want) {
				t.Fatalf("byte %d of %d changed: %v, expected %v", i, len(whole), err, want)
			}
		}
		for _, n := range []int{0, 7, 8, 40, len(whole) - 1} {
			put(t, store, 6, whole[:n])
			if _, err := ours.Load(soon(t), 6); !errors.Is(err, ErrSnapshotDamaged) {
				t.Errorf("the first %d bytes: %v", n, err)
			}
		}
		put(t, store, 6, append(bytes.Clone(whole), 0))
		if _, err := ours.Load(soon(t), 6); !errors.Is(err, ErrSnapshotDamaged) {
			t.Errorf("a byte more: %v", err)
		}
		put(t, store, 6, whole)
		if _, err := ours.Load(soon(t), 6); !errors.Is(err, ErrSnapshotDamaged) {
			t.Errorf("under the name of another position: %v", err)
		}
	})
}
