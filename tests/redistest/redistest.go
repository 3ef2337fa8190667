// Package redistest gives tests real Redis servers of their own: processes on free ports and in temporary directories.
package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a Redis server. Its methods are for one goroutine at a time, Do excepted.
type Server struct {
	// Settings are given to it whenever it starts: name, value, name, value.
	Settings []string
	// Password is used by Do, if it is set.
	Password string

	dir    string
	port   int
	cmd    *exec.Cmd
	out    *bytes.Buffer
	exited chan struct{}
}

// Start starts a server for a test; it ends with the test. There is no test without one: whoever has no Redis is told what to install.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// New makes and starts a server.
func New(settings ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("the tests need Redis 7.0 or newer: install the package redis-server (Debian, as root: apt-get install redis-server)")
	}
	dir, err := os.MkdirTemp("", "tenure-redis")
	if err != nil {
		return nil, err
	}
	s := &Server{Settings: settings, dir: dir}
	if s.port, err = FreePort(); err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePort answers a port that nobody listens on, nor on the one 10000 above, which a cluster uses.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if port+10_000 > 65_535 || ports.given[port] {
			continue
		}
		bus, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+10_000))
		if err != nil {
			continue
		}
		bus.Close()
		if ports.given == nil {
			ports.given = map[int]bool{}
		}
		ports.given[port] = true
		return port, nil
	}
	return 0, errors.New("no free port")
}

// Start starts the server, on the port and with the files it had before, and answers when it is ready.
func (s *Server) Start() error {
	args := []string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
		"--protected-mode", "no", "--enable-debug-command", "yes",
	}
	for i := 0; i+1 < len(s.Settings); i += 2 {
		args = append(args, "--"+s.Settings[i], s.Settings[i+1])
	}
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.out = &bytes.Buffer{}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
		if err == nil {
			conn.Close()
			if _, err = s.Do("PING"); err == nil {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("redis-server ended at once: %s", s.out)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// Address is host and port.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Port is the port.
func (s *Server) Port() int { return s.port }

// URL is for clients.
func (s *Server) URL() string {
	user := ""
	if s.Password != "" {
		user = ":" + s.Password + "@"
	}
	return "redis://" + user + s.Address()
}

// File is the name of a file in the server's directory.
func (s *Server) File(name string) string { return filepath.Join(s.dir, name) }

// Kill ends the server as a crash would.
func (s *Server) Kill() { s.Signal(syscall.SIGKILL); <-s.exited }

// Signal sends it a signal.
func (s *Server) Signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.Signal(syscall.SIGCONT)
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// Do sends a command on a connection of its own and answers what came back as text, of a list one line each.
func (s *Server) Do(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Address(), 2*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	if s.Password != "" {
		if _, err := send(conn, in, "AUTH", s.Password); err != nil {
			return "", err
		}
	}
	return send(conn, in, args...)
}

// Must is Do for a test.
func (s *Server) Must(t testing.TB, args ...string) string {
	t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return answer
}

func send(conn net.Conn, in *bufio.Reader, args ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	return receive(in)
}

func receive(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch kind, rest := line[0], line[1:]; kind {
	case '-':
		return "", errors.New(rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n+2)
		for read := 0; read < len(text); {
			m, err := in.Read(text[read:])
			if err != nil {
				return "", err
			}
			read += m
		}
		return string(text[:n]), nil
	case '*':
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		var lines []string
		for range n {
			one, err := receive(in)
			if err != nil {
				return "", err
			}
			lines = append(lines, one)
		}
		return strings.Join(lines, "\n"), nil
	default:
		return rest, nil
	}
}

// Cluster starts a cluster of so many masters for a test.
func Cluster(t testing.TB, masters int) []*Server {
	t.Helper()
	var list []*Server
	args := []string{"--cluster", "create"}
	for range masters {
		s := Start(t, "cluster-enabled", "yes", "cluster-node-timeout", "2000")
		list = append(list, s)
		args = append(args, s.Address())
	}
	out, err := exec.Command("redis-cli", append(args, "--cluster-replicas", "0", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli --cluster create: %v\n%s", err, out)
	}
	for _, s := range list {
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.Must(t, "CLUSTER", "INFO"), "cluster_state:ok"); {
			if time.Now().After(deadline) {
				t.Fatal("the cluster does not form")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return list
}
