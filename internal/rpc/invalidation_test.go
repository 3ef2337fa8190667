package rpc

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// Who tells what changed while commands come all the time is never at the newest position, and still says how new its word is. Fails if
// only the newest position counts: tried.
func TestClaimsUnderLoad(t *testing.T) {
	t.Parallel()
	var c claims
	if _, ok := c.of(claim{elapsed: 0, position: 10}, 9); ok {
		t.Error("position 10 is claimed when 9 was told")
	}
	for i := 1; i < 100; i++ {
		now := claim{elapsed: time.Duration(i), position: domain.Position(10 + i)}
		got, ok := c.of(now, domain.Position(9+i))
		if !ok || got.elapsed != time.Duration(i-1) || got.position > domain.Position(9+i) {
			t.Fatalf("told %d of %d: %+v, %t", 9+i, 10+i, got, ok)
		}
	}
	// What waits stays until it holds, and a newer one takes its place when that does.
	if _, ok := c.of(claim{elapsed: 200, position: 300}, 100); ok {
		t.Error("what is not told is claimed")
	}
	if got, ok := c.of(claim{elapsed: 201, position: 400}, 110); !ok || got.elapsed != 99 {
		t.Errorf("%+v, %t", got, ok)
	}
	if got, ok := c.of(claim{elapsed: 202, position: 400}, 400); !ok || got.elapsed != 202 {
		t.Errorf("%+v, %t", got, ok)
	}
	if got, ok := c.of(claim{elapsed: 203, position: 401}, 400); ok {
		t.Errorf("%+v", got)
	}
}
