package tests

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

// keycacheFill verifies all keys once, so that they are kept.
func keycacheFill(t *testing.T, c *keycache.Cache, secrets []string) {
	t.Helper()
	var asking sync.WaitGroup
	next := make(chan string)
	for range 32 {
		asking.Go(func() {
			for secret := range next {
				if a, err := c.Verify(t.Context(), "", secret, "", netip.Addr{}); err != nil || !a.Valid {
					t.Errorf("%+v, %v", a, err)
				}
			}
		})
	}
	for _, s := range secrets {
		next <- s
	}
	close(next)
	asking.Wait()
}

// keycacheWatcher verifies keys all the while, and remembers when each was last found good.
type keycacheWatcher struct {
	good    []atomic.Int64 // nanoseconds since begin
	begin   time.Time
	answers atomic.Int64
	stop    context.CancelFunc
	running sync.WaitGroup
}

func watchKeycache(t *testing.T, c *keycache.Cache, secrets []string) *keycacheWatcher {
	ctx, stop := context.WithCancel(t.Context())
	w := &keycacheWatcher{good: make([]atomic.Int64, len(secrets)), begin: time.Now(), stop: stop}
	w.running.Go(func() {
		for i := 0; ctx.Err() == nil; i = (i + 1) % len(secrets) {
			at := time.Since(w.begin)
			// Who must ask gets no answer over a link that is down; that must not keep the others waiting.
			ask, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			a, err := c.Verify(ask, "", secrets[i], "", netip.Addr{})
			cancel()
			if err == nil {
				w.answers.Add(1)
			}
			if err == nil && a.Valid {
				// When it was asked: the answer was not older than that by more than the bound.
				w.good[i].Store(int64(at))
			}
		}
	})
	return w
}

func (w *keycacheWatcher) end() { w.stop(); w.running.Wait() }

// lastGood is the last moment at which any of them was found good.
func (w *keycacheWatcher) lastGood() time.Time {
	last := int64(0)
	for i := range w.good {
		last = max(last, w.good[i].Load())
	}
	return w.begin.Add(time.Duration(last))
}

// keycacheRevoke revokes keys, many at a time, and answers when the last was.
func (s *apiServer) keycacheRevoke(t *testing.T, ids []string) time.Time {
	t.Helper()
	s.bulk(t, len(ids), func(i int) domain.Command { return domain.RevokeKey{ID: domain.KeyID(ids[i])} })
	return time.Now()
}

// A thousand keys are revoked while the link to Tenure is cut, or held so that nothing arrives and nothing ends: behind the stated bound
// none is good, neither for who fails closed nor for who asks; once the link is back, all are known as revoked, and the rest as good.
// Fails if the age of what is known is not looked at: tried.
func TestFaultKeycacheLink(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]linkMode{"cut": linkCut, "held": linkHeld} {
		for _, closed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fails closed %t", name, closed), func(t *testing.T) {
				t.Parallel()
				keycacheLink(t, mode, closed)
			})
		}
	}
}

func keycacheLink(t *testing.T, mode linkMode, closed bool) {
	const bound = 3 * time.Second
	s := apiStart(t, nil)
	plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	a := s.tenant(t)
	ids, secrets := s.keycacheKeys(t, a.project, soak(300, 1000))
	kept := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
	link := newFaultProxy(t, s.URL)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	cache := keycacheOpen(t, keycache.Config{
		URL: "http://" + link.listener.Addr().String(), Key: plane.secret, MaxStale: bound, FailClosed: closed, HTTP: &http.Client{Transport: transport},
	})
	keycacheFill(t, cache, append([]string{kept.secret}, secrets...))

	w := watchKeycache(t, cache, secrets)
	link.set(mode)
	cut := time.Now()
	revoked := s.keycacheRevoke(t, ids)
	// Whoever is current again has waited for longer than the bound before.
	verify := func() (keycache.Answer, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return cache.Verify(ctx, "", kept.secret, "", netip.Addr{})
	}
	for cache.Age() < bound+bound/2 {
		if _, err := verify(); time.Since(cut) > apiWait {
			t.Fatal("the age does not grow: ", err)
		}
	}
	if _, err := verify(); closed && !errors.Is(err, keycache.ErrStale) {
		t.Errorf("behind the bound a cache that fails closed answers %v", err)
	}
	link.set(linkWorks)
	again := keycacheRecovers(t, cache, bound, kept.secret, secrets)
	w.end()
	// Those that come when the link is back among them.
	if last := w.lastGood(); last.Sub(revoked) > bound {
		t.Errorf("a revoked key was good %s after the answer; the bound is %s", last.Sub(revoked), bound)
	}
	t.Logf("%d keys revoked within %s; none was good later than %s after the link failed (bound %s); %d answers; current again %s after it was back", len(ids), revoked.Sub(cut).Round(time.Millisecond), max(0, w.lastGood().Sub(cut)).Round(time.Millisecond), bound, w.answers.Load(), again.Round(time.Millisecond))
}

