// Package readmodeltest gives tests of read models both databases.
package readmodeltest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/tests/pgtest"
)

// Main runs the tests of a package, ends its PostgreSQL, and looks for goroutines that are left.
func Main(m *testing.M) {
	code := m.Run()
	pgtest.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Both are empty databases on both engines. They are closed with the test.
func Both(t *testing.T) []*readmodel.Database {
	t.Helper()
	files, err := readmodel.OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := readmodel.OpenPostgres(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	list := []*readmodel.Database{files, server}
	t.Cleanup(func() {
		for _, d := range list {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return list
}
