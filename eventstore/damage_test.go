package eventstore

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// What was rightly deleted, as the keys of erased people are, is no damage, after a clean end and after a kill: the server writes
// over such messages, and marks them. Fails if sequences must follow each other: tried. That damage is found is shown in tests.
func TestDeletedMessagesAreNoDamage(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	closed, killed := t.TempDir(), t.TempDir()
	e, err := StartEmbedded(EmbeddedConfig{Dir: closed, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(e.Conn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := js.Publish(t.Context(), fmt.Sprint("s.", i), []byte("the key of a person")); err != nil {
			t.Fatal(err)
		}
	}
	for _, sequence := range []uint64{1, 3, 50, 51, 120, 200} {
		if err := s.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteMsg(t.Context(), 60); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(killed, os.DirFS(closed)); err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSubject("s.100")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for what, dir := range map[string]string{"after a clean end": closed, "after a kill": killed} {
		e, err := StartEmbedded(EmbeddedConfig{Dir: dir, Logger: quiet})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
