package redis

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	"github.com/tenurehq/tenure/projections/runner"
	"github.com/tenurehq/tenure/tests/redistest"
)

// conforms tells whether Redis holds the entries of a state.
func conforms(t testing.TB, s *domain.State, server *redistest.Server) bool {
	t.Helper()
	names := strings.Fields(server.Must(t, "KEYS", "tenure:{*}:*"))
	want := entriesOf(four, s)
	if len(names) < len(want) {
		return false
	}
	have := entriesIn(t, four, server)
	if len(have) != len(want) {
		return false
	}
	for name, value := range want {
		if have[name] != value {
			return false
		}
	}
	return true
}

// A full Redis refuses scripts wherever it becomes full; when there is room again, nothing is missing and nothing there twice.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 250), 10)
	line := timelineOf(t, l.all)
	p := started(t, l.config(s.URL()))
	reached(t, p, 10)
	r := read(t, l, line, s.URL())
	r.newer(t, time.Now())
	used := func() int {
		_, text, _ := strings.Cut(s.Must(t, "INFO", "memory"), "used_memory:")
		text, _, _ = strings.Cut(text, "\r\n")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	full, errors := 0, int64(0)
	l.to(len(l.all))
	for room := 20 << 10; p.Report().Status.Position < domain.Position(len(l.all)) && full < 20; room += 10 << 10 {
		s.Must(t, "CONFIG", "SET", "maxmemory", strconv.Itoa(used()+room))
		full++
		until(t, "progress or a full Redis", func() bool {
			r := p.Report()
			if r.Err != nil && strings.Contains(r.Err.Error(), "OOM") {
				errors++
				return true
			}
			return r.Status.Position == domain.Position(len(l.all))
		})
	}
	s.Must(t, "CONFIG", "SET", "maxmemory", "0")
	now := time.Now()
	reached(t, p, domain.Position(len(l.all)))
	r.newer(t, now)
	conform(t, four, l.state(), s)
	chained(t, four, s)
	if errors == 0 {
		t.Error("it was never full")
	}
	if p.sink.builds.Load() != 1 {
		t.Errorf("built %d times", p.sink.builds.Load())
	}
	t.Logf("full %d times, current again after %s", errors, time.Since(now).Round(time.Millisecond))
}

// What is lost without a word is noticed without a command, and mended. Fails if the heartbeat does not compare: tried.
func TestRedisLosesEverything(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 80), 60)
	line := timelineOf(t, l.all)
	p := started(t, l.config(s.URL()))
	reached(t, p, 60)
	r := read(t, l, line, s.URL())
	r.newer(t, time.Now())
	for _, fault := range []struct {
		name string
		do   func()
	}{
		{"FLUSHALL", func() { s.Must(t, "FLUSHALL") }},
		{"the layout is deleted", func() { s.Must(t, "DEL", four.Key()) }},
		{"the layout is an older one", func() { s.Must(t, "HSET", four.Key(), layout.LayoutEpoch, "older") }},
		{"a partition's meta is deleted", func() { s.Must(t, "DEL", four.Meta(2)) }},
		{"a stream is in front of its checkpoint", func() { s.Must(t, "XADD", four.Stream(1), "99999999-0", "a", "b"); l.to(l.end + 10) }},
		{"kill -9 and an empty start", func() {
			s.Kill()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		resets, builds := r.resets.Load(), p.sink.builds.Load()
		fault.do()
		began := time.Now()
		until(t, "all to be there again after "+fault.name, func() bool { return p.sink.builds.Load() > builds && conforms(t, l.state(), s) })
		mended := time.Since(began)
		r.newer(t, time.Now())
		if r.resets.Load() == resets {
			t.Errorf("%s: the reader was not told", fault.name)
		}
		t.Logf("%s: mended after %s", fault.name, mended.Round(time.Millisecond))
	}
}

// An old dump is put in the place of what was there. What is missing is written again, from where the dump is, with the same ids.
func TestOldDump(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 80), 30)
	line := timelineOf(t, l.all)
	p := started(t, l.config(s.URL()))
	reached(t, p, 30)
	r := read(t, l, line, s.URL())
	r.newer(t, time.Now())
	s.Must(t, "SAVE")
	l.to(80)
	reached(t, p, 80)
	streams := streamsOf(t, s)
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, "all to be there again", func() bool { return conforms(t, l.state(), s) })
	mended := time.Since(began)
	until(t, "the reader to be at the end", func() bool { return r.position.Load() >= 80 })
	r.newer(t, time.Now())
	chained(t, four, s)
	if again := streamsOf(t, s); again != streams {
		t.Error("the streams are not what they were")
	}
	if n := p.sink.builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	t.Logf("mended after %s, %d resets", mended.Round(time.Millisecond), r.resets.Load()-1)
}

