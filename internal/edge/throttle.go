package edge

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ThrottleConfig limits failed authentications. Zero fields have the defaults that their comments name.
type ThrottleConfig struct {
	// Burst is how many failures an address has at once: 10.
	Burst int
	// Refill is how long until it has one more: 3 s.
	Refill time.Duration
	// Addresses is how many are remembered: 65,536. The one that failed longest ago is forgotten first.
	Addresses int
	// Now is the clock: time.Now.
	Now func() time.Time
}

// Throttle slows down who guesses secrets: per address, or per /64 network of IPv6. Successes cost nothing, so it never
// limits a client whose keys are right. It is safe for concurrent use.
type Throttle struct {
	config ThrottleConfig

	mu      sync.Mutex
	entries map[netip.Addr]*list.Element
	recent  *list.List // of *throttled, last failure first
}

type throttled struct {
	source  netip.Addr
	limiter *rate.Limiter
}

// NewThrottle returns a throttle under which nobody has failed yet.
func NewThrottle(c ThrottleConfig) *Throttle {
	if c.Burst <= 0 {
		c.Burst = 10
	}
	if c.Refill <= 0 {
		c.Refill = 3 * time.Second
	}
	if c.Addresses <= 0 {
		c.Addresses = 65_536
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Throttle{config: c, entries: make(map[netip.Addr]*list.Element), recent: list.New()}
}

// Allow reports whether credentials from this address may be looked at now, and if not, when. Ask before verifying, so
// that the answer to a throttled guess does not tell whether it was right.
func (t *Throttle) Allow(addr netip.Addr) (ok bool, retryAfter time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	element, known := t.entries[Source(addr)]
	if !known {
		return true, 0
	}
	tokens := element.Value.(*throttled).limiter.TokensAt(t.config.Now())
	if tokens >= 1 {
		return true, 0
	}
	// Rounded up, so that who comes back on time is let in.
	return false, time.Duration((1-tokens)*float64(t.config.Refill)) + time.Millisecond
}

// Fail counts a failed authentication. Failures of attempts that were allowed at the same moment go into debt, at most
// another burst, so that guessing in parallel is paid for afterwards.
func (t *Throttle) Fail(addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.config.Now()
	limiter := t.limiter(Source(addr))
	if limiter.TokensAt(now) > float64(1-t.config.Burst) {
		limiter.ReserveN(now, 1)
	}
}

// limiter returns the source's limiter as the most recent one, and makes room for it.
func (t *Throttle) limiter(source netip.Addr) *rate.Limiter {
	if element, ok := t.entries[source]; ok {
		t.recent.MoveToFront(element)
		return element.Value.(*throttled).limiter
	}
	if t.recent.Len() >= t.config.Addresses {
		oldest := t.recent.Remove(t.recent.Back()).(*throttled)
		delete(t.entries, oldest.source)
	}
	entry := &throttled{source, rate.NewLimiter(rate.Every(t.config.Refill), t.config.Burst)}
	t.entries[source] = t.recent.PushFront(entry)
	return entry.limiter
}
