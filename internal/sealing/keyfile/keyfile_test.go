package keyfile_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenurehq/tenure/internal/sealing/keyfile"
)

func TestLoadMakesAPrivateFileOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	first, created, err := keyfile.Load(path, func() []byte { return []byte("first") })
	if err != nil || !created || string(first) != "first" {
		t.Fatalf("Load = %q, %v, %v", first, created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	second, created, err := keyfile.Load(path, func() []byte { return []byte("second") })
	if err != nil || created || string(second) != "first" {
		t.Fatalf("Load again = %q, %v, %v", second, created, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

// Seen to fail with os.Rename in place of os.Link.
func TestProcessesThatStartTogetherAgree(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	const n = 16
	var (
		wg      sync.WaitGroup
		content [n]string
		created [n]bool
	)
	for i := range n {
		wg.Go(func() {
			got, made, err := keyfile.Load(path, func() []byte { return []byte(rand.Text()) })
			if err != nil {
				t.Error(err)
			}
			content[i], created[i] = string(got), made
		})
	}
	wg.Wait()
	makers := 0
	for i := range n {
		if content[i] != content[0] || content[i] == "" {
			t.Errorf("loader %d read %q, loader 0 %q", i, content[i], content[0])
		}
		if created[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d loaders made the file", makers)
	}
}

// Seen to fail without the mode check, and with a mask of 0o007.
func TestLoadRefusesWhatOthersMayUse(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o777} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, _, err := keyfile.Load(path, func() []byte { return nil })
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %q, %v", mode, got, err)
		}
	}
}

func TestLoadRefusesWhatIsNoKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := keyfile.Load(dir, func() []byte { return nil }); err == nil {
		t.Error("a directory was read")
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keyfile.Load(big, func() []byte { return nil }); err == nil {
		t.Error("a megabyte was read")
	}
	if _, _, err := keyfile.Load(filepath.Join(dir, "no", "such"), func() []byte { return nil }); err == nil {
		t.Error("a file was made in a directory that does not exist")
	}
}
