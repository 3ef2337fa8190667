package engine

import (
	"context"
	"errors"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// loadMax is how many messages are folded into a state before it is published: many, so that what each change copies is
// shared by many, and few enough that readers see a server catch up.
const loadMax = 16_384

// load is a state on its way forward, beside the published one: nobody reads it yet, so it changes in place.
type load struct {
	state  *domain.State
	passed []eventstore.Decoded
}

func begin(s *domain.State) *load { return &load{state: s.Loading()} }

func (l *load) fold(m eventstore.Decoded) (err error) {
	l.passed = append(l.passed, eventstore.Decoded{Message: eventstore.Message{Position: m.Position}, Hash: m.Hash, Commit: m.Commit})
	l.state, err = evolve(l.state, m)
	return err
}

// evolve is the state behind the next message.
func evolve(s *domain.State, m eventstore.Decoded) (*domain.State, error) {
	if m.Commit == nil {
		return s.Void(m.Position, m.Hash), nil
	}
	return domain.Evolve(s, m.Commit, m.Position, m.Hash)
}

// Replay folds a log from zero up to a position into a fresh state, beside whatever runs.
func Replay(ctx context.Context, log eventstore.Replayer, to domain.Position) (*domain.State, error) {
	s := (&domain.State{}).Loading()
	err := eventstore.ReplayDecoded(ctx, log, 1, to, domain.Hash{}, func(m eventstore.Decoded) (err error) {
		s, err = evolve(s, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Loaded(), nil
}

// catchUp reads until the state is at a position or ctx ends.
func (e *Engine) catchUp(ctx context.Context, to domain.Position) error {
	for {
		s := e.State()
		if s.Position >= to {
			return nil
		}
		if err := e.Err(); err != nil {
			return err
		}
		err := e.readTo(ctx, s, to)
		switch {
		case e.Err() != nil:
			return e.Err()
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && e.State().Position == s.Position:
			// A replica that is behind, or nobody answered.
			if !pause(ctx, 20*time.Millisecond) {
				return err
			}
		}
	}
}

// readTo folds what is between a published state and a position, and publishes as it goes.
func (e *Engine) readTo(ctx context.Context, s *domain.State, to domain.Position) error {
	l := begin(s)
	err := eventstore.ReplayDecoded(ctx, e.log, s.Position+1, to, s.Hash, func(m eventstore.Decoded) error {
		if err := l.fold(m); err != nil {
			e.fail(err)
			return err
		}
		if len(l.passed) == loadMax {
			l = begin(e.publishLoad(l))
		}
		return nil
	})
	if errors.Is(err, eventstore.ErrChainBroken) || errors.Is(err, eventstore.ErrUnknown) {
		e.fail(err)
	}
	if e.Err() == nil {
		e.publishLoad(l)
	}
	return err
}

// publishLoad makes a loaded state the published one, unless another reader of the log was quicker, and answers it.
func (e *Engine) publishLoad(l *load) *domain.State {
	next := l.state.Loaded()
	e.applying.Lock()
	defer e.applying.Unlock()
	at := e.State().Position
	if next.Position <= at {
		return next
	}
	e.publish(next)
	for _, m := range l.passed {
		if m.Position > at {
			e.passed(m)
		}
	}
	return next
}
