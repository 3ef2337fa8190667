package domain

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/benbjohnson/immutable"
)

// Table is a persistent map: With and Without answer a changed copy that shares nearly everything with the original. The
// zero Table is empty.
type Table[K ~string, V any] struct {
	m *immutable.Map[K, V]
}

// seed keeps the hashes of ids chosen by strangers unpredictable; nothing may depend on the order of a Table.
var seed = maphash.MakeSeed()

type hasher[K ~string] struct{}

func (hasher[K]) Hash(k K) uint32   { return uint32(maphash.String(seed, string(k))) }
func (hasher[K]) Equal(a, b K) bool { return a == b }

// Get answers the value of k and whether there is one.
func (t Table[K, V]) Get(k K) (V, bool) {
	if t.m == nil {
		var none V
		return none, false
	}
	return t.m.Get(k)
}

// Has tells whether k has a value.
func (t Table[K, V]) Has(k K) bool {
	_, ok := t.Get(k)
	return ok
}

// Len is the number of values.
func (t Table[K, V]) Len() int {
	if t.m == nil {
		return 0
	}
	return t.m.Len()
}

// With is the table with v as the value of k.
func (t Table[K, V]) With(k K, v V) Table[K, V] {
	if t.m == nil {
		t.m = immutable.NewMap[K, V](hasher[K]{})
	}
	return Table[K, V]{t.m.Set(k, v)}
}

// Without is the table with no value of k.
func (t Table[K, V]) Without(k K) Table[K, V] {
	if t.m == nil || !t.Has(k) {
		return t
	}
	return Table[K, V]{t.m.Delete(k)}
}

// All visits every pair, in no particular order.
func (t Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.m == nil {
			return
		}
		for it := t.m.Iterator(); !it.Done(); {
			k, v, _ := it.Next()
			if !yield(k, v) {
				return
			}
		}
	}
}

// Keys are all keys in ascending order.
func (t Table[K, V]) Keys() []K {
	keys := make([]K, 0, t.Len())
	for k := range t.All() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Page visits the pairs behind a key in ascending order; after "" from the first on.
func (t Table[K, V]) Page(after K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		keys := t.Keys()
		i, found := slices.BinarySearchFunc(keys, after, cmp.Compare[K])
		if found {
			i++
		}
		for _, k := range keys[i:] {
			v, _ := t.Get(k)
			if !yield(k, v) {
				return
			}
		}
	}
}
