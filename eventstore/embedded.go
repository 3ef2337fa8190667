package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// defaultMaxPayload is how big a message the embedded server takes; the server advises against more.
	defaultMaxPayload = 8 << 20
	// maxStore is more than a disk has. By itself the server would take three quarters of what is free at its start, and refuse
	// from then on for as long as it runs, whatever becomes free.
	maxStore = 1 << 50
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
	// Expendable are streams that may lose messages, as those do that are not flushed: a damaged one is no reason to refuse the
	// start, and goes on without what lies behind the damage in its file.
	Expendable []string
	// Logger receives the server's warnings and errors; nil means slog.Default().
	Logger *slog.Logger
}

// Embedded is a NATS server inside this process, without a port. It fsyncs every message before it acknowledges it.
type Embedded struct {
	cfg    EmbeddedConfig
	server atomic.Pointer[server.Server]
	conn   *nats.Conn
	lock   *os.File
	drain  chan struct{}
	close  sync.Once
	err    error

	// ending is closed when the watch for a full disk must end, and watching waits for it.
	ending   chan struct{}
	watching sync.WaitGroup
}

// StartEmbedded starts the server on its data directory, and returns when what is in there can be read.
//
// It returns an error wrapping ErrLocked if another process uses the directory, one wrapping ErrDamaged that names the
// position if stored bytes are not as they were written, and else why the server did not start.
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
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	e := &Embedded{cfg: cfg, lock: lock, drain: make(chan struct{}), ending: make(chan struct{})}
	if err := e.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded server: %w", err), e.Close())
	}
	e.watching.Go(e.watch)
	return e, nil
}

func (e *Embedded) start() error {
	if err := checkStore(e.cfg); err != nil {
		return err
	}
	if err := e.startServer(); err != nil {
		return err
	}
	var err error
	e.conn, err = nats.Connect("",
		nats.InProcessServer(inProcess{e}),
		nats.Name("tenure"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.DrainTimeout(drainTimeout),
		nats.ClosedHandler(func(*nats.Conn) { close(e.drain) }),
		nats.ErrorHandler(logAsync(e.cfg.Logger)),
	)
	return err
}

// inProcess connects to the server that runs at the time.
type inProcess struct{ *Embedded }

func (e inProcess) InProcessConn() (net.Conn, error) { return e.server.Load().InProcessConn() }

func (e *Embedded) startServer() error {
	cfg, log := e.cfg, &serverLog{log: e.cfg.Logger}
	srv, err := server.NewServer(&server.Options{
		ServerName:             "tenure-embedded",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		JetStreamMaxStore:      maxStore,
		SyncAlways:             !cfg.NoSync,
		MaxPayload:             cmp.Or(cfg.MaxPayload, defaultMaxPayload),
	})
	if err != nil {
		return err
	}
	srv.SetLoggerV2(log, false, false, false)
	e.server.Store(srv)
	srv.Start()
	if why := log.fatal.Load(); why != nil {
		return errors.New(*why)
	}
	if !srv.ReadyForConnections(10*time.Second) || !srv.JetStreamEnabled() {
		return errors.New("not ready after its start")
	}
	return nil
}

// Conn is the connection to the server. It belongs to e and ends with it.
func (e *Embedded) Conn() *nats.Conn { return e.conn }

// Healthy returns why the server can't be relied on, or nil. The server reports a failed write only here and in its log:
// a program that keeps a log must ask.
func (e *Embedded) Healthy() error {
	srv := e.server.Load()
	if !srv.JetStreamEnabled() {
		return errors.New("embedded server: its store is disabled")
	}
	if h := srv.Healthz(nil); h.Error != "" {
		return fmt.Errorf("embedded server: %s", h.Error)
	}
	return nil
}

// Close lets messages on their way pass, stops the server, and releases the data directory. Only the first call does
// something; all return its result.
func (e *Embedded) Close() error {
	e.close.Do(func() {
		close(e.ending)
		e.watching.Wait()
		if e.conn != nil {
			if err := e.conn.Drain(); err != nil {
				e.conn.Close()
			}
			<-e.drain
		}
		if srv := e.server.Load(); srv != nil {
			srv.Shutdown()
			srv.WaitForShutdown()
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
