package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound what one client can take. Zero fields have the defaults that their comments name.
type Limits struct {
	// HeaderTimeout is how long a client may take to send a request's header: 10 s.
	HeaderTimeout time.Duration
	// BodyTimeout is how long it may take to send the body of a request that is not a stream: 60 s.
	BodyTimeout time.Duration
	// AnswerTimeout is how long until the answer to such a request must have been taken, from its header on: 5 minutes.
	AnswerTimeout time.Duration
	// IdleTimeout is how long a connection may have no request: 120 s.
	IdleTimeout time.Duration
	// HeaderBytes is the size of a header: 64 KiB.
	HeaderBytes int
	// BodyBytes is the size of the body of a request that is not a stream: 4 MiB. The messages of a stream are limited by
	// who reads them.
	BodyBytes int64
	// ConnectionStreams is the number of requests at once on one HTTP/2 connection: 250.
	ConnectionStreams int
	// ClientStreams is the number of streams at once from one client address: 100.
	ClientStreams int
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.HeaderTimeout, 10*time.Second)
	orDefault(&l.BodyTimeout, 60*time.Second)
	orDefault(&l.AnswerTimeout, 5*time.Minute)
	orDefault(&l.IdleTimeout, 120*time.Second)
	orDefault(&l.HeaderBytes, 64<<10)
	orDefault(&l.BodyBytes, 4<<20)
	orDefault(&l.ConnectionStreams, 250)
	orDefault(&l.ClientStreams, 100)
	return l
}

func orDefault[T ~int | ~int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

const (
	// pingAfter a silent time on an HTTP/2 connection, and give it up pingTimeout later: dead clients would hold streams.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
	// stalledAfter is how long an HTTP/2 client may take nothing at all of what waits for it.
	stalledAfter = 30 * time.Second
)

// Config says what to serve to the internet, and how.
type Config struct {
	// Handler serves the requests. None means that everything is not found; http.DefaultServeMux is never served.
	Handler http.Handler
	// TLS is the certificate. Without it the server speaks HTTP/1.1 and unencrypted HTTP/2, for use behind a proxy.
	TLS *CertReloader
	// Proxies are believed about the client's address.
	Proxies TrustedProxies
	// StreamPaths reports whether a request to this path may be a stream: it then has no time limits and no limit of its
	// whole size, but counts against Limits.ClientStreams. Whether one is cannot be seen from the request itself. None
	// means no path.
	StreamPaths func(path string) bool
	Limits      Limits
	// Logger takes what goes wrong on connections and in handlers that panic.
	Logger *slog.Logger
}

// NewServer returns a server for Serve. Before the handler it puts the client's address into the context, security
// headers on the answer, and the limits.
//
// Reading and writing times are limited by deadlines on each request, not by the server's ReadTimeout and WriteTimeout,
// which would end every stream after that time.
func NewServer(c Config) *http.Server {
	limits := c.Limits.withDefaults()
	if c.Handler == nil {
		c.Handler = http.NotFoundHandler()
	}
	if c.StreamPaths == nil {
		c.StreamPaths = func(string) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	unary := limitUnary(limits, c.Handler)
	streams := limitStreams(limits.ClientStreams, c.Handler)
	byPath := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.StreamPaths(r.URL.Path) {
			streams.ServeHTTP(w, r)
			return
		}
		unary.ServeHTTP(w, r)
	})
	server := &http.Server{
		Handler:           c.Proxies.Middleware(secureHeaders(byPath)),
		ReadHeaderTimeout: limits.HeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: limits.ConnectionStreams,
			SendPingTimeout:      pingAfter,
			PingTimeout:          pingTimeout,
			WriteByteTimeout:     stalledAfter,
		},
	}
	server.Protocols.SetHTTP1(true)
	if c.TLS != nil {
		server.TLSConfig = c.TLS.TLSConfig()
		server.Protocols.SetHTTP2(true)
	} else {
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	return server
}

// Serve accepts connections from the listener, with TLS if the server has a certificate, until Shutdown, and returns nil
// then.
func Serve(server *http.Server, listener net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting, lets running requests end for up to grace, and cuts off the rest, which it reports as an
// error. Streams do not end by themselves: tell their handlers first.
func Shutdown(server *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests cut off after %v: %w", grace, err), server.Close())
	}
	return nil
}
