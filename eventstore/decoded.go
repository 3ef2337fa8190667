package eventstore

import (
	"context"
	"runtime"
	"sync"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Decoded is what is stored at one position, and what it says.
type Decoded struct {
	Message
	Hash domain.Hash
	// Commit is nil at a void position. It shares no memory with Data.
	Commit *eventv1.Commit
}

// Replayer is the part of Log that ReplayDecoded needs.
type Replayer interface {
	Replay(ctx context.Context, from, to domain.Position, fn func(Message) error) error
}

const (
	// batchSize and batchBytes are how many messages are handed from one goroutine to the next at once, because handing over costs
	// as much as decoding a small one.
	batchSize  = 128
	batchBytes = 1 << 20
	// batchesAhead is how many batches may wait for fn.
	batchesAhead = 8
)

// ReplayDecoded is Replay for whoever wants the commits, checked from parent on, the hash of the message before from. fn is
// called by the caller's goroutine while others decode what comes next. In addition to Replay's errors it returns
// ErrChainBroken or an *UnknownError, see Decode.
func ReplayDecoded(ctx context.Context, log Replayer, from, to domain.Position, parent domain.Hash, fn func(Decoded) error) error {
	judged := func(m Message, p parsed, hash domain.Hash) error {
		err := p.judge(m.Position, parent)
		parent = hash
		if err != nil && p.void == nil {
			return err
		}
		return fn(Decoded{m, hash, p.commit})
	}
	if to < from || to-from < shortReplay {
		return log.Replay(ctx, from, to, func(m Message) error {
			return judged(m, parse(m.Data, m.Position), HashOf(m.Data))
		})
	}
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	work, order := make(chan *batch, batchesAhead), make(chan *batch, batchesAhead)
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for b := range work {
				b.decode()
			}
		})
	}
	var replayErr error
	working.Go(func() {
		defer close(order)
		defer close(work)
		b := newBatch()
		send := func() error {
			for _, to := range []chan *batch{work, order} {
				select {
				case to <- b:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			b = newBatch()
			return nil
		}
		replayErr = log.Replay(ctx, from, to, func(m Message) error {
			b.messages = append(b.messages, m)
			if b.bytes += len(m.Data); len(b.messages) < batchSize && b.bytes < batchBytes {
				return nil
			}
			return send()
		})
		// What came before the trouble is good.
		if err := send(); replayErr == nil {
			replayErr = err
		}
	})
	for b := range order {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		for i, m := range b.messages {
			if err := judged(m, b.parsed[i], b.hashes[i]); err != nil {
				return err
			}
		}
	}
	return replayErr
}

// batch is some messages on their way.
type batch struct {
	messages []Message
	bytes    int
	parsed   []parsed
	hashes   []domain.Hash
	done     chan struct{}
}

func newBatch() *batch {
	return &batch{messages: make([]Message, 0, batchSize), done: make(chan struct{})}
}

func (b *batch) decode() {
	defer close(b.done)
	b.parsed, b.hashes = make([]parsed, len(b.messages)), make([]domain.Hash, len(b.messages))
	for i, m := range b.messages {
		b.parsed[i], b.hashes[i] = parse(m.Data, m.Position), HashOf(m.Data)
	}
}
