package domain

import (
	"crypto/sha256"
	"encoding/hex"
)

// Position is where a commit stands in the log: the sequence of its message in the stream, from 1. 0 is before the first.
type Position uint64

// Hash is the SHA-256 of one message's stored bytes; each commit names the hash of its parent, so that the log is a
// hash-linked list. The zero Hash stands for "no message".
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }
