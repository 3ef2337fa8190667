package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every block of commands in docs/TENANCY.md does what the page says, in order, against a fresh server: those marked as refused
// are, with that reason, and all others succeed. Fails if a command of the page is misspelled, or if a refused one is let through:
// tried.
func TestTenancyGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/TENANCY.md")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := processCommand()
	if err != nil {
		t.Fatal(err)
	}
	s := apiStart(t, nil)
	dir := t.TempDir()
	blocks := regexp.MustCompile("(?s)(?:<!-- refused: ([A-Z_]+) -->\n)?```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 8 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	shown := ""
	for _, block := range blocks {
		reason, script := block[1], block[2]
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "TENURE_SERVER="+s.URL, "TENURE_KEY="+apiAdminKey,
			"HOME="+dir, "XDG_CONFIG_HOME="+dir)
		out, err := cmd.CombinedOutput()
		shown += string(out)
		switch {
		case reason == "" && err != nil:
			t.Errorf("%v:\n%s\n%s", err, script, out)
		case reason != "" && (err == nil || !strings.Contains(string(out), reason)):
			t.Errorf("%v, want %s:\n%s\n%s", err, reason, script, out)
		}
	}
	for _, want := range []string{"Prompt-Editor", "eu-1", "Nothing to change."} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q:\n%s", want, shown)
		}
	}
}
