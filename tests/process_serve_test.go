package tests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Whoever starts a server for the first time copies what it prints into a shell: it must work as it stands.
//
// With another method's name in the greeting the second line fails: tried.
func TestProcessGreetingWorksLiterally(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is needed: install it, or use .ci/run, which does")
	}
	p := processServeWith(t, nil, t.TempDir())
	_, script, _ := strings.Cut(p.stdout.String(), "Try, with the instance admin's key:\n")
	if n := strings.Count(script, "  curl "); n != 3 {
		t.Fatalf("%d lines of curl, expected 3:\n%s", n, script)
	}
	out, err := exec.CommandContext(processContext(t), "sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	for _, want := range []string{`{"org":{"id":"org_`, `{"orgs":[{"id":"org_`, `"logId":"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in what the lines print:\n%s", want, out)
		}
	}
	if n := strings.Count(string(out), "client-acme-corp"); n != 2 {
		t.Errorf("the organization is printed %d times, expected by the first and the second line:\n%s", n, out)
	}
}

var processAdminKey = regexp.MustCompile(`tenure-admin-[A-Z2-7]+`)

// The made admin key is shown at the first start alone, and good ever after; TENURE_ADMIN_KEY stands in its place.
//
// With the hash not stored, the second start prints another key; with it stored before the server listens, the key of a
// start that failed is never seen: both tried.
func TestProcessAdminKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A start that fails shows no key, so it must not count as the first.
	processRun(t, []string{"TENURE_ADMIN_KEY="}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:none").refused(t, "unknown port")
	p := processServeWith(t, []string{"TENURE_ADMIN_KEY="}, dir)
	key := processAdminKey.FindString(p.stdout.String())
	if key == "" {
		t.Fatalf("no admin key in the greeting:\n%s", p.stdout.String())
	}
	processWantAdmin(t, p, key, true)
	p.stop(t, syscall.SIGTERM)

	p = processServeWith(t, []string{"TENURE_ADMIN_KEY="}, dir)
	if again := processAdminKey.FindString(p.stdout.String()); again != "" {
		t.Errorf("the second start shows a key (the same: %v)", again == key)
	}
	processWantAdmin(t, p, key, true)
	p.stop(t, syscall.SIGTERM)

	p = processServe(t, dir)
	processWantAdmin(t, p, processAdmin, true)
	processWantAdmin(t, p, key, false)
	if strings.Contains(p.stdout.String()+p.stderr.String(), processAdmin) {
		t.Error("a key that was set is printed")
	}
	p.stop(t, syscall.SIGTERM)

	p = processRun(t, []string{"TENURE_ADMIN_KEY=too-short"}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	p.refused(t, "TENURE_ADMIN_KEY", "at least 20 characters", "openssl rand")
}

func processWantAdmin(t *testing.T, p *processServer, key string, good bool) {
	t.Helper()
	_, err := processClient(t, p.url, key).orgs.ListOrgs(processContext(t), &tenurev1.ListOrgsRequest{})
	switch {
	case good && err != nil:
		t.Errorf("the admin key is refused: %v", err)
	case !good && connect.CodeOf(err) != connect.CodeUnauthenticated:
		t.Errorf("a key that must not be good is answered %v", err)
	}
}

// Both signals end the server with exit code 0 within seconds, also while somebody watches; the watcher is told to come
// again.
//
// With App.Close not telling the streams to end, it takes longer than the ten seconds that stop allows: tried.
func TestProcessStopsOnSignals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := processServe(t, dir)
		api := processClient(t, p.url, processAdmin)
		ctx := processContext(t)
		org, err := api.orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: "watched by " + signal.String()})
		if err != nil {
			t.Fatal(err)
		}
		from := uint64(0)
		watch, err := api.audit.WatchAudit(ctx, &tenurev1.WatchAuditRequest{OrgId: org.Org.Id, AfterPosition: &from})
		if err != nil {
			t.Fatal(err)
		}
		if !watch.Receive() || watch.Msg().Record.EventType != "OrgCreated" {
			t.Fatalf("%s: the watch brings %v, %v", signal, watch.Msg(), watch.Err())
		}
		began := time.Now()
		p.stop(t, signal)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", signal, took)
		}
		if watch.Receive() || connect.CodeOf(watch.Err()) != connect.CodeUnavailable || processReason(watch.Err()) != "STOPPED" {
			t.Errorf("%s: the watch ended with %v, expected unavailable STOPPED", signal, watch.Err())
		}
		watch.Close()
	}
}

