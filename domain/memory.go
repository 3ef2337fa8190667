package domain

import (
	"slices"
	"time"
)

// memory is what is remembered of commands that came with an idempotency key: in buckets, the oldest of which is dropped
// whole, because forgetting one by one would cost a search at every commit.
type memory struct {
	Buckets []bucket // oldest first; never changed in place
	Count   int
	// Forgot is the commit time of the newest bucket that was dropped for want of room rather than for its age.
	Forgot time.Time
}

type bucket struct {
	Begin time.Time
	Table Table[string, Remembered]
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
	for _, b := range slices.Backward(s.memory.Buckets) {
		if r, ok := b.Table.Get(string(key)); ok {
			return r, true
		}
	}
	return Remembered{}, false
}

// ForgotEarly tells whether, at a time, idempotency keys younger than MemoryAge have been forgotten for want of room.
func (s *State) ForgotEarly(now time.Time) bool {
	return !s.memory.Forgot.IsZero() && now.Sub(s.memory.Forgot) < MemoryAge
}

func (m memory) remember(key string, r Remembered, at time.Time, capacity int) memory {
	m.Buckets = slices.Clone(m.Buckets)
	last := len(m.Buckets) - 1
	perBucket := max(1, capacity/bucketsMax)
	if last < 0 || at.Sub(m.Buckets[last].Begin) >= bucketAge || m.Buckets[last].Table.Len() >= perBucket {
		m.Buckets = append(m.Buckets, bucket{Begin: at})
		last++
	}
	m.Buckets[last].Table = m.Buckets[last].Table.With(key, r)
	m.Count++
	for len(m.Buckets) > 1 {
		oldest, next := m.Buckets[0], m.Buckets[1]
		old := at.Sub(next.Begin) >= MemoryAge
		if !old && m.Count <= capacity {
			break
		}
		if !old {
			m.Forgot = next.Begin
		}
		m.Count -= oldest.Table.Len()
		m.Buckets = m.Buckets[1:]
	}
	return m
}
