// Package layout says under which names Tenure keeps what caches need in Redis. Package projections/redis says what is behind the
// names.
package layout

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
)

// Version of the layout. Who finds another one does not read.
const Version = "1"

// DefaultPrefix is what all names begin with.
const DefaultPrefix = "tenure"

// Fields of the hash Layout.Key.
const (
	LayoutVersion    = "version"
	LayoutPartitions = "partitions"
	LayoutLog        = "log"
	LayoutEpoch      = "epoch"
	LayoutGeneration = "generation"
)

// Fields of the hash Layout.Meta.
const (
	MetaEpoch    = "epoch"
	MetaPosition = "position"
	MetaHash     = "hash"
	MetaLast     = "last"
	MetaAsOf     = "as_of"
)

// Fields of a stream's entries.
const (
	StreamPrevious = "prev"
	StreamScope    = "scope"
	StreamID       = "id"
	StreamPublic   = "public"
	StreamEntry    = "entry"
)

// Scopes, in streams and in the names of entries; Instance has no entry.
const (
	Key      = "key"
	Project  = "project"
	Org      = "org"
	User     = "user"
	Instance = "instance"
)

// Layout are the names under a prefix.
type Layout struct {
	Prefix     string
	Partitions int
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// Check is an error that says what to do if there can be no such layout.
func (l Layout) Check() error {
	if !prefixes.MatchString(l.Prefix) {
		return fmt.Errorf("%q can't be the prefix of names in Redis: use letters, digits, and _ . : - of them, 64 at most", l.Prefix)
	}
	if l.Partitions < 1 || l.Partitions > 256 {
		return fmt.Errorf("%d partitions in Redis: choose from 1 to 256", l.Partitions)
	}
	return nil
}

// Key is the name of the hash that says what the others are.
func (l Layout) Key() string { return l.Prefix + ":layout" }

// Building is the name of the lock that one server holds while it builds all anew.
func (l Layout) Building() string { return l.Prefix + ":building" }

// Stream is the name of a partition's stream.
func (l Layout) Stream(p int) string { return l.of(p) + "stream" }

// Meta is the name of the hash that says how far a partition is.
func (l Layout) Meta(p int) string { return l.of(p) + "meta" }

// Entry is the name of an entry: of a key by its public key, of others by their id.
func (l Layout) Entry(scope, id string) string { return l.of(l.Partition(id)) + scope + ":" + id }

func (l Layout) of(p int) string { return l.Prefix + ":{" + strconv.Itoa(p) + "}:" }

// Partition is where an entry is.
func (l Layout) Partition(id string) int {
	return int(crc32.ChecksumIEEE([]byte(id)) % uint32(l.Partitions))
}

// PartitionOf is where a name is, and what it is there; not ok if it is none of a partition.
func (l Layout) PartitionOf(name string) (p int, rest string, ok bool) {
	number, found := strings.CutPrefix(name, l.Prefix+":{")
	if !found {
		return 0, "", false
	}
	number, rest, found = strings.Cut(number, "}:")
	p, err := strconv.Atoi(number)
	return p, rest, found && err == nil
}

// ID is that of a stream's entry, and the version of an entry: the n-th change of a position.
type ID struct{ Position, N uint64 }

func (id ID) String() string {
	return strconv.FormatUint(id.Position, 10) + "-" + strconv.FormatUint(id.N, 10)
}

// Compare is -1 for one in front of another, 1 for one behind it.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Position, other.Position), cmp.Compare(id.N, other.N))
}

// ParseID reads what String wrote.
func ParseID(text string) (id ID, err error) {
	position, n, _ := strings.Cut(text, "-")
	if id.Position, err = strconv.ParseUint(position, 10, 64); err == nil {
		id.N, err = strconv.ParseUint(n, 10, 64)
	}
	if err != nil {
		return ID{}, fmt.Errorf("%q is no id of a change", text)
	}
	return id, nil
}
