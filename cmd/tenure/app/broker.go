package app

import (
	"context"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/projections/feed"
	"github.com/tenurehq/tenure/projections/webhook"
)

// connect starts the embedded NATS, or connects to an external one.
func connect(ctx context.Context, cfg Config) (broker, error) {
	if cfg.NATSURL == "" {
		// Without the log it would be a new installation, beside half of the old one.
		if _, err := os.Stat(filepath.Join(cfg.DataDir, restoringDir)); err == nil {
			return nil, errRestoring(cfg.DataDir)
		}
		e, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{
			Dir: filepath.Join(cfg.DataDir, logDir), Expendable: []string{accesslog.StreamName, feed.StreamName, "KV_" + feed.CheckpointBucket, webhook.StreamName}, Logger: cfg.Logger,
		})
		if err != nil {
			return nil, err
		}
		return embedded{e}, nil
	}
	x, err := eventstore.Connect(ctx, eventstore.ConnectConfig{
		URL: cfg.NATSURL, Credentials: cfg.NATSCredentials, CAFile: cfg.NATSCA, Name: "tenure", Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	return external{x}, nil
}

type embedded struct{ *eventstore.Embedded }

func (e embedded) conn() *nats.Conn { return e.Conn() }
func (e embedded) healthy() error   { return e.Healthy() }
func (e embedded) close() error     { return e.Close() }
func (e embedded) sync() string     { return "yes" }

type external struct{ *eventstore.External }

func (x external) conn() *nats.Conn { return x.Conn }
func (x external) healthy() error   { return x.VersionErr() }
func (x external) sync() string     { return "unknown" }
func (x external) close() error {
	x.Conn.Close()
	return nil
}

// snapshots are in the data directory beside an embedded log, and beside an external one in its NATS, for all servers.
func (a *App) snapshots(key []byte) (*eventstore.Snapshots, error) {
	if a.cfg.NATSURL == "" {
		return eventstore.NewSnapshots(eventstore.SnapshotDir(filepath.Join(a.cfg.DataDir, "snapshots")), key), nil
	}
	bucket, err := eventstore.NewSnapshotBucket(a.broker.conn(), a.cfg.Replicas)
	return eventstore.NewSnapshots(bucket, key), err
}
