package keyring

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/tenurehq/tenure/internal/sealing/keyfile"
)

const pepperSize = 32

// Pepper is a key that verifiers are made with, kept outside the log so that who steals the log cannot test secrets
// against it. It prints nothing of itself; the zero Pepper is not usable.
type Pepper struct {
	// Where fmt cannot call a method, as in another struct's private field, it prints what pointers point to with some
	// verbs, but never what a function returns.
	key func() []byte
}

func newPepper(key []byte) Pepper { return Pepper{func() []byte { return key }} }

// ID names the pepper without telling anything about it: 16 hexadecimal digits, safe to log and to store.
func (p Pepper) ID() string {
	// Verifiers are MACs of 32 bytes, so that none of them can be an ID.
	mac := hmac.New(sha256.New, p.key())
	mac.Write([]byte("tenure pepper id"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// String is the pepper's ID.
func (p Pepper) String() string {
	if p.key == nil {
		return "keyring.Pepper(none)"
	}
	return "keyring.Pepper(" + p.ID() + ")"
}

// GoString is the same as String.
func (p Pepper) GoString() string { return p.String() }

// MarshalText is the same as String: nothing can be read back.
func (p Pepper) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

const pepperFileHead = `# Pepper of Tenure's API keys: without it no key can be verified. Keep a copy; share it with every server.
# To replace it, put a new line of 64 hexadecimal digits above the present one, which stays as the previous.
`

// LoadPeppers reads the peppers from the file at path, the current one first. The file has one or two lines of 32 bytes
// in hexadecimal, besides empty lines and comments, which begin with #. If there is no file it makes one, mode 0600, with
// a new pepper and reports created. A file that others may use is refused.
func LoadPeppers(path string) (peppers []Pepper, created bool, err error) {
	text, created, err := keyfile.Load(path, func() []byte {
		key := make([]byte, pepperSize)
		rand.Read(key) // never fails
		return append(hex.AppendEncode([]byte(pepperFileHead), key), '\n')
	})
	if err != nil {
		return nil, false, fmt.Errorf("pepper: %w", err)
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := hex.DecodeString(string(line))
		if err != nil || len(key) != pepperSize { // err would quote a character of the pepper
			return nil, false, fmt.Errorf("pepper %s: line %d is not %d hexadecimal digits", path, number, 2*pepperSize)
		}
		peppers = append(peppers, newPepper(key))
	}
	if err := checkPeppers(peppers); err != nil {
		return nil, false, fmt.Errorf("pepper %s: %w", path, err)
	}
	return peppers, created, nil
}

func checkPeppers(peppers []Pepper) error {
	switch {
	case len(peppers) < 1 || len(peppers) > 2:
		return fmt.Errorf("%d peppers, want the current one and at most one previous", len(peppers))
	case len(peppers) == 2 && peppers[0].ID() == peppers[1].ID():
		return fmt.Errorf("current and previous pepper are the same")
	}
	return nil
}
