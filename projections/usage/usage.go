// Package usage counts how often keys are used. Counts are collected in memory and stored in batches beside the read models: they are
// no facts of the log, and a busy key must cost no commit.
package usage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tenurehq/tenure/projections/readmodel"
)

const (
	// FlushEvery is how late a use is stored, and how much of it a crash loses.
	FlushEvery = 5 * time.Second
	// KeptDays is for how long daily counts are kept.
	KeptDays = 400
	// waitingMost is how many keys may wait to be stored while the database is away; more are counted as dropped.
	waitingMost = 1 << 20
	shards      = 16
)

// Recorder collects uses. Its methods are safe for concurrent use.
type Recorder struct {
	db     *readmodel.Database
	logger *slog.Logger
	clock  func() time.Time

	shards  [shards]shard
	storing sync.Mutex
	stop    chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	dropped int64
}

type shard struct {
	mu   sync.Mutex
	uses map[use]*count
}

type use struct {
	key string
	day int64
}

type count struct {
	uses int64
	last int64 // microseconds
}

// Start collects until Close.
func Start(db *readmodel.Database, clock func() time.Time, logger *slog.Logger) *Recorder {
	r := &Recorder{db: db, clock: clock, logger: logger, stop: make(chan struct{}), ended: make(chan struct{})}
	for i := range r.shards {
		r.shards[i].uses = map[use]*count{}
	}
	go r.keep()
	return r
}

// DayOf is the day of a time, counted from 1970 on in UTC.
func DayOf(t time.Time) int64 { return t.Unix() / 86400 }

// Used counts uses of a key.
func (r *Recorder) Used(key string, uses int64, at time.Time) {
	s := &r.shards[sum(key)%shards]
	u := use{key, DayOf(at)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.uses[u]
	if c == nil {
		if len(s.uses) >= waitingMost/shards {
			r.mu.Lock()
			r.dropped += uses
			r.mu.Unlock()
			return
		}
		c = &count{}
		s.uses[u] = c
	}
	c.uses += uses
	c.last = max(c.last, at.UnixMicro())
}

func sum(key string) (h uint32) {
	for i := range len(key) {
		h = h*31 + uint32(key[i])
	}
	return h
}

// Dropped counts uses that were not counted, because the database was away for too long.
func (r *Recorder) Dropped() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

func (r *Recorder) keep() {
	defer close(r.ended)
	ticker := time.NewTicker(FlushEvery)
	defer ticker.Stop()
	for day, warned := int64(0), false; ; {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*FlushEvery)
		err := r.Flush(ctx)
		if today := DayOf(r.clock()); err == nil && today != day {
			if err = r.db.DropUsage(ctx, today-KeptDays); err == nil {
				day = today
			}
		}
		cancel()
		if err != nil && !warned {
			r.logger.Warn("usage of keys is not stored now; it waits in memory", "error", err)
		}
		warned = err != nil
	}
}

// Flush stores what was collected; what can't be stored now is kept for the next time.
func (r *Recorder) Flush(ctx context.Context) error {
	r.storing.Lock()
	defer r.storing.Unlock()
	var list []readmodel.Use
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		taken := s.uses
		s.uses = make(map[use]*count, len(taken))
		s.mu.Unlock()
		for u, c := range taken {
			list = append(list, readmodel.Use{Key: u.key, Day: u.day, Uses: c.uses, LastUsed: time.UnixMicro(c.last)})
		}
	}
	if len(list) == 0 {
		return nil
	}
	err := r.db.AddUsage(ctx, list)
	if err != nil {
		for _, u := range list {
			r.Used(u.Key, u.Uses, u.LastUsed)
		}
	}
	return err
}

// Days answers stored uses of keys from a day on, by key, oldest first, with what waits in memory added.
func (r *Recorder) Days(ctx context.Context, keys []string, from int64) (map[string][]readmodel.Use, error) {
	if err := r.Flush(ctx); err != nil {
		return nil, err
	}
	list, err := r.db.Usage(ctx, keys, from)
	if err != nil {
		return nil, err
	}
	days := map[string][]readmodel.Use{}
	for _, u := range list {
		days[u.Key] = append(days[u.Key], u)
	}
	return days, nil
}

// Close stores what was collected and ends.
func (r *Recorder) Close() error {
	close(r.stop)
	<-r.ended
	ctx, cancel := context.WithTimeout(context.Background(), FlushEvery)
	defer cancel()
	return r.Flush(ctx)
}
