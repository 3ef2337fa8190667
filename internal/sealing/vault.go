package sealing

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

var (
	// ErrErased is returned when the subject's key is gone, so that nothing can open the value any more.
	ErrErased = errors.New("erased")
	// ErrUnreadable is returned when the subject has a key but it does not open the value: the value was altered, moved to
	// another subject or field, or sealed under an earlier key of the subject that has been destroyed.
	ErrUnreadable = errors.New("sealed value does not open")
	// ErrWrongMaster is returned when a subject's key was wrapped under another master key.
	ErrWrongMaster = errors.New("personal key is wrapped under another sealing key")
	// ErrSubject is returned for a subject that is not 1-64 characters of [A-Za-z0-9_-].
	ErrSubject = errors.New("invalid subject of personal data")
)

// Vault seals and opens personal data. It is safe for concurrent use, and any number of servers may have one on the same
// bucket.
type Vault struct {
	bucket *bucket
	wrap   cipher.AEAD
	digest []byte
	print  []byte
	cache  *keyCache
}

// Open returns a vault on the installation's bucket of personal keys, which it makes with this number of replicas if it
// is missing. It refuses a bucket that would lose keys by itself or keep them after they were destroyed.
func Open(ctx context.Context, js jetstream.JetStream, master Master, replicas int) (*Vault, error) {
	if master.derived == nil {
		return nil, errors.New("sealing: no master key")
	}
	wrap, err := newAEAD(master.derived().wrap)
	if err != nil {
		return nil, err
	}
	b, err := openBucket(ctx, js, replicas)
	if err != nil {
		return nil, fmt.Errorf("personal keys: %w", err)
	}
	return &Vault{bucket: b, wrap: wrap, digest: master.derived().digest, print: master.derived().print, cache: newKeyCache(cachedKeys)}, nil
}

// Seal encrypts plaintext for this subject and field, and makes the subject's key at its first use. Nothing to seal is a
// nil Sealed. Equal values give different bytes each time.
func (v *Vault) Seal(ctx context.Context, subject, field, plaintext string) (*eventv1.Sealed, error) {
	if plaintext == "" {
		return nil, nil
	}
	if !validSubject(subject) {
		return nil, fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	key, err := v.key(ctx, subject, true)
	if err != nil {
		return nil, fmt.Errorf("seal %s of %s: %w", field, subject, err)
	}
	return &eventv1.Sealed{
		Subject: subject,
		Data:    key.Seal(nil, nil, []byte(plaintext), additionalData(subject, field)),
	}, nil
}

// Open decrypts what Seal made for the same field. A nil Sealed is "". It returns ErrErased if the subject's key was
// destroyed, ErrUnreadable if the value does not fit subject, field and key; any other error means that the keys could
// not be read now.
func (v *Vault) Open(ctx context.Context, sealed *eventv1.Sealed, field string) (string, error) {
	if sealed == nil {
		return "", nil
	}
	subject := sealed.GetSubject()
	if !validSubject(subject) {
		return "", fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	key, err := v.key(ctx, subject, false)
	if err != nil {
		return "", fmt.Errorf("open %s of %s: %w", field, subject, err)
	}
	plaintext, err := key.Open(nil, nil, sealed.GetData(), additionalData(subject, field))
	if err != nil {
		return "", fmt.Errorf("open %s of %s: %w", field, subject, ErrUnreadable)
	}
	return string(plaintext), nil
}

// Destroy erases the subject: afterwards whatever was sealed for it answers ErrErased here, and on every server that
// calls Forget. It may be repeated, and must be after an error. Sealing for the subject again makes a new key, under
// which the old values stay unreadable.
//
// The key's bytes are overwritten in the bucket. What lies outside it, such as backups of the store or a replicated
// bucket's Raft log until its next snapshot, still holds the key wrapped by the master key.
func (v *Vault) Destroy(ctx context.Context, subject string) error {
	if !validSubject(subject) {
		return fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	v.cache.forget(subject)
	if err := v.bucket.destroy(ctx, subject); err != nil {
		return fmt.Errorf("destroy personal key of %s: %w", subject, err)
	}
	return nil
}

// Forget drops the subject's key from this server's memory for good: from now on each use reads the bucket. Call it when
// a UserErased event is applied, whichever server destroys the key, before or after.
func (v *Vault) Forget(subject string) { v.cache.forget(subject) }

// Digest is a keyed digest of an e-mail address, 32 bytes, equal for addresses that differ only in case and surrounding
// space. It serves uniqueness and lookup, and tells nothing to who lacks the master key.
func (v *Vault) Digest(email string) []byte {
	mac := hmac.New(sha256.New, v.digest)
	mac.Write([]byte(strings.ToLower(strings.TrimSpace(email))))
	return mac.Sum(nil)
}

// Fingerprint is a keyed digest of any content, 16 bytes, for telling whether two are the same. Content may be personal: to
// who lacks the master key the fingerprint tells nothing, not even whether a guess is right.
func (v *Vault) Fingerprint(content ...[]byte) []byte {
	mac := hmac.New(sha256.New, v.print)
	for _, c := range content {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(c)))
		mac.Write(c)
	}
	return mac.Sum(nil)[:16]
}

// key returns the subject's key, from memory if it is there.
func (v *Vault) key(ctx context.Context, subject string, create bool) (cipher.AEAD, error) {
	if key, ok := v.cache.get(subject); ok {
		return key, nil
	}
	wrapped, err := v.bucket.get(ctx, subject)
	if errors.Is(err, ErrErased) && create {
		wrapped, err = v.bucket.create(ctx, subject, v.newWrappedKey(subject))
	}
	if err != nil {
		return nil, err
	}
	raw, err := v.wrap.Open(nil, nil, wrapped, []byte(subject))
	if err != nil {
		return nil, ErrWrongMaster
	}
	key, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	v.cache.put(subject, key)
	return key, nil
}

func (v *Vault) newWrappedKey(subject string) []byte {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	return v.wrap.Seal(nil, nil, raw, []byte(subject))
}

// newAEAD is AES-256-GCM that puts a random nonce of 12 bytes in front of what it seals. Random nonces are safe for 2^32
// values per key, far more than a person has, or an installation persons.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// additionalData binds a value to its place. A subject has no NUL, so no two places give the same bytes.
func additionalData(subject, field string) []byte {
	ad := make([]byte, 0, len(subject)+1+len(field))
	ad = append(ad, subject...)
	ad = append(ad, 0)
	return append(ad, field...)
}

func validSubject(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
