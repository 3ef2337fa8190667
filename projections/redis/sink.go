package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// changesMost is how many changes one script writes at most: Redis does nothing else meanwhile.
	changesMost = 100
	// scriptsMost is how many scripts are on their way at once; the next are made meanwhile.
	scriptsMost = 16
	// othersTime is for how long after its last word a partition set is taken for that of a server which runs.
	othersTime = 10 * time.Second
)

// sink writes to all partitions. One call at a time does anything.
type sink struct {
	conn   *connection
	layout layout.Layout
	logID  string
	state  func() *domain.State
	logger *slog.Logger
	// most is how many changes one script writes, kept about how many entries a stream keeps.
	most, kept int

	generation, builds atomic.Int64 // ever, and here

	mu      sync.Mutex
	epoch   string
	places  []place // nil while unknown
	knows   []bool  // by partition: its server has the script
	claims  []claim // by partition
	rebuild string  // why all must be built anew, if it must

	vouched vouched
}

// claim is a moment that a partition may name once it is at a position: by the clock of Redis, and by the one here.
type claim struct {
	asOf int64
	here time.Time
	at   domain.Position
}

// vouched is at which moments here partitions were current, as they tell their readers.
type vouched struct {
	mu    sync.Mutex
	since []time.Time // by partition; at first when this server began
}

func (v *vouched) set(p int, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.since[p] = at
}

// oldest is that of the partition which is furthest behind.
func (v *vouched) oldest() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.MinFunc(v.since, time.Time.Compare)
}

func newSink(conn *connection, l layout.Layout, logID string, state func() *domain.State, logger *slog.Logger) *sink {
	return &sink{conn: conn, layout: l, logID: logID, state: state, most: changesMost, kept: 100_000, logger: logger,
		knows: make([]bool, l.Partitions), claims: make([]claim, l.Partitions),
		vouched: vouched{since: slices.Repeat([]time.Time{time.Now()}, l.Partitions)}}
}

// Checkpoint is where the partition that is furthest behind stands. What is not there, or of another log or layout, is built first.
func (s *sink) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return projections.Checkpoint{}, transient(s.conn.failed(err))
	}
	return s.lowest(), nil
}

// checkpoints are those of all partitions.
func (s *sink) checkpoints() (list []projections.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		list = append(list, p.at)
	}
	return list
}

func (s *sink) lowest() projections.Checkpoint {
	return slices.MinFunc(s.places, func(a, b place) int { return int(a.at.Position) - int(b.at.Position) }).at
}

// Apply writes what messages changed to every partition that does not have it, in pipelines of scripts each of which passes only behind
// the one in front of it.
func (s *sink) Apply(ctx context.Context, from, to projections.Checkpoint, messages []eventstore.Folded) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil || s.lowest().Position < from.Position {
		return fmt.Errorf("%w: Redis is not where it was", projections.ErrTransient)
	}
	if s.lowest().Position > from.Position {
		return projections.ErrCheckpointMoved
	}
	err := s.told(ctx, to, messages)
	var g *gap
	var untellable untellable
	switch {
	case errors.As(err, &untellable):
		return err
	case errors.As(err, &g) && g.epoch == g.wanted.epoch && g.position > g.wanted.before.at.Position:
		return fmt.Errorf("%w: %w", projections.ErrCheckpointMoved, err)
	case err != nil:
		return transient(s.conn.failed(err))
	}
	return nil
}

// untellable is why the changes of a message can't be told, however often it is tried.
type untellable struct{ error }

// told is write, of which what can't be told must not end the server.
func (s *sink) told(ctx context.Context, to projections.Checkpoint, messages []eventstore.Folded) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.places = nil
			err = untellable{fmt.Errorf("an entry can't be told: %v", r)}
		}
	}()
	return s.write(ctx, to, messages)
}

// write writes the changes of messages.
func (s *sink) write(ctx context.Context, to projections.Checkpoint, messages []eventstore.Folded) error {
	w := s.writer()
	defer w.land()
	for _, m := range messages {
		list, err := invalidation.Of(m)
		if err != nil {
			return untellable{err}
		}
		for _, c := range list {
			if c.Scope != tenurev1.Scope_SCOPE_INSTANCE {
				p, o := changeOf(s.layout, c)
				if err := w.add(ctx, p, o); err != nil {
					return err
				}
				continue
			}
			// Entries first: who is told that all changed reads what they are now.
			if err := w.send(ctx); err != nil {
				return err
			}
			for c := range invalidation.All(m.After) {
				p, o := changeOf(s.layout, c)
				if err := w.fill(ctx, p, untold(o)); err != nil {
					return err
				}
			}
			if err := w.send(ctx); err != nil {
				return err
			}
			for p := range s.layout.Partitions {
				if err := w.add(ctx, p, instance(s.layout, p, c)); err != nil {
					return err
				}
			}
		}
		w.passed(projections.Checkpoint{LogID: s.logID, Position: m.Position, Hash: m.Hash})
	}
	w.passed(to)
	return w.send(ctx)
}

