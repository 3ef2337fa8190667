package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	"github.com/tenurehq/tenure/projections/redis/layout"
	"github.com/tenurehq/tenure/tests/redistest"
)

// Three servers of a cluster hold the partitions, and one that ends and comes back empty gets its own again.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t, 3)
	url := "redis://" + nodes[0].Address() + "?addr=" + nodes[1].Address() + "&addr=" + nodes[2].Address()
	eight := layout.Layout{Prefix: "a.b", Partitions: 8}
	l := newLog(random(t, 80), 20)
	cfg := l.config(url)
	cfg.Prefix, cfg.Partitions = eight.Prefix, eight.Partitions
	p := started(t, cfg)
	for _, end := range []int{20, 50} {
		l.to(end)
		reached(t, p, l.state().Position)
		conform(t, eight, l.state(), nodes...)
	}
	here := 0
	for _, s := range nodes {
		if s.Must(t, "KEYS", "a.b:{*}:meta") != "" {
			here++
		}
	}
	if here < 2 {
		t.Errorf("all partitions are on %d server", here)
	}
	source := redissource.New(rueidis.MustParseURL(url), eight.Prefix)
	told := make(chan keycache.News, 1000)
	done := make(chan error, 1)
	go func() {
		done <- source.Follow(t.Context(), "", func(n keycache.News) {
			select {
			case told <- n:
			default:
			}
		})
	}()
	l.to(80)
	reached(t, p, 80)
	now := time.Now()
	for deadline := time.After(wait); ; {
		select {
		case n := <-told:
			if n.Position == 80 && n.Current.After(now) {
				conform(t, eight, l.state(), nodes...)
				return
			}
		case err := <-done:
			t.Fatal(err)
		case <-deadline:
			t.Fatal("the reader is not told")
		}
	}
}

// certificate is a new one of this machine, with its key, in files.
func certificate(t testing.TB) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// With TLS and a password, a projector and a reader that has no rights but those the documentation names. Whoever has no password, or
// does not trust the certificate, gets nothing, and it is said without the password.
func TestTLSAndAccounts(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	port, err := redistest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s, err := redistest.New("tls-port", strconv.Itoa(port), "tls-cert-file", cert, "tls-key-file", key, "tls-ca-cert-file", cert, "tls-auth-clients", "no")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Must(t, "CONFIG", "SET", "requirepass", "hunter2")
	s.Password = "hunter2"
	address := "127.0.0.1:" + strconv.Itoa(port)
	l := newLog(random(t, 60), 30)
	good := l.config("rediss://:hunter2@" + address)
	good.CA = cert
	p := started(t, good)
	reached(t, p, 30)
	conform(t, four, l.state(), s)

	for name, bad := range map[string]func(*Config){
		"wrong password":     func(c *Config) { c.URL = "rediss://:hunter3@" + address },
		"no password":        func(c *Config) { c.URL = "rediss://" + address },
		"no TLS":             func(c *Config) { c.URL, c.CA = "redis://:hunter2@"+address, "" },
		"no trust":           func(c *Config) { c.CA = "" },
		"nobody listens":     func(c *Config) { c.URL = "rediss://:hunter2@127.0.0.1:1" },
		"another CA":         func(c *Config) { c.CA, _ = certificate(t) },
		"not enough of URL":  func(c *Config) { c.URL = "hunter2@" + address },
		"a bad prefix":       func(c *Config) { c.Prefix = "{a}" },
		"no partitions":      func(c *Config) { c.Partitions = -1 },
		"a CA without TLS":   func(c *Config) { c.URL = "redis://:hunter2@" + address },
		"a CA that is not":   func(c *Config) { c.CA = filepath.Join(filepath.Dir(cert), "none.pem") },
		"a database no good": func(c *Config) { c.URL = "rediss://:hunter2@" + address + "/x" },
	} {
		cfg := good
		bad(&cfg)
		q, err := Start(cfg)
		if err == nil {
			until(t, name, func() bool { return q.Report().Err != nil })
			err = q.Report().Err
			q.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Tenure's own account does with less than all.
	s.Must(t, strings.Fields("ACL SETUSER tenure on >much resetchannels ~tenure:* +@all -@admin -@dangerous +info +role +cluster|slots +cluster|shards")...)
	p.Close()
	good.URL = "rediss://tenure:much@" + address
	p = started(t, good)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "a heartbeat", func() bool { return s.Must(t, "HGET", four.Meta(0), layout.MetaAsOf) != "" })
	conform(t, four, l.state(), s)

	s.Must(t, strings.Fields("ACL SETUSER reader on >secret resetchannels ~tenure:* -@all +@read +@connection +time +cluster|slots +cluster|shards")...)
	option := rueidis.MustParseURL("rediss://reader:secret@" + address)
	option.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	option.TLSConfig.RootCAs.AppendCertsFromPEM(text)
	told := make(chan keycache.News, 1000)
	done := make(chan error, 1)
	go func() {
		done <- redissource.New(option, "").Follow(t.Context(), "", func(n keycache.News) { told <- n })
	}()
	l.to(60)
	now := time.Now()
	for current := false; !current; {
		select {
		case n := <-told:
			current = n.Position == 60 && n.Current.After(now)
		case err := <-done:
			t.Fatal("with the account that the documentation names: ", err)
		case <-time.After(wait):
			t.Fatal("the reader is not told")
		}
	}
	option.DisableCache = true
	c, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, command := range []string{"SET tenure:{0}:key:a 1", "XADD tenure:{0}:stream * a b", "HSET tenure:layout epoch 1", "GET other", "EVAL return 0", "FLUSHALL"} {
		words := strings.Fields(command)
		if words[0] == "EVAL" {
			words = append(words, "0")
		}
		if err := c.Do(t.Context(), c.B().Arbitrary(words...).Build()).Error(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("a reader may %s: %v", command, err)
		}
	}
	if _, err := c.Do(t.Context(), c.B().Get().Key(four.Entry(layout.Org, "org1")).Build()).ToString(); err != nil && !rueidis.IsRedisNil(err) {
		t.Error(err)
	}
}

// Settings under which what is written may vanish are told of.
func TestWarnings(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "maxmemory-policy", "allkeys-lru")
	l := newLog(random(t, 10), 10)
	p := started(t, l.config(s.URL()))
	until(t, "a warning", func() bool { return len(p.Warnings()) == 1 })
	if w := p.Warnings()[0]; !strings.Contains(w, "noeviction") || !strings.Contains(w, s.Address()) {
		t.Error(w)
	}
}

// Nothing in Redis is personal or a secret's.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLog(random(t, 60), 60)
	p := started(t, l.config(s.URL()))
	reached(t, p, 60)
	for name, value := range entriesIn(t, four, s) {
		for _, word := range []string{"verifier", "hash", "secret", "email", "name", "display"} {
			if strings.Contains(value, `"`+word) {
				t.Errorf("%s: %s", name, value)
			}
		}
	}
}
