package engine

import (
	"context"
	"errors"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Commit is a commit with its place in the log.
type Commit struct {
	Position domain.Position
	Hash     domain.Hash
	*eventv1.Commit
}

// Message is one message of the log as it is stored; Commit is nil at a void position.
type Message = eventstore.Decoded

// Commits reads the commits of a range of positions that the state has passed, both ends included, in order and checked
// against the chain of hashes; void positions are left out. An error of fn ends it and is answered.
func (e *Engine) Commits(ctx context.Context, from, to domain.Position, fn func(Commit) error) error {
	return e.Messages(ctx, from, to, func(m Message) error {
		if m.Commit == nil {
			return nil
		}
		return fn(Commit{m.Position, m.Hash, m.Commit})
	})
}

// Messages is Commits for whoever wants the bytes, those of void positions too.
func (e *Engine) Messages(ctx context.Context, from, to domain.Position, fn func(Message) error) error {
	var parent domain.Hash
	var err, own error
	if from > 1 {
		parent, err = e.hashAt(ctx, from-1)
	}
	if err == nil {
		err = eventstore.ReplayDecoded(ctx, e.log, from, to, parent, func(m Message) error {
			own = fn(m)
			return own
		})
	}
	if own != nil || err == nil {
		return own
	}
	if errors.Is(err, eventstore.ErrGap) || errors.Is(err, eventstore.ErrChainBroken) {
		return domain.Errorf(domain.CodeInternal, LogDamaged, "the log is damaged and trying again does not help: %v", err)
	}
	return domain.Errorf(domain.CodeUnavailable, NoContact, "the log can't be read now; try again").Because(err)
}
