// Package keyring makes the secrets of API keys and tells whether a secret is the right one, from a verifier that does
// not hold it. Secrets are random, so a fast keyed hash is enough: a slow one would only let strangers burn our time.
package keyring

import (
	"errors"
	"fmt"
)

// Style is what keys look like.
type Style string

const (
	// StyleTenure is sk-<brand>- with a checksum, and pk-<brand>- with the caller's suffix.
	StyleTenure Style = "tenure"
	// StyleLangfuse is sk-lf-<uuid> and pk-lf-<uuid>.
	StyleLangfuse Style = "langfuse"
)

const (
	// SchemeHMAC verifiers are HMAC-SHA256(pepper, SHA-256(secret)), 32 bytes.
	SchemeHMAC = "hmac"
	// SchemeLangfuse verifiers are what Langfuse stores: hex(SHA-256(secret + hex(SHA-256(salt)))), 64 bytes of text.
	SchemeLangfuse = "langfuse"
	// SchemeBcrypt verifiers are bcrypt hashes of the secret, 60 bytes of text. They come with imported keys alone and are slow to
	// verify: see Slow.
	SchemeBcrypt = "bcrypt"
)

// Config says how keys are made and verified. It prints neither salt nor peppers.
type Config struct {
	// Style of new keys; StyleTenure if empty.
	Style Style
	// Brand in new keys of Tenure's style: 1-16 characters of [a-z0-9], not "lf".
	Brand string
	// Scheme of new verifiers; SchemeHMAC if empty.
	Scheme string
	// Salt is Langfuse's SALT setting. Without it no verifier of that scheme fits.
	Salt string `json:"-"`
	// Peppers: the current one first, then perhaps the previous. Needed for SchemeHMAC.
	Peppers []Pepper
}

// Format prints all but the secrets, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{style %q brand %q scheme %q peppers %v}", c.Style, c.Brand, c.Scheme, c.Peppers)
}

// Ring makes and verifies keys. It is safe for concurrent use.
type Ring struct {
	style  Style
	brand  string
	scheme string
	hmacs  []*hmacScheme   // the current one first
	salted *langfuseScheme // nil without a salt
}

// New returns a ring for this configuration, or an error that says which setting is wrong.
func New(c Config) (*Ring, error) {
	r := &Ring{style: c.Style, brand: c.Brand, scheme: c.Scheme}
	if r.style == "" {
		r.style = StyleTenure
	}
	if r.scheme == "" {
		r.scheme = SchemeHMAC
	}
	switch {
	case r.style != StyleTenure && r.style != StyleLangfuse:
		return nil, fmt.Errorf("key style %q is neither %q nor %q", c.Style, StyleTenure, StyleLangfuse)
	case r.style == StyleTenure && !isBrand(r.brand):
		return nil, fmt.Errorf("key brand %q is not 1-%d characters of [a-z0-9]", r.brand, maxBrand)
	case r.style == StyleTenure && r.brand == langfuseBrand:
		return nil, fmt.Errorf("key brand %q belongs to keys of Langfuse's style, which have no checksum", r.brand)
	case r.scheme != SchemeHMAC && r.scheme != SchemeLangfuse:
		return nil, fmt.Errorf("key scheme %q is neither %q nor %q", c.Scheme, SchemeHMAC, SchemeLangfuse)
	case r.scheme == SchemeLangfuse && c.Salt == "":
		return nil, errors.New("key scheme \"langfuse\" needs the salt of the Langfuse installation")
	}
	if r.scheme == SchemeHMAC || len(c.Peppers) > 0 {
		if err := checkPeppers(c.Peppers); err != nil {
			return nil, fmt.Errorf("key scheme %q: %w", SchemeHMAC, err)
		}
	}
	for _, p := range c.Peppers {
		r.hmacs = append(r.hmacs, newHMACScheme(p))
	}
	if c.Salt != "" {
		r.salted = newLangfuseScheme(c.Salt)
	}
	return r, nil
}
