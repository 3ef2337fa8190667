package tests

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/backup"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// backupRun runs `tenure backup` against a server, and answers what it printed.
func backupRun(t *testing.T, url string, args ...string) (string, error) {
	t.Helper()
	binary, err := processBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(processContext(t), binary, append([]string{"backup", "--server", url}, args...)...)
	cmd.Env = append(os.Environ(), "TENURE_KEY="+apiAdminKey, "TENURE_ADMIN_KEY=", "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "DATA RACE") {
		t.Errorf("the race detector spoke up:\n%s", out)
	}
	return string(out), err
}

// backupTaken is what is in a directory after `tenure backup`.
func backupTaken(t *testing.T, url, dir string, args ...string) *backup.Backup {
	t.Helper()
	out, err := backupRun(t, url, append([]string{"--out", dir}, args...)...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Log(strings.TrimSpace(strings.SplitN(out, "\n", 2)[0]))
	b, err := backup.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// backupRestore is `tenure restore` inside this process.
func backupRestore(ctx context.Context, from, dir string, change func(*app.RestoreConfig)) (*app.Restored, error) {
	cfg := app.RestoreConfig{From: from, Progress: func(string, uint64, uint64) {}}
	cfg.DataDir, cfg.Logger = dir, slog.New(slog.DiscardHandler)
	if change != nil {
		change(&cfg)
	}
	return app.Restore(ctx, cfg)
}

func backupRestored(t *testing.T, from, dir string, change func(*app.RestoreConfig)) *app.Restored {
	t.Helper()
	began := time.Now()
	r, err := backupRestore(processContext(t), from, dir, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("restored: %d messages, written in %s, and %d keys; %s in all", r.At.Position, r.Wrote.Round(time.Millisecond), r.Keys, time.Since(began).Round(time.Millisecond))
	return r
}

// in starts a server on a data directory.
func in(dir string) func(*app.Config) { return func(cfg *app.Config) { cfg.DataDir = dir } }

// keySubjects are whose keys the server has.
func (s *apiServer) keySubjects(t testing.TB) (subjects []string) {
	t.Helper()
	stream, err := s.readKeys(t, apiAdminKey)
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
		subjects = append(subjects, stream.Msg().Subject)
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	return subjects
}

// digestAt is the digest of a server's state at a position.
func (s *apiServer) digestAt(t testing.TB, at domain.Position) domain.Hash {
	t.Helper()
	state, err := engine.Replay(processContext(t), s.Log, at)
	if err != nil {
		t.Fatal(err)
	}
	return state.Digest()
}

// tokenIsGood asks with a token of an earlier answer.
func (s *apiServer) tokenIsGood(t testing.TB, token string) error {
	t.Helper()
	_, _, err := s.admin().with("Tenure-Token", token).call(t.Context(), &tenurev1.ListOrgsRequest{PageSize: 1})
	return err
}

// A copy made while people write is a whole installation: restored, it has the State that the log had at that position, digest
// for digest, answers the tokens given up to there, verifies the keys, reads what is personal, and whoever was erased stays so.
// A later run adds what is new, and forgets the keys of whom was erased meanwhile.
//
// Fails if the keys are read before it is asked where the log ends (hundreds of people have none then), or if the former keys are
// kept: tried.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, gone, later := s.tenant(t), s.person(t), s.person(t)
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: gone.id})
	early := apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: apiUnique("early")}).Token

	// Writers register people all the time, so that new keys come while old ones are read.
	var written atomic.Int64
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				request := &tenurev1.RegisterUserRequest{UserId: fmt.Sprintf("writer-%d-%d", w, i), Email: fmt.Sprintf("w%d.%d@example.com", w, i), Name: "A writer's person"}
				if _, _, err := s.admin().call(t.Context(), request); err != nil {
					t.Errorf("register: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	faultUntil(t, "writers", func() bool { return written.Load() > 100 })
	dir := t.TempDir()
	first := backupTaken(t, s.URL, dir)
	if first.Settings() != nil {
		t.Error("settings are in a backup that was not given them")
	}
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: later.id})
	faultUntil(t, "more", func() bool { return written.Load() > 200 })
	second := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	stop()
	writers.Wait()
	late := apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: apiUnique("late")}).Token
	if second.Position <= first.Position || first.Position < 20 || len(second.Segments) != 2 {
		t.Errorf("the runs ended at %d and %d, in files %v", first.Position, second.Position, second.Segments)
	}
	want := s.digestAt(t, second.Position)
	emails := map[string]string{a.owner.id: a.owner.email, "writer-0-0": "w0.0@example.com"}

	if files, _ := filepath.Glob(filepath.Join(dir, "personal-keys-*")); len(files) != 1 {
		t.Errorf("the keys are in %q; the former run's must be gone", files)
	}
	for _, path := range []string{"backup.json", second.Segments[0].File, second.Keys.File, "settings/pepper", "settings/sealing-key"} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", path, info, err)
		}
	}

	into := t.TempDir()
	r := backupRestored(t, dir, into, nil)
	if r.At.Position != second.Position || r.State.Digest() != want {
		t.Errorf("restored to %d with the digest %s, want %d with %s", r.At.Position, r.State.Digest(), second.Position, want)
	}
	if r.Keyless != 0 || len(r.Missing) != 0 {
		t.Errorf("%d people without a key, missing files %q", r.Keyless, r.Missing)
	}
	back := apiStart(t, in(into))
	if mark := back.mark(); mark.position != second.Position || mark.digest != want {
		t.Errorf("the restored server is at %d with the digest %s, want %d with %s", mark.position, mark.digest, second.Position, want)
	}
	if err := back.tokenIsGood(t, early); err != nil {
		t.Errorf("a token of the time before: %v", err)
	}
	if err := back.tokenIsGood(t, late); apiErrorOf(err).reason != "NOT_CAUGHT_UP" {
		t.Errorf("a token of the time behind: %v", err)
	}
	for id, email := range emails {
		if u := apiOK[*tenurev1.GetUserResponse](t, back.admin(), &tenurev1.GetUserRequest{UserId: id}).User; u.Email != email {
			t.Errorf("%s reads %q, want %q", id, u.Email, email)
		}
	}
	verified := apiOK[*tenurev1.VerifyKeyResponse](t, back.admin(), &tenurev1.VerifyKeyRequest{Secret: a.projectKey.secret})
	if !verified.Valid || verified.ProjectId != a.project {
		t.Errorf("a key of the time before: %v", verified)
	}
	subjects := back.keySubjects(t)
	for _, p := range []apiPerson{gone, later} {
		u := apiOK[*tenurev1.GetUserResponse](t, back.admin(), &tenurev1.GetUserRequest{UserId: p.id}).User
		if slices.Contains(subjects, p.id) || u.Status != tenurev1.UserStatus_USER_STATUS_ERASED || u.Email == p.email {
			t.Errorf("the erased %s is back: %v", p.id, u)
		}
	}
	back.project(t, a.org) // it goes on
	back.verified(t)       // and its read models are made from what was put back
	t.Logf("backup under load at %d and %d, %d people registered by 4 writers", first.Position, second.Position, written.Load())
}