func streamsOf(t testing.TB, s *redistest.Server) (all string) {
	for p := range four.Partitions {
		all += s.Must(t, "XRANGE", four.Stream(p), "-", "+") + "\n"
	}
	return all
}

// proxy passes connections on to the server that it is told of.
type proxy struct {
	l      net.Listener
	target atomic.Pointer[string]
	mu     sync.Mutex
	open   []net.Conn
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l}
	p.target.Store(&target)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", *p.target.Load())
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.open = append(p.open, in, out)
			p.mu.Unlock()
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				done.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					way[0].Close()
					way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); done.Wait() })
	return p
}

// to passes connections on to another server from now on, and breaks those that are.
func (p *proxy) to(target string) { p.target.Store(&target); p.cut() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

func (p *proxy) url() string { return "redis://" + p.l.Addr().String() }

// A replica that lacks the last writes takes the master's place, and first refuses them as a replica does. What is missing is written
// again.
func TestFailoverToALaggingReplica(t *testing.T) {
	t.Parallel()
	a, b := redistest.Start(t), redistest.Start(t)
	front := newProxy(t, a.Address())
	l := newLog(random(t, 100), 30)
	line := timelineOf(t, l.all)
	p := started(t, l.config(front.url()))
	reached(t, p, 30)
	r := read(t, l, line, front.url())
	r.newer(t, time.Now())
	b.Must(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(a.Port()))
	until(t, "the replica", func() bool {
		return strings.Contains(b.Must(t, "INFO", "replication"), "master_link_status:up") && conforms(t, l.state(), b)
	})
	// From now on it hears nothing, and takes no writes.
	b.Must(t, "REPLICAOF", "127.0.0.1", "1")
	l.to(80)
	reached(t, p, 80)
	until(t, "the reader to be at the end", func() bool { return r.position.Load() >= 80 })
	front.to(b.Address())
	until(t, "the writes to be refused", func() bool { return p.Report().Err != nil && strings.Contains(p.Report().Err.Error(), "READONLY") })
	b.Must(t, "REPLICAOF", "NO", "ONE")
	began := time.Now()
	until(t, "all to be there again", func() bool { return conforms(t, l.state(), b) })
	mended := time.Since(began)
	r.newer(t, time.Now())
	chained(t, four, b)
	if n := p.sink.builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	t.Logf("mended %s after the promotion, %d resets", mended.Round(time.Millisecond), r.resets.Load()-1)
}

// A Redis that stands still says nothing, and then goes on. Readers take nothing for current meanwhile.
func TestRedisStandsStill(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 80), 30)
	line := timelineOf(t, l.all)
	p := started(t, l.config(s.URL()))
	reached(t, p, 30)
	r := read(t, l, line, s.URL())
	r.newer(t, time.Now())
	s.Signal(syscall.SIGSTOP)
	stopped := time.Now()
	l.to(60)
	until(t, "the projector to say so", func() bool { return p.Report().Status.Phase == runner.Retrying })
	if c := r.current.Load(); c.After(stopped) {
		t.Errorf("current %s after Redis stood still", c.Sub(stopped))
	}
	if age, stood := p.Age(), time.Since(stopped); age < stood {
		t.Errorf("the projector says that Redis was current %s ago, and it stands still for %s", age, stood)
	}
	s.Signal(syscall.SIGCONT)
	began := time.Now()
	reached(t, p, 60)
	r.newer(t, began)
	until(t, "the projector to know so", func() bool { return p.Age() < time.Since(began) })
	conform(t, four, l.state(), s)
	chained(t, four, s)
	t.Logf("stood still for %s, current %s later", began.Sub(stopped).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// Another log, or a part of the same one that it no longer has, as after a restore: all is built anew. Fails if Lost is not asked, or the
// log's id not compared: tried.
func TestOtherLog(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(randomOf("first", 60), 60)
	p := started(t, l.config(s.URL()))
	reached(t, p, 60)
	conform(t, four, l.state(), s)
	p.Close()
	for _, end := range []int{30, 70} {
		restored := newLog(randomOf("first", end), end)
		q := started(t, restored.config(s.URL()))
		reached(t, q, domain.Position(end))
		until(t, "what the log says", func() bool { return conforms(t, restored.state(), s) })
		if n := q.sink.builds.Load(); n != 1 {
			t.Errorf("built %d times", n)
		}
		q.Close()
	}
	// Another log's server must not take what a running one keeps.
	keeps := newLog(randomOf("first", 70), 70)
	k := started(t, keeps.config(s.URL()))
	until(t, "a heartbeat", func() bool {
		return s.Must(t, "HGET", four.Meta(0), layout.MetaAsOf) != "" && conforms(t, keeps.state(), s)
	})
	other := newLog(randomOf("second", 20), 20)
	o := started(t, other.config(s.URL()))
	until(t, "a refusal", func() bool {
		return o.Report().Err != nil && strings.Contains(o.Report().Err.Error(), "another server keeps")
	})
	conform(t, four, keeps.state(), s)
	if n := o.sink.builds.Load(); n != 0 {
		t.Errorf("built %d times", n)
	}
	k.Close()
	reached(t, o, 20)
	conform(t, four, other.state(), s)
}

// Partitions stand apart, as when a server of a cluster was away, and those in front are of a history that the log lost meanwhile: all is
// built anew. Fails if only the one that is furthest behind is looked for in the log: tried.
func TestPartitionsOfALostHistory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 80), 30)
	p := started(t, l.config(s.URL()))
	reached(t, p, 30)
	p.Close()
	for q := range 3 {
		s.Must(t, "HSET", four.Meta(q+1), "position", "45", "hash", strings.Repeat("ab", 32))
	}
	for _, end := range []int{40, 60} { // in front of where they stood, and behind it
		l.to(end)
		again := started(t, l.config(s.URL()))
		reached(t, again, domain.Position(end))
		conform(t, four, l.state(), s)
		if n := again.sink.builds.Load(); end == 40 && n != 1 {
			t.Errorf("built %d times", n)
		}
		again.Close()
	}
}

