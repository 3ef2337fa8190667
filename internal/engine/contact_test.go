package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// A server whose clock is off does not decide. Fails without clockSane: tried.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 10 * time.Second, "behind": -10 * time.Second, "a year ahead": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := openLog(t)
			start(t, log, nil)
			e := start(t, log, func(c *Config) { c.Clock = func() time.Time { return time.Now().Add(off) } })
			refused(t, e, createOrg("a"), ClockSkew)
		})
	}
}

// A clock that jumps is found out by the very next command, though clocks were compared before. Fails if the comparison counts
// until the next one: tried.
func TestClockJump(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	var ahead atomic.Int64
	e := start(t, log, func(c *Config) { c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	for i, jump := range []time.Duration{10 * time.Second, -10 * time.Second, 365 * 24 * time.Hour} {
		must(t, e, createOrg(fmt.Sprint("before", i)))
		ahead.Store(int64(jump))
		refused(t, e, createOrg(fmt.Sprint("behind", i)), ClockSkew)
		ahead.Store(0)
	}
	must(t, e, createOrg("after"))
}

// A commit from the future, as of a server that was let go on with a wrong clock, is not gone past either: no commit is
// earlier than its parent.
func TestTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	var ahead atomic.Int64
	e := start(t, log, func(c *Config) { c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	ahead.Store(int64(3 * time.Second)) // tolerated
	first := must(t, e, createOrg("a"))
	ahead.Store(0)
	second := must(t, e, createOrg("b"))
	if second.State.Time.Before(first.State.Time) {
		t.Errorf("commit time went back from %s to %s", first.State.Time, second.State.Time)
	}
}

// Without contact access checks are refused once the gap has passed, and answered again after. Fails if Fresh looks only at
// errors: tried.
func TestFreshNeedsContact(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, func(c *Config) { c.ContactGap = 1500 * time.Millisecond })
	if err := e.Fresh(); err != nil {
		t.Fatal(err)
	}
	log.set(func(f *faulty) {
		f.tip = func(context.Context) (eventstore.Tip, error) { return eventstore.Tip{}, errors.New("cut off") }
	})
	eventually(t, "Fresh refuses", func() bool { return e.Fresh() != nil })
	if gap := e.SinceContact(); gap < 1500*time.Millisecond || gap > 3*time.Second {
		t.Errorf("refused after %s without contact", gap)
	}
	wantReason(t, e.Fresh(), NoContact)
	log.set(func(f *faulty) { f.tip = nil })
	eventually(t, "Fresh answers again", func() bool { return e.Fresh() == nil })
}

func TestTokens(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	out := must(t, e, createOrg("a"))
	good := Token(out.State.Instance.LogID, out.Position, out.Hash)
	s, err := e.Await(t.Context(), Consistency{Level: AtLeast, Token: good})
	if err != nil || s.Position < out.Position {
		t.Errorf("own token: at %d, %v", s.Position, err)
	}
	otherHash := out.Hash
	otherHash[0]++
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, row := range []struct {
		name   string
		ctx    context.Context
		token  string
		reason domain.Reason
	}{
		{"garbage", t.Context(), "x!", BadToken},
		{"cut short", t.Context(), good[:20], BadToken},
		{"another log", t.Context(), Token(ulid.Make().String(), out.Position, out.Hash), OtherLogToken},
		{"a tail that is no more", t.Context(), Token(out.State.Instance.LogID, out.Position, otherHash), LostToken},
		{"a position to come", short, Token(out.State.Instance.LogID, out.Position+9, out.Hash), NotCaughtUp},
	} {
		_, err := e.Await(row.ctx, Consistency{Level: AtLeast, Token: row.token})
		t.Run(row.name, func(t *testing.T) { wantReason(t, err, row.reason) })
	}
	// A position that the ring of recent hashes has forgotten is read from the log.
	e.hashes = hashes{}
	if _, err := e.Await(t.Context(), Consistency{Level: AtLeast, Token: good}); err != nil {
		t.Error(err)
	}
}

// With several servers a linearizable read proves itself by an append; reads waiting at the same time share one.
func TestLinearizableReads(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	shared := func(c *Config) { c.Sole = false }
	a, b := start(t, log, shared), start(t, log, shared)
	for _, id := range names(20) {
		must(t, a, createOrg(id))
		s, err := b.Await(t.Context(), Consistency{Level: Linearizable})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Org(domain.OrgID(id)); !ok {
			t.Fatalf("organization %s is acknowledged, and a linearizable read elsewhere does not see it", id)
		}
		must(t, a, Request{Command: domain.SuspendOrg{ID: domain.OrgID(id)}, Rule: anyone, Actor: admin})
		if s, err = b.Await(t.Context(), Consistency{Level: LeaderLatest}); err != nil {
			t.Fatal(err)
		}
		if o, _ := s.Org(domain.OrgID(id)); o.Status != domain.Suspended {
			t.Fatalf("organization %s is suspended, and a read of the leader's latest does not see it", id)
		}
	}
}

func TestCloseAnswersEverybody(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	log.set(func(f *faulty) {
		f.append = func(ctx context.Context, _ domain.Position, _ []byte, _ eventstore.Header) error {
			return eventstore.ErrOutcomeUnknown
		}
	})
	answers := make(chan error, 10)
	for _, id := range names(10) {
		go func() {
			_, err := e.Execute(context.Background(), createOrg(id))
			answers <- err
		}()
	}
	eventually(t, "the log is tried", func() bool { return e.Stats().Retries > 0 })
	e.Close()
	for range 10 {
		if err := <-answers; err == nil {
			t.Error("a command was acknowledged that never landed")
		}
	}
}
