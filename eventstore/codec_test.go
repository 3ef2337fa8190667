package eventstore

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// sample is a commit with one of most things, for the place behind parent.
func sample(parent domain.Position, hash domain.Hash) *eventv1.Commit {
	c := &eventv1.Commit{
		CommitId: ulid.Make().String(),
		Parent:   uint64(parent),
		Time:     timestamppb.New(time.Unix(1_700_000_000, 5)),
		Node:     "node-1",
		Format:   Format,
		Entries: []*eventv1.Entry{{
			CommandId: ulid.Make().String(),
			Command:   "CreateOrg",
			Actor:     &eventv1.Actor{Kind: eventv1.Actor_KIND_USER, Id: "usr_1", KeyId: "key_1", Method: "bearer"},
			Request:   &eventv1.RequestInfo{Ip: &eventv1.Sealed{Subject: "usr_1", Data: []byte{1, 2}}},
			Events: []*eventv1.Event{{
				OrgIds: []string{"org_1"},
				Body: &eventv1.Event_OrgCreated{OrgCreated: &eventv1.OrgCreated{
					Name: "Acme", Metadata: map[string]string{"plan": "pro", "region": "eu"},
				}},
			}, {
				OrgIds: []string{"org_1"}, UserId: "usr_1",
				Body: &eventv1.Event_RoleGranted{RoleGranted: &eventv1.RoleGranted{
					Grant: &eventv1.GrantChange{New: &eventv1.Grant{Role: "OWNER"}},
				}},
			}},
		}},
	}
	if hash != (domain.Hash{}) {
		c.ParentHash = hash[:]
	}
	c.End = endOf(c)
	return c
}

func mustEncode(t testing.TB, c *eventv1.Commit) []byte {
	t.Helper()
	data, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	first := sample(0, domain.Hash{})
	data := mustEncode(t, first)
	got, err := Decode(data, 1, domain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, got, protocmp.Transform()); diff != "" {
		t.Errorf("first commit differs (-want +got):\n%s", diff)
	}
	barrier := sample(1, HashOf(data))
	barrier.Entries = nil
	got, err = Decode(mustEncode(t, barrier), 2, HashOf(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(barrier, got, protocmp.Transform()); diff != "" {
		t.Errorf("barrier differs (-want +got):\n%s", diff)
	}
}

func TestCodecProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var hash domain.Hash
		parent := rapid.Uint64Range(0, 1<<40).Draw(t, "parent")
		if parent > 0 {
			copy(hash[:], rapid.SliceOfN(rapid.Byte(), len(hash), len(hash)).Draw(t, "hash"))
			hash[0] |= 1
		}
		c := sample(domain.Position(parent), hash)
		c.Node = rapid.String().Draw(t, "node")
		c.Entries[0].Events[0].GetOrgCreated().Metadata = rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata")
		for range rapid.IntRange(0, 3).Draw(t, "more") {
			c.Entries = append(c.Entries, &eventv1.Entry{Reason: rapid.String().Draw(t, "reason")})
		}
		data, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Encode(proto.CloneOf(c)); err != nil || !bytes.Equal(data, again) {
			t.Fatalf("encoding is not deterministic (%v)", err)
		}
		kept := bytes.Clone(data)
		got, err := Decode(data, domain.Position(parent)+1, hash)
		if err != nil {
			t.Fatal(err)
		}
		clear(data)
		if diff := cmp.Diff(c, got, protocmp.Transform()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		// Whatever one flipped bit makes of it, the next commit does not name it, and reading it does not panic.
		at := rapid.IntRange(0, len(kept)-1).Draw(t, "at")
		flipped := bytes.Clone(kept)
		flipped[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if HashOf(flipped) == HashOf(kept) {
			t.Fatal("same hash for other bytes")
		}
		_, _ = Decode(flipped, domain.Position(parent)+1, hash)
	})
}

func TestEncodeRefusesWhatReadersWould(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*eventv1.Commit){
		"no commit id":        func(c *eventv1.Commit) { c.CommitId = "" },
		"short commit id":     func(c *eventv1.Commit) { c.CommitId = c.CommitId[1:] },
		"hash without parent": func(c *eventv1.Commit) { c.Parent = 0 },
		"parent without hash": func(c *eventv1.Commit) { c.ParentHash = nil },
		"short hash":          func(c *eventv1.Commit) { c.ParentHash = c.ParentHash[1:] },
		"format 0":            func(c *eventv1.Commit) { c.Format = 0 },
		"future format":       func(c *eventv1.Commit) { c.Format = Format + 1 },
		"raised beyond":       func(c *eventv1.Commit) { c.Entries[0].Events[1] = raisedTo(Format + 1) },
		"raised to nothing":   func(c *eventv1.Commit) { c.Entries[0].Events[1] = raisedTo(0) },
		"event without body":  func(c *eventv1.Commit) { c.Entries[0].Events[1].Body = nil },
		"not UTF-8":           func(c *eventv1.Commit) { c.Node = "\xff" },
	} {
		c := sample(7, HashOf(nil))
		mustEncode(t, c)
		spoil(c)
		if _, err := Encode(c); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// Guards of Decode, each taken away once to see this test fail: magic, commit id, parent, parent hash, and the order in
// which void comes before unknown ("magic and an unknown field").
func TestDecodeVoidAndBroken(t *testing.T) {
	t.Parallel()
	const at = 3
	parent := HashOf([]byte("what is at position 2"))
	good := mustEncode(t, sample(at-1, parent))
	earlier := mustEncode(t, sample(at-2, parent))
	noID := sample(at-1, parent)
	noID.CommitId = ""
	plain := func(c *eventv1.Commit) []byte {
		b, err := proto.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte(magic), b...)
	}
	noHash := sample(at-1, domain.Hash{})
	unknownField := protowire.AppendVarint(protowire.AppendTag([]byte(magic), 999, protowire.VarintType), 1)

	for _, test := range []struct {
		name string
		data []byte
		want error
	}{
		{"the commit itself", good, nil},
		{"nothing", nil, ErrVoid},
		{"garbage", []byte("hello, log"), ErrVoid},
		{"without magic", good[len(magic):], ErrVoid},
		{"another magic", append([]byte("TNR\x02"), good[len(magic):]...), ErrVoid},
		{"magic alone", []byte(magic), ErrVoid},
		{"magic and garbage", []byte(magic + "\xff\xff\xff"), ErrVoid},
		{"magic and an unknown field", unknownField, ErrVoid},
		{"without commit id", plain(noID), ErrVoid},
		{"copy of an earlier commit", earlier, ErrVoid},
		{"commit for a later place", mustEncode(t, sample(at, parent)), ErrVoid},
		{"genesis again", mustEncode(t, sample(0, domain.Hash{})), ErrVoid},
		{"another parent hash", mustEncode(t, sample(at-1, HashOf(nil))), ErrChainBroken},
		{"no parent hash", plain(noHash), ErrChainBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := Decode(test.data, at, parent)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if (c == nil) != (err != nil) {
				t.Error("a commit or an error, not both or none")
			}
		})
	}

	if _, err := Decode(mustEncode(t, sample(0, domain.Hash{})), 1, HashOf(nil)); !errors.Is(err, ErrChainBroken) {
		t.Errorf("first commit behind a hash: %v", err)
	}
	zeros := sample(0, domain.Hash{})
	zeros.ParentHash = make([]byte, len(parent))
	if _, err := Decode(plain(zeros), 1, domain.Hash{}); !errors.Is(err, ErrChainBroken) {
		t.Errorf("first commit that names a hash of zeros: %v", err)
	}
}

