package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const (
	// queueLength is how many commands may wait; further callers wait to be let in.
	queueLength = 4096
	// groupMax is how many commands are decided into one commit at most.
	groupMax = 1024
	// commandTimeout is how long a caller waits at most; while the log is away it is better told so than kept.
	commandTimeout = 15 * time.Second
	// raceMax is how often a group is decided again after losing a race before its callers are told.
	raceMax = 1000
	// settleWait is how long the next position is waited for before the same bytes are sent again.
	settleWait = 250 * time.Millisecond
)

// Request is one command with everything that is known about how it came.
type Request struct {
	Command domain.Command
	Rule    domain.Rule
	Actor   domain.Actor
	// CommandID is a ULID; one is made if it is empty.
	CommandID string
	Reason    string
	Info      *eventv1.RequestInfo
	// Idempotency is set if the client sent a key.
	Idempotency *eventv1.Idempotency
}

// Outcome is what became of a command.
type Outcome struct {
	// State holds the outcome; it may be newer.
	State *domain.State
	// Position of the commit that holds the outcome, with its hash; of the state it was decided on if nothing changed.
	Position domain.Position
	Hash     domain.Hash
	// Events of the command; none if nothing changed.
	Events []*eventv1.Event
	// Repeated tells that the command had been given before with the same idempotency key, and this is what it did then.
	Repeated bool
}

// waiting is one caller in the queue. A request without a command is a barrier: it wants to see a commit land.
type waiting struct {
	ctx    context.Context
	req    Request
	answer chan answered
}

type answered struct {
	outcome Outcome
	// recalled is where the first outcome stands, if the command is a repetition.
	recalled *domain.Remembered
	err      error
}

// Execute decides a command, appends what it decides, and answers once that is durable. A rejection is an *domain.Error,
// given only when the state it was decided on is durable and, with several servers, current. If ctx ends first the outcome
// is unknown: repeat with the same idempotency key to learn it.
func (e *Engine) Execute(ctx context.Context, req Request) (Outcome, error) {
	a, err := e.enqueue(ctx, req)
	if err != nil {
		return Outcome{}, err
	}
	if a.recalled != nil {
		return e.recall(ctx, *a.recalled)
	}
	return a.outcome, nil
}

