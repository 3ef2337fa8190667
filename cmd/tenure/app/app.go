// Package app wires a whole server together: log, engine, sealing, keys, API, listeners. The program and the end-to-end
// tests start the same thing.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/internal/edge"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/internal/rpc"
	"github.com/tenurehq/tenure/internal/sealing"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/webhook"
)

// Version of this build.
const Version = "0.1.0"

// Config is what a server is started with.
type Config struct {
	// DataDir holds the log of an embedded server, and the files that must outlive the process: pepper, sealing key, hash
	// of the admin key.
	DataDir string
	// Listen is the address of the API.
	Listen string
	// PrivateListen is the address of metrics and pprof; none if empty. Keep it off the internet.
	PrivateListen string

	// NATSURL is an external NATS server or cluster; if empty, one runs inside this process.
	NATSURL         string
	NATSCredentials string
	NATSCA          string
	// Replicas of the log on an external cluster.
	Replicas int

	// PepperFile and SealingKeyFile must be the same for all servers of one log; in DataDir if empty.
	PepperFile     string
	SealingKeyFile string
	// AdminKey is the instance admin's key; if empty, the one made at first start is good.
	AdminKey string

	// KeyStyle, KeyBrand, KeyScheme and Salt say how new API keys look and are stored, see keyring.Config.
	KeyStyle, KeyBrand, KeyScheme, Salt string

	TLSCert, TLSKey string
	TrustedProxies  []string

	// Init is what the installation begins with.
	Init InitSettings
	// PermissionsFile names permissions of the operator's own product; none if empty.
	PermissionsFile string

	// PostgresURL is the database of the read models; if empty, they are SQLite files in DataDir.
	PostgresURL string

	// RedisURL is where what caches need is kept; nowhere, if it is empty. RedisCA is the authority of its certificate, if it is none
	// that the machine trusts. RedisPrefix and RedisPartitions, 4 if 0, are the same on all servers of a log.
	RedisURL, RedisCA, RedisPrefix string
	RedisPartitions                int

	// IdempotencyCapacity is how many idempotency keys a new log remembers; the default if 0.
	IdempotencyCapacity int
	// SnapshotEvery is after how many events a snapshot of the state is written; the default if 0.
	SnapshotEvery int
	// AccessLogRetention and AccessLogBytes are how long, and how much of it, is kept who was refused and who read what is sensitive;
	// the defaults if 0.
	AccessLogRetention time.Duration
	AccessLogBytes     int64
	// Feed publishes every event in a stream of its own; what is kept there, and how it is written, with defaults if 0 or empty.
	Feed          bool
	FeedRetention time.Duration
	FeedBytes     int64
	FeedFormat    string
	// WebhookAllowHTTP takes webhook URLs without TLS, and WebhookNetworks are private networks that webhooks may be sent to.
	WebhookAllowHTTP bool
	WebhookNetworks  []string
	// WebhookSchedule are the waits between attempts and WebhookTimeout is for one; the defaults if empty.
	WebhookSchedule []time.Duration
	WebhookTimeout  time.Duration
	// HugePages asks Linux for huge pages: a large state answers faster, and what is freed in small pieces is given back later.
	HugePages bool
	Logger    *slog.Logger
	// Clock is time.Now, if not set.
	Clock func() time.Time
}

// App is a running server.
type App struct {
	// URL is where the API is, PrivateURL where metrics are, if anywhere.
	URL, PrivateURL string
	// NewAdminKey is the admin's key if one was made at this start: show it, it is stored nowhere.
	NewAdminKey string
	Engine      *engine.Engine
	Log         *eventstore.Log
	ReadModels  rpc.ReadModels

	cfg      Config
	node     string       // the host's name
	init     *domain.Init // that was applied at this start; nil for none
	broker   broker
	vault    *sealing.Vault
	eraser   *eraser
	access   *accesslog.Recorder
	webhooks *webhook.Sender // nil without the feed
	servers  []*http.Server
	serveErr chan error
	closers  []func() error // in order of start
}

// broker is the NATS that holds the log.
type broker interface {
	conn() *nats.Conn
	healthy() error
	close() error
	// sync tells whether the log is flushed before an answer.
	sync() string
}

