package engine

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// Reasons of errors that the engine gives.
const (
	NoContact      domain.Reason = "NO_CONTACT"
	ClockSkew      domain.Reason = "CLOCK_SKEW"
	OutcomeUnknown domain.Reason = "OUTCOME_UNKNOWN"
	Contention     domain.Reason = "CONTENTION"
	TooLarge       domain.Reason = "TOO_LARGE"
	NotCaughtUp    domain.Reason = "NOT_CAUGHT_UP"
	Stopped        domain.Reason = "STOPPED"
	// LogDamaged: positions are missing or are not what was written; a server that starts stops there.
	LogDamaged domain.Reason = "LOG_DAMAGED"
)

// keepProbing asks for the end of the log again and again: it keeps the state current while a live reader stalls, compares
// clocks, and is how the server knows that it has contact.
func (e *Engine) keepProbing(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.failed:
			return
		case <-ticker.C:
		}
		attempt, cancel := context.WithTimeout(ctx, e.cfg.ContactGap)
		if err := e.probe(attempt); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("no contact to the log", "error", err, "since", e.SinceContact().Round(time.Millisecond))
		}
		cancel()
	}
}

// reachWait is how long a start waits for a cluster that is choosing its leaders.
const reachWait = 15 * time.Second

// reach waits until the log's leader tells its end.
func (e *Engine) reach(ctx context.Context) (eventstore.Tip, error) {
	for began := time.Now(); ; {
		tip, err := e.log.Tip(ctx)
		if err == nil || time.Since(began) > reachWait || !pause(ctx, 100*time.Millisecond) {
			return tip, err
		}
	}
}

// probe catches up with the end of the log as the stream's leader knows it.
func (e *Engine) probe(ctx context.Context) error {
	asked, clock := time.Now(), e.cfg.Clock()
	tip, err := e.log.Tip(ctx)
	if err != nil {
		return err
	}
	// The leader read its clock somewhere between question and answer.
	e.compared.Store(&comparison{clock: clock.Round(0), at: asked, skew: clock.Add(time.Since(asked) / 2).Sub(tip.Time)})
	if err := e.catchUp(ctx, tip.Last); err != nil {
		return err
	}
	// A leader that was cut off answers as before for a while; what it has is as old as its last word from the others.
	e.current(asked.Add(-tip.Heard))
	return nil
}

// comparison is of this server's clock with the broker's. A clock that jumps afterwards is found out without asking again, by
// the time that has passed, which no clock can change.
type comparison struct {
	clock time.Time // this server's
	at    time.Time // the same moment, by the monotonic clock
	skew  time.Duration
}

// current records that the state was current at a moment.
func (e *Engine) current(at time.Time) {
	now := int64(at.Sub(e.begin))
	for {
		old := e.freshAt.Load()
		if now <= old || e.freshAt.CompareAndSwap(old, now) {
			return
		}
	}
}

// SinceContact is how old the state may be.
func (e *Engine) SinceContact() time.Duration {
	return time.Since(e.begin) - time.Duration(e.freshAt.Load())
}

// Fresh is an error if the state may be older than the contact gap: access must not be granted on yesterday's truth.
func (e *Engine) Fresh() error {
	if err := e.usable(); err != nil {
		return err
	}
	if gap := e.SinceContact(); gap > e.cfg.ContactGap {
		return domain.Errorf(domain.CodeUnavailable, NoContact,
			"no contact to the log for %s, and answers may be stale after %s; try again, or ask another server", gap.Round(time.Millisecond), e.cfg.ContactGap)
	}
	return nil
}

// usable is an error once the engine has stopped reading.
func (e *Engine) usable() error {
	if err := e.Err(); err != nil {
		return domain.Errorf(domain.CodeUnavailable, Stopped,
			"this server stopped reading the log; its operator finds why in its log").Because(err)
	}
	return nil
}

// clockSane is an error if deciding now would put a wrong time into the log.
func (e *Engine) clockSane(now time.Time, s *domain.State) error {
	var skew time.Duration
	if c := e.compared.Load(); c != nil {
		skew = c.skew + now.Round(0).Sub(c.clock) - time.Since(c.at)
	}
	if ahead := now.Sub(s.Time); s.Position > 0 && -ahead > MaxClockSkew {
		skew = ahead
	}
	if skew.Abs() > MaxClockSkew {
		return domain.Errorf(domain.CodeUnavailable, ClockSkew,
			"this server's clock is %s off the log's; set it right, or ask another server", skew.Round(100*time.Millisecond))
	}
	return nil
}
