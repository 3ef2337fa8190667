package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

// timeline is what each entry was, from which position on.
type timeline map[string][]moment

type moment struct {
	at    domain.Position
	value string
}

func timelineOf(t testing.TB, all []eventstore.Folded) timeline {
	t.Helper()
	line := timeline{}
	add := func(at domain.Position, c invalidation.Change) {
		_, o := changeOf(four, c)
		if was := line[o.name]; len(was) == 0 || was[len(was)-1].value != unversioned(o.text()) {
			line[o.name] = append(was, moment{at, unversioned(o.text())})
		}
	}
	for _, m := range all {
		for _, c := range invalidation.Changes(m.Before, m.After) {
			if c.Scope != tenurev1.Scope_SCOPE_INSTANCE {
				add(m.Position, c)
				continue
			}
			for c := range invalidation.All(m.After) {
				add(m.Position, c)
			}
		}
	}
	return line
}

// good tells whether an entry was so at a position or later.
func (l timeline) good(name, value string, at domain.Position) bool {
	for i, m := range l[name] {
		if m.value == value && (i+1 == len(l[name]) || l[name][i+1].at > at) {
			return true
		}
	}
	return false
}

// reader keeps entries for as long as the word of a source allows, and is checked whenever that says how new all is.
type reader struct {
	t      *testing.T
	log    *testLog
	line   timeline
	redis  rueidis.Client
	source *redissource.Source
	done   sync.WaitGroup
	cancel context.CancelFunc

	position        atomic.Uint64
	current         atomic.Pointer[time.Time]
	resets, checked atomic.Int64

	token string
	kept  map[string]string
	names []string
}

// read starts a reader, which ends with the test.
func read(t *testing.T, l *testLog, line timeline, url string) *reader {
	t.Helper()
	option := rueidis.MustParseURL(url)
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, log: l, line: line, redis: client, source: redissource.New(option, ""), kept: map[string]string{}}
	for name := range line {
		r.names = append(r.names, name)
	}
	r.start()
	t.Cleanup(func() { r.stop(); client.Close() })
	return r
}

