package rpc

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
)

const (
	// slowWait is how long a verification waits for its turn.
	slowWait = 3 * time.Second
	// slowGuesses is how many wrong secrets of one imported key are looked at in a row, and slowPause how long it takes to get
	// another one.
	slowGuesses = 5
	slowPause   = 10 * time.Second
	// slowKeys is how many keys that were guessed at are remembered.
	slowKeys = 10_000
)

// slowVerifier verifies secrets against hashes that take some hundred milliseconds, one at a time, so that they leave the other
// processors to everybody else, and no more wrong ones of a key than somebody who mistypes needs.
type slowVerifier struct {
	ring *keyring.Ring
	turn chan struct{}

	mu      sync.Mutex
	guesses map[domain.KeyID]*rate.Limiter
}

func newSlowVerifier(ring *keyring.Ring) *slowVerifier {
	return &slowVerifier{ring: ring, turn: make(chan struct{}, 1), guesses: map[domain.KeyID]*rate.Limiter{}}
}

// verify tells whether the secret is right; an error means that it could not be looked at now.
func (v *slowVerifier) verify(ctx context.Context, k *domain.Key, secret string) (bool, error) {
	if !v.mayGuess(k.ID) {
		return false, throttledKey()
	}
	ctx, cancel := context.WithTimeout(ctx, slowWait)
	defer cancel()
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return false, domain.Errorf(domain.CodeUnavailable, "BUSY", "too many imported keys are verified for the first time just now; try again")
	}
	// Of those who waited together, no more than the guesses left are looked at.
	if !v.mayGuess(k.ID) {
		return false, throttledKey()
	}
	right := v.ring.Verify(k.Scheme, k.Pepper, []byte(k.Verifier), secret)
	v.mu.Lock()
	defer v.mu.Unlock()
	if right {
		delete(v.guesses, k.ID)
		return true, nil
	}
	if len(v.guesses) >= slowKeys {
		clear(v.guesses)
	}
	if v.guesses[k.ID] == nil {
		v.guesses[k.ID] = rate.NewLimiter(rate.Every(slowPause), slowGuesses)
	}
	v.guesses[k.ID].Allow()
	return false, nil
}

func throttledKey() error {
	return domain.Errorf(domain.CodeExhausted, "THROTTLED", "too many wrong secrets for this imported key; try again in %s", slowPause)
}

func (v *slowVerifier) mayGuess(id domain.KeyID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	limiter := v.guesses[id]
	return limiter == nil || limiter.Tokens() >= 1
}

// rehash replaces the verifier of a key whose secret was right by a quick one. If that fails the next use tries again.
func (s *Server) rehash(ctx context.Context, k *domain.Key, secret string) {
	_, err := s.Engine.Execute(context.WithoutCancel(ctx), engine.Request{
		Command: domain.RehashKey{ID: k.ID, Old: k.Verifier, Verifier: s.Ring.NewVerifier(secret)},
		Rule:    domain.Rule{Requirement: domain.Anyone}, Actor: domain.Actor{Kind: domain.ActorSystem},
	})
	if err != nil {
		s.Logger.Warn("an imported key keeps its slow hash", "key", k.ID, "error", err)
	}
}
