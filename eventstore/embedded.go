package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// defaultMaxPayload is how big a message the embedded server takes; the server advises against more.
	defaultMaxPayload = 8 << 20
	// drainTimeout is how long closing waits for messages on their way.
	drainTimeout = 5 * time.Second
)

// EmbeddedConfig says where and how the server inside this process keeps its data.
type EmbeddedConfig struct {
	// Dir is the data directory, created if missing. One process uses it at a time.
	Dir string
	// MaxPayload is the biggest message in bytes; 0 means 8 MiB.
	MaxPayload int32
	// NoSync leaves it to the operating system when data reach the disk: for benchmarks and tests that fill a log. A crash of
	// the machine can lose what was acknowledged.
	NoSync bool
	// Logger receives the server's warnings and errors; nil means slog.Default().
	Logger *slog.Logger
}

// Embedded is a NATS server inside this process, without a port. It fsyncs every message before it acknowledges it.
type Embedded struct {
	server *server.Server
	conn   *nats.Conn
	lock   *os.File
	drain  chan struct{}
	close  sync.Once
	err    error
}

// StartEmbedded starts the server on its data directory, and returns when what is in there can be read.
//
// It returns an error wrapping ErrLocked if another process uses the directory, and else why the server did not start.
func StartEmbedded(cfg EmbeddedConfig) (*Embedded, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded server: no data directory given")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	e := &Embedded{lock: lock, drain: make(chan struct{})}
	if err := e.start(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded server: %w", err), e.Close())
	}
	return e, nil
}

func (e *Embedded) start(cfg EmbeddedConfig) error {
	log := &serverLog{log: cmp.Or(cfg.Logger, slog.Default())}
	srv, err := server.NewServer(&server.Options{
		ServerName:             "tenure-embedded",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		SyncAlways:             !cfg.NoSync,
		MaxPayload:             cmp.Or(cfg.MaxPayload, defaultMaxPayload),
	})
	if err != nil {
		return err
	}
	srv.SetLoggerV2(log, false, false, false)
	e.server = srv
	srv.Start()
	if why := log.fatal.Load(); why != nil {
		return errors.New(*why)
	}
	if !srv.ReadyForConnections(10*time.Second) || !srv.JetStreamEnabled() {
		return errors.New("not ready after its start")
	}
	e.conn, err = nats.Connect("",
		nats.InProcessServer(srv),
		nats.Name("tenure"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.DrainTimeout(drainTimeout),
		nats.ClosedHandler(func(*nats.Conn) { close(e.drain) }),
		nats.ErrorHandler(logAsync(log.log)),
	)
	return err
}

// Conn is the connection to the server. It belongs to e and ends with it.
func (e *Embedded) Conn() *nats.Conn { return e.conn }

// Healthy returns why the server can't be relied on, or nil. The server reports a failed write only here and in its log:
// a program that keeps a log must ask.
func (e *Embedded) Healthy() error {
	if !e.server.JetStreamEnabled() {
		return errors.New("embedded server: its store is disabled")
	}
	if h := e.server.Healthz(nil); h.Error != "" {
		return fmt.Errorf("embedded server: %s", h.Error)
	}
	return nil
}

// Close lets messages on their way pass, stops the server, and releases the data directory. Only the first call does
// something; all return its result.
func (e *Embedded) Close() error {
	e.close.Do(func() {
		if e.conn != nil {
			if err := e.conn.Drain(); err != nil {
				e.conn.Close()
			}
			<-e.drain
		}
		if e.server != nil {
			e.server.Shutdown()
			e.server.WaitForShutdown()
		}
		e.err = e.lock.Close()
	})
	return e.err
}

// logAsync logs what goes wrong on a connection outside of any call.
func logAsync(log *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, sub *nats.Subscription, err error) {
		if sub != nil {
			log.Warn("nats connection", "error", err, "subject", sub.Subject)
			return
		}
		log.Warn("nats connection", "error", err)
	}
}
