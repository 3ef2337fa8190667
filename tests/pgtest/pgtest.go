// Package pgtest gives tests a real PostgreSQL of their own: an instance on a free port and in a temporary directory, started when it
// is first asked for, and in it a database for each test.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// Instance is a PostgreSQL server. Its methods are safe for concurrent use, Stop and Start excepted.
type Instance struct {
	dir, bin string
	port     int
	as       *syscall.Credential
	cmd      *exec.Cmd
	exited   chan struct{}
}

var shared struct {
	sync.Mutex
	instance *Instance
	err      error
	made     int
}

// Database makes an empty database on the instance of this test program and answers its URL. There is no test without one: whoever
// has no PostgreSQL is told what to install.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.instance == nil && shared.err == nil {
		shared.instance, shared.err = New()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	shared.made++
	name := fmt.Sprintf("test_%d", shared.made)
	if err := shared.instance.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return shared.instance.URL(name)
}

// Close stops the instance of this test program, if there is one: for TestMain.
func Close() {
	shared.Lock()
	defer shared.Unlock()
	if shared.instance != nil {
		shared.instance.Close()
		shared.instance = nil
	}
}

// Own starts an instance for a test that stops and starts it. It ends with the test.
func Own(t testing.TB) *Instance {
	t.Helper()
	i, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// New makes and starts an instance.
func New() (*Instance, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tenure-pg")
	if err != nil {
		return nil, err
	}
	i := &Instance{dir: dir, bin: bin}
	if err := i.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := i.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return i, nil
}

// binaries finds the newest PostgreSQL of this machine.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	more, _ := filepath.Glob("/usr/pgsql-*/bin/initdb")
	found = append(found, more...)
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			found = append(found, real)
		}
	}
	if len(found) == 0 {
		return "", errors.New("the tests need PostgreSQL 15 or newer: install the package postgresql (Debian, as root: apt-get install postgresql)")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// initialize makes the files. PostgreSQL does not run as root: then it runs as another user.
func (i *Instance) initialize() error {
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			if account, err = user.Lookup("nobody"); err != nil {
				return errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
			}
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32)
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		i.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(i.dir, int(uid), int(gid)); err != nil {
			return err
		}
		if err := os.Chmod(i.dir, 0o700); err != nil {
			return err
		}
	}
	cmd := i.command("initdb", "-D", i.data(), "-U", "tenure", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (i *Instance) data() string { return filepath.Join(i.dir, "data") }

func (i *Instance) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(i.bin, name), args...)
	cmd.Dir = i.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.as, Setpgid: true}
	return cmd
}

// Start starts the server, on the port it had before.
func (i *Instance) Start() error {
	if i.port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		i.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	i.cmd = i.command("postgres", "-D", i.data(), "-p", strconv.Itoa(i.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "shared_buffers=128MB", "-c", "fsync=off")
	var out bytes.Buffer
	i.cmd.Stdout, i.cmd.Stderr = &out, &out
	if err := i.cmd.Start(); err != nil {
		return err
	}
	i.exited = make(chan struct{})
	go func() {
		_ = i.cmd.Wait()
		close(i.exited)
	}()
	db := stdlibOpen(i.URL("postgres"))
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := db.PingContext(context.Background())
		if err == nil {
			return nil
		}
		select {
		case <-i.exited:
			return fmt.Errorf("PostgreSQL ended at once: %s", out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			i.Kill()
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, out.String())
		}
	}
}

func stdlibOpen(url string) *sql.DB {
	db, err := sql.Open("pgx", url)
	if err != nil {
		panic(err) // the URL is ours
	}
	return db
}

var _ = stdlib.GetDefaultDriver // registers "pgx"

// URL of a database on the instance.
func (i *Instance) URL(database string) string {
	return fmt.Sprintf("postgres://tenure@127.0.0.1:%d/%s?sslmode=disable", i.port, database)
}

// Stop stops the server at once, breaking all connections, but in order.
func (i *Instance) Stop() { i.signal(syscall.SIGINT) }

// Kill ends the server as a crash would.
func (i *Instance) Kill() { i.signal(syscall.SIGQUIT) }

func (i *Instance) signal(s syscall.Signal) {
	_ = i.cmd.Process.Signal(s)
	<-i.exited
}

// Close stops the server and removes its files.
func (i *Instance) Close() {
	i.Kill()
	_ = os.RemoveAll(i.dir)
}

// Exec runs a statement in the instance's own database.
func (i *Instance) Exec(statement string) error {
	db := stdlibOpen(i.URL("postgres"))
	defer db.Close()
	_, err := db.Exec(statement)
	return err
}
