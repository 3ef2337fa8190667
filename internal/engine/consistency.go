package engine

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
)

// Level is how new a state a request wants.
type Level uint8

const (
	// MinimizeLatency takes what this server has.
	MinimizeLatency Level = iota
	// AtLeast takes a state that is not older than a token.
	AtLeast
	// LeaderLatest takes a state that is not older than what the stream's leader knows. A leader that was cut off may not
	// know of the newest for some seconds.
	LeaderLatest
	// Linearizable takes a state that is not older than any answer given before the request came, proven by an append.
	Linearizable
)

// Consistency is a level, and the token that AtLeast wants.
type Consistency struct {
	Level Level
	Token string
}

// DefaultWait is how long a request waits at most for the state it wants.
const DefaultWait = 5 * time.Second

// Reasons of errors about tokens.
const (
	BadToken      domain.Reason = "BAD_TOKEN"
	OtherLogToken domain.Reason = "TOKEN_OF_ANOTHER_LOG"
	LostToken     domain.Reason = "TOKEN_LOST"
)

// Await answers a state as new as wanted. The wait is bounded by ctx and DefaultWait, and ends in unavailable, never in an
// older state.
func (e *Engine) Await(ctx context.Context, c Consistency) (*domain.State, error) {
	if err := e.usable(); err != nil {
		return nil, err
	}
	if c.Level == MinimizeLatency {
		return e.State(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	switch c.Level {
	case AtLeast:
		return e.awaitToken(ctx, c.Token)
	case LeaderLatest:
		if err := e.probe(ctx); err != nil {
			return nil, domain.Errorf(domain.CodeUnavailable, NoContact, "the log's leader can't be reached; try again").Because(err)
		}
	case Linearizable:
		// A sole server has answered nothing that is not in its state.
		if !e.cfg.Sole {
			if _, err := e.enqueue(ctx, Request{}); err != nil {
				return nil, err
			}
		} else if err := e.Fresh(); err != nil {
			return nil, err
		}
	}
	return e.State(), nil
}

// A token is a byte of version, 16 bytes of log id, 8 bytes of position and 8 bytes of that position's hash. To clients it
// is opaque.
const (
	tokenVersion = 1
	tokenLength  = 1 + 16 + 8 + 8
)

// Token is the consistency token of a position of a log.
func Token(logID string, at domain.Position, hash domain.Hash) string {
	id, _ := ulid.ParseStrict(logID)
	b := make([]byte, 0, tokenLength)
	b = append(b, tokenVersion)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = append(b, hash[:8]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// StateToken is the consistency token of a state.
func StateToken(s *domain.State) string { return Token(s.Instance.LogID, s.Position, s.Hash) }

// TokenPosition is the position that a token names.
func TokenPosition(token string) (domain.Position, bool) {
	_, at, _, ok := parseToken(token)
	return at, ok
}

// parseToken reads what Token wrote: the log's id, the position, and the begin of its hash.
func parseToken(token string) (log ulid.ULID, at domain.Position, hash [8]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenLength || b[0] != tokenVersion {
		return log, 0, hash, false
	}
	return ulid.ULID(b[1:17]), domain.Position(binary.BigEndian.Uint64(b[17:25])), [8]byte(b[25:]), true
}

func (e *Engine) awaitToken(ctx context.Context, token string) (*domain.State, error) {
	log, at, begin, ok := parseToken(token)
	if !ok {
		return nil, domain.Errorf(domain.CodeInvalid, BadToken, "Tenure-Token is not a token of Tenure's; send one that an answer held, as it was")
	}
	if id, _ := ulid.ParseStrict(e.State().Instance.LogID); log != id {
		return nil, domain.Errorf(domain.CodePrecondition, OtherLogToken, "the token is of another log; drop it, and read without one")
	}
	for {
		moved := e.moved.wait()
		if e.State().Position >= at {
			break
		}
		select {
		case <-ctx.Done():
			return nil, domain.Errorf(domain.CodeUnavailable, NotCaughtUp, "the state is at %d, %d wanted; try again", e.State().Position, at)
		case <-e.failed:
			return nil, e.usable()
		case <-moved:
		}
	}
	hash, err := e.hashAt(ctx, at)
	if err != nil {
		return nil, domain.Errorf(domain.CodeUnavailable, NoContact, "the token can't be checked against the log now; try again").Because(err)
	}
	if [8]byte(hash[:8]) != begin {
		return nil, domain.Errorf(domain.CodePrecondition, LostToken, "the token is of a part of the log that is no more, as after a restore; drop it, and read anew what you hold")
	}
	return e.State(), nil
}
