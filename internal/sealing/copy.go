package sealing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrKeysExist is returned by PutBack when the bucket holds keys already: mixed with those of a backup, they could be of
	// people whom nobody would erase.
	ErrKeysExist = errors.New("stream " + bucketStream + " holds personal keys already")
	// ErrNotCurrent is returned by Keys when the answers may be those of a leader that others have replaced.
	ErrNotCurrent = errors.New("the leader of stream " + bucketStream + " has lost the others; try again in a moment")
)

const (
	// copiers is how many keys are read at once: each is a question to the leader.
	copiers = 8
	// electionTime is how long replicas wait at least before they choose another leader.
	electionTime = 3 * time.Second
	// putAhead is how many keys are on their way at once when they are put back.
	putAhead = 256
)

// Keys calls fn for every key as it is stored, wrapped by the master key, in no order. Every key that was made before the call
// and is not destroyed meanwhile is among them. fn is called by one goroutine at a time; its error ends the reading and is
// answered.
func (v *Vault) Keys(ctx context.Context, fn func(subject string, wrapped []byte) error) error {
	if err := v.bucket.each(ctx, fn); err != nil {
		return fmt.Errorf("read the personal keys: %w", err)
	}
	return nil
}

// each asks the leader for one message after the other. A consumer would be quicker, and may be fed by a replica that still has
// destroyed keys, or lacks the newest.
func (b *bucket) each(ctx context.Context, fn func(subject string, wrapped []byte) error) error {
	state, err := b.current(ctx)
	if err != nil || state.Msgs == 0 {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex
	var working sync.WaitGroup
	part := (state.LastSeq-state.FirstSeq)/copiers + 1
	for from := state.FirstSeq; from <= state.LastSeq; from += part {
		working.Go(func() {
			err := b.between(ctx, from, min(from+part-1, state.LastSeq), func(subject string, wrapped []byte) error {
				one.Lock()
				defer one.Unlock()
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return fn(subject, wrapped)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	working.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// Whoever led all the time until now had everything.
	_, err = b.current(ctx)
	return err
}

// between calls fn for the keys of a range of the stream's sequences.
func (b *bucket) between(ctx context.Context, from, to uint64, fn func(subject string, wrapped []byte) error) error {
	for from <= to {
		var msg *jetstream.RawStreamMsg
		err := persist(ctx, func(ctx context.Context) (err error) {
			msg, err = b.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subjectPrefix+">"))
			return err
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if msg.Sequence > to {
			return nil
		}
		// What the bucket's own tools write in the place of a key that they delete is none.
		if len(msg.Data) > 0 && msg.Header.Get("KV-Operation") == "" {
			if err := fn(msg.Subject[len(subjectPrefix):], msg.Data); err != nil {
				return err
			}
		}
		from = msg.Sequence + 1
	}
	return nil
}

// current is the state of the stream by a leader that is known to lead.
func (b *bucket) current(ctx context.Context) (jetstream.StreamState, error) {
	var info *jetstream.StreamInfo
	err := persist(ctx, func(ctx context.Context) (err error) {
		info, err = b.stream.Info(ctx)
		return err
	})
	if err != nil {
		return jetstream.StreamState{}, err
	}
	if c := info.Cluster; c != nil && len(c.Replicas) > 0 {
		var ago []time.Duration
		for _, r := range c.Replicas {
			ago = append(ago, r.Active)
		}
		slices.Sort(ago)
		if c.Leader == "" || ago[(len(ago)+1)/2-1] > electionTime {
			return jetstream.StreamState{}, ErrNotCurrent
		}
	}
	return info.State, nil
}

// PutBack stores keys as Keys gave them, in a bucket that has none, which it makes with this number of replicas if it is
// missing; each calls its argument for every key. It answers how many there are. An error leaves some of them in the bucket; see
// Discard.
func PutBack(ctx context.Context, conn *nats.Conn, replicas int, each func(put func(subject string, wrapped []byte) error) error) (n int, err error) {
	var failed atomic.Pointer[error]
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(putAhead),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.CompareAndSwap(nil, &err) }))
	if err != nil {
		return 0, err
	}
	b, err := openBucket(ctx, js, replicas)
	if err != nil {
		return 0, fmt.Errorf("personal keys: %w", err)
	}
	if state, err := b.current(ctx); err != nil || state.Msgs > 0 {
		return 0, errors.Join(err, ErrKeysExist)
	}
	err = each(func(subject string, wrapped []byte) error {
		if !validSubject(subject) {
			return fmt.Errorf("%w: %q", ErrSubject, subject)
		}
		if err := failed.Load(); err != nil {
			return *err
		}
		n++
		_, err := js.PublishAsync(subjectPrefix+subject, wrapped, jetstream.WithStallWait(openWait))
		return err
	})
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return n, ctx.Err()
	}
	if why := failed.Load(); why != nil {
		err = errors.Join(err, *why)
	}
	if err != nil {
		return n, fmt.Errorf("put back the personal keys: %w", err)
	}
	state, err := b.current(ctx)
	if err == nil && state.Msgs != uint64(n) {
		err = fmt.Errorf("put back the personal keys: the bucket has %d of %d", state.Msgs, n)
	}
	return n, err
}

// Discard deletes the whole bucket, as it was left by a PutBack that did not come to its end.
func Discard(ctx context.Context, conn *nats.Conn) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if err := js.DeleteStream(ctx, bucketStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete the personal keys of a restore that did not end: %w", err)
	}
	return nil
}

// Opens tells whether a subject's wrapped key was wrapped under this master key.
func (m Master) Opens(subject string, wrapped []byte) bool {
	wrap, err := newAEAD(m.derived().wrap)
	if err != nil {
		return false
	}
	_, err = wrap.Open(nil, nil, wrapped, []byte(subject))
	return err == nil
}
