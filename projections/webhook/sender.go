// Package webhook sends events of organizations to the URLs they named, from the event feed: signed, with retries, and with dead
// letters for what nobody took.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/feed"
)

const (
	// DefaultTimeout is how long a receiver may take to answer.
	DefaultTimeout = 15 * time.Second
	// concurrency is how many messages one server sends to one webhook at a time: a slow receiver holds up itself alone.
	concurrency = 4
	// lookEvery is how often at most it is looked for new and changed webhooks, and pauseMost how long it is waited after trouble.
	lookEvery = 100 * time.Millisecond
	pauseMost = 5 * time.Second
	// idle is for how long one question for the next message stands.
	idle = 30 * time.Second
)

// DefaultSchedule are the waits behind each attempt: ten attempts within three days.
var DefaultSchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 20 * time.Hour,
}

// Config says what to send and where to.
type Config struct {
	// Conn belongs to the caller, who closes it after the Sender.
	Conn *nats.Conn
	// Replicas is the number of copies to create the stream with.
	Replicas int
	// State is what the log says now, and Moved a channel that is closed when it says more.
	State func() *domain.State
	Moved func() <-chan struct{}
	// Open reads a secret.
	Open projections.Opener
	// Disable ends a webhook whose receiver said at this URL that it is gone.
	Disable func(ctx context.Context, id domain.WebhookID, url string) error
	// Networks are private ones that may be sent to.
	Networks []netip.Prefix
	// Schedule are the waits behind each attempt but the last, and Timeout is for one; the defaults if empty.
	Schedule []time.Duration
	Timeout  time.Duration
	Logger   *slog.Logger
}

// Stats counts what became of messages since the start.
type Stats struct{ Delivered, Failed, Dead uint64 }

// Sender sends until Close. Several servers share the work. Its methods are safe for concurrent use.
type Sender struct {
	cfg  Config
	js   jetstream.JetStream
	http *http.Client

	delivered, failed, dead atomic.Uint64

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// worker sends to one webhook.
type worker struct {
	webhook *domain.Webhook // as it was when this began
	cancel  context.CancelFunc
	ended   chan struct{}
}

// Start begins to send, until Close. That the stream can't be made now is no error: it is tried again.
func Start(ctx context.Context, cfg Config) (*Sender, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if len(cfg.Schedule) == 0 {
		cfg.Schedule = DefaultSchedule
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg, js: js, http: cfg.client()}
	ctx, cancel := context.WithTimeout(ctx, question)
	_ = cfg.ensureStream(ctx, js) // it is tried again
	cancel()
	ctx, cancel = context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.run(ctx) })
	return s, nil
}

// Close ends it. What is being sent is sent again by whoever goes on.
func (s *Sender) Close() {
	s.cancel()
	s.done.Wait()
	s.http.CloseIdleConnections()
}

// Stats are the counts so far.
func (s *Sender) Stats() Stats { return Stats{s.delivered.Load(), s.failed.Load(), s.dead.Load()} }

// Test has a message sent that stands for nothing, and answers its id.
func (s *Sender) Test(ctx context.Context, w *domain.Webhook) (id string, err error) {
	id = string(w.ID) + "/test/" + ulid.Make().String()
	m, err := newMessage(id, "Test", time.Now(), []byte(`{"org_id":"`+string(w.Org)+`","webhook_id":"`+string(w.ID)+`"}`))
	if err != nil {
		return "", err
	}
	return id, s.enqueue(ctx, w.ID, m.id, m.eventType, m.body)
}

// run keeps a worker for each webhook that sends.
func (s *Sender) run(ctx context.Context) {
	if !s.retry(ctx, "the stream", func(ctx context.Context) error { return s.cfg.ensureStream(ctx, s.js) }) {
		return
	}
	if !s.retry(ctx, "cleaning", func(ctx context.Context) error { return s.clean(ctx) }) {
		return
	}
	workers := map[domain.WebhookID]*worker{}
	defer func() {
		for _, w := range workers {
			w.stop()
		}
	}()
	before := domain.Table[domain.WebhookID, *domain.Webhook]{}
	for {
		moved := s.cfg.Moved()
		now := s.cfg.State().Webhooks()
		for change := range before.Changes(now) {
			s.follow(ctx, workers, change)
		}
		before = now
		select {
		case <-ctx.Done():
			return
		case <-moved:
		}
		if !projections.Pause(ctx, lookEvery) {
			return
		}
	}
}

// follow starts, changes or ends the worker of a webhook.
func (s *Sender) follow(ctx context.Context, workers map[domain.WebhookID]*worker, change domain.Change[domain.WebhookID, *domain.Webhook]) {
	running := workers[change.Key]
	wanted := change.Has && change.New.Disabled == ""
	if running != nil && wanted && slices.Equal(running.webhook.EventTypes, change.New.EventTypes) {
		return
	}
	if running != nil {
		running.stop()
		delete(workers, change.Key)
	}
	switch {
	case wanted:
		workers[change.Key] = s.start(ctx, change.New)
	case !change.Has:
		if !s.retry(ctx, "removing a webhook", func(ctx context.Context) error { return s.forget(ctx, change.Key) }) {
			return
		}
	}
}

func (w *worker) stop() {
	w.cancel()
	<-w.ended
}

func (s *Sender) start(ctx context.Context, webhook *domain.Webhook) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{webhook, cancel, make(chan struct{})}
	go func() {
		defer close(w.ended)
		var both sync.WaitGroup
		both.Go(func() { s.consume(ctx, webhook.ID, feed.StreamName, s.cfg.feedConsumer(webhook)) })
		both.Go(func() { s.consume(ctx, webhook.ID, StreamName, s.cfg.againConsumer(webhook)) })
		both.Wait()
	}()
	return w
}