// An account that can't find out which server is a master must not leave behind what another history wrote. Fails if the server is passed
// over: tried.
func TestAccountWithoutRole(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Must(t, "ACL", "SETUSER", "norole", "on", ">hunter2", "~*", "+@all", "-role")
	l := newLog(random(t, 40), 30)
	p := started(t, l.config("redis://norole:hunter2@"+s.Address()))
	until(t, "the projector to say so", func() bool {
		r := p.Report()
		return r.Err != nil && strings.Contains(r.Err.Error(), "role") && r.Status.Phase == runner.Retrying
	})
	s.Must(t, "ACL", "SETUSER", "norole", "+role")
	reached(t, p, 30)
	conform(t, four, l.state(), s)
}

// What another history left, with versions that are greater, is not in the way of what is built.
func TestFillsOverNewerVersions(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 60), 30)
	p := started(t, l.config(s.URL()))
	reached(t, p, 30)
	p.sink.mu.Lock()
	w := p.sink.writer()
	for c := range invalidation.All(l.state()) {
		q, o := changeOf(four, c)
		s.Must(t, "SET", o.name, `{"version":"99999-0","id":"another"}`)
		o = untold(o)
		o.id.Position++
		if err := w.fill(t.Context(), q, o); err != nil {
			t.Fatal(err)
		}
	}
	err := w.send(t.Context())
	p.sink.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	conform(t, four, l.state(), s)
}