// keycacheRecovers waits until a cache is current, with a good key and others that are revoked, and answers how long that took.
func keycacheRecovers(t *testing.T, c *keycache.Cache, bound time.Duration, good string, revoked []string) time.Duration {
	t.Helper()
	back := time.Now()
	verify := func(secret string) (keycache.Answer, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return c.Verify(ctx, "", secret, "", netip.Addr{})
	}
	for {
		got, err := verify(good)
		if err == nil && got.Valid && c.Age() < bound {
			break
		}
		if time.Since(back) > apiWait {
			t.Fatalf("after the fault: %+v, %v", got, err)
		}
	}
	again := time.Since(back)
	keycacheRefuses(t, c, revoked)
	return again
}

// keycacheRefuses waits until a cache knows that keys are revoked.
func keycacheRefuses(t *testing.T, c *keycache.Cache, revoked []string) {
	t.Helper()
	for _, secret := range revoked {
		faultUntil(t, "a revoked key to be known as such", func() bool {
			a, err := c.Verify(t.Context(), "", secret, "", netip.Addr{})
			return err == nil && a.Reason == "KEY_REVOKED"
		})
	}
}

// keycacheStale waits until what a cache knows is older than the bound by far.
func keycacheStale(t *testing.T, c *keycache.Cache, bound time.Duration) {
	t.Helper()
	faultUntil(t, "the age to grow", func() bool { return c.Age() > bound+bound/2 })
}

// Keys are revoked while Redis, through which a cache hears of it, is gone, emptied, put back to an older copy, or stands still: behind the
// stated bound none is good; and then all is as it should be, by itself. What was known as revoked never is good again. Fails if the age
// of what is known is not looked at: tried.
func TestFaultKeycacheRedis(t *testing.T) {
	t.Parallel()
	const bound = 3 * time.Second
	start := func(t *testing.T, r *redistest.Server) {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range []struct {
		name    string
		closed  bool
		earlier func(*testing.T, *redistest.Server) // before the first half is revoked
		begin   func(*testing.T, *redistest.Server)
		end     func(*testing.T, *redistest.Server) // nil: it is over as soon as it began
	}{
		{"killed", true, nil, func(_ *testing.T, r *redistest.Server) { r.Kill() }, start},
		{"killed, Tenure is asked", false, nil, func(_ *testing.T, r *redistest.Server) { r.Kill() }, start},
		{"emptied", true, nil, func(t *testing.T, r *redistest.Server) { r.Must(t, "FLUSHALL") }, nil},
		{
			"put back to an older copy", true, func(t *testing.T, r *redistest.Server) { r.Must(t, "SAVE") },
			func(t *testing.T, r *redistest.Server) { r.Kill(); start(t, r) }, nil,
		},
		{
			"standing still", true, nil, func(_ *testing.T, r *redistest.Server) { r.Signal(syscall.SIGSTOP) },
			func(_ *testing.T, r *redistest.Server) { r.Signal(syscall.SIGCONT) },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL = redis.URL() })
			plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
			a := s.tenant(t)
			n := soak(150, 1000)
			ids, secrets := s.keycacheKeys(t, a.project, 2*n)
			kept := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
			s.inRedis(t)
			cache := keycacheOpen(t, keycache.Config{
				URL: s.URL, Key: plane.secret, MaxStale: bound, FailClosed: fault.closed, Source: redissource.New(rueidis.MustParseURL(redis.URL()), ""),
			})
			keycacheFill(t, cache, append([]string{kept.secret}, secrets...))
			if fault.earlier != nil {
				fault.earlier(t, redis)
			}
			s.keycacheRevoke(t, ids[:n])
			first := watchKeycache(t, cache, secrets[:n])
			keycacheRefuses(t, cache, secrets[:n])
			known := time.Now()
			second := watchKeycache(t, cache, secrets[n:])
			fault.begin(t, redis)
			revoked := s.keycacheRevoke(t, ids[n:])
			if fault.end != nil {
				if fault.closed {
					keycacheStale(t, cache, bound)
				} else {
					// Nobody tells it; it asks.
					keycacheRefuses(t, cache, secrets[n:])
				}
				fault.end(t, redis)
			}
			again := keycacheRecovers(t, cache, bound, kept.secret, secrets)
			// The rest of the bound, for what would come too late.
			faultUntil(t, "the bound to pass", func() bool { return time.Since(revoked) > bound+bound/2 })
			first.end()
			second.end()
			if last := first.lastGood(); last.After(known) {
				t.Errorf("a key that was known as revoked was good again, %s later", last.Sub(known))
			}
			if last := second.lastGood(); last.Sub(revoked) > bound {
				t.Errorf("a revoked key was good %s after the answer; the bound is %s", last.Sub(revoked), bound)
			}
			t.Logf("%d keys revoked while Redis was %s; none was good later than %s after (bound %s); %d answers; current again after %s",
				n, fault.name, max(0, second.lastGood().Sub(revoked)).Round(time.Millisecond), bound, first.answers.Load()+second.answers.Load(), again.Round(time.Millisecond))
		})
	}
}

