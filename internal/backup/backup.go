// Package backup keeps an installation in a directory of files: the log, the personal keys, and perhaps the settings that
// belong to them. It knows the files and what makes them whole, and neither servers nor NATS.
//
//	backup.json                      what there is: log, last position with its hash, files; written last
//	log-00000000000000000001.tnr     messages of the log, from that position on; every run adds one file
//	personal-keys-000001.tnr         the wrapped key of every person; every run replaces it
//	settings/                        pepper, sealing-key and admin-key.sha256, if they were given
//
// A file .tnr is 8 bytes of magic and then frames: 4 bytes of length (big endian), so many bytes, 4 bytes of CRC-32C of both.
// The first frame is a header in JSON; of a log each other one is 8 bytes of position and the message as it was stored, of keys
// a byte of length, the subject, and its wrapped key. CRCs say where a file is damaged; that nothing was changed or left out is
// said by the chain of hashes, whose end is in backup.json, and by the keys' SHA-256 there.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure/domain"
)

var (
	// ErrNone is returned for a directory without a backup.
	ErrNone = errors.New("there is no backup")
	// ErrDamaged is returned for files that are not as they were written, or not of one log.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrOtherLog is returned by Run.Start and Run.Add for a log that is not the one that the directory has a backup of.
	ErrOtherLog = errors.New("the directory holds a backup of another log; choose an empty directory for this one")
	// ErrInUse is returned by Begin while another run writes to the directory.
	ErrInUse = errors.New("another backup into this directory is under way")
	// ErrWrongFile is returned for settings that do not belong to the log.
	ErrWrongFile = errors.New("the file does not belong to the log")
)

const (
	manifestFile = "backup.json"
	// format of the files. Who changes it must still read the former.
	format = 1
)

// Manifest says what a backup is.
type Manifest struct {
	Format int    `json:"format"`
	LogID  string `json:"log_id"`
	// Position is the last one, and Hash that of the message there.
	Position domain.Position `json:"position"`
	Hash     string          `json:"hash"`
	// Pepper and SealingKey are the ids of the files that the log needs.
	Pepper     string `json:"pepper"`
	SealingKey string `json:"sealing_key"`
	// TakenAt is when the newest run ended, and Version that of the program.
	TakenAt time.Time `json:"taken_at"`
	Version string    `json:"version"`
	// Run counts the runs.
	Run      int       `json:"run"`
	Segments []Segment `json:"segments"`
	Keys     KeyFile   `json:"personal_keys"`
}

// Segment is a file of messages.
type Segment struct {
	File string          `json:"file"`
	From domain.Position `json:"from"`
	To   domain.Position `json:"to"`
	Size int64           `json:"size"`
}

// KeyFile is the file of personal keys.
type KeyFile struct {
	File   string `json:"file"`
	Count  int    `json:"count"`
	SHA256 string `json:"sha256"`
}

// Backup is one to read from.
type Backup struct {
	Manifest
	dir string
}

// Open finds the backup in a directory. It returns ErrNone if there is none, or an error wrapping ErrDamaged.
func Open(dir string) (*Backup, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: it has no %s", ErrNone, dir, manifestFile)
	}
	if err != nil {
		return nil, err
	}
	b := &Backup{dir: dir}
	if err := json.Unmarshal(text, &b.Manifest); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, filepath.Join(dir, manifestFile), err)
	}
	if b.Format != format {
		return nil, fmt.Errorf("%s: the backup has format %d, this program reads %d: use the version that wrote it (%s) or a newer one", dir, b.Format, format, b.Version)
	}
	next := domain.Position(1)
	for _, s := range b.Segments {
		if s.From != next || s.To < s.From || s.File != filepath.Base(s.File) {
			return nil, fmt.Errorf("%w: %s: file %s from %d to %d comes where %d must come", ErrDamaged, filepath.Join(dir, manifestFile), s.File, s.From, s.To, next)
		}
		if info, err := os.Stat(b.path(s.File)); err != nil || info.Size() != s.Size {
			return nil, fmt.Errorf("%w: positions %d to %d: %s is not there with its %d bytes", ErrDamaged, s.From, s.To, b.path(s.File), s.Size)
		}
		next = s.To + 1
	}
	if b.Position == 0 || next != b.Position+1 || b.Keys.File != filepath.Base(b.Keys.File) {
		return nil, fmt.Errorf("%w: %s: the files end at position %d, the backup at %d", ErrDamaged, filepath.Join(dir, manifestFile), next-1, b.Position)
	}
	return b, nil
}

func (b *Backup) path(name string) string { return filepath.Join(b.dir, name) }
