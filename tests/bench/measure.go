package main

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func median[T cmp.Ordered](list []T) T {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// perOp is how long one call of op takes, by one goroutine.
func perOp(s sizes, op func(i int)) time.Duration {
	n, began := 0, time.Now()
	for time.Since(began) < s.round {
		for range 64 {
			op(n)
			n++
		}
	}
	return time.Since(began) / time.Duration(n)
}

// inTurns measures several operations round by round, so that what else the machine does hits all of them, and answers the
// median of each in nanoseconds.
func inTurns(s sizes, ops ...func(i int)) []float64 {
	times := make([][]float64, len(ops))
	for _, op := range ops {
		op(0)
	}
	for range s.rounds {
		for i, op := range ops {
			times[i] = append(times[i], float64(perOp(s, op)))
		}
	}
	medians := make([]float64, len(ops))
	for i := range ops {
		medians[i] = median(times[i])
	}
	return medians
}

// load is what a closed loop of callers achieved.
type load struct {
	perSecond float64
	p50, p99  time.Duration
	// cpu is the processor time of this process, per call.
	cpu time.Duration
}

// closedLoop lets n callers call one after the other for a time.
func closedLoop(n int, d time.Duration, call func(caller, i int)) load {
	var stop atomic.Bool
	var working sync.WaitGroup
	took := make([][]time.Duration, n)
	cpu, began := cpuTime(), time.Now()
	for c := range n {
		working.Go(func() {
			for i := 0; !stop.Load(); i++ {
				began := time.Now()
				call(c, i)
				took[c] = append(took[c], time.Since(began))
			}
		})
	}
	time.Sleep(d)
	stop.Store(true)
	working.Wait()
	elapsed := time.Since(began)
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	return load{
		perSecond: float64(len(all)) / elapsed.Seconds(), p50: all[len(all)/2], p99: all[len(all)*99/100],
		cpu: (cpuTime() - cpu) / time.Duration(len(all)),
	}
}

// loadsInTurns measures several loads round by round, and answers of each the round with the median rate.
func loadsInTurns(s sizes, callers int, calls ...func(caller, i int)) []load {
	loads := make([][]load, len(calls))
	for range s.rounds {
		for i, call := range calls {
			loads[i] = append(loads[i], closedLoop(callers, s.round, call))
		}
	}
	medians := make([]load, len(calls))
	for i := range calls {
		slices.SortFunc(loads[i], func(a, b load) int { return cmp.Compare(a.perSecond, b.perSecond) })
		medians[i] = loads[i][len(loads[i])/2]
	}
	return medians
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heapBytes is what is reachable.
func heapBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
