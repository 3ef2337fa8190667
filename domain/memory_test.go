package domain_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// forgetful is an empty world that remembers so many idempotency keys.
func forgetful(t testing.TB, capacity int) *domain.State {
	t.Helper()
	s, err := fold(&domain.State{}, []domain.Command{domain.CreateInstance{LogID: "log", IdempotencyCapacity: capacity}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// remember folds in an entry that changed nothing but came with an idempotency key.
func remember(t testing.TB, s *domain.State, key string, at time.Duration) *domain.State {
	t.Helper()
	next, err := domain.Evolve(s, &eventv1.Commit{Time: stamp(in(at)), Entries: []*eventv1.Entry{
		{}, {Idempotency: &eventv1.Idempotency{Key: []byte(key), Command: []byte("did " + key)}},
	}}, s.Position+1, domain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// Fails if remember writes to the buckets of the state before: tried.
func TestRecall(t *testing.T) {
	t.Parallel()
	s := forgetful(t, 100)
	before := s.Digest()
	next := remember(t, s, "a", 0)
	got, ok := next.Recall([]byte("a"))
	if want := (domain.Remembered{Position: s.Position + 1, Index: 1, Command: "did a"}); !ok || got != want {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
	if _, ok := next.Recall([]byte("b")); ok {
		t.Error("recalls what never was")
	}
	if _, ok := s.Recall([]byte("a")); ok || s.Digest() != before {
		t.Error("remembering changed the state before")
	}
	if _, ok := remember(t, next, "b", 0).Recall([]byte("b")); !ok {
		t.Error("does not recall the second of an hour")
	}
	if _, ok := next.Recall([]byte("b")); ok {
		t.Error("remembering the second changed the state before")
	}
	if next.ForgotEarly(began) {
		t.Error("says that it forgot something")
	}
}

// A key is remembered for MemoryAge at least and an hour more at most. Fails if the bucket's own age is asked instead of the
// next one's, or if buckets are never closed for their age: tried.
func TestMemoryForgetsWithAge(t *testing.T) {
	t.Parallel()
	s := forgetful(t, 1_000_000)
	last := map[string]time.Duration{}
	for i := range 4 * 60 { // a key every 15 minutes
		at := time.Duration(i) * hour / 4
		key := fmt.Sprint(i)
		s, last[key] = remember(t, s, key, at), at
		for key, since := range last {
			age := at - since
			_, ok := s.Recall([]byte(key))
			if !ok && age < domain.MemoryAge {
				t.Fatalf("after %s key %s, only %s old, is forgotten", at, key, age)
			}
			if ok && age > domain.MemoryAge+hour {
				t.Fatalf("after %s key %s, %s old, is still there", at, key, age)
			}
		}
		if s.ForgotEarly(in(at)) {
			t.Fatalf("after %s, with room for all, says that it forgot for want of it", at)
		}
	}
}

// With no room left the oldest go first, and it says so until they would have gone anyway. Fails if the count is not reduced
// by what is dropped, or if forgot is not set: tried.
func TestMemoryForgetsForWantOfRoom(t *testing.T) {
	t.Parallel()
	const capacity = 64
	s := forgetful(t, capacity)
	for i := range capacity {
		s = remember(t, s, fmt.Sprint(i), time.Duration(i)*time.Second)
	}
	if _, ok := s.Recall([]byte("0")); !ok || s.ForgotEarly(in(hour)) {
		t.Error("forgets although there is room for all")
	}
	for i := capacity; i < 10*capacity; i++ {
		s = remember(t, s, fmt.Sprint(i), time.Duration(i)*time.Second)
		kept := 0
		for j := i; j >= 0; j-- {
			if _, ok := s.Recall([]byte(fmt.Sprint(j))); !ok {
				break
			}
			kept++
		}
		if kept > capacity || kept < capacity-capacity/32 {
			t.Fatalf("after %d keys the last %d are kept, want nearly %d", i+1, kept, capacity)
		}
		if _, ok := s.Recall([]byte(fmt.Sprint(i - kept))); ok {
			t.Fatalf("after %d keys there is a hole at %d", i+1, i-kept)
		}
	}
	end := 10 * capacity * time.Second
	if !s.ForgotEarly(in(end)) {
		t.Error("does not say that it forgot")
	}
	if s.ForgotEarly(in(end + domain.MemoryAge)) {
		t.Error("says that it forgot early although all that is old by now")
	}
}

func TestMemoryOfOne(t *testing.T) {
	t.Parallel()
	s := remember(t, remember(t, forgetful(t, 1), "a", 0), "b", 0)
	_, a := s.Recall([]byte("a"))
	_, b := s.Recall([]byte("b"))
	if a || !b {
		t.Errorf("with room for one: first %t, second %t", a, b)
	}
}