// writer makes scripts of changes, and sends some while it makes the next. Whoever makes one must let it land.
type writer struct {
	*sink
	drafts  []draft // by partition
	pending []run
	flight  chan error // of the scripts that are on their way; nil if none are
}

// draft is what a partition's next script will be.
type draft struct {
	had    layout.ID // the last change that the partition had when the writer was made
	before place
	at     projections.Checkpoint // all up to here was added
	ops    []op
	newest map[string]int // of ops, by name
}

func (s *sink) writer() *writer {
	w := &writer{sink: s}
	for _, at := range s.places {
		w.drafts = append(w.drafts, draft{had: at.last, before: at, at: at.at, newest: map[string]int{}})
	}
	return w
}

// add takes a change that is told, unless the partition has it.
func (w *writer) add(ctx context.Context, p int, o op) error {
	if d := &w.drafts[p]; domain.Position(o.id.Position) > d.at.Position && o.id.Compare(d.had) > 0 {
		return w.take(ctx, p, o)
	}
	return nil
}

// fill takes a change that is not told, unless the partition is past it. A script that fails does not keep the next from passing, as
// none moves anything; so what tells of them all must not be in one pipeline with them.
func (w *writer) fill(ctx context.Context, p int, o op) error {
	if domain.Position(o.id.Position) > w.drafts[p].at.Position {
		return w.take(ctx, p, o)
	}
	return nil
}

func (w *writer) take(ctx context.Context, p int, o op) error {
	d := &w.drafts[p]
	if i, ok := d.newest[o.name]; ok {
		d.ops[i].superseded = true
	}
	d.newest[o.name] = len(d.ops)
	if d.ops = append(d.ops, o); len(d.ops) >= w.most {
		w.cut(p)
	}
	if len(w.pending) < scriptsMost {
		return nil
	}
	return w.flush(ctx)
}

// passed says that all up to a message was added.
func (w *writer) passed(at projections.Checkpoint) {
	for p := range w.drafts {
		if d := &w.drafts[p]; d.at.Position < at.Position {
			d.at = at
		}
	}
}

// cut makes a partition's next script.
func (w *writer) cut(p int) {
	d := &w.drafts[p]
	r := run{partition: p, epoch: w.epoch, before: d.before, after: place{at: d.at, last: d.before.last}, kept: w.kept, ops: d.ops}
	for i := range d.ops {
		o := &d.ops[i]
		// The stream tells projects and organizations whole.
		if !o.superseded || o.scope == layout.Project || o.scope == layout.Org {
			o.value = o.text()
		}
		if o.how == howSet || o.how == howRevoke || o.how == howAll {
			r.after.last = o.id
		}
	}
	if c := &w.claims[p]; c.asOf != 0 && c.at <= d.at.Position {
		r.asOf, r.here, *c = c.asOf, c.here, claim{}
	}
	d.before, d.ops = r.after, nil
	clear(d.newest)
	w.pending = append(w.pending, r)
}

// send writes all that was added, and answers when it is written.
func (w *writer) send(ctx context.Context) error {
	for p := range w.drafts {
		if d := &w.drafts[p]; len(d.ops) > 0 || d.at != d.before.at {
			w.cut(p)
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return w.land()
}

// flush sends the scripts that were made, behind those that were sent before.
func (w *writer) flush(ctx context.Context) error {
	list := w.pending
	w.pending = nil
	for some := range slices.Chunk(list, scriptsMost) {
		if err := w.land(); err != nil {
			return err
		}
		flight := make(chan error, 1)
		w.flight = flight
		go func() { flight <- w.do(ctx, some) }()
	}
	return nil
}

// land waits for the scripts that are on their way.
func (w *writer) land() (err error) {
	if w.flight != nil {
		err = <-w.flight
		w.flight = nil
	}
	return err
}

// do sends scripts at once. After any failure it is not known where the partitions are.
func (s *sink) do(ctx context.Context, list []run) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := s.conn.get()
	if err != nil {
		s.places = nil
		return err
	}
	var commands rueidis.Commands
	brought := make([]bool, s.layout.Partitions)
	for _, r := range list {
		commands = append(commands, r.command(c, s.layout, !s.knows[r.partition] && !brought[r.partition]))
		brought[r.partition] = true
	}
	for i, res := range c.DoMulti(ctx, commands...) {
		failed := list[i].answer(res)
		var g *gap
		if failed != nil && (err == nil || errors.As(err, &g) && !errors.As(failed, &g)) {
			// Those that follow on a failure find a gap; the failure says more.
			err = failed
		}
	}
	if err != nil {
		s.places = nil
		clear(s.knows)
		return err
	}
	for _, r := range list {
		s.places[r.partition], s.knows[r.partition] = r.after, true
		if r.asOf != 0 {
			s.vouched.set(r.partition, r.here)
		}
	}
	return nil
}
