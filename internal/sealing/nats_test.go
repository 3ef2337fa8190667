package sealing

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// broker is a real NATS server in this process with its store in a directory of the test.
type broker struct {
	server *server.Server
	dir    string
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	dir := t.TempDir()
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	return &broker{s, dir}
}

// jetStream connects anew, as another server would.
func (b *broker) jetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b.server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (b *broker) vault(t testing.TB, master Master) *Vault {
	t.Helper()
	v, err := Open(t.Context(), b.jetStream(t), master, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// onDisk reports whether any file of the store contains these bytes.
func (b *broker) onDisk(t testing.TB, want []byte) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testMaster(t testing.TB, seed byte) Master {
	t.Helper()
	m, err := newMaster(bytes.Repeat([]byte{seed}, masterSize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
