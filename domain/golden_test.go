package domain_test

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

var addGoldenLogs = flag.Bool("add-golden-logs", false, "store logs with the event types that no golden log has yet")

// Logs as they were once written, in testdata/golden/<version>: NN.log holds the commits, each behind its length, NN.digests
// the digest of the State behind each. Every later build must come to the same States for ever: a log is never edited, and
// digests are only renewed when a rule of Digest itself has changed. Fails for a changed byte, a changed meaning of any event,
// and an event that no log holds: tried.
func TestGoldenLogs(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/golden/*/*.log")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[protoreflect.FieldNumber]bool{}
	for _, name := range names {
		digests := goldenReplay(t, name, seen)
		want, err := os.ReadFile(strings.TrimSuffix(name, ".log") + ".digests")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(digests, ""); got != string(want) {
			for i, line := range strings.SplitAfter(string(want), "\n") {
				if i >= len(digests) || digests[i] != line {
					t.Errorf("%s gives another State from position %d on", name, i+1)
					break
				}
			}
		}
	}
	if *addGoldenLogs {
		addGolden(t, seen, len(names))
		return
	}
	for _, fd := range goldenLacks(seen) {
		t.Errorf("event %s is in no golden log: run go test ./domain -run TestGoldenLogs -add-golden-logs", fd.Name())
	}
}

// goldenReplay folds a log and answers a line for each position.
func goldenReplay(t *testing.T, name string, seen map[protoreflect.FieldNumber]bool) (digests []string) {
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
		if err != nil {
			return digests
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			t.Fatal(err)
		}
		c, err := eventstore.Decode(data, s.Position+1, s.Hash)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, err = domain.Evolve(s, c, s.Position+1, eventstore.HashOf(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		goldenSee(c, seen)
		digests = append(digests, fmt.Sprintf("%d %s\n", s.Position, s.Digest()))
	}
}

func goldenSee(c *eventv1.Commit, seen map[protoreflect.FieldNumber]bool) (news bool) {
	for _, entry := range c.Entries {
		for _, event := range entry.Events {
			n := event.ProtoReflect().WhichOneof(goldenBody()).Number()
			news = news || !seen[n]
			seen[n] = true
		}
	}
	return news
}

func goldenBody() protoreflect.OneofDescriptor {
	return (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body")
}

// goldenLacks are the events that no log holds. FormatRaised can't be in a log of the first format, nor be written here.
func goldenLacks(seen map[protoreflect.FieldNumber]bool) (list []protoreflect.FieldDescriptor) {
	for i := range goldenBody().Fields().Len() {
		if fd := goldenBody().Fields().Get(i); !seen[fd.Number()] && fd.Name() != "format_raised" {
			list = append(list, fd)
		}
	}
	return list
}

// addGolden stores runs of the state machine until they hold every event.
func addGolden(t *testing.T, seen map[protoreflect.FieldNumber]bool, number int) {
	t.Helper()
	runs := rapid.Custom(func(t *rapid.T) []*eventv1.Commit {
		m := opened(t)
		for range 80 {
			one(t, "action", m.actions())(t)
		}
		m.seal(t)
		return m.log
	})
	for seed := 1; seed < 2000 && len(goldenLacks(seen)) > 0; seed++ {
		log := runs.Example(seed)
		news, raised := false, false
		these := map[protoreflect.FieldNumber]bool{}
		for _, c := range log {
			goldenSee(c, these)
			for _, entry := range c.Entries {
				for _, event := range entry.Events {
					raised = raised || event.GetFormatRaised() != nil
				}
			}
		}
		for n := range these {
			news = news || !seen[n]
		}
		if !news || raised {
			continue
		}
		for n := range these {
			seen[n] = true
		}
		number++
		writeGoldenLog(t, fmt.Sprintf("testdata/golden/0.2.0/%02d", number), log, int64(seed))
	}
	for _, fd := range goldenLacks(seen) {
		t.Errorf("no run brought %s", fd.Name())
	}
}

func writeGoldenLog(t *testing.T, name string, log []*eventv1.Commit, seed int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(seed))
	var out []byte
	var parent domain.Hash
	for i, c := range log {
		c.CommitId = ulid.MustNew(ulid.Timestamp(c.Time.AsTime()), random).String()
		c.Parent, c.Node, c.Format = uint64(i), "golden", eventstore.Format
		if c.ParentHash = nil; i > 0 {
			c.ParentHash = parent[:]
		}
		data, err := eventstore.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		parent = eventstore.HashOf(data)
		out = append(binary.AppendUvarint(out, uint64(len(data))), data...)
	}
	if err := os.WriteFile(name+".log", out, 0o644); err != nil {
		t.Fatal(err)
	}
	digests := goldenReplay(t, name+".log", map[protoreflect.FieldNumber]bool{})
	if err := os.WriteFile(name+".digests", []byte(strings.Join(digests, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}
