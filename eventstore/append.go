package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

var (
	// ErrConflict is returned by Append when the guard refused: the log did not end at the expected position, or somebody
	// else's append was on its way. It proves nothing about what is or will be at that position.
	ErrConflict = errors.New("the log does not end at the expected position")

	// ErrTooLarge is returned by Append for a commit that the servers will never take. It is definite: nothing was stored.
	ErrTooLarge = errors.New("commit is too large for one message")

	// ErrOutcomeUnknown is returned by Append when no usable answer came. The commit may be stored, may be stored later, or
	// never. Sending the same bytes with the same expected position again stores it at most once; what happened is settled
	// only by seeing what is at that position plus one.
	ErrOutcomeUnknown = errors.New("outcome of the append is unknown")
)

// Codes of JetStream's errors that say more than "it did not work".
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164
	codeMessageExceedsMaximum     jetstream.ErrorCode = 10054
	codeHeaderExceedsMaximum      jetstream.ErrorCode = 10097
)

// Header is what can be told about a commit without reading it.
type Header struct {
	CommitID string
	// Entries is how many commands the commit holds the outcome of.
	Entries int
}

// guard is the header of a message that is stored only if the log ends at expected.
func guard(expected domain.Position) nats.Header {
	return nats.Header{
		jetstream.ExpectedStreamHeader:  {StreamName},
		jetstream.ExpectedLastSeqHeader: {strconv.FormatUint(uint64(expected), 10)},
	}
}

// guarded is the header of a commit that is stored only if the log ends at expected.
func (h Header) guarded(expected domain.Position) nats.Header {
	header := guard(expected)
	header["Tenure-Commit-Id"] = []string{h.CommitID}
	header["Tenure-Entries"] = []string{strconv.Itoa(h.Entries)}
	header["ce-specversion"] = []string{"1.0"}
	header["ce-id"] = []string{h.CommitID}
	header["ce-type"] = []string{"tenure.commit"}
	header["ce-source"] = []string{"tenure"}
	return header
}

// Append stores data as one message if the log ends at expected (0: is empty). It makes a single attempt, bounded by ctx
// and by two seconds; retrying is the caller's.
//
// Without an error, data is durable on a majority of the replicas, at expected+1. Otherwise the error wraps ErrConflict,
// ErrTooLarge or ErrOutcomeUnknown, and means what they say. The end of ctx is an unknown outcome like any other.
func (l *Log) Append(ctx context.Context, expected domain.Position, data []byte, h Header) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	// A core request, because the publish call of package jetstream repeats by itself. Without Nats-Msg-Id, because
	// de-duplication by it differs between one server and several.
	reply, err := l.conn.RequestMsgWithContext(ctx, &nats.Msg{Subject: Subject, Data: data, Header: h.guarded(expected)})
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("append of %d bytes: %w: %w", len(data), ErrTooLarge, err)
	}
	if err != nil {
		return fmt.Errorf("append behind %d: %w: %w", expected, ErrOutcomeUnknown, err)
	}
	if err := readAck(reply.Data, expected); err != nil {
		return fmt.Errorf("append behind %d: %w", expected, err)
	}
	return nil
}

// readAck judges the stream's answer to an append behind expected.
func readAck(answer []byte, expected domain.Position) error {
	stored, err := acknowledged(answer)
	if err == nil && stored != expected+1 {
		err = fmt.Errorf("%w: acknowledged as position %d", ErrOutcomeUnknown, stored)
	}
	return err
}

// acknowledged is the position that the stream's answer says something was stored at.
func acknowledged(answer []byte) (domain.Position, error) {
	var ack struct {
		Stream   string              `json:"stream"`
		Sequence domain.Position     `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return 0, fmt.Errorf("%w: unreadable answer: %w", ErrOutcomeUnknown, err)
	}
	if ack.Error != nil {
		switch ack.Error.ErrorCode {
		case codeWrongLastSequence, codeWrongLastSequenceConstant:
			return 0, fmt.Errorf("%w: %w", ErrConflict, ack.Error)
		case codeMessageExceedsMaximum, codeHeaderExceedsMaximum:
			return 0, fmt.Errorf("%w: %w", ErrTooLarge, ack.Error)
		}
		return 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ack.Error)
	}
	if ack.Stream != StreamName || ack.Sequence == 0 {
		return 0, fmt.Errorf("%w: acknowledged as %q, position %d", ErrOutcomeUnknown, ack.Stream, ack.Sequence)
	}
	return ack.Sequence, nil
}
