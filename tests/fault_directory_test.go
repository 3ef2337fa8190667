package tests

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Processes are started on the directory of one that works, several at once, again and again and under load. Each is
// refused with the words that help, and the first does not notice. When it is killed, of several successors that start at once
// exactly one serves, and it has everything.
//
// Without the lock all of them serve, and destroy the log: tried.
func TestFaultManyProcessesOnOneDirectory(t *testing.T) {
	t.Parallel()
	const rivals = 3
	dir := t.TempDir()
	p := processServe(t, dir)
	var mu sync.Mutex
	api := processClient(t, p.url, processAdmin)
	load := startFaultLoad(t, 8, func(int) *processAPI { mu.Lock(); defer mu.Unlock(); return api })
	load.more(t, 50, "of the first process")
	rival := func() *processServer {
		return processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	}
	var slowest time.Duration
	refused := 0
	for range soak(2, 20) {
		var all []*processServer
		for range rivals {
			all = append(all, rival())
		}
		for _, r := range all {
			r.refused(t, dir, "lock", fmt.Sprintf("process %d", p.cmd.Process.Pid), "stop that process")
			refused++
		}
		load.more(t, 20, "beside refused processes")

		p.kill()
		killed := time.Now()
		all = nil
		for range rivals {
			all = append(all, rival())
		}
		p = nil
		faultUntil(t, "one to serve and the others to be refused", func() bool {
			ended := 0
			for _, r := range all {
				select {
				case <-r.ended:
					ended++
					continue
				default:
				}
				if m := processGreeting.FindStringSubmatch(r.stdout.String()); m != nil && (p == nil || p == r) {
					p, r.url = r, m[1]
				} else if m != nil {
					t.Fatal("two processes serve one directory")
				}
			}
			return p != nil && ended == rivals-1
		})
		refused += rivals - 1
		mu.Lock()
		api = processClient(t, p.url, processAdmin)
		mu.Unlock()
		slowest = max(slowest, load.recovery(t, killed))
		load.more(t, 20, "of a successor")
	}
	load.stop(t)
	end := killPosition(t, api)
	p.kill()
	state, found := killReplay(t, dir, end)
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = slowest
	figures.report(t, "many processes on one directory", refused, " refused, ", load.only(t, "NO_ANSWER"))
}
