package keycache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// Config is what a cache needs, and how it behaves. URL and Key must be given.
type Config struct {
	// URL is where Tenure is, such as "https://tenure.example.com".
	URL string
	// Key is the secret of a key of the instance; it needs no permission.
	Key string
	// HTTP is used to call Tenure; http.DefaultClient, if not set.
	HTTP *http.Client
	// Source tells what changes; Watch of the same Tenure, if not set.
	Source Source

	// MaxKeys is how many pairs of public part and secret are kept, known ones and unknown ones; 100,000 if 0.
	MaxKeys int
	// MaxStale is how old what is known may be at most, 5 s if 0. While the source tells nothing new for longer, kept answers are not
	// given: this bounds how long a key that was revoked is good.
	MaxStale time.Duration
	// FailClosed refuses with ErrStale while the source is silent for longer than MaxStale. Else Tenure is asked each time.
	FailClosed bool
	// KeepUnknown is how long it is kept that there is no such key, 10 s if 0; no longer than until one is made that it could be.
	KeepUnknown time.Duration
	// Questions is how many questions to Tenure run at once, 16 if 0. Others wait; questions about one pair are one.
	Questions int
	// ReportEvery is how often the uses of keys are reported, 10 s if 0.
	ReportEvery time.Duration
	// Logger gets trouble that passes by itself; slog.Default, if not set.
	Logger *slog.Logger
}

// ErrStale is returned when what is known is older than MaxStale and the cache fails closed.
var ErrStale = errors.New("keycache: no word of Tenure for too long")

const (
	// lastReport is how long a closing cache takes for its last report.
	lastReport = 2 * time.Second
	// followAgain bounds how long a source that failed is left alone.
	followFirst, followMost = 20 * time.Millisecond, time.Second
	// never is a moment long before any cache began.
	never = -1 << 62
	// askAgain is how often a question is asked whose answer is older than what was told meanwhile.
	askAgain = 10
)

// Cache verifies keys. It is made by Open, and for any number of goroutines.
type Cache struct {
	cfg           Config
	keys          tenurev1connect.KeyServiceClient
	invalidations tenurev1connect.InvalidationServiceClient
	began         time.Time
	table         atomic.Pointer[table]
	current       atomic.Pointer[moment]
	started       chan struct{} // closed when the source first vouches for something
	vouched       sync.Once
	flight        singleflight.Group
	asking        *semaphore.Weighted
	stop          context.CancelFunc
	running       sync.WaitGroup
	counters      counters

	usage sync.Mutex
	used  map[string]use
}

type counters struct{ hits, misses, questions, resets, stale atomic.Uint64 }

// Stats are counts since Open.
type Stats struct {
	// Hits were answered from memory, Misses needed an answer of Tenure's; Questions were asked, fewer than misses when several needed
	// one answer.
	Hits, Misses, Questions uint64
	// Resets is how often everything was dropped because something may have been missed.
	Resets uint64
	// Stale is how often the source was silent for too long to answer from memory.
	Stale uint64
}

