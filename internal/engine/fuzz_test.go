package engine

import (
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
)

// A token is one that Token wrote, or refused.
func FuzzToken(f *testing.F) {
	f.Add(Token(ulid.Make().String(), 7, domain.Hash{1, 2, 3}))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		log, at, begin, ok := parseToken(token)
		if !ok {
			return
		}
		var hash domain.Hash
		copy(hash[:], begin[:])
		if again := Token(log.String(), at, hash); again != token {
			t.Errorf("%q is read like %q", token, again)
		}
	})
}
