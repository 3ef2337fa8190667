package edge

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock stands still until it is moved.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

var guesser = netip.MustParseAddr("203.0.113.9")

// In any time, however the attempts are spread, a guesser gets no more than the burst and what was refilled since. Seen
// to fail with an Allow that always agrees, and with a Fail that consumes nothing.
func TestGuessesAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		throttle := NewThrottle(ThrottleConfig{Now: c.Now})
		start, guesses := c.now, 0
		for _, wait := range rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 200).Draw(t, "milliseconds") {
			c.now = c.now.Add(time.Duration(wait) * time.Millisecond)
			if ok, _ := throttle.Allow(guesser); ok {
				throttle.Fail(guesser)
				guesses++
			}
			if most := 10 + int(c.now.Sub(start)/(3*time.Second)); guesses > most {
				t.Fatalf("%d guesses in %v, want at most %d", guesses, c.now.Sub(start), most)
			}
		}
	})
}

// Who comes back when told to is let in, and not before. Also after parallel guesses, whose debt is bounded. Seen to
// fail with a retryAfter of one refill for all, and without the bound of the debt.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		throttle := NewThrottle(ThrottleConfig{Now: c.Now})
		for range rapid.IntRange(10, 1000).Draw(t, "parallel guesses") {
			throttle.Fail(guesser)
		}
		c.now = c.now.Add(time.Duration(rapid.IntRange(0, 2999).Draw(t, "milliseconds")) * time.Millisecond)
		ok, wait := throttle.Allow(guesser)
		if ok || wait <= 0 || wait > 11*3*time.Second+time.Millisecond {
			t.Fatalf("Allow = %v, %v", ok, wait)
		}
		c.now = c.now.Add(wait - 2*time.Millisecond)
		if ok, _ := throttle.Allow(guesser); ok {
			t.Fatal("let in too early")
		}
		c.now = c.now.Add(2 * time.Millisecond)
		if ok, again := throttle.Allow(guesser); !ok {
			t.Fatalf("not let in after %v, told to wait another %v", wait, again)
		}
	})
}

func TestOnlyFailuresOfTheAddressCount(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(ThrottleConfig{Now: newClock().Now})
	for range 1000 {
		if ok, _ := throttle.Allow(guesser); !ok {
			t.Fatal("throttled without a failure")
		}
	}
	for range 10 {
		throttle.Fail(guesser)
	}
	if ok, _ := throttle.Allow(guesser); ok {
		t.Error("ten failures are not throttled")
	}
	if ok, _ := throttle.Allow(netip.AddrFrom16(guesser.As16())); ok {
		t.Error("the same address mapped into IPv6 is another one")
	}
	if ok, _ := throttle.Allow(guesser.Next()); !ok {
		t.Error("the neighbour is throttled as well")
	}
}

// Seen to fail with source returning the address itself.
func TestIPv6CountsByNetwork(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(ThrottleConfig{Now: newClock().Now})
	for i := range 10 {
		throttle.Fail(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2:%x::1", i)))
	}
	if ok, _ := throttle.Allow(netip.MustParseAddr("2001:db8:1:2:ffff::1")); ok {
		t.Error("a guesser with a /64 is not throttled")
	}
	if ok, _ := throttle.Allow(netip.MustParseAddr("2001:db8:1:3::1")); !ok {
		t.Error("the next /64 is throttled as well")
	}
	throttle.Fail(netip.Addr{}) // peers without an address share one place
}

// Seen to fail without the eviction, and without MoveToFront.
func TestTableForgetsWhoFailedLongestAgo(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(ThrottleConfig{Burst: 1, Addresses: 3, Now: newClock().Now})
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }
	for _, i := range []int{1, 2, 3, 1, 4} {
		throttle.Fail(addr(i))
	}
	for i, throttled := range map[int]bool{1: true, 2: false, 3: true, 4: true} {
		if ok, _ := throttle.Allow(addr(i)); ok == throttled {
			t.Errorf("address %d: allowed %v", i, ok)
		}
	}
	for i := range 200 {
		throttle.Fail(addr(i))
	}
	if len(throttle.entries) != 3 || throttle.recent.Len() != 3 {
		t.Errorf("%d entries, %d in order, want 3", len(throttle.entries), throttle.recent.Len())
	}
}

func TestThrottleConcurrently(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(ThrottleConfig{Addresses: 16})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 500 {
				addr := netip.AddrFrom4([4]byte{198, 51, byte(w), byte(i % 32)})
				throttle.Allow(addr)
				throttle.Fail(addr)
			}
		})
	}
	wg.Wait()
	if len(throttle.entries) != 16 {
		t.Errorf("%d entries", len(throttle.entries))
	}
}

func BenchmarkThrottleAllow(b *testing.B) {
	throttle := NewThrottle(ThrottleConfig{})
	for b.Loop() {
		throttle.Allow(guesser)
	}
}
