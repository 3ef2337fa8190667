package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/internal/sealing"
)

const (
	settingsDir = "settings"
	// PepperName, SealingKeyName and AdminKeyName are the files in a server's data directory, and in a backup's settings.
	PepperName     = "pepper"
	SealingKeyName = "sealing-key"
	AdminKeyName   = "admin-key.sha256"
)

// Settings are the paths of the files that belong to a log and are kept outside of it.
type Settings struct {
	Pepper, SealingKey string
	// AdminKey may be missing: with TENURE_ADMIN_KEY there is none.
	AdminKey string
}

// SettingsIn are those in a data directory.
func SettingsIn(dir string) *Settings {
	return &Settings{filepath.Join(dir, PepperName), filepath.Join(dir, SealingKeyName), filepath.Join(dir, AdminKeyName)}
}

// Settings are those in the backup; nil if it has none.
func (b *Backup) Settings() *Settings {
	if _, err := os.Stat(b.path(settingsDir)); err != nil {
		return nil
	}
	return SettingsIn(b.path(settingsDir))
}

// check returns an error wrapping ErrWrongFile unless the files are those that the log needs, by their ids. No settings are right.
func (s *Settings) check(pepper, sealingKey string) error {
	if s == nil {
		return nil
	}
	if err := CheckPepper(s.Pepper, pepper); err != nil {
		return err
	}
	_, err := CheckSealingKey(s.SealingKey, sealingKey)
	return err
}

// readable returns an error if the files are not there or not what they should be, whatever their ids.
func (s *Settings) readable() error {
	if s == nil {
		return nil
	}
	for _, path := range []string{s.Pepper, s.SealingKey} {
		// Loading would make a missing one.
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("settings of the server: %w", err)
		}
	}
	_, _, err := keyring.LoadPeppers(s.Pepper)
	_, _, sealingErr := sealing.LoadMaster(s.SealingKey)
	return errors.Join(err, sealingErr)
}

// CheckPepper returns an error wrapping ErrWrongFile unless the pepper with this id is in the file.
func CheckPepper(path, id string) error {
	// LoadPeppers would make a missing one.
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("pepper: %w", err)
	}
	peppers, _, err := keyring.LoadPeppers(path)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range peppers {
		ids = append(ids, p.ID())
	}
	if !slices.Contains(ids, id) {
		return fmt.Errorf("%w: pepper %s has the id %s, the log uses %s", ErrWrongFile, path, strings.Join(ids, " and "), id)
	}
	return nil
}

// CheckSealingKey is the key in the file. It returns an error wrapping ErrWrongFile if it has another id.
func CheckSealingKey(path, id string) (sealing.Master, error) {
	if _, err := os.Stat(path); err != nil {
		return sealing.Master{}, fmt.Errorf("sealing key: %w", err)
	}
	master, _, err := sealing.LoadMaster(path)
	if err == nil && master.ID() != id {
		err = fmt.Errorf("%w: sealing key %s has the id %s, the log was begun with %s", ErrWrongFile, path, master.ID(), id)
	}
	return master, err
}

// copyTo writes the files into a directory, for their owner's eyes.
func (s *Settings) copyTo(dir string) error {
	if s == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, path := range s.files() {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && name == AdminKeyName {
			continue
		}
		if err == nil {
			err = writeWhole(filepath.Join(dir, name), content)
		}
		if err != nil {
			return fmt.Errorf("copy the settings: %w", err)
		}
	}
	return nil
}

func (s *Settings) files() map[string]string {
	return map[string]string{PepperName: s.Pepper, SealingKeyName: s.SealingKey, AdminKeyName: s.AdminKey}
}

// PutBack writes the files into a data directory. If one is there already that is not the same, nothing is written.
func (s *Settings) PutBack(dir string) error {
	for name, path := range s.files() {
		there, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		kept, keptErr := os.ReadFile(path)
		if errors.Is(keptErr, fs.ErrNotExist) && name == AdminKeyName {
			continue
		}
		if err := errors.Join(err, keptErr); err != nil {
			return err
		}
		if string(there) != string(kept) {
			return fmt.Errorf("%w: %s is there and is another one than in the backup: move it away", ErrWrongFile, filepath.Join(dir, name))
		}
	}
	return s.copyTo(dir)
}

// CheckSettings returns an error wrapping ErrWrongFile if the backup has settings that are not those of its log.
func (b *Backup) CheckSettings() error { return b.Settings().check(b.Pepper, b.SealingKey) }
