package domain

import (
	"slices"
	"time"
)

// memory is what is remembered of commands that came with an idempotency key: in buckets, the oldest of which is dropped
// whole, because forgetting one by one would cost a search at every commit.
type memory struct {
	buckets []bucket // oldest first; never changed in place
	count   int
	// forgot is the commit time of the newest bucket that was dropped for want of room rather than for its age.
	forgot time.Time
}

type bucket struct {
	begin time.Time
	table Table[string, Remembered]
}

// Remembered is where the outcome of a command stands in the log.
type Remembered struct {
	Position Position
	// Index is the entry's place in the commit.
	Index int
	// Command is the digest of the command's name and content.
	Command string
}

const (
	// MemoryAge is how long an idempotency key is remembered at least, if there is room, and by one bucket more at most.
	MemoryAge  = 24 * time.Hour
	bucketAge  = time.Hour
	bucketsMax = 32 // so that a full memory forgets a thirty-second of it at a time
)

// Recall finds the outcome of the command that came with an idempotency key, by the digest of actor and key.
func (s *State) Recall(key []byte) (Remembered, bool) {
	for _, b := range slices.Backward(s.memory.buckets) {
		if r, ok := b.table.Get(string(key)); ok {
			return r, true
		}
	}
	return Remembered{}, false
}

// ForgotEarly tells whether, at a time, idempotency keys younger than MemoryAge have been forgotten for want of room.
func (s *State) ForgotEarly(now time.Time) bool {
	return !s.memory.forgot.IsZero() && now.Sub(s.memory.forgot) < MemoryAge
}

func (m memory) remember(key string, r Remembered, at time.Time, capacity int) memory {
	m.buckets = slices.Clone(m.buckets)
	last := len(m.buckets) - 1
	perBucket := max(1, capacity/bucketsMax)
	if last < 0 || at.Sub(m.buckets[last].begin) >= bucketAge || m.buckets[last].table.Len() >= perBucket {
		m.buckets = append(m.buckets, bucket{begin: at})
		last++
	}
	m.buckets[last].table = m.buckets[last].table.With(key, r)
	m.count++
	for len(m.buckets) > 1 {
		oldest, next := m.buckets[0], m.buckets[1]
		old := at.Sub(next.begin) >= MemoryAge
		if !old && m.count <= capacity {
			break
		}
		if !old {
			m.forgot = next.begin
		}
		m.count -= oldest.table.Len()
		m.buckets = m.buckets[1:]
	}
	return m
}
