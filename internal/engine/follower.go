package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// Reasons for which a log can't be followed from a position. Neither passes by itself.
var (
	// ErrShorterLog is returned by Follow when the log ends in front of the position, as after the restore of an older copy.
	ErrShorterLog = errors.New("the log is shorter")
	// ErrOtherLog is returned by Follow when the log holds another message there.
	ErrOtherLog = errors.New("it is another log, or another part of one")
)

// recentMax is how many messages are kept with their states for followers that keep up, so that they need not read and fold
// themselves. A state shares nearly everything with the next.
const recentMax = 256

// recent is a ring of the newest messages, each with the states around it. It has a gap behind a load.
type recent struct {
	ring [recentMax]eventstore.Folded
}

// remember keeps a message that the state has passed one by one. The caller holds applying.
func (e *Engine) remember(m eventstore.Decoded, before, after *domain.State) {
	m.Data = nil
	e.recent.ring[uint64(m.Position)%recentMax] = eventstore.Folded{Decoded: m, Before: before, After: after}
}

// recentFrom answers what is kept from a position on without a gap, at most max messages.
func (e *Engine) recentFrom(at domain.Position, most int) (list []eventstore.Folded) {
	e.applying.Lock()
	defer e.applying.Unlock()
	for len(list) < most {
		m := e.recent.ring[uint64(at)%recentMax]
		if m.Position != at || m.After == nil {
			break
		}
		list = append(list, m)
		at++
	}
	return list
}

// Follower reads the log from a position on, beside the engine and at its own pace. It is for one goroutine.
type Follower struct {
	e      *Engine
	at     domain.Position
	hash   domain.Hash
	states bool
	state  *domain.State // behind at, if states are wanted
}

// Follow reads the log behind a position, whose hash it checks; states tells whether the states between messages are wanted. A
// follower that wants them and begins behind the newest position folds the log up to there first, from a snapshot if one is old
// enough. It answers ErrShorterLog or ErrOtherLog if there is no such position.
func (e *Engine) Follow(ctx context.Context, at domain.Position, hash domain.Hash, states bool) (*Follower, error) {
	f := &Follower{e: e, at: at, hash: hash, states: states, state: &domain.State{}}
	if at == 0 {
		return f, nil
	}
	if end := e.State().Position; at > end {
		// This server may be behind the one that wrote the checkpoint; the log itself knows.
		tip, err := e.log.Tip(ctx)
		if err != nil {
			return nil, err
		}
		if at > tip.Last {
			return nil, fmt.Errorf("%w: it ends at %d, %d is wanted", ErrShorterLog, tip.Last, at)
		}
		if err := e.catchUp(ctx, at); err != nil {
			return nil, err
		}
	}
	here, err := e.hashAt(ctx, at)
	if err != nil {
		return nil, err
	}
	if here != hash {
		return nil, fmt.Errorf("%w: position %d has the hash %s, not %s", ErrOtherLog, at, here, hash)
	}
	if states {
		f.state, err = e.stateAt(ctx, at, hash)
	}
	return f, err
}

// stateAt is the state at a position that the engine has passed.
func (e *Engine) stateAt(ctx context.Context, at domain.Position, hash domain.Hash) (*domain.State, error) {
	if s := e.State(); s.Position == at {
		return s, nil
	}
	if list := e.recentFrom(at, 1); len(list) > 0 {
		return list[0].After, nil
	}
	if list := e.recentFrom(at+1, 1); len(list) > 0 {
		return list[0].Before, nil
	}
	s := e.snapshotBefore(ctx, at).Loading()
	err := eventstore.ReplayDecoded(ctx, e.log, s.Position+1, at, s.Hash, func(m eventstore.Decoded) (err error) {
		s, err = evolve(s, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.Hash != hash {
		return nil, fmt.Errorf("%w: position %d", ErrOtherLog, at)
	}
	return s.Loaded(), nil
}

// snapshotBefore is the newest snapshot that is not behind a position, or the empty state.
func (e *Engine) snapshotBefore(ctx context.Context, at domain.Position) *domain.State {
	if e.cfg.Snapshots == nil {
		return &domain.State{}
	}
	list, _ := e.cfg.Snapshots.List(ctx)
	for _, p := range list {
		if p > at {
			continue
		}
		if s, err := e.cfg.Snapshots.Load(ctx, p); err == nil && e.ofThisLog(ctx, s, at) == nil {
			return s
		}
	}
	return &domain.State{}
}

// Next answers the next messages, at most so many, as soon as there are any.
func (f *Follower) Next(ctx context.Context, most int) ([]eventstore.Folded, error) {
	for {
		moved := f.e.Moved()
		if list := f.e.recentFrom(f.at+1, most); len(list) > 0 {
			// From here on the follower shares the engine's states again.
			return f.passed(list), nil
		}
		if end := f.e.State().Position; end > f.at {
			list, err := f.read(ctx, min(end, f.at+domain.Position(most)))
			if err != nil {
				return nil, err
			}
			return f.passed(list), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.e.failed:
			return nil, f.e.Err()
		case <-moved:
		}
	}
}

func (f *Follower) passed(list []eventstore.Folded) []eventstore.Folded {
	last := list[len(list)-1]
	f.at, f.hash = last.Position, last.Hash
	if f.states {
		f.state = last.After
	}
	return list
}

// read reads and folds up to a position.
func (f *Follower) read(ctx context.Context, to domain.Position) ([]eventstore.Folded, error) {
	list, s := make([]eventstore.Folded, 0, to-f.at), f.state
	err := eventstore.ReplayDecoded(ctx, f.e.log, f.at+1, to, f.hash, func(m eventstore.Decoded) (err error) {
		m.Data = nil
		folded := eventstore.Folded{Decoded: m}
		if f.states {
			folded.Before = s
			if s, err = evolve(s, m); err != nil {
				return err
			}
			folded.After = s
		}
		list = append(list, folded)
		return nil
	})
	return list, err
}
