package cli

import (
	"testing"
	"time"
)

// How far, how quickly, and how long it will take; without an end only how far. A run that begins behind something counts only
// what is new. Fails if what was there before counts for the rate: tried.
func TestPassed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		from, at, to uint64
		took         time.Duration
		want         string
	}{
		{0, 1000, 4000, 2 * time.Second, "Copying: 1000 of 4000, 500/s, 6s to go, so far"},
		{3000, 3500, 4000, time.Second, "Copying: 3500 of 4000, 500/s, 1s to go, so far"},
		{0, 4000, 4000, 2 * time.Second, "Copying: 4000 of 4000, 2000/s"},
		{0, 4100, 4000, 2 * time.Second, "Copying: 4100 of 4100, 2050/s"},
		{0, 70, 0, time.Second, "Copying: 70, 70/s"},
		{0, 0, 100, 0, "Copying: 0 of 100, 0/s"},
	} {
		if got := passed("Copying", row.from, row.at, row.to, row.took); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}
