// Package accesslog keeps who was refused and who read what is sensitive: beside the log of commits, in a stream of its own that
// forgets by age and size.
//
// It is for looking back, and nothing is decided by it. A request never waits for it and never fails by it: what can't be kept is
// lost, and counted.
package accesslog

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const (
	// flushEvery is how often what waits is stored, and flushAt how many need not wait for that.
	flushEvery = time.Second
	flushAt    = 256
	// capacity is how many records wait for a NATS that does not answer, and patience how long.
	capacity = 4096
	patience = 5 * time.Minute
	// attempt bounds one storing of what waits, and closing.
	attempt = 3 * time.Second
	// published is how many records are on their way to NATS at a time.
	published = 256
)

// Config is what a Recorder stands on.
type Config struct {
	// Conn belongs to the caller, who closes it after the Recorder.
	Conn *nats.Conn
	// Replicas is the number of copies to create the stream with.
	Replicas int
	// MaxAge and MaxBytes are what is kept; DefaultMaxAge and DefaultMaxBytes if 0.
	MaxAge   time.Duration
	MaxBytes int64
	// Seal encrypts a personal value under its subject's key.
	Seal func(ctx context.Context, subject, field, value string) (*eventv1.Sealed, error)
	// Erased tells that a subject's key must not be made again.
	Erased func(subject string) bool
	Logger *slog.Logger

	perSubject int64
}

// Record is a record before it is stored.
type Record struct {
	// Stored is all but what is personal. It belongs to the Recorder from then on, which gives it an id and a count if it has none.
	Stored *eventv1.AccessRecord
	// IP and UserAgent are sealed under Subject.
	Subject, IP, UserAgent string
	// Caller is what alike records are counted by: an account, a key, or the network of a Stranger, who has neither.
	Caller   string
	Stranger bool

	sealed bool
	since  time.Time // when it began to wait
}

// Stats counts what became of records since the start.
type Stats struct {
	// Recorded are stored, Counted are in the count of another record, Dropped are lost, the latest at LastDrop.
	Recorded, Counted, Dropped uint64
	LastDrop                   time.Time
}

// Recorder stores records. Its methods are safe for concurrent use.
type Recorder struct {
	cfg Config
	js  jetstream.JetStream

	mu      sync.Mutex
	waiting []Record
	flying  int // how many are being stored
	repeats repeats
	stats   Stats
	closed  bool

	enough chan struct{} // has a value when flushAt wait
	stop   chan struct{}
	done   sync.WaitGroup
	// Of the goroutine that stores:
	ready bool
	cause error // why the last attempt failed, nil if it did not
}

// Start makes the stream if it can, and stores from then on in the background, until Close. That the stream can't be made now is
// no error: it is tried again.
func Start(ctx context.Context, cfg Config) (*Recorder, error) {
	cfg.MaxAge = cmp.Or(cfg.MaxAge, DefaultMaxAge)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, DefaultMaxBytes)
	cfg.perSubject = cmp.Or(cfg.perSubject, perSubject)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, err
	}
	r := &Recorder{cfg: cfg, js: js, enough: make(chan struct{}, 1), stop: make(chan struct{})}
	r.repeats.began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, attempt)
	r.prepare(ctx)
	cancel()
	r.done.Go(r.run)
	return r, nil
}

// Record takes records to be stored soon. It never waits; what there is no room for is dropped and counted.
func (r *Recorder) Record(records ...Record) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		if record.Stored.Id == "" {
			record.Stored.Id = ulid.Make().String()
		}
		record.Stored.Count, record.since = max(record.Stored.Count, 1), now
		switch r.repeats.judge(record) {
		case keep:
			r.add(record, now)
		case count:
			r.stats.Counted++
		case lose:
			r.drop(1, now)
		}
	}
	if len(r.waiting) >= flushAt {
		select {
		case r.enough <- struct{}{}:
		default:
		}
	}
}

// add lets a record wait. The lock is held.
func (r *Recorder) add(record Record, now time.Time) {
	if r.closed || len(r.waiting)+r.flying >= capacity {
		r.drop(1, now)
		return
	}
	r.waiting = append(r.waiting, record)
}

