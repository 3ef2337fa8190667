package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// appliedPerSecond is what is written while readers read.
const appliedPerSecond = 5000

// readers is how much reading is left while commands are applied.
func readers(s sizes) (rows []row) {
	w := serving(s)
	read := domain.ParsePermission(domain.ProjectLevel, "project:read")
	questions := w.questions(asked)
	order := rand.Perm(len(w.keys))
	for _, m := range []struct {
		what string
		op   func(*world) func(int)
	}{
		{"Check", func(w *world) func(int) { return w.checking(questions, read, time.Now()) }},
		{"VerifyKey", func(w *world) func(int) { return w.verifying(order, time.Now()) }},
	} {
		reading := func(_, i int) {
			now := *w.world
			now.s = w.Engine.State()
			ask := m.op(&now)
			for j := range 64 {
				ask(i*64 + j)
			}
		}
		var rest, busy, applied []float64
		for range s.rounds {
			rest = append(rest, closedLoop(2, s.round, reading).perSecond*64)
			stop := w.writing()
			before, began := w.Engine.Stats().Commands, time.Now()
			busy = append(busy, closedLoop(2, s.round, reading).perSecond*64)
			applied = append(applied, float64(w.Engine.Stats().Commands-before)/time.Since(began).Seconds())
			stop()
		}
		r := atLeast(row{
			What: m.what + " by 2 readers while commands are applied", Figure: median(busy), Unit: "/s", Floor: median(rest), FloorIs: "at rest",
			Note: number(median(applied)) + " commands/s",
		}, 0.8)
		// Readers that were disturbed less than the bar is about have not met it.
		if median(applied) < 0.95*appliedPerSecond {
			r.Missed = true
			r.Note += fmt.Sprintf(", %s wanted", number(appliedPerSecond))
		}
		rows = append(rows, r)
	}
	return rows
}

// writing gives commands at an even pace until stop is called.
func (w *seeded) writing() (stop func()) {
	var done atomic.Bool
	var working sync.WaitGroup
	// Enough callers that a slow disk makes groups larger and not fewer commands.
	const each = 256
	pace := make(chan struct{}, each)
	working.Go(func() {
		defer close(pace)
		began := time.Now()
		for n := 0; !done.Load(); n++ {
			if ahead := time.Duration(n)*time.Second/appliedPerSecond - time.Since(began); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
			pace <- struct{}{}
		}
	})
	for range each {
		working.Go(func() {
			for i := rand.IntN(3); ; i++ {
				if _, ok := <-pace; !ok {
					return
				}
				must(w.Engine.Execute(context.Background(), engine.Request{
					Command: w.command(i), Rule: anyRule, Actor: instance, Info: &eventv1.RequestInfo{RequestId: ulid.Make().String()},
				}))
			}
		})
	}
	return func() { done.Store(true); working.Wait() }
}
