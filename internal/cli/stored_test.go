package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// logOf makes the stored bytes of a log of commits, one a second; an empty text stands for a barrier, "void" for something
// published by hand.
func logOf(t *testing.T, texts ...string) (list [][]byte) {
	t.Helper()
	for i, text := range texts {
		if text == "void" {
			list = append(list, []byte("hello"))
			continue
		}
		c := &eventv1.Commit{
			CommitId: fmt.Sprintf("01J%023d", i), Parent: uint64(i), Time: timestamppb.New(testNow.Add(time.Duration(i) * time.Second)), End: 1,
		}
		if i > 0 {
			hash := sha256.Sum256(list[i-1])
			c.ParentHash = hash[:]
		}
		if text != "" {
			c.Entries, c.End = []*eventv1.Entry{{Command: text, Events: []*eventv1.Event{{
				Body: &eventv1.Event_OrgResumed{OrgResumed: &eventv1.OrgResumed{}},
			}}}}, 2
		}
		list = append(list, store(t, c))
	}
	return list
}

func store(t *testing.T, c *eventv1.Commit) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(magic), b...)
}

func changed(t *testing.T, data []byte, change func(*eventv1.Commit)) []byte {
	t.Helper()
	c := &eventv1.Commit{}
	if err := proto.Unmarshal(data[len(magic):], c); err != nil {
		t.Fatal(err)
	}
	change(c)
	return store(t, c)
}

// checkAll checks a log as `tenure log verify` does, from a position, with a server that tells the truth about the bytes.
func checkAll(list [][]byte, from uint64, expected map[uint64]string) (*chain, error) {
	c := &chain{next: from}
	for i := from - 1; i < uint64(len(list)); i++ {
		s := readStored(i+1, list[i])
		hash := sha256.Sum256(list[i])
		if err := c.check(s, &tenurev1.ReadLogResponse{Position: i + 1, Data: list[i], Hash: hash[:], Void: s.commit == nil}, expected); err != nil {
			return c, err
		}
	}
	return c, nil
}

// A log that nobody touched is whole, void positions included, from any position on. Fails if a void position breaks the chain
// or is left out of it: tried with its hash not remembered.
func TestChainIsWhole(t *testing.T) {
	t.Parallel()
	list := logOf(t, "one", "two", "void", "", "five")
	for from := range uint64(5) {
		c, err := checkAll(list, from+1, map[uint64]string{})
		if err != nil {
			t.Fatalf("from %d: %v", from+1, err)
		}
		if from == 0 && (c.commits != 4 || c.voids != 1 || c.events != 3) {
			t.Errorf("%d commits, %d voids, %d events", c.commits, c.voids, c.events)
		}
	}
}

// Whatever is changed in the log is found, and where. Fails if a change goes unnoticed: tried without the comparison of the
// parent hash, of the time, of the positions, of the hash that the server tells, and of what is void.
func TestChainIsBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, list [][]byte)
		want   string
	}{
		"a reason rewritten": {func(t *testing.T, list [][]byte) {
			list[1] = changed(t, list[1], func(c *eventv1.Commit) { c.Entries[0].Reason = "another" })
		}, "the commit at position 3 says that the message before it has the hash"},
		"a wrong parent hash": {func(t *testing.T, list [][]byte) {
			list[3] = changed(t, list[3], func(c *eventv1.Commit) { c.ParentHash[0]++ })
		}, "the commit at position 4 says"},
		"a first commit with a parent hash": {func(t *testing.T, list [][]byte) {
			list[0] = changed(t, list[0], func(c *eventv1.Commit) { c.ParentHash = make([]byte, 32) })
		}, "the commit at position 1 says"},
		"a commit made void": {func(t *testing.T, list [][]byte) { list[1] = []byte("nothing") }, "the commit at position 3 says"},
		"a commit in another's place": {func(t *testing.T, list [][]byte) {
			list[1], list[2] = list[2], list[1]
		}, "the commit at position 4 says"},
		"time going back": {func(t *testing.T, list [][]byte) {
			list[3] = changed(t, list[3], func(c *eventv1.Commit) { c.Time = timestamppb.New(testNow) })
		}, "the commit at position 4 is of 2031-01-31T12:00:00Z, before its parent's 2031-01-31T12:00:02Z"},
	} {
		list := logOf(t, "one", "two", "three", "four")
		test.change(t, list)
		if _, err := checkAll(list, 1, map[uint64]string{}); !errors.Is(err, errChain) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}

	list := logOf(t, "one", "two")
	first, second := readStored(1, list[0]), readStored(2, list[1])
	told := &tenurev1.ReadLogResponse{Position: 1, Hash: first.hash[:]}
	for name, test := range map[string]struct {
		chain *chain
		s     stored
		told  *tenurev1.ReadLogResponse
		want  string
	}{
		"a gap":                   {&chain{next: 1}, second, &tenurev1.ReadLogResponse{Hash: second.hash[:]}, "position 2 comes where 1 must come"},
		"a hash of other bytes":   {&chain{next: 1}, first, &tenurev1.ReadLogResponse{Hash: second.hash[:]}, "the server says that position 1 has the hash"},
		"told void, and is not":   {&chain{next: 1}, first, &tenurev1.ReadLogResponse{Hash: first.hash[:], Void: true}, "do not agree whether position 1 is void"},
		"another log than before": {&chain{next: 1}, first, told, "expected was"},
	} {
		expected := map[uint64]string{}
		if name == "another log than before" {
			expected[1] = hex.EncodeToString(second.hash[:])
		}
		if err := test.chain.check(test.s, test.told, expected); !errors.Is(err, errChain) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// What is void is judged by the bytes alone, as the servers do it. Fails if garbage counts as a commit: tried without each of
// the conditions.
func TestVoidPositions(t *testing.T) {
	t.Parallel()
	commit := logOf(t, "one", "two")[1]
	for name, test := range map[string]struct {
		data []byte
		at   uint64
		want string
	}{
		"a commit":            {commit, 2, ""},
		"no magic":            {commit[4:], 2, "does not begin like a commit"},
		"garbage behind it":   {[]byte(magic + "\xff\xff"), 2, "does not parse"},
		"no commit id":        {changed(t, commit, func(c *eventv1.Commit) { c.CommitId = "x" }), 2, "has no commit id"},
		"a copy":              {commit, 3, "is a commit for the place behind 1"},
		"cut short":           {changed(t, commit, func(c *eventv1.Commit) { c.Entries = nil }), 2, "is a commit cut short"},
		"nothing":             {nil, 2, "does not begin like a commit"},
		"nothing but a magic": {[]byte(magic), 2, "has no commit id"},
	} {
		if s := readStored(test.at, test.data); s.void != test.want || (s.commit == nil) != (test.want != "") {
			t.Errorf("%s: %q, want %q", name, s.void, test.want)
		}
	}
}
