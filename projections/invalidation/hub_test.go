package invalidation

import (
	"testing"

	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/runner"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A commit that changes more than the hub keeps leaves it where the commit is: watchers who were before it are told to begin anew, and the
// next are told what follows. Fails if what the first step changed counts among what is kept: tried.
func TestHubOutgrownByACommit(t *testing.T) {
	t.Parallel()
	h := NewHub(runner.Log{}, nil)
	h.steps = []step{{at: projections.Checkpoint{Position: 1}}, {at: projections.Checkpoint{Position: 2}, list: make([]*tenurev1.Invalidation, hubKept+1)}}
	h.kept = hubKept + 1
	if err := (steps{h}).Apply(t.Context(), projections.Checkpoint{}, projections.Checkpoint{}, nil); err != nil {
		t.Fatal(err)
	}
	if at, err := (steps{h}).Checkpoint(t.Context()); err != nil || at.Position != 2 || h.kept != 0 {
		t.Fatal(at, h.kept, err)
	}
	if _, to, known, _, _ := h.Next(1, 10); known || to.Position != 2 {
		t.Errorf("behind 1: known %t, at %d", known, to.Position)
	}
	h.steps = append(h.steps, step{at: projections.Checkpoint{Position: 3}, list: make([]*tenurev1.Invalidation, 2)})
	if list, to, known, _, _ := h.Next(2, 10); !known || to.Position != 3 || len(list) != 2 {
		t.Errorf("behind 2: %d told, known %t, at %d", len(list), known, to.Position)
	}
}
