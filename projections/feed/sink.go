package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
)

// Exactly once, in words:
//
//  1. What is published follows from the log alone: the same messages with the same ids in the same order, whoever publishes.
//  2. Each is stored only if it is the next one of the stream (Nats-Expected-Last-Sequence). Of two projectors, or of a projector and
//     its own publish before a crash, one is refused and looks again where the stream ends.
//  3. The last message of the stream says where to go on: in the middle of a position, if need be.
//  4. A record beside the stream says the same, for positions without events and for messages that retention has removed. It is
//     written after them, names the stream's end that it belongs to, and counts only if nothing newer is in the stream.

// Sink publishes the log into the stream. Its methods are safe for concurrent use.
type Sink struct {
	cfg Config
	js  jetstream.JetStream

	settled atomic.Bool // the stream has this server's settings

	mu   sync.Mutex
	head *head // as Apply left it, nil if it must be read
}

var _ projections.Sink = (*Sink)(nil)

// head is where the stream ends.
type head struct {
	checkpoint projections.Checkpoint
	sequence   uint64
	// published is the last message behind the checkpoint that is in the stream, "" if there is none; expired is how many were there
	// that retention has removed.
	published string
	expired   uint64

	bucket   jetstream.KeyValue
	revision uint64 // of the record, 0 if there is none
}

// record is the checkpoint, and the end of the stream that it belongs to.
type record struct {
	LogID    string          `json:"log_id"`
	Position domain.Position `json:"position"`
	Hash     string          `json:"hash"` // hexadecimal
	Sequence uint64          `json:"sequence"`
}

const (
	recordKey = "checkpoint"
	// attempt bounds one question to NATS.
	attempt = 5 * time.Second
)

// New makes a sink. The stream is created with the first Checkpoint.
func New(cfg Config) (*Sink, error) {
	cfg = cfg.withDefaults()
	if cfg.Format != JSON && cfg.Format != Protobuf {
		return nil, fmt.Errorf("format of the feed: %q is neither %s nor %s", cfg.Format, JSON, Protobuf)
	}
	if cfg.MaxAge < time.Minute || cfg.MaxBytes < 1<<20 {
		return nil, errors.New("the feed must keep a minute and a mebibyte at least")
	}
	js, err := jetstream.New(cfg.Conn)
	return &Sink{cfg: cfg, js: js}, err
}

// Checkpoint is the last position that is whole in the stream.
func (s *Sink) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	h, err := s.read(ctx)
	return h.checkpoint, err
}

// stream is the stream as it is now. Its settings are given once by each server: those that stand by look at it all the time.
func (s *Sink) stream(ctx context.Context) (jetstream.Stream, error) {
	if s.settled.Load() {
		if stream, err := s.js.Stream(ctx, StreamName); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return stream, err
		}
	}
	stream, err := s.cfg.ensureStream(ctx, s.js)
	if err == nil {
		s.settled.Store(true)
	}
	return stream, err
}

// read asks the leader of the stream where it ends.
func (s *Sink) read(ctx context.Context) (h head, err error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	defer func() {
		if err != nil && !errors.Is(err, errSettings) {
			err = fmt.Errorf("%w: %w", projections.ErrTransient, err)
		}
	}()
	bucket, err := s.cfg.ensureBucket(ctx, s.js)
	if err != nil {
		return h, err
	}
	// First the record: what is written meanwhile is behind it, and never in front.
	r, revision, err := readRecord(ctx, bucket)
	if err != nil {
		return h, err
	}
	stream, err := s.stream(ctx)
	if err != nil {
		return h, err
	}
	first, last := stream.CachedInfo().State.FirstSeq, stream.CachedInfo().State.LastSeq
	if r.Sequence > last {
		s.cfg.Logger.Warn("the feed's stream was deleted, or lost its end; it is filled again from the log",
			"stream", StreamName, "recorded sequence", r.Sequence, "last sequence", last)
		r = record{}
	}
	h = head{
		checkpoint: projections.Checkpoint{LogID: r.LogID, Position: r.Position}, sequence: last, bucket: bucket, revision: revision,
	}
	if r.Position > 0 {
		if h.checkpoint.Hash, err = domain.ParseHash(r.Hash); err != nil {
			return h, err
		}
	}
	if first > r.Sequence+1 {
		h.expired = first - 1 - r.Sequence
	}
	for at := last; at > r.Sequence && at >= first; at-- {
		m, err := stream.GetMsg(ctx, at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // deleted by hand
		}
		if err != nil {
			return h, err
		}
		if p, ok := s.cfg.placeOf(m.Header); ok {
			h.checkpoint, h.published, h.expired = projections.Checkpoint{}, p.id, 0
			if p.position > 1 {
				h.checkpoint = projections.Checkpoint{LogID: s.cfg.LogID, Position: p.position - 1, Hash: p.parent}
			}
			return h, nil
		}
	}
	return h, nil
}

func readRecord(ctx context.Context, bucket jetstream.KeyValue) (r record, revision uint64, err error) {
	entry, err := bucket.Get(ctx, recordKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, err
	}
	if err := json.Unmarshal(entry.Value(), &r); err != nil {
		return record{}, entry.Revision(), nil
	}
	return r, entry.Revision(), nil
}

// Apply publishes the events of messages of the log, all but those that are in the stream already.
func (s *Sink) Apply(ctx context.Context, from, to projections.Checkpoint, messages []eventstore.Folded) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.head
	s.head = nil // until it is known what has become of this
	if h == nil {
		now, err := s.read(ctx)
		if err != nil {
			return err
		}
		h = &now
	}
	if h.checkpoint != from {
		return projections.ErrCheckpointMoved
	}
	var list []*nats.Msg
	for _, m := range messages {
		some, err := s.cfg.messagesOf(m)
		if err != nil {
			return err
		}
		list = append(list, some...)
	}
	if err := h.skip(&list); err != nil {
		return err
	}
	if err := publish(ctx, s.cfg.Conn, h.sequence, list); err != nil {
		return err
	}
	h.sequence += uint64(len(list))
	h.checkpoint = to
	if err := h.write(ctx); err != nil {
		return err
	}
	s.head = h
	return nil
}

// skip leaves out what is in the stream already, or was.
func (h *head) skip(list *[]*nats.Msg) error {
	if h.published != "" {
		for i, m := range *list {
			if m.Header.Get(jetstream.MsgIDHeader) == h.published {
				*list, h.published = (*list)[i+1:], ""
				return nil
			}
		}
		return fmt.Errorf("the stream ends with %s, which is not in the log: delete stream %s, and it is made anew", h.published, StreamName)
	}
	n := min(h.expired, uint64(len(*list)))
	*list, h.expired = (*list)[n:], h.expired-n
	return nil
}

// write records the checkpoint, unless somebody else has.
func (h *head) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	value, err := json.Marshal(record{
		LogID: h.checkpoint.LogID, Position: h.checkpoint.Position, Hash: h.checkpoint.Hash.String(), Sequence: h.sequence,
	})
	if err != nil {
		return err
	}
	h.revision, err = h.bucket.Update(ctx, recordKey, value, h.revision)
	switch {
	case refused(err):
		return projections.ErrCheckpointMoved
	case err != nil:
		return fmt.Errorf("%w: checkpoint: %w", projections.ErrTransient, err)
	}
	return nil
}
