package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/keyring"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

const keycacheVariable = "TENURE_TEST_KEYCACHE"

// keycacheChild is what a cache in another process is told on its standard input.
type keycacheChild struct {
	URL, Key string
	Redis    string // through which it hears of changes; "" for Tenure itself
}

// keycacheWait is a question to it: since when a key is answered as it should be.
type keycacheWait struct {
	Secret string
	// What the answer must have; "" for whatever.
	Reason, Org, Permission string
}

func (w keycacheWait) fits(a keycache.Answer) bool {
	return a.Reason == w.Reason && (w.Org == "" || a.OrgID == w.Org) && (w.Permission == "" || a.Holds(w.Permission))
}

// runKeycacheIfAsked makes this process a data plane with a cache, until its standard input ends: it answers each keycacheWait with
// the Unix time in nanoseconds at which it was so.
func runKeycacheIfAsked() {
	text := os.Getenv(keycacheVariable)
	if text == "" {
		return
	}
	var child keycacheChild
	err := json.Unmarshal([]byte(text), &child)
	ctx := context.Background()
	var cache *keycache.Cache
	if err == nil {
		cfg := keycache.Config{URL: child.URL, Key: child.Key}
		if child.Redis != "" {
			cfg.Source = redissource.New(rueidis.MustParseURL(child.Redis), "")
		}
		cache, err = keycache.Open(ctx, cfg)
	}
	for in := json.NewDecoder(os.Stdin); err == nil; {
		var w keycacheWait
		if err = in.Decode(&w); err != nil {
			break
		}
		fmt.Println("ready")
		for late := time.Now().Add(apiWait); ; {
			a, err := cache.Verify(ctx, "", w.Secret, "", netip.Addr{})
			if err == nil && w.fits(a) {
				fmt.Println(time.Now().UnixNano())
				break
			}
			if time.Now().After(late) {
				fmt.Println("never:", a, err)
				break
			}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cache.Close()
	os.Exit(0)
}

// keycacheProcess is a cache in another process.
type keycacheProcess struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Scanner
}

func startKeycache(t *testing.T, child keycacheChild) *keycacheProcess {
	t.Helper()
	text, err := json.Marshal(child)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), keycacheVariable+"="+string(text))
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
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process with the cache: %v", err)
		}
	})
	return &keycacheProcess{t, json.NewEncoder(in), bufio.NewScanner(out)}
}

func (p *keycacheProcess) line() string {
	if !p.out.Scan() {
		p.t.Fatal("the process with the cache ended: ", p.out.Err())
	}
	return p.out.Text()
}

// after answers how long after a command's answer its effect is seen there; 0 if before.
func (p *keycacheProcess) after(w keycacheWait, command func()) time.Duration {
	p.t.Helper()
	if err := p.in.Encode(w); err != nil {
		p.t.Fatal(err)
	}
	if line := p.line(); line != "ready" {
		p.t.Fatal(line)
	}
	command()
	answered := time.Now()
	var nano int64
	if line := p.line(); !scanned(line, &nano) {
		p.t.Fatalf("%+v: %s", w, line)
	}
	return max(0, time.Unix(0, nano).Sub(answered))
}

func scanned(line string, to *int64) bool {
	n, err := fmt.Sscan(line, to)
	return err == nil && n == 1
}

// quantiles are the median, the 99th percentile and the maximum.
func quantiles(list []time.Duration) string {
	slices.Sort(list)
	at := func(q float64) time.Duration {
		return list[min(len(list)-1, int(q*float64(len(list))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s, most %s", at(0.5), at(0.99), list[len(list)-1].Round(10*time.Microsecond))
}

// From the answer of a command to its effect in a cache in another process: keys that are revoked, projects that move, organizations that
// are suspended and resumed, people whose role changes. Every effect comes, and no old answer with it. Fails if any of them is not told:
// tried with each scope left out of Changes.
func TestKeycacheHearsOfEveryChange(t *testing.T) {
	t.Parallel()
	t.Run("WatchInvalidations", func(t *testing.T) {
		t.Parallel()
		keycacheHears(t, "")
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		keycacheHears(t, redistest.Start(t).URL())
	})
}

func keycacheHears(t *testing.T, redisURL string) {
	s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL = redisURL })
	admin := s.admin()
	plane := s.key(t, admin, &tenurev1.CreateKeyRequest{Instance: true, Preset: "ingest-only"})
	if redisURL != "" {
		s.inRedis(t)
	}
	cache := startKeycache(t, keycacheChild{URL: s.URL, Key: plane.secret, Redis: redisURL})
	a, b := s.tenant(t), s.org(t, "")
	var took []time.Duration
	org, other := a.org, b
	for round := range soak(20, 250) {
		key := s.key(t, admin, &tenurev1.CreateKeyRequest{ProjectId: a.project})
		for _, step := range []struct {
			wait    keycacheWait
			command func()
		}{
			{keycacheWait{Secret: key.secret, Reason: "VALID", Org: org}, func() {}},
			{keycacheWait{Secret: key.secret, Reason: "VALID", Org: other}, func() {
				apiOK[*tenurev1.TransferProjectResponse](t, admin, &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: other})
			}},
			{keycacheWait{Secret: key.secret, Reason: "ORG_SUSPENDED"}, func() {
				apiOK[*tenurev1.SuspendOrgResponse](t, admin, &tenurev1.SuspendOrgRequest{OrgId: other})
			}},
			{keycacheWait{Secret: key.secret, Reason: "VALID"}, func() {
				apiOK[*tenurev1.ResumeOrgResponse](t, admin, &tenurev1.ResumeOrgRequest{OrgId: other})
			}},
			{keycacheWait{Secret: key.secret, Reason: "KEY_REVOKED"}, func() {
				apiOK[*tenurev1.RevokeKeyResponse](t, admin, &tenurev1.RevokeKeyRequest{KeyId: key.id})
			}},
			{keycacheWait{Secret: a.owner.key.secret, Reason: "VALID", Permission: "project:delete"}, func() {
				apiOK[*tenurev1.GrantRoleResponse](t, admin, &tenurev1.GrantRoleRequest{OrgId: b, UserId: a.owner.id, Role: "OWNER"})
			}},
		} {
			if d := cache.after(step.wait, step.command); round > 0 {
				took = append(took, d)
			}
		}
		org, other = other, org
	}
	t.Logf("from a command's answer to its effect in another process, %d times: %s", len(took), quantiles(took))
}

// keycacheOpen opens a cache in this process.
func keycacheOpen(t *testing.T, cfg keycache.Config) *keycache.Cache {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	c, err := keycache.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// keycacheKeys makes keys of a project by the engine, many at a time, and answers their secrets.
func (s *apiServer) keycacheKeys(t *testing.T, project string, n int) (ids, secrets []string) {
	t.Helper()
	peppers, _, err := keyring.LoadPeppers(filepath.Join(s.dir, "pepper"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(keyring.Config{Style: keyring.StyleTenure, Brand: "tn", Scheme: keyring.SchemeHMAC, Peppers: peppers})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		ids, secrets = append(ids, fmt.Sprintf("%s_key_%d", project, i)), append(secrets, fmt.Sprintf("secret of %s %d", project, i))
	}
	s.bulk(t, n, func(i int) domain.Command {
		return domain.CreateKey{Project: domain.ProjectID(project), Minted: domain.Minted{
			ID: domain.KeyID(ids[i]), Public: "pk-" + ids[i], Verifier: ring.NewVerifier(secrets[i]),
		}}
	})
	return ids, secrets
}
