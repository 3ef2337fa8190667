package domain

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// Whatever changed between two tables is visited, with both values, also over splits and from and to few pairs; what is shared
// is not. Fails if buckets are compared by length alone, or if the new table's buckets are visited only as far as the old one
// had some: both tried.
func TestTableChanges(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 15, 17, 100, 5_000, 8_150} {
		var table Table[string, int]
		for i := range size {
			table = table.With(fmt.Sprint(i), 0)
		}
		for _, steps := range []int{1, 3, 40, 3_000} {
			before, model := table, map[string]int{}
			next, batch := table, steps > 3
			if batch {
				next = next.loading()
			}
			for s := range steps {
				k := fmt.Sprint(rand.IntN(size + steps))
				if rand.IntN(6) == 0 {
					next = next.Without(k)
				} else {
					next = next.With(k, s+1)
				}
			}
			next = next.loaded()
			for k, v := range before.All() {
				if now, ok := next.Get(k); !ok || now != v {
					model[k] = -1
				}
			}
			for k, v := range next.All() {
				if was, ok := before.Get(k); !ok || was != v {
					model[k] = v
				}
			}
			visited := 0
			for c := range before.Changes(next) {
				visited++
				old, had := before.Get(c.Key)
				now, has := next.Get(c.Key)
				if c.Had != had || c.Has != has || c.Old != old || c.New != now {
					t.Fatalf("size %d, %d steps: %q is told to go from %d (%t) to %d (%t), and went from %d (%t) to %d (%t)",
						size, steps, c.Key, c.Old, c.Had, c.New, c.Has, old, had, now, has)
				}
				delete(model, c.Key)
			}
			if len(model) > 0 {
				t.Fatalf("size %d, %d steps: changes are not told: %v", size, steps, maps.Clone(model))
			}
			if limit := 60*steps + 40; visited > limit {
				t.Errorf("size %d, %d steps: %d keys were visited, more than %d", size, steps, visited, limit)
			}
		}
	}
}
