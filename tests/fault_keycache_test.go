package tests

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
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
	if last := w.lastGood(); last.Sub(cut) > bound {
		t.Errorf("a revoked key was good %s after the link failed; the bound is %s", last.Sub(cut), bound)
	}
	link.set(linkWorks)
	back := time.Now()
	for {
		got, err := verify()
		if err == nil && got.Valid && cache.Age() < bound {
			break
		}
		if time.Since(back) > apiWait {
			t.Fatalf("after the link came back: %+v, %v", got, err)
		}
	}
	again := time.Since(back)
	for i := 0; i < len(secrets); {
		// What was held up and comes now may be too old by itself, until the cache has called anew.
		got, err := cache.Verify(t.Context(), "", secrets[i], "", netip.Addr{})
		switch {
		case err == nil && got.Reason == "KEY_REVOKED":
			i++
		case err == nil || time.Since(back) > apiWait:
			t.Fatalf("a revoked key after the link came back: %+v, %v", got, err)
		}
	}
	w.end()
	t.Logf("%d keys revoked within %s; none was good later than %s after the link failed (bound %s); %d answers; current again %s after it was back", len(ids), revoked.Sub(cut).Round(time.Millisecond), max(0, w.lastGood().Sub(cut)).Round(time.Millisecond), bound, w.answers.Load(), again.Round(time.Millisecond))
}
