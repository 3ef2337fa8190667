package domain

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func reread(t testing.TB, s *State) *State {
	t.Helper()
	got, err := ReadSnapshot(bytes.NewReader(written(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func written(t testing.TB, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every part of a state comes back from a snapshot. Fails if a part is left out of ReadSnapshot and not derived: tried with
// keys.
func TestSnapshotHoldsEveryPart(t *testing.T) {
	t.Parallel()
	for name, change := range stateChanges {
		s := State{}
		change(&s)
		s.derive()
		if got := reread(t, &s); got.Digest() != s.Digest() {
			t.Errorf("%s is lost", name)
		}
	}
}

// Bytes that end early or are others are an error, never a panic; and what is read is never more than what is there.
func TestSnapshotThatCantBeRead(t *testing.T) {
	t.Parallel()
	s := State{Position: 7}
	s.orgs = s.orgs.With("org_1", &Org{ID: "org_1", Name: "Acme", Metadata: map[string]string{"a": "b"}})
	s.keys = s.keys.With("key_1", &Key{ID: "key_1", Scheme: "hmac", CreatedBy: "instance"})
	whole := written(t, &s)
	for n := range whole {
		if _, err := ReadSnapshot(bytes.NewReader(whole[:n])); !errors.Is(err, errSnapshot) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for n := range whole {
		changed := bytes.Clone(whole)
		changed[n] ^= 0xff
		_, _ = ReadSnapshot(bytes.NewReader(changed)) // any answer will do: a checksum is around it
	}
}

// Whatever another build could misread changes the schema. Fails if describe passes over tables, tags or elements: tried.
func TestSchemaTellsStatesApart(t *testing.T) {
	t.Parallel()
	type inner struct{ A string }
	type innerB struct{ B string }
	type shared struct {
		A string `snapshot:"shared"`
	}
	text := func(v any) string {
		var b strings.Builder
		describe(&b, reflect.TypeOf(v), map[reflect.Type]bool{})
		return strings.NewReplacer("innerB", "inner", "shared ", "inner ", "domain.shared", "domain.inner").Replace(b.String())
	}
	seen := map[string]any{}
	for _, v := range []any{
		inner{}, innerB{}, shared{}, &inner{}, []inner{}, []innerB{}, [2]inner{}, [3]inner{},
		Table[OrgID, inner]{}, Table[OrgID, innerB]{}, Table[UserID, inner]{}, Table[OrgID, *innerB]{},
	} {
		if other, same := seen[text(v)]; same {
			t.Errorf("%T reads like %T: %s", v, other, text(v))
		}
		seen[text(v)] = v
	}
	if SchemaHash() == (Hash{}) {
		t.Error("no schema")
	}
}
