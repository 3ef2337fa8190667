package tests

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readmeBlock is the shell block behind a marker in README.md.
func readmeBlock(t *testing.T, marker string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- " + marker + " -->\n```sh\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("README.md has no block %q", marker)
	}
	return string(m[1])
}

// README's session does what it says, word for word but for port and directory. Fails if a line of it answers an error:
// tried with an unknown role.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	here := strings.NewReplacer("127.0.0.1:8080", address, "./tenure-data", t.TempDir())

	server := exec.Command("bash", "-c", here.Replace(readmeBlock(t, "server")))
	server.Dir = ".."
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGTERM)
		_ = server.Wait()
	})
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL) })
	defer watchdog.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Tenure is at") {
	}
	if lines.Err() != nil || !strings.Contains(lines.Text(), address) {
		t.Fatalf("the server did not say where it is: %q, %v", lines.Text(), lines.Err())
	}

	bin := t.TempDir()
	cli := exec.Command("bash", "-euc", strings.NewReplacer("./bin/tenure", bin+"/tenure", "$PWD/bin", bin).Replace(here.Replace(readmeBlock(t, "cli"))))
	cli.Dir = ".."
	if out, err := cli.CombinedOutput(); err != nil || !strings.Contains(string(out), "so it is allowed in project") {
		t.Errorf("%v: %s", err, out)
	}
	session, err := exec.Command("bash", "-euc", here.Replace(readmeBlock(t, "session"))).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, session)
	}
	// The JSON of one build has spaces that another's has not.
	text := regexp.MustCompile(`("[:,]|,) `).ReplaceAllString(string(session), "$1")
	if strings.Contains(text, `"code"`) {
		t.Errorf("the session answers an error:\n%s", text)
	}
	for _, want := range []string{`"allowed":true`, `"valid":true`, `"orgId":"care"`, `"eventType":"ProjectTransferred"`, "support takes over"} {
		if !strings.Contains(text, want) {
			t.Errorf("the session does not show %s:\n%s", want, text)
		}
	}
	if n := strings.Count(text, `"valid":true`); n != 2 {
		t.Errorf("the key was valid %d times, want before and after the transfer:\n%s", n, text)
	}
}
