package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

func startEmbedded(t *testing.T, dir string) *Embedded {
	t.Helper()
	e, err := StartEmbedded(EmbeddedConfig{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestEmbeddedKeepsTheLogOverARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	const n = 100
	for round := range 3 {
		e := startEmbedded(t, dir)
		l, err := Open(t.Context(), Config{Conn: e.Conn()})
		if err != nil {
			t.Fatal(err)
		}
		tip, err := l.Tip(t.Context())
		if err != nil || int(tip.Last) != round*n {
			t.Fatalf("round %d: tip %+v, %v", round, tip, err)
		}
		for range n {
			if err := l.Append(t.Context(), tip.Last, fmt.Append(nil, tip.Last+1), Header{}); err != nil {
				t.Fatal(err)
			}
			tip.Last++
		}
		if err := l.Replay(soon(t), 1, tip.Last, dense(t, 1)); err != nil {
			t.Fatal(err)
		}
		if err := e.Healthy(); err != nil {
			t.Error(err)
		}
		if got := e.Conn().MaxPayload(); got != defaultMaxPayload {
			t.Errorf("payload of %d bytes", got)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := e.Healthy(); err == nil {
			t.Error("healthy after it was closed")
		}
	}
}

// Without flock the second one starts: tried.
func TestEmbeddedLocksItsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEmbedded(t, dir)
	_, err := StartEmbedded(EmbeddedConfig{Dir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("second one: %v", err)
	}
	for _, part := range []string{filepath.Join(dir, "lock"), fmt.Sprintf("process %d;", os.Getpid()), "stop that process"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	startEmbedded(t, dir)
}

func TestEmbeddedSaysWhyItDidNotStart(t *testing.T) {
	t.Parallel()
	if _, err := StartEmbedded(EmbeddedConfig{}); err == nil {
		t.Error("started without a directory")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	_, err := StartEmbedded(EmbeddedConfig{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err == nil || !strings.Contains(err.Error(), "storage directory") {
		t.Errorf("a file where its store should be: %v", err)
	}
	if !strings.Contains(logged.String(), "level=ERROR") {
		t.Errorf("logged %q", logged.String())
	}
	if err := os.Remove(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	startEmbedded(t, dir) // the failed start kept no lock
}

func TestEmbeddedReportsAFailedWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	l, err := Open(t.Context(), Config{Conn: e.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, 1)
	if err := os.RemoveAll(filepath.Join(dir, "jetstream", "$G", "streams", StreamName, "msgs")); err != nil {
		t.Fatal(err)
	}
	// The file in use stays writable; sooner or later a new one is needed.
	big := make([]byte, 4<<20)
	for at := domain.Position(1); e.Healthy() == nil; at++ {
		if err := l.Append(t.Context(), at, big, Header{}); err != nil {
			if e.Healthy() == nil {
				t.Fatalf("healthy after %v", err)
			}
			break
		}
		if at > 50 {
			t.Fatal("all writes succeed")
		}
	}
	if err := e.Healthy(); err == nil || !strings.Contains(err.Error(), StreamName) {
		t.Errorf("health: %v", err)
	}
}
