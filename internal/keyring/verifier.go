package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// NewVerifier returns what to store for a new secret, by the configured scheme and the current pepper.
func (r *Ring) NewVerifier(secret string) *eventv1.Verifier {
	if r.scheme == SchemeLangfuse {
		return &eventv1.Verifier{Scheme: SchemeLangfuse, Hash: r.salted.append(nil, secret)}
	}
	h := r.hmacs[0]
	return &eventv1.Verifier{Scheme: SchemeHMAC, PepperId: h.pepperID, Hash: h.append(nil, secret)}
}

// Verify reports whether secret is the one that the verifier of this scheme, pepper and hash was made for. The time it
// takes does not depend on where they differ. A scheme or pepper this ring does not have is false.
func (r *Ring) Verify(scheme, pepperID string, hash []byte, secret string) bool {
	switch scheme {
	case SchemeHMAC:
		for _, h := range r.hmacs {
			if h.pepperID == pepperID {
				return h.matches(hash, secret)
			}
		}
	case SchemeLangfuse:
		if r.salted != nil && pepperID == "" {
			return r.salted.matches(hash, secret)
		}
	case SchemeBcrypt:
		return bcrypt.CompareHashAndPassword(hash, []byte(secret)) == nil
	}
	return false
}

// Slow reports whether a verifier of this scheme takes some hundred milliseconds, so that nobody may ask for many at once, and
// should be replaced once the secret was seen to be right.
func Slow(scheme string) bool { return scheme == SchemeBcrypt }

// maxBcryptCost keeps one verification under a few seconds.
const maxBcryptCost = 14

// CheckImported returns an error that says why a hash of this scheme can't be verified here.
func (r *Ring) CheckImported(scheme, hash string) error {
	switch scheme {
	case SchemeLangfuse:
		if r.salted == nil {
			return ErrNoSalt
		}
		if sum, err := hex.DecodeString(hash); err != nil || len(sum) != sha256.Size || strings.ToLower(hash) != hash {
			return errors.New("is not 64 lower-case hexadecimal digits")
		}
		return nil
	case SchemeBcrypt:
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return errors.New("is not a bcrypt hash")
		}
		if cost > maxBcryptCost {
			return fmt.Errorf("has bcrypt cost %d, and more than %d would take seconds to verify", cost, maxBcryptCost)
		}
		return nil
	}
	return fmt.Errorf("scheme %q is neither %q nor %q", scheme, SchemeLangfuse, SchemeBcrypt)
}

// ErrNoSalt is returned for a hash of Langfuse's scheme on a server that has no salt.
var ErrNoSalt = errors.New("this server has no salt: start it with the SALT of the Langfuse installation in TENURE_KEY_SALT")

// Dummy does the work of Verify for a key that does not exist, so that the time of an answer does not tell which do.
func (r *Ring) Dummy(secret string) {
	if r.scheme == SchemeLangfuse {
		r.salted.matches(make([]byte, 2*sha256.Size), secret)
		return
	}
	r.hmacs[0].matches(make([]byte, sha256.Size), secret)
}

// Candidates returns the hashes that a verifier of this secret could have, the likeliest first: one per pepper, and one
// by the salt if there is one. A secret that comes without its public key is found by them.
func (r *Ring) Candidates(secret string) [][]byte {
	candidates := make([][]byte, 0, len(r.hmacs)+1)
	for _, h := range r.hmacs {
		candidates = append(candidates, h.append(nil, secret))
	}
	if r.salted == nil {
		return candidates
	}
	salted := r.salted.append(nil, secret)
	if r.scheme == SchemeLangfuse {
		return append([][]byte{salted}, candidates...)
	}
	return append(candidates, salted)
}

// hmacScheme keeps keyed hash states for reuse: keying one costs as much as using it.
type hmacScheme struct {
	pepperID string
	states   sync.Pool // of *hmacState
}

type hmacState struct {
	mac    hash.Hash
	secret []byte
	digest [sha256.Size]byte
	sum    [sha256.Size]byte
}

func newHMACScheme(p Pepper) *hmacScheme {
	return &hmacScheme{
		pepperID: p.ID(),
		states:   sync.Pool{New: func() any { return &hmacState{mac: hmac.New(sha256.New, p.key())} }},
	}
}

func (h *hmacScheme) append(dst []byte, secret string) []byte {
	s := h.hash(secret)
	defer h.states.Put(s)
	return append(dst, s.sum[:]...)
}

func (h *hmacScheme) matches(hash []byte, secret string) bool {
	s := h.hash(secret)
	defer h.states.Put(s)
	return subtle.ConstantTimeCompare(hash, s.sum[:]) == 1
}

// hash returns a state that holds the sum and no trace of the secret, to be put back.
func (h *hmacScheme) hash(secret string) *hmacState {
	s := h.states.Get().(*hmacState)
	s.secret = append(s.secret[:0], secret...)
	s.digest = sha256.Sum256(s.secret)
	clear(s.secret)
	s.mac.Reset()
	s.mac.Write(s.digest[:])
	s.mac.Sum(s.sum[:0])
	return s
}

// langfuseScheme holds the second half of what Langfuse hashes, out of reach of fmt.
type langfuseScheme struct {
	suffix func() string
}

func newLangfuseScheme(salt string) *langfuseScheme {
	sum := sha256.Sum256([]byte(salt))
	suffix := hex.EncodeToString(sum[:])
	return &langfuseScheme{func() string { return suffix }}
}

func (l *langfuseScheme) append(dst []byte, secret string) []byte {
	sum := sha256.Sum256([]byte(secret + l.suffix()))
	return hex.AppendEncode(dst, sum[:])
}

func (l *langfuseScheme) matches(hash []byte, secret string) bool {
	return subtle.ConstantTimeCompare(hash, l.append(make([]byte, 0, 2*sha256.Size), secret)) == 1
}