// Two processes on one directory would destroy it. The second is refused before it touches anything.
//
// Without the lock the second one serves: tried.
func TestProcessSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	create := func(name string) {
		t.Helper()
		if _, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	create("before the second")
	second := processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	second.refused(t, dir, "lock", fmt.Sprintf("process %d", p.cmd.Process.Pid), "stop that process")
	create("after the second")
	p.stop(t, syscall.SIGTERM)

	p = processServe(t, dir)
	list, err := processClient(t, p.url, processAdmin).orgs.ListOrgs(processContext(t), &tenurev1.ListOrgsRequest{})
	if err != nil || len(list.Orgs) != 2 {
		t.Errorf("after a restart: %d organizations, %v", len(list.GetOrgs()), err)
	}
}

// A start that can't work says why and what to do, and ends with an exit code above 0.
func TestProcessRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the subtests
	missing := t.TempDir() + "/missing.pem"
	for _, row := range []struct {
		name  string
		args  []string
		words []string
	}{
		{"taken address", []string{"--listen", taken.Addr().String()}, []string{taken.Addr().String(), "address already in use", "choose another address"}},
		{"taken private address", []string{"--private-listen", taken.Addr().String()}, []string{taken.Addr().String(), "choose another address"}},
		{"unknown flag", []string{"--colour", "red"}, []string{"unknown flag", "--colour"}},
		{"argument", []string{"now"}, []string{"now"}},
		{"certificate without a key", []string{"--tls-cert", missing}, []string{missing}},
		{"unknown key style", []string{"--key-style", "baroque"}, []string{"key style", "baroque", "langfuse"}},
		{"bad proxies", []string{"--trusted-proxies", "everybody"}, []string{"everybody"}},
		{"nobody at the NATS URL", []string{"--nats-url", "nats://127.0.0.1:1"}, []string{"connect to NATS"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, row.args...)
			processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, args...).refused(t, row.words...)
		})
	}
	t.Run("unknown command", func(t *testing.T) {
		t.Parallel()
		processRun(t, nil, "sevre").refused(t, "unknown command", "sevre")
	})
}

// What tells much about the installation is on the private listener alone.
//
// With the private handler mounted on the public listener too, it fails: tried.
func TestProcessHealthAndPrivateListener(t *testing.T) {
	t.Parallel()
	p := processServe(t, t.TempDir(), "--private-listen", "127.0.0.1:0")
	m := regexp.MustCompile(`Metrics are at (\S+)/metrics\.`).FindStringSubmatch(p.stdout.String())
	if m == nil {
		// It is printed behind the line that processServe waits for.
		deadline := time.After(processWait)
		for m == nil {
			select {
			case <-p.stdout.wrote:
				m = regexp.MustCompile(`Metrics are at (\S+)/metrics\.`).FindStringSubmatch(p.stdout.String())
			case <-deadline:
				t.Fatal("the greeting does not say where metrics are")
			}
		}
	}
	api := processClient(t, p.url, processAdmin)
	if _, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "measured"}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		url  string
		code int
		body string
	}{
		{p.url + "/healthz", http.StatusOK, "ok\n"},
		{p.url + "/readyz", http.StatusOK, "ok\nread model audit: running, position "},
		{p.url + "/metrics", http.StatusNotFound, ""},
		{p.url + "/debug/pprof/", http.StatusNotFound, ""},
		{p.url + "/debug/pprof/cmdline", http.StatusNotFound, ""},
		{m[1] + "/metrics", http.StatusOK, "\ntenure_commands_total 2\n"},
		{m[1] + "/debug/pprof/", http.StatusOK, "goroutine"},
		{m[1] + "/tenure.v1.OrgService/ListOrgs", http.StatusNotFound, ""},
	} {
		code, body := processGet(t, api.http, row.url)
		if code != row.code || !strings.Contains(body, row.body) {
			t.Errorf("%s: %d, expected %d with %q:\n%.500s", row.url, code, row.code, row.body, body)
		}
	}
}

func processGet(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(processContext(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
