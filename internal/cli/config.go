package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"go.yaml.in/yaml/v3"
)

// config is the file of contexts.
type config struct {
	// Current is the context that is used when none is named.
	Current  string            `yaml:"current,omitempty"`
	Contexts map[string]target `yaml:"contexts,omitempty"`
}

// target is a server and the key for it: a secret, or public:secret.
type target struct {
	Server string `yaml:"server"`
	Key    string `yaml:"key,omitempty"`
}

func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the config file has no place: %w", err)
	}
	return filepath.Join(dir, "tenure", "config.yaml"), nil
}

// loadConfig reads the file; there need not be one. A file that others can read is refused, because there are keys in it.
func loadConfig() (c config, err error) {
	path, err := configPath()
	if err != nil {
		// Without a home there are no contexts; flags and environment do.
		return c, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return c, fmt.Errorf("%s holds keys and can be read by others (mode %o): chmod 600 %[1]s", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// save replaces the file whole, so that a crash leaves the old one or the new one.
func (c config) save() error {
	path, err := configPath()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// CreateTemp makes it readable by its owner alone.
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