// One of two servers that keep Redis current stands still, and the other goes on: what is revoked there meanwhile is not good behind the
// bound.
func TestFaultKeycachePausedServer(t *testing.T) {
	t.Parallel()
	const bound = 5 * time.Second
	redis, conn, dir := redistest.Start(t), apiBroker(t), t.TempDir()
	paused := processServe(t, dir, "--nats-url", conn.ConnectedUrl(), "--redis-url", redis.URL())
	s := apiStart(t, func(cfg *app.Config) {
		cfg.NATSURL, cfg.RedisURL = conn.ConnectedUrl(), redis.URL()
		cfg.PepperFile, cfg.SealingKeyFile = dir+"/pepper", dir+"/sealing-key"
	})
	plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	a := s.tenant(t)
	var ids, secrets []string
	for range soak(20, 300) {
		k := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
		ids, secrets = append(ids, k.id), append(secrets, k.secret)
	}
	kept := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
	s.inRedis(t)
	cache := keycacheOpen(t, keycache.Config{
		URL: s.URL, Key: plane.secret, MaxStale: bound, FailClosed: true, Source: redissource.New(rueidis.MustParseURL(redis.URL()), ""),
	})
	keycacheFill(t, cache, append([]string{kept.secret}, secrets...))
	w := watchKeycache(t, cache, secrets)
	_ = paused.cmd.Process.Signal(syscall.SIGSTOP)
	revoked := s.keycacheRevoke(t, ids)
	took := keycacheRecovers(t, cache, bound, kept.secret, secrets)
	faultUntil(t, "the bound to pass", func() bool { return time.Since(revoked) > bound+bound/2 })
	_ = paused.cmd.Process.Signal(syscall.SIGCONT)
	w.end()
	if last := w.lastGood(); last.Sub(revoked) > bound {
		t.Errorf("a revoked key was good %s after the answer; the bound is %s", last.Sub(revoked), bound)
	}
	t.Logf("%d keys revoked while one of the servers that keep Redis stood still; none was good later than %s after (bound %s); current after %s",
		len(ids), max(0, w.lastGood().Sub(revoked)).Round(time.Millisecond), bound, took.Round(time.Millisecond))
}

// A service starts while Redis is away: one that fails closed waits, as long as it is let; any other asks Tenure each time, and answers from
// memory once Redis is there. Fails if Open waits for the first word in any case: tried.
func TestFaultKeycacheStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL = redis.URL() })
	plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	key := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: s.tenant(t).project})
	redis.Kill()
	cfg := keycache.Config{
		URL: s.URL, Key: plane.secret, MaxStale: time.Second, Source: redissource.New(rueidis.MustParseURL(redis.URL()), ""),
		Logger: slog.New(slog.DiscardHandler), FailClosed: true,
	}
	closed, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if c, err := keycache.Open(closed, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("one that fails closed: %v, %v", c, err)
	}
	cfg.FailClosed = false
	cache := keycacheOpen(t, cfg)
	for range 3 {
		if a, err := cache.Verify(t.Context(), "", key.secret, "", netip.Addr{}); err != nil || !a.Valid {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if n := cache.Stats(); n.Hits != 0 || n.Questions != 3 {
		t.Errorf("without any word: %+v", n)
	}
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	faultUntil(t, "an answer from memory", func() bool {
		a, err := cache.Verify(t.Context(), "", key.secret, "", netip.Addr{})
		return err == nil && a.Valid && cache.Stats().Hits > 0
	})
}
