package keycache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/projectionstest"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// verifier is a cache, or what somebody might take for one.
type verifier interface {
	verify(ctx context.Context, public string) (Answer, error)
	take(News)
}

// hostile is a Tenure of several servers whose answers are on their way for as long as a test wants.
type hostile struct {
	tenurev1connect.InvalidationServiceClient
	states []*domain.State

	mu      sync.Mutex
	head    int // the newest state
	pending []chan struct{}
}

// ResolveKey answers from a state that may be behind, later.
func (h *hostile) ResolveKey(ctx context.Context, req *tenurev1.ResolveKeyRequest) (*tenurev1.ResolveKeyResponse, error) {
	arrives := make(chan struct{})
	h.mu.Lock()
	s := h.states[max(0, h.head-rand.IntN(4))]
	h.pending = append(h.pending, arrives)
	h.mu.Unlock()
	select {
	case <-arrives:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	res := &tenurev1.ResolveKeyResponse{Position: uint64(s.Position)}
	if k, ok := s.KeyByPublic(req.PublicKey); ok {
		a := answerOf(s, k)
		res.Key, res.User, res.Projects, res.Orgs = a.key, a.user, a.projects, a.orgs
	}
	return res, nil
}

func (h *hostile) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.pending); n > 0 {
		i := rand.IntN(n)
		close(h.pending[i])
		h.pending = slices.Delete(h.pending, i, i+1)
	}
}

func (h *hostile) at() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

// right tells whether an answer is that of some state from one on, up to another.
func (h *hostile) right(a Answer, public string, from, to int) bool {
	for _, s := range h.states[from : to+1] {
		want := unknown("")
		if k, ok := s.KeyByPublic(public); ok {
			want = verified(s, k, "", netip.Addr{}, time.Now())
		}
		if same(a, want) {
			return true
		}
	}
	return false
}

type real struct{ *Cache }

func (r real) verify(ctx context.Context, public string) (Answer, error) {
	return r.Verify(ctx, public, "secret", "", netip.Addr{})
}

// naive keeps what it is told and drops what changed: it writes an answer after the word that it is old.
type naive struct {
	h  *hostile
	mu sync.Mutex
	at map[string]*keyNode
}

func (n *naive) verify(ctx context.Context, public string) (Answer, error) {
	n.mu.Lock()
	key := n.at[public]
	n.mu.Unlock()
	if key == nil {
		res, err := n.h.ResolveKey(ctx, &tenurev1.ResolveKeyRequest{PublicKey: public})
		if err != nil || res.Key == nil {
			return unknown(""), err
		}
		key, _ = newTable(0).load(answer{res.Position, res.Key, res.User, res.Projects, res.Orgs})
		n.mu.Lock()
		n.at[public] = key
		n.mu.Unlock()
	}
	a, _ := key.judge("", netip.Addr{}, time.Now())
	return a, nil
}

func (n *naive) take(news News) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if news.Reset {
		clear(n.at)
	}
	for _, i := range news.Invalidations {
		if i.Scope == tenurev1.Scope_SCOPE_KEY {
			delete(n.at, i.PublicKey)
		} else {
			clear(n.at)
		}
	}
}

// schedule lets commits happen, news arrive, questions begin and answers arrive in any order, and answers what was wrong: an answer that
// is older than what was told before it was asked for.
func schedule(t *testing.T, states []*domain.State, make func(*hostile) verifier) (wrong string) {
	first := rand.IntN(len(states) - 60)
	h := &hostile{states: states, head: first}
	v := make(h)
	told := first
	v.take(News{Position: uint64(states[told].Position), Token: "t", Current: time.Now()})
	var publics []string
	for _, k := range states[first+59].Keys().All() {
		publics = append(publics, k.Public)
	}
	// Few, so that they meet.
	rand.Shuffle(len(publics), func(i, j int) { publics[i], publics[j] = publics[j], publics[i] })
	publics = publics[:min(6, len(publics))]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	results := asking{}
	for range 300 {
		switch rand.IntN(5) {
		case 0:
			h.mu.Lock()
			h.head = min(h.head+1, first+59)
			h.mu.Unlock()
		case 1:
			if told < h.at() && rand.IntN(8) == 0 {
				// Something was missed.
				told = h.at()
				v.take(News{Reset: true, Position: uint64(states[told].Position), Token: "t", Current: time.Now()})
			} else if told < h.at() {
				told++
				v.take(News{Invalidations: news(states[told-1], states[told]), Position: uint64(states[told].Position), Token: "t", Current: time.Now()})
			}
		case 2:
			h.release()
		default:
			public, from := publics[rand.IntN(len(publics))], told
			results.run(func() string {
				a, err := v.verify(ctx, public)
				if err != nil {
					return "" // no answer is no wrong one
				}
				if to := h.at(); !h.right(a, public, from, to) {
					return fmt.Sprintf("%s is answered %+v, which it was at none of the positions %d to %d", public, a, states[from].Position, states[to].Position)
				}
				return ""
			})
		}
	}
	for !results.done() {
		h.release()
		runtime.Gosched()
	}
	return results.wrong
}

// asking are questions that run.
type asking struct {
	mu      sync.Mutex
	running int
	wrong   string
}

func (a *asking) run(question func() string) {
	a.mu.Lock()
	a.running++
	a.mu.Unlock()
	go func() {
		wrong := question()
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.running--; wrong != "" {
			a.wrong = wrong
		}
	}()
}

func (a *asking) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running == 0
}

// In hundreds of schedules no answer that was on its way brings back what was revoked, moved or suspended meanwhile. A cache that deletes
// what changed and writes what it was answered is caught by the same schedules. Fails if answers are not compared with what was told of
// their entries, or are kept in a table that was dropped: tried both.
func TestNoScheduleBringsBackAKey(t *testing.T) {
	t.Parallel()
	var states []*domain.State
	for _, m := range projectionstest.Random(t, 300) {
		states = append(states, m.After)
	}
	const rounds = 60
	for range rounds {
		wrong := schedule(t, states, func(h *hostile) verifier {
			return real{newCache(Config{MaxKeys: 1000, MaxStale: time.Minute, KeepUnknown: time.Minute, Questions: 1000}, h)}
		})
		if wrong != "" {
			t.Fatal(wrong)
		}
	}
	caught := 0
	for range rounds {
		if schedule(t, states, func(h *hostile) verifier { return &naive{h: h, at: map[string]*keyNode{}} }) != "" {
			caught++
		}
	}
	t.Logf("%d schedules: none wrong; the naive cache was caught by %d", rounds, caught)
	if caught == 0 {
		t.Error("the naive cache was not caught: these schedules prove nothing")
	}
}
