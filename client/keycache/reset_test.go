package keycache

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/projectionstest"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// at is a Tenure at one state.
type at struct {
	tenurev1connect.InvalidationServiceClient
	state *domain.State
}

func (a *at) ResolveKey(_ context.Context, req *tenurev1.ResolveKeyRequest) (*tenurev1.ResolveKeyResponse, error) {
	res := &tenurev1.ResolveKeyResponse{Position: uint64(a.state.Position)}
	if k, ok := a.state.KeyByPublic(req.PublicKey); ok {
		found := answerOf(a.state, k)
		res.Key, res.User, res.Projects, res.Orgs = found.key, found.user, found.projects, found.orgs
	}
	return res, nil
}

// When an older copy of the log was put back, the cache goes on at its smaller position, and gives nothing from memory until the source
// vouches for something again. Fails if answers must not be in front of what was told before, and if what was vouched for before a reset
// still counts: tried both.
func TestResetToASmallerPosition(t *testing.T) {
	t.Parallel()
	log := projectionstest.Random(t, 200)
	tenure := &at{state: log[199].After}
	c := newCache(Config{MaxKeys: 1000, MaxStale: time.Minute, KeepUnknown: time.Minute, Questions: 1, FailClosed: true}, tenure)
	verify := func() error {
		_, err := c.Verify(t.Context(), "pk-key1", "secret", "", netip.Addr{})
		return err
	}
	c.take(News{Position: uint64(tenure.state.Position), Token: "t", Current: time.Now()})
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	tenure.state = log[50].After
	c.take(News{Reset: true, Position: uint64(tenure.state.Position), Token: "u"})
	if err := verify(); !errors.Is(err, ErrStale) {
		t.Errorf("nothing is vouched for, and a cache that fails closed answers %v", err)
	}
	c.take(News{Position: uint64(tenure.state.Position), Token: "u", Current: time.Now()})
	for range 2 {
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Hits != 1 || s.Questions != 2 || s.Resets != 1 {
		t.Errorf("%+v", s)
	}
}
