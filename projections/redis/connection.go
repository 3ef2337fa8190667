package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/projections"
)

// patience is how long one pipeline may take: who waits longer finds out less.
const patience = 5 * time.Second

// connection is made when it is first needed, and anew when it leads to a replica: at the start of a server, Redis may be away.
type connection struct {
	option rueidis.ClientOption

	mu     sync.Mutex
	client rueidis.Client
	closed bool
}

// connectionTo reads a URL; ca is a file with certificate authorities to be trusted, or "".
func connectionTo(url, ca string) (*connection, error) {
	option, err := rueidis.ParseURL(url)
	if err != nil {
		// The error may hold the password.
		return nil, errors.New("the URL of Redis is none: it is such as redis://user:password@host:6379, or rediss:// with TLS, and has more nodes of a cluster as ?addr=host:port")
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("certificate authority of Redis: %w", err)
		}
		if option.TLSConfig == nil {
			return nil, errors.New("a certificate authority for Redis is only used with TLS: begin its URL with rediss://")
		}
		option.TLSConfig.RootCAs = x509.NewCertPool()
		if !option.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
		}
		option.TLSConfig.MinVersion = tls.VersionTLS12
	}
	if option.Dialer.Timeout == 0 {
		option.Dialer.Timeout = 2 * time.Second
	}
	// Nothing is cached here.
	option.DisableCache = true
	return &connection{option: option}, nil
}

// where it leads to, without the password.
func (c *connection) where() string { return strings.Join(c.option.InitAddress, ",") }

// get is the client. It fails while Redis can't be reached.
func (c *connection) get() (rueidis.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, context.Canceled
	}
	if c.client == nil {
		client, err := rueidis.NewClient(c.option)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	return c.client, nil
}

// failed looks at an error: who is told that a server takes no writes must ask again who does.
func (c *connection) failed(err error) error {
	if reply, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(reply.Error(), "READONLY") {
		c.drop()
	}
	return err
}

func (c *connection) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

func (c *connection) close() {
	c.drop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// transient marks trouble. All that Redis answers passes by itself or when an operator changes something there, and then it must go on
// without a word to Tenure: nothing of it is a reason to stop.
func transient(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: Redis: %w", projections.ErrTransient, err)
}
