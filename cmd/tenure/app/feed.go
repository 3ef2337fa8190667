package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/feed"
	"github.com/tenurehq/tenure/projections/runner"
)

// startFeed publishes the events of the log until Close, if that is wanted.
func (a *App) startFeed() error {
	if !a.cfg.Feed {
		return nil
	}
	log := a.readLog()
	open := log.Open
	log.Open = func(ctx context.Context, at projections.Checkpoint, states bool) (projections.Next, error) {
		next, err := open(ctx, at, states)
		if errors.Is(err, engine.ErrShorterLog) || errors.Is(err, engine.ErrOtherLog) {
			err = fmt.Errorf("the feed is not of this log, as when an older copy was restored: delete the stream %s and the bucket %s in NATS to have it made anew (docs/FEED.md): %w",
				feed.StreamName, feed.CheckpointBucket, err)
		}
		return next, err
	}
	sink, err := feed.New(feed.Config{
		LogID: log.ID, Conn: a.broker.conn(), Replicas: a.cfg.Replicas, MaxAge: a.cfg.FeedRetention, MaxBytes: a.cfg.FeedBytes,
		Format: feed.Format(a.cfg.FeedFormat), Logger: a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	a.ReadModels.Feed = runner.StartSolo("feed", sink, "JetStream", feed.StreamName, log, a.cfg.Logger)
	a.closers = append(a.closers, func() error { a.ReadModels.Feed.Close(); return nil })
	return nil
}
