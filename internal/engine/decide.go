package engine

import (
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// decision is what a group comes to on one state.
type decision struct {
	// commit is nil if the group writes nothing; data are its bytes, next the state it leaves.
	commit *eventv1.Commit
	data   []byte
	next   *domain.State
	// writers are the callers whose outcomes the commit holds, entry by entry.
	writers []*waiting
	// rest are those of the group whose outcomes did not fit any more.
	rest []*waiting
	// answers are given once the commit landed, or at once if there is none.
	answers []pending
}

type pending struct {
	w *waiting
	a answered
}

// answer gives every answer; s is the state they hold for.
func (d *decision) answer(s *domain.State) {
	for _, p := range d.answers {
		if p.a.err == nil && p.a.recalled == nil {
			p.a.outcome.State, p.a.outcome.Position, p.a.outcome.Hash = s, s.Position, s.Hash
		}
		p.w.answer <- p.a
	}
}

// commitRoom is kept free for what surrounds the entries of a commit.
const commitRoom = 512

// decide decides each of the group on the state left by the one before, as far as their outcomes fit into limit bytes.
func (e *Engine) decide(base *domain.State, group []*waiting, limit int) (*decision, error) {
	// Nobody reads it until it is sealed.
	d := &decision{next: base.Together(len(group)), rest: group}
	at, now := base.Position+1, e.cfg.Clock().UTC().Round(0)
	if now.Before(base.Time) {
		now = base.Time
	}
	commit := &eventv1.Commit{
		CommitId: ulid.Make().String(), Parent: uint64(base.Position), Time: timestamppb.New(now),
		Node: e.cfg.Node, Format: base.Instance.LogFormat(),
	}
	if base.Position > 0 {
		commit.ParentHash = base.Hash[:]
	}
	size, barrier := commitRoom, false
	for _, w := range group {
		switch {
		case w.ctx.Err() != nil:
			// The caller is gone and nothing was written: leave it so.
			d.answers = append(d.answers, pending{w: w, a: answered{err: outcomeUnknown().Because(w.ctx.Err())}})
		case w.req.Command == nil:
			barrier = true
			d.answers = append(d.answers, pending{w: w})
		default:
			p, entry := decideOne(d.next, w, now)
			if entry != nil {
				room := proto.Size(entry) + 8
				if size+room > limit && len(commit.Entries) > 0 {
					return e.seal(d, commit, barrier)
				}
				next, err := domain.EvolveEntry(d.next, entry, len(commit.Entries), at, now)
				if err != nil {
					return nil, err
				}
				size += room
				d.next = next
				commit.Entries = append(commit.Entries, entry)
				d.writers = append(d.writers, w)
			}
			// A refusal is as true as a success, and so is that nothing had to be done: with several servers only an append
			// proves that nobody was quicker. A leader that was cut off would confirm what is old.
			barrier = barrier || entry == nil && !e.cfg.Sole
			d.answers = append(d.answers, p)
		}
		d.rest = d.rest[1:]
		if d.next.Instance.LogFormat() > commit.Format {
			// What follows may be new, and a commit holds nothing newer than the format it says.
			break
		}
	}
	return e.seal(d, commit, barrier)
}

// seal encodes the commit, if there is anything to write.
func (e *Engine) seal(d *decision, commit *eventv1.Commit, barrier bool) (*decision, error) {
	d.next = d.next.Loaded()
	if len(commit.Entries) == 0 && !barrier {
		return d, nil
	}
	data, err := eventstore.Encode(commit)
	if err != nil {
		return nil, err
	}
	d.commit, d.data = commit, data
	d.next = d.next.Advanced(domain.Position(commit.Parent+1), eventstore.HashOf(data))
	d.next.Time = commit.Time.AsTime()
	return d, nil
}

// decideOne decides one command; entry is nil if there is nothing to write.
func decideOne(s *domain.State, w *waiting, now time.Time) (p pending, entry *eventv1.Entry) {
	p, req := pending{w: w}, w.req
	if id := req.Idempotency; id != nil {
		if r, ok := s.Recall(id.Key); ok {
			switch {
			case r.Command != string(id.Command):
				p.a.err = domain.Errorf(domain.CodeInvalid, domain.IdempotencyReuse,
					"this Idempotency-Key was used for another command; make a new one for each command")
			default:
				p.a.err = domain.Allow(s, req.Command, req.Rule, req.Actor, now)
				p.a.recalled = &r
			}
			return p, nil
		}
	}
	events, err := domain.Decide(s, req.Command, req.Rule, req.Actor, now)
	if err == nil {
		err = writable(s, events)
	}
	if err != nil {
		p.a.err = err
		return p, nil
	}
	if len(events) == 0 && req.Idempotency == nil {
		return p, nil
	}
	var org domain.OrgID
	if len(events) > 0 && len(events[0].OrgIds) > 0 {
		org = domain.OrgID(domain.ActedIn(events[0])[0])
	}
	id := req.CommandID
	if id == "" {
		id = ulid.Make().String()
	}
	entry = &eventv1.Entry{
		CommandId: id, Command: req.Command.Name(), Actor: req.Actor.Stored(s, org, now), Request: req.Info,
		Reason: req.Reason, Idempotency: req.Idempotency, Events: events,
	}
	p.a.outcome.Events = events
	return p, entry
}

// writable refuses events of a newer format than the log's: servers that don't know them may still run.
func writable(s *domain.State, events []*eventv1.Event) error {
	format := s.Instance.LogFormat()
	for _, event := range events {
		if needed := eventstore.FormatOf(event); needed > format {
			return domain.Errorf(domain.CodePrecondition, domain.FormatTooOld,
				"this needs format %d of the log, which has %d, so that servers of an older version can read it; when all servers are upgraded, an instance admin raises it: tenure instance raise-format",
				needed, format)
		}
	}
	return nil
}
