package edge

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certCheckInterval is how often handshakes look at the files. A renewed certificate is in use that much later at most.
const certCheckInterval = time.Second

// CertReloader serves a certificate from two files and follows them when they are renewed. While the new files are
// broken, or only one of them is there yet, the old certificate stays.
type CertReloader struct {
	certFile, keyFile string
	logger            *slog.Logger
	now               func() time.Time

	current   atomic.Pointer[tls.Certificate]
	nextCheck atomic.Int64 // Unix nanoseconds

	mu   sync.Mutex
	seen fileStamps // what was loaded, or tried in vain
}

// fileStamps tell whether the files changed without reading them. Missing files have zero stamps.
type fileStamps [2]struct{ modified, size int64 }

// NewCertReloader loads the certificate chain and its key, both PEM.
func NewCertReloader(certFile, keyFile string, logger *slog.Logger) (*CertReloader, error) {
	c := &CertReloader{certFile: certFile, keyFile: keyFile, logger: logger, now: time.Now}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload loads the files now, changed or not. After an error the old certificate stays in use.
func (c *CertReloader) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(c.stamps())
}

// load wants stamps from before it reads: a file that changes in between is then loaded once more.
func (c *CertReloader) load(stamps fileStamps) error {
	c.seen = stamps
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&cert)
	return nil
}

func (c *CertReloader) stamps() (s fileStamps) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			s[i].modified, s[i].size = info.ModTime().UnixNano(), info.Size()
		}
	}
	return s
}

// GetCertificate is for tls.Config. It never fails: a certificate was loaded at the start.
func (c *CertReloader) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := c.now().UnixNano()
	next := c.nextCheck.Load()
	// Of the handshakes of this second, the one that moves the time on checks; the others do not wait for it.
	if now >= next && c.nextCheck.CompareAndSwap(next, now+int64(certCheckInterval)) {
		c.reloadIfChanged()
	}
	return c.current.Load(), nil
}

func (c *CertReloader) reloadIfChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.stamps()
	if stamps == c.seen {
		return
	}
	if err := c.load(stamps); err != nil {
		c.logger.Error("keeping the old TLS certificate: the new one does not load", "error", err)
		return
	}
	c.logger.Info("TLS certificate reloaded", "file", c.certFile, "valid_until", c.current.Load().Leaf.NotAfter)
}

// TLSConfig accepts TLS 1.2 and newer and offers HTTP/2.
func (c *CertReloader) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.GetCertificate,
	}
}
