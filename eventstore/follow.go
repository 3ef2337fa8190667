package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/domain"
)

// ErrGap is returned by Replay and Tail when a position is missing although a later one is there. The log never does
// that: a store lost data, or is not one of ours.
var ErrGap = errors.New("the log has a gap")

const (
	// shortReplay is up to how many positions single reads are quicker than making a consumer.
	shortReplay = 64
	// quiet is how long a consumer may bring nothing before the next position is read directly, and how often it is read
	// then as long as it is not there.
	quiet = 500 * time.Millisecond
	// readPause is the first wait after a position that was not there yet behind one that was; it doubles up to quiet.
	readPause = 10 * time.Millisecond
)

// Replay calls fn for the positions from..to, each once and in order, and returns nil after the last one. It is made for
// bulk: many messages are on their way at once, and direct reads step in when they stall, so that it finishes as long as
// any replica answers.
//
// A position that no replica has yet is waited for until ctx ends. Replay returns ErrGap naming a position that is missing
// in front of a later one, the error of ctx, the error of a closed connection, or that of fn, after which fn is not called
// again.
func (l *Log) Replay(ctx context.Context, from, to domain.Position, fn func(Message) error) error {
	if from == 0 {
		return errors.New("replay: positions begin at 1")
	}
	c := &cursor{log: l, next: from, last: to}
	if to >= from && to-from >= shortReplay {
		f, stop := l.startFeed(ctx, from, replayWindow)
		defer stop()
		c.feed, c.pause = f, quiet
	}
	return c.run(ctx, fn)
}

// Tail calls fn for every position behind after, each once and in order, as they come, until ctx ends or fn fails. It
// always returns an error: that of ctx or of fn, after which fn is not called again, ErrGap, or that of a closed
// connection. Other trouble with servers or connections delays messages, and ends by itself.
//
// While its consumer is silent it asks any replica for the next position, so that the loss of a server does not stop it.
// For a long way behind, Replay is quicker.
func (l *Log) Tail(ctx context.Context, after domain.Position, fn func(Message) error) error {
	f, stop := l.startFeed(ctx, after+1, tailWindow)
	defer stop()
	c := &cursor{log: l, next: after + 1, last: math.MaxUint64, feed: f, pause: quiet}
	return c.run(ctx, fn)
}

// cursor hands out positions in order, whichever way they come first: from the feed, or by direct read when the feed is
// silent or skipped something.
type cursor struct {
	log  *Log
	next domain.Position
	last domain.Position
	// feed is nil for a cursor that only reads.
	feed *feed
	// ahead came from the feed and lies behind next: what is between must be read. Position 0 means none.
	ahead Message
	// pause is how long to wait before the next direct read.
	pause time.Duration
}

func (c *cursor) run(ctx context.Context, fn func(Message) error) error {
	for c.next <= c.last {
		m, err := c.take(ctx)
		if err != nil {
			return err
		}
		if err := fn(m); err != nil {
			return err
		}
		c.next++
		if c.feed != nil {
			c.feed.next.Store(uint64(c.next))
		}
	}
	return nil
}

// take returns the message at next.
func (c *cursor) take(ctx context.Context) (Message, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Message{}, err
		}
		m, ok := c.fromFeed(ctx)
		if ok && m.Position < c.next {
			continue
		}
		if ok && m.Position == c.next {
			c.pause = quiet
			return m, nil
		}
		if ok {
			c.ahead, c.pause = m, 0
		}
		m, err := c.log.Read(ctx, c.next)
		if err == nil {
			c.pause = 0
			return m, nil
		}
		if err := c.judge(ctx, err); err != nil {
			return Message{}, err
		}
		c.pause = min(max(2*c.pause, readPause), quiet)
	}
}

// fromFeed waits for at most pause.
func (c *cursor) fromFeed(ctx context.Context) (Message, bool) {
	if c.ahead.Position > c.next {
		sleep(ctx, c.pause)
		return Message{}, false
	}
	if m := c.ahead; m.Position > 0 {
		c.ahead = Message{}
		return m, true
	}
	var out <-chan Message
	if c.feed != nil {
		out = c.feed.out
	}
	select {
	case m := <-out:
		return m, true
	default:
	}
	if c.pause == 0 {
		return Message{}, false
	}
	timer := time.NewTimer(c.pause)
	defer timer.Stop()
	select {
	case m := <-out:
		return m, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return Message{}, false
}

// judge returns an error if waiting can't help after a direct read failed with err.
func (c *cursor) judge(ctx context.Context, err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) {
		return err
	}
	// Nothing at the end of the log is what a live reader finds most of the time.
	if !errors.Is(err, ErrNotFound) || (c.ahead.Position == 0 && c.last == math.MaxUint64) {
		return nil
	}
	gap, err := c.log.missing(ctx, c.next)
	if err == nil && gap {
		return fmt.Errorf("%w: position %d is missing in front of a later one", ErrGap, c.next)
	}
	return nil
}
