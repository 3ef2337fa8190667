package app

import (
	"github.com/tenurehq/tenure/projections/feed"
	"github.com/tenurehq/tenure/projections/runner"
)

// startFeed publishes the events of the log until Close, if that is wanted.
func (a *App) startFeed() error {
	if !a.cfg.Feed {
		return nil
	}
	log := a.readLog()
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