func (r *reader) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() {
		for ctx.Err() == nil {
			_ = r.source.Follow(ctx, r.token, r.told)
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func (r *reader) stop() { r.cancel(); r.done.Wait() }

func (r *reader) told(n keycache.News) {
	r.token = n.Token
	r.position.Store(n.Position)
	if n.Reset {
		r.resets.Add(1)
		clear(r.kept)
	}
	names := make([]string, 0, len(n.Invalidations)+3)
	for _, i := range n.Invalidations {
		if i.Scope == tenurev1.Scope_SCOPE_INSTANCE {
			clear(r.kept)
			continue
		}
		_, _, name := nameOf(four, i)
		delete(r.kept, name)
		names = append(names, name)
	}
	for range 50 {
		if name := r.names[rand.IntN(len(r.names))]; r.kept[name] == "" {
			names = append(names, name)
		}
	}
	var commands rueidis.Commands
	for _, name := range names {
		commands = append(commands, r.redis.B().Get().Key(name).Build())
	}
	for i, res := range r.redis.DoMulti(context.Background(), commands...) {
		if value, err := res.ToString(); err == nil {
			r.kept[names[i]] = unversioned(value)
		}
	}
	if n.Current.IsZero() {
		return
	}
	at := r.log.at(n.Current)
	if domain.Position(n.Position) < at {
		r.t.Errorf("told up to %d, and current at a time when the log was at %d", n.Position, at)
	}
	for name, value := range r.kept {
		if !r.line.good(name, value, at) {
			r.t.Errorf("at %d, %s is kept as %s; it was %+v", at, name, value, r.line[name])
		}
	}
	r.checked.Add(int64(len(r.kept)))
	r.current.Store(&n.Current)
}

// newer waits until the reader knows that nothing is older than a time.
func (r *reader) newer(t testing.TB, than time.Time) {
	t.Helper()
	until(t, "a reader to know how new all is", func() bool {
		c := r.current.Load()
		return c != nil && c.After(than)
	})
}

// Readers never keep what was another entry at the time they take all for current, whatever happens to the projector, to Redis and to
// them; and they find out in the end. Fails if prev is not compared, or current is told while meta is in front of what was read: tried.
func TestReadersSeeEveryChange(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 200), 20)
	line := timelineOf(t, l.all)
	p := started(t, l.config(s.URL()))
	reached(t, p, 20)
	disturb(t, p, 30)
	r := read(t, l, line, s.URL())
	began := time.Now()
	for i, what := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"another reading of it", func() { r.stop(); r.start() }},
		{"all built anew", func() {
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{"all gone", func() { s.Must(t, "FLUSHALL") }},
		{"connections gone", func() { s.Must(t, "CLIENT", "KILL", "TYPE", "normal") }},
		{"streams gone before they are read", func() {
			r.stop()
			l.to(l.end + 20)
			reached(t, p, domain.Position(l.end))
			for p := range four.Partitions {
				s.Must(t, "DEL", four.Stream(p))
			}
			r.start()
			r.newer(t, time.Now()) // before anything more is told
		}},
		{"streams trimmed before they are read", func() {
			r.stop()
			l.to(l.end + 20)
			reached(t, p, domain.Position(l.end))
			for p := range four.Partitions {
				s.Must(t, "XTRIM", four.Stream(p), "MAXLEN", "1")
			}
			r.start()
		}},
		{"nothing again", func() {}},
	} {
		resets := r.resets.Load()
		l.to(l.end + 10)
		what.do()
		l.to(l.end + 5)
		now := time.Now()
		r.newer(t, now)
		if t.Failed() {
			t.Fatal("with ", what.name)
		}
		t.Logf("%d: %s, position %d, current %s after it, %d resets", i, what.name, l.end, time.Since(now).Round(time.Millisecond), r.resets.Load()-resets)
	}
	t.Logf("%d comparisons in %s", r.checked.Load(), time.Since(began).Round(time.Millisecond))
	conform(t, four, l.state(), s)
}

// A reader that goes on from its token is told what it missed, and no more; one with a token of other times begins anew.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 60), 20)
	p := started(t, l.config(s.URL()))
	reached(t, p, 20)
	source := redissource.New(rueidis.MustParseURL(s.URL()), "")
	follow := func(token string, until domain.Position) (list []keycache.News) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		_ = source.Follow(ctx, token, func(n keycache.News) {
			if list = append(list, n); domain.Position(n.Position) >= until {
				cancel()
			}
		})
		if len(list) == 0 || domain.Position(list[len(list)-1].Position) < until {
			t.Fatalf("told %v", list)
		}
		return list
	}
	first := follow("", 20)
	if !first[0].Reset || first[0].Position != 20 || len(first) != 1 {
		t.Fatalf("from now on: %+v", first)
	}
	l.to(40)
	reached(t, p, 40)
	told := 0
	for i, n := range follow(first[0].Token, 40) {
		if n.Reset || i == 0 && n.Position != 20 {
			t.Errorf("behind a token: %+v", n)
		}
		told += len(n.Invalidations)
	}
	want := 0
	for _, m := range l.all[20:40] {
		for _, c := range invalidation.Changes(m.Before, m.After) {
			if want++; c.Scope == tenurev1.Scope_SCOPE_INSTANCE {
				want += four.Partitions - 1
			}
		}
	}
	if told != want {
		t.Errorf("told %d changes, expected %d", told, want)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := follow(first[0].Token, 40); !n[0].Reset || n[0].Position != 40 {
		t.Errorf("behind a token of another epoch: %+v", n[0])
	}
	for _, token := range []string{"nonsense", first[0].Token + " 1-1", layout.Version} {
		if n := follow(token, 40); !n[0].Reset {
			t.Errorf("behind %q: %+v", token, n[0])
		}
	}
}