func (e *Engine) enqueue(ctx context.Context, req Request) (answered, error) {
	if err := e.usable(); err != nil {
		return answered{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	w := &waiting{ctx: ctx, req: req, answer: make(chan answered, 1)}
	select {
	case e.queue <- w:
	case <-ctx.Done():
		return answered{}, domain.Errorf(domain.CodeUnavailable, NotCaughtUp, "the server is busy and did not take the command; nothing happened, try again")
	case <-e.failed:
		return answered{}, e.usable()
	}
	select {
	case a := <-w.answer:
		return a, a.err
	case <-ctx.Done():
		return answered{}, outcomeUnknown().Because(ctx.Err())
	case <-e.closed:
		// Nobody takes from the queue any more; what was taken has its answer.
		select {
		case a := <-w.answer:
			return a, a.err
		default:
			if err := e.usable(); err != nil {
				return answered{}, err
			}
			return answered{}, outcomeNone()
		}
	}
}

func outcomeUnknown() *domain.Error {
	return domain.Errorf(domain.CodeUnavailable, OutcomeUnknown,
		"the log did not confirm the command in time, and it may or may not happen; repeat it with the same Idempotency-Key to learn which")
}

// recall reads the first outcome of a repeated command.
func (e *Engine) recall(ctx context.Context, r domain.Remembered) (Outcome, error) {
	outcome := Outcome{Position: r.Position, Repeated: true}
	err := e.Commits(ctx, r.Position, r.Position, func(c Commit) error {
		outcome.Hash, outcome.Events = c.Hash, c.Entries[r.Index].Events
		return nil
	})
	outcome.State = e.State()
	return outcome, err
}

// sequence takes waiting commands in groups, forever.
func (e *Engine) sequence(ctx context.Context) {
	defer close(e.closed)
	for {
		var group []*waiting
		select {
		case <-ctx.Done():
			return
		case <-e.failed:
			return
		case w := <-e.queue:
			group = append(group, w)
		}
		for len(group) < groupMax {
			select {
			case w := <-e.queue:
				group = append(group, w)
				continue
			default:
			}
			break
		}
		e.process(ctx, group)
	}
}

func outcomeNone() error {
	return domain.Errorf(domain.CodeUnavailable, Stopped, "the server is stopping and did not take the command; nothing happened, try another server")
}

func refuse(group []*waiting, err error) {
	for _, w := range group {
		w.answer <- answered{err: err}
	}
}

// process answers every command of a group, in as many commits as it takes.
func (e *Engine) process(ctx context.Context, group []*waiting) {
	limit, races := e.log.MaxBytes(), 0
	for len(group) > 0 {
		if ctx.Err() != nil {
			refuse(group, outcomeNone())
			return
		}
		base := e.State()
		if err := errors.Join(e.usable(), e.clockSane(e.cfg.Clock(), base)); err != nil {
			var known *domain.Error
			errors.As(err, &known)
			refuse(group, known)
			return
		}
		d, err := e.decide(base, group, limit)
		if err != nil {
			refuse(group, domain.Errorf(domain.CodeInternal, Stopped, "the command could not be encoded").Because(err))
			return
		}
		if d.commit == nil {
			d.answer(base)
			group = d.rest
			continue
		}
		switch e.append(ctx, base, d) {
		case landed:
			e.stats.commands.Add(uint64(len(d.commit.Entries)))
			e.stats.commits.Add(1)
			d.answer(d.next)
			group, races = d.rest, 0
		case lost:
			e.stats.conflicts.Add(1)
			if races++; races == raceMax {
				refuse(group, domain.Errorf(domain.CodeAborted, Contention, "too many others write to the log at the same time; nothing happened, try again"))
				return
			}
		case tooLarge:
			if len(d.writers) == 1 {
				big := d.writers[0]
				refuse([]*waiting{big}, domain.Errorf(domain.CodeExhausted, TooLarge, "the command is larger than one commit may be (%d bytes); send less at once", e.log.MaxBytes()))
				group = slices.DeleteFunc(group, func(w *waiting) bool { return w == big })
				limit = e.log.MaxBytes()
				continue
			}
			limit = len(d.data) / 2
		case unsettled:
			refuse(group, outcomeUnknown())
			return
		}
	}
}

// fate is what became of an append.
type fate uint8

const (
	landed    fate = iota
	lost           // somebody else's message is at that position
	tooLarge       // nothing was stored
	unsettled      // the engine is stopping before it was known
)

// append sends the same bytes with the same guard until it is known what is at the next position. That is safe: they can
// land at most once. Nothing but seeing that position settles the question: an acknowledgement of these bytes, or reading
// it. A refused guard does not, because the leader may have counted a message that never came to be.
func (e *Engine) append(ctx context.Context, base *domain.State, d *decision) fate {
	sent := time.Now()
	doubt := false
	for attempt := 0; ; attempt++ {
		err := e.log.Append(ctx, base.Position, d.data, eventstore.Header{CommitID: d.commit.CommitId, Entries: len(d.commit.Entries)})
		if err == nil {
			e.applyOwn(d.next, d.commit)
			e.current(sent)
			return landed
		}
		if errors.Is(err, eventstore.ErrTooLarge) && !doubt {
			return tooLarge
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			doubt = true
			e.cfg.Logger.Warn("append not confirmed, settling it", "position", d.next.Position, "attempt", attempt+1, "error", err)
		}
		if e.see(ctx, d.next.Position, settleWait) {
			hash, err := e.hashAt(ctx, d.next.Position)
			if err == nil {
				if hash == d.next.Hash {
					e.current(sent)
					return landed
				}
				return lost
			}
		}
		if ctx.Err() != nil || e.Err() != nil {
			return unsettled
		}
		e.stats.retries.Add(1)
		pause(ctx, time.Duration(rand.Int64N(int64(20*time.Millisecond))))
	}
}
