package domain

import "iter"

// Change is what became of one key of a table. A side that is absent had no value there.
type Change[K ~string, V any] struct {
	Key      K
	Old, New V
	Had, Has bool
}

// Changes visits the keys whose values may differ between t and a table that came from it by some changes, and surely all that
// do. It takes time for what was changed, not for what there is. Neither may be in a batch.
func (t Table[K, V]) Changes(to Table[K, V]) iter.Seq[Change[K, V]] {
	return func(yield func(Change[K, V]) bool) {
		if t.t == to.t {
			return
		}
		old := map[K]V{}
		for pairs := range t.t.apart(to.t) {
			for i := range pairs {
				old[pairs[i].key] = pairs[i].value
			}
		}
		for pairs := range to.t.apart(t.t) {
			for i := range pairs {
				p := &pairs[i]
				was, had := old[p.key]
				delete(old, p.key)
				if !yield(Change[K, V]{p.key, was, p.value, had, true}) {
					return
				}
			}
		}
		for k, was := range old {
			if !yield(Change[K, V]{Key: k, Old: was, Had: true}) {
				return
			}
		}
	}
}

// apart visits the buckets of t that other does not share at the same place. A split moves pairs between buckets that both change.
func (t *trie[K, V]) apart(other *trie[K, V]) iter.Seq[[]pair[K, V]] {
	return func(yield func([]pair[K, V]) bool) {
		switch {
		case t == nil:
		case other == nil || t.buckets == 0 || other.buckets == 0:
			if t.buckets > 0 || other == nil || other.buckets > 0 || !same(t.few, other.few) {
				t.all()(yield)
			}
		default:
			for top := range t.top {
				var theirs *branch[K, V]
				if top < len(other.top) {
					theirs = other.top[top]
				}
				if t.top[top] != theirs && !t.top[top].apart(theirs, yield) {
					return
				}
			}
		}
	}
}

func (b *branch[K, V]) apart(other *branch[K, V], yield func([]pair[K, V]) bool) bool {
	if b == nil {
		return true
	}
	for i, l := range b.leaves {
		var theirs *leaf[K, V]
		if other != nil {
			theirs = other.leaves[i]
		}
		if l == nil || l == theirs {
			continue
		}
		for n := range l.buckets {
			mine := l.buckets[n].pairs
			if theirs != nil && same(mine, theirs.buckets[n].pairs) || len(mine) == 0 {
				continue
			}
			if !yield(mine) {
				return false
			}
		}
	}
	return true
}

// same tells whether two slices are one.
func same[P any](a, b []P) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
