package engine

import "github.com/tenurehq/tenure/domain"

// countsMax is of how many positions it is remembered how many events they hold.
const countsMax = 1 << 16

// counts remembers how many events the newest positions hold: positions say where a projection is, events how much work it has left.
type counts struct {
	ring []counted
	// first is the position in front of the counted ones, newest the last of them, total their events.
	first, newest domain.Position
	total         uint64
}

type counted struct {
	at    domain.Position
	until uint64 // events up to here, this position's included
}

func (c *counts) put(at domain.Position, events int) {
	if c.ring == nil {
		c.ring = make([]counted, countsMax)
		c.first = at - 1
	}
	c.newest = at
	c.total += uint64(events)
	c.ring[uint64(at)%countsMax] = counted{at, c.total}
}

// until is how many were counted up to a position, if that is remembered.
func (c *counts) until(at domain.Position) (n uint64, ok bool) {
	if c.ring == nil {
		return 0, false
	}
	if at == c.first {
		return 0, true
	}
	slot := c.ring[uint64(at)%countsMax]
	return slot.until, slot.at == at && at > 0
}

// EventsBehind is how many events the log holds behind a position that the state has passed. What is further back than the newest 65,536
// positions, or than where this server began to read, is taken to hold as many as those do on average.
func (e *Engine) EventsBehind(at domain.Position) uint64 {
	e.applying.Lock()
	defer e.applying.Unlock()
	c := &e.counts
	end := e.State().Position
	if at >= end {
		return 0
	}
	if n, ok := c.until(at); ok {
		return c.total - n
	}
	if c.newest == 0 {
		return uint64(end - at) // nothing was counted yet
	}
	oldest := max(c.first, c.newest-min(c.newest, countsMax-1))
	n, _ := c.until(oldest)
	counted := c.total - n
	mean := float64(counted) / float64(end-oldest)
	return counted + uint64(mean*float64(oldest-at)+0.5)
}
