package eventstore

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// connectTimeout bounds the first connection if ctx does not, and every reconnection.
const connectTimeout = 5 * time.Second

// ConnectConfig says how to reach a NATS cluster.
type ConnectConfig struct {
	// URL is one or more addresses, separated by commas.
	URL string
	// Credentials is the path of a credentials file; empty means none.
	Credentials string
	// CAFile is the path of the certificates to trust, in PEM; empty means those of the system.
	CAFile string
	// Name tells this connection from others in the server's reports.
	Name string
	// Logger receives losses and returns of the connection; nil means slog.Default().
	Logger *slog.Logger
}

// External is a connection to a NATS cluster. The caller closes Conn.
type External struct {
	Conn *nats.Conn

	versionErr atomic.Pointer[error]
}

// VersionErr returns an error while the connected server is older than MinServerVersion, which can happen with a reconnect
// to another server of the cluster. The log is not safe there.
func (x *External) VersionErr() error {
	if p := x.versionErr.Load(); p != nil {
		return *p
	}
	return nil
}

// Connect connects once, and from then on reconnects by itself for ever. Nothing is buffered while there is no
// connection: a commit must not be sent after its sender gave it up.
//
// It returns an error if no server can be reached now, or the one reached is older than MinServerVersion.
func Connect(ctx context.Context, cfg ConnectConfig) (*External, error) {
	log := cmp.Or(cfg.Logger, slog.Default())
	x := &External{}
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(logAsync(log)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("lost the connection to NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			err := checkServerVersion(conn)
			x.versionErr.Store(&err)
			if err != nil {
				log.Error("connected to NATS again, but the log is not safe there", "error", err)
				return
			}
			log.Info("connected to NATS again", "server", conn.ConnectedUrlRedacted())
		}),
	}
	if cfg.Credentials != "" {
		opts = append(opts, nats.UserCredentials(cfg.Credentials))
	}
	if cfg.CAFile != "" {
		opts = append(opts, nats.RootCAs(cfg.CAFile))
	}
	conn, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if err := checkServerVersion(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	x.Conn = conn
	return x, nil
}
