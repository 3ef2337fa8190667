// Package keyfile reads the small text files that hold secrets, and makes them where they are missing.
package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSize is far above any key file; a larger one is the wrong file.
const maxSize = 64 << 10

// Load returns the content of the file at path. If there is none, it makes one with what fresh returns and reports
// created. A file that group or others may access in any way is refused with an error that says what to do.
//
// The file appears under its name complete and on disk, or not at all, and never replaces another: of several processes
// that make it at once all but one read the winner's.
func Load(path string, fresh func() []byte) (content []byte, created bool, err error) {
	content, err = read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, false, err
	}
	content = fresh()
	switch err := create(path, content); {
	case errors.Is(err, fs.ErrExist):
		content, err = read(path)
		return content, false, err
	case err != nil:
		return nil, false, err
	}
	return content, true, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The open file is asked, not the path, which might name another file by now.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s holds a secret, but its mode %04o lets others use it: chmod 600 %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(content) > maxSize {
		return nil, fmt.Errorf("%s is too large for a key file", path)
	}
	return content, nil
}

// create writes a temporary file beside path and links it to its name: a plain O_EXCL create would let a second process
// read a half-written key, and leave an empty one after a crash.
func create(path string, content []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".new-key-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
