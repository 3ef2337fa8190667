package eventstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

const (
	// replayWindow and tailWindow are how many messages the server may send ahead: many for bulk, few for a live reader.
	replayWindow = 50_000
	tailWindow   = 500
	// windowBytes bounds the same in bytes. It must hold the biggest message.
	windowBytes = 32 << 20
	// heartbeat is how often the server tells an idle consumer that it is there; two missing ones end the consumer.
	heartbeat = time.Second
	// feedPause lies between the end of one consumer and the creation of the next.
	feedPause = 250 * time.Millisecond
	// consumerIdle is how long the server keeps a consumer that nobody asks any more.
	consumerIdle = 30 * time.Second
)

// feed brings messages from consumers on the stream, in no order that a reader could rely on: after any trouble it makes
// a new consumer and begins again at next, so messages may come twice, and none may come for many seconds.
//
// It does not use the ordered consumer of package jetstream. That one repairs itself inside its reader's call, for as long
// as it takes and whatever the reader's context says; here the reader can go on by other means meanwhile.
type feed struct {
	log    *Log
	window int
	next   atomic.Uint64
	out    chan Message
}

// startFeed begins at from. The function it returns ends the feed and returns when nothing of it runs any more.
func (l *Log) startFeed(ctx context.Context, from domain.Position, window int) (*feed, func()) {
	f := &feed{log: l, window: window, out: make(chan Message, 16)}
	f.next.Store(uint64(from))
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			f.consume(ctx)
			if !sleep(ctx, feedPause) {
				return
			}
		}
	}()
	return f, func() { cancel(); <-done }
}

// consume brings messages until the first trouble, whatever it is: the reader sees for itself what it lacks.
func (f *feed) consume(ctx context.Context) {
	messages, err := f.subscribe(ctx)
	if err != nil {
		return
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		// The client library makes a copy of its own for each message it receives.
		message := Message{Position: domain.Position(meta.Sequence.Stream), Data: m.Data(), Time: meta.Timestamp}
		select {
		case f.out <- message:
		case <-ctx.Done():
			return
		}
	}
}

func (f *feed) subscribe(ctx context.Context) (jetstream.MessagesContext, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	consumer, err := f.log.js.CreateConsumer(ctx, StreamName, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       f.next.Load(),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: consumerIdle,
	})
	if err != nil {
		return nil, err
	}
	return consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(f.window, max(windowBytes, 2*int(f.log.conn.MaxPayload()))),
		jetstream.PullHeartbeat(heartbeat),
	)
}