// backupBig makes a data directory with a log of so many messages, each an organization, on top of one that a server made.
func backupBig(t testing.TB, messages int) (dir string) {
	t.Helper()
	s := apiStart(t, nil)
	s.person(t)
	s.org(t, "")
	last := s.Engine.State().Position
	var list [][]byte
	for _, m := range s.wholeLog(t, &tenurev1.ReadLogRequest{}) {
		list = append(list, m.Data)
	}
	var pattern *eventv1.Commit
	err := s.Engine.Commits(t.Context(), last, last, func(c engine.Commit) error { pattern = c.Commit; return nil })
	s.stop(t)
	if err != nil || pattern.Entries[0].Events[0].GetOrgCreated() == nil {
		t.Fatalf("the last commit is %v, %v", pattern, err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	embedded, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(s.dir, "log"), NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Close()
	ctx := context.WithoutCancel(t.Context())
	log, err := eventstore.BeginRestore(ctx, eventstore.Config{Conn: embedded.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	for at := domain.Position(1); at <= domain.Position(messages); at++ {
		if at > last {
			parent := eventstore.HashOf(list[0])
			c := proto.CloneOf(pattern)
			c.CommitId, c.Parent, c.ParentHash = fmt.Sprintf("01JZZZZZZZZZZZZZ%010d", at), uint64(at-1), parent[:]
			e := c.Entries[0].Events[0]
			e.OrgIds = []string{fmt.Sprintf("org-%d", at)}
			e.GetOrgCreated().Name = fmt.Sprintf("organization %d", at)
			data, err := eventstore.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			list[0] = data
		} else if at > 1 {
			list = list[1:]
		}
		if err := log.Add(ctx, at, list[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, finish := range []func(context.Context) error{log.Flush, log.Finish} {
		if err := finish(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return s.dir
}

// The figures: how quickly a log is copied and put back, with the race detector where the test has it.
func TestBackupFigures(t *testing.T) {
	t.Parallel()
	messages := soak(4_000, 20_000)
	if n := os.Getenv("TENURE_BACKUP_MESSAGES"); n != "" {
		fmt.Sscan(n, &messages)
	}
	s := apiStart(t, in(backupBig(t, messages)))
	dir := t.TempDir()
	b := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
	if int(b.Position) != messages {
		t.Errorf("the backup ends at %d of %d", b.Position, messages)
	}
	r := backupRestored(t, dir, t.TempDir(), nil)
	if r.State.Digest() != s.Engine.State().Digest() {
		t.Error("restored to another state")
	}
	if began := time.Now(); true {
		again := backupTaken(t, s.URL, dir, "--data-dir", s.dir)
		t.Logf("a run with nothing new takes %s", time.Since(began).Round(time.Millisecond))
		if len(again.Segments) != 1 || again.Run != 2 {
			t.Errorf("nothing new made %v, run %d", again.Segments, again.Run)
		}
	}
}

// Personal keys are for instance admins alone, and their rights are looked at again on the way.
func TestAPIReadPersonalKeys(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p := s.person(t)
	if subjects := s.keySubjects(t); !slices.Contains(subjects, p.id) {
		t.Errorf("the keys are of %q, without %s", subjects, p.id)
	}
	apiRefused(t, s.bearer(p.key.secret), &tenurev1.ReadPersonalKeysRequest{}, connect.CodePermissionDenied, domain.PermissionDenied)
	narrow := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true, Preset: "read-only"})
	apiRefused(t, s.bearer(narrow.secret), &tenurev1.ReadPersonalKeysRequest{}, connect.CodePermissionDenied, domain.KeyCeiling)
	apiRefused(t, s.anonymous(), &tenurev1.ReadPersonalKeysRequest{}, connect.CodeUnauthenticated, "UNAUTHENTICATED")
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: p.id})
	if subjects := s.keySubjects(t); slices.Contains(subjects, p.id) {
		t.Errorf("the erased %s has a key", p.id)
	}
}
