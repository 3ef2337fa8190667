package tests

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
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"

	"connectrpc.com/connect"
)

// A renewed certificate is served without a restart, to new connections; each client here trusts one certificate alone.
//
// With GetCertificate not looking at the files, the new one never comes: tried.
func TestProcessServesTLSAndRenewedCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := processCertificate(t, cert, key, 1)
	p := processServe(t, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("the greeting says %s", p.url)
	}
	call := func(trusted *x509.CertPool) error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		client := tenurev1connect.NewOrgServiceClient(&http.Client{Transport: transport}, p.url, connect.WithInterceptors(processSender(processAdmin)))
		_, err := client.ListOrgs(processContext(t), &tenurev1.ListOrgsRequest{})
		return err
	}
	if err := call(first); err != nil {
		t.Fatal(err)
	}
	second := processCertificate(t, cert, key, 2)
	deadline := time.Now().Add(processWait)
	for call(second) != nil {
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not served: %v", call(second))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := call(first); err == nil {
		t.Error("the old certificate is still served")
	}
	if !strings.Contains(p.stderr.String(), "certificate reloaded") {
		t.Error("the reload is not logged")
	}
}

// processCertificate writes a self-signed certificate and its key, and returns a pool that trusts it alone.
func processCertificate(t *testing.T, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "tenure"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	// As renewals do: the key comes a moment before its certificate, and the server must bear the moment between.
	for _, f := range []struct {
		path, kind string
		der        []byte
	}{{keyFile, "PRIVATE KEY", keyDER}, {certFile, "CERTIFICATE", der}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(f.path+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(f.path+".new", f.path); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}
