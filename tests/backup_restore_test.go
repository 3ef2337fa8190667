package tests

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/backup"
	"github.com/tenurehq/tenure/internal/sealing"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// A point in time: of a restored prefix the State is that of the position; tokens up to there are good, and those of what was
// left out are refused once the log is as long again. Whoever was erased behind it stays erased. And a backup of the whole
// history is not continued with what came instead. Seen to fail without the comparison of the last position in Run.Add.
func TestBackupPrefixAndOtherLogs(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, gone := s.tenant(t), s.person(t)
	at := s.Engine.State().Position
	kept := apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: apiUnique("kept")}).Token
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: gone.id})
	lost := apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: apiUnique("lost")}).Token
	dir := t.TempDir()
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)

	into := t.TempDir()
	r := backupRestored(t, dir, into, func(cfg *app.RestoreConfig) { cfg.To = at + 1 })
	if r.At.Position != at+1 || r.State.Digest() != s.digestAt(t, at+1) || r.Keyless != 1 {
		t.Errorf("restored to %d with the digest %s and %d people without a key, want %d with %s and the erased one",
			r.At.Position, r.State.Digest(), r.Keyless, at+1, s.digestAt(t, at+1))
	}
	back := apiStart(t, in(into))
	if err := back.tokenIsGood(t, kept); err != nil {
		t.Errorf("a token of what was kept: %v", err)
	}
	if u := apiOK[*tenurev1.GetUserResponse](t, back.admin(), &tenurev1.GetUserRequest{UserId: gone.id}).User; u.Email == gone.email || u.Name == gone.name {
		t.Errorf("whoever was erased behind the position reads %v", u)
	}
	out, err := backupRun(t, back.URL, "--out", dir)
	if err == nil || !strings.Contains(out, "ends at position") || !strings.Contains(out, "another log") {
		t.Errorf("a log that is shorter: %v: %s", err, out)
	}
	for back.Engine.State().Position < b.Position {
		back.project(t, a.org)
	}
	if err := back.tokenIsGood(t, lost); connect.CodeOf(err) != connect.CodeFailedPrecondition || apiErrorOf(err).reason != "TOKEN_LOST" {
		t.Errorf("a token of what was left out: %v", err)
	}
	// As long, and longer.
	for range 2 {
		out, err = backupRun(t, back.URL, "--out", dir)
		if err == nil || !strings.Contains(out, "grew anew") {
			t.Errorf("a log that went another way: %v: %s", err, out)
		}
		back.project(t, a.org)
	}
	out, err = backupRun(t, apiStart(t, nil).URL, "--out", dir)
	if err == nil || !strings.Contains(out, "another log") {
		t.Errorf("another log: %v: %s", err, out)
	}
	if _, err := backupRestore(processContext(t), dir, filepath.Join(t.TempDir(), "new"), func(cfg *app.RestoreConfig) { cfg.To = b.Position + 1 }); err == nil {
		t.Error("restored to a position behind the end")
	}
	// None of this has touched the backup.
	if r := backupRestored(t, dir, t.TempDir(), nil); r.State.Digest() != s.digestAt(t, b.Position) {
		t.Error("the backup is another one than before")
	}
}

// cutter is a proxy in front of a server that breaks the next so many streams of a method, each after so many bytes.
type cutter struct {
	*httptest.Server
	method               string
	cuts, after, streams atomic.Int64
	// tokens counts the streams that asked for a state at least as new as a token.
	tokens atomic.Int64
	// held makes it stop there first, tell so, and wait; nil if it does not.
	held chan struct{}
}

