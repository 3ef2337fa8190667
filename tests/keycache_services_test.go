package tests

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/keycacheconnect"
	"github.com/tenurehq/tenure/client/keycache/keycachegrpc"
	"github.com/tenurehq/tenure/cmd/tenure/app"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

// keycacheCall calls a protected service and answers code and reason; "" for a call that was let through.
type keycacheCall func(t *testing.T, header map[string]string, from string) (code, reason string)

const keycachePermission = "scores:CUD"

// keycacheServices are services behind each of the guards, all with one cache. The address of a caller is what header X-From says.
func keycacheServices(t *testing.T, cache *keycache.Cache) map[string]keycacheCall {
	t.Helper()
	m := keycache.Middleware{Cache: cache, EnvironmentHeader: "X-Environment", Address: func(r *http.Request) netip.Addr {
		a, _ := netip.ParseAddr(r.Header.Get("X-From"))
		return a
	}}
	plain := httptest.NewServer(m.Handler(m.Require(keycachePermission, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := keycache.FromContext(r.Context()); !ok || !a.Valid {
			w.WriteHeader(http.StatusTeapot)
		}
	}))))
	t.Cleanup(plain.Close)
	ask := func(t *testing.T, method, url string, header map[string]string, from string) (*http.Response, string) {
		req, _ := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-From", from)
		for name, value := range header {
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}

	i := keycacheconnect.Interceptor{
		Cache: cache, EnvironmentHeader: "X-Environment", Permission: func(string) string { return keycachePermission },
		Address: func(_ connect.Peer, h http.Header) netip.Addr { a, _ := netip.ParseAddr(h.Get("X-From")); return a },
	}
	connected := httptest.NewServer(func() http.Handler {
		_, h := grpchealth.NewHandler(grpchealth.NewStaticChecker("service"), connect.WithInterceptors(i))
		return h
	}())
	t.Cleanup(connected.Close)

	g := keycachegrpc.Interceptor{
		Cache: cache, EnvironmentKey: "x-environment", Permission: func(string) string { return keycachePermission },
		Address: func(ctx context.Context) netip.Addr {
			a, _ := netip.ParseAddr(strings.Join(metadata.ValueFromIncomingContext(ctx, "x-from"), ""))
			return a
		},
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	healthv1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	overGRPC := func(call func(context.Context) error) keycacheCall {
		return func(t *testing.T, header map[string]string, from string) (code, reason string) {
			ctx := metadata.AppendToOutgoingContext(processContext(t), "x-from", from)
			for name, value := range header {
				ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), value)
			}
			s, _ := status.FromError(call(ctx))
			for _, d := range s.Details() {
				if info, ok := d.(*errdetails.ErrorInfo); ok {
					return connect.Code(s.Code()).String(), info.Reason
				}
			}
			if s.Err() != nil {
				return s.Err().Error(), ""
			}
			return "", ""
		}
	}
	return map[string]keycacheCall{
		"http": func(t *testing.T, header map[string]string, from string) (code, reason string) {
			res, body := ask(t, "GET", plain.URL, header, from)
			if res.StatusCode == http.StatusOK {
				return "", ""
			}
			var e struct{ Code, Reason, Message string }
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Message == "" {
				t.Errorf("%d with the body %s", res.StatusCode, body)
			}
			want := map[string]int{"unauthenticated": 401, "permission_denied": 403, "unavailable": 503}[e.Code]
			if res.StatusCode != want || (want == 401) != (len(res.Header["Www-Authenticate"]) == 2) || (want == 503) != (res.Header.Get("Retry-After") != "") {
				t.Errorf("%s is answered with %d and %v", e.Code, res.StatusCode, res.Header)
			}
			return e.Code, e.Reason
		},
		"connect": func(t *testing.T, header map[string]string, from string) (code, reason string) {
			res, body := ask(t, "POST", connected.URL+"/grpc.health.v1.Health/Check", header, from)
			if res.StatusCode == http.StatusOK {
				return "", ""
			}
			var e struct {
				Code    string
				Details []struct{ Value string }
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil || len(e.Details) == 0 {
				return body, ""
			}
			raw, _ := base64.RawStdEncoding.DecodeString(e.Details[0].Value)
			_, reason, _ = strings.Cut(string(raw), "\n")
			return e.Code, reason[1 : 1+int(reason[0])]
		},
		"grpc unary": overGRPC(func(ctx context.Context) error {
			_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
			return err
		}),
		"grpc stream": overGRPC(func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}),
	}
}

