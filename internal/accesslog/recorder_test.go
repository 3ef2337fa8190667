package accesslog

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Close stores what waits, each record once, with what is personal sealed under its subject, unless that one was erased. Seen to fail
// when Close does not flush.
func TestCloseStoresWhatWaits(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := start(t, b.config(t))
	for i := range 3 {
		record := denied("acme", i)
		record.Subject, record.IP, record.UserAgent = []string{"ada", "erased", "key"}[i], "203.0.113.1", "agent"
		r.Record(record)
	}
	if got := stop(t, r); got.Recorded != 3 || got.Dropped != 0 {
		t.Errorf("%+v", got)
	}
	again := start(t, b.config(t))
	defer stop(t, again)
	page, err := again.Read(t.Context(), Query{Limit: 10})
	if err != nil || len(page.Records) != 3 || page.Next != 0 {
		t.Fatalf("%v, %v", page, err)
	}
	for i, want := range []string{"ip 203.0.113.1", "", "ip 203.0.113.1"} {
		if got := string(page.Records[i].Request.GetIp().GetData()); got != want {
			t.Errorf("record %d has %q, want %q", i, got, want)
		}
	}
	if got := page.Records[2].Request; got.Ip.Subject != "ada" || string(got.UserAgent.Data) != "user_agent agent" {
		t.Errorf("sealed: %v", got)
	}
}

// While NATS is away records wait, as many as there is room for; the rest is dropped and counted, and recording takes no longer. When it
// is back those that waited are stored, once each. Seen to fail without the bound, and without putBack.
func TestNATSAway(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := start(t, b.config(t))
	defer stop(t, r)
	b.stop()
	const more = 100
	var longest time.Duration
	for i := range capacity + more {
		// A caller of its own each time, in turns that fit what is counted in a period.
		record := denied("acme", i)
		began := time.Now()
		r.Record(record)
		longest = max(longest, time.Since(began))
		if i%1000 == 999 {
			r.mu.Lock()
			r.repeats.end(time.Now(), true)
			r.mu.Unlock()
		}
	}
	if longest > time.Second {
		t.Errorf("a record took %s", longest)
	}
	if got := r.Stats(); got.Recorded != 0 || got.Dropped < more || time.Since(got.LastDrop) > time.Minute {
		t.Errorf("away: %+v", got)
	}
	b.start(t)
	until(t, "all to be stored", func() bool { got := r.Stats(); return got.Recorded+got.Dropped == capacity+more })
	got := r.Stats()
	ids, _ := all(t, r, Query{Org: "acme", Limit: 1000})
	slices.Sort(ids)
	if unique := len(slices.Compact(slices.Clone(ids))); unique != len(ids) || uint64(unique) != got.Recorded || unique < capacity-published {
		t.Errorf("%d stored, %d of them different, %+v", len(ids), unique, got)
	}
}

// A Recorder that gets no answers ends within seconds, and counts all as lost. Seen to fail with a flush without a deadline.
func TestCloseWithoutAnswers(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	cfg := b.config(t)
	cfg.Seal = func(ctx context.Context, _, _, _ string) (*eventv1.Sealed, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r := start(t, cfg)
	for i := range 10 {
		record := denied("acme", i)
		record.IP = "203.0.113.1"
		r.Record(record)
	}
	began, done := time.Now(), make(chan Stats, 1)
	go func() { done <- stop(t, r) }()
	select {
	case got := <-done:
		if took := time.Since(began); got.Dropped != 10 || got.Recorded != 0 || took > 3*attempt {
			t.Errorf("%+v after %s", got, took)
		}
	case <-time.After(10 * attempt):
		t.Fatal("it does not end")
	}
	r.Record(denied("acme", 11))
	if got := r.Stats(); got.Dropped != 11 {
		t.Errorf("after the end: %+v", got)
	}
}

// What can't be sealed now waits as what can't be stored. Seen to fail when such a record is stored without.
func TestSealingAway(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	cfg := b.config(t)
	seal, away := cfg.Seal, atomic.Bool{}
	away.Store(true)
	cfg.Seal = func(ctx context.Context, subject, field, value string) (*eventv1.Sealed, error) {
		if away.Load() {
			return nil, errors.New("away")
		}
		return seal(ctx, subject, field, value)
	}
	r := start(t, cfg)
	defer stop(t, r)
	record := denied("acme", 1)
	record.Subject, record.IP = "ada", "203.0.113.1"
	r.Record(record, denied("acme", 2))
	until(t, "the one without", func() bool { return r.Stats().Recorded == 1 })
	away.Store(false)
	until(t, "the other", func() bool { return r.Stats().Recorded == 2 })
	page, err := r.Read(t.Context(), Query{Limit: 10})
	if err != nil || len(page.Records) != 2 || page.Records[0].Request.GetIp() == nil {
		t.Errorf("%v, %v", page, err)
	}
}

// Alike records are kept a few times one by one and then counted; strangers of one network are alike whatever they ask; one caller has
// so many kinds, and all have together. Seen to fail with each bound taken out.
func TestRepeats(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := repeats{began: now}
	verdicts := func(n int, record func(i int) Record) (got [3]int) {
		for i := range n {
			got[r.judge(record(i))]++
		}
		return got
	}
	same := func(int) Record { return denied("acme", 1) }
	if got, want := verdicts(20, same), [3]int{verbatim, 20 - verbatim, 0}; got != want {
		t.Errorf("alike: %v, want %v", got, want)
	}
	stranger := func(i int) Record {
		return Record{Caller: "203.0.113.1", Stranger: true, Stored: &eventv1.AccessRecord{Procedure: string(rune('a' + i)), Code: "unauthenticated"}}
	}
	if got, want := verdicts(20, stranger), [3]int{verbatim, 20 - verbatim, 0}; got != want {
		t.Errorf("a stranger: %v, want %v", got, want)
	}
	many := func(i int) Record {
		record := denied("acme", 2)
		record.Stored.ProjectId = string(rune('a' + i))
		return record
	}
	if got, want := verdicts(perCaller+20, many), [3]int{perCaller, 0, 20}; got != want {
		t.Errorf("one caller: %v, want %v", got, want)
	}
	others := func(i int) Record { return denied("acme", 3+i) }
	left := tracked - 2 - perCaller
	if got, want := verdicts(left+20, others), [3]int{left, 0, 20}; got != want {
		t.Errorf("many callers: %v, want %v", got, want)
	}
	if got := r.end(now.Add(period-1), false); got != nil {
		t.Errorf("before the end: %v", got)
	}
	var counts []uint32
	for _, summary := range r.end(now.Add(period), false) {
		counts = append(counts, summary.Stored.Count)
	}
	if want := []uint32{20 - verbatim, 20 - verbatim}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	if got := r.judge(same(0)); got != keep {
		t.Errorf("in the next period: %v", got)
	}
}

// The number of what was counted is stored at the end of the period, or at the end of the Recorder.
func TestCountsAreStored(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := start(t, b.config(t))
	for range 12 {
		r.Record(denied("acme", 1))
	}
	if got := stop(t, r); got.Recorded != verbatim+1 || got.Counted != 12-verbatim || got.Dropped != 0 {
		t.Errorf("%+v", got)
	}
	again := start(t, b.config(t))
	defer stop(t, again)
	page, err := again.Read(t.Context(), Query{Org: "acme", Limit: 10})
	if err != nil || len(page.Records) != verbatim+1 || page.Records[0].Count != 12-verbatim || page.Records[1].Count != 1 {
		t.Errorf("%v, %v", page, err)
	}
}
