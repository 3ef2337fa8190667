// Package usage counts how often keys are used. Counts are collected in memory and stored in batches beside the read models: they are
// no facts of the log, and a busy key must cost no commit.
package usage

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
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
	mu sync.Mutex
	// uses by key, of few days each.
	uses map[string][]count
}

type count struct {
	day, uses int64
	last      int64 // microseconds
}

// Start collects until Close.
func Start(db *readmodel.Database, clock func() time.Time, logger *slog.Logger) *Recorder {
	r := &Recorder{db: db, clock: clock, logger: logger, stop: make(chan struct{}), ended: make(chan struct{})}
	for i := range r.shards {
		r.shards[i].uses = map[string][]count{}
	}
	go r.keep()
	return r
}

// DayOf is the day of a time, counted from 1970 on in UTC.
func DayOf(t time.Time) int64 { return t.Unix() / 86400 }

// Used counts uses of a key.
func (r *Recorder) Used(key string, uses int64, at time.Time) {
	s, day := r.shard(key), DayOf(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	days := s.uses[key]
	for i := range days {
		if days[i].day == day {
			days[i].uses += uses
			days[i].last = max(days[i].last, at.UnixMicro())
			return
		}
	}
	if days == nil && len(s.uses) >= waitingMost/shards {
		r.mu.Lock()
		r.dropped += uses
		r.mu.Unlock()
		return
	}
	s.uses[key] = append(days, count{day, uses, at.UnixMicro()})
}

func (r *Recorder) shard(key string) *shard { return &r.shards[sum(key)%shards] }

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
		s.uses = make(map[string][]count, len(taken))
		s.mu.Unlock()
		for key, days := range taken {
			for _, c := range days {
				list = append(list, c.use(key))
			}
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

func (c count) use(key string) readmodel.Use {
	return readmodel.Use{Key: key, Day: c.day, Uses: c.uses, LastUsed: time.UnixMicro(c.last).UTC()}
}

// Days answers stored uses of keys from a day on, by key, oldest first, with what waits here added. What other servers have not stored
// yet is missing, and for a moment what is being stored.
func (r *Recorder) Days(ctx context.Context, keys []string, from int64) (map[string][]readmodel.Use, error) {
	list, err := r.db.Usage(ctx, keys, from)
	if err != nil {
		return nil, err
	}
	days := map[string][]readmodel.Use{}
	for _, u := range list {
		days[u.Key] = append(days[u.Key], u)
	}
	for _, key := range keys {
		s := r.shard(key)
		s.mu.Lock()
		waiting := slices.Clone(s.uses[key])
		s.mu.Unlock()
		for _, c := range waiting {
			if c.day >= from {
				days[key] = added(days[key], c.use(key))
			}
		}
	}
	return days, nil
}

// added adds uses to those of their day, in order of days.
func added(days []readmodel.Use, u readmodel.Use) []readmodel.Use {
	i, found := slices.BinarySearchFunc(days, u.Day, func(d readmodel.Use, day int64) int { return cmp.Compare(d.Day, day) })
	if !found {
		return slices.Insert(days, i, u)
	}
	days[i].Uses += u.Uses
	if u.LastUsed.After(days[i].LastUsed) {
		days[i].LastUsed = u.LastUsed
	}
	return days
}

// Close stores what was collected and ends.
func (r *Recorder) Close() error {
	close(r.stop)
	<-r.ended
	ctx, cancel := context.WithTimeout(context.Background(), FlushEvery)
	defer cancel()
	return r.Flush(ctx)
}
