package tests

import (
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/internal/engine"
)

// On one server with the log inside, everything is linearizable, whatever level is asked.
//
// With the state left to the live reader by applyOwn, what was made a moment ago is not found; with reads by minimize_latency from
// a state some commits old, no history is linearizable: both tried.
func TestLinearEmbedded(t *testing.T) {
	t.Parallel()
	e := linearEngine(t, linearEmbedded(t), "one", true)
	all := []engine.Level{engine.Linearizable, engine.LeaderLatest, engine.AtLeast, engine.MinimizeLatency}
	for history := range soak(2, 40) {
		r := newLinearRun(t, 4*history, 4, all, nil, e)
		stop := r.work(t, 6)
		r.until(t, 2000, nobody, "writes to the embedded log")
		stop()
		r.accepted(t)
		t.Logf("embedded, reads by all levels: %s", r)
	}
}

// Three engines on three replicas in processes, while the log's leader steps down, servers are killed, paused and cut off: what
// was asked as linearizable is, and commands are always, refusals and those that change nothing too. Every read by another
// level is what docs/ARCHITECTURE.md says of it: it may miss what others have written, and sees a state that once was; a
// server never goes back; a token is kept; and leader_latest is behind only while a leader is cut off or paused.
//
// With Await asking the leader in place of an append for linearizable, the history is not linearizable; with minimize_latency from
// a state some commits old, and at_least from whatever is there, judge says so for hundreds of reads: all tried.
func TestLinearCluster(t *testing.T) {
	t.Parallel()
	p, engines := linearCluster(t)
	for history := range soak(1, 12) {
		r := newLinearRun(t, 4*history, 4, []engine.Level{engine.Linearizable},
			[]engine.Level{engine.MinimizeLatency, engine.AtLeast, engine.LeaderLatest}, engines...)
		stop := r.work(t, 2)
		r.faults(t, p)
		stop()
		for i, e := range engines {
			faultUntil(t, fmt.Sprintf("server %d to be back", i), func() bool {
				_, err := e.Await(processContext(t), engine.Consistency{Level: engine.Linearizable})
				return err == nil
			})
		}
		r.accepted(t)
		t.Logf("three servers: %s%s", r, linearCounts(r.judge(t)))
	}
}
