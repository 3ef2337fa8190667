package accesslog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// filled writes records of three organizations past the Recorder's bounds, whose ids are their numbers: every thousandth of "few", as
// many of "burst" and every second one in the beginning, all others of "many".
func filled(t *testing.T, r *Recorder, n int) (many, few, burst []string) {
	t.Helper()
	var batch []*nats.Msg
	for i := range n {
		org, list := "many", &many
		switch {
		case i%1000 == 7:
			org, list = "few", &few
		case i%1000 == 11 || i < 2000 && i%2 == 0:
			org, list = "burst", &burst
		}
		record := denied(org, i)
		record.Stored.Id = fmt.Sprint(i)
		*list = append(*list, fmt.Sprint(i))
		m, err := record.message()
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, m); len(batch) < published && i < n-1 {
			continue
		}
		stored, err := publish(t.Context(), r.cfg.Conn, batch)
		if err != nil || slices.Contains(stored, false) {
			t.Fatal(err)
		}
		batch = nil
	}
	slices.Reverse(many)
	slices.Reverse(few)
	slices.Reverse(burst)
	return many, few, burst
}

// Pages hold every record once, newest first, of the organization asked for alone, however many others stand between; one call reads a
// bounded part. Seen to fail when between takes a full batch for the end, and when the span is not made smaller again.
func TestReadPages(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := start(t, b.config(t))
	defer stop(t, r)
	many, few, burst := filled(t, r, 12_000)
	for _, c := range []struct {
		q     Query
		want  []string
		pages int
	}{
		{Query{Org: "few", Limit: 5}, few, 3},
		{Query{Org: "few", Limit: 100}, few, 1},
		{Query{Org: "many", Limit: 999}, many, 11},
		{Query{Org: "many", Limit: 1000, Before: 100}, many[len(many)-47:], 1},
		{Query{Org: "burst", Limit: 2000}, burst, 1},
		{Query{Org: "burst", Limit: 100}, burst, 11},
		{Query{Org: "none", Limit: 5}, nil, 1},
		{Query{Org: "few", Limit: 5, Kind: eventv1.AccessRecord_KIND_READ}, nil, 1},
		{Query{Org: "few", Limit: 50, Kind: eventv1.AccessRecord_KIND_DENIED}, few, 1},
	} {
		got, pages := all(t, r, c.q)
		if !slices.Equal(got, c.want) || pages != c.pages {
			t.Errorf("%+v: %d records in %d pages, want %d in %d", c.q, len(got), pages, len(c.want), c.pages)
		}
	}
	// Where nothing matches, the pages are empty and go on.
	got, pages := all(t, r, Query{Org: "many", Limit: 5, Match: func(a *eventv1.AccessRecord) bool { return a.Id == "3" }})
	if !slices.Equal(got, []string{"3"}) || pages < 12_000/(readLimit+window) || pages > 5 {
		t.Errorf("a rare one: %v in %d pages", got, pages)
	}
}

// Times bound what is read, and what was published by hand is nobody's. Seen to fail without the checks of wants.
func TestReadBounds(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := start(t, b.config(t))
	defer stop(t, r)
	now := time.Now()
	for i := range 10 {
		record := denied("acme", i)
		record.Stored.Time = timestamppb.New(now.Add(time.Duration(i-10) * time.Minute))
		r.Record(record)
	}
	until(t, "records", func() bool { return r.Stats().Recorded == 10 })
	for _, s := range []string{"tenure.access.acme.denied.own", "tenure.access.acme.denied.foreign"} {
		m := nats.NewMsg(s)
		m.Data = []byte("by hand")
		m.Header.Set("Nats-Sequence", "1")
		m.Header.Set("Status", "404")
		if _, err := publish(t.Context(), r.cfg.Conn, []*nats.Msg{m}); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := all(t, r, Query{Org: "acme", Since: now.Add(-7 * time.Minute), Until: now.Add(-3 * time.Minute), Limit: 3})
	if want := []string{"6", "5", "4", "3"}; !slices.Equal(got, want) {
		t.Errorf("in the time: %v, want %v", got, want)
	}
	if got, _ := all(t, r, Query{Limit: 3}); len(got) != 10 {
		t.Errorf("all of them: %v", got)
	}
	if got, _ := all(t, r, Query{Since: now.Add(time.Hour), Limit: 3}); got != nil {
		t.Errorf("in the future: %v", got)
	}
	if got, _ := all(t, r, Query{Until: now.Add(-time.Hour), Limit: 3}); got != nil {
		t.Errorf("long ago: %v", got)
	}
}

// The stream is not flushed with each message though the server flushes all others, forgets by size and keeps serving what is left; a
// server with other settings gives it those. A read without a stream is an error, and the stream comes back by itself.
func TestStream(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	cfg := b.config(t)
	cfg.MaxBytes = 256 << 10
	r := start(t, cfg)
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		t.Fatal(err)
	}
	config := func() jetstream.StreamConfig {
		stream, err := js.Stream(t.Context(), StreamName)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	if c := config(); c.PersistMode != jetstream.AsyncPersistMode || c.MaxAge != DefaultMaxAge || c.MaxBytes != cfg.MaxBytes || c.Discard != jetstream.DiscardOld {
		t.Errorf("made with %+v", c)
	}
	many, _, _ := filled(t, r, 5000)
	got, _ := all(t, r, Query{Org: "many", Limit: 1000})
	if len(got) < 500 || len(got) > 4000 || !slices.Equal(got, many[:len(got)]) {
		t.Errorf("of 5000 in 256 KiB %d are left", len(got))
	}
	stop(t, r)

	other := b.config(t)
	other.MaxAge = time.Minute
	r = start(t, other)
	defer stop(t, r)
	if c := config(); c.MaxAge != time.Minute || c.MaxBytes != DefaultMaxBytes || c.PersistMode != jetstream.AsyncPersistMode {
		t.Errorf("changed to %+v", c)
	}
	if err := js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := r.Read(ctx, Query{Limit: 1}); err == nil {
		t.Error("without a stream: no error")
	}
	r.Record(denied("acme", 1))
	until(t, "the stream to come back", func() bool { return r.Stats().Recorded == 1 })
}

// Whoever makes many records pushes out no others: an outsider not those of the organization's own people, one organization not
// another's, reads not refusals. Seen to fail with one subject for all of an organization.
func TestFloodsPushOutNoOthers(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	cfg := b.config(t)
	cfg.perSubject = 20
	r := start(t, cfg)
	defer stop(t, r)
	few := []Record{denied("acme", 1), denied("care", 2)}
	r.Record(few...)
	until(t, "the few", func() bool { return r.Stats().Recorded == 2 })
	for i := range 50 {
		outsider, reader := denied("acme", 100+i), denied("care", 200+i)
		outsider.Stored.Own, reader.Stored.Kind = false, eventv1.AccessRecord_KIND_READ
		r.Record(outsider, reader)
	}
	until(t, "the many", func() bool { return r.Stats().Recorded == 102 })
	for org, first := range map[string]string{"acme": "1", "care": "2"} {
		if ids, _ := all(t, r, Query{Org: org, Limit: 100}); len(ids) != 21 || ids[20] != first {
			t.Errorf("%s has %v", org, ids)
		}
	}
}
