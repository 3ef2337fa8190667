package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// processWait is how long anything may take before a test gives up; on two busy cores with the race detector all is slow.
const processWait = 60 * time.Second

// processAdmin is the admin key that the tests set.
const processAdmin = "an-admin-key-for-tests-only"

var processBinaryDir atomic.Pointer[string]

// processBinary builds the program once, with the race detector, but in the SQL engine.
var processBinary = sync.OnceValues(func() (string, error) {
	return processBuild("race", "-race", "-gcflags=modernc.org/sqlite/lib=-race=false")
})

// processCommand builds the program once without it, for those who call it as a command: it starts sooner.
var processCommand = sync.OnceValues(func() (string, error) { return processBuild("plain") })

var processMakeDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tenure-binary-")
	if err == nil {
		processBinaryDir.Store(&dir)
	}
	return dir, err
})

func processBuild(name string, flags ...string) (string, error) {
	dir, err := processMakeDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name, "tenure")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "../cmd/tenure")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// processServer is a running `tenure serve`, or one that refused to run.
type processServer struct {
	cmd            *exec.Cmd
	stdout, stderr processOutput
	ended          chan struct{} // closed when it ended, with err set
	err            error
	url            string
	// took is the time from the start to the greeting.
	took time.Duration
}

// processOutput takes what a process prints, and tells of every write.
type processOutput struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{}
}

func (o *processOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.wrote <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *processOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// processRun starts the program with arguments, and environment besides the test's own. It is killed with the test if it
// still runs then.
func processRun(t *testing.T, env []string, args ...string) *processServer {
	t.Helper()
	return processRunBuild(t, processBinary, env, args...)
}

func processRunBuild(t *testing.T, build func() (string, error), env []string, args ...string) *processServer {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &processServer{cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.stdout.wrote, p.stderr.wrote = make(chan struct{}, 1), make(chan struct{}, 1)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", strings.Join(p.cmd.Args[1:], " "), p.stdout.String(), processTail(p.stderr.String()))
		}
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Errorf("the race detector spoke up:\n%s", p.stderr.String())
		}
	})
	return p
}

func processTail(s string) string { return s[max(0, len(s)-4000):] }

var processGreeting = regexp.MustCompile(`(?s)Tenure is at (\S+)\. Try,.*GetInstance [^\n]*\n`)

// processServe starts a server on a data directory and a free port, and returns when it greeted. The admin key is
// processAdmin.
func processServe(t *testing.T, dir string, args ...string) *processServer {
	t.Helper()
	return processServeWith(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, dir, args...)
}

func processServeWith(t *testing.T, env []string, dir string, args ...string) *processServer {
	t.Helper()
	return processServeBuild(t, processBinary, env, dir, args...)
}

func processServeBuild(t *testing.T, build func() (string, error), env []string, dir string, args ...string) *processServer {
	t.Helper()
	began := time.Now()
	p := processRunBuild(t, build, env, append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	deadline := time.After(processWait)
	for {
		if m := processGreeting.FindStringSubmatch(p.stdout.String()); m != nil {
			p.url = m[1]
			break
		}
		select {
		case <-p.stdout.wrote:
		case <-p.ended:
			t.Fatalf("the server ended instead of serving: %v\n%s", p.err, processTail(p.stderr.String()))
		case <-deadline:
			t.Fatalf("no greeting after %s\n%s", processWait, processTail(p.stderr.String()))
		}
	}
	p.took = time.Since(began)
	return p
}

// kill is kill -9.
func (p *processServer) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop sends a signal and wants a clean end soon.
func (p *processServer) stop(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("still running 10 s after %s", signal)
	}
	if p.err != nil {
		t.Fatalf("%s: %v, expected exit code 0\n%s", signal, p.err, processTail(p.stderr.String()))
	}
}

// refused wants the program to end by itself, not with 0, and to say all of the words.
func (p *processServer) refused(t *testing.T, words ...string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(processWait):
		t.Fatal("still running, expected to be refused")
	}
	if code := p.cmd.ProcessState.ExitCode(); code <= 0 {
		t.Errorf("exit code %d, expected one above 0", code)
	}
	all := "\n" + p.stderr.String()
	said := all[max(0, strings.LastIndex(all, "\ntenure: ")):]
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("what it said in the end is without %q: %s", word, said)
		}
	}
}

// processAPI are the services, in one caller's name, over connections of their own.
type processAPI struct {
	http     *http.Client
	orgs     tenurev1connect.OrgServiceClient
	projects tenurev1connect.ProjectServiceClient
	members  tenurev1connect.MemberServiceClient
	users    tenurev1connect.UserServiceClient
	keys     tenurev1connect.KeyServiceClient
	access   tenurev1connect.AccessServiceClient
	audit    tenurev1connect.AuditServiceClient
	instance tenurev1connect.InstanceServiceClient
}

// processClient calls the server at a URL as the holder of a secret. What a call's context holds of processHeaders is
// sent along.
func processClient(t testing.TB, url, secret string) *processAPI {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	auth := connect.WithInterceptors(processSender(secret))
	return &processAPI{
		http:     client,
		orgs:     tenurev1connect.NewOrgServiceClient(client, url, auth),
		projects: tenurev1connect.NewProjectServiceClient(client, url, auth),
		members:  tenurev1connect.NewMemberServiceClient(client, url, auth),
		users:    tenurev1connect.NewUserServiceClient(client, url, auth),
		keys:     tenurev1connect.NewKeyServiceClient(client, url, auth),
		access:   tenurev1connect.NewAccessServiceClient(client, url, auth),
		audit:    tenurev1connect.NewAuditServiceClient(client, url, auth),
		instance: tenurev1connect.NewInstanceServiceClient(client, url, auth),
	}
}

type processHeadersKey struct{}

// processHeaders are names and values by turns.
func processHeaders(ctx context.Context, pairs ...string) context.Context {
	return context.WithValue(ctx, processHeadersKey{}, pairs)
}

// processSender adds credentials and headers to every call.
type processSender string

func (s processSender) set(ctx context.Context, h http.Header) {
	h.Set("Authorization", "Bearer "+string(s))
	pairs, _ := ctx.Value(processHeadersKey{}).([]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
}

func (s processSender) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		s.set(ctx, req.Header())
		return next(ctx, req)
	}
}

func (s processSender) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		s.set(ctx, conn.RequestHeader())
		return conn
	}
}

func (s processSender) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// processReason is the machine-readable reason of an error from the API; "" if it has none.
func processReason(err error) string {
	var e *connect.Error
	if !errors.As(err, &e) {
		return ""
	}
	for _, d := range e.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*errdetails.ErrorInfo); ok {
				return info.Reason
			}
		}
	}
	return ""
}

// processContext ends with the test or after processWait.
func processContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), processWait)
	t.Cleanup(cancel)
	return ctx
}
