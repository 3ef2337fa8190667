package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
)

const (
	// defaultServer is where `tenure serve` listens unless told otherwise.
	defaultServer = "http://127.0.0.1:8080"
	// attempts is how often a call is made that may pass when it is repeated.
	attempts = 3
	// attemptWait is the first wait between two of them; each is four times as long as the one before.
	attemptWait = 250 * time.Millisecond
)

// Connection is a server and whom to call it as.
type Connection struct {
	URL  string
	HTTP *http.Client
	// anonymous tells that there are no credentials.
	anonymous bool
	header    http.Header
}

// ConnectionFlags gives a command, and those below it, the flags that Connect reads.
func ConnectionFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.String("server", "", "`address` of the server (default TENURE_SERVER, else the context's, else "+defaultServer+")")
	f.String("context", "", "`context` of the config file to use (default TENURE_CONTEXT, else the current one)")
	f.String("consistency", "", "how new the state must be that answers, a `level`: minimize_latency, leader_latest or linearizable")
	f.String("at-least", "", "consistency `token` of an earlier answer: the state that answers is at least that new")
	_ = cmd.RegisterFlagCompletionFunc("context", completeContexts)
	_ = cmd.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions([]string{"minimize_latency", "leader_latest", "linearizable"}, cobra.ShellCompDirectiveNoFileComp))
}

// Connect is the server that flags, environment and config file name, in this order, and the credentials for it. A key of
// the config file is for the server beside it and is sent to no other.
func Connect(cmd *cobra.Command) (*Connection, error) {
	chosen, err := choose(cmd)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(chosen.Server)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, usagef(cmd, "%q is no address of a server; it is like https://tenure.example.com", chosen.Server)
	}
	if at.Scheme == "http" && chosen.Key != "" && !loopback(at.Hostname()) {
		warn(cmd.ErrOrStderr(), "the key travels unencrypted to %s; use https", at.Host)
	}
	c := &Connection{
		URL: strings.TrimRight(chosen.Server, "/"), anonymous: chosen.Key == "", header: http.Header{},
		// A server that redirects is not followed: the key is for it alone.
		HTTP: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	c.header.Set("User-Agent", fmt.Sprintf("tenure/%s (%s; %s)", cmd.Root().Version, runtime.GOOS, runtime.GOARCH))
	switch {
	case c.anonymous:
	case strings.Contains(chosen.Key, ":") && !chosen.bearer:
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(chosen.Key)))
	default:
		c.header.Set("Authorization", "Bearer "+chosen.Key)
	}
	for flag, header := range map[string]string{"consistency": "Tenure-Consistency", "at-least": "Tenure-Token"} {
		if value, _ := cmd.Flags().GetString(flag); value != "" {
			c.header.Set(header, value)
		}
	}
	return c, nil
}

// choice of a server and a key. bearer keys are secrets alone, whatever is in them.
type chosen struct {
	Server, Key string
	bearer      bool
}

func choose(cmd *cobra.Command) (chosen, error) {
	config, err := loadConfig()
	if err != nil {
		return chosen{}, err
	}
	server, _ := cmd.Flags().GetString("server")
	name, _ := cmd.Flags().GetString("context")
	explicit := name != ""
	if name = cmp.Or(name, os.Getenv("TENURE_CONTEXT"), config.Current); name != "" {
		if _, ok := config.Contexts[name]; !ok {
			return chosen{}, usagef(cmd, "there is no context %q; `tenure context list` shows those there are", name)
		}
	}
	context := config.Contexts[name]
	if !explicit {
		server = cmp.Or(server, os.Getenv("TENURE_SERVER"))
	}
	c := chosen{Server: cmp.Or(server, context.Server, defaultServer)}
	key := ""
	if c.Server == context.Server {
		key = context.Key
	}
	if env := os.Getenv("TENURE_KEY"); env != "" && !(explicit && key != "") {
		key = env
	}
	if admin := os.Getenv("TENURE_ADMIN_KEY"); key == "" && admin != "" {
		key, c.bearer = admin, true
	}
	c.Key = key
	return c, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Options are for clients of the API: credentials, and repetition of what may pass when repeated.
func (c *Connection) Options() []connect.ClientOption {
	return []connect.ClientOption{connect.WithInterceptors(caller{c.header})}
}

// caller sends the headers of a connection. A call that may pass when it is repeated is repeated; the Idempotency-Key keeps
// a command from being done twice.
type caller struct{ header http.Header }

func (c caller) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		c.set(req.Header())
		if req.Spec().IdempotencyLevel != connect.IdempotencyNoSideEffects && req.Header().Get("Idempotency-Key") == "" {
			req.Header().Set("Idempotency-Key", ulid.Make().String())
		}
		wait := attemptWait
		for n := 1; ; n++ {
			res, err := next(ctx, req)
			if err == nil || n == attempts || !passing(err) {
				return res, err
			}
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(wait/2 + rand.N(wait)):
			}
			wait *= 4
		}
	}
}

func (c caller) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		c.set(conn.RequestHeader())
		return conn
	}
}

func (c caller) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (c caller) set(h http.Header) {
	for name, values := range c.header {
		h[name] = values
	}
}

// passing tells whether an error may be over in a moment. That nobody answers at all is not: it is told at once.
func passing(err error) bool {
	code := connect.CodeOf(err)
	return (code == connect.CodeUnavailable || code == connect.CodeAborted) && !notReached(err)
}
