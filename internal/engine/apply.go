package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// errGap is returned by apply for a message that is not the next one.
var errGap = errors.New("positions are missing before this one")

// apply folds the next message into the state. It is the only path by which the state moves, for own commits, live ones
// and those read while catching up alike; what is behind already is ignored, so that the three may overlap. Any error but
// errGap means that the engine must not go on.
func (e *Engine) apply(m eventstore.Message) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	s := e.State()
	if m.Position <= s.Position {
		return nil
	}
	if m.Position != s.Position+1 {
		return fmt.Errorf("position %d behind %d: %w", m.Position, s.Position, errGap)
	}
	commit, err := eventstore.Decode(m.Data, m.Position, s.Hash)
	if err != nil && !errors.Is(err, eventstore.ErrVoid) {
		return err
	}
	decoded := eventstore.Decoded{Message: m, Hash: eventstore.HashOf(m.Data), Commit: commit}
	next, err := evolve(s, decoded)
	if err != nil {
		return err
	}
	e.remember(decoded, s, next)
	e.publish(next)
	e.passed(decoded)
	return nil
}

// applyOwn moves to the state that an own commit was decided to leave, unless a reader was quicker.
func (e *Engine) applyOwn(next *domain.State, commit *eventv1.Commit) {
	e.applying.Lock()
	defer e.applying.Unlock()
	if s := e.State(); s.Position+1 == next.Position {
		decoded := eventstore.Decoded{Message: eventstore.Message{Position: next.Position}, Hash: next.Hash, Commit: commit}
		e.remember(decoded, s, next)
		e.publish(next)
		e.passed(decoded)
	}
}

func (e *Engine) publish(next *domain.State) {
	e.state.Store(next)
	e.moved.wake()
}

// passed does what every message asks for once, when the published state has passed it.
func (e *Engine) passed(m eventstore.Decoded) {
	e.hashes.put(m.Position, m.Hash)
	events, erasure := 0, false
	for _, entry := range m.Commit.GetEntries() {
		events += len(entry.Events)
	}
	e.counts.put(m.Position, events)
	if m.Commit == nil {
		e.cfg.Logger.Error("ALARM: somebody published to the log by hand; the position is skipped", "position", m.Position)
		return
	}
	for _, entry := range m.Commit.Entries {
		for _, event := range entry.Events {
			if event.GetUserErased() == nil {
				continue
			}
			erasure = true
			for _, subject := range e.State().ErasedBy(event) {
				e.cfg.Erased(subject)
			}
		}
	}
	e.noted(m.Position, events, erasure)
}

// follow reads the log live.
func (e *Engine) follow(ctx context.Context) {
	for ctx.Err() == nil && e.Err() == nil {
		err := e.log.Tail(ctx, e.State().Position, e.apply)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGap):
			// The position to go on from is taken anew.
		case err != nil:
			e.fail(err)
		}
	}
}

// see waits for the state to pass a position, reading it from any replica, and tells whether it did.
func (e *Engine) see(ctx context.Context, at domain.Position, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		moved := e.moved.wait()
		if e.State().Position >= at {
			return true
		}
		if m, err := e.log.Read(ctx, at); err == nil && e.State().Position+1 == at {
			if err := e.apply(m); err != nil && !errors.Is(err, errGap) {
				e.fail(err)
			}
			continue
		}
		if ctx.Err() != nil || e.Err() != nil {
			return e.State().Position >= at
		}
		timer := time.NewTimer(25 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pause waits and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hashes remembers the hashes of the newest positions, for tokens and for telling own commits from others.
type hashes struct {
	ring [8192]struct {
		at   domain.Position
		hash domain.Hash
	}
}

func (h *hashes) put(at domain.Position, hash domain.Hash) {
	slot := &h.ring[uint64(at)%uint64(len(h.ring))]
	slot.at, slot.hash = at, hash
}

func (h *hashes) get(at domain.Position) (domain.Hash, bool) {
	slot := h.ring[uint64(at)%uint64(len(h.ring))]
	return slot.hash, slot.at == at && at > 0
}

// hashAt is the hash of a position the state has passed.
func (e *Engine) hashAt(ctx context.Context, at domain.Position) (domain.Hash, error) {
	e.applying.Lock()
	hash, ok := e.hashes.get(at)
	e.applying.Unlock()
	if ok {
		return hash, nil
	}
	m, err := e.log.Read(ctx, at)
	if err != nil {
		return domain.Hash{}, err
	}
	return eventstore.HashOf(m.Data), nil
}
