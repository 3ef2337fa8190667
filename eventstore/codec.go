package eventstore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// magic begins every stored commit.
const magic = "TNR\x01"

var (
	// ErrVoid is returned by Decode for bytes that are not a commit of ours for their position: somebody else published
	// them, or published a copy. Every reader comes to the same verdict from the bytes alone, hashes them into the chain
	// as if they were a commit, and skips them.
	ErrVoid = errors.New("void position")

	// ErrChainBroken is returned by Decode for a commit that claims the right place in the log behind a parent with other
	// bytes than the reader saw. It is not void: after damage to one position every real commit behind it would be.
	ErrChainBroken = errors.New("the chain of hashes is broken")
)

// HashOf is the hash by which the next commit names the message stored as data, whether that message is void or not.
func HashOf(data []byte) domain.Hash { return sha256.Sum256(data) }

// Encode turns c into the bytes to store, and sets its field `end`. The same commit gives the same bytes within one build.
//
// It refuses what Decode would not accept whatever the position: a commit id that is not a ULID, a parent hash that does
// not fit the parent, a format this build does not write or raises the log to, an event without a body. Such a commit would
// stop every reader.
func Encode(c *eventv1.Commit) ([]byte, error) {
	if _, err := ulid.ParseStrict(c.GetCommitId()); err != nil {
		return nil, fmt.Errorf("encode commit: commit id %q: %w", c.GetCommitId(), err)
	}
	c.End = endOf(c)
	want := sha256.Size
	if c.GetParent() == 0 {
		want = 0
	}
	if n := len(c.GetParentHash()); n != want {
		return nil, fmt.Errorf("encode commit: parent hash of %d bytes for parent %d, want %d", n, c.GetParent(), want)
	}
	if f := c.GetFormat(); !reads(f) {
		return nil, fmt.Errorf("encode commit: format %d, this build writes 1 to %d", f, Format)
	}
	for i, e := range c.GetEntries() {
		for j, ev := range e.GetEvents() {
			if ev.GetBody() == nil {
				return nil, fmt.Errorf("encode commit: entry %d, event %d has no body", i, j)
			}
			if raised := ev.GetFormatRaised(); raised != nil && !reads(raised.New) {
				return nil, fmt.Errorf("encode commit: raises the format to %d, this build writes 1 to %d", raised.New, Format)
			}
		}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(magic), c)
	if err != nil {
		return nil, fmt.Errorf("encode commit: %w", err)
	}
	return data, nil
}

// Decode reads the bytes stored at a position, behind a message whose hash is parent (the zero Hash at position 1). The
// verdict depends on nothing else, so that all readers agree on it. It returns
//
//   - ErrVoid if the bytes are not a commit of ours for this place: no magic, not parseable, no commit id, or another
//     parent than at-1, such as a copy of an earlier commit;
//   - ErrChainBroken if they are one, but name another parent hash;
//   - an *UnknownError (errors.Is ErrUnknown) if they are a commit of ours with something in it that this build does not
//     know: a newer format, an event, a field, a value of an enumeration. Skipping it would make this reader's state differ
//     from that of others, so a reader stops.
//
// The commit does not share memory with data.
func Decode(data []byte, at domain.Position, parent domain.Hash) (*eventv1.Commit, error) {
	p := parse(data, at)
	err := p.judge(at, parent)
	return p.commit, err
}

// parsed is what can be told of a message without knowing the one before it.
type parsed struct {
	commit  *eventv1.Commit
	void    error  // why it is none
	unknown string // what in it this build does not know
}

func parse(data []byte, at domain.Position) parsed {
	body, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return parsed{void: fmt.Errorf("%w: position %d does not begin like a commit", ErrVoid, at)}
	}
	c := &eventv1.Commit{}
	if err := proto.Unmarshal(body, c); err != nil {
		return parsed{void: fmt.Errorf("%w: position %d does not parse: %w", ErrVoid, at, err)}
	}
	// Garbage behind the magic may parse as unknown fields. Only a commit id and the right parent make it a commit whose
	// unknown parts are worth stopping for.
	if _, err := ulid.ParseStrict(c.GetCommitId()); err != nil {
		return parsed{void: fmt.Errorf("%w: position %d has no commit id: %w", ErrVoid, at, err)}
	}
	if at == 0 || c.GetParent() != uint64(at-1) {
		return parsed{void: fmt.Errorf("%w: position %d holds a commit for the place behind %d", ErrVoid, at, c.GetParent())}
	}
	if c.GetEnd() != endOf(c) {
		return parsed{void: fmt.Errorf("%w: position %d holds a commit cut short", ErrVoid, at)}
	}
	return parsed{commit: c, unknown: unknownIn(c, body)}
}

// judge is the verdict when the hash of the message before is known. It leaves no commit that is not good.
func (p *parsed) judge(at domain.Position, parent domain.Hash) error {
	c := p.commit
	p.commit = nil
	switch {
	case p.void != nil:
		return p.void
	case !namesParent(c, parent):
		return fmt.Errorf("%w: the commit at position %d names parent hash %x, the message before it has %s",
			ErrChainBroken, at, c.GetParentHash(), parent)
	case p.unknown != "":
		return &UnknownError{Position: at, What: p.unknown}
	}
	p.commit = c
	return nil
}

// endOf is what a commit's field `end` must hold.
func endOf(c *eventv1.Commit) uint32 { return uint32(len(c.GetEntries())) + 1 }

// namesParent tells whether c names parent; the first commit names nothing.
func namesParent(c *eventv1.Commit, parent domain.Hash) bool {
	if parent == (domain.Hash{}) {
		return len(c.GetParentHash()) == 0
	}
	return bytes.Equal(c.GetParentHash(), parent[:])
}
