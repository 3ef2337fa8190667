package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

var (
	// ErrRestoring is returned by Open for a log that a restore is being written to, or did not write to its end. Part of a
	// history reads like a whole one, so nobody may go on from it.
	ErrRestoring = errors.New("a restore of the log is under way or was interrupted: wait for its end, or run `tenure restore` again")
	// ErrNotEmpty is returned by BeginRestore for a log that has messages which no interrupted restore left there.
	ErrNotEmpty = errors.New("stream " + StreamName + " holds a log already: restore into another NATS, or delete the stream if nobody needs what is in it")
)

const (
	// restoringKey is in the stream's metadata while the stream holds only a part of what is put back.
	restoringKey = "tenure_restoring"
	// restoreAhead and restoreBytes are how many messages, and how much of them, are on their way at once.
	restoreAhead = 4096
	restoreBytes = 16 << 20
	// restoreTries is how often in a row what is on its way is sent again without a message getting through.
	restoreTries = 10
)

// Restore writes a log that was kept elsewhere into an empty stream, message by message and at the same positions. It is for one
// goroutine.
type Restore struct {
	log *Log
	// Again tells that an earlier restore did not come to its end; what it left of the log is deleted.
	Again bool

	acks *nats.Subscription
	sent []Message // that are not acknowledged
	size int       // bytes in sent
	// failed counts how often in a row everything was sent again.
	failed int
	next   domain.Position
}

// BeginRestore makes the stream, marked so that Open refuses it until Finish. It returns ErrNotEmpty or an error wrapping
// ErrStreamSettings for one that must be left alone.
func BeginRestore(ctx context.Context, cfg Config) (*Restore, error) {
	if err := checkServerVersion(cfg.Conn); err != nil {
		return nil, fmt.Errorf("restore the log: %w", err)
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("restore the log: %w", err)
	}
	r := &Restore{log: &Log{conn: cfg.Conn, js: js}, next: 1}
	if err := r.begin(ctx, max(cfg.Replicas, 1)); err != nil {
		return nil, fmt.Errorf("restore the log: %w", err)
	}
	return r, r.listen()
}

func (r *Restore) begin(ctx context.Context, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	cfg, write := streamConfig(replicas), r.log.js.CreateStream
	info, err := r.log.info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return err
	default:
		// The operator's own choices, such as placement, are kept.
		cfg = info.Config
		r.Again = cfg.Metadata[restoringKey] != ""
		if err := checkStream(cfg); err != nil {
			return err
		}
		if info.State.LastSeq > 0 && !r.Again {
			return ErrNotEmpty
		}
		if !r.Again {
			write = r.log.js.UpdateStream
		} else if err := r.log.js.DeleteStream(ctx, StreamName); err != nil {
			return err
		}
	}
	cfg.Metadata = maps.Clone(cfg.Metadata)
	if cfg.Metadata == nil {
		cfg.Metadata = map[string]string{}
	}
	cfg.Metadata[restoringKey] = time.Now().UTC().Format(time.RFC3339)
	for {
		_, err := write(ctx, cfg)
		if err == nil || !transient(err) || !sleep(ctx, 200*time.Millisecond) {
			return err
		}
	}
}

// listen waits for acknowledgements at a new address: those of what was sent before count no more.
func (r *Restore) listen() (err error) {
	if r.acks != nil {
		_ = r.acks.Unsubscribe()
	}
	r.acks, err = r.log.conn.SubscribeSync(r.log.conn.NewInbox())
	return err
}

// Log is for reading back what was written.
func (r *Restore) Log() *Log { return r.log }

// Add writes the next message: data must be what stands at that position, and positions must come in order from 1. It returns
// before the message is stored, and any message's error.
func (r *Restore) Add(ctx context.Context, at domain.Position, data []byte) error {
	if at != r.next {
		return fmt.Errorf("restore the log: position %d comes where %d must come", at, r.next)
	}
	if most := r.log.MaxBytes(); len(data) > most {
		return fmt.Errorf("restore position %d: %w: it has %d bytes, NATS takes %d; set max_payload there to 8MB", at, ErrTooLarge, len(data), most)
	}
	for len(r.sent) >= restoreAhead || r.size >= restoreBytes {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	m := Message{Position: at, Data: data}
	r.next++
	r.sent, r.size = append(r.sent, m), r.size+len(data)
	if err := r.send(m); err != nil {
		return r.again(ctx, err)
	}
	return nil
}

// send publishes with the same guard and headers as Append, but does not wait.
func (r *Restore) send(m Message) error {
	header := guard(m.Position - 1)
	if p := parse(m.Data, m.Position); p.void == nil {
		header = Header{p.commit.CommitId, len(p.commit.Entries)}.guarded(m.Position - 1)
	}
	return r.log.conn.PublishMsg(&nats.Msg{Subject: Subject, Reply: r.acks.Subject, Data: m.Data, Header: header})
}

// await waits until the oldest message on its way is stored, or one behind it, which its guard lets follow only then.
func (r *Restore) await(ctx context.Context) error {
	attempt, cancel := context.WithTimeout(ctx, 2*attemptTimeout)
	defer cancel()
	reply, err := r.acks.NextMsgWithContext(attempt)
	if err != nil {
		return r.again(ctx, err)
	}
	stored, err := acknowledged(reply.Data)
	if err != nil {
		return r.again(ctx, err)
	}
	r.failed = 0
	r.settle(stored)
	return nil
}

// settle forgets what is stored up to a position.
func (r *Restore) settle(stored domain.Position) {
	for len(r.sent) > 0 && r.sent[0].Position <= stored {
		r.size -= len(r.sent[0].Data)
		r.sent = r.sent[1:]
	}
}

// again asks where the log ends and sends what is missing there once more. The guards see to it that nothing is stored twice.
func (r *Restore) again(ctx context.Context, cause error) error {
	for ctx.Err() == nil {
		if r.failed++; r.failed > restoreTries {
			return fmt.Errorf("restore the log: nothing behind position %d gets stored: %w", r.sent[0].Position-1, cause)
		}
		sleep(ctx, time.Duration(r.failed)*100*time.Millisecond)
		tip, err := r.log.Tip(ctx)
		if err != nil {
			cause = err
			continue
		}
		if tip.Last+1 < r.sent[0].Position || tip.Last >= r.next {
			return fmt.Errorf("restore the log: the stream ends at %d, and %d to %d are on their way: somebody else writes to it", tip.Last, r.sent[0].Position, r.next-1)
		}
		r.settle(tip.Last)
		if err := r.listen(); err != nil {
			return err
		}
		for _, m := range r.sent {
			if err = r.send(m); err != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
		cause = err
	}
	return ctx.Err()
}

// Flush waits until everything is stored.
func (r *Restore) Flush(ctx context.Context) error {
	for len(r.sent) > 0 {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Finish takes the mark away, after everything was read back and found right: from now on the log can be opened.
func (r *Restore) Finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	for {
		info, err := r.log.info(ctx)
		if err == nil {
			whole := info.Config
			whole.Metadata = maps.Clone(whole.Metadata)
			delete(whole.Metadata, restoringKey)
			_, err = r.log.js.UpdateStream(ctx, whole)
		}
		if err == nil || !transient(err) || !sleep(ctx, 200*time.Millisecond) {
			return err
		}
	}
}