// Fails without the check of `end`: cut in front of its entry a commit then passes for a barrier. Tried.
func TestDecodeTruncated(t *testing.T) {
	t.Parallel()
	parent := HashOf([]byte("parent"))
	data := mustEncode(t, sample(8, parent))
	for n := range data {
		if _, err := Decode(data[:n], 9, parent); !errors.Is(err, ErrVoid) {
			t.Errorf("first %d of %d bytes: %v, want ErrVoid", n, len(data), err)
		}
	}
}

// Each case was accepted once, by taking its guard out of unknownIn, to see this test fail.
func TestDecodeStopsAtTheUnknown(t *testing.T) {
	t.Parallel()
	const at = 12
	parent := HashOf([]byte("parent"))
	field := protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1)
	event := protowire.AppendBytes(protowire.AppendTag(nil, 998, protowire.BytesType), []byte("body"))
	for name, change := range map[string]func(*eventv1.Commit){
		"format 0":           func(c *eventv1.Commit) { c.Format = 0 },
		"future format":      func(c *eventv1.Commit) { c.Format = Format + 1 },
		"raised beyond":      func(c *eventv1.Commit) { c.Entries[0].Events[1] = raisedTo(Format + 1) },
		"raised to nothing":  func(c *eventv1.Commit) { c.Entries[0].Events[1] = raisedTo(0) },
		"event without body": func(c *eventv1.Commit) { c.Entries[0].Events[1].Body = nil },
		"unknown event": func(c *eventv1.Commit) {
			c.Entries[0].Events[1].Body = nil
			c.Entries[0].Events[1].ProtoReflect().SetUnknown(event)
		},
		"field of Commit": func(c *eventv1.Commit) { c.ProtoReflect().SetUnknown(field) },
		"field of Entry":  func(c *eventv1.Commit) { c.Entries[0].ProtoReflect().SetUnknown(field) },
		"field of Actor":  func(c *eventv1.Commit) { c.Entries[0].Actor.ProtoReflect().SetUnknown(field) },
		"field of Event":  func(c *eventv1.Commit) { c.Entries[0].Events[0].ProtoReflect().SetUnknown(field) },
		"field of a body": func(c *eventv1.Commit) {
			c.Entries[0].Events[0].GetOrgCreated().ProtoReflect().SetUnknown(field)
		},
		"field deep inside": func(c *eventv1.Commit) {
			c.Entries[0].Events[1].GetRoleGranted().Grant.New.ProtoReflect().SetUnknown(field)
		},
		"field of the time": func(c *eventv1.Commit) { c.Time.ProtoReflect().SetUnknown(field) },
		"kind of actor":     func(c *eventv1.Commit) { c.Entries[0].Actor.Kind = 77 },
		"negative kind":     func(c *eventv1.Commit) { c.Entries[0].Actor.Kind = -1 },
		"known field of another type": func(c *eventv1.Commit) {
			c.Entries[0].Actor.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1))
		},
	} {
		c := sample(at-1, parent)
		change(c)
		b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(magic), c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decode(b, at, parent)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || !errors.Is(err, ErrUnknown) || unknown.Position != at {
			t.Errorf("%s: got %v, want an UnknownError at %d", name, err, at)
		}
		if errors.Is(err, ErrVoid) {
			t.Errorf("%s: void", name)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	parent := HashOf([]byte("parent"))
	data := mustEncode(b, sample(8, parent))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Decode(data, 9, parent); err != nil {
			b.Fatal(err)
		}
	}
}
