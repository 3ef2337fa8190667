// Package tests holds what only the whole shows: the real program as a process, several servers on one log, the log's
// servers lost, cut off or fed by hand, and the API end to end.
package tests

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/tests/natstest"
)

func TestMain(m *testing.M) {
	natstest.RunServerIfAsked()
	goleak.VerifyTestMain(m,
		// A server that closes a connection waits half a second for the client's last bytes.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),
		goleak.Cleanup(func(code int) {
			if dir := processBinaryDir.Load(); dir != nil {
				os.RemoveAll(*dir)
			}
			os.Exit(code)
		}))
}
