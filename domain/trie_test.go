package domain

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// A Table that grows through all shapes of a trie, is changed again and again, in single changes and in batches, holds what
// a map does; and every version of it goes on holding what it held. Fails if a change of a leaf that another version shares
// is made in place, or a split loses a pair: both tried.
func TestTrieThroughAllSizes(t *testing.T) {
	t.Parallel()
	type version struct {
		table Table[string, int]
		model map[string]int
	}
	var versions []version
	var table Table[string, int]
	model := map[string]int{}
	random := rand.New(rand.NewPCG(1, 2))
	change := func(grow int) {
		k := fmt.Sprint(random.IntN(40_000))
		if random.IntN(10) < grow {
			v := random.Int()
			table, model[k] = table.With(k, v), v
		} else {
			table = table.Without(k)
			delete(model, k)
		}
	}
	for _, phase := range []struct {
		changes, grow int
		batch         bool
	}{{20, 10, false}, {100, 8, true}, {3000, 8, false}, {60_000, 7, true}, {3000, 5, false}, {30_000, 2, true}, {3000, 1, false}} {
		before := version{table, maps.Clone(model)}
		if phase.batch {
			table = table.loading()
		}
		for range phase.changes {
			change(phase.grow)
		}
		if phase.batch {
			table = table.loaded()
		}
		versions = append(versions, before, version{table, maps.Clone(model)})
	}
	for k := range model {
		table = table.Without(k)
	}
	versions = append(versions, version{table, nil})
	for i, v := range versions {
		if v.table.Len() != len(v.model) {
			t.Fatalf("version %d holds %d, expected %d", i, v.table.Len(), len(v.model))
		}
		for k, want := range v.model {
			if got, ok := v.table.Get(k); !ok || got != want {
				t.Fatalf("version %d: %s is %d, %t, expected %d", i, k, got, ok, want)
			}
		}
		for k, got := range v.table.All() {
			if want, ok := v.model[k]; !ok || got != want {
				t.Fatalf("version %d: %s is %d, expected %d, %t", i, k, got, want, ok)
			}
		}
	}
}

// What docs/adr/0008 quotes: go test ./domain -run - -bench Table
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys, ask := make([]string, n), make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("usr_%026d", rand.Uint64())
		}
		for i := range ask {
			ask[i] = string([]byte(keys[rand.IntN(n)])) // as a request brings it: equal, elsewhere in memory
		}
		plain, table := map[string]*int{}, Table[string, *int]{}.loading()
		for _, k := range keys {
			plain[k] = new(int)
			table = table.With(k, plain[k])
		}
		table = table.loaded()
		b.Run(fmt.Sprintf("get/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				table.Get(ask[i%n])
			}
		})
		b.Run(fmt.Sprintf("get of a Go map/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				_ = plain[ask[i%n]]
			}
		})
		b.Run(fmt.Sprintf("set/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				table.With(ask[i%n], nil)
			}
		})
		b.Run(fmt.Sprintf("load/%d", n), func(b *testing.B) {
			for b.Loop() {
				t := Table[string, *int]{}.loading()
				for _, k := range keys {
					t = t.With(k, nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/pair")
		})
	}
}
