package cli

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// stored is a message of the log as this program reads its bytes: by the public format (proto/tenure/event/v1/commit.proto),
// without believing what the server says about them.
type stored struct {
	position uint64
	hash     [sha256.Size]byte
	// commit is nil at a void position, and void says why.
	commit *eventv1.Commit
	void   string
	size   int
}

const magic = "TNR\x01"

// readStored reads the bytes at a position.
func readStored(position uint64, data []byte) stored {
	s := stored{position: position, hash: sha256.Sum256(data), size: len(data)}
	body, ok := bytes.CutPrefix(data, []byte(magic))
	c := &eventv1.Commit{}
	switch {
	case !ok:
		s.void = "does not begin like a commit"
	case proto.Unmarshal(body, c) != nil:
		s.void = "does not parse"
	case !isULID(c.CommitId):
		s.void = "has no commit id"
	case c.Parent+1 != position:
		s.void = fmt.Sprintf("is a commit for the place behind %d", c.Parent)
	case c.End != uint32(len(c.Entries))+1:
		s.void = "is a commit cut short"
	default:
		s.commit = c
	}
	return s
}

func isULID(id string) bool {
	_, err := ulid.ParseStrict(id)
	return err == nil
}

// chain checks that messages of the log follow one another.
type chain struct {
	// next is the position that must come now; its commit must name parent, unless that is not known (at the beginning of a
	// part of the log).
	next        uint64
	parent      [sha256.Size]byte
	parentKnown bool
	time        time.Time

	commits, voids, events int
}

// errChain is returned for a log that was changed or lost something.
var errChain = errors.New("the chain is broken")

// add checks the next message.
func (c *chain) add(s stored) error {
	if s.position != c.next {
		return fmt.Errorf("%w: position %d comes where %d must come", errChain, s.position, c.next)
	}
	if s.commit != nil {
		switch want := c.wantParent(s.position); {
		case want != nil && !bytes.Equal(s.commit.ParentHash, want):
			return fmt.Errorf("%w: the commit at position %d says that the message before it has the hash %x; it has %x: one of the two was changed",
				errChain, s.position, s.commit.ParentHash, want)
		case s.commit.Time.AsTime().Before(c.time):
			return fmt.Errorf("%w: the commit at position %d is of %s, before its parent's %s", errChain, s.position,
				s.commit.Time.AsTime().Format(time.RFC3339Nano), c.time.Format(time.RFC3339Nano))
		}
		c.time = s.commit.Time.AsTime()
		c.commits++
		for _, e := range s.commit.Entries {
			c.events += len(e.Events)
		}
	} else {
		c.voids++
	}
	c.next, c.parent, c.parentKnown = s.position+1, s.hash, true
	return nil
}

// wantParent is the hash that a commit there must name; nil if that is not known.
func (c *chain) wantParent(position uint64) []byte {
	switch {
	case position == 1:
		return []byte{}
	case c.parentKnown:
		return c.parent[:]
	}
	return nil
}
