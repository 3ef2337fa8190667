package tests

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/backup"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// backupFile is a file of a backup, as its frames, read by the format that the package describes.
type backupFile struct {
	magic  []byte
	frames [][]byte // content without length and checksum
	starts []int    // where each begins in the file
}

var backupCRC = crc32.MakeTable(crc32.Castagnoli)

func backupParse(t *testing.T, path string) (f backupFile) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.magic = text[:8]
	for at := 8; at < len(text); {
		size := int(binary.BigEndian.Uint32(text[at:]))
		f.starts = append(f.starts, at)
		f.frames = append(f.frames, text[at+4:at+4+size])
		at += 8 + size
	}
	return f
}

// write writes the file with checksums that are right, and makes the manifest expect its size.
func (f backupFile) write(t *testing.T, dir, name string) {
	t.Helper()
	text := f.magic[:8:8]
	for _, frame := range f.frames {
		whole := append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		text = append(text, whole...)
		text = binary.BigEndian.AppendUint32(text, crc32.Checksum(whole, backupCRC))
	}
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	backupManifest(t, dir, func(m *backup.Manifest) {
		for i := range m.Segments {
			if m.Segments[i].File == name {
				m.Segments[i].Size = int64(len(text))
			}
		}
	})
}

func backupManifest(t *testing.T, dir string, change func(*backup.Manifest)) {
	t.Helper()
	path := filepath.Join(dir, "backup.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m backup.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func backupCopy(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pepper", "sealing-key"} {
		if err := os.Chmod(filepath.Join(dir, "settings", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A damaged backup is refused with the position, before anything is written: every byte that was flipped, whatever it is; a file
// cut anywhere; a message left out, exchanged, changed, or put in, with checksums made to fit; keys that are not those that were
// copied.
//
// Fails without the checksums of frames for the position, without the chain for what was done on purpose, and without the last
// hash in backup.json for the last message: tried with each.
func TestBackupDamaged(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	for range 5 {
		s.project(t, a.org)
	}
	dir := t.TempDir()
	backupTaken(t, s.URL, dir)
	s.project(t, a.org)
	s.person(t)
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	keep := backupParse(t, filepath.Join(dir, b.Segments[0].File))
	last := b.Segments[1]

	refused := func(t *testing.T, dir string, at ...domain.Position) {
		t.Helper()
		into := filepath.Join(t.TempDir(), "new")
		_, err := backupRestore(processContext(t), dir, into, nil)
		if !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("restored, or refused otherwise: %v", err)
			return
		}
		named := len(at) == 0
		for _, p := range at {
			named = named || regexp.MustCompile(fmt.Sprintf(`positions? %d\b`, p)).MatchString(err.Error())
		}
		if !named {
			t.Errorf("%v does not name position %v", err, at)
		}
		if _, err := os.Stat(into); err == nil {
			t.Error("something was written")
		}
	}

	t.Run("every byte", func(t *testing.T) {
		t.Parallel()
		dir := backupCopy(t, dir)
		flips := 0
		for _, segment := range b.Segments {
			path := filepath.Join(dir, segment.File)
			f := backupParse(t, path)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 150 {
				at := rand.IntN(len(whole))
				text := append([]byte(nil), whole...)
				text[at] ^= 1 << rand.IntN(8)
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
				position := segment.From // of a flip in the header
				for i, start := range f.starts {
					if i > 0 && at >= start {
						position = segment.From + domain.Position(i) - 1
					}
				}
				refused(t, dir, position)
				flips++
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, b.Keys.File)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range whole {
			text := append([]byte(nil), whole...)
			text[at] ^= 1 << rand.IntN(8)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir)
			flips++
		}
		t.Logf("%d flipped bits, all refused", flips)
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		for _, segment := range b.Segments {
			dir := backupCopy(t, dir)
			f := backupParse(t, filepath.Join(dir, segment.File))
			for i, start := range f.starts {
				for _, cut := range []int{start, start + 2, start + 9} {
					if err := os.Truncate(filepath.Join(dir, segment.File), int64(cut)); err != nil {
						t.Fatal(err)
					}
					refused(t, dir)
					backupManifest(t, dir, func(m *backup.Manifest) {
						for j := range m.Segments {
							if m.Segments[j].File == segment.File {
								m.Segments[j].Size = int64(cut)
							}
						}
					})
					refused(t, dir, segment.From+domain.Position(max(1, i))-1)
				}
				f.write(t, dir, segment.File)
			}
		}
	})
	for what, damage := range map[string]struct {
		do func(t *testing.T, dir string)
		at domain.Position
	}{
		"a message left out": {func(t *testing.T, dir string) {
			f := keep
			f.frames = append(append([][]byte(nil), f.frames[:4]...), f.frames[5:]...)
			f.write(t, dir, b.Segments[0].File)
		}, 4},
		"two exchanged": {func(t *testing.T, dir string) {
			f := keep
			f.frames = append([][]byte(nil), f.frames...)
			f.frames[4], f.frames[5] = f.frames[5], f.frames[4]
			f.write(t, dir, b.Segments[0].File)
		}, 4},
		"one with another's content": {func(t *testing.T, dir string) {
			f := keep
			f.frames = append([][]byte(nil), f.frames...)
			f.frames[4] = append(append([]byte(nil), f.frames[4][:8]...), f.frames[5][8:]...)
			f.write(t, dir, b.Segments[0].File)
		}, 5}, // a copy of another message is void, until the next one names what was there
		"one that was changed": {func(t *testing.T, dir string) {
			f := keep
			f.frames = append([][]byte(nil), f.frames...)
			f.frames[4] = []byte(strings.Replace(string(f.frames[4]), "person", "nosrep", 1))
			if string(f.frames[4]) == string(keep.frames[4]) {
				f.frames[4] = append([]byte(nil), f.frames[4]...)
				f.frames[4][len(f.frames[4])-5] ^= 1
			}
			f.write(t, dir, b.Segments[0].File)
		}, 5},
		"the last one changed": {func(t *testing.T, dir string) {
			f := backupParse(t, filepath.Join(dir, last.File))
			end := len(f.frames) - 1
			f.frames[end] = append(append([]byte(nil), f.frames[end][:8]...), "something else"...)
			f.write(t, dir, last.File)
		}, last.To},
		"one more": {func(t *testing.T, dir string) {
			f := backupParse(t, filepath.Join(dir, last.File))
			f.frames = append(f.frames, append(binary.BigEndian.AppendUint64(nil, uint64(last.To+1)), "by hand"...))
			f.write(t, dir, last.File)
		}, last.To + 1},
		"a file left out": {func(t *testing.T, dir string) {
			backupManifest(t, dir, func(m *backup.Manifest) { m.Segments = m.Segments[1:] })
		}, 0},
		"an end that is not the end": {func(t *testing.T, dir string) {
			backupManifest(t, dir, func(m *backup.Manifest) {
				m.Segments = m.Segments[:1]
				m.Position = m.Segments[0].To
			})
		}, b.Segments[0].To},
		"a key left out": {func(t *testing.T, dir string) {
			f := backupParse(t, filepath.Join(dir, b.Keys.File))
			f.frames = f.frames[:len(f.frames)-1]
			f.write(t, dir, b.Keys.File)
		}, 0},
		"keys of another sealing key": {func(t *testing.T, dir string) {
			f := backupParse(t, filepath.Join(dir, b.Keys.File))
			f.frames[1][len(f.frames[1])-1] ^= 1
			f.write(t, dir, b.Keys.File)
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := backupCopy(t, dir)
			damage.do(t, dir)
			if damage.at == 0 {
				refused(t, dir)
			} else {
				refused(t, dir, damage.at)
			}
		})
	}
	t.Run("wrong files", func(t *testing.T) {
		t.Parallel()
		other := apiStart(t, nil)
		for _, name := range []string{"pepper", "sealing-key"} {
			dir := backupCopy(t, dir)
			content, err := os.ReadFile(filepath.Join(other.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "settings", name), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := backupRestore(processContext(t), dir, filepath.Join(t.TempDir(), "new"), nil); !errors.Is(err, backup.ErrWrongFile) {
				t.Errorf("with another %s: %v", name, err)
			}
			// And they are not taken in.
			if out, err := backupRun(t, s.URL, "--out", t.TempDir(), "--data-dir", other.dir); err == nil || !strings.Contains(out, "does not belong to the log") {
				t.Errorf("settings of another server: %v: %s", err, out)
			}
		}
	})
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		into := t.TempDir()
		backupRestored(t, dir, into, func(cfg *app.RestoreConfig) { cfg.DryRun = true })
		if list, _ := os.ReadDir(into); len(list) > 0 {
			t.Errorf("a dry run wrote %v", list)
		}
		backupRestored(t, dir, into, nil)
		back := apiStart(t, in(into))
		if back.mark().digest != s.digestAt(t, b.Position) {
			t.Error("restored to another state")
		}
		apiOK[*tenurev1.ListUsersResponse](t, back.admin(), &tenurev1.ListUsersRequest{})
		if _, err := backupRestore(processContext(t), dir, into, nil); err == nil || !strings.Contains(err.Error(), "holds a log already") {
			t.Errorf("over a log: %v", err)
		}
	})
}
