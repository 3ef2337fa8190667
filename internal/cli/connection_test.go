package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// flaky answers unavailable some times, and notes what was sent.
type flaky struct {
	tenurev1connect.UnimplementedOrgServiceHandler
	mu       sync.Mutex
	failures int
	keys     []string
}

func (f *flaky) fail(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, _ := connect.CallInfoForHandlerContext(ctx)
	f.keys = append(f.keys, info.RequestHeader().Get("Idempotency-Key"))
	if f.failures--; f.failures >= 0 {
		return connect.NewError(connect.CodeUnavailable, nil)
	}
	return nil
}

func (f *flaky) CreateOrg(ctx context.Context, _ *tenurev1.CreateOrgRequest) (*tenurev1.CreateOrgResponse, error) {
	return &tenurev1.CreateOrgResponse{}, f.fail(ctx)
}

func (f *flaky) GetOrg(ctx context.Context, _ *tenurev1.GetOrgRequest) (*tenurev1.GetOrgResponse, error) {
	return &tenurev1.GetOrgResponse{}, f.fail(ctx)
}

// A call that may pass is repeated, a command with the key that keeps it from being done twice; it is not repeated for ever.
// Fails if a repeated command has another key, a query has one, or there is no end: tried with a key made for each attempt and
// with one more attempt.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failures, calls int
		passes          bool
	}{{0, 1, true}, {2, 3, true}, {3, 3, false}} {
		f := &flaky{failures: test.failures}
		mux := http.NewServeMux()
		mux.Handle(tenurev1connect.NewOrgServiceHandler(f))
		server := httptest.NewServer(mux)
		c := &Connection{URL: server.URL, HTTP: server.Client(), header: http.Header{}}
		create := methodOf("OrgService.CreateOrg")
		_, err := c.call(t.Context(), create, &tenurev1.CreateOrgRequest{Name: "acme"})
		if (err == nil) != test.passes || len(f.keys) != test.calls {
			t.Errorf("%d failures: %d calls, %v", test.failures, len(f.keys), err)
		}
		for _, key := range f.keys {
			if key == "" || key != f.keys[0] {
				t.Errorf("the keys sent are %q", f.keys)
			}
		}
		f.keys = nil
		if _, err := c.call(t.Context(), methodOf("OrgService.GetOrg"), &tenurev1.GetOrgRequest{OrgId: "acme"}); err != nil && test.passes || len(f.keys) == 0 || f.keys[0] != "" {
			t.Errorf("a query: %v, keys %q", err, f.keys)
		}
		server.Close()
	}
}

// That nobody answers is told at once. Fails if it is tried again: tried.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	c := &Connection{URL: server.URL, HTTP: &http.Client{}, header: http.Header{}}
	server.Close()
	began := time.Now()
	_, err := c.call(t.Context(), methodOf("OrgService.GetOrg"), &tenurev1.GetOrgRequest{})
	if took := time.Since(began); err == nil || took > attemptWait/2 {
		t.Errorf("%v after %s", err, took)
	}
	if said := c.at(err).Error(); !strings.Contains(said, "no server answers at "+c.URL) || !strings.Contains(said, "TENURE_SERVER") {
		t.Errorf("it says %q", said)
	}
}

// chosenBy is what would be called, and as whom, with flags in an environment and with a config file.
func chosenBy(t *testing.T, config string, env map[string]string, args ...string) (c chosen, said string, err error) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"TENURE_SERVER", "TENURE_KEY", "TENURE_ADMIN_KEY", "TENURE_CONTEXT"} {
		t.Setenv(name, env[name])
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "tenure"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tenure", "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := &cobra.Command{Use: "tenure", SilenceErrors: true, SilenceUsage: true}
	ConnectionFlags(cmd)
	cmd.SetArgs(args)
	cmd.SetErr(&stderr)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if c, err = choose(cmd); err != nil {
			return err
		}
		_, err = Connect(cmd)
		return err
	}
	err = cmd.Execute()
	return c, stderr.String(), err
}