// Open makes a cache and waits for the first word of its source, so that it does not begin with answers it must not keep: for as long as
// ctx lets it, and if the cache does not fail closed no longer than MaxStale; then it asks Tenure until there is one. It fails at once if
// the key is not one of the instance. Close ends it.
func Open(ctx context.Context, cfg Config) (*Cache, error) {
	if cfg.URL == "" || cfg.Key == "" {
		return nil, errors.New("keycache: URL and Key must be given")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	set(&cfg.MaxKeys, 100_000)
	set(&cfg.MaxStale, 5*time.Second)
	set(&cfg.KeepUnknown, 10*time.Second)
	set(&cfg.Questions, 16)
	set(&cfg.ReportEvery, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	if cfg.Source == nil {
		cfg.Source = Watch(cfg.HTTP, cfg.URL, cfg.Key)
	}
	c := newCache(cfg, tenurev1connect.NewInvalidationServiceClient(cfg.HTTP, cfg.URL))
	c.keys = tenurev1connect.NewKeyServiceClient(cfg.HTTP, cfg.URL)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	failed := make(chan error, 1)
	c.running.Go(func() { c.follow(running, failed) })
	c.running.Go(func() { c.keepReporting(running) })
	var patience <-chan time.Time
	if !cfg.FailClosed {
		patience = time.After(cfg.MaxStale)
	}
	select {
	case <-c.started:
		return c, nil
	case <-patience:
		cfg.Logger.Warn("no word of what changes yet: until there is one, Tenure is asked every time")
		return c, nil
	case err := <-failed:
		c.Close()
		return nil, err
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("keycache: no word of Tenure: %w", ctx.Err())
	}
}

// newCache is a cache that nothing runs for yet.
func newCache(cfg Config, invalidations tenurev1connect.InvalidationServiceClient) *Cache {
	c := &Cache{
		cfg: cfg, invalidations: invalidations, began: time.Now(), started: make(chan struct{}), asking: semaphore.NewWeighted(int64(cfg.Questions)),
		used: map[string]use{},
	}
	c.current.Store(&moment{never, never})
	c.table.Store(newTable(0))
	return c
}

func set[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// Close reports the last uses and ends the cache.
func (c *Cache) Close() {
	c.stop()
	c.running.Wait()
}

// Stats are the counts so far.
func (c *Cache) Stats() Stats {
	return Stats{c.counters.hits.Load(), c.counters.misses.Load(), c.counters.questions.Load(), c.counters.resets.Load(), c.counters.stale.Load()}
}

// Age is how old what is known may be, and years while nothing is; answers are given from memory while it is at most MaxStale.
func (c *Cache) Age() time.Duration { return c.ageAt(time.Now()) }

// moment is the newest one that the source vouched for, by two clocks.
type moment struct {
	// steady is time since began, by a clock that does not jump, but stands still while the machine is suspended.
	steady int64
	// wall is Unix time in nanoseconds, by a clock that does not stand still, but can be set.
	wall int64
}

// ageAt is Age at a time: by the clock that says more.
func (c *Cache) ageAt(now time.Time) time.Duration {
	m := c.current.Load()
	return time.Duration(max(int64(now.Sub(c.began))-m.steady, now.UnixNano()-m.wall))
}

// follow takes what the source tells, for as long as the cache lives. A first failure that will not pass by itself is told to failed.
func (c *Cache) follow(ctx context.Context, failed chan<- error) {
	token := ""
	for wait := followFirst; ctx.Err() == nil; {
		attempt, cancel := context.WithCancel(ctx)
		// A source that hangs is as bad as one that fails.
		watchdog := time.AfterFunc(c.cfg.MaxStale, cancel)
		err := c.cfg.Source.Follow(attempt, token, func(n News) {
			watchdog.Reset(c.cfg.MaxStale)
			wait, token = followFirst, n.Token
			c.take(n)
		})
		watchdog.Stop()
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch code := connect.CodeOf(err); {
		case err == nil:
			continue
		case code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied:
			select {
			case failed <- fmt.Errorf("keycache: the key of the instance is not good: %w", err):
			default:
			}
		}
		age := "nothing was heard yet"
		if a := c.Age(); a < 365*24*time.Hour {
			age = a.Round(time.Millisecond).String()
		}
		c.cfg.Logger.Warn("no word of what changes", "error", err, "age", age)
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, followMost)
	}
}

// take applies news.
func (c *Cache) take(n News) {
	t := c.table.Load()
	first := t.floor == 0
	if n.Reset || first || !t.take(n.Invalidations) {
		// Answers must hold all that was told, some of which may be in front of where everything is told.
		floor := n.Position
		for _, i := range n.Invalidations {
			floor = max(floor, i.Position)
		}
		if n.Reset {
			// The position can be smaller than what was told before, as of an older copy that was put back. What was vouched for then
			// says nothing of what is kept from here on.
			c.current.Store(&moment{never, never})
		} else {
			floor = max(floor, t.newest)
		}
		// Who still reads the old one reads what was true before this news.
		c.table.Store(newTable(floor))
		c.collect(t)
		if !first {
			c.counters.resets.Add(1)
		}
	}
	if n.Current.IsZero() || n.Current.After(time.Now()) {
		return // nobody can vouch for what is to come
	}
	if at := int64(n.Current.Sub(c.began)); at > c.current.Load().steady {
		c.current.Store(&moment{at, n.Current.UnixNano()})
		c.vouched.Do(func() { close(c.started) })
	}
}

// Verify tells whether a key is good, used from an address in an environment; "" is the default one, and the zero address none. The
// public part may be left out. An error says that it can't be known now.
func (c *Cache) Verify(ctx context.Context, public, secret, environment string, from netip.Addr) (Answer, error) {
	now := time.Now()
	id := idOf(public, secret)
	from = from.Unmap()
	fresh, err := c.fresh(now)
	if err != nil {
		return Answer{}, err
	}
	if !fresh {
		return c.askKey(ctx, id, public, secret, environment, from)
	}
	t := c.table.Load()
	if p := t.get(id); p != nil {
		if p.key != nil {
			if a, known := p.key.judge(environment, from, now); known {
				c.counters.hits.Add(1)
				if a.Valid {
					p.key.uses.add(now)
				}
				return a, nil
			}
		} else if t.stands(p, now) {
			c.counters.hits.Add(1)
			return unknown(environment), nil
		}
	}
	c.counters.misses.Add(1)
	return c.askKey(ctx, id, public, secret, environment, from)
}

func unknown(environment string) Answer {
	if environment == "" {
		environment = defaultEnvironment
	}
	return Answer{Reason: KeyUnknown, Environment: environment}
}

// idOf is the SHA-256 of both parts, told apart by the length of the first.
func idOf(public, secret string) pairID {
	var room [512]byte
	b := append(room[:0], byte(len(public)), byte(len(public)>>8))
	b = append(b, public...)
	b = append(b, secret...)
	return sha256.Sum256(b)
}
