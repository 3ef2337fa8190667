package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/domain"
)

// SnapshotDir is a SnapshotStore in a directory, made when it is first written to.
type SnapshotDir string

const (
	snapshotPrefix = "snapshot-"
	snapshotDigits = 20 // of the greatest position, so that names sort as positions do
)

func snapshotName(at domain.Position) string {
	return fmt.Sprintf("%s%0*d", snapshotPrefix, snapshotDigits, at)
}

func snapshotPosition(name string) (domain.Position, bool) {
	digits, ok := strings.CutPrefix(name, snapshotPrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return domain.Position(n), ok && err == nil && len(digits) == snapshotDigits
}

// List implements SnapshotStore.
func (d SnapshotDir) List(context.Context) (list []domain.Position, err error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range slices.Backward(entries) {
		if at, ok := snapshotPosition(entry.Name()); ok {
			list = append(list, at)
		}
	}
	return list, err
}

// Write implements SnapshotStore: a file gets its name when all of it is on the disk.
func (d SnapshotDir) Write(_ context.Context, at domain.Position, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	unfinished := filepath.Join(string(d), "unfinished") // one writer, and what a killed one left is written over
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(unfinished))
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, filepath.Join(string(d), snapshotName(at))); err != nil {
		return err
	}
	return syncDir(string(d))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Open implements SnapshotStore.
func (d SnapshotDir) Open(_ context.Context, at domain.Position) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(string(d), snapshotName(at)))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Delete implements SnapshotStore.
func (d SnapshotDir) Delete(_ context.Context, at domain.Position) error {
	err := os.Remove(filepath.Join(string(d), snapshotName(at)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
