// Package sealing encrypts personal data under a key per subject, so that destroying one small key erases a person from
// every copy of the log, its snapshots and its read models, without touching their bytes.
//
// The subjects' keys live outside the log, in a NATS key-value bucket, each wrapped by a key derived from the master key
// file. The bucket without the file, or the file without the bucket, opens nothing.
package sealing

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tenurehq/tenure/internal/sealing/keyfile"
)

const masterSize = 32

// Master is the key that everything sealed depends on, the same on every server of an installation. Who loses it loses
// all personal data. It prints nothing of itself; the zero Master is not usable.
type Master struct {
	// Where fmt cannot call a method, as in another struct's private field, it prints what pointers point to with some
	// verbs, but never what a function returns.
	derived func() derivedKeys
}

type derivedKeys struct {
	id     string
	wrap   []byte // encrypts subjects' keys
	digest []byte // keys Vault.Digest
	print  []byte // keys Vault.Fingerprint
	snap   []byte // authenticates snapshots
}

// LoadMaster reads the master key from the file at path: 32 bytes as hexadecimal or base64 text. If there is no file it
// makes one, mode 0600, and reports created. A file that others may use is refused.
func LoadMaster(path string) (master Master, created bool, err error) {
	text, created, err := keyfile.Load(path, func() []byte {
		key := make([]byte, masterSize)
		rand.Read(key) // never fails
		return append(hex.AppendEncode(nil, key), '\n')
	})
	if err != nil {
		return Master{}, false, fmt.Errorf("sealing key: %w", err)
	}
	key, err := decodeKey(bytes.TrimSpace(text))
	if err != nil {
		return Master{}, false, fmt.Errorf("sealing key %s: %w", path, err)
	}
	master, err = newMaster(key)
	return master, created, err
}

func decodeKey(text []byte) ([]byte, error) {
	// 32 bytes are 64 hexadecimal digits but at most 44 characters of base64: the length tells them apart.
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
	} {
		if key, err := decode(string(text)); err == nil && len(key) == masterSize {
			return key, nil
		}
	}
	// The decoders' own errors would quote a character of the key.
	return nil, errors.New("want 32 bytes as hexadecimal or base64 text")
}

// newMaster derives a key of its own for each use, so that no two uses can be played against each other.
func newMaster(key []byte) (Master, error) {
	id, err := hkdf.Key(sha256.New, key, nil, "tenure sealing id", 8)
	if err != nil {
		return Master{}, err
	}
	wrap, err := hkdf.Key(sha256.New, key, nil, "tenure sealing wrap", 32)
	if err != nil {
		return Master{}, err
	}
	digest, err := hkdf.Key(sha256.New, key, nil, "tenure sealing e-mail digest", 32)
	if err != nil {
		return Master{}, err
	}
	fingerprint, err := hkdf.Key(sha256.New, key, nil, "tenure sealing fingerprint", 32)
	if err != nil {
		return Master{}, err
	}
	snapshot, err := hkdf.Key(sha256.New, key, nil, "tenure snapshots", 32)
	if err != nil {
		return Master{}, err
	}
	keys := derivedKeys{id: hex.EncodeToString(id), wrap: wrap, digest: digest, print: fingerprint, snap: snapshot}
	return Master{func() derivedKeys { return keys }}, nil
}

// ID names the key without telling anything about it: 16 hexadecimal digits, safe to log and to store.
func (m Master) ID() string { return m.derived().id }

// SnapshotKey is for authenticating snapshots.
func (m Master) SnapshotKey() []byte { return m.derived().snap }

// String is the key's ID.
func (m Master) String() string {
	if m.derived == nil {
		return "sealing.Master(none)"
	}
	return "sealing.Master(" + m.derived().id + ")"
}

// GoString is the same as String.
func (m Master) GoString() string { return m.String() }

// MarshalText is the same as String: nothing can be read back.
func (m Master) MarshalText() ([]byte, error) { return []byte(m.String()), nil }
