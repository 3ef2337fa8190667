package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certFiles are a certificate and its key in a directory of the test.
type certFiles struct{ cert, key string }

func newCertFiles(t testing.TB) certFiles {
	dir := t.TempDir()
	return certFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

// selfSigned returns a certificate and key for 127.0.0.1, both PEM.
func selfSigned(t testing.TB, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f certFiles) renew(t testing.TB, name string) {
	t.Helper()
	cert, key := selfSigned(t, name)
	write(t, f.cert, cert)
	write(t, f.key, key)
}

func newReloader(t testing.TB, f certFiles) *CertReloader {
	t.Helper()
	c, err := NewCertReloader(f.cert, f.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func served(t testing.TB, c *CertReloader) string {
	t.Helper()
	cert, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf.Subject.CommonName
}

// Seen to fail without the check in GetCertificate, and with one that ignores the interval.
func TestCertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	files := newCertFiles(t)
	files.renew(t, "first")
	c := newReloader(t, files)
	clock := newClock()
	c.now = clock.Now
	if got := served(t, c); got != "first" {
		t.Fatalf("serves %q", got)
	}
	files.renew(t, "renewed")
	if got := served(t, c); got != "first" {
		t.Errorf("looked at the files again within a second: %q", got)
	}
	clock.now = clock.now.Add(certCheckInterval)
	if got := served(t, c); got != "renewed" {
		t.Errorf("serves %q a second after the renewal", got)
	}
}

// Renewal is not atomic over two files. Seen to fail with a load that stores nil on an error, and with stamps of only one
// file.
func TestBrokenFilesKeepTheOldCertificate(t *testing.T) {
	t.Parallel()
	files := newCertFiles(t)
	files.renew(t, "first")
	c := newReloader(t, files)
	clock := newClock()
	c.now = clock.Now
	newCert, newKey := selfSigned(t, "renewed")
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"certificate without its key", func() { write(t, files.cert, newCert) }, "first"},
		{"nothing changed", func() {}, "first"},
		{"half a key", func() { write(t, files.key, newKey[:40]) }, "first"},
		{"no key", func() { os.Remove(files.key) }, "first"},
		{"the key", func() { write(t, files.key, newKey) }, "renewed"},
		{"nothing at all", func() { os.Remove(files.key); os.Remove(files.cert) }, "renewed"},
	} {
		step.do()
		clock.now = clock.now.Add(certCheckInterval)
		if got := served(t, c); got != step.want {
			t.Errorf("%s: serves %q, want %q", step.name, got, step.want)
		}
	}
	if err := c.Reload(); err == nil {
		t.Error("Reload of nothing succeeded")
	}
	if got := served(t, c); got != "renewed" {
		t.Errorf("after a failed Reload: serves %q", got)
	}
	if _, err := NewCertReloader(files.cert, files.key, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a reloader started without files")
	}
}

// A renewal while serving, over real connections.
func TestCertificateRotatesWhileServing(t *testing.T) {
	t.Parallel()
	files := newCertFiles(t)
	files.renew(t, "first")
	c := newReloader(t, files)
	addr := start(t, Config{TLS: c})
	peer := func() string {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := peer(); got != "first" {
		t.Fatalf("serves %q", got)
	}
	files.renew(t, "renewed")
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := peer(); got != "renewed" {
		t.Errorf("serves %q after the renewal", got)
	}
}

// Seen to fail with MinVersion lowered to TLS 1.0 in TLSConfig, and without HTTP2 in Protocols.
func TestTLSVersionsAndProtocols(t *testing.T) {
	t.Parallel()
	files := newCertFiles(t)
	files.renew(t, "first")
	addr := start(t, Config{TLS: newReloader(t, files)})
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{
			InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"},
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err != nil {
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Errorf("%s: negotiated %q", tls.VersionName(version), got)
		}
		conn.Close()
	}
}
