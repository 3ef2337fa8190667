package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
)

// Projection is a read model and how the log becomes rows of it.
type Projection struct {
	Schema readmodel.Schema
	// States tells that Apply wants the states between messages.
	States bool
	// Apply writes what messages that follow on each other changed. The same messages on the same rows must write the same.
	Apply func(ctx context.Context, tx *readmodel.Tx, messages []eventstore.Folded) error
}

// sink is a generation of a projection.
type sink struct {
	Projection
	model *readmodel.Model
}

// SinkOf is a generation of a projection, for a Runner.
func SinkOf(p Projection, m *readmodel.Model) projections.Sink { return sink{p, m} }

func (s sink) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	return s.model.Checkpoint(ctx)
}

func (s sink) Apply(ctx context.Context, from, to projections.Checkpoint, messages []eventstore.Folded) error {
	return s.model.Apply(ctx, from, to, func(tx *readmodel.Tx) (err error) {
		defer func() {
			// An event that a projection can't take stops that projection, not the server.
			if r := recover(); r != nil {
				err = fmt.Errorf("%s can't take it: %v", s.model.Name, r)
			}
		}()
		return s.Projection.Apply(ctx, tx, messages)
	})
}

// Grace is how long a generation that was replaced is kept for queries that have begun.
const Grace = 30 * time.Second

// scratchMost is for how long a comparison may take at most.
const scratchMost = 24 * time.Hour

// Projector runs one projection: its live generation, and builds of others beside it. Its methods are safe for concurrent use.
type Projector struct {
	p      Projection
	db     *readmodel.Database
	log    Log
	logger *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   sync.WaitGroup

	// changing lets one at a time change what runs, beginning one begin a build. Neither is held by who reads.
	changing, beginning sync.Mutex

	mu       sync.Mutex
	live     *running // nil until there is a live generation
	building *Build
	trouble  error // why there is no live generation
}

// running is a generation with its runner.
type running struct {
	*Runner
	model *readmodel.Model
	ctx   context.Context // ends when another takes its place
	stop  context.CancelFunc
	ended chan struct{}
}

// Start runs a projection until Close. A generation of an older version goes on answering, where it stood, until one of this version
// is built.
func Start(p Projection, db *readmodel.Database, log Log, logger *slog.Logger) *Projector {
	r := &Projector{p: p, db: db, log: log, logger: logger}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.done.Go(r.keep)
	return r
}

// Name is the projection's.
func (r *Projector) Name() string { return r.p.Schema.Name }

// Close ends everything.
func (r *Projector) Close() {
	r.cancel()
	r.done.Wait()
}

// keep opens the live generation and follows when another server switches to another one.
func (r *Projector) keep() {
	for wait := time.Duration(0); projections.Pause(r.ctx, wait); wait = time.Second {
		if err := r.look(); err != nil && r.ctx.Err() == nil {
			r.mu.Lock()
			first := r.trouble == nil || r.trouble.Error() != err.Error()
			r.trouble = err
			r.mu.Unlock()
			if first {
				r.logger.Warn("a projection's read model can't be opened", "projection", r.Name(), "error", err)
			}
		}
	}
	r.stopLive()
}

// look compares what is recorded with what runs.
func (r *Projector) look() error {
	list, err := r.db.Generations(r.ctx, r.Name())
	if err != nil {
		return err
	}
	var live *readmodel.Generation
	resume, waste := false, false
	for i, g := range list {
		waste = waste || r.wasted(g)
		switch {
		case g.Status == readmodel.Live:
			live = &list[i]
		case g.Status == readmodel.Building && g.Version == r.p.Schema.Version:
			resume = true
		}
	}
	if live == nil && len(list) == 0 {
		// The first one of all needs not be built beside anything.
		if _, err := r.db.Make(r.ctx, r.p.Schema, readmodel.Live); err != nil {
			return err
		}
		return r.look()
	}
	if live != nil {
		if live.Version > r.p.Schema.Version {
			return fmt.Errorf("%s was built by a newer version of Tenure (%d, this one knows %d)", r.Name(), live.Version, r.p.Schema.Version)
		}
		if err := r.run(*live); err != nil {
			return err
		}
	}
	if waste {
		// What a process left that ended before it could drop it.
		if err := r.db.Drop(r.ctx, r.Name(), r.wasted); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.trouble = nil
	building := r.building != nil && !r.building.ended()
	r.mu.Unlock()
	if !building && (resume || live == nil || live.Version < r.p.Schema.Version) {
		_, err = r.Rebuild(false)
	}
	return err
}

// wasted tells whether a generation is good for nothing any more.
func (r *Projector) wasted(g readmodel.Generation) bool {
	switch g.Status {
	case readmodel.Building:
		// Begun by a version that was replaced before it was done: nobody goes on with it, and it would not hear of erasures.
		return g.Version < r.p.Schema.Version
	case readmodel.Retired:
		return time.Since(g.Changed) > Grace
	case readmodel.Scratch:
		return time.Since(g.Changed) > scratchMost
	}
	return false
}

// run makes a generation the one that runs here.
func (r *Projector) run(g readmodel.Generation) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.Lock()
	same := r.live != nil && r.live.model.Number == g.Number
	r.mu.Unlock()
	if same {
		return nil
	}
	model, err := r.db.Live(r.ctx, r.p.Schema)
	if err != nil {
		return err
	}
	c, err := model.Checkpoint(r.ctx)
	if err != nil {
		return err
	}
	r.stopLive()
	ctx, stop := context.WithCancel(r.ctx)
	n := &running{Runner: r.runner(model), model: model, ctx: ctx, stop: stop, ended: make(chan struct{})}
	n.set(func(s *Status) { s.Phase, s.Position = Running, c.Position })
	r.mu.Lock()
	r.live = n
	r.mu.Unlock()
	r.done.Go(func() {
		defer close(n.ended)
		if model.Version == r.p.Schema.Version {
			_ = n.Run(ctx, Forever)
		}
	})
	return nil
}

