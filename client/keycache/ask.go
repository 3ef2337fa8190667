package keycache

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// askWait is how long a question may take, and no longer than MaxStale: what is on its way for longer is too old when it comes, and a
// connection that hangs must not keep others from asking anew. Who asks bounds their own wait by their context.
const askWait = 5 * time.Second

// withKey is a context whose calls carry a key.
func withKey(ctx context.Context, key string) (context.Context, connect.CallInfo) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+key)
	return ctx, info
}

// fresh tells whether what is known is new enough to answer from memory. If it is not and the cache fails closed, that is ErrStale.
func (c *Cache) fresh(now time.Time) (bool, error) {
	if c.ageAt(now) <= c.cfg.MaxStale {
		return true, nil
	}
	c.counters.stale.Add(1)
	if c.cfg.FailClosed {
		return false, fmt.Errorf("%w: %s", ErrStale, c.Age().Round(time.Millisecond))
	}
	return false, nil
}

// ask asks Tenure, once for all who want to know the same, until the answer stands for long enough to be judged.
func ask[R, A any](ctx context.Context, c *Cache, id pairID, resolve func(context.Context) (R, error), judge func(R) (A, bool)) (a A, err error) {
	for range askAgain {
		found := c.flight.DoChan(string(id[:]), func() (any, error) {
			// Who gives up must not take the answer from the others.
			shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(askWait, c.cfg.MaxStale))
			defer cancel()
			return resolve(shared)
		})
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case result := <-found:
			if result.Err != nil {
				return a, result.Err
			}
			if a, known := judge(result.Val.(R)); known {
				return a, nil
			}
		}
	}
	return a, errors.New("keycache: it changes faster than Tenure can be asked; try again")
}

// resolved is what a pair was found to be: a key, or nothing.
type resolved struct {
	key *keyNode
	// kept: it is in the table, where it is kept current; else it is only good for who asked.
	kept bool
}

// askKey asks Tenure about a pair.
func (c *Cache) askKey(ctx context.Context, id pairID, public, secret, environment string, from netip.Addr) (Answer, error) {
	return ask(ctx, c, id, func(ctx context.Context) (resolved, error) { return c.resolve(ctx, id, public, secret) }, func(r resolved) (Answer, bool) {
		if r.key == nil {
			return unknown(environment), true
		}
		now := time.Now()
		a, known := r.key.judge(environment, from, now)
		if known && a.Valid {
			r.key.uses.add(now)
			if !r.kept {
				c.usage.Lock()
				c.count(a.KeyID, r.key)
				c.usage.Unlock()
			}
		}
		return a, known
	})
}

// resolve asks Tenure what a pair is.
func (c *Cache) resolve(ctx context.Context, id pairID, public, secret string) (r resolved, err error) {
	err = c.settle(ctx, public, func(ctx context.Context) (answer, error) {
		res, err := c.invalidations.ResolveKey(ctx, &tenurev1.ResolveKeyRequest{PublicKey: public, Secret: secret})
		if err != nil {
			return answer{}, err
		}
		return answer{res.Position, res.Key, res.User, res.Projects, res.Orgs}, nil
	}, func(t *table, a answer, kept bool) {
		r.key, _ = t.load(a)
		if r.kept = kept; !kept {
			return
		}
		p := &pair{id: id, key: r.key}
		if p.key == nil {
			p.bucket = bucketOf(public)
			p.until, p.changes = time.Now().Add(c.cfg.KeepUnknown), t.changed[p.bucket].Load()
		}
		c.hold(t, p)
	})
	return r, err
}

// settle asks Tenure until the answer is no older than what was told meanwhile, and has it used: with the table in which it is kept
// current, or with one of its own that nobody keeps.
func (c *Cache) settle(ctx context.Context, public string, ask func(context.Context) (answer, error), use func(t *table, a answer, kept bool)) error {
	if err := c.asking.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.asking.Release(1)
	for try := range askAgain {
		t, keep := c.table.Load(), c.Age() <= c.cfg.MaxStale
		call, info := withKey(ctx, c.cfg.Key)
		if try > 0 {
			// This server is behind the one that the news came from.
			info.RequestHeader().Set("Tenure-Consistency", "leader_latest")
		}
		c.counters.questions.Add(1)
		a, err := ask(call)
		if err != nil {
			return fmt.Errorf("keycache: Tenure can't be asked: %w", err)
		}
		if c.keep(t, keep, a, public, use) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond << try):
		}
	}
	return errors.New("keycache: Tenure's answer is older than what is known to have changed; try again")
}

// keep has an answer used, with a table or only for who asked if it must not be kept; it answers false if it is too old for either.
func (c *Cache) keep(t *table, keep bool, a answer, public string, use func(t *table, a answer, kept bool)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.table.Load() != t || t.old(a, public) {
		return false
	}
	if !keep {
		t = newTable(0)
	}
	use(t, a, keep)
	return true
}

// hold puts a pair into a table. The caller holds the table's mu.
func (c *Cache) hold(t *table, p *pair) {
	if t.put(p, c.cfg.MaxKeys) {
		if t.evicted++; t.evicted > c.cfg.MaxKeys {
			c.sweep(t)
		}
	}
}

// sweep forgets entries that no pair needs any more. The caller holds the table's mu.
func (c *Cache) sweep(t *table) {
	t.evicted = 0
	needed := map[any]bool{}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, p := range s.pairs {
			if p.key != nil {
				p.key.needs(needed)
			}
			if p.place != nil {
				p.place.needs(needed)
			}
		}
		s.mu.RUnlock()
	}
	c.usage.Lock()
	for id, n := range t.keys {
		if !needed[n] {
			c.count(id, n)
			delete(t.keys, id)
		}
	}
	c.usage.Unlock()
	forget(t.users, needed)
	forget(t.projects, needed)
	forget(t.orgs, needed)
}

func forget[N any](nodes map[string]*N, needed map[any]bool) {
	for id, n := range nodes {
		if !needed[n] {
			delete(nodes, id)
		}
	}
}

// needs adds a key and all it is judged by.
func (k *keyNode) needs(needed map[any]bool) {
	needed[k] = true
	v := k.value.Load()
	if v == nil {
		return
	}
	if v.org != nil {
		needed[v.org] = true
	}
	if v.project != nil {
		v.project.needs(needed)
	}
	if v.user != nil {
		v.user.needs(needed)
	}
}

func (n *projectNode) needs(needed map[any]bool) {
	if needed[n] = true; n.value.Load() != nil {
		needed[n.value.Load().org] = true
	}
}

func (n *userNode) needs(needed map[any]bool) {
	needed[n] = true
	if u := n.value.Load(); u != nil {
		for _, h := range u.holdings {
			if needed[h.org] = true; h.project != nil {
				h.project.needs(needed)
			}
		}
	}
}
