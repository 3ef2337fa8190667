package invalidation

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/projectionstest"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// entries are what a cache holds that misses nothing, by scope and id.
type entries map[string]proto.Message

func (e entries) take(c Change) {
	name := c.Scope.String() + " " + c.Id
	if m := c.Entry(); m != nil {
		e[name] = m
	}
}

func all(s *domain.State) entries {
	e := entries{}
	for c := range All(s) {
		e.take(c)
	}
	return e
}

// What is told of every commit leads to the entries of the state behind it, nothing is told that is as it was, and every order is the
// same. Fails if members of a changed group, holders of a changed role or overrides of a project that moved are passed over: tried
// each.
func TestChangesLeadToTheState(t *testing.T) {
	t.Parallel()
	for _, log := range append(projectionstest.Histories(t), projectionstest.Random(t, 300)) {
		held := entries{}
		for _, m := range log {
			list := Changes(m.Before, m.After)
			for i, c := range list {
				if c.Position != uint64(m.Position) || c.Index != uint32(i) {
					t.Fatalf("position %d: the change %d is numbered %d, %d", m.Position, i, c.Position, c.Index)
				}
				if c.Scope == tenurev1.Scope_SCOPE_INSTANCE {
					held = all(m.After)
					continue
				}
				before := len(held)
				name := c.Scope.String() + " " + c.Id
				was := held[name]
				held.take(c)
				if len(held) == before && proto.Equal(was, held[name]) {
					t.Errorf("position %d tells %s, which is as it was", m.Position, name)
				}
			}
			if want := all(m.After); !maps.EqualFunc(want, held, proto.Equal) {
				t.Fatalf("position %d, %v (-state +told):\n%s", m.Position, m.Commit.Entries, cmp.Diff(want, held, protocmp.Transform()))
			}
			again := Changes(m.Before, m.After)
			if !slices.EqualFunc(list, again, func(a, b Change) bool { return proto.Equal(a.Invalidation, b.Invalidation) }) {
				t.Fatalf("position %d is told in another order:\n%s", m.Position, cmp.Diff(list, again, protocmp.Transform()))
			}
		}
		// Several commits at once, as commits hold many commands.
		for range 50 {
			from, to := rand.IntN(len(log)), rand.IntN(len(log))
			from, to = min(from, to), max(from, to)
			held, instance := all(log[from].Before), false
			for _, c := range Changes(log[from].Before, log[to].After) {
				held.take(c)
				instance = instance || c.Scope == tenurev1.Scope_SCOPE_INSTANCE
			}
			if want := all(log[to].After); !instance && !maps.EqualFunc(want, held, proto.Equal) {
				t.Fatalf("positions %d to %d (-state +told):\n%s", from, to, cmp.Diff(want, held, protocmp.Transform()))
			}
		}
	}
}

// Permissions are told once, in however many places somebody holds them. Fails if each holding brings its own: tried.
func TestSetsAreShared(t *testing.T) {
	t.Parallel()
	shared := 0
	for _, log := range projectionstest.Histories(t) {
		s := log[len(log)-1].After
		for id, u := range s.Users().All() {
			different := map[domain.PermissionSet]bool{{}: true}
			for _, h := range s.Holdings(id) {
				different[h.Set] = true
			}
			e := UserEntry(s, u)
			if len(e.Sets) != len(different)-1 {
				t.Errorf("%d sets for %d different ones: %v", len(e.Sets), len(different)-1, e)
			}
			shared += len(e.Holdings) - len(e.Sets)
		}
	}
	if shared == 0 {
		t.Error("nobody holds the same twice")
	}
}
