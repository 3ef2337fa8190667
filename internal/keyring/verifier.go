package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"sync"

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
	}
	return false
}

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
