package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/redis/layout"
	"github.com/tenurehq/tenure/projections/runner"
)

// Name of the projection.
const Name = "redis"

// DefaultPartitions lets a cluster of some servers share the work.
const DefaultPartitions = 4

const (
	// heartbeatEvery is how often it is told that nothing changed.
	heartbeatEvery = 500 * time.Millisecond
	// keepFor is for how long what changed is told to who missed it.
	keepFor = 10 * time.Minute
	// sampleEvery is how often it is noted which position is how old, and Redis asked for its settings.
	sampleEvery = 30 * time.Second
)

// Config is what a projector works with.
type Config struct {
	// URL of Redis: redis://user:password@host:6379, rediss:// with TLS, more nodes of a cluster as ?addr=host:port.
	URL string
	// CA is a file with the authority of Redis' certificate, if it is none that the machine trusts.
	CA string
	// Prefix and Partitions say what is where; the same for all servers of a log.
	Prefix     string
	Partitions int
	Log        runner.Log
	// Lost tells whether an error of Log.Open means that the log does not hold a checkpoint.
	Lost func(error) bool
	// State is the newest known here.
	State func() *domain.State
	// SinceContact is how long ago, at most, State's state was all that the log held. It is asked for first.
	SinceContact func() time.Duration
	Logger       *slog.Logger
}

// Projector keeps Redis current until Close. Whatever becomes of Redis, it goes on once it can. Its methods are safe for concurrent use.
type Projector struct {
	Config
	conn   *connection
	sink   *sink
	runner *runner.Runner

	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	rewind   context.CancelFunc // of the reading that is under way
	warnings []string
}

// Start starts a projector. It does not wait for Redis; errors are of the settings.
func Start(cfg Config) (*Projector, error) {
	l := layout.Layout{Prefix: cfg.Prefix, Partitions: cfg.Partitions}
	if err := l.Check(); err != nil {
		return nil, err
	}
	conn, err := connectionTo(cfg.URL, cfg.CA)
	if err != nil {
		return nil, err
	}
	p := &Projector{Config: cfg, conn: conn, sink: newSink(conn, l, cfg.Log.ID, cfg.State, cfg.Logger)}
	log := cfg.Log
	log.Open = p.open
	p.runner = &runner.Runner{Name: Name, Log: log, Sink: p.sink, States: true, Eager: true, Logger: cfg.Logger}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Go(func() { _ = p.runner.Run(ctx, runner.Forever) })
	p.done.Go(func() { p.beat(ctx) })
	return p, nil
}

// Close ends it.
func (p *Projector) Close() {
	p.cancel()
	p.done.Wait()
	p.conn.close()
}

// Name is the projection's.
func (p *Projector) Name() string { return Name }

// Await waits until all up to a position is in Redis.
func (p *Projector) Await(ctx context.Context, at domain.Position) error {
	if got, ok := p.runner.Await(ctx, at); !ok {
		s, _ := p.runner.Status()
		return domain.Errorf(domain.CodeUnavailable, runner.NotCaughtUp, "Redis is at %d, %d wanted; try again", got, at).Because(s.Err)
	}
	return nil
}

// Report tells how it is.
func (p *Projector) Report() runner.Report {
	status, _ := p.runner.Status()
	return runner.Report{
		Name: Name, LagEvents: p.Log.EventsBehind(status.Position), Status: status, Generation: readmodel.Generation{Number: max(1, int(p.sink.generation.Load())), Version: 1}, End: p.Log.End(),
		Engine: "redis", Where: p.conn.where() + " " + p.Prefix, Err: status.Err,
	}
}

// Age is for how long nothing in Redis was told to be current: readers that want it newer ask Tenure.
func (p *Projector) Age() time.Duration { return time.Since(p.sink.vouched.oldest()) }

// Warnings are what is wrong or risky with Redis' settings.
func (p *Projector) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.warnings)
}

