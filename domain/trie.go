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
	owned   uint16 // bit by bit, the buckets that this batch made
	buckets [leafWidth]bucketOf[K, V]
}

// bucketOf is the pairs of a bucket, and a byte of the hash of each of the first eight: a look-up in a big table waits for
// memory and nothing else, and these spare it the pairs that it does not look for.
type bucketOf[K ~string, V any] struct {
	pairs []pair[K, V]
	tags  uint64
}

const tagged = 8

func tagOf(hash uint32) uint64 { return uint64(hash >> 24) }

func tagsOf[K ~string, V any](pairs []pair[K, V]) (tags uint64) {
	for i := range min(len(pairs), tagged) {
		tags |= tagOf(pairs[i].hash) << (8 * i)
	}
	return tags
}

// find is where in the bucket a key is; -1 if it is not.
func (b *bucketOf[K, V]) find(k K, hash uint32) int {
	const ones = 0x0101010101010101
	// A byte of differ is zero where the tag fits; the highest bit of each such byte is left in fits (H. Warren, Hacker's
	// Delight, 6-1), and perhaps that of a byte that follows one, which the comparison of hashes finds out.
	differ := b.tags ^ tagOf(hash)*ones
	for fits := (differ - ones) &^ differ & (ones << 7); fits != 0; fits &= fits - 1 {
		i := bits.TrailingZeros64(fits) / 8
		if i < len(b.pairs) && b.pairs[i].hash == hash && b.pairs[i].key == k {
			return i
		}
	}
	return search(b.pairs, tagged, k, hash)
}

// search is find without tags, from a pair on.
func search[K ~string, V any](pairs []pair[K, V], from int, k K, hash uint32) int {
	for i := from; i < len(pairs); i++ {
		if pairs[i].hash == hash && pairs[i].key == k {
			return i
		}
	}
	return -1
}

const (
	// bucketFill is how many pairs a bucket holds on average. More make a change dearer, fewer a look-up in a big table.
	bucketFill  = 8
	leafWidth   = 16
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

// find is the pair of a key, to be read before the next change; nil if there is none.
func (t *trie[K, V]) find(k K, hash uint32) *pair[K, V] {
	if t.buckets == 0 {
		if i := search(t.few, 0, k, hash); i >= 0 {
			return &t.few[i]
		}
		return nil
	}
	b := t.at(t.index(hash))
	if i := b.find(k, hash); i >= 0 {
		return &b.pairs[i]
	}
	return nil
}

func (t *trie[K, V]) index(hash uint32) uint32 {
	i := hash & t.mask
	if i >= t.buckets {
		i &= t.mask >> 1
	}
	return i
}

func (t *trie[K, V]) at(bucket uint32) *bucketOf[K, V] {
	top, branch, leaf := place(bucket)
	return &t.top[top].leaves[branch].buckets[leaf]
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
			if !yield(t.at(i).pairs) {
				return
			}
		}
	}
}

// set needs a batch.
func (t *trie[K, V]) set(p pair[K, V]) {
	if t.find(p.key, p.hash) != nil {
		pairs := t.writable(p.hash, 0)
		// The key stays: it is the one that is shared.
		pairs[search(pairs, 0, p.key, p.hash)].value = p.value
		return
	}
	t.put(p.hash, append(t.writable(p.hash, 1), p))
	t.len++
	if t.buckets == 0 && t.len > fewMax {
		t.buckets, t.mask = 1, 0
		t.hang(0, t.few)
		t.few = nil
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
	i := search(pairs, 0, k, hash)
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
	for _, p := range t.at(old).pairs {
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
		t.hang(i, grown(l.buckets[n].pairs, more))
	} else if have := l.buckets[n].pairs; len(have)+more > cap(have) {
		if len(have) == 0 {
			more = bucketFill - spare
		}
		t.hang(i, grown(have, more+spare))
	}
	return l.buckets[n].pairs
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
	l.buckets[n] = bucketOf[K, V]{pairs, tagsOf(pairs)}
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
