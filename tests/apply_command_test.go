package tests

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// applyRun runs the program against a server to its end, and fails the test unless it exits with this code.
func applyRun(t *testing.T, s *apiServer, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := processRun(t, []string{"TENURE_SERVER=" + s.URL, "TENURE_KEY=" + apiAdminKey, "TENURE_CONTEXT=", "XDG_CONFIG_HOME=" + s.dir}, args...)
	select {
	case <-p.ended:
	case <-time.After(processWait):
		t.Fatal("still running")
	}
	got := 0
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		got = exit.ExitCode()
	}
	if got != code {
		t.Fatalf("tenure %s exits with %d, want %d\n%s\n%s", strings.Join(args, " "), got, code, p.stdout.String(), p.stderr.String())
	}
	return p.stdout.String(), p.stderr.String()
}

// The commands do what internal/tenancy does, ask before they do it, and keep secrets to themselves. Fails if a dry run changes
// anything, if --yes is not needed, if an existing file of secrets is overwritten, or if secrets are printed as well: tried.
func TestApplyCommand(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	dir := t.TempDir()
	file, secrets := filepath.Join(dir, "tenancy.yaml"), filepath.Join(dir, "secrets")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(applyWorld)
	mark := s.mark()
	out, _ := applyRun(t, s, 0, "apply", "-f", file, "--dry-run")
	for _, line := range []string{"organization bu-one\n", "  + key ingest of project docs: note N; ", "  ~ policy for names: org_pattern ", "27 to add, 4 to change, 0 to remove.\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("the plan lacks %q:\n%s", line, out)
		}
	}
	applyRun(t, s, 2, "apply", "-f", file, "--dry-run", "--detailed-exitcode")
	if _, said := applyRun(t, s, 2, "apply", "-f", file); !strings.Contains(said, "--yes") {
		t.Errorf("without a terminal it says %q", said)
	}
	if err := os.WriteFile(secrets, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	applyRun(t, s, 1, "apply", "-f", file, "--yes", "--secrets-out", secrets)
	mark.unchanged(t, s)

	if kept, err := os.ReadFile(secrets); err != nil || string(kept) != "precious" {
		t.Errorf("the file for secrets holds %q, %v", kept, err)
	}
	if err := os.Remove(secrets); err != nil {
		t.Fatal(err)
	}
	out, said := applyRun(t, s, 0, "apply", "-f", file, "--yes", "--secrets-out", secrets)
	applySecrets(t, s, secrets, out+said)
	if out, _ := applyRun(t, s, 0, "apply", "-f", file, "--yes", "--prune", "--secrets-out", secrets); out != "Nothing to change.\n" && !strings.HasSuffix(out, "\n\nNothing to change.\n") {
		t.Errorf("a second run prints\n%s", out)
	}

	write(strings.Replace(applyWorld, "keys: [{name: terraform}]", "keys: [{name: pulumi, preset: read-only}]", 1))
	out, _ = applyRun(t, s, 0, "apply", "-f", file, "--yes", "--prune")
	if !strings.Contains(out, "- key terraform") || !strings.Contains(out, "bu-one/pulumi") || !strings.Contains(out, "sk-tn-") {
		t.Errorf("without a file the secret is printed once:\n%s", out)
	}

	exported := filepath.Join(dir, "export.yaml")
	applyRun(t, s, 0, "export", "-o", exported)
	if info, err := os.Stat(exported); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the export: %v, %v", info, err)
	}
	applyRun(t, s, 0, "apply", "-f", exported, "--prune", "--prune-organizations", "--dry-run", "--detailed-exitcode")
	if out, _ := applyRun(t, s, 0, "export", "--org", "client-two"); strings.Contains(out, "bu-one") || !strings.Contains(out, "eve@example.com") {
		t.Errorf("the export of one organization:\n%s", out)
	}
	applyRun(t, s, 1, "export", "--org", "nobody")

	write("organisations: []\nusers: [{email: ada}]")
	if _, said := applyRun(t, s, 1, "apply", "-f", file); !strings.Contains(said, "line 1: there is no field organisations here") {
		t.Errorf("a mistake is told as %q", said)
	}
	for _, wrong := range [][]string{{"apply"}, {"apply", "-f", file, "--prune-organizations"}, {"apply", "-f", file, "--detailed-exitcode"}, {"apply", "-f", "-"}} {
		applyRun(t, s, 2, wrong...)
	}
}

// applySecrets checks the file of secrets: they work, nobody else can read them, and they are nowhere in what was printed.
func applySecrets(t *testing.T, s *apiServer, path, printed string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file of secrets: %v, %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var key struct {
			Name      string
			PublicKey string `json:"public_key"`
			Secret    string
		}
		if err := json.Unmarshal([]byte(line), &key); err != nil {
			t.Fatal(err)
		}
		names[key.Name] = true
		res := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{
			PublicKey: key.PublicKey, Secret: key.Secret, Environment: "ci", Ip: "10.1.2.3",
		})
		if !res.Valid || strings.Contains(printed, key.Secret) {
			t.Errorf("%s: valid=%v (%s), printed: %v", key.Name, res.Valid, res.Reason, strings.Contains(printed, key.Secret))
		}
	}
	if len(names) != 3 || !names["bu-one/docs/ingest"] || !names["bu-one/bot/ci"] || !names["bu-one/terraform"] {
		t.Errorf("there are secrets of %v", names)
	}
}
