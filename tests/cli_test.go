package tests

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

var cliUpdate = flag.Bool("update-cli", false, "write what the command line prints into tests/testdata/cli")

// The command line, as people see it. Each script in testdata/cli runs the real program against a server of its own and
// compares the whole session with the one that stands at its end; ids, times and secrets are masked by the same number of
// characters. Renew the sessions with -update-cli and read the difference.
//
// Fails if anything that people see changes: tried with a column left out, a reason left out of an error, and a confirmation
// that takes no terminal for a yes.
func TestCLI(t *testing.T) {
	t.Parallel()
	// What of a command runs at once is tested in internal/cli.
	binary, err := processCommand()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cli", UpdateScripts: *cliUpdate,
		Setup: func(env *testscript.Env) error {
			a, err := cliServer(env)
			if err != nil {
				return err
			}
			env.Setenv("TENURE_SERVER", a.URL)
			env.Setenv("TENURE_KEY", processAdmin)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("TZ", "UTC")
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Values[cliMasks{}] = &cliMask{server: a.URL, dir: env.WorkDir, ids: map[string]string{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tenure": cliTenure, "quietly": cliQuietly, "until": cliUntil, "keep": cliKeep, "session": cliSession,
		},
	})
}

// cliServer starts a server that ends with the script.
func cliServer(env *testscript.Env) (*app.App, error) {
	ctx, cancel := context.WithTimeout(context.Background(), processWait)
	defer cancel()
	a, err := app.Start(ctx, app.Config{
		DataDir: filepath.Join(env.WorkDir, ".server"), Listen: "127.0.0.1:0", AdminKey: processAdmin,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	env.Defer(func() {
		if err := a.Close(); err != nil {
			env.T().Log(err)
		}
	})
	return a, nil
}

// cliEnvironment is what a command gets of the script's environment.
var cliEnvironment = []string{
	"TENURE_SERVER", "TENURE_KEY", "TENURE_ADMIN_KEY", "TENURE_CONTEXT", "XDG_CONFIG_HOME", "HOME", "TZ", "PATH",
}

// cliTenure runs a command, with a file behind "<" as its input, and adds it to the session. Its exit code stands there too.
func cliTenure(ts *testscript.TestScript, _ bool, args []string) {
	output, code := cliRun(ts, args)
	mask := ts.Value(cliMasks{}).(*cliMask)
	fmt.Fprintf(&mask.session, "$ tenure %s\n%s", cliQuoted(args), output)
	if code != 0 {
		fmt.Fprintf(&mask.session, "[exit %d]\n", code)
	}
	mask.session.WriteByte('\n')
}

// cliQuietly runs a command that must pass and whose output is too long, or never twice the same, for the session.
func cliQuietly(ts *testscript.TestScript, _ bool, args []string) {
	if output, code := cliRun(ts, args[1:]); code != 0 {
		ts.Fatalf("exit %d: %s", code, output)
	}
}

// cliUntil runs a command until a text is in its output: until TEXT tenure ...
func cliUntil(ts *testscript.TestScript, _ bool, args []string) {
	for late := time.Now().Add(processWait); ; time.Sleep(100 * time.Millisecond) {
		output, code := cliRun(ts, args[2:])
		if strings.Contains(output, args[0]) {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("%q is not in it, exit %d: %s", args[0], code, output)
		}
	}
}

func cliRun(ts *testscript.TestScript, args []string) (output string, code int) {
	input := strings.NewReader("")
	if n := len(args); n > 2 && args[n-2] == "<" {
		input = strings.NewReader(ts.ReadFile(args[n-1]))
		args = args[:n-2]
	}
	ctx, cancel := context.WithTimeout(context.Background(), processWait)
	defer cancel()
	path, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	cmd := exec.CommandContext(ctx, filepath.Join(path, "tenure"), args...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range cliEnvironment {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	return stdout.String() + stderr.String(), cmd.ProcessState.ExitCode()
}

// cliQuoted is a command line as a shell takes it.
func cliQuoted(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " ()*<>|") && a != "<" {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// cliKeep keeps what a pattern finds in the last command's output, as a variable and as a file of that name.
func cliKeep(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("keep NAME PATTERN")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("%q is not in the output:\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], m[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(m[1]+"\n"), 0o600))
}

// cliSession puts the session so far, masked, into standard output.
func cliSession(ts *testscript.TestScript, _ bool, _ []string) {
	mask := ts.Value(cliMasks{}).(*cliMask)
	fmt.Fprint(ts.Stdout(), mask.apply(mask.session.String()))
}

type cliMasks struct{}

// cliMask makes two runs of a script alike.
type cliMask struct {
	server, dir string
	ids         map[string]string
	session     strings.Builder
}

var cliVarying = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "2001-01-01T01:01:01Z"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "2001-01-01 01:01:01"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`), "2001-01-01 01:01"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), strings.Repeat("f", 64)},
	{regexp.MustCompile(`\b(sk|pk)-tn-\w{20,}`), "$1-tn-" + strings.Repeat("x", 20)},
	{regexp.MustCompile(`sk-tn-\.\.\.\w{4}`), "sk-tn-...xxxx"},
	{regexp.MustCompile(`tenure-invitation-\w+`), "tenure-invitation-" + strings.Repeat("X", 20)},
	{regexp.MustCompile(`("?token"?: "?)[\w-]{20,}`), "${1}TOKEN"},
	{regexp.MustCompile(`(\bnode +)\S+`), "${1}here"},
	{regexp.MustCompile(`(\bsize +)\d+`), "${1}123"},
	{regexp.MustCompile(`(pepper|sealing key) id: \w+`), "$1 id: 0"},
	{regexp.MustCompile(`\(\w+; \w+\)`), "(os; arch)"},
}

var cliID = regexp.MustCompile(`\b([a-z]{3}_)?[0-9A-HJKMNP-TV-Z]{26}\b`)

func (m *cliMask) apply(s string) string {
	s = strings.ReplaceAll(s, m.server, "http://127.0.0.1:12345")
	s = strings.ReplaceAll(s, m.dir, "$WORK")
	for _, v := range cliVarying {
		s = v.pattern.ReplaceAllString(s, v.mask)
	}
	return cliID.ReplaceAllStringFunc(s, func(id string) string {
		if m.ids[id] == "" {
			kind := id[:len(id)-26]
			n := 1
			for known := range m.ids {
				if strings.HasPrefix(known, kind) && len(known) == len(id) {
					n++
				}
			}
			m.ids[id] = fmt.Sprintf("%s%026d", kind, n)
		}
		// What only tells requests apart is not counted: how many there are is of no interest.
		if len(id) == 26 {
			return strings.Repeat("0", 26)
		}
		return m.ids[id]
	})
}

// A person ends what goes on for ever with Ctrl-C, and that is no error. Fails if the interrupt is told as an error or ends
// the program before it could tell: tried without the check for it.
func TestCLIInterrupt(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{OrgId: "acme", Name: "client-acme-corp"})
	for _, line := range []string{"log --follow --from 1", "log --follow --from 1 -o yaml", "audit watch --org client-acme-corp --after-position 0"} {
		p := processRun(t, []string{"TENURE_SERVER=" + s.URL, "TENURE_KEY=" + apiAdminKey}, strings.Fields(line)...)
		for !strings.Contains(p.stdout.String(), "client-acme-corp") {
			select {
			case <-p.stdout.wrote:
			case <-p.ended:
				t.Fatalf("%s ended by itself: %v\n%s", line, p.err, p.stderr.String())
			case <-time.After(processWait):
				t.Fatalf("%s says %q", line, p.stdout.String())
			}
		}
		p.stop(t, syscall.SIGINT)
		if said := p.stderr.String(); said != "" {
			t.Errorf("%s said %q", line, said)
		}
	}
}
