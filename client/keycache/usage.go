package keycache

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// uses counts how often a key was good since the last report.
type uses struct {
	count atomic.Int64
	last  atomic.Int64 // Unix time in seconds
}

func (u *uses) add(now time.Time) {
	u.count.Add(1)
	if s := now.Unix(); u.last.Load() < s {
		u.last.Store(s)
	}
}

// reportMost is how many keys one report names.
const reportMost = 1000

// collect moves what was counted in a table into what is to be reported.
func (c *Cache) collect(t *table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.usage.Lock()
	defer c.usage.Unlock()
	for id, n := range t.keys {
		c.count(id, n)
	}
}

// count moves one key's count. The caller holds usage.
func (c *Cache) count(id string, n *keyNode) {
	if uses := n.uses.count.Swap(0); uses > 0 {
		u := c.used[id]
		u.count, u.last = u.count+uses, max(u.last, n.uses.last.Load())
		c.used[id] = u
	}
}

type use struct{ count, last int64 }

// report tells Tenure what was counted. What could not be told is told with the next report.
func (c *Cache) report(ctx context.Context) error {
	c.collect(c.table.Load())
	c.usage.Lock()
	used := c.used
	c.used = map[string]use{}
	c.usage.Unlock()
	for len(used) > 0 {
		req := &tenurev1.ReportUsageRequest{}
		for id, u := range used {
			req.Uses = append(req.Uses, &tenurev1.ReportedUse{KeyId: id, Uses: u.count, LastUsedAt: timestamppb.New(time.Unix(u.last, 0))})
			if len(req.Uses) == reportMost {
				break
			}
		}
		bounded, cancel := context.WithTimeout(ctx, askWait)
		call, _ := withKey(bounded, c.cfg.Key)
		_, err := c.keys.ReportUsage(call, req)
		cancel()
		if err != nil {
			c.usage.Lock()
			defer c.usage.Unlock()
			for id, u := range used {
				sum := c.used[id]
				c.used[id] = use{sum.count + u.count, max(sum.last, u.last)}
			}
			return err
		}
		for _, u := range req.Uses {
			delete(used, u.KeyId)
		}
	}
	return nil
}

// keepReporting reports again and again until ctx ends, and once more behind it.
func (c *Cache) keepReporting(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.ReportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReport)
			defer cancel()
			if err := c.report(last); err != nil {
				c.cfg.Logger.Warn("the last uses of keys could not be reported", "error", err)
			}
			return
		case <-ticker.C:
			if err := c.report(ctx); err != nil && ctx.Err() == nil {
				c.cfg.Logger.Warn("uses of keys could not be reported; they go with the next report", "error", err)
			}
		}
	}
}
