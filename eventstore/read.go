package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

// ErrNotFound is returned by Read when the replica that answered does not have the position. It proves nothing: the
// replica may be behind, and the position may be written later.
var ErrNotFound = errors.New("no message at this position yet")

const (
	directGetSubject = "$JS.API.DIRECT.GET." + StreamName
	leaderGetSubject = "$JS.API.STREAM.MSG.GET." + StreamName
	codeNoMessage    = jetstream.ErrorCode(10037)
	// soonEnough is how long a replica may take to answer before the question is put once more, most likely to another one: one
	// that was cut off swallows every third question.
	soonEnough = 250 * time.Millisecond
)

// getRequest asks for the message at Sequence, or, with NextFor, for the first one from there on.
type getRequest struct {
	Sequence domain.Position `json:"seq"`
	NextFor  string          `json:"next_by_subj,omitempty"`
}

// Read returns what is stored at a position, from any replica. ErrNotFound says that this one does not have it; any other
// error says that nobody answered.
func (l *Log) Read(ctx context.Context, at domain.Position) (Message, error) {
	m, err := l.get(ctx, getRequest{Sequence: at})
	if err == nil && m.Position != at {
		err = fmt.Errorf("the answer holds position %d", m.Position)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read position %d: %w", at, err)
	}
	return m, nil
}

// missing tells whether a replica has messages behind the position, but not the position itself. Replicas copy the
// stream in order, so that one proves a gap.
func (l *Log) missing(ctx context.Context, at domain.Position) (bool, error) {
	m, err := l.get(ctx, getRequest{Sequence: at, NextFor: Subject})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && m.Position > at, err
}

// get asks any replica. It does not use package jetstream, which takes a message that somebody published by hand with a
// Status or Nats-Sequence header for the answer of a server.
func (l *Log) get(ctx context.Context, req getRequest) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return Message{}, err
	}
	impatient, stop := context.WithTimeout(ctx, soonEnough)
	reply, err := l.conn.RequestWithContext(impatient, directGetSubject, body)
	stop()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		reply, err = l.conn.RequestWithContext(ctx, directGetSubject, body)
	}
	if errors.Is(err, nats.ErrNoResponders) {
		// No replica serves direct gets, or the message itself reads "Status: 503".
		return l.getFromLeader(ctx, body)
	}
	if err != nil {
		return Message{}, err
	}
	// The server adds its headers behind those of the message.
	sequence := last(reply.Header[jetstream.SequenceHeader])
	if sequence == "" {
		if status := reply.Header.Get("Status"); status != "404" {
			return Message{}, fmt.Errorf("answer with status %q: %s", status, reply.Header.Get("Description"))
		}
		return Message{}, ErrNotFound
	}
	at, err := strconv.ParseUint(sequence, 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("sequence in the answer: %w", err)
	}
	stored, err := time.Parse(time.RFC3339Nano, last(reply.Header[jetstream.TimeStampHeaer]))
	if err != nil {
		return Message{}, fmt.Errorf("time in the answer: %w", err)
	}
	// The client library makes a copy of its own for each message it receives.
	return Message{Position: domain.Position(at), Data: reply.Data, Time: stored}, nil
}

// getFromLeader asks the stream's leader, whose answer wraps the message and can't be confused with it.
func (l *Log) getFromLeader(ctx context.Context, body []byte) (Message, error) {
	reply, err := l.conn.RequestWithContext(ctx, leaderGetSubject, body)
	if err != nil {
		return Message{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Sequence domain.Position `json:"seq"`
			Data     []byte          `json:"data"`
			Time     time.Time       `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return Message{}, fmt.Errorf("unreadable answer: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == codeNoMessage:
		return Message{}, ErrNotFound
	case answer.Error != nil:
		return Message{}, answer.Error
	case answer.Message == nil:
		return Message{}, errors.New("answer without a message")
	}
	m := answer.Message
	return Message{Position: m.Sequence, Data: m.Data, Time: m.Time}, nil
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