// Start starts a server and answers when it serves. Errors say what to do.
func Start(ctx context.Context, cfg Config) (_ *App, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	a := &App{cfg: cfg, serveErr: make(chan error, 2)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if a.broker, err = connect(ctx, cfg); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.broker.close)
	a.Log, err = eventstore.Open(ctx, eventstore.Config{Conn: a.broker.conn(), Replicas: cfg.Replicas})
	if err != nil {
		return nil, err
	}
	ring, peppers, err := cfg.ring()
	if err != nil {
		return nil, err
	}
	master, _, err := sealing.LoadMaster(cfg.file(cfg.SealingKeyFile, "sealing-key"))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(a.broker.conn())
	if err != nil {
		return nil, err
	}
	if a.vault, err = sealing.Open(ctx, js, master, max(1, cfg.Replicas)); err != nil {
		return nil, err
	}
	a.eraser = newEraser(a.vault, cfg.Logger)
	a.closers = append(a.closers, a.eraser.close)
	snapshots, err := a.snapshots(master.SnapshotKey())
	if err != nil {
		return nil, err
	}
	a.node, _ = os.Hostname()
	if cfg.NATSURL != "" {
		if err := eventstore.AnswerServers(ctx, a.broker.conn(), a.me()); err != nil {
			return nil, err
		}
	}
	often := FewerCollections()
	a.Engine, err = engine.Start(ctx, engine.Config{
		Log: a.Log, Sole: cfg.NATSURL == "", Node: a.node, Clock: cfg.Clock, Logger: cfg.Logger, Erased: a.eraser.erase,
		Snapshots: snapshots, SnapshotEvery: cfg.SnapshotEvery,
		Genesis: domain.CreateInstance{
			LogID: ulid.Make().String(), Pepper: peppers[0].ID(), SealingKey: master.ID(),
			IdempotencyCapacity: cmp.Or(cfg.IdempotencyCapacity, domain.DefaultIdempotencyCapacity), Format: eventstore.Format,
		},
	})
	often()
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { a.Engine.Close(); return nil })
	if cfg.HugePages {
		a.closers = append(a.closers, a.keepHugePages())
	}
	if err := a.fits(ctx, peppers, master.ID()); err != nil {
		return nil, err
	}
	if err := a.startReadModels(ctx); err != nil {
		return nil, err
	}
	if err := a.startRedis(); err != nil {
		return nil, err
	}
	if err := a.startFeed(); err != nil {
		return nil, err
	}
	if err := a.startWebhooks(ctx); err != nil {
		return nil, err
	}
	if err := a.extendCatalog(ctx, cfg.PermissionsFile); err != nil {
		return nil, err
	}
	if err := a.applyInit(ctx, cfg.Init, ring); err != nil {
		return nil, err
	}
	admin, err := a.adminKey()
	if err != nil {
		return nil, err
	}
	if err := a.keepAccessLog(ctx); err != nil {
		return nil, err
	}
	if err := a.serve(ring, admin); err != nil {
		return nil, err
	}
	return a, a.keepAdminKey(admin)
}

func (cfg Config) now() time.Time {
	if cfg.Clock != nil {
		return cfg.Clock()
	}
	return time.Now()
}

func (cfg Config) file(given, name string) string {
	if given != "" {
		return given
	}
	return filepath.Join(cfg.DataDir, name)
}

func (cfg Config) ring() (*keyring.Ring, []keyring.Pepper, error) {
	peppers, _, err := keyring.LoadPeppers(cfg.file(cfg.PepperFile, "pepper"))
	if err != nil {
		return nil, nil, err
	}
	ring, err := keyring.New(keyring.Config{
		Style: keyring.Style(cmp.Or(cfg.KeyStyle, string(keyring.StyleTenure))), Brand: cmp.Or(cfg.KeyBrand, "tn"),
		Scheme: cmp.Or(cfg.KeyScheme, keyring.SchemeHMAC), Salt: cfg.Salt, Peppers: peppers,
	})
	return ring, peppers, err
}

// serve opens the listeners.
func (a *App) serve(ring *keyring.Ring, admin rpc.AdminKey) error {
	proxies, err := edge.ParseTrustedProxies(a.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	metrics := edge.NewMetrics(rpc.Procedures())
	registerEngine(metrics.Registerer(), a.Engine)
	registerAccessLog(metrics.Registerer(), a.access)
	registerWebhooks(metrics.Registerer(), a.webhooks)
	registerProjections(metrics.Registerer(), a.ReadModels, a.cfg.now)
	hub := invalidation.NewHub(a.readLog(), a.cfg.Logger)
	a.closers = append(a.closers, func() error { hub.Close(); return nil })
	api, err := rpc.NewHandler(rpc.Config{
		Engine: a.Engine, Vault: a.vault, Personal: a.personal(), Ring: ring, Admin: admin, Throttle: edge.NewThrottle(edge.ThrottleConfig{}),
		AccessLog: a.access, Metrics: metrics, Logger: a.cfg.Logger, Version: Version, SyncAlways: a.broker.sync(), Warnings: a.warnings,
		Servers: a.older, ReadModels: a.ReadModels, Invalidations: hub, Webhooks: a.webhooks, WebhookAllowHTTP: a.cfg.WebhookAllowHTTP,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	public := edge.Config{Handler: mux, Proxies: proxies, StreamPaths: rpc.IsStream, Logger: a.cfg.Logger}
	scheme := "http"
	if a.cfg.TLSCert != "" || a.cfg.TLSKey != "" {
		scheme = "https"
		if public.TLS, err = edge.NewCertReloader(a.cfg.TLSCert, a.cfg.TLSKey, a.cfg.Logger); err != nil {
			return err
		}
	}
	if a.URL, err = a.listen(scheme, a.cfg.Listen, public); err != nil {
		return err
	}
	if a.cfg.PrivateListen != "" {
		a.PrivateURL, err = a.listen("http", a.cfg.PrivateListen, edge.Config{
			Handler: edge.PrivateHandler(metrics.Handler()), Logger: a.cfg.Logger,
			// Profiles take as long as they are asked to.
			StreamPaths: func(string) bool { return true },
		})
	}
	return err
}

func (a *App) listen(scheme, address string, cfg edge.Config) (url string, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("%w; choose another address or end what listens there", err)
	}
	server := edge.NewServer(cfg)
	a.servers = append(a.servers, server)
	go func() {
		if err := edge.Serve(server, listener); err != nil {
			a.serveErr <- err
		}
	}()
	return scheme + "://" + listener.Addr().String(), nil
}

// Wait answers when the server can't go on, with the reason, or nil when ctx ends.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.Engine.Failed():
		return fmt.Errorf("stopped reading the log: %w", a.Engine.Err())
	case err := <-a.serveErr:
		return err
	}
}

