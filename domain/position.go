package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Position is where a commit stands in the log: the sequence of its message in the stream, from 1. 0 is before the first.
type Position uint64

// Hash is the SHA-256 of one message's stored bytes; each commit names the hash of its parent, so that the log is a
// hash-linked list. The zero Hash stands for "no message".
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(text string) (h Hash, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != len(h) {
		err = fmt.Errorf("a hash has %d bytes, not %d", len(h), len(b))
	}
	copy(h[:], b)
	return h, err
}
