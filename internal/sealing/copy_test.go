package sealing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// The keys that are read are all there are, each once, also where many were destroyed, and open elsewhere what was sealed with
// them. Fails if a destroyed key is handed out, or a range's last one left out: tried with the latter.
func TestKeysAndPutBack(t *testing.T) {
	t.Parallel()
	const people = 700
	from := startBroker(t)
	v := from.vault(t, testMaster(t, 1))
	var making sync.WaitGroup
	for w := range 8 {
		making.Go(func() {
			for i := w; i < people; i += 8 {
				seal(t, v, fmt.Sprintf("usr_%d", i), "name", "Ada")
			}
		})
	}
	making.Wait()
	sealed := seal(t, v, "usr_42", "name", "Ada")
	gone := seal(t, v, "usr_0", "name", "Bea")
	for i := 0; i < people; i += 7 {
		if i != 42 {
			if err := v.Destroy(t.Context(), fmt.Sprintf("usr_%d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now()
	keys := map[string][]byte{}
	err := v.Keys(t.Context(), func(subject string, wrapped []byte) error {
		if keys[subject] != nil {
			t.Errorf("%s comes twice", subject)
		}
		keys[subject] = bytes.Clone(wrapped)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys read in %s", len(keys), time.Since(began).Round(time.Millisecond))
	for i := range people {
		subject := fmt.Sprintf("usr_%d", i)
		if want := i%7 != 0 || i == 42; (keys[subject] != nil) != want {
			t.Errorf("%s is among the keys: %t, want %t", subject, !want, want)
		}
		if keys[subject] != nil && (!testMaster(t, 1).Opens(subject, keys[subject]) || testMaster(t, 2).Opens(subject, keys[subject])) {
			t.Errorf("the key of %s is not wrapped by this master key", subject)
		}
	}
	own := errors.New("enough")
	if err := v.Keys(t.Context(), func(string, []byte) error { return own }); !errors.Is(err, own) {
		t.Errorf("the caller's error became %v", err)
	}

	to := startBroker(t)
	conn, err := nats.Connect("", nats.InProcessServer(to.server))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	each := func(put func(string, []byte) error) error {
		for subject, wrapped := range keys {
			if err := put(subject, wrapped); err != nil {
				return err
			}
		}
		return nil
	}
	began = time.Now()
	if n, err := PutBack(t.Context(), conn, 1, each); err != nil || n != len(keys) {
		t.Fatalf("put back %d of %d: %v", n, len(keys), err)
	}
	t.Logf("put back in %s", time.Since(began).Round(time.Millisecond))
	back := to.vault(t, testMaster(t, 1))
	wantOpen(t, back, sealed, "name", "Ada")
	wantError(t, back, gone, "name", ErrErased)
	if err := back.Destroy(t.Context(), "usr_42"); err != nil {
		t.Fatal(err)
	}
	wantError(t, to.vault(t, testMaster(t, 1)), sealed, "name", ErrErased)
	if _, err := PutBack(t.Context(), conn, 1, each); !errors.Is(err, ErrKeysExist) {
		t.Errorf("over other keys: %v", err)
	}
	if err := Discard(context.WithoutCancel(t.Context()), conn); err != nil {
		t.Fatal(err)
	}
	if _, err := PutBack(t.Context(), conn, 1, func(put func(string, []byte) error) error { return put("no.subject", nil) }); !errors.Is(err, ErrSubject) {
		t.Errorf("a subject that is none: %v", err)
	}
}