func newCutter(t *testing.T, to, method string, held chan struct{}) *cutter {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{method: method, held: held}
	c.after.Store(6000)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/"+c.method) {
			c.streams.Add(1)
			if r.Header.Get("Tenure-Token") != "" {
				c.tokens.Add(1)
			}
			if c.cuts.Add(-1) >= 0 {
				w = &cutting{ResponseWriter: w, left: int(c.after.Load()), held: c.held}
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

type cutting struct {
	http.ResponseWriter
	left int
	held chan struct{}
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		_, _ = c.ResponseWriter.Write(p[:max(0, len(p)+c.left)])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		if c.held != nil {
			c.held <- struct{}{}
			<-c.held
		}
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// A run that is interrupted leaves the former backup: when connections break for good, and when the program is killed. When they
// break for a moment it goes on where it was. Fails if the former keys go before the new backup stands: tried.
func TestBackupInterrupted(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	dir := t.TempDir()
	former := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	want := s.digestAt(t, former.Position)
	for range 30 {
		s.project(t, a.org)
	}
	usable := func(what string) {
		t.Helper()
		b, err := backup.Open(dir)
		if err != nil || b.Position != former.Position {
			t.Fatalf("after %s the backup is %v, %v", what, b, err)
		}
		if r := backupRestored(t, dir, t.TempDir(), nil); r.State.Digest() != want {
			t.Errorf("after %s the former backup has another state", what)
		}
	}
	c := newCutter(t, s.URL, "ReadLog", nil)
	c.cuts.Store(1000)
	c.after.Store(1)
	if out, err := backupRun(t, c.URL, "--out", dir); err == nil {
		t.Errorf("over broken connections it says it is done: %s", out)
	}
	usable("broken connections")
	keys := newCutter(t, s.URL, "ReadPersonalKeys", nil)
	keys.cuts.Store(1000)
	keys.after.Store(150) // some
	if out, err := backupRun(t, keys.URL, "--out", dir); err == nil {
		t.Errorf("with some of the keys it says it is done: %s", out)
	}
	usable("some of the keys")

	held := newCutter(t, s.URL, "ReadLog", make(chan struct{}))
	held.cuts.Store(1)
	p := processRun(t, []string{"TENURE_KEY=" + apiAdminKey, "TENURE_ADMIN_KEY="}, "backup", "--server", held.URL, "--out", dir)
	select {
	case <-held.held:
	case <-p.ended:
		t.Fatalf("it ended: %s", p.stderr.String())
	}
	if out, err := backupRun(t, s.URL, "--out", dir); err == nil || !strings.Contains(out, "under way") {
		t.Errorf("two at once: %v: %s", err, out)
	}
	faultUntil(t, "a file begun", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "log-*.partial"))
		return len(files) == 1
	})
	p.kill()
	close(held.held)
	usable("a kill")

	c.cuts.Store(2)
	c.after.Store(6000)
	before := c.streams.Load()
	b := backupTaken(t, c.URL, dir)
	if n := c.streams.Load() - before; n != 3 || b.Position != former.Position+30 {
		t.Errorf("%d streams brought it to %d, want 3 to %d", n, b.Position, former.Position+30)
	}
	if c.tokens.Load() != c.streams.Load() {
		t.Errorf("%d of %d streams asked for what the first answer had told of; another server may not have it", c.tokens.Load(), c.streams.Load())
	}
	if r := backupRestored(t, dir, t.TempDir(), nil); r.State.Digest() != s.digestAt(t, b.Position) {
		t.Error("pieced together it is another state")
	}
	keys.cuts.Store(1)
	if b := backupTaken(t, keys.URL, dir); b.Keys.Count != len(s.keySubjects(t)) {
		t.Errorf("in two attempts %d keys came, want %d", b.Keys.Count, len(s.keySubjects(t)))
	}
}