// Streams are trimmed, entries are not.
func TestTrimming(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "stream-node-max-entries", "5")
	l := newLog(random(t, 120), 10)
	p := started(t, l.config(s.URL()))
	reached(t, p, 10)
	l.to(100)
	reached(t, p, 100)
	before := chained(t, four, s)
	if err := p.sink.heartbeat(t.Context(), func() time.Duration { return 0 }, l.state, layout.ID{Position: 80}); err != nil {
		t.Fatal(err)
	}
	after := chained(t, four, s)
	if after >= before || after == 0 {
		t.Errorf("%d of %d entries left", after, before)
	}
	for p := range four.Partitions {
		// Whole nodes are trimmed, of five entries here: of the one in which 80 is, four may be older.
		if old := s.Must(t, "EVAL", "return #redis.call('XRANGE', KEYS[1], '-', '79-9999')", "1", four.Stream(p)); old > "4" || len(old) > 1 {
			t.Errorf("partition %d: %s entries left that are older", p, old)
		}
	}
	conform(t, four, l.state(), s)
	p.sink.mu.Lock()
	p.sink.kept = 10
	p.sink.mu.Unlock()
	l.to(120)
	reached(t, p, 120)
	for p := range four.Partitions {
		if n, _ := strconv.Atoi(s.Must(t, "XLEN", four.Stream(p))); n > 20 {
			t.Errorf("partition %d: %d entries left", p, n)
		}
	}
	conform(t, four, l.state(), s)
}

// What is told of how new it is, is told in the order that makes it true. Fails if the state is read before its age, and if as_of is
// written behind an older position than the state's: tried both.
func TestHeartbeatIsNeverTooNew(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 40), 20)
	conn, err := connectionTo(s.URL(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	k := newSink(conn, four, l.log().ID, l.state, silent)
	if _, err := k.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	asOf := func() int64 {
		n, _ := strconv.ParseInt(s.Must(t, "HGET", four.Meta(1), layout.MetaAsOf), 10, 64)
		return n
	}
	clock := func() int64 {
		seconds, _, _ := strings.Cut(s.Must(t, "TIME"), "\n")
		n, _ := strconv.ParseInt(seconds, 10, 64)
		return n * 1000
	}
	if err := k.heartbeat(t.Context(), func() time.Duration { return 7 * time.Second }, l.state, layout.ID{}); err != nil {
		t.Fatal(err)
	}
	first := asOf()
	if age := clock() + 1000 - first; first == 0 || age < 7000 || age > 20_000 {
		t.Errorf("a state of 7 s is told to be of %d ms", age)
	}
	from := k.lowest()
	// The log held more, which the server hears just now: that is why its state is new.
	heard := func() time.Duration { l.to(30); return 0 }
	if err := k.heartbeat(t.Context(), heard, l.state, layout.ID{}); err != nil {
		t.Fatal(err)
	}
	if asOf() != first {
		t.Errorf("position 20 is told to be current, and the log held more")
	}
	next, err := l.open(t.Context(), from, true)
	if err != nil {
		t.Fatal(err)
	}
	for from.Position < 30 {
		list, err := next(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		to := from
		to.Position, to.Hash = list[len(list)-1].Position, list[len(list)-1].Hash
		if err := k.Apply(t.Context(), from, to, list); err != nil {
			t.Fatal(err)
		}
		if from = to; (asOf() > first) != (from.Position == 30) {
			t.Errorf("position %d is told to be of %d, the one before of %d", from.Position, asOf(), first)
		}
	}
}
