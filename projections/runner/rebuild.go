package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
)

// Build is a generation that is built beside the live one.
type Build struct {
	began  time.Time
	from   domain.Position // where a build that was interrupted goes on
	runner *Runner
	model  *readmodel.Model
	stop   context.CancelFunc
	done   chan struct{}
	// result is set before done is closed.
	result Verdict
	err    error
}

// Verdict is the comparison of two generations at one position.
type Verdict struct {
	Position domain.Position
	// Live and Built are canonical hashes; "" if they were not compared.
	Live, Built string
	Rows        int64
}

// Progress is how far a build is.
type Progress struct {
	Generation    int
	Position, End domain.Position
	Rate          float64 // positions a second
	Elapsed, Left time.Duration
	Retrying      error
}

// ErrBuilding is returned when another build of the projection is under way.
var ErrBuilding = errors.New("a build is under way")

// ErrDiffers is returned when a generation and what the log makes of it are not the same.
var ErrDiffers = errors.New("live and rebuilt are not the same")

// Rebuild builds a generation anew, or goes on with one that was interrupted, and makes it the live one once it is not behind the
// one that is. With verify it does so only if both are the same at the same position: until they are known to be, what is built is
// scratch, which nothing goes on with. It does not end with the caller's context.
func (r *Projector) Rebuild(verify bool) (*Build, error) { return r.build(verify, true) }

// Verify builds a generation up to where the live one is, compares, and drops it.
func (r *Projector) Verify() (*Build, error) { return r.build(true, false) }

func (r *Projector) build(verify, replace bool) (*Build, error) {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	if b := r.Building(); b != nil && !b.ended() {
		return nil, ErrBuilding
	}
	status := readmodel.Building
	if verify {
		status = readmodel.Scratch
	}
	ctx, stop := context.WithCancel(r.ctx)
	b := &Build{began: time.Now(), stop: stop, done: make(chan struct{})}
	model, err := r.db.Make(ctx, r.p.Schema, status)
	if err != nil {
		stop()
		return nil, err
	}
	b.model, b.runner = model, r.runner(model)
	if c, err := model.Checkpoint(ctx); err == nil {
		b.from = c.Position
		b.runner.set(func(s *Status) { s.Position = c.Position })
	}
	r.logger.Info("building a read model", "projection", r.Name(), "generation", model.Number, "from", b.from)
	r.mu.Lock()
	r.building = b
	r.mu.Unlock()
	r.done.Go(func() {
		defer close(b.done)
		defer stop()
		b.result, b.err = r.finish(ctx, b, verify, replace)
	})
	return b, nil
}

// finish builds, compares and switches.
func (r *Projector) finish(ctx context.Context, b *Build, verify, replace bool) (v Verdict, err error) {
	defer func() {
		if b.model.Status == readmodel.Scratch {
			err = errors.Join(err, r.db.Drop(context.WithoutCancel(ctx), r.Name(), func(g readmodel.Generation) bool { return g.Number == b.model.Number }))
		}
	}()
	if verify {
		if v, err = r.compare(ctx, b); err != nil || !replace {
			return v, err
		}
		if err := r.db.Keep(ctx, b.model); err != nil {
			return v, err
		}
	}
	if err := b.runner.Run(ctx, r.log.End()); err != nil {
		return v, err
	}
	if err := b.model.Finish(ctx); err != nil {
		return v, err
	}
	// The live one goes on meanwhile; the last steps are short.
	for {
		if err := b.runner.Run(ctx, r.log.End()); err != nil {
			return v, err
		}
		if b.runner.at() >= r.livePosition() {
			break
		}
	}
	if v.Rows == 0 {
		if v.Rows, err = b.model.Count(ctx); err != nil {
			return v, err
		}
	}
	v.Position = b.runner.at()
	if err := r.db.Switch(ctx, b.model); err != nil {
		return v, err
	}
	r.logger.Info("a read model was rebuilt", "projection", r.Name(), "generation", b.model.Number, "position", v.Position,
		"rows", v.Rows, "took", time.Since(b.began).Round(time.Millisecond))
	if err := r.run(b.model.Generation); err != nil {
		return v, err
	}
	return v, nil
}

// compareWait is how long a comparison waits for the live generation to be at the log's end.
const compareWait = 30 * time.Second

// compare builds up to where the live generation is and compares both there.
func (r *Projector) compare(ctx context.Context, b *Build) (v Verdict, err error) {
	// One that is just starting is given time to be where it will be anyway.
	waiting, cancel := context.WithTimeout(ctx, compareWait)
	_, _ = r.Await(waiting, r.log.End())
	cancel()
	live, err := r.db.Live(ctx, r.p.Schema)
	if err != nil {
		return v, err
	}
	if live.Version != r.p.Schema.Version {
		return v, fmt.Errorf("the live read model is of version %d and would not be the same as one of version %d", live.Version, r.p.Schema.Version)
	}
	at, hash, err := live.Canonical(ctx)
	if err != nil {
		return v, err
	}
	if err := b.runner.Run(ctx, at.Position); err != nil {
		return v, err
	}
	built, builtHash, err := b.model.Canonical(ctx)
	if err != nil {
		return v, err
	}
	v = Verdict{Position: at.Position, Live: hash, Built: builtHash}
	if v.Rows, err = b.model.Count(ctx); err != nil {
		return v, err
	}
	if built.Position != at.Position || built.Hash != at.Hash {
		return v, fmt.Errorf("%w: the one is at %d, the other at %d: %w", projections.ErrCheckpointMoved, at.Position, built.Position, projections.ErrTransient)
	}
	if hash != builtHash {
		return v, fmt.Errorf("%w: at position %d the hashes are %s and %s; rebuild it", ErrDiffers, at.Position, hash, builtHash)
	}
	return v, nil
}

func (r *Projector) livePosition() domain.Position {
	if n, _ := r.current(); n != nil {
		return n.at()
	}
	return 0
}

func (r *Runner) at() domain.Position {
	s, _ := r.Status()
	return s.Position
}

func (b *Build) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// Done is closed when the build has ended; then Result answers.
func (b *Build) Done() <-chan struct{} { return b.done }

// Result is what came of it, once Done is closed.
func (b *Build) Result() (Verdict, error) { return b.result, b.err }

// Progress is how far the build is.
func (b *Build) Progress() Progress {
	s, _ := b.runner.Status()
	p := Progress{
		Generation: b.model.Number, Position: s.Position, End: b.runner.Log.End(), Elapsed: time.Since(b.began), Retrying: s.Err,
	}
	if done := s.Position - b.from; done > 0 && p.Elapsed > 0 {
		p.Rate = float64(done) / p.Elapsed.Seconds()
		if p.End > p.Position {
			p.Left = time.Duration(float64(p.End-p.Position) / p.Rate * float64(time.Second))
		}
	}
	return p
}
