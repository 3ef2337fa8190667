package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/projections"
)

// published is how many messages are on their way to NATS at a time.
const published = 256

// Codes of JetStream for a guard that refused.
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164
)

// publish stores messages behind a sequence, in order and without a gap. After an error some of the first ones may be stored; it is
// ErrCheckpointMoved if the stream did not end there.
func publish(ctx context.Context, conn *nats.Conn, last uint64, messages []*nats.Msg) error {
	for len(messages) > 0 {
		some := messages[:min(published, len(messages))]
		if err := publishSome(ctx, conn, last, some); err != nil {
			return err
		}
		messages, last = messages[len(some):], last+uint64(len(some))
	}
	return nil
}

// publishSome sends messages one behind the other without waiting, and then waits for all answers.
func publishSome(ctx context.Context, conn *nats.Conn, last uint64, messages []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox + ".*")
	if err != nil {
		return fmt.Errorf("%w: %w", projections.ErrTransient, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	for i, m := range messages {
		m.Reply = inbox + "." + strconv.Itoa(i)
		m.Header[jetstream.ExpectedStreamHeader] = []string{StreamName}
		m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(last+uint64(i), 10)}
		if err := conn.PublishMsg(m); err != nil {
			return fmt.Errorf("%w: %w", projections.ErrTransient, err)
		}
	}
	// Those behind the first that is refused are refused for that, and say nothing.
	var first error
	refusedAt := len(messages)
	for range messages {
		answer, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", projections.ErrTransient, err)
		}
		i, err := strconv.Atoi(strings.TrimPrefix(answer.Subject, inbox+"."))
		if err != nil || i < 0 || i >= len(messages) {
			return fmt.Errorf("%w: an answer on %q", projections.ErrTransient, answer.Subject)
		}
		if err := stored(answer, last+uint64(i)+1); err != nil && i < refusedAt {
			first, refusedAt = err, i
		}
	}
	return first
}

// stored judges the stream's answer to a message that was to get a sequence.
func stored(answer *nats.Msg, sequence uint64) error {
	if len(answer.Data) == 0 && answer.Header.Get("Status") == "503" {
		return fmt.Errorf("%w: %w", projections.ErrTransient, nats.ErrNoResponders)
	}
	var ack struct {
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer.Data, &ack); {
	case err != nil:
		return fmt.Errorf("%w: unreadable answer: %w", projections.ErrTransient, err)
	case ack.Error != nil && refused(ack.Error):
		return projections.ErrCheckpointMoved
	case ack.Error != nil:
		return fmt.Errorf("%w: %w", projections.ErrTransient, ack.Error)
	case ack.Stream != StreamName:
		return fmt.Errorf("%w: stored in stream %q, not in %s", projections.ErrTransient, ack.Stream, StreamName)
	case ack.Duplicate || ack.Sequence != sequence:
		return projections.ErrCheckpointMoved
	}
	return nil
}

// refused tells whether an error says that somebody else was quicker.
func refused(err error) bool {
	var api *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	if e, ok := errors.AsType[jetstream.JetStreamError](err); ok {
		api = e.APIError()
	}
	return api != nil && (api.ErrorCode == codeWrongLastSequence || api.ErrorCode == codeWrongLastSequenceConstant)
}
