package accesslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const (
	// readLimit is how many records one call of Read looks at, about. window is in how many sequences it looks for them at first, and
	// how many it takes from there at once: more if there are few of them, and less again if there are many. windows is how many it
	// goes through.
	readLimit = 4000
	window    = 512
	windows   = 100
	// late is how long a record may be on its way to the stream, and how far clocks differ: that much earlier and later is looked.
	late = patience + time.Minute

	directGet = "$JS.API.DIRECT.GET." + StreamName
)

// Query says what to read.
type Query struct {
	// Org is the organization whose records are read; all if empty. Others' are not even looked at.
	Org string
	// Kind is what is read; all kinds if unspecified.
	Kind eventv1.AccessRecord_Kind
	// Since and Until bound the time of the records, Until excluded; zero for none.
	Since, Until time.Time
	// Before is where the page begins: behind the newest if 0.
	Before uint64
	// Limit is how many records are wanted.
	Limit int
	// Match is what else is demanded of a record.
	Match func(*eventv1.AccessRecord) bool
}

func (q Query) subject() string {
	org, kind := q.Org, "*"
	if org == "" {
		org = "*"
	}
	if q.Kind != eventv1.AccessRecord_KIND_UNSPECIFIED {
		kind = kindName(q.Kind)
	}
	return subjectPrefix + org + "." + kind + ".*"
}

// Page is what was read: newest first, and where the next page begins; 0 if there is none.
type Page struct {
	Records []*eventv1.AccessRecord
	Next    uint64
}

// ErrUnreachable is returned by Read when NATS does not answer, or has no such stream.
var ErrUnreachable = errors.New("the access log can't be read now")

// message is a stored record and its place.
type message struct {
	sequence uint64
	record   *eventv1.AccessRecord
}

// Read answers a page. It may be empty and still have a next one: each call reads a bounded part. A replica that is behind can miss
// the newest.
func (r *Recorder) Read(ctx context.Context, q Query) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*attempt)
	defer cancel()
	oldest, newest, err := r.bounds(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	page, span := Page{}, uint64(window)
	for looked, n := 0, 0; looked < readLimit && n < windows; n++ {
		if newest < oldest || newest == 0 {
			return page, nil
		}
		from := oldest
		if newest-oldest >= span {
			from = newest - span + 1
		}
		messages, err := r.between(ctx, q.subject(), from, newest)
		if err != nil {
			return Page{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		looked += len(messages)
		if len(messages) > window {
			span = max(span/8, window)
			continue
		}
		for _, m := range slices.Backward(messages) {
			if !q.wants(m.record) {
				continue
			}
			if len(page.Records) == q.Limit {
				page.Next = newest + 1
				return page, nil
			}
			page.Records = append(page.Records, m.record)
			newest = m.sequence - 1
		}
		newest = from - 1
		if len(messages) < window/4 {
			span = min(4*span, 1<<40)
		}
	}
	page.Next = newest + 1
	return page, nil
}

func (q Query) wants(a *eventv1.AccessRecord) bool {
	if a.Id == "" || q.Org != "" && a.OrgId != q.Org {
		return false // published by hand
	}
	at := a.Time.AsTime()
	return !at.Before(q.Since) && (q.Until.IsZero() || at.Before(q.Until)) && (q.Match == nil || q.Match(a))
}

// bounds are the first and the last sequence to look at; the last is 0 if there is nothing.
func (r *Recorder) bounds(ctx context.Context, q Query) (oldest, newest uint64, err error) {
	last, err := r.get(ctx, getRequest{LastFor: q.subject()})
	if err != nil || len(last) == 0 {
		return 0, 0, err
	}
	newest = last[0].sequence
	if q.Before > 0 {
		newest = min(newest, q.Before-1)
	}
	if !q.Until.IsZero() {
		after := q.Until.Add(late)
		behind, err := r.get(ctx, getRequest{StartTime: &after, NextFor: q.subject(), Batch: 1})
		if err != nil {
			return 0, 0, err
		}
		if len(behind) > 0 {
			newest = min(newest, behind[0].sequence-1)
		}
	}
	first := getRequest{Sequence: 1, NextFor: q.subject(), Batch: 1}
	if !q.Since.IsZero() {
		from := q.Since.Add(-late)
		first.Sequence, first.StartTime = 0, &from
	}
	begin, err := r.get(ctx, first)
	if err != nil || len(begin) == 0 {
		return 0, 0, err
	}
	return begin[0].sequence, newest, nil
}

// between are the messages in a range of sequences, oldest first: all if there are no more than window, else more than that.
func (r *Recorder) between(ctx context.Context, subject string, from, to uint64) (all []message, err error) {
	for from <= to && len(all) <= window {
		some, err := r.get(ctx, getRequest{Sequence: from, NextFor: subject, Batch: window})
		if err != nil {
			return nil, err
		}
		for _, m := range some {
			if m.sequence > to {
				return all, nil
			}
			all, from = append(all, m), m.sequence+1
		}
		if len(some) < window {
			break
		}
	}
	return all, nil
}

// getRequest asks for the last message on a subject, or for some from a sequence or time on.
type getRequest struct {
	Sequence  uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	Batch     int        `json:"batch,omitempty"`
}

// get asks any replica. It returns an error unless all of the answer came.
func (r *Recorder) get(ctx context.Context, req getRequest) (messages []message, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	conn := r.cfg.Conn
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := conn.PublishRequest(directGet, inbox, body); err != nil {
		return nil, err
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		// The server adds its headers behind those of the message.
		sequence := ""
		if all := m.Header[jetstream.SequenceHeader]; len(all) > 0 {
			sequence = all[len(all)-1]
		}
		switch status := m.Header.Get("Status"); {
		case sequence == "" && (status == "404" || status == "204"):
			return messages, nil
		case sequence == "":
			return nil, fmt.Errorf("answer with status %q: %s", status, m.Header.Get("Description"))
		}
		got, err := read(sequence, m)
		if err != nil {
			return nil, err
		}
		if messages = append(messages, got); req.Batch == 0 {
			return messages, nil
		}
	}
}

func read(sequence string, m *nats.Msg) (message, error) {
	at, err := strconv.ParseUint(sequence, 10, 64)
	if err != nil || at == 0 {
		return message{}, fmt.Errorf("sequence %q in the answer", sequence)
	}
	record := &eventv1.AccessRecord{}
	if err := proto.Unmarshal(m.Data, record); err != nil {
		record = &eventv1.AccessRecord{}
	}
	return message{at, record}, nil
}
