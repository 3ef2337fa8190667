package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/keyring"
)

// AdminKey is the instance admin's key, known by its SHA-256 alone.
type AdminKey [sha256.Size]byte

// HashAdminKey is the AdminKey of a secret.
func HashAdminKey(secret string) AdminKey { return sha256.Sum256([]byte(secret)) }

// ParseAdminKey reads what String wrote.
func ParseAdminKey(text string) (k AdminKey, err error) {
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("an admin key's hash has %d hexadecimal digits", 2*len(k))
	}
	return AdminKey(b), nil
}

func (k AdminKey) String() string { return hex.EncodeToString(k[:]) }

func (k AdminKey) is(secret string) bool {
	other := HashAdminKey(secret)
	return subtle.ConstantTimeCompare(k[:], other[:]) == 1
}

// authenticate finds out who calls. Without credentials it leaves the actor empty; with wrong ones it answers an error
// that does not tell what was wrong, and counts against the address. Credentials that were right but are no longer good
// are told why.
func (s *Server) authenticate(ctx context.Context, c *call, header string) error {
	if header == "" {
		return nil
	}
	scheme, rest, _ := strings.Cut(header, " ")
	public, secret, method := "", strings.TrimSpace(rest), strings.ToLower(scheme)
	switch method {
	case "bearer":
	case "basic":
		decoded, err := base64.StdEncoding.DecodeString(secret)
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return unauthenticated("Authorization: Basic takes base64 of public:secret")
		}
		public, secret = user, password
	default:
		return unauthenticated("send Authorization: Basic <public:secret> or Bearer <secret>")
	}
	if err := s.unthrottled(c); err != nil {
		return err
	}
	if method == "bearer" && s.Admin.is(secret) {
		c.actor = domain.Actor{Kind: domain.ActorInstance, Method: "admin_key"}
		return nil
	}
	if err := s.Engine.Fresh(); err != nil {
		return err
	}
	state := s.Engine.State()
	k, ok, err := s.findKey(ctx, state, public, secret, method == "basic")
	if err != nil {
		return err
	}
	if !ok {
		s.authenticationFailed(c)
		return unauthenticated("the credentials are not good; check the key and the address you call")
	}
	if reason := state.Usable(k, c.ip, c.now); reason != domain.KeyValid {
		c.refused = domain.KeyActor(k, method)
		return domain.Errorf(domain.CodeUnauthenticated, reason, "the key is right but can't be used (%s)", reason)
	}
	c.actor = domain.KeyActor(k, method)
	s.ReadModels.Usage.Used(string(k.ID), 1, c.now)
	return nil
}

func unauthenticated(format string, args ...any) error {
	return domain.Errorf(domain.CodeUnauthenticated, domain.Unauthenticated, format, args...)
}

// findKey finds the key whose secret this is: by its public part, which must belong to the secret, or by the secret alone.
// A wrong secret costs what a right one costs, and one with a typo nothing; secrets that were imported, or chosen by an operator,
// can be of any form. An error means that it can't be told now.
func (s *Server) findKey(ctx context.Context, state *domain.State, public, secret string, byPublic bool) (*domain.Key, bool, error) {
	if keyring.Mistyped(secret) {
		return nil, false, nil
	}
	if !byPublic {
		for _, hash := range s.Ring.Candidates(secret) {
			if k, ok := state.KeyByVerifier(hash); ok {
				return k, true, nil
			}
		}
		return nil, false, nil
	}
	k, ok := state.KeyByPublic(public)
	switch {
	case ok && keyring.Slow(k.Scheme):
		right, err := s.slow.verify(ctx, k, secret)
		if right {
			s.rehash(ctx, k, secret)
		}
		return k, right, err
	case !ok:
		s.Ring.Dummy(secret)
		return nil, false, nil
	}
	return k, s.Ring.Verify(k.Scheme, k.Pepper, []byte(k.Verifier), secret), nil
}

// unthrottled is an error while the address has failed too often.
func (s *Server) unthrottled(c *call) error {
	if ok, after := s.Throttle.Allow(c.ip); !ok {
		s.Metrics.Throttled()
		return domain.Errorf(domain.CodeExhausted, "THROTTLED", "too many failed authentications from this address; try again in %s", after.Round(1e8))
	}
	return nil
}

func (s *Server) authenticationFailed(c *call) {
	s.Throttle.Fail(c.ip)
	s.Metrics.AuthenticationFailed()
}
