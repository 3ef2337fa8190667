package sealing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BucketName is the NATS key-value bucket that holds one wrapped key per subject.
const BucketName = "TENURE_PERSONAL_KEYS"

const (
	bucketStream  = "KV_" + BucketName
	subjectPrefix = "$KV." + BucketName + "."
)

// bucket stores wrapped keys by subject.
type bucket struct {
	keys   jetstream.KeyValue
	stream jetstream.Stream
}

// streamConfig is a key-value bucket in all that readers of one need. It is made as a stream because a bucket that NATS
// makes itself denies the deletion of single messages, and that cannot be changed afterwards.
func streamConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              bucketStream,
		Description:       "Tenure: wrapped keys of personal data, one per subject. Losing it erases everybody.",
		Subjects:          []string{subjectPrefix + ">"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		Discard:           jetstream.DiscardNew,
		DenyPurge:         true,
		// Reads go to the leader: a replica that is behind would hand out a key that was destroyed.
		AllowDirect: false,
	}
}

const (
	// openWait is how long openBucket waits for a cluster that is choosing its leaders, attemptTimeout how long for each of
	// its answers: a cluster may never answer one of several servers that create the bucket at once.
	openWait       = 15 * time.Second
	attemptTimeout = 4 * time.Second
	attemptPause   = 200 * time.Millisecond
)

// openBucket finds the bucket or makes it. Several servers may do so at once.
func openBucket(ctx context.Context, js jetstream.JetStream, replicas int) (*bucket, error) {
	deadline := time.Now().Add(openWait)
	for {
		b, err := tryBucket(ctx, js, replicas)
		if err == nil || !transient(err) || time.Now().After(deadline) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(attemptPause):
		}
	}
}

// transient tells whether a cluster may answer otherwise in a moment.
func transient(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503 || api.Code == 408 || errors.Is(err, jetstream.ErrStreamNotFound)
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrBucketNotFound)
}

func tryBucket(ctx context.Context, js jetstream.JetStream, replicas int) (*bucket, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, bucketStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, streamConfig(replicas))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another server was quicker, with other settings
			stream, err = js.Stream(ctx, bucketStream)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := usable(stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	keys, err := js.KeyValue(ctx, BucketName)
	if err != nil {
		return nil, err
	}
	return &bucket{keys: keys, stream: stream}, nil
}

// usable refuses settings of an existing stream under which a key could vanish, or survive its destruction.
func usable(cfg jetstream.StreamConfig) error {
	switch {
	case cfg.DenyDelete:
		return fmt.Errorf("stream %s denies deletion, so that nobody could be erased", cfg.Name)
	case cfg.AllowDirect:
		return fmt.Errorf("stream %s allows direct get, which can answer with destroyed keys", cfg.Name)
	case cfg.Storage != jetstream.FileStorage:
		return fmt.Errorf("stream %s is not on disk", cfg.Name)
	case cfg.MaxMsgsPerSubject != 1:
		return fmt.Errorf("stream %s keeps %d values per subject, want 1", cfg.Name, cfg.MaxMsgsPerSubject)
	case cfg.MaxAge > 0, cfg.MaxMsgs > 0, cfg.MaxBytes > 0 && cfg.Discard == jetstream.DiscardOld:
		return fmt.Errorf("stream %s has a limit that drops keys", cfg.Name)
	}
	return nil
}

// get returns the subject's wrapped key, ErrErased if there is none.
func (b *bucket) get(ctx context.Context, subject string) (wrapped []byte, err error) {
	err = persist(ctx, func(ctx context.Context) (err error) {
		wrapped, err = b.tryGet(ctx, subject)
		return err
	})
	return wrapped, err
}

// persist asks again what was not answered, for as long as ctx lasts: a cluster that is choosing a leader drops requests without
// a word.
func persist(ctx context.Context, ask func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := ask(attempt)
		lost := attempt.Err() != nil && errors.Is(err, context.DeadlineExceeded)
		cancel()
		if !lost || ctx.Err() != nil {
			return err
		}
	}
}

func (b *bucket) tryGet(ctx context.Context, subject string) ([]byte, error) {
	entry, err := b.keys.Get(ctx, subject)
	if errors.Is(err, jetstream.ErrKeyNotFound) { // includes ErrKeyDeleted
		return nil, ErrErased
	}
	if err != nil {
		return nil, err
	}
	return entry.Value(), nil
}

// createTries and createPause bound how long create waits for the key of another server to arrive.
const (
	createTries = 100
	createPause = 20 * time.Millisecond
)

// create stores the subject's first wrapped key and returns it, or the one that another was quicker to store.
func (b *bucket) create(ctx context.Context, subject string, wrapped []byte) ([]byte, error) {
	for try := 1; ; try++ {
		// One that was stored but not confirmed is found to exist, and is then what get answers.
		err := persist(ctx, func(ctx context.Context) error {
			_, err := b.keys.Create(ctx, subject, wrapped)
			return err
		})
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return wrapped, err
		}
		// On a cluster another's key may have been counted and not be there yet, and may never come.
		other, err := b.get(ctx, subject)
		if !errors.Is(err, ErrErased) || try == createTries {
			return other, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(createPause):
		}
	}
}

// destroy overwrites whatever is stored for the subject until nothing is.
func (b *bucket) destroy(ctx context.Context, subject string) error {
	var failed uint64
	for {
		var msg *jetstream.RawStreamMsg
		err := persist(ctx, func(ctx context.Context) (err error) {
			msg, err = b.stream.GetLastMsgForSubject(ctx, subjectPrefix+subject)
			return err
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		err = persist(ctx, func(ctx context.Context) error { return b.stream.SecureDeleteMsg(ctx, msg.Sequence) })
		if err != nil {
			// Another server may have destroyed this very message: only its presence afterwards is a failure.
			if msg.Sequence == failed || ctx.Err() != nil {
				return err
			}
			failed = msg.Sequence
		}
	}
}
