package backup

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/tenurehq/tenure/domain"
)

// Facts are what the messages of a backup say up to a position.
type Facts struct {
	Position domain.Position
	Hash     domain.Hash
	// Pepper and SealingKey are the ids of the files that the log needs there.
	Pepper, SealingKey string
}

// Messages calls fn for the messages up to a position, in order, each checked against the one before it. It returns fn's error,
// that of ctx, or one wrapping ErrDamaged that names the position.
//
// That the last one is right is known only behind it: when the error is nil.
func (b *Backup) Messages(ctx context.Context, to domain.Position, fn func(at domain.Position, data []byte) error) (Facts, error) {
	c := &chain{next: 1}
	var facts Facts
	for _, s := range b.Segments {
		if s.From > to+1 {
			break
		}
		err := b.segment(s, c, func(at domain.Position, data []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if at > to {
				// It vouches for the one before.
				return errEnough
			}
			if c.logID != b.LogID {
				return fmt.Errorf("%w: position %d is of log %q, the backup of %q", ErrDamaged, at, c.logID, b.LogID)
			}
			facts = Facts{at, c.parent, c.pepper, c.sealingKey}
			return fn(at, data)
		})
		if errors.Is(err, errEnough) {
			return facts, nil
		}
		if err != nil {
			return facts, err
		}
	}
	if facts.Position != to {
		return facts, fmt.Errorf("%w: it ends at position %d, before %d", ErrDamaged, facts.Position, to)
	}
	if to == b.Position && facts.Hash.String() != b.Hash {
		return facts, fmt.Errorf("%w: position %d has the hash %s, and had %s when it was copied", ErrDamaged, to, facts.Hash, b.Hash)
	}
	return facts, nil
}

// errEnough ends the reading.
var errEnough = errors.New("enough")

func (b *Backup) segment(s Segment, c *chain, fn func(at domain.Position, data []byte) error) error {
	r, err := openFrames(b.path(s.File), logMagic, b.LogID, nil)
	if err != nil {
		return fmt.Errorf("position %d: %w", s.From, err)
	}
	defer r.close()
	for c.next <= s.To {
		before := c.next
		frame, err := r.frame()
		if err == io.EOF || err == nil && len(frame) < 8 {
			err = r.damage(errors.New("it ends there"))
		}
		if err != nil {
			return fmt.Errorf("position %d: %w", before, err)
		}
		at, data := domain.Position(binary.BigEndian.Uint64(frame)), frame[8:]
		if err := c.add(at, data); err != nil {
			return fmt.Errorf("position %d: %w", before, r.damage(err))
		}
		if err := fn(at, data); err != nil {
			return err
		}
	}
	if _, err := r.frame(); err != io.EOF {
		return fmt.Errorf("position %d: %w", c.next, errors.Join(err, r.damage(errors.New("there is more behind the last position"))))
	}
	return nil
}

// EachKey calls fn for every personal key. It returns fn's error or one wrapping ErrDamaged; that none is missing and all are as
// they were copied is known when the error is nil.
func (b *Backup) EachKey(fn func(subject string, wrapped []byte) error) error {
	sum := sha256.New()
	r, err := openFrames(b.path(b.Keys.File), keysMagic, b.LogID, sum)
	if err != nil {
		return fmt.Errorf("personal keys: %w", err)
	}
	defer r.close()
	n := 0
	for ; ; n++ {
		frame, err := r.frame()
		if err == io.EOF {
			break
		}
		if err == nil && (len(frame) == 0 || len(frame) < 1+int(frame[0])) {
			err = r.damage(errors.New("it is no key"))
		}
		if err != nil {
			return fmt.Errorf("personal key %d: %w", n+1, err)
		}
		subject := string(frame[1 : 1+int(frame[0])])
		if err := fn(subject, frame[1+len(subject):]); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != b.Keys.Count || got != b.Keys.SHA256 {
		return fmt.Errorf("personal keys: %w", r.damage(fmt.Errorf("there are %d keys with the hash %s; %d with %s were copied", n, got, b.Keys.Count, b.Keys.SHA256)))
	}
	return nil
}
