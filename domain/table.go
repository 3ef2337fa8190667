package domain

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
)

// Table is a persistent map: With and Without answer a changed copy that shares nearly everything with the original. The
// zero Table is empty. How it is built is in trie.go, and why not a library in docs/adr/0008.
type Table[K ~string, V any] struct {
	t *trie[K, V]
}

// seed keeps the hashes of ids chosen by strangers unpredictable; nothing may depend on the order of a Table.
var seed = maphash.MakeSeed()

func hashOf[K ~string](k K) uint32 {
	h := maphash.String(seed, string(k))
	return uint32(h ^ h>>32)
}

// Get answers the value of k and whether there is one.
func (t Table[K, V]) Get(k K) (v V, ok bool) {
	if t.t == nil {
		return v, false
	}
	if p := t.t.find(k, hashOf(k)); p != nil {
		return p.value, true
	}
	return v, false
}

// Has tells whether k has a value.
func (t Table[K, V]) Has(k K) bool {
	_, ok := t.Get(k)
	return ok
}

// Len is the number of values.
func (t Table[K, V]) Len() int {
	if t.t == nil {
		return 0
	}
	return t.t.len
}

// With is the table with v as the value of k.
func (t Table[K, V]) With(k K, v V) Table[K, V] {
	next := t.t.edited()
	next.set(pair[K, V]{k, v, hashOf(k)})
	return t.changed(next)
}

// Without is the table with no value of k.
func (t Table[K, V]) Without(k K) Table[K, V] {
	if !t.Has(k) {
		return t
	}
	next := t.t.edited()
	next.remove(k, hashOf(k))
	return t.changed(next)
}

// changed ends the batch of one change, unless t is in a longer one.
func (t Table[K, V]) changed(next *trie[K, V]) Table[K, V] {
	if next != t.t {
		next.batch = 0
	}
	return Table[K, V]{next}
}

// loading is the table in a batch: from now on With and Without change it in place, and nobody else may read it, until loaded.
func (t Table[K, V]) loading() Table[K, V] { return Table[K, V]{t.t.edited()} }

func (t *Table[K, V]) setLoading(on bool) {
	if on {
		*t = t.loading()
	} else {
		*t = t.loaded()
	}
}

// sized is an empty table of the same kind in a batch, with room for n pairs.
func (Table[K, V]) sized(n int) Table[K, V] {
	t := Table[K, V]{}.loading()
	t.t.reserve(n)
	return t
}

// loaded ends what loading began, if anything did.
func (t Table[K, V]) loaded() Table[K, V] {
	if t.t != nil && t.t.batch != 0 {
		t.t.batch = 0
	}
	return t
}

// All visits every pair, in no particular order.
func (t Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.t == nil {
			return
		}
		for pairs := range t.t.all() {
			for i := range pairs {
				if !yield(pairs[i].key, pairs[i].value) {
					return
				}
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