// Rebuild makes all that is in Redis anew, and answers when it is.
func (p *Projector) Rebuild(ctx context.Context) error {
	before := p.sink.forget("somebody asked for it")
	p.again()
	for {
		status, moved := p.runner.Status()
		switch {
		case p.sink.builds.Load() > before:
			return nil
		case status.Phase == runner.Stopped:
			return status.Err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// forget makes the next look at Redis build all anew, and tells how often that was done here.
func (s *sink) forget(reason string) (builds int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places, s.rebuild = nil, reason
	return s.builds.Load()
}

// open reads the log, until Redis is found elsewhere than it was left.
func (p *Projector) open(ctx context.Context, at projections.Checkpoint, states bool) (projections.Next, error) {
	next, err := p.Log.Open(ctx, at, states)
	for _, c := range p.sink.checkpoints() {
		// Partitions of a cluster can stand apart, and those in front may be of a history that the log lost.
		if err == nil && c.Position != at.Position {
			_, err = p.Log.Open(ctx, c, false)
		}
	}
	if err != nil && p.Lost(err) {
		p.sink.forget("the log does not hold its checkpoint")
		return nil, fmt.Errorf("%w: %w", projections.ErrTransient, err)
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		p.mu.Lock()
		p.rewind = cancel
		p.mu.Unlock()
		list, err := next(reading, most)
		if err != nil && reading.Err() != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: Redis is not where it was", projections.ErrTransient)
		}
		return list, err
	}, nil
}

// again makes the runner look where Redis is.
func (p *Projector) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rewind != nil {
		p.rewind()
	}
}

// beat tells how new all is, and notices when Redis lost something.
func (p *Projector) beat(ctx context.Context) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	var ages []age
	var sampled time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var trim layout.ID
		if time.Since(sampled) > sampleEvery {
			sampled = time.Now()
			ages = append(ages, age{sampled, p.State().Position})
			for len(ages) > 1 && time.Since(ages[1].noted) > keepFor {
				ages = ages[1:]
			}
			if time.Since(ages[0].noted) > keepFor {
				trim.Position = uint64(ages[0].position)
			}
			p.inspect(ctx)
		}
		if err := p.sink.heartbeat(ctx, p.SinceContact, p.State, trim); err != nil && ctx.Err() == nil {
			p.again()
		}
	}
}

// age is a position that the log had at a time.
type age struct {
	noted    time.Time
	position domain.Position
}

// heartbeat finds out whether the partitions are where they were left, and lets each say how new it is. The order is what makes it true:
// the clock of Redis first, then how old the state may be, then which state that is. What a partition does not have yet it says when it has.
func (s *sink) heartbeat(ctx context.Context, since func() time.Duration, state func() *domain.State, trim layout.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		return errors.New("it is not known where Redis is")
	}
	c, err := s.conn.get()
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if epoch, err := c.Do(asking, c.B().Hget().Key(s.layout.Key()).Field(layout.LayoutEpoch).Build()).ToString(); err != nil && !rueidis.IsRedisNil(err) || epoch != s.epoch {
		// It lies on a server of its own, in a cluster, and new readers begin with it.
		if err == nil || rueidis.IsRedisNil(err) {
			err = fmt.Errorf("the layout is of epoch %q, and was of %q", epoch, s.epoch)
		}
		s.places = nil
		return s.conn.failed(err)
	}
	clocks, asked := make([]int64, len(s.places)), time.Now()
	for p := range s.places {
		answers := c.DoMulti(asking, s.askMeta(c, p), c.B().Time().Build())
		m, err := readMeta(answers[0])
		if err == nil {
			clocks[p], err = readTime(answers[1])
		}
		m.at.LogID = s.logID
		if err == nil && (m.epoch != s.epoch || m.at.Position < s.places[p].at.Position || m.last.Compare(s.places[p].last) < 0) {
			err = fmt.Errorf("partition %d is at %d of epoch %q, and was at %d of %q", p, m.at.Position, m.epoch, s.places[p].at.Position, s.epoch)
		}
		if err != nil {
			s.places = nil
			return s.conn.failed(err)
		}
		s.places[p] = m.place // another server may have moved it
	}
	old := since()
	at := state().Position
	var list []run
	for p, now := range s.places {
		new := claim{asOf: clocks[p] - old.Milliseconds() - 1, here: asked.Add(-old), at: at}
		if now.at.Position < at {
			if s.claims[p].asOf == 0 {
				s.claims[p] = new
			}
			continue
		}
		s.claims[p] = claim{}
		list = append(list, run{partition: p, epoch: s.epoch, before: now, after: now, asOf: new.asOf, here: new.here, trim: trim, kept: s.kept})
	}
	if len(list) == 0 {
		return nil
	}
	return s.conn.failed(s.do(ctx, list))
}

// inspect looks at the settings of every server of Redis. One that does not tell is taken as it is.
func (p *Projector) inspect(ctx context.Context) {
	c, err := p.conn.get()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var list []string
	for address, node := range c.Nodes() {
		text, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil {
			continue
		}
		info := map[string]string{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			info[name] = value
		}
		if policy := info["maxmemory_policy"]; policy != "" && policy != "noeviction" {
			list = append(list, fmt.Sprintf("Redis at %s may evict what Tenure writes (maxmemory-policy %s): set maxmemory-policy noeviction there", address, policy))
		}
		var major, minor int
		if n, _ := fmt.Sscanf(info["redis_version"], "%d.%d", &major, &minor); n == 2 && major < 7 {
			list = append(list, fmt.Sprintf("Redis at %s is %s: Tenure is tested with 7.0 and newer; upgrade it", address, info["redis_version"]))
		}
	}
	slices.Sort(list)
	p.mu.Lock()
	p.warnings = list
	p.mu.Unlock()
}
