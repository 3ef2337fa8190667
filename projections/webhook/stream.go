package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/feed"
)

const (
	// StreamName is the stream of attempts, dead letters, and messages that are to be sent again.
	StreamName = "TENURE_WEBHOOKS"
	// Subjects are those of that stream: tenure.webhook.<webhook>.<attempt|dead|again>. Nobody but Tenure needs permission to publish
	// on them.
	Subjects = subjectPrefix + ">"

	subjectPrefix = "tenure.webhook."
	attempts      = "attempt"
	dead          = "dead"
	again         = "again"

	// kept is how many attempts and dead letters are kept of one webhook, keptFor how long, and keptBytes how much of all.
	kept      = 1000
	keptFor   = 30 * 24 * time.Hour
	keptBytes = 256 << 20

	idHeader       = "Tenure-Message-Id"
	typeHeader     = "Tenure-Event-Type"
	deliveryHeader = "Tenure-Delivery"

	// pendingMost is how many messages of one webhook wait for another attempt at a time; those behind them wait in the feed.
	pendingMost = 1000
	// question bounds one question to NATS.
	question = 5 * time.Second
)

var (
	// ErrNoDeadLetter is returned by Redeliver if there is none of that id.
	ErrNoDeadLetter = errors.New("there is no such dead letter")
	// ErrUnreachable is returned when NATS does not answer.
	ErrUnreachable = errors.New("deliveries can't be read or written now")
)

// Delivery is an attempt to send a message, or a dead letter.
type Delivery struct {
	// Sequence is its place in the stream.
	Sequence  uint64        `json:"-"`
	MessageID string        `json:"message_id"`
	EventType string        `json:"event_type"`
	Time      time.Time     `json:"time"`
	Attempt   uint32        `json:"attempt"` // counts from 1
	Status    int           `json:"status,omitempty"`
	Error     string        `json:"error,omitempty"`
	Took      time.Duration `json:"took"`
	Next      time.Time     `json:"next,omitzero"` // of the next attempt
	Dead      bool          `json:"dead,omitempty"`
}

func subject(id domain.WebhookID, what string) string { return subjectPrefix + string(id) + "." + what }

// ensureStream creates the stream. One that is there stays as it is: its operator may have given it other limits, or more copies.
func (c Config) ensureStream(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              StreamName,
		Description:       "Tenure: attempts to send webhooks, and dead letters; not for ever",
		Subjects:          []string{Subjects},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxAge:            keptFor,
		MaxBytes:          keptBytes,
		MaxMsgsPerSubject: kept,
		Replicas:          max(c.Replicas, 1),
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// consumerPrefix begins the names of consumers that are Tenure's; others are left alone.
const consumerPrefix = "tenure-webhook-"

func consumerName(id domain.WebhookID) string { return consumerPrefix + string(id) }

// feedConsumer is the place of a webhook in the feed, the same for all servers. It begins before the webhook was made, by whatever
// NATS's clock may differ from Tenure's: what happened earlier is not sent.
func (c Config) feedConsumer(w *domain.Webhook) jetstream.ConsumerConfig {
	cfg := c.consumer(w.ID)
	begin := w.CreatedAt.Add(-time.Minute)
	cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &begin
	cfg.FilterSubjects = []string{feed.Subject(string(w.Org), "*", ">")}
	if len(w.EventTypes) > 0 {
		cfg.FilterSubjects = nil
		for _, t := range w.EventTypes {
			cfg.FilterSubjects = append(cfg.FilterSubjects, feed.Subject(string(w.Org), "*", t))
		}
	}
	return cfg
}

// againConsumer is the place of a webhook in what is to be sent again.
func (c Config) againConsumer(w *domain.Webhook) jetstream.ConsumerConfig {
	cfg := c.consumer(w.ID)
	cfg.FilterSubjects = []string{subject(w.ID, again)}
	return cfg
}

func (c Config) consumer(id domain.WebhookID) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       consumerName(id),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       2*c.Timeout + question,
		MaxDeliver:    -1,
		MaxAckPending: pendingMost,
	}
}

