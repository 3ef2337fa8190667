package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/projectionstest"
	"github.com/tenurehq/tenure/projections/redis/layout"
	"github.com/tenurehq/tenure/tests/redistest"
)

var four = layout.Layout{Prefix: layout.DefaultPrefix, Partitions: 4}

// Whatever a log holds and wherever it is begun, Redis holds the entries of the state behind it. Fails if a changed catalog is told of
// without all entries being written: tried.
func TestEntriesAreThoseOfTheState(t *testing.T) {
	t.Parallel()
	for i, h := range projectionstest.Histories(t) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			l := newLog(h, 1)
			p := started(t, l.config(s.URL()))
			reached(t, p, 1)
			conform(t, four, l.state(), s)
			told := 0
			for at := 1; at < len(h); {
				at = min(len(h), at+1+rand.IntN(1+len(h)/8))
				l.to(at)
				reached(t, p, domain.Position(at))
				conform(t, four, l.state(), s)
				told = chained(t, four, s)
			}
			t.Logf("%d positions, %d changes told, %d entries", len(h), told, len(entriesIn(t, four, s)))
		})
	}
}

// faulty is a client in which something goes wrong between any two commands of a pipeline.
type faulty struct {
	rueidis.Client
	oneIn  int // pipelines
	faults atomic.Int64
}

var errFault = errors.New("a fault of the test")

func (f *faulty) DoMulti(ctx context.Context, multi ...rueidis.Completed) []rueidis.RedisResult {
	if len(multi) == 0 || rand.IntN(f.oneIn) > 0 {
		return f.Client.DoMulti(ctx, multi...)
	}
	f.faults.Add(1)
	k := rand.IntN(len(multi))
	failed := rueidis.NewErrorResult(errFault)
	switch rand.IntN(3) {
	case 0: // one is refused, and what follows is not
		multi[k] = f.B().Arbitrary("EVAL", "return redis.error_reply('OOM of the test')", "1").Keys(keyOf(multi[k])).Build()
		return f.Client.DoMulti(ctx, multi...)
	case 1: // the connection breaks
		var list []rueidis.RedisResult
		if k > 0 {
			list = f.Client.DoMulti(ctx, multi[:k]...)
		}
		for range multi[k:] {
			list = append(list, failed)
		}
		return list
	default: // the answers are lost
		list := f.Client.DoMulti(ctx, multi...)
		for i := k; i < len(list); i++ {
			list[i] = failed
		}
		return list
	}
}

// keyOf is a key of a command, so that another one goes the same way.
func keyOf(c rueidis.Completed) string {
	words := c.Commands()
	switch words[0] {
	case "EVAL", "EVALSHA":
		return words[3]
	case "XINFO":
		return words[2]
	case "TIME":
		return "any"
	}
	return words[1]
}

// disturb makes everything that a projector does go wrong now and then.
func disturb(t testing.TB, p *Projector, oneIn int) *faulty {
	t.Helper()
	var f *faulty
	until(t, "a connection", func() bool {
		c, err := p.conn.get()
		if err != nil {
			return false
		}
		p.conn.mu.Lock()
		defer p.conn.mu.Unlock()
		f = &faulty{Client: c, oneIn: oneIn}
		p.conn.client = f
		return true
	})
	return f
}

// With a fault between any two scripts of a pipeline, and two servers on one Redis, one of which builds all anew now and then, nothing is
// lost and nothing told twice. Fails if a script passes behind one that failed, with its checks of epoch, last id and position taken away:
// tried.
func TestFaultsInPipelines(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 2} {
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			t.Parallel()
			h := random(t, 80)
			s := redistest.Start(t)
			l := newLog(h, 1)
			var list []*Projector
			var faults []*faulty
			for range servers {
				p := started(t, l.config(s.URL()))
				p.sink.mu.Lock()
				p.sink.most = 2 // so that many scripts of a partition are on their way at once
				p.sink.mu.Unlock()
				list, faults = append(list, p), append(faults, disturb(t, p, 6))
			}
			for at := 1; at < len(h); {
				at = min(len(h), at+1+rand.IntN(1+len(h)/6))
				l.to(at)
				for _, p := range list {
					reached(t, p, domain.Position(at))
				}
				conform(t, four, l.state(), s)
				chained(t, four, s)
			}
			for _, f := range faults {
				t.Logf("%d faults", f.faults.Load())
			}
		})
	}
}