func (r *Projector) stopLive() {
	r.mu.Lock()
	n := r.live
	r.mu.Unlock()
	if n != nil {
		n.stop()
		<-n.ended
	}
}

func (r *Projector) runner(m *readmodel.Model) *Runner {
	return &Runner{Name: r.Name(), Log: r.log, Sink: sink{r.p, m}, States: r.p.States, Logger: r.logger}
}

// current is the generation that answers.
func (r *Projector) current() (*running, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		return nil, r.trouble
	}
	return r.live, nil
}

// Await answers the live generation once it is at a position, or says how far it is. A read never sees anything older.
func (r *Projector) Await(ctx context.Context, at domain.Position) (*readmodel.Model, error) {
	for {
		n, err := r.current()
		if n == nil {
			if r.ctx.Err() == nil && projections.Pause(ctx, 20*time.Millisecond) {
				continue
			}
			return nil, unavailable("read model %q can't be opened now; try again", r.Name()).Because(err)
		}
		waiting, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(n.ctx, cancel)
		got, ok := n.Await(waiting, at)
		stop()
		cancel()
		if ok {
			return n.model, nil
		}
		if again, _ := r.current(); (again != n || n.ctx.Err() != nil) && ctx.Err() == nil && projections.Pause(ctx, time.Millisecond) {
			continue // another took its place
		}
		s, _ := n.Status()
		return nil, unavailable("read model %q is at %d, %d wanted; try again", r.Name(), got, at).Because(s.Err)
	}
}

// NotCaughtUp is the reason of an answer that would have been too old.
const NotCaughtUp domain.Reason = "NOT_CAUGHT_UP"

func unavailable(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.CodeUnavailable, NotCaughtUp, format, args...)
}

// Report is how a projection is.
type Report struct {
	Name       string
	Status     Status
	Generation readmodel.Generation // the zero one if none is live
	Engine     string               // what keeps it, and Where in there
	Where      string
	End        domain.Position // of the log
	LagEvents  uint64          // how many events are not in it yet
	Building   *Progress       // nil if none is built
	Err        error
}

// Report tells how the projection is.
func (r *Projector) Report() Report {
	report := Report{Name: r.Name(), Engine: r.db.Engine(), End: r.log.End()}
	r.mu.Lock()
	n, b := r.live, r.building
	report.Err = r.trouble
	r.mu.Unlock()
	if n != nil {
		report.Status, _ = n.Status()
		report.Generation, report.Where = n.model.Generation, n.model.Where()
		report.Err = errors.Join(report.Err, report.Status.Err)
	}
	report.LagEvents = r.log.EventsBehind(report.Status.Position)
	if b != nil && !b.ended() {
		p := b.Progress()
		report.Building = &p
	}
	return report
}

// Lag is how many positions it is behind.
func (r Report) Lag() domain.Position {
	if r.End <= r.Status.Position {
		return 0
	}
	return r.End - r.Status.Position
}

// LagTime is for how long what is not applied has been waiting: at most since the last applied commit was made.
func (r Report) LagTime(now time.Time) time.Duration {
	if r.Lag() == 0 || r.Status.Time.IsZero() {
		return 0
	}
	return max(0, now.Sub(r.Status.Time))
}

// Building is the last build, under way or not; nil if there was none.
func (r *Projector) Building() *Build {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.building
}
