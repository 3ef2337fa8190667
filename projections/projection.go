// Package projections says what a projection is: a reader of the log that keeps something else current, and can be made anew
// from the log at any time. Runners are in runner, read models in SQL in readmodel, and what they hold in directory and audit.
package projections

import (
	"context"
	"errors"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Opener reads what was sealed under a field's name; of an erased person it reads Erased.
type Opener func(ctx context.Context, sealed *eventv1.Sealed, field string) (string, error)

// Erased stands where personal data was.
const Erased = "<erased>"

// Checkpoint is the last applied position of a log, with that message's hash; the zero one is in front of the first.
type Checkpoint struct {
	LogID    string
	Position domain.Position
	Hash     domain.Hash
}

var (
	// ErrTransient is returned for trouble that passes by itself: trying again is right, skipping never is.
	ErrTransient = errors.New("not now")
	// ErrCheckpointMoved is returned by Apply when the checkpoint is not where the caller left it: somebody else applies too.
	ErrCheckpointMoved = errors.New("another runner moved the checkpoint")
)

// Pause waits, and answers false if ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Sink is what a runner applies the log to.
type Sink interface {
	// Checkpoint is where the sink stands.
	Checkpoint(ctx context.Context) (Checkpoint, error)
	// Apply applies messages that follow on a checkpoint and moves it behind them, both or neither. It answers
	// ErrCheckpointMoved if the checkpoint is another one by now.
	Apply(ctx context.Context, from, to Checkpoint, messages []eventstore.Folded) error
}

// Next answers the next messages of the log as soon as there are any, at most so many.
type Next func(ctx context.Context, most int) ([]eventstore.Folded, error)

// Open begins to read the log behind a checkpoint, with the states between messages if they are wanted. It fails if the log does
// not hold the checkpoint.
type Open func(ctx context.Context, at Checkpoint, states bool) (Next, error)