// A restore that does not come to its end leaves nothing that a server would go on from, in a directory and in an external NATS,
// and the next one begins anew. Fails without the mark in the stream, and if the log is written under its own name: tried.
func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	for range 20 {
		s.project(t, a.org)
	}
	dir := t.TempDir()
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	want := s.digestAt(t, b.Position)

	for what, external := range map[string]bool{"embedded": false, "external": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			into, natsURL := t.TempDir(), ""
			if external {
				natsURL = apiBroker(t).ConnectedUrl()
			}
			for _, stage := range []string{"Writing the log", "Writing the personal keys", "Reading the log back"} {
				ctx, cancel := context.WithCancel(processContext(t))
				_, err := backupRestore(ctx, dir, into, func(cfg *app.RestoreConfig) {
					cfg.NATSURL = natsURL
					cfg.Progress = func(what string, at, _ uint64) {
						if what == stage && at > 1 {
							cancel()
						}
					}
				})
				cancel()
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("interrupted at %q: %v", stage, err)
				}
				started, err := app.Start(processContext(t), app.Config{DataDir: into, NATSURL: natsURL, Listen: "127.0.0.1:0", AdminKey: apiAdminKey})
				if err == nil {
					started.Close()
				}
				if !errors.Is(err, eventstore.ErrRestoring) || !strings.Contains(err.Error(), "tenure restore") {
					t.Errorf("a server on what was interrupted at %q: %v", stage, err)
				}
			}
			r := backupRestored(t, dir, into, func(cfg *app.RestoreConfig) { cfg.NATSURL = natsURL })
			back := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.NATSURL = into, natsURL })
			if r.State.Digest() != want || back.mark().digest != want {
				t.Error("in the end it is another state")
			}
			if n := len(back.keySubjects(t)); n != b.Keys.Count {
				t.Errorf("%d keys, want %d", n, b.Keys.Count)
			}
		})
	}
}

// Into a cluster of three, with three copies, messages come to the same positions; not over a log, not over keys, and not under
// the feet of a server that runs there.
func TestRestoreIntoCluster(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	for range 50 {
		s.project(t, a.org)
	}
	dir := t.TempDir()
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	c := natstest.Cluster(t, 3)
	into := t.TempDir()
	there := func(cfg *app.RestoreConfig) { cfg.NATSURL, cfg.Replicas = c.URL(0), 3 }

	conn := c.Connect(t, 0)
	if _, err := sealing.PutBack(processContext(t), conn, 3, func(put func(string, []byte) error) error { return put("somebody", []byte("wrapped")) }); err != nil {
		t.Fatal(err)
	}
	if _, err := backupRestore(processContext(t), dir, into, there); !errors.Is(err, sealing.ErrKeysExist) {
		t.Errorf("over keys: %v", err)
	}
	if err := sealing.Discard(processContext(t), conn); err != nil {
		t.Fatal(err)
	}
	r := backupRestored(t, dir, into, there)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{eventstore.StreamName, "KV_" + sealing.BucketName} {
		stream, err := js.Stream(processContext(t), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config; got.Replicas != 3 || got.Metadata["tenure_restoring"] != "" {
			t.Errorf("%s has %d replicas and the metadata %v", name, got.Replicas, got.Metadata)
		}
	}
	back := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.NATSURL, cfg.Replicas = into, c.URL(1), 3 })
	if want := s.digestAt(t, b.Position); r.State.Digest() != want || back.digestAt(t, b.Position) != want {
		t.Error("it is another state")
	}
	if u := apiOK[*tenurev1.GetUserResponse](t, back.admin(), &tenurev1.GetUserRequest{UserId: a.owner.id}).User; u.Email != a.owner.email {
		t.Errorf("the owner reads %v", u)
	}
	if n := len(back.keySubjects(t)); n != b.Keys.Count {
		t.Errorf("%d keys, want %d", n, b.Keys.Count)
	}
	// What the header of a message says is there again too.
	raw, err := js.Stream(processContext(t), eventstore.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := raw.GetMsg(processContext(t), uint64(b.Position))
	if err != nil || msg.Header.Get("Tenure-Commit-Id") == "" || msg.Header.Get("ce-type") != "tenure.commit" {
		t.Errorf("the last message has the header %v, %v", msg.Header, err)
	}
	if _, err := backupRestore(processContext(t), dir, into, there); err == nil || !strings.Contains(err.Error(), "servers run on this NATS") {
		t.Errorf("under a server: %v", err)
	}
	back.stop(t)
	if _, err := backupRestore(processContext(t), dir, into, there); !errors.Is(err, eventstore.ErrNotEmpty) {
		t.Errorf("over a log: %v", err)
	}
	if at := domain.Position(b.Position); r.At.Position != at {
		t.Errorf("restored to %d, want %d", r.At.Position, at)
	}
	if _, err := os.Stat(filepath.Join(into, "pepper")); err != nil {
		t.Errorf("the settings: %v", err)
	}
}
