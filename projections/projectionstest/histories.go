// Package projectionstest has logs that every projection is tested on.
package projectionstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// Histories are the logs of all commands that were ever released, each message with the states around it. A test in a package below
// projections calls it.
func Histories(t testing.TB) (all [][]eventstore.Folded) {
	t.Helper()
	names, err := filepath.Glob("../../domain/testdata/golden/*/*.log")
	if err != nil || len(names) == 0 {
		t.Fatal("no golden logs: ", err)
	}
	for _, name := range names {
		all = append(all, history(t, name))
	}
	return all
}

func history(t testing.TB, name string) (list []eventstore.Folded) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	s := &domain.State{}
	for {
		n, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			t.Fatal(err)
		}
		m := eventstore.Folded{Before: s}
		m.Position, m.Hash = s.Position+1, eventstore.HashOf(data)
		if m.Commit, err = eventstore.Decode(data, m.Position, s.Hash); err != nil {
			t.Fatal(err)
		}
		if s, err = domain.Evolve(s, m.Commit, m.Position, m.Hash); err != nil {
			t.Fatal(err)
		}
		m.After = s
		list = append(list, m)
	}
}
