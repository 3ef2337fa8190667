package eventstore

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Whatever somebody publishes by hand, every reader comes to one of the four verdicts, and what passes for a commit holds
// nothing that this build does not know.
func FuzzDecode(f *testing.F) {
	parent := HashOf([]byte("parent"))
	whole := mustEncode(f, sample(8, parent))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(magic))
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data, 9, parent)
		switch {
		case errors.Is(err, ErrVoid), errors.Is(err, ErrChainBroken), errors.Is(err, ErrUnknown):
			if c != nil {
				t.Error("a commit beside an error")
			}
			return
		case err != nil:
			t.Fatalf("another verdict: %v", err)
		}
		// Without the fields that it does not know it would be shorter.
		known := &eventv1.Commit{}
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(bytes.TrimPrefix(data, []byte(magic)), known); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(known, c) {
			t.Error("a commit with something unknown in it")
		}
	})
}
