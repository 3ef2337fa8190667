package domain

import (
	"iter"
	"math/bits"
	"slices"
	"sync/atomic"
)

// A trie holds the pairs of a Table in buckets of a few pairs each, found by linear hashing (W. Litwin, 1980): there is always
// one bucket for every bucketFill pairs, and when the table has grown by as many, one bucket is split. The buckets hang in
// three levels of nodes, so that a look-up follows as many pointers whatever the size, and a change copies a node of each
// level and one bucket. A table of a few pairs is one bucket and nothing else.
//
// Every change is part of a batch, and changes in place what the batch itself has made. A batch is one change, or many when
// a State is loaded; nobody else may read a trie while it is in one.
type trie[K ~string, V any] struct {
	len int
	// few is the only bucket, as long as there is one.
	few []pair[K, V]
	// buckets is how many there are under top; 0 if few is used. mask covers their numbers.
	buckets uint32
	mask    uint32
	top     []*branch[K, V]
	// batch is the one that the trie is in; 0 for none.
	batch uint64
}

type pair[K ~string, V any] struct {
	key   K
	value V
	hash  uint32
}

type branch[K ~string, V any] struct {
	batch  uint64 // that made the node
	leaves [branchWidth]*leaf[K, V]
}

type leaf[K ~string, V any] struct {
	batch   uint64 // that made the node
	owned   uint32 // bit by bit, the buckets that this batch made
	buckets [leafWidth][]pair[K, V]
}

const (
	// bucketFill is how many pairs a bucket holds on average. More make a change dearer, fewer a look-up in a big table.
	bucketFill  = 8
	leafWidth   = 32
	branchWidth = 64
	// fewMax is up to how many pairs a search of all is cheaper than nodes.
	fewMax = 16
	// spare is how many more pairs than it needs a bucket has room for when a pair is added.
	spare = 2
)

var batches atomic.Uint64

// edited is a trie in a batch: t itself if it is in one, else a copy in a new one.
func (t *trie[K, V]) edited() *trie[K, V] {
	next := &trie[K, V]{}
	if t != nil {
		if t.batch != 0 {
			return t
		}
		*next = *t
		next.few, next.top = grown(t.few, 1), slices.Clone(t.top)
	}
	next.batch = batches.Add(1)
	return next
}

// bucket is where a pair of this hash is, if anywhere.
func (t *trie[K, V]) bucket(hash uint32) []pair[K, V] {
	if t.buckets == 0 {
		return t.few
	}
	return t.at(t.index(hash))
}

func (t *trie[K, V]) index(hash uint32) uint32 {
	i := hash & t.mask
	if i >= t.buckets {
		i &= t.mask >> 1
	}
	return i
}

func (t *trie[K, V]) at(bucket uint32) []pair[K, V] {
	top, branch, leaf := place(bucket)
	return t.top[top].leaves[branch].buckets[leaf]
}

// place is where a bucket hangs.
func place(bucket uint32) (top, branch, leaf uint32) {
	return bucket / (leafWidth * branchWidth), bucket / leafWidth % branchWidth, bucket % leafWidth
}

// all visits every bucket.
func (t *trie[K, V]) all() iter.Seq[[]pair[K, V]] {
	return func(yield func([]pair[K, V]) bool) {
		if t.buckets == 0 {
			yield(t.few)
			return
		}
		for i := range t.buckets {
			if !yield(t.at(i)) {
				return
			}
		}
	}
}

// set needs a batch.
func (t *trie[K, V]) set(p pair[K, V]) {
	for i, old := range t.bucket(p.hash) {
		if old.hash == p.hash && old.key == p.key {
			// The key stays: it is the one that is shared.
			t.writable(p.hash, 0)[i].value = p.value
			return
		}
	}
	t.put(p.hash, append(t.writable(p.hash, 1), p))
	t.len++
	if t.buckets == 0 && t.len > fewMax {
		t.buckets, t.mask = 1, 0
		t.leaf(0).buckets[0], t.few = t.few, nil
	}
	for t.buckets > 0 && t.len > int(t.buckets)*bucketFill {
		t.split()
	}
}

// reserve makes the buckets for n pairs in an empty trie in a batch.
func (t *trie[K, V]) reserve(n int) {
	if n <= fewMax {
		return
	}
	t.buckets = uint32((n + bucketFill - 1) / bucketFill)
	t.mask = 1<<bits.Len32(t.buckets-1) - 1
	for i := uint32(0); i < t.buckets; i += leafWidth {
		t.leaf(i)
	}
}

// remove needs a batch and a key that is there.
func (t *trie[K, V]) remove(k K, hash uint32) {
	pairs := t.writable(hash, 0)
	i := slices.IndexFunc(pairs, func(p pair[K, V]) bool { return p.hash == hash && p.key == k })
	t.put(hash, slices.Delete(pairs, i, i+1))
	t.len--
}

// split makes one bucket more, of those pairs of another that belong there from now on.
func (t *trie[K, V]) split() {
	number := t.buckets
	t.buckets++
	t.mask = 1<<bits.Len32(number) - 1
	old := number & (t.mask >> 1)
	var stay, move []pair[K, V]
	for _, p := range t.at(old) {
		if t.index(p.hash) == number {
			move = append(move, p)
		} else {
			stay = append(stay, p)
		}
	}
	t.hang(old, stay)
	t.hang(number, move)
}

// writable is the bucket of a hash as one of the batch's own, with room for more pairs.
func (t *trie[K, V]) writable(hash uint32, more int) []pair[K, V] {
	if t.buckets == 0 {
		return t.few
	}
	i := t.index(hash)
	l, n := t.leaf(i), i%leafWidth
	if l.owned&(1<<n) == 0 {
		t.hang(i, grown(l.buckets[n], more))
	} else if have := l.buckets[n]; len(have)+more > cap(have) {
		if len(have) == 0 {
			more = bucketFill - spare
		}
		t.hang(i, grown(have, more+spare))
	}
	return l.buckets[n]
}

// grown is a copy with room for more pairs.
func grown[P any](pairs []P, more int) []P {
	return append(make([]P, 0, len(pairs)+more), pairs...)
}

// put is for what writable gave, when its length has changed.
func (t *trie[K, V]) put(hash uint32, pairs []pair[K, V]) {
	if t.buckets == 0 {
		t.few = pairs
		return
	}
	t.hang(t.index(hash), pairs)
}

// hang puts a bucket of the batch's own into its place.
func (t *trie[K, V]) hang(bucket uint32, pairs []pair[K, V]) {
	l, n := t.leaf(bucket), bucket%leafWidth
	l.buckets[n] = pairs
	l.owned |= 1 << n
}

// leaf is where a bucket hangs, as a node of the batch's own, made if there is none.
func (t *trie[K, V]) leaf(bucket uint32) *leaf[K, V] {
	top, n, _ := place(bucket)
	if int(top) == len(t.top) {
		t.top = append(t.top, &branch[K, V]{batch: t.batch})
	}
	b := t.top[top]
	if b.batch != t.batch {
		next := *b
		next.batch = t.batch
		b = &next
		t.top[top] = b
	}
	l := b.leaves[n]
	switch {
	case l == nil:
		l = &leaf[K, V]{batch: t.batch}
		b.leaves[n] = l
	case l.batch != t.batch:
		next := *l
		next.batch, next.owned = t.batch, 0
		l = &next
		b.leaves[n] = l
	}
	return l
}
