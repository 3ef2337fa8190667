package sealing

import (
	"crypto/cipher"
	"sync"
)

const (
	// cachedKeys bounds the unwrapped keys in memory, about 1 KB each with their prepared cipher.
	cachedKeys = 100_000
	// forgottenSubjects bounds the subjects that are never cached again. Only the time between a UserErased event and the
	// destruction of the key matters, which far fewer erasures than these fit into.
	forgottenSubjects = 65_536
)

// keyCache holds subjects' keys ready for use. What was forgotten stays out: another server may apply an erasure before
// the key is destroyed, and a read between the two would otherwise keep the key here for ever.
type keyCache struct {
	mu    sync.RWMutex
	keys  map[string]cipher.AEAD
	limit int

	forgotten map[string]struct{}
	order     []string // of forgotten, a ring once it is full
	next      int
}

func newKeyCache(limit int) *keyCache {
	return &keyCache{
		keys:      make(map[string]cipher.AEAD),
		limit:     limit,
		forgotten: make(map[string]struct{}),
	}
}

func (c *keyCache) get(subject string) (cipher.AEAD, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	key, ok := c.keys[subject]
	return key, ok
}

// put keeps a key, unless its subject was forgotten, even after the caller read the key and before this call.
func (c *keyCache) put(subject string, key cipher.AEAD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.forgotten[subject]; ok {
		return
	}
	if _, ok := c.keys[subject]; !ok && len(c.keys) >= c.limit {
		// Any one will do: a key that is wanted again costs one read.
		for victim := range c.keys {
			delete(c.keys, victim)
			break
		}
	}
	c.keys[subject] = key
}

func (c *keyCache) forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, subject)
	if _, ok := c.forgotten[subject]; ok {
		return
	}
	c.forgotten[subject] = struct{}{}
	if len(c.order) < forgottenSubjects {
		c.order = append(c.order, subject)
		return
	}
	delete(c.forgotten, c.order[c.next])
	c.order[c.next] = subject
	c.next = (c.next + 1) % forgottenSubjects
}
