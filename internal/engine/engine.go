// Package engine runs the log of one server: it decides commands against the newest state, appends what they decide, and
// folds the log into the State that every query reads.
//
// Any number of engines may work on one log. None of them is special: an append lands only if the log still ends where the
// command was decided, otherwise the engine catches up and decides again.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// Log is what the engine needs of eventstore.Log; its contract is there. Tests put faults in between.
type Log interface {
	Append(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error
	Read(ctx context.Context, at domain.Position) (eventstore.Message, error)
	Replay(ctx context.Context, from, to domain.Position, fn func(eventstore.Message) error) error
	Tail(ctx context.Context, after domain.Position, fn func(eventstore.Message) error) error
	Tip(ctx context.Context) (eventstore.Tip, error)
	MaxBytes() int
}

// Config is what an engine is started with.
type Config struct {
	Log Log
	// Sole promises that no other engine writes to the log, as with an embedded server behind its lock file. Then what the
	// engine has is always current.
	Sole bool
	// Node names the server in its commits.
	Node string
	// Genesis begins the log if it is empty.
	Genesis domain.CreateInstance
	// Clock is time.Now, if not set.
	Clock func() time.Time
	// Erased is called for every subject whose personal key must be destroyed since an erasure was folded in, on every server; it
	// must be quick.
	Erased func(subject string)
	// Snapshots make starts quick; none if nil. They are written after SnapshotEvery events (DefaultSnapshotEvery if 0), not
	// more often than every SnapshotPause (DefaultSnapshotPause if 0), and soon after an erasure.
	Snapshots     *eventstore.Snapshots
	SnapshotEvery int
	SnapshotPause time.Duration
	Logger        *slog.Logger
	// ContactGap is how old the state may be known to be before Fresh refuses; DefaultContactGap if 0.
	ContactGap time.Duration
}

// Format is the newest format of the log that this build writes and reads.
const Format = eventstore.Format

const (
	// DefaultContactGap is how long a server without contact to the log goes on answering access checks.
	DefaultContactGap = 5 * time.Second
	// MaxClockSkew is how far a server's clock may be from the broker's before it refuses to decide: one commit in the far
	// future would push the time of every later one.
	MaxClockSkew = 5 * time.Second
	// probeEvery is how often the end of the log is asked for, and so how stale the state can be while a live reader stalls.
	probeEvery = time.Second
)

// Engine is one server's hold on the log. Its methods are safe for concurrent use.
type Engine struct {
	cfg   Config
	log   Log
	state atomic.Pointer[domain.State]

	// applying guards the one path by which the state moves on.
	applying sync.Mutex
	hashes   hashes
	counts   counts
	recent   recent
	moved    broadcast

	queue  chan *waiting
	closed chan struct{} // when nobody takes from the queue any more

	freshAt  atomic.Int64 // when the state was last known to be current, by the monotonic clock since begin
	compared atomic.Pointer[comparison]
	begin    time.Time

	snapshots snapshots

	failure atomic.Pointer[error]
	failed  chan struct{}

	running context.Context // ends with Stop
	stop    context.CancelFunc
	cancel  context.CancelFunc
	done    sync.WaitGroup
	stats   stats
}

type stats struct {
	commands, commits, conflicts, retries atomic.Uint64
}

// Stats counts what the engine did since its start.
type Stats struct {
	// Commands that were written, Commits that hold them, Conflicts that were decided again, and Retries of appends whose
	// outcome was unknown.
	Commands, Commits, Conflicts, Retries uint64
	// Snapshot is the position of the newest snapshot known; 0 for none.
	Snapshot domain.Position
}

// Start folds the log into a state, from a snapshot on if there is one, begins the log if it is empty, and keeps both going
// until Close. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.ContactGap == 0 {
		cfg.ContactGap = DefaultContactGap
	}
	if cfg.Erased == nil {
		cfg.Erased = func(string) {}
	}
	cfg.SnapshotEvery = cmp.Or(cfg.SnapshotEvery, DefaultSnapshotEvery)
	cfg.SnapshotPause = cmp.Or(cfg.SnapshotPause, DefaultSnapshotPause)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	e := &Engine{
		cfg: cfg, log: cfg.Log, queue: make(chan *waiting, queueLength), begin: time.Now(), failed: make(chan struct{}), closed: make(chan struct{}),
		snapshots: snapshots{due: make(chan struct{}, 1)},
	}
	e.state.Store(&domain.State{})
	e.moved.init()
	began := time.Now()
	tip, err := e.reach(ctx)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	e.restore(ctx, tip.Last)
	from := e.State().Position
	if err := e.probe(ctx); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	s := e.State()
	cfg.Logger.Info("log replayed", "from", from, "position", s.Position, "voids", s.Voids, "took", time.Since(began).Round(time.Millisecond))

	working, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running, e.stop = context.WithCancel(working)
	e.done.Go(func() { e.sequence(working) })
	e.done.Go(func() { e.follow(working) })
	e.done.Go(func() { e.keepProbing(working) })
	if cfg.Snapshots != nil {
		e.done.Go(func() { e.keepSnapshots(working) })
	}
	if s.Instance.LogID == "" {
		_, err := e.Execute(ctx, Request{
			Command: cfg.Genesis, Rule: domain.Rule{Requirement: domain.Anyone}, Actor: domain.Actor{Kind: domain.ActorSystem},
		})
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("begin the log: %w", err)
		}
	}
	return e, nil
}

// State is the newest state. It never changes; ask again for a newer one.
func (e *Engine) State() *domain.State { return e.state.Load() }

// Now is the time by which expiry is judged.
func (e *Engine) Now() time.Time { return e.cfg.Clock() }

// Moved is a channel that is closed when the state moves on. Get it before looking at the state.
func (e *Engine) Moved() <-chan struct{} { return e.moved.wait() }

// Stopping is a channel that is closed by Stop and Close: streams must end.
func (e *Engine) Stopping() <-chan struct{} { return e.running.Done() }

// Stats are the counts so far.
func (e *Engine) Stats() Stats {
	return Stats{
		e.stats.commands.Load(), e.stats.commits.Load(), e.stats.conflicts.Load(), e.stats.retries.Load(),
		domain.Position(e.snapshots.newest.Load()),
	}
}

// Failed is closed when the engine met something in the log that it must not go past; Err says what.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err is why the engine stopped; nil while it works.
func (e *Engine) Err() error {
	if err := e.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Stop tells the streams that watch the engine to end; everything else goes on until Close.
func (e *Engine) Stop() { e.stop() }

// Close stops the engine. Commands whose outcome is not known by then are answered so.
func (e *Engine) Close() {
	e.cancel()
	e.done.Wait()
}

func (e *Engine) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if e.failure.CompareAndSwap(nil, &err) {
		e.cfg.Logger.Error("stopped reading the log", "error", err)
		close(e.failed)
	}
}

// broadcast wakes everybody who waits for a change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) init() { b.ch = make(chan struct{}) }

// wait is a channel that is closed at the next change. Get it before looking at what may change.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
