package engine

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// How many events a projection has before it is exact for the newest positions, voids among them, and estimated by them for what is
// further back. Fails if a position counts itself among those behind it: tried.
func TestEventsBehind(t *testing.T) {
	t.Parallel()
	const began, end = 10, 10 + countsMax + 100 // the server read from a snapshot at 10 on
	e := &Engine{}
	e.state.Store((&domain.State{}).Void(began, domain.Hash{}))
	if n := e.EventsBehind(4); n != 6 {
		t.Errorf("as long as nothing was counted, %d positions are %d events", 6, n)
	}
	events := func(at int) int { return at % 3 } // 1 on average
	exact := uint64(0)
	for at := began + 1; at <= end; at++ {
		e.counts.put(domain.Position(at), events(at))
	}
	e.state.Store((&domain.State{}).Void(end, domain.Hash{}))
	for at := end; at > end-countsMax; at-- {
		if got := e.EventsBehind(domain.Position(at)); got != exact {
			t.Fatalf("behind %d are %d events, not %d", at, got, exact)
		}
		exact += uint64(events(at))
	}
	if got, want := e.EventsBehind(began), uint64(0); true {
		for at := began + 1; at <= end; at++ {
			want += uint64(events(at))
		}
		if got != want {
			t.Errorf("behind the snapshot are %d events, not %d", got, want)
		}
	}
	for _, at := range []domain.Position{0, 5, began + 50} {
		if got, about := e.EventsBehind(at), uint64(end-at); got < about-2 || got > about+2 {
			t.Errorf("behind %d are about %d events, not %d", at, about, got)
		}
	}
	if n := e.EventsBehind(end + 5); n != 0 {
		t.Errorf("behind the end are %d events", n)
	}
}