// Every guard refuses the same for the same reasons: nothing and bad credentials, a secret with another's public part or with an empty
// one, a revoked key, the wrong environment and address, a missing permission, and everything once it can't be known. Fails if an empty
// public part is taken for none, or the permission is not looked at: tried both.
func TestKeycacheGuards(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	admin := s.admin()
	plane := s.key(t, admin, &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	cache := keycacheOpen(t, keycache.Config{URL: s.URL, Key: plane.secret, MaxStale: 2 * time.Second})
	services := keycacheServices(t, cache)
	a := s.tenant(t)
	bound := s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project, Environments: []string{"default"}, AllowedNetworks: []string{"10.0.0.0/8"}})
	reader := s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project, Permissions: []string{"project:read"}})
	revoked := s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project})
	apiOK[*tenurev1.RevokeKeyResponse](t, admin, &tenurev1.RevokeKeyRequest{KeyId: revoked.id})
	basic := func(public, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(public+":"+secret))
	}
	for name, call := range services {
		for _, row := range []struct{ what, authorization, environment, from, code, reason string }{
			{"a good key", "Bearer " + bound.secret, "", "10.1.2.3", "", ""},
			{"both parts", basic(bound.public, bound.secret), "", "::ffff:10.1.2.3", "", ""},
			{"nothing", "", "", "10.1.2.3", "unauthenticated", "UNAUTHENTICATED"},
			{"another scheme", "Digest x", "", "10.1.2.3", "unauthenticated", "UNAUTHENTICATED"},
			{"an empty public part", basic("", bound.secret), "", "10.1.2.3", "unauthenticated", "UNAUTHENTICATED"},
			{"too long a secret", "Bearer " + strings.Repeat("x", 300), "", "10.1.2.3", "unauthenticated", "UNAUTHENTICATED"},
			{"what is no text", basic("\xff", "\xfe"), "", "10.1.2.3", "unauthenticated", "UNAUTHENTICATED"},
			{"another's public part", basic(reader.public, bound.secret), "", "10.1.2.3", "unauthenticated", "KEY_UNKNOWN"},
			{"an unknown secret", "Bearer unknown", "", "10.1.2.3", "unauthenticated", "KEY_UNKNOWN"},
			{"a revoked key", "Bearer " + revoked.secret, "", "10.1.2.3", "unauthenticated", "KEY_REVOKED"},
			{"another environment", "Bearer " + bound.secret, "staging", "10.1.2.3", "permission_denied", "WRONG_ENVIRONMENT"},
			{"another address", "Bearer " + bound.secret, "", "192.0.2.1", "permission_denied", "NETWORK_NOT_ALLOWED"},
			{"no address", "Bearer " + bound.secret, "", "", "permission_denied", "NETWORK_NOT_ALLOWED"},
			{"a missing permission", "Bearer " + reader.secret, "", "10.1.2.3", "permission_denied", "KEY_LACKS_PERMISSION"},
		} {
			header := map[string]string{}
			if row.authorization != "" {
				header["Authorization"] = row.authorization
			}
			if row.environment != "" {
				header["X-Environment"] = row.environment
			}
			if code, reason := call(t, header, row.from); code != row.code || reason != row.reason {
				t.Errorf("%s, %s: %q %q, wanted %q %q", name, row.what, code, reason, row.code, row.reason)
			}
		}
	}
	project := func(user string) (keycache.Verdict, error) {
		return cache.Check(processContext(t), user, "", a.project, "project:delete")
	}
	if v, err := project(a.owner.id); err != nil || !v.Allowed || v.Reason != "ORG_ROLE" {
		t.Errorf("the owner is answered %+v, %v", v, err)
	}
	before := cache.Stats().Questions
	if v, err := project(a.owner.id); err != nil || !v.Allowed || cache.Stats().Questions != before {
		t.Errorf("the owner is answered %+v, %v, with %d questions", v, err, cache.Stats().Questions-before)
	}
	if _, err := project("nobody"); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("nobody is answered %v", err)
	}
	if err := s.App.Close(); err != nil {
		t.Fatal(err)
	}
	faultUntil(t, "what is known to be too old", func() bool { return cache.Age() > 2*time.Second })
	for name, call := range services {
		if code, reason := call(t, map[string]string{"Authorization": "Bearer " + bound.secret}, "10.1.2.3"); code != "unavailable" || reason != "UNAVAILABLE" {
			t.Errorf("%s without Tenure: %q %q", name, code, reason)
		}
	}
}

