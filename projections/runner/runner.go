// Package runner keeps projections going: it applies the log to them in batches, builds them anew beside the live ones, and tells
// how far they are.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
)

// Log is the log a runner reads.
type Log struct {
	// ID is the log's.
	ID string
	// Open begins to read.
	Open projections.Open
	// End is the newest position known here.
	End func() domain.Position
	// Behind is how many events are behind a position; nil if nobody counts them.
	Behind func(domain.Position) uint64
}

// EventsBehind is Behind, as far as somebody counts.
func (l Log) EventsBehind(at domain.Position) uint64 {
	if l.Behind == nil {
		return 0
	}
	return l.Behind(at)
}

// Runner applies a log to one sink, and stops loudly when something is wrong that does not pass. Several may work on one sink: one
// makes progress and the others stand by.
type Runner struct {
	Name   string
	Log    Log
	Sink   projections.Sink
	States bool // between messages are wanted
	// Eager: it applies what comes at once. The others let commands go first while nobody waits for them.
	Eager  bool
	Logger *slog.Logger

	waiters atomic.Int64  // in Await
	hurry   chan struct{} // somebody began to wait
	once    sync.Once

	mu     sync.Mutex
	status Status
	moved  chan struct{} // closed and made anew when the status changes
	rate   meter
}

// Phase is what a runner is doing.
type Phase string

const (
	// Running applies what comes.
	Running Phase = "running"
	// Standby leaves it to another server's runner, and takes over when that stands still.
	Standby Phase = "standby"
	// Retrying waits for trouble to pass.
	Retrying Phase = "retrying"
	// Stopped met something it must not go past.
	Stopped Phase = "stopped"
)

// Status is how far a runner is.
type Status struct {
	Phase    Phase
	Position domain.Position
	// Time is that of the last applied commit.
	Time time.Time
	// Rate is applied events a second, lately.
	Rate float64
	// Err is the last trouble; it stays until something is applied.
	Err error
}

const (
	// batchMost is how many messages are applied at once: what commits and fsyncs cost is shared by many, and a reader of the rows
	// does not wait for long.
	batchMost = 1000
	// batchEvents is about how many events are applied at once.
	batchEvents = 5000
	// gather is how long messages are waited for that come while nobody waits for the last one: a transaction for each would cost commands
	// more of the machine than the rows do.
	gather = 25 * time.Millisecond
	// patience is how far behind a projection that nobody waits for may fall while commands come, before it takes what it can get.
	patience   = 2 * time.Second
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
	// standbyEvery is how often a runner that stands by looks, and takeOver how long the other may stand still with work before it.
	standbyEvery = 250 * time.Millisecond
	takeOver     = 2 * time.Second
)

// Status answers the status, and a channel that is closed at its next change.
func (r *Runner) Status() (Status, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved == nil {
		r.moved = make(chan struct{})
	}
	s := r.status
	s.Rate = r.rate.perSecond(time.Now())
	return s, r.moved
}

func (r *Runner) set(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
	if r.moved != nil {
		close(r.moved)
	}
	r.moved = make(chan struct{})
}

// Forever is a position that no log gets to.
const Forever = domain.Position(math.MaxInt64)

// Run applies the log until the sink is at a position, or for ever if that is Forever. It ends with ctx, or with an error that does not
// pass by itself; nothing is ever skipped.
func (r *Runner) Run(ctx context.Context, to domain.Position) error {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		before, _ := r.Status()
		err := r.run(ctx, to)
		if errors.Is(err, projections.ErrCheckpointMoved) && ctx.Err() == nil {
			if err = r.standBy(ctx, to); err == nil {
				wait = retryFirst / 2
				continue
			}
		}
		after, _ := r.Status()
		switch {
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, projections.ErrTransient):
			if after.Position > before.Position {
				wait = retryFirst
			}
			r.set(func(s *Status) { s.Phase, s.Err = Retrying, err })
			if wait >= time.Second {
				r.Logger.Warn("a projection waits", "projection", r.Name, "position", after.Position, "error", err, "retry", wait)
			}
		default:
			r.set(func(s *Status) { s.Phase, s.Err = Stopped, err })
			r.Logger.Error("a projection stopped", "projection", r.Name, "position", after.Position, "error", err)
			return err
		}
		if !projections.Pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// run applies until something is in the way.
