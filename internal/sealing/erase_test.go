package sealing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Seen to fail without the forget in Destroy (first vault) and with a Forget that does nothing (second).
func TestErasedOnEveryServer(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	here, there := b.vault(t, testMaster(t, 1)), b.vault(t, testMaster(t, 1))
	s := seal(t, here, "usr_1", "email", "ada@example.com")
	kept := seal(t, here, "usr_2", "email", "bob@example.com")
	wantOpen(t, there, s, "email", "ada@example.com")

	if err := here.Destroy(t.Context(), "usr_1"); err != nil {
		t.Fatal(err)
	}
	wantError(t, here, s, "email", ErrErased)
	there.Forget("usr_1")
	wantError(t, there, s, "email", ErrErased)

	wantOpen(t, here, kept, "email", "bob@example.com")
	wantOpen(t, there, kept, "email", "bob@example.com")
	for range 2 {
		if err := there.Destroy(t.Context(), "usr_1"); err != nil {
			t.Errorf("Destroy again: %v", err)
		}
	}
	if err := there.Destroy(t.Context(), "usr_never_sealed"); err != nil {
		t.Errorf("Destroy of nothing: %v", err)
	}
}

// An event is applied before the key is destroyed, and people read in between. Seen to fail when put keeps forgotten
// subjects.
func TestReadBetweenForgetAndDestroyDoesNotKeepTheKey(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	here, there := b.vault(t, testMaster(t, 1)), b.vault(t, testMaster(t, 1))
	s := seal(t, here, "usr_1", "email", "ada@example.com")
	there.Forget("usr_1")
	wantOpen(t, there, s, "email", "ada@example.com")
	if err := here.Destroy(t.Context(), "usr_1"); err != nil {
		t.Fatal(err)
	}
	wantError(t, there, s, "email", ErrErased)
}

// Seen to fail with DeleteMsg in place of SecureDeleteMsg.
func TestDestroyOverwritesTheBytesOnDisk(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	v := b.vault(t, testMaster(t, 1))
	var wrapped [][]byte
	for i := range 5 {
		subject := fmt.Sprintf("usr_%d", i)
		seal(t, v, subject, "email", "ada@example.com")
		key, err := v.bucket.get(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		if !b.onDisk(t, key) {
			t.Fatal("the wrapped key is not on disk: this test proves nothing")
		}
		wrapped = append(wrapped, key)
	}
	// In the middle, then the last message of the store, which NATS treats apart.
	for _, i := range []int{2, 4} {
		if err := v.Destroy(t.Context(), fmt.Sprintf("usr_%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i, key := range wrapped {
		if destroyed := i == 2 || i == 4; b.onDisk(t, key) == destroyed {
			t.Errorf("key %d: destroyed %v, on disk %v", i, destroyed, !destroyed)
		}
	}
}

func TestServersMayDestroyTheSameSubjectAtOnce(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	vaults := []*Vault{b.vault(t, testMaster(t, 1)), b.vault(t, testMaster(t, 1)), b.vault(t, testMaster(t, 1))}
	for round := range 20 {
		subject := fmt.Sprintf("usr_%d", round)
		s := seal(t, vaults[0], subject, "email", "ada@example.com")
		var wg sync.WaitGroup
		for _, v := range vaults {
			wg.Go(func() {
				if err := v.Destroy(t.Context(), subject); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, v := range vaults {
			wantError(t, v, s, "email", ErrErased)
		}
	}
}

func TestSealingAgainDoesNotBringBackTheOldValues(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	v := b.vault(t, testMaster(t, 1))
	old := seal(t, v, "usr_1", "email", "ada@example.com")
	if err := v.Destroy(t.Context(), "usr_1"); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, v, seal(t, v, "usr_1", "email", "new@example.com"), "email", "new@example.com")
	wantError(t, v, old, "email", ErrUnreadable)
}

// A bucket somebody deleted from by hand leaves a marker, not nothing.
func TestMarkerOfADeletionIsNoKey(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	v := b.vault(t, testMaster(t, 1))
	s := seal(t, v, "usr_1", "email", "ada@example.com")
	if err := v.bucket.keys.Delete(t.Context(), "usr_1"); err != nil {
		t.Fatal(err)
	}
	fresh := b.vault(t, testMaster(t, 1))
	wantError(t, fresh, s, "email", ErrErased)
	wantOpen(t, fresh, seal(t, fresh, "usr_1", "email", "new@example.com"), "email", "new@example.com")
}

// An unreachable bucket must not read as an erased person.
func TestUnavailableIsNotErased(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	v := b.vault(t, testMaster(t, 1))
	s := seal(t, v, "usr_1", "email", "ada@example.com")
	v.Forget("usr_1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Open(ctx, s, "email"); err == nil || errors.Is(err, ErrErased) || errors.Is(err, ErrUnreadable) {
		t.Errorf("Open = %v", err)
	}
	if err := v.Destroy(ctx, "usr_1"); err == nil {
		t.Error("Destroy succeeded without the bucket")
	}
	wantOpen(t, v, s, "email", "ada@example.com")
}

// Seen to fail, row by row, without the case of usable it names.
func TestUnfitBucketIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"made by NATS itself": func(c *jetstream.StreamConfig) { c.DenyDelete = true },
		"read from replicas":  func(c *jetstream.StreamConfig) { c.AllowDirect = true },
		"in memory":           func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"with a history":      func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"with an age":         func(c *jetstream.StreamConfig) { c.MaxAge = 1e15 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := startBroker(t).jetStream(t)
			cfg := streamConfig(1)
			change(&cfg)
			if _, err := js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), js, testMaster(t, 1), 1); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// Seen to fail without the eviction.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newKeyCache(3)
	for i := range 100 {
		c.put(fmt.Sprint(i), nil)
	}
	if len(c.keys) != 3 {
		t.Errorf("%d keys cached, want 3", len(c.keys))
	}
	for i := range forgottenSubjects + 10 {
		c.forget(fmt.Sprint(i))
		c.forget(fmt.Sprint(i))
	}
	if len(c.forgotten) != forgottenSubjects || len(c.order) != forgottenSubjects {
		t.Errorf("%d forgotten, %d in order, want %d", len(c.forgotten), len(c.order), forgottenSubjects)
	}
	if _, ok := c.forgotten["9"]; ok {
		t.Error("the oldest was kept")
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	v := b.vault(t, testMaster(t, 1))
	v.cache.limit = 4
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				subject := fmt.Sprintf("usr_%d_%d", w, i%10)
				s, err := v.Seal(t.Context(), subject, "name", "Ada")
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := v.Open(t.Context(), s, "name"); err != nil || !bytes.Equal([]byte(got), []byte("Ada")) {
					t.Errorf("%q, %v", got, err)
				}
				if i%10 == 9 {
					if err := v.Destroy(t.Context(), subject); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}