// Close stops the server: it takes no new requests, lets running ones end for some seconds, and closes the log.
func (a *App) Close() error {
	if a.Engine != nil {
		a.Engine.Stop()
	}
	var errs []error
	for _, server := range a.servers {
		errs = append(errs, edge.Shutdown(server, 10*time.Second))
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers, a.servers = nil, nil
	return errors.Join(errs...)
}

// healthz: the process works and may be left running.
func (a *App) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, errors.Join(a.Engine.Err(), a.broker.healthy()))
}

// readyz: requests sent here are answered. Read models are told of and don't count: commands, checks and keys do without them.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	var models []string
	for _, p := range a.ReadModels.Reporters() {
		r := p.Report()
		line := fmt.Sprintf("read model %s: %s, position %d of %d", r.Name, cmp.Or(r.Status.Phase, "none"), r.Status.Position, r.End)
		if r.Err != nil {
			line += ": " + strings.ReplaceAll(r.Err.Error(), "\n", "; ")
		}
		models = append(models, line)
	}
	answer(w, errors.Join(a.Engine.Fresh(), a.broker.healthy()), models...)
}

func answer(w http.ResponseWriter, err error, more ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	_, _ = fmt.Fprintln(w, strings.Join(append([]string{"ok"}, more...), "\n"))
}

// warnings are what an instance admin should know.
func (a *App) warnings() []string {
	var list []string
	s := a.Engine.State()
	if s.Voids > 0 {
		list = append(list, fmt.Sprintf("%d positions of the log were published by hand and are skipped; allow nobody but Tenure to publish to %s", s.Voids, eventstore.Subject))
	}
	if format := s.Instance.LogFormat(); format < eventstore.Format {
		list = append(list, fmt.Sprintf("the log has format %d and this server could write %d: raise it when all servers are upgraded: tenure instance raise-format", format, eventstore.Format))
	}
	if s.ForgotEarly(a.Engine.Now()) {
		list = append(list, fmt.Sprintf("idempotency keys are forgotten before %s: there are more than %d of them", domain.MemoryAge, s.Instance.IdempotencyCapacity))
	}
	if a.broker.sync() != "yes" {
		list = append(list, "whether the external NATS flushes to disk before it answers can't be read from here; set sync_interval: always there")
	}
	if err := a.broker.healthy(); err != nil {
		list = append(list, err.Error())
	}
	if warning := a.lostAccess(); warning != "" {
		list = append(list, warning)
	}
	if n := s.Webhooks().Len(); n > 0 && a.webhooks == nil {
		list = append(list, fmt.Sprintf("%d webhooks send nothing from this server, because the event feed is off: start all servers with --feed", n))
	}
	for _, p := range a.ReadModels.Reporters() {
		if r := p.Report(); r.Err != nil {
			list = append(list, fmt.Sprintf("read model %q is %s at position %d of %d: %v", r.Name, cmp.Or(r.Status.Phase, "none"), r.Status.Position, r.End, r.Err))
		}
	}
	if a.ReadModels.Redis != nil {
		list = append(list, a.ReadModels.Redis.Warnings()...)
	}
	if n := a.ReadModels.Usage.Dropped(); n > 0 {
		list = append(list, fmt.Sprintf("%d uses of keys were not counted, because the database of the read models was away for long", n))
	}
	if a.init != nil {
		for _, drift := range a.init.Drift(s, a.Engine.Now()) {
			list = append(list, "the settings of headless init say otherwise: "+drift)
		}
	}
	return list
}
