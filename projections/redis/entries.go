package redis

import (
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// tombstones are kept for so long; behind them a key is as unknown as one that never was.
const tombstones = 30 * 24 * time.Hour

// nameOf is where the entry is that a change is about.
func nameOf(l layout.Layout, i *tenurev1.Invalidation) (partition int, scope, name string) {
	switch i.Scope {
	case tenurev1.Scope_SCOPE_ORG:
		scope, name = layout.Org, i.Id
	case tenurev1.Scope_SCOPE_PROJECT:
		scope, name = layout.Project, i.Id
	case tenurev1.Scope_SCOPE_USER:
		scope, name = layout.User, i.Id
	case tenurev1.Scope_SCOPE_KEY:
		scope, name = layout.Key, i.PublicKey
	default:
		panic("a change of no known scope: " + i.Scope.String())
	}
	return l.Partition(name), scope, l.Entry(scope, name)
}

// changeOf is what is written of a change, and where; its text is written into it later.
func changeOf(l layout.Layout, c invalidation.Change) (partition int, o op) {
	o = op{how: howSet, id: layout.ID{Position: c.Position, N: uint64(c.Index)}, of: c.Id, change: &c}
	partition, o.scope, o.name = nameOf(l, c.Invalidation)
	if o.scope == layout.Key {
		o.public = c.PublicKey
	}
	if c.Revoked() {
		o.how = howRevoke
	}
	return partition, o
}

// text is the entry as it is written; "" if the change has none.
func (o op) text() string {
	if o.change == nil {
		return ""
	}
	if o.change.Revoked() {
		return entryText(o.id, &tenurev1.KeyEntry{Id: o.of, PublicKey: o.public, Reason: string(domain.KeyRevoked)})
	}
	return entryText(o.id, o.change.Entry())
}

// untold is a change as part of something greater that is told.
func untold(o op) op {
	if o.how == howRevoke {
		o.how = howBury
	} else {
		o.how = howFill
	}
	return o
}

// instance tells a partition that all entries are others.
func instance(l layout.Layout, p int, c invalidation.Change) op {
	return op{how: howAll, name: l.Meta(p), id: layout.ID{Position: c.Position, N: uint64(c.Index)}, scope: layout.Instance}
}
