package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

const (
	// DefaultSnapshotEvery is after how many events a snapshot is written: fewer make a start quicker by fractions of a second.
	DefaultSnapshotEvery = 100_000
	// DefaultSnapshotPause is how long one snapshot at least comes after another: writing a large state takes seconds of a core.
	DefaultSnapshotPause = time.Minute
	// snapshotsKept is how many snapshots there are, so that one that can't be read is not the only one.
	snapshotsKept = 2
	// snapshotTimeout bounds the writing of one.
	snapshotTimeout = 10 * time.Minute
)

// snapshots is what the engine knows of the snapshots of its log.
type snapshots struct {
	events atomic.Int64 // folded since the newest one
	erased atomic.Int64 // position of the newest erasure: older snapshots hold what must be gone
	newest atomic.Uint64
	due    chan struct{}
}

// noted counts the events of a commit that the state has passed.
func (e *Engine) noted(at domain.Position, events int, erasure bool) {
	if erasure {
		e.snapshots.erased.Store(int64(at))
	}
	if e.snapshots.events.Add(int64(events)) >= int64(e.cfg.SnapshotEvery) || erasure {
		select {
		case e.snapshots.due <- struct{}{}:
		default:
		}
	}
}

// restore begins with the newest snapshot that is good and of this log, which ends at a position, if there is one. Whatever is wrong with a snapshot is
// logged and costs nothing but time.
func (e *Engine) restore(ctx context.Context, end domain.Position) {
	if e.cfg.Snapshots == nil {
		return
	}
	list, err := e.cfg.Snapshots.List(ctx)
	if err != nil {
		e.cfg.Logger.Warn("the snapshots can't be listed; all of the log is replayed", "error", err)
	}
	for _, at := range list {
		began := time.Now()
		s, err := e.cfg.Snapshots.Load(ctx, at)
		if err == nil {
			err = e.ofThisLog(ctx, s, end)
		}
		if err != nil {
			e.cfg.Logger.Warn("a snapshot is not used", "position", at, "error", err)
			if errors.Is(err, errOtherLog) {
				// It never will be, and would pass for one that another server has just written.
				_ = e.cfg.Snapshots.Drop(ctx, func(other domain.Position, _ int) bool { return other == at })
			}
			continue
		}
		e.cfg.Logger.Info("snapshot loaded", "position", at, "took", time.Since(began).Round(time.Millisecond))
		e.hashes.put(s.Position, s.Hash)
		e.state.Store(s)
		e.snapshots.newest.Store(uint64(at))
		for subject := range s.Erased().All() {
			// The server that folded the erasure may have ended before the key was destroyed.
			e.cfg.Erased(subject)
		}
		return
	}
}

// errOtherLog is what ofThisLog answers for a snapshot that this log did not come by.
var errOtherLog = errors.New("it is of another log, or of a part that is no more")

// ofThisLog is an error unless the log, which ends at a position, holds at the snapshot's the message that it was made behind.
func (e *Engine) ofThisLog(ctx context.Context, s *domain.State, end domain.Position) error {
	if s.Position > end {
		return fmt.Errorf("%w: the log ends at %d, as after the restore of an older copy", errOtherLog, end)
	}
	var hash domain.Hash
	err := e.log.Replay(ctx, s.Position, s.Position, func(m eventstore.Message) error {
		hash = eventstore.HashOf(m.Data)
		return nil
	})
	if err == nil && hash != s.Hash {
		err = fmt.Errorf("%w: it was made behind another commit than the log has there, whose hash is %s", errOtherLog, hash)
	}
	return err
}

// keepSnapshots writes snapshots while everything goes on.
func (e *Engine) keepSnapshots(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.failed:
			return
		case <-e.snapshots.due:
		}
		if err := e.snapshot(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("no snapshot written, trying again", "error", err, "in", e.cfg.SnapshotPause)
			select {
			case e.snapshots.due <- struct{}{}:
			default:
			}
		}
		if !pause(ctx, e.cfg.SnapshotPause) {
			return
		}
	}
}

// snapshot writes one, unless another server has just done so, and deletes what is no longer needed.
func (e *Engine) snapshot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	erased, events := domain.Position(e.snapshots.erased.Load()), e.snapshots.events.Load()
	// First, so that whatever happens next, what was erased is not in any.
	err := e.cfg.Snapshots.Drop(ctx, func(at domain.Position, _ int) bool { return at < erased })
	if err != nil {
		return err
	}
	list, err := e.cfg.Snapshots.List(ctx)
	if err != nil {
		return err
	}
	if newest := domain.Position(e.snapshots.newest.Load()); len(list) > 0 && list[0] > newest {
		e.snapshots.newest.Store(uint64(list[0]))
	} else {
		s, began := e.State(), time.Now()
		if err := e.cfg.Snapshots.Save(ctx, s); err != nil {
			return err
		}
		e.snapshots.newest.Store(uint64(s.Position))
		e.cfg.Logger.Info("snapshot written", "position", s.Position, "took", time.Since(began).Round(time.Millisecond))
	}
	e.snapshots.events.Add(-events)
	return e.cfg.Snapshots.Drop(ctx, func(_ domain.Position, newer int) bool { return newer >= snapshotsKept })
}
