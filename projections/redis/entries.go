package redis

import (
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// tombstones are kept for so long; behind them a key is as unknown as one that never was.
const tombstones = 30 * 24 * time.Hour

// changeOf is what is written of a change, and where.
func changeOf(l layout.Layout, c invalidation.Change) (partition int, o op) {
	o = op{how: howSet, id: layout.ID{Position: c.Position, N: uint64(c.Index)}, of: c.Id}
	name := c.Id
	switch c.Scope {
	case tenurev1.Scope_SCOPE_ORG:
		o.scope, o.value = layout.Org, entry(o.id, c.Org)
	case tenurev1.Scope_SCOPE_PROJECT:
		o.scope, o.value = layout.Project, entry(o.id, c.Project)
	case tenurev1.Scope_SCOPE_USER:
		o.scope, o.value = layout.User, entry(o.id, c.User)
	case tenurev1.Scope_SCOPE_KEY:
		o.scope, o.public = layout.Key, c.PublicKey
		name = c.PublicKey
		e := c.Key
		if e.Reason == string(domain.KeyRevoked) {
			o.how = howRevoke
			e = &tenurev1.KeyEntry{Id: e.Id, PublicKey: e.PublicKey, Reason: e.Reason}
		}
		o.value = entry(o.id, e)
	default:
		panic("a change of no known scope: " + c.Scope.String())
	}
	o.name = l.Entry(o.scope, name)
	return l.Partition(name), o
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

var jsonOf = protojson.MarshalOptions{UseProtoNames: true}

// entry is an entry's text. The version comes first, so that the script finds it without reading the rest.
func entry(version layout.ID, m proto.Message) string {
	text, err := jsonOf.Marshal(m)
	if err != nil {
		panic(err) // only of text that is not UTF-8, which no state holds
	}
	// What protojson wrote is never empty: everything has an id.
	return `{"version":"` + version.String() + `",` + string(text[1:])
}