// record keeps a delivery, with the body if it is a dead letter.
func (s *Sender) record(ctx context.Context, id domain.WebhookID, d Delivery, body []byte, messageID string) error {
	what := attempts
	if d.Dead {
		what = dead
	}
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	m := nats.NewMsg(subject(id, what))
	m.Header = nats.Header{idHeader: {d.MessageID}, typeHeader: {d.EventType}, deliveryHeader: {string(value)}}
	if messageID != "" {
		m.Header[jetstream.MsgIDHeader] = []string{messageID}
	}
	m.Data = body
	ctx, cancel := context.WithTimeout(ctx, question)
	defer cancel()
	_, err = s.js.PublishMsg(ctx, m)
	return err
}

// enqueue has a message sent to a webhook that is not, or no more, in the feed.
func (s *Sender) enqueue(ctx context.Context, id domain.WebhookID, messageID, eventType string, body []byte) error {
	m := nats.NewMsg(subject(id, again))
	m.Header = nats.Header{idHeader: {messageID}, typeHeader: {eventType}}
	m.Data = body
	if _, err := s.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// Deliveries are the attempts and dead letters of a webhook that are kept, newest first.
func (s *Sender) Deliveries(ctx context.Context, id domain.WebhookID, onlyDead bool) (list []Delivery, err error) {
	subjects := []string{subject(id, dead)}
	if !onlyDead {
		subjects = append(subjects, subject(id, attempts))
	}
	err = s.read(ctx, subjects, true, func(m jetstream.Msg, sequence uint64) error {
		d := Delivery{}
		if json.Unmarshal([]byte(m.Headers().Get(deliveryHeader)), &d) == nil {
			d.Sequence = sequence
			list = append(list, d)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Delivery) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return list, err
}

// Redeliver has dead letters sent again, one or all if no id is given, and tells how many.
func (s *Sender) Redeliver(ctx context.Context, id domain.WebhookID, messageID string) (n int, err error) {
	stream, err := s.js.Stream(ctx, StreamName)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	err = s.read(ctx, []string{subject(id, dead)}, false, func(m jetstream.Msg, sequence uint64) error {
		its := m.Headers().Get(idHeader)
		if its == "" || messageID != "" && its != messageID {
			return nil
		}
		if err := s.enqueue(ctx, id, its, m.Headers().Get(typeHeader), m.Data()); err != nil {
			return err
		}
		n++
		if err := stream.DeleteMsg(ctx, sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil
	})
	if err == nil && n == 0 && messageID != "" {
		err = ErrNoDeadLetter
	}
	return n, err
}

// read visits what is in the stream now on some subjects.
func (s *Sender) read(ctx context.Context, subjects []string, headersOnly bool, visit func(m jetstream.Msg, sequence uint64) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*question)
	defer cancel()
	consumer, err := s.js.CreateConsumer(ctx, StreamName, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: subjects, HeadersOnly: headersOnly, MemoryStorage: true, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() {
		_ = s.js.DeleteConsumer(context.WithoutCancel(ctx), StreamName, consumer.CachedInfo().Name)
	}()
	left := int(consumer.CachedInfo().NumPending)
	for left > 0 {
		// Some may be removed meanwhile, so none is waited for.
		batch, err := consumer.FetchNoWait(min(left, 100))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		before := left
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			left--
			if err := visit(m, meta.Sequence.Stream); err != nil {
				return err
			}
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if left == before {
			return nil
		}
	}
	return nil
}

// clean removes what is left of webhooks that are no more.
func (s *Sender) clean(ctx context.Context) error {
	for _, name := range []string{feed.StreamName, StreamName} {
		stream, err := s.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		names := stream.ConsumerNames(ctx)
		for consumer := range names.Name() {
			id, ours := strings.CutPrefix(consumer, consumerPrefix)
			if !ours || s.cfg.State().Webhooks().Has(domain.WebhookID(id)) {
				continue
			}
			if err := s.forget(ctx, domain.WebhookID(id)); err != nil {
				return err
			}
		}
		if err := names.Err(); err != nil {
			return err
		}
	}
	return nil
}

// forget removes a webhook's places in the streams, its attempts and its dead letters.
func (s *Sender) forget(ctx context.Context, id domain.WebhookID) error {
	for _, name := range []string{feed.StreamName, StreamName} {
		if err := s.js.DeleteConsumer(ctx, name, consumerName(id)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
	}
	stream, err := s.js.Stream(ctx, StreamName)
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(subject(id, ">")))
}
