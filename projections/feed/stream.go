package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// StreamName is the stream of the feed.
	StreamName = "TENURE_FEED"
	// Subjects are those of that stream: tenure.feed.<organization or ~>.<project or _>.<type of event>. Nobody but Tenure needs
	// permission to publish on them.
	Subjects = subjectPrefix + ">"
	// CheckpointBucket is the key-value bucket of the checkpoint.
	CheckpointBucket = "TENURE_FEED_CHECKPOINT"

	// DefaultMaxAge and DefaultMaxBytes bound the stream.
	DefaultMaxAge   = 30 * 24 * time.Hour
	DefaultMaxBytes = 1 << 30

	// sameWithin is how long the stream knows the ids of messages. Exactly once does not stand on it, but on the guard of each
	// publish; it is for clients that ask.
	sameWithin = 2 * time.Minute
)

// Config is what a feed is made with.
type Config struct {
	// LogID is the log's.
	LogID string
	// Conn belongs to the caller, who closes it after the feed's runner.
	Conn *nats.Conn
	// Replicas is the number of copies to create the stream with.
	Replicas int
	// MaxAge and MaxBytes are what is kept; DefaultMaxAge and DefaultMaxBytes if 0.
	MaxAge   time.Duration
	MaxBytes int64
	// Format is JSON if empty.
	Format Format
	Logger *slog.Logger

	sameWithin time.Duration
}

func (c Config) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        StreamName,
		Description: "Tenure: one message per event and organization; made from the log, and not for ever",
		Subjects:    []string{Subjects},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.MaxAge,
		MaxBytes:    c.MaxBytes,
		Duplicates:  min(c.sameWithin, c.MaxAge),
		Replicas:    max(c.Replicas, 1),
		// The end of the stream is read from its leader alone: what a replica does not have yet would be published again.
		AllowDirect: false,
	}
}

// ensureStream creates the stream, or gives one that is there the limits of this server's settings. What it knows of itself is new.
func (c Config) ensureStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, StreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, c.streamConfig())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, StreamName)
		}
	}
	if err != nil {
		return nil, err
	}
	want, have := c.streamConfig(), stream.CachedInfo().Config
	if have.Storage != want.Storage || have.Retention != want.Retention || have.Discard != want.Discard {
		return nil, fmt.Errorf("%w: stream %s was made by somebody else; delete it, and it is made anew from the log", errSettings, StreamName)
	}
	changed := have
	changed.Subjects, changed.AllowDirect = want.Subjects, want.AllowDirect
	changed.MaxAge, changed.Duplicates, changed.MaxBytes = want.MaxAge, want.Duplicates, want.MaxBytes
	if len(have.Subjects) == 1 && have.Subjects[0] == Subjects && !have.AllowDirect && changed.MaxAge == have.MaxAge &&
		changed.Duplicates == have.Duplicates && changed.MaxBytes == have.MaxBytes {
		return stream, nil
	}
	return js.UpdateStream(ctx, changed)
}

// ensureBucket creates the bucket of the checkpoint.
func (c Config) ensureBucket(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	bucket, err := js.KeyValue(ctx, CheckpointBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: CheckpointBucket, Description: "Tenure: how far the log is in " + StreamName, Replicas: max(c.Replicas, 1),
		})
	}
	return bucket, err
}

var errSettings = errors.New("other settings than the feed needs")

func (c Config) withDefaults() Config {
	c.MaxAge = cmp.Or(c.MaxAge, DefaultMaxAge)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.Format = cmp.Or(c.Format, JSON)
	c.sameWithin = cmp.Or(c.sameWithin, sameWithin)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}