func (r *Runner) run(ctx context.Context, to domain.Position) error {
	at, err := r.Sink.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if at.LogID != "" && at.LogID != r.Log.ID {
		return fmt.Errorf("%s is of the log %s, and this is the log %s: rebuild it", r.Name, at.LogID, r.Log.ID)
	}
	if at.Position >= to {
		return nil
	}
	next, err := r.Log.Open(ctx, at, r.States)
	if err != nil {
		return err
	}
	r.set(func(s *Status) { s.Phase, s.Position = Running, at.Position })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := r.fetch(ctx, next, at.Position, to)
	for b := range batches {
		if b.err != nil {
			return b.err
		}
		last := b.messages[len(b.messages)-1]
		behind := projections.Checkpoint{LogID: r.Log.ID, Position: last.Position, Hash: last.Hash}
		began := time.Now()
		if err := r.Sink.Apply(ctx, at, behind, b.messages); err != nil {
			return fmt.Errorf("positions %d to %d: %w", b.messages[0].Position, last.Position, err)
		}
		at = behind
		r.rate.add(time.Now(), b.events)
		r.set(func(s *Status) {
			s.Phase, s.Position, s.Err = Running, at.Position, nil
			if last.Commit != nil {
				s.Time = last.Commit.Time.AsTime()
			}
		})
		if to == Forever && last.Commit != nil && time.Since(last.Commit.Time.AsTime()) < patience {
			// Commands come first: in a burst of them the rows take a tenth of a processor, and come after it.
			r.rest(ctx, min(9*time.Since(began), patience/4))
		}
	}
	return ctx.Err()
}

type batch struct {
	messages []eventstore.Folded
	events   int
	err      error
}

// fetch reads ahead by one batch while another is applied.
func (r *Runner) fetch(ctx context.Context, next projections.Next, at, to domain.Position) <-chan batch {
	out := make(chan batch)
	go func() {
		defer close(out)
		most, few := batchMost, false
		for at < to {
			if few && to == Forever {
				r.rest(ctx, gather)
			}
			most = min(most, int(to-at))
			var b batch
			b.messages, b.err = next(ctx, most)
			for _, m := range b.messages {
				for _, entry := range m.Commit.GetEntries() {
					b.events += len(entry.Events)
				}
			}
			few = len(b.messages) < batchMost/10
			if n := len(b.messages); n > 0 {
				at = b.messages[n-1].Position
				// Of large commits fewer are taken at once.
				most = max(1, min(batchMost, batchEvents*n/max(1, b.events)))
			}
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return out
}

// rest waits, unless somebody waits for this runner, or always does.
func (r *Runner) rest(ctx context.Context, d time.Duration) {
	if r.Eager || r.waiters.Load() > 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.hurried():
	case <-timer.C:
	}
}

func (r *Runner) hurried() chan struct{} {
	r.once.Do(func() { r.hurry = make(chan struct{}, 1) })
	return r.hurry
}

// standBy waits until the other runner stands still although the log has gone on.
func (r *Runner) standBy(ctx context.Context, to domain.Position) error {
	still := time.Now()
	for last := domain.Position(0); ; {
		c, err := r.Sink.Checkpoint(ctx)
		if err != nil {
			return err
		}
		if c.Position != last || c.Position >= r.Log.End() {
			last, still = c.Position, time.Now()
		}
		r.set(func(s *Status) { s.Phase, s.Position, s.Err = Standby, c.Position, nil })
		if time.Since(still) > takeOver || c.Position >= to {
			return nil
		}
		if !projections.Pause(ctx, standbyEvery) {
			return ctx.Err()
		}
	}
}

// Await waits until the sink is at a position; it answers the position it got to and whether that is enough.
func (r *Runner) Await(ctx context.Context, at domain.Position) (domain.Position, bool) {
	if s, _ := r.Status(); s.Position >= at {
		return s.Position, true
	}
	r.waiters.Add(1)
	defer r.waiters.Add(-1)
	select {
	case r.hurried() <- struct{}{}:
	default:
	}
	for {
		s, moved := r.Status()
		if s.Position >= at {
			return s.Position, true
		}
		if s.Phase == Standby {
			// Another server moves it on, and tells nobody.
			if c, err := r.Sink.Checkpoint(ctx); err == nil && c.Position >= at {
				return c.Position, true
			}
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return s.Position, false
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
		if s.Phase == Stopped {
			return s.Position, false
		}
	}
}

// meter counts events in the last ten seconds.
type meter struct {
	mu     sync.Mutex
	counts [10]struct {
		second int64
		events int
	}
	first int64
}

func (m *meter) add(now time.Time, events int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	second := now.Unix()
	if m.first == 0 {
		m.first = second
	}
	slot := &m.counts[second%int64(len(m.counts))]
	if slot.second != second {
		slot.second, slot.events = second, 0
	}
	slot.events += events
}

func (m *meter) perSecond(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first == 0 {
		return 0
	}
	sum := 0
	for _, slot := range m.counts {
		if now.Unix()-slot.second < int64(len(m.counts)) {
			sum += slot.events
		}
	}
	return float64(sum) / float64(min(int64(len(m.counts)), now.Unix()-m.first+1))
}
