package tests

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/eventstore"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

func operationsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// operationsBlock is the block behind a marker in docs/OPERATIONS.md.
func operationsBlock(t *testing.T, marker string) string {
	t.Helper()
	m := regexp.MustCompile("(?s)<!-- " + marker + " -->\n```[a-z]+\n(.*?)```").FindStringSubmatch(operationsPage(t))
	if m == nil {
		t.Fatalf("docs/OPERATIONS.md has no block %q", marker)
	}
	return m[1]
}

// The drill of the page does what it says, word for word but for directory and port. Fails if a command of it does: tried with a
// flipped bit in the backup.
func TestOperationsDrill(t *testing.T) {
	t.Parallel()
	binary, err := processBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := apiStart(t, nil)
	a := s.tenant(t)
	dir := t.TempDir()
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cmd := exec.CommandContext(processContext(t), "bash", "-euo", "pipefail", "-c",
		strings.NewReplacer("/backup/tenure", dir, "127.0.0.1:8099", address).Replace(operationsBlock(t, "drill")))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "TENURE_ADMIN_KEY="+apiAdminKey, "TENURE_KEY=",
		"TMPDIR="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"The backup is whole", "Restored log " + b.LogID, "The chain is whole", a.owner.email} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the drill does not show %q:\n%s", want, out)
		}
	}
}

// The permissions for NATS that the page gives are enough for everything: to serve, to ask the other servers, to write snapshots,
// to be copied, and to be put back. Fails with any of them left out: tried with each.
func TestOperationsNATS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := strings.NewReplacer("0.0.0.0:4222", "127.0.0.1:-1", "/var/lib/nats", filepath.Join(dir, "nats")).Replace(operationsBlock(t, "nats"))
	path := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *server.Server {
		t.Helper()
		opts, err := server.ProcessConfigFile(path)
		if err != nil {
			t.Fatal(err)
		}
		opts.NoLog, opts.NoSigs = true, true
		if !opts.SyncAlways || opts.MaxPayload != 8<<20 && opts.MaxPayload != 8_000_000 {
			t.Errorf("the page's NATS flushes always: %t, takes %d bytes", opts.SyncAlways, opts.MaxPayload)
		}
		broker, err := server.NewServer(opts)
		if err != nil {
			t.Fatal(err)
		}
		broker.Start()
		t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
		if !broker.ReadyForConnections(apiWait) {
			t.Fatal("NATS is not ready")
		}
		return broker
	}
	broker := start()
	there := func() string { return strings.Replace(broker.ClientURL(), "nats://", "nats://tenure:change-me@", 1) }
	data := t.TempDir()
	s := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.NATSURL, cfg.SnapshotEvery, cfg.Feed = data, there(), 2, true })
	p := s.person(t)
	for range 4 {
		s.org(t, p.id)
	}
	apiOK[*tenurev1.RaiseFormatResponse](t, s.admin(), &tenurev1.RaiseFormatRequest{})
	faultUntil(t, "a snapshot", func() bool { return s.Engine.Stats().Snapshot > 0 })
	if at, ok := s.ReadModels.Feed.Await(processContext(t), s.Engine.State().Position); !ok {
		t.Errorf("the feed is at %d", at)
	}
	hook := apiOK[*tenurev1.CreateWebhookResponse](t, s.admin(), &tenurev1.CreateWebhookRequest{OrgId: s.org(t, p.id), Url: apiHook}).Webhook.Id
	faultUntil(t, "a second attempt of a webhook", func() bool {
		list := apiOK[*tenurev1.ListWebhookDeliveriesResponse](t, s.admin(), &tenurev1.ListWebhookDeliveriesRequest{WebhookId: hook}).Deliveries
		return len(list) > 0 && list[0].Attempt > 1
	})
	_, _, _ = s.anonymous().call(t.Context(), &tenurev1.GetOrgRequest{OrgId: "org"})
	faultUntil(t, "a record of the access log", func() bool {
		return len(apiOK[*tenurev1.QueryAccessLogResponse](t, s.admin(), &tenurev1.QueryAccessLogRequest{}).Records) > 0
	})
	backups := t.TempDir()
	backupTaken(t, s.URL, backups, "--data-dir", data)
	gone := s.person(t)
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: gone.id})
	if _, err := nats.Connect(broker.ClientURL()); err == nil {
		t.Error("whoever has no credentials may connect")
	}
	s.stop(t)

	// A start from the snapshot, and a restore into a NATS of the same kind.
	again := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.NATSURL = data, there() })
	again.stop(t)
	if err := os.WriteFile(path, []byte(strings.Replace(config, filepath.Join(dir, "nats"), filepath.Join(dir, "new"), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	broker = start()
	into := t.TempDir()
	backupRestored(t, backups, into, func(cfg *app.RestoreConfig) { cfg.NATSURL = there() })
	back := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.NATSURL = into, there() })
	if u := apiOK[*tenurev1.GetUserResponse](t, back.admin(), &tenurev1.GetUserRequest{UserId: p.id}).User; u.Email != p.email {
		t.Errorf("the person reads %v", u)
	}
	if !strings.Contains(operationsPage(t), eventstore.MinServerVersion) {
		t.Errorf("the page does not ask for NATS %s", eventstore.MinServerVersion)
	}
}

func metricsOf(t *testing.T, s *apiServer) string {
	t.Helper()
	res, err := http.Get(s.PrivateURL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The page says of every metric of Tenure what it means when it is not as it should be, and names none that is not there. Fails
// if a metric is added and not described: tried with one left out of the page.
func TestOperationsMetrics(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.PrivateListen, cfg.Feed, cfg.RedisURL = "127.0.0.1:0", true, redis.URL() })
	s.org(t, "")
	have := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# HELP (tenure_\S+)`).FindAllStringSubmatch(metricsOf(t, s), -1) {
		have[m[1]] = true
	}
	if len(have) < 10 {
		t.Errorf("the metrics are %v", have)
	}
	page := operationsPage(t)
	for name := range have {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not say what %s means", name)
		}
	}
	for _, m := range regexp.MustCompile("`(tenure_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if !have[m[1]] && m[1] != "tenure_reader" { // a role in PostgreSQL
			t.Errorf("there is no metric %s", m[1])
		}
	}
}
