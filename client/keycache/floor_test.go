package keycache

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// behind is a server of Tenure that stands at a position, and knows one key, which is revoked at another.
type behind struct {
	tenurev1connect.InvalidationServiceClient
	position, revoked uint64
}

func (b *behind) ResolveKey(context.Context, *tenurev1.ResolveKeyRequest) (*tenurev1.ResolveKeyResponse, error) {
	k := &tenurev1.KeyEntry{Id: "k", PublicKey: "pk"}
	if b.position >= b.revoked {
		k.Reason = "KEY_REVOKED"
	}
	return &tenurev1.ResolveKeyResponse{Position: b.position, Key: k}, nil
}

// What was told of one partition counts when another, which is behind it, tells that all may have changed, and the key is asked about
// anew: a server that is behind must not bring back what is revoked. Fails if the cache begins anew at the position of the news alone: tried.
func TestWhatWasToldOutlivesAllEntries(t *testing.T) {
	t.Parallel()
	revoked := &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_KEY, Id: "k", PublicKey: "pk", Position: 105}
	all := &tenurev1.Invalidation{Scope: tenurev1.Scope_SCOPE_INSTANCE, Position: 101}
	for name, news := range map[string][]News{
		"before it": {{Invalidations: []*tenurev1.Invalidation{revoked}, Position: 100}, {Invalidations: []*tenurev1.Invalidation{all}, Position: 101}},
		"behind it": {{Invalidations: []*tenurev1.Invalidation{all, revoked}, Position: 101}},
	} {
		tenure := &behind{position: 102, revoked: 105}
		c := newCache(Config{MaxKeys: 1000, MaxStale: time.Minute, KeepUnknown: time.Minute, Questions: 1}, tenure)
		c.take(News{Reset: true, Position: 100, Token: "t", Current: time.Now()})
		for _, n := range news {
			n.Token, n.Current = "t", time.Now()
			c.take(n)
		}
		if a, err := c.Verify(t.Context(), "pk", "secret", "", netip.Addr{}); err == nil {
			t.Errorf("told %s, a server that is behind makes it %+v", name, a)
		}
		tenure.position = 105
		if a, err := c.Verify(t.Context(), "pk", "secret", "", netip.Addr{}); err != nil || a.Reason != "KEY_REVOKED" {
			t.Errorf("told %s: %+v, %v", name, a, err)
		}
	}
}

// Nobody vouches for the future, and the clock that says more counts: one stands still while the machine is suspended, the other can be
// set. Fails with either left out of the age, and if a moment to come is believed: tried each.
func TestAgeByTwoClocks(t *testing.T) {
	t.Parallel()
	c := newCache(Config{MaxKeys: 1000, MaxStale: time.Minute, KeepUnknown: time.Minute, Questions: 1, FailClosed: true}, nil)
	c.take(News{Position: 100, Token: "t", Current: time.Now().Add(2 * time.Minute)})
	if age := c.Age(); age < time.Hour {
		t.Errorf("vouched for what is to come, it is %s old", age)
	}
	c.take(News{Position: 100, Token: "t", Current: time.Now()})
	if age := c.Age(); age < 0 || age > time.Minute {
		t.Errorf("vouched for now, it is %s old", age)
	}
	now := *c.current.Load()
	for what, m := range map[string]moment{
		"suspended for an hour":     {now.steady, now.wall - int64(time.Hour)},
		"its clock set back, later": {now.steady - int64(time.Hour), now.wall},
	} {
		c.current.Store(&m)
		if age := c.Age(); age < time.Hour {
			t.Errorf("%s, it is %s old", what, age)
		}
		if fresh, err := c.fresh(time.Now()); fresh || err == nil {
			t.Errorf("%s, it answers from memory", what)
		}
	}
}

// Who is told of refusals is not told the credentials, and the request goes on with them.
func TestRefusedHoldsNoSecret(t *testing.T) {
	t.Parallel()
	c := newCache(Config{MaxKeys: 1000, MaxStale: time.Minute, KeepUnknown: time.Minute, Questions: 1}, &behind{position: 105, revoked: 105})
	c.take(News{Position: 100, Token: "t", Current: time.Now()})
	told := 0
	m := Middleware{Cache: c, Refused: func(r *http.Request, refusal *Refusal) {
		told++
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("X-Other") != "kept" || refusal.Reason != "KEY_REVOKED" {
			t.Errorf("told %v, %v", r.Header, refusal)
		}
	}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "session=1")
	r.Header.Set("X-Other", "kept")
	r.SetBasicAuth("pk", "secret")
	w := httptest.NewRecorder()
	m.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	if told != 1 || w.Code != http.StatusUnauthorized || r.Header.Get("Authorization") == "" {
		t.Errorf("told %d times, answered %d", told, w.Code)
	}
}
