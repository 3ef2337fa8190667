package keycache

import (
	"context"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Source tells a cache what changes. Watch is Tenure itself, package redissource a Redis that Tenure writes to.
type Source interface {
	// Follow tells what changed behind a token, or from now on if that is empty, in calls to told, one at a time, until ctx ends or it
	// fails. The first call says where it begins. Who fails is called again, with the last token told.
	Follow(ctx context.Context, token string, told func(News)) error
}

// News is what a source tells at once.
type News struct {
	// Reset: something may have been missed. Everything kept from before is worthless, and so is an answer in front of Position.
	Reset bool
	// Invalidations are in order for each entry.
	Invalidations []*tenurev1.Invalidation
	// Position is how far everything is told, Token its token.
	Position uint64
	Token    string
	// Current is a moment at which no entry was another one than what is told with this and before; never a later one than that.
	// The zero time says nothing of it.
	Current time.Time
}