// drop counts what is lost. The lock is held.
func (r *Recorder) drop(n int, now time.Time) {
	if n > 0 {
		r.stats.Dropped, r.stats.LastDrop = r.stats.Dropped+uint64(n), now
	}
}

// Stats are the counts so far.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Close stores what waits, for some seconds at most. It answers nil: what could not be stored is counted and logged.
func (r *Recorder) Close() error {
	close(r.stop)
	r.done.Wait()
	r.flush(true)
	r.mu.Lock()
	r.closed = true
	left := len(r.waiting)
	r.drop(left, time.Now())
	r.waiting = nil
	dropped := r.stats.Dropped
	r.mu.Unlock()
	if left > 0 {
		r.cfg.Logger.Warn("the end came before all records of the access log were stored", "lost", left, "lost in all", dropped)
	}
	return nil
}

func (r *Recorder) run() {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		case <-r.enough:
		}
		r.flush(false)
	}
}

// flush stores what waits; what can't be stored now waits on, if there is room.
func (r *Recorder) flush(last bool) {
	now := time.Now()
	r.mu.Lock()
	for _, summary := range r.repeats.end(now, last) {
		r.add(summary, now)
	}
	batch := r.waiting
	r.waiting, r.flying = nil, len(batch)
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	if r.prepare(ctx); len(batch) == 0 {
		return
	}
	var failed []Record
	for len(batch) > 0 {
		some := batch[:min(published, len(batch))]
		batch = batch[len(some):]
		if r.ready {
			some = r.store(ctx, some)
		}
		failed = append(failed, some...)
	}
	r.putBack(failed)
}

// putBack lets records wait on in front of those that came meanwhile, as far as there is patience.
func (r *Recorder) putBack(failed []Record) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := failed[:0]
	for _, record := range failed {
		if now.Sub(record.since) < patience {
			kept = append(kept, record)
		}
	}
	r.drop(len(failed)-len(kept), now)
	r.waiting, r.flying = append(kept, r.waiting...), 0
}

// prepare makes sure of the stream, unless nothing happened to it.
func (r *Recorder) prepare(ctx context.Context) {
	if r.ready {
		return
	}
	err := r.cfg.ensureStream(ctx, r.js)
	r.ready = err == nil
	r.tell(err)
}

// tell logs, once, that storing does not work, and that it does again.
func (r *Recorder) tell(err error) {
	switch {
	case err != nil && r.cause == nil:
		r.cfg.Logger.Warn("the access log can't be written, trying again; what does not fit in memory meanwhile is lost", "error", err)
	case err == nil && r.cause != nil:
		r.cfg.Logger.Info("the access log is written again")
	}
	r.cause = err
}

// store publishes records, and answers those that are not known to be stored. One that was stored all the same is not stored twice:
// the stream knows its id for a while.
func (r *Recorder) store(ctx context.Context, records []Record) (failed []Record) {
	sent := make([]*nats.Msg, len(records))
	var cause error
	for i := range records {
		err := r.seal(ctx, &records[i])
		if err == nil {
			sent[i], err = records[i].message()
		}
		cause = cmp.Or(cause, err)
	}
	stored, err := publish(ctx, r.cfg.Conn, sent)
	// The stream may have been deleted.
	r.ready = !errors.Is(err, nats.ErrNoResponders)
	r.tell(cmp.Or(cause, err))
	for i := range records {
		if !stored[i] {
			failed = append(failed, records[i])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Recorded += uint64(len(records) - len(failed))
	return failed
}

// seal encrypts what is personal, once. It is done here because it may have to ask for the key.
func (r *Recorder) seal(ctx context.Context, record *Record) error {
	if record.sealed || record.IP == "" && record.UserAgent == "" || r.cfg.Erased(record.Subject) {
		return nil
	}
	ip, err := r.cfg.Seal(ctx, record.Subject, "ip", record.IP)
	if err != nil {
		return err
	}
	agent, err := r.cfg.Seal(ctx, record.Subject, "user_agent", record.UserAgent)
	if err != nil {
		return err
	}
	if record.Stored.Request == nil {
		record.Stored.Request = &eventv1.RequestInfo{}
	}
	record.Stored.Request.Ip, record.Stored.Request.UserAgent, record.sealed = ip, agent, true
	return nil
}