// Flags go before the environment, that before the config file; and a key of the file is for the server beside it. Fails if a
// key could reach another server: tried without the comparison of servers.
func TestChoose(t *testing.T) {
	const config = `
current: prod
contexts:
  prod: {server: "https://prod.example.com", key: prod-key}
  test: {server: "https://test.example.com", key: test-key}
  bare: {server: "https://bare.example.com"}
`
	for name, test := range map[string]struct {
		env    map[string]string
		args   []string
		server string
		key    string
	}{
		"the current context":        {nil, nil, "https://prod.example.com", "prod-key"},
		"a context by flag":          {map[string]string{"TENURE_KEY": "env-key"}, []string{"--context", "test"}, "https://test.example.com", "test-key"},
		"a context without a key":    {map[string]string{"TENURE_KEY": "env-key"}, []string{"--context", "bare"}, "https://bare.example.com", "env-key"},
		"a context by environment":   {map[string]string{"TENURE_CONTEXT": "test"}, nil, "https://test.example.com", "test-key"},
		"a key by environment":       {map[string]string{"TENURE_KEY": "env-key"}, nil, "https://prod.example.com", "env-key"},
		"a server by environment":    {map[string]string{"TENURE_SERVER": "https://env.example.com"}, nil, "https://env.example.com", ""},
		"the context's by name":      {map[string]string{"TENURE_SERVER": "https://prod.example.com"}, nil, "https://prod.example.com", "prod-key"},
		"a server by flag":           {map[string]string{"TENURE_SERVER": "https://env.example.com"}, []string{"--server", "https://flag.example.com"}, "https://flag.example.com", ""},
		"another than the context's": {nil, []string{"--server", "https://flag.example.com", "--context", "test"}, "https://flag.example.com", ""},
		"the admin's key in need":    {map[string]string{"TENURE_SERVER": "https://env.example.com", "TENURE_ADMIN_KEY": "admin"}, nil, "https://env.example.com", "admin"},
		"a key before the admin's":   {map[string]string{"TENURE_KEY": "env-key", "TENURE_ADMIN_KEY": "admin"}, nil, "https://prod.example.com", "env-key"},
		"the file's before that too": {map[string]string{"TENURE_ADMIN_KEY": "admin"}, nil, "https://prod.example.com", "prod-key"},
	} {
		c, _, err := chosenBy(t, config, test.env, test.args...)
		if err != nil || c.Server != test.server || c.Key != test.key {
			t.Errorf("%s: %q with key %q, %v; want %q with %q", name, c.Server, c.Key, err, test.server, test.key)
		}
	}
	if c, _, err := chosenBy(t, "", nil); err != nil || c != (chosen{Server: defaultServer}) {
		t.Errorf("without anything: %+v, %v", c, err)
	}
	if _, _, err := chosenBy(t, config, nil, "--context", "nowhere"); err == nil {
		t.Error("a context that is not there is taken")
	}
}

// A key that travels unencrypted is warned of. Fails if it is not, or if it is without need: tried with the check of the host
// turned round.
func TestPlainHTTPWarns(t *testing.T) {
	for server, warned := range map[string]bool{
		"http://tenure.example.com": true, "https://tenure.example.com": false, "http://localhost:8080": false,
		"http://127.0.0.1:8080": false, "http://[::1]:8080": false, "http://10.0.0.1": true,
	} {
		_, said, err := chosenBy(t, "", map[string]string{"TENURE_SERVER": server, "TENURE_KEY": "secret"})
		if err != nil || strings.Contains(said, "unencrypted") != warned {
			t.Errorf("%s: %q, %v", server, said, err)
		}
		if _, said, _ := chosenBy(t, "", map[string]string{"TENURE_SERVER": server}); said != "" {
			t.Errorf("%s without a key: %q", server, said)
		}
	}
}

// A server that redirects gets no key sent elsewhere. Fails if the redirect is followed: tried.
func TestRedirectIsNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	t.Setenv("TENURE_SERVER", server.URL)
	t.Setenv("TENURE_KEY", "secret")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	cmd := &cobra.Command{}
	ConnectionFlags(cmd)
	c, err := Connect(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.call(t.Context(), methodOf("OrgService.GetOrg"), &tenurev1.GetOrgRequest{}); err == nil || followed {
		t.Errorf("%v, followed %t", err, followed)
	}
}
