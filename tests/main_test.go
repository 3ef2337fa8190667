package tests

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/tests/natstest"
	"github.com/tenurehq/tenure/tests/pgtest"
)

func TestMain(m *testing.M) {
	natstest.RunServerIfAsked()
	runKeycacheIfAsked()
	code := m.Run()
	pgtest.Close()
	if dir := processBinaryDir.Load(); dir != nil {
		os.RemoveAll(*dir)
	}
	// A server that closes a connection waits half a second for the client's last bytes.
	if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