// keycacheStart starts a program and answers what it prints, line by line. It ends with the test.
func keycacheStart(t *testing.T, cmd *exec.Cmd) (lines *bufio.Scanner, in io.Writer) {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return bufio.NewScanner(out), in
}

// keycacheLine is the next line that holds something.
func keycacheLine(t *testing.T, lines *bufio.Scanner, holds string) string {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), holds) {
			return lines.Text()
		}
	}
	t.Fatalf("the program ended without %q", holds)
	return ""
}

func nodeJS(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("the tests need Node: install the package nodejs (Debian, as root: apt-get install nodejs)")
	}
	return path
}

// The Node example judges the cases that Go judges. Fails with any reason left out of its judge: tried with PROJECT_DELETED.
func TestKeycacheNodeConforms(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(nodeJS(t), "../examples/keycache.mjs", "--conformance", "../examples/testdata/keycache.json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 wrong") {
		t.Fatalf("%v\n%.2000s", err, out)
	}
}

// A Node process with the example's cache, on a real Redis, answers from memory and sees a revocation. Fails if it does not take what the
// stream tells: tried.
func TestKeycacheNodeSeesRevocation(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL = redis.URL(); cfg.RedisPartitions = 2 })
	a := s.tenant(t)
	lines, in := keycacheStart(t, exec.Command(nodeJS(t), "../examples/keycache.mjs", s.URL, redis.Address()))
	var took []time.Duration
	for range 5 {
		key := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
		fmt.Fprintf(in, "%s:%s\n", key.public, key.secret)
		keycacheLine(t, lines, key.public+" VALID from memory")
		apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: key.id})
		answered := time.Now()
		line := keycacheLine(t, lines, key.public+" KEY_REVOKED")
		if !strings.HasSuffix(line, "from memory") {
			t.Errorf("it asked Tenure: %s", line)
		}
		at, _, _ := strings.Cut(line, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, max(0, time.UnixMilli(ms).Sub(answered)))
	}
	t.Logf("from the answer of RevokeKey to the answer in Node: %v", took)
	for _, d := range took {
		if d > 5*time.Second {
			t.Errorf("a revoked key was good for %s", d)
		}
	}
}

// The example's service runs as its comment says, and tells whom it refused.
func TestKeycacheExample(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "keycache")
	if out, err := exec.Command("go", "build", "-o", binary, "../examples/keycache").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	redis := redistest.Start(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL = redis.URL(); cfg.RedisPartitions = 2 })
	a := s.tenant(t)
	plane := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	for _, more := range [][]string{nil, {"--redis", redis.URL()}} {
		cmd := exec.Command(binary, append([]string{"--tenure", s.URL, "--listen", "127.0.0.1:0"}, more...)...)
		cmd.Env = append(os.Environ(), "TENURE_KEY="+plane.secret)
		lines, _ := keycacheStart(t, cmd)
		_, url, _ := strings.Cut(keycacheLine(t, lines, "serving at "), "serving at ")
		key := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
		get := func() int {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/whoami", nil)
			req.SetBasicAuth(key.public, key.secret)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode
		}
		if got := get(); got != http.StatusOK {
			t.Fatalf("a good key is answered %d", got)
		}
		apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: key.id})
		faultUntil(t, "the revoked key to be refused", func() bool { return get() == http.StatusUnauthorized })
		if line := keycacheLine(t, lines, "refused GET /whoami"); !strings.Contains(line, "KEY_REVOKED") || strings.Contains(line, key.secret) {
			t.Errorf("it says %s", line)
		}
	}
}