// consume sends what comes, so many at a time.
func (s *Sender) consume(ctx context.Context, id domain.WebhookID, stream string, cfg jetstream.ConsumerConfig) {
	slots := make(chan struct{}, concurrency)
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		var consumer jetstream.Consumer
		if !s.retry(ctx, "webhook "+string(id), func(ctx context.Context) (err error) {
			if stream == StreamName {
				// Somebody may have deleted it meanwhile.
				if err := s.cfg.ensureStream(ctx, s.js); err != nil {
					return err
				}
			}
			consumer, err = s.js.CreateOrUpdateConsumer(ctx, stream, cfg)
			return err
		}) {
			return
		}
		for {
			// A message waits in the stream until there is a slot, not here.
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			m, err := next(ctx, consumer)
			if m == nil {
				<-slots
				if ctx.Err() != nil {
					return
				}
				if err == nil {
					continue
				}
				break // the consumer may be gone with its stream
			}
			sending.Go(func() {
				defer func() { <-slots }()
				s.handle(ctx, id, m)
			})
		}
		if !projections.Pause(ctx, lookEvery) {
			return
		}
	}
}

// next is the next message; nil if none came for a while.
func next(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	var m jetstream.Msg
	for got := range batch.Messages() {
		m = got
	}
	if err := batch.Error(); m == nil && err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return m, nil
}

// handle makes one attempt, and says when there is another.
func (s *Sender) handle(ctx context.Context, id domain.WebhookID, m jetstream.Msg) {
	state := s.cfg.State()
	w, ok := state.Webhook(id)
	if !ok {
		return
	}
	if o, ok := state.Org(w.Org); !ok || o.Status == domain.Deleted {
		_ = m.Term()
		return
	}
	if w.Disabled != "" {
		_ = m.NakWithDelay(lookEvery) // it is kept for when it sends again
		return
	}
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	what, err := messageOf(m.Headers(), m.Data())
	if err != nil {
		s.cfg.Logger.Warn("a message is not sent to a webhook", "webhook", id, "subject", m.Subject(), "error", err)
		_ = m.Term()
		return
	}
	if !what.at.IsZero() && what.at.Before(w.CreatedAt) {
		_ = m.Ack() // the feed was filled again
		return
	}
	began := time.Now()
	status, err := s.send(ctx, w, what)
	if ctx.Err() != nil {
		_ = m.Nak()
		return
	}
	d := Delivery{
		MessageID: what.id, EventType: what.eventType, Time: began, Attempt: uint32(meta.NumDelivered), Status: status, Error: reason(status, err), Took: time.Since(began),
	}
	last := int(meta.NumDelivered) > len(s.cfg.Schedule)
	wait := time.Duration(0)
	if d.Error != "" && status != http.StatusGone && !last {
		wait = jittered(s.cfg.Schedule[meta.NumDelivered-1])
		d.Next = time.Now().Add(wait)
	}
	if err := s.record(ctx, id, d, nil, ""); err != nil {
		s.cfg.Logger.Warn("an attempt to send a webhook is not recorded", "webhook", id, "error", err)
	}
	switch {
	case d.Error == "":
		s.delivered.Add(1)
		err = m.Ack()
	case status == http.StatusGone:
		s.failed.Add(1)
		if err = s.cfg.Disable(ctx, id, w.URL); err != nil {
			s.cfg.Logger.Warn("a webhook whose receiver is gone goes on", "webhook", id, "error", err)
		}
		err = m.NakWithDelay(s.cfg.Schedule[0])
	case last:
		s.failed.Add(1)
		err = s.bury(ctx, id, d, what, m, meta)
	default:
		s.failed.Add(1)
		err = m.NakWithDelay(wait)
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("a webhook's message comes again", "webhook", id, "message", what.id, "error", err)
	}
}

// bury keeps a message that nobody took.
func (s *Sender) bury(ctx context.Context, id domain.WebhookID, d Delivery, what message, m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	d.Dead = true
	once := string(id) + "/" + meta.Stream + "/" + what.id + "/" + meta.Timestamp.Format(time.RFC3339Nano)
	err := s.record(ctx, id, d, what.body, once)
	if errors.Is(err, nats.ErrMaxPayload) {
		// It can never be kept whole; that it was there can.
		d.Error += " (the message is too large to be kept)"
		err = s.record(ctx, id, d, nil, once)
	}
	if err != nil {
		return errors.Join(err, m.NakWithDelay(pauseMost))
	}
	s.dead.Add(1)
	s.cfg.Logger.Warn("a webhook's receiver did not take a message: it is a dead letter", "webhook", id, "message", what.id, "attempts", d.Attempt)
	return m.Ack()
}

// jittered is a wait that differs by a tenth, so that what failed together does not come back together.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// retry does something until it works; not, if ctx ends.
func (s *Sender) retry(ctx context.Context, what string, do func(context.Context) error) bool {
	for wait := lookEvery; ; wait = min(2*wait, pauseMost) {
		attempt, cancel := context.WithTimeout(ctx, question)
		err := do(attempt)
		cancel()
		if err == nil {
			return true
		}
		if wait >= time.Second && ctx.Err() == nil {
			s.cfg.Logger.Warn("webhooks wait", "for", what, "error", err)
		}
		if !projections.Pause(ctx, wait) {
			return false
		}
	}
}
