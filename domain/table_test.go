package domain_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

type tableOfInts = domain.Table[string, int]

// TestTable holds a Table against a map, and every version of it against a copy taken then. Fails if With or Without changes
// the table it got: tried.
func TestTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var table tableOfInts
		model := map[string]int{}
		type version struct {
			table tableOfInts
			model map[string]int
		}
		versions := []version{{table, map[string]int{}}}
		key := rapid.StringMatching(`[a-d]{1,3}`)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k := key.Draw(t, "key")
			if rapid.Bool().Draw(t, "with") {
				v := rapid.Int().Draw(t, "value")
				table, model[k] = table.With(k, v), v
			} else {
				table = table.Without(k)
				delete(model, k)
			}
			versions = append(versions, version{table, maps.Clone(model)})
		}
		for _, v := range versions {
			same(t, v.table, v.model, key.Draw(t, "after"))
		}
	})
}

func same(t *rapid.T, table tableOfInts, model map[string]int, after string) {
	if diff := cmp.Diff(model, maps.Collect(table.All())); diff != "" {
		t.Fatalf("all (-want +got):\n%s", diff)
	}
	want := slices.Sorted(maps.Keys(model))
	if got := table.Keys(); !slices.Equal(got, want) || table.Len() != len(want) {
		t.Fatalf("%d keys %q, want %q", table.Len(), got, want)
	}
	value, has := model[after]
	if got, ok := table.Get(after); got != value || ok != has || table.Has(after) != has {
		t.Fatalf("get %q: %d, %t, want %d, %t", after, got, ok, value, has)
	}
	want = slices.DeleteFunc(want, func(k string) bool { return k <= after })
	var page []string
	for k, v := range table.Page(after) {
		if page = append(page, k); v != model[k] {
			t.Fatalf("page: %q is %d, want %d", k, v, model[k])
		}
	}
	if !slices.Equal(page, want) {
		t.Fatalf("behind %q: %q, want %q", after, page, want)
	}
}

func TestTableStopsEarly(t *testing.T) {
	t.Parallel()
	table := tableOfInts{}.With("a", 1).With("b", 2)
	for range table.All() {
		break
	}
	for k := range table.Page("") {
		if k != "a" {
			t.Errorf("the first key is %q", k)
		}
		break
	}
	for range (tableOfInts{}).All() {
		t.Error("an empty table holds something")
	}
}
