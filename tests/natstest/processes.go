package natstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// serverVariable holds the processOptions of a process that is to be a server.
const serverVariable = "NATSTEST_SERVER"

type processOptions struct {
	Name, Dir, Advertise string
	Port, ClusterPort    int
	Routes               []string
}

// RunServerIfAsked makes this process a server, until its standard input ends, if Processes started it for that. Call it first
// in TestMain.
func RunServerIfAsked() {
	text := os.Getenv(serverVariable)
	if text == "" {
		return
	}
	var o processOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	opts := options(o.Dir, o.Name)
	opts.Port = o.Port
	// Clients hear of no other server: who uses one stays there.
	opts.Cluster = server.ClusterOpts{Name: "natstest", Host: "127.0.0.1", Port: o.ClusterPort, Advertise: o.Advertise, NoAdvertise: true}
	for _, r := range o.Routes {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", Host: r})
	}
	s, err := server.NewServer(opts)
	if err != nil {
		panic(err)
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	os.Exit(0)
}

// P is a cluster of servers in processes of their own, which can be killed, paused, and cut off from each other. Its methods
// are for one goroutine.
type P struct {
	options []processOptions
	running []*exec.Cmd
	stdin   []io.Closer
	routes  *routes
}

// Processes starts n servers that form one JetStream cluster, each in a process, and returns when they have a leader. They
// end with the test. The test's TestMain must call RunServerIfAsked.
func Processes(t testing.TB, n int) *P {
	t.Helper()
	// Servers that start at the same moment sometimes do not find together for a minute; beginning anew is quicker.
	const attempts = 4
	for attempt := range attempts {
		p := processes(t, n)
		t.Cleanup(func() { p.end(t) })
		if attempt == attempts-1 {
			p.AwaitReady(t)
			return p
		}
		for deadline := time.Now().Add(wait / 3); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if p.ready() {
				return p
			}
		}
		p.end(t)
	}
	return nil
}

func processes(t testing.TB, n int) *P {
	t.Helper()
	p := &P{running: make([]*exec.Cmd, n), stdin: make([]io.Closer, n), routes: &routes{cut: -1, moved: make(chan struct{})}}
	ports := freePorts(t, 2*n)
	var proxies []string
	for i := range n {
		proxies = append(proxies, p.routes.listen(t, i, fmt.Sprintf("127.0.0.1:%d", ports[n+i])))
	}
	for i := range n {
		p.options = append(p.options, processOptions{
			Name: fmt.Sprintf("n%d", i), Dir: t.TempDir(), Advertise: proxies[i], Port: ports[i], ClusterPort: ports[n+i], Routes: proxies,
		})
	}
	for i := range n {
		p.Start(t, i)
	}
	return p
}

func (p *P) end(t testing.TB) {
	p.Heal()
	for i := range p.running {
		p.Resume(t, i)
		p.Kill(i)
	}
	p.routes.close()
}

// URL is the address of server i for clients, the same after a restart.
func (p *P) URL(i int) string { return fmt.Sprintf("nats://127.0.0.1:%d", p.options[i].Port) }

// Start starts server i, on the data it had.
func (p *P) Start(t testing.TB, i int) {
	t.Helper()
	text, err := json.Marshal(p.options[i])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	// The race detector lets a process wait a second at its end otherwise.
	cmd.Env = append(os.Environ(), serverVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running[i], p.stdin[i] = cmd, stdin
}

// Kill is kill -9 of server i.
func (p *P) Kill(i int) {
	if cmd := p.running[i]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.running[i] = nil
	}
}

// Pause stops server i from running, as a machine that swaps does, until Resume.
func (p *P) Pause(t testing.TB, i int) { p.signal(t, i, syscall.SIGSTOP) }

// Resume lets server i go on.
func (p *P) Resume(t testing.TB, i int) { p.signal(t, i, syscall.SIGCONT) }

func (p *P) signal(t testing.TB, i int, s syscall.Signal) {
	t.Helper()
	if cmd := p.running[i]; cmd != nil {
		if err := cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
}

// Cut cuts server i off from the others, in both directions, until Heal; clients still reach it.
func (p *P) Cut(i int) { p.routes.set(i) }

// Heal ends a cut.
func (p *P) Heal() { p.routes.set(-1) }

// any is a connection to whichever servers answer.
func (p *P) any(t testing.TB) *nats.Conn {
	var all []string
	for i := range p.options {
		all = append(all, p.URL(i))
	}
	var conn *nats.Conn
	until(t, "any server to take connections", func() (ok bool) {
		var err error
		conn, err = nats.Connect(strings.Join(all, ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(time.Second))
		return err == nil
	})
	return conn
}

// AwaitReady waits until every server knows the leader of the cluster.
func (p *P) AwaitReady(t testing.TB) {
	t.Helper()
	until(t, "every server to know the leader of the cluster", p.ready)
}

func (p *P) ready() bool {
	for i := range p.options {
		conn, err := nats.Connect(p.URL(i), nats.Timeout(time.Second))
		if err != nil {
			return false
		}
		ok := conn.ConnectedServerName() == p.options[i].Name && succeeded(conn, "$JS.API.INFO")
		conn.Close()
		if !ok {
			return false
		}
	}
	return true
}

// StepDown makes the leader of a stream give up, and returns when the stream has a leader again.
func (p *P) StepDown(t testing.TB, stream string) {
	t.Helper()
	conn := p.any(t)
	defer conn.Close()
	until(t, "the leader of "+stream+" to step down", func() bool { return succeeded(conn, "$JS.API.STREAM.LEADER.STEPDOWN."+stream) })
	p.Leader(t, stream)
}

// Leader is the server that leads a stream, as a server says that answers.
func (p *P) Leader(t testing.TB, stream string) (leader int) {
	t.Helper()
	conn := p.any(t)
	defer conn.Close()
	until(t, "a leader of "+stream, func() bool {
		reply, err := conn.Request("$JS.API.STREAM.INFO."+stream, nil, 2*time.Second)
		var answer struct {
			Cluster struct{ Leader string }
		}
		if err != nil || json.Unmarshal(reply.Data, &answer) != nil || answer.Cluster.Leader == "" {
			return false
		}
		leader, err = strconv.Atoi(answer.Cluster.Leader[1:])
		return err == nil
	})
	return leader
}

// sentName finds the name of the server in what it says to another.
var sentName = regexp.MustCompile(`"server_name":"n(\d+)"`)
