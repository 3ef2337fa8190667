package keycache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/projectionstest"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// histories are the states of the golden logs, and of logs in which much happens at random.
func histories(t *testing.T) (all [][]*domain.State) {
	t.Helper()
	logs := projectionstest.Histories(t)
	for range 2 {
		logs = append(logs, projectionstest.Random(t, 400))
	}
	for _, log := range logs {
		states := []*domain.State{{}}
		for _, m := range log {
			states = append(states, m.After)
		}
		all = append(all, states)
	}
	return all
}

// news is what is told of the way from one state to another.
func news(before, after *domain.State) (list []*tenurev1.Invalidation) {
	for _, c := range invalidation.Changes(before, after) {
		list = append(list, c.Invalidation)
	}
	return list
}

// answerOf is what ResolveKey answers about a key.
func answerOf(s *domain.State, k *domain.Key) answer {
	a := answer{position: uint64(s.Position), key: invalidation.KeyEntry(s, k)}
	if u, ok := s.User(k.User); ok {
		a.user = invalidation.UserEntry(s, u)
	}
	a.projects, a.orgs = invalidation.About(s, a.key, a.user)
	return a
}

// verified is what VerifyKey answers about a key.
func verified(s *domain.State, k *domain.Key, environment string, from netip.Addr, now time.Time) Answer {
	a := Answer{Reason: string(s.VerifyKey(k, environment, from, now)), KeyID: string(k.ID), ProjectID: string(k.Project), OrgID: string(k.Org), UserID: string(k.User)}
	if p, ok := s.Project(k.Project); ok {
		a.OrgID = string(p.Org)
	}
	if o, ok := s.Org(domain.OrgID(a.OrgID)); ok {
		a.PlanID, a.DataPlaneID = string(o.Plan), string(o.DataPlane)
	}
	a.ExpiresAt, a.Environment = k.ExpiresAt, environment
	if environment == "" {
		a.Environment = "default"
	}
	if a.Valid = a.Reason == string(domain.KeyValid); a.Valid {
		a.Permissions = s.Catalog().Names(s.KeyPermissions(k, now))
	}
	return a
}

// same: DeepEqual and the like take longer than all that is tested.
func same(a, b Answer) bool {
	permissions := slices.Equal(a.Permissions, b.Permissions)
	expires := a.ExpiresAt.Equal(b.ExpiresAt)
	a.Permissions, b.Permissions, a.ExpiresAt, b.ExpiresAt = nil, nil, time.Time{}, time.Time{}
	return permissions && expires && fmt.Sprint(a) == fmt.Sprint(b)
}

// moments are times around which the answers of a state differ.
func moments(s *domain.State) []time.Time {
	at := []time.Time{s.Time, s.Time.Add(24 * time.Hour), s.Time.AddDate(1, 0, 0)}
	for _, k := range s.Keys().All() {
		if !k.ExpiresAt.IsZero() {
			at = append(at, k.ExpiresAt, k.ExpiresAt.Add(-1))
		}
	}
	for _, o := range s.Orgs().All() {
		for _, m := range o.Members.All() {
			if !m.ExpiresAt.IsZero() {
				at = append(at, m.ExpiresAt, m.ExpiresAt.Add(-1))
			}
		}
	}
	for _, p := range s.Projects().All() {
		for _, g := range p.Overrides.All() {
			if !g.ExpiresAt.IsZero() {
				at = append(at, g.ExpiresAt, g.ExpiresAt.Add(-1))
			}
		}
	}
	return at
}

// usesOf are some environments and addresses that a key may be used from, and some it may not.
func usesOf(k *domain.Key) (environment string, from netip.Addr) {
	environments, sources := append([]string{"", "default", "elsewhere"}, k.Environments...), []netip.Addr{{}, netip.MustParseAddr("2001:db8::1")}
	for _, n := range k.Networks {
		sources = append(sources, n.Addr())
	}
	return environments[rand.IntN(len(environments))], sources[rand.IntN(len(sources))]
}

// What is judged from entries is what Tenure judges, for every key of every state of the logs, at all times around which something
// ends; fresh, and kept current by the stream alone for as long as it says it is known. Fails with any one of: a reason left out of judge,
// the second of two holdings counting, a grant's end not looked at, an organization's invalidation not taken: tried each.
func TestJudgesLikeTenure(t *testing.T) {
	t.Parallel()
	seen, stood := map[string]int{}, 0
	for _, states := range histories(t) {
		kept := newTable(0)
		nodes := map[domain.KeyID]*keyNode{}
		for i, s := range states[1:] {
			if !kept.take(news(states[i], s)) {
				kept, nodes = newTable(uint64(s.Position)), map[domain.KeyID]*keyNode{}
			}
			at := moments(s)
			checked := 0
			for id, k := range s.Keys().All() {
				if checked++; checked > 12 {
					break
				}
				for range 5 {
					now := at[rand.IntN(len(at))]
					environment, from := usesOf(k)
					want := verified(s, k, environment, from, now)
					name := func() string {
						return fmt.Sprintf("position %d, key %s in %q from %s at %s", s.Position, id, environment, from, now)
					}
					fresh, _ := newTable(0).load(answerOf(s, k))
					got, known := fresh.judge(environment, from, now)
					if !same(want, got) || !known {
						t.Fatalf("%s, known %t (-Tenure +cache):\n%s", name(), known, cmp.Diff(want, got))
					}
					seen[got.Reason]++
					if nodes[id] != nil {
						if got, known := nodes[id].judge(environment, from, now); known {
							stood++
							if !same(want, got) {
								t.Fatalf("kept, %s (-Tenure +cache):\n%s", name(), cmp.Diff(want, got))
							}
							continue
						}
					}
					nodes[id], _ = kept.load(answerOf(s, k))
				}
			}
		}
	}
	t.Logf("%v, %d of kept entries", seen, stood)
	for _, reason := range []domain.Reason{
		domain.KeyValid, domain.KeyRevoked, domain.KeyExpired, domain.WrongEnvironment, domain.NetworkNotAllowed, domain.OrgSuspended, domain.OrgDeleted,
		domain.ProjectDeleted, domain.UserDeactivated,
	} {
		if seen[string(reason)] == 0 {
			t.Errorf("no key was %s: the logs prove nothing about it", reason)
		}
	}
	if stood < 1000 {
		t.Errorf("only %d answers were of kept entries", stood)
	}
}
