package domain_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// machine gives random commands to a state and to the model.
type machine struct {
	state *domain.State
	model *model
	now   time.Time
	log   []*eventv1.Commit
	made  int
}

// TestMachine: whatever anybody does, the state says what the model says, and what must never be is not (see invariants).
//
// Fails if withinCeiling is taken out of GrantRole, keepsOwner out of GrantRole, RevokeRole or EraseUser, nameFree, the drop of
// overrides out of a revocation or a transfer, the cap or the ceiling of keys, or any question about an expiry or a state:
// tried, for each.
func TestMachine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{state: &domain.State{}, model: newModel(), now: began}
		for _, c := range []domain.Command{
			domain.CreateInstance{LogID: "log", Pepper: "pep"},
			register("u0"), register("u1"), register("u2"), register("u3"),
			domain.CreateOrg{ID: "o0", OrgName: "O", Owner: "u0"}, domain.CreateOrg{ID: "o1", OrgName: "O", Owner: "u1"},
			domain.CreateOrg{ID: "o2", OrgName: "O"},
			domain.GrantRole{Org: "o0", User: "u2", Role: domain.Admin}, domain.GrantRole{Org: "o1", User: "u2", Role: domain.Admin},
			domain.GrantRole{Org: "o0", User: "u1", Role: domain.RoleMember}, domain.GrantRole{Org: "o0", User: "u3", Role: domain.RoleMember},
			domain.CreateProject{ID: "p0", Org: "o0", ProjectName: "a"}, domain.CreateProject{ID: "p1", Org: "o1", ProjectName: "b"},
			domain.CreateKey{Minted: minted("k0"), Project: "p0"}, domain.CreateKey{Minted: minted("k1"), Org: "o0"},
			domain.CreateKey{Minted: minted("k2"), User: "u2"},
		} {
			m.do(t, instance, c)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": m.invariants,
			"time": func(t *rapid.T) {
				m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Minute, hour, 24 * hour}).Draw(t, "later"))
			},
			"org":      func(t *rapid.T) { m.do(t, m.actor(t), m.orgCommand(t)) },
			"project":  func(t *rapid.T) { m.do(t, m.actor(t), m.projectCommand(t)) },
			"transfer": func(t *rapid.T) { m.do(t, m.actor(t), m.transfer(t)) },
			"member":   func(t *rapid.T) { m.do(t, m.actor(t), m.memberCommand(t)) },
			"grant":    func(t *rapid.T) { m.do(t, m.actor(t), m.grant(t)) },
			"user":     func(t *rapid.T) { m.do(t, m.actor(t), m.userCommand(t)) },
			"key":      func(t *rapid.T) { m.do(t, m.actor(t), m.keyCommand(t)) },
		})
		m.replay(t)
	})
}

// do gives a command. A refusal changes nothing; what is accepted goes into the log, the state and the model.
func (m *machine) do(t *rapid.T, by domain.Actor, c domain.Command) {
	before := m.state.Digest()
	events, err := domain.Decide(m.state, c, rules()[c.Name()], by, m.now)
	if m.state.Digest() != before {
		t.Fatalf("%s: deciding %+v changed the state", by, c)
	}
	if err != nil {
		if e := refusal(err); e == nil || e.Code == domain.CodeInternal || len(events) > 0 {
			t.Fatalf("%s: %+v: %v, %v", by, c, events, err)
		}
		return
	}
	t.Logf("%s: %T %+v", by, c, c)
	next := commit(m.state, by, m.now, events)
	if m.state, err = domain.Evolve(m.state, next, m.state.Position+1, domain.Hash{byte(len(m.log))}); err != nil {
		t.Fatal(err)
	}
	m.log = append(m.log, next)
	switch c.(type) {
	case domain.GrantRole, domain.RevokeRole:
		m.withinGrantCeiling(t, by, c)
	default:
		m.withinKeyCeiling(t, by, c)
		m.model.apply(c, by, m.now)
	}
}

// withinGrantCeiling applies an accepted command about a role, and holds what users gain and lose by it against what the actor
// holds.
func (m *machine) withinGrantCeiling(t *rapid.T, by domain.Actor, c domain.Command) {
	before, ceiling := m.heldByUsers(), m.ceilingOf(by)
	m.model.apply(c, by, m.now)
	after := m.heldByUsers()
	for q, had := range before {
		if after[q] != had && !ceiling[q.where] {
			t.Fatalf("%s: %+v: %s held %v: %t, and then not so; the actor does not hold it", by, c, q.user, q.where, had)
		}
	}
}

// asked is a permission of the sample, at a place.
type asked struct {
	levelled
	org     domain.OrgID
	project domain.ProjectID
}

type askedOf struct {
	user  domain.UserID
	where asked
}

// questions are the sample of permissions at every place.
func (m *machine) questions() (list []asked) {
	for o := range m.model.orgs {
		for _, name := range words("organization:delete organization:update organizationMembers:read auditLogs:read") {
			list = append(list, asked{levelled{domain.OrgLevel, name}, o, ""})
		}
	}
	for id, p := range m.model.projects {
		for _, name := range words("project:delete project:update auditLogs:read scores:CUD project:read") {
			list = append(list, asked{levelled{domain.ProjectLevel, name}, p.org, id})
		}
	}
	return list
}

func (m *machine) heldByUsers() map[askedOf]bool {
	held := map[askedOf]bool{}
	for _, q := range m.questions() {
		for u := range m.model.users {
			held[askedOf{u, q}] = m.model.holds(user(u), q.levelled, q.org, q.project, m.now)
		}
	}
	return held
}

func (m *machine) ceilingOf(a domain.Actor) map[asked]bool {
	ceiling := map[asked]bool{}
	for _, q := range m.questions() {
		ceiling[q] = m.model.mayGive(a, q.levelled, q.org, q.project, m.now)
	}
	return ceiling
}

// withinKeyCeiling holds the permissions of an accepted key command against what the actor holds.
func (m *machine) withinKeyCeiling(t *rapid.T, by domain.Actor, c domain.Command) {
	var at domain.CreateKey
	var names []string
	of := func(id domain.KeyID) {
		k := m.model.keys[id]
		at, names = domain.CreateKey{Project: k.project, Org: k.org, User: k.user}, k.names
	}
	switch c := c.(type) {
	case domain.CreateKey:
		at, names = c, c.Permissions
	case domain.RotateKey:
		of(c.ID)
	case domain.UpdateKey:
		if of(c.ID); c.Permissions == nil || slices.Equal(slices.Sorted(slices.Values(*c.Permissions)), names) {
			return
		}
		names = append(slices.Clone(names), *c.Permissions...)
	}
	for _, name := range names {
		if !m.model.mayPutInKey(by, name, at, m.now) {
			t.Fatalf("%s: %+v: a key got or had %s, which the actor does not hold", by, c, name)
		}
	}
	m.withinCaller(t, by, c)
}

// withinCaller: what is done with a key makes no key live longer than that one does, and with a person's only if it holds
// everything.
func (m *machine) withinCaller(t *rapid.T, by domain.Actor, c domain.Command) {
	caller := m.model.keys[by.Key]
	if caller == nil {
		return
	}
	expires, of := time.Time{}, domain.UserID("")
	switch c := c.(type) {
	case domain.CreateKey:
		expires, of = c.ExpiresAt, c.User
	case domain.RotateKey:
		expires, of = m.model.keys[c.ID].expires, m.model.keys[c.ID].user
	case domain.UpdateKey:
		if expires, of = m.model.keys[c.ID].expires, m.model.keys[c.ID].user; c.ExpiresAt == nil || c.ExpiresAt.Equal(expires) {
			expires = caller.expires
		} else {
			expires = *c.ExpiresAt
		}
	default:
		return
	}
	if !caller.expires.IsZero() && (expires.IsZero() || expires.After(caller.expires)) {
		t.Fatalf("%s: %+v: a key that ends %s made one live until %s", by, c, caller.expires, expires)
	}
	if of != "" && len(caller.names) < len(everyName()) {
		t.Fatalf("%s: %+v: a narrow key changed one of a person", by, c)
	}
}

// invariants hold after every step.
func (m *machine) invariants(t *rapid.T) {
	m.sameEntities(t)
	m.sameKeys(t)
	for id, o := range m.model.orgs {
		if o.owned && o.status != domain.Deleted && !m.owned(o) {
			t.Fatalf("organization %s was owned once and has no active owner for good", id)
		}
		if names := m.model.namesIn(id); len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Fatalf("organization %s has two projects of one name: %q", id, names)
		}
	}
	actors := []domain.Actor{instance}
	for u := range m.model.users {
		actors = append(actors, user(u))
	}
	for id := range m.model.keys {
		k, _ := m.state.Key(id)
		actors = append(actors, domain.KeyActor(k, "basic"))
	}
	for _, q := range m.questions() {
		place, err := m.state.Place(q.org, q.project)
		if err != nil || place.Org.ID != q.org {
			t.Fatalf("%v is at %v, %v", q, place.Org, err)
		}
		p := domain.ParsePermission(q.level, q.name)
		for _, a := range actors {
			got := m.state.Check(a, p, place, m.now)
			if want := m.model.may(a, q.levelled, q.org, q.project, m.now); got.Allowed != want {
				t.Fatalf("%s with key %q asks for %s in %s %s: %+v, want %t", a, a.Key, q.name, q.org, q.project, got, want)
			}
		}
	}
}

func (m *machine) owned(o *modelOrg) bool {
	for u, g := range o.members {
		if g == (domain.Grant{Role: domain.Owner}) && m.model.users[u].status == domain.UserActive {
			return true
		}
	}
	return false
}

func (m *machine) sameEntities(t *rapid.T) {
	for id, want := range m.model.orgs {
		got, ok := m.state.Org(id)
		if !ok || got.Status != want.status || got.Claimed != want.owned || !sameMembers(got.Members, want.members) {
			t.Fatalf("organization %s is %+v, want %+v", id, got, want)
		}
		if names := got.Names.Keys(); !slices.Equal(names, m.model.namesIn(id)) {
			t.Fatalf("organization %s has the names %q, want %q", id, names, m.model.namesIn(id))
		}
	}
	for id, want := range m.model.projects {
		got, ok := m.state.Project(id)
		if !ok || got.Org != want.org || got.Name != want.name || (got.Status == domain.Deleted) != want.deleted || !sameGrants(got.Overrides, want.overrides) {
			t.Fatalf("project %s is %+v, want %+v", id, got, want)
		}
		for org, o := range m.state.Orgs().All() {
			if o.Projects.Has(id) != (org == want.org) {
				t.Fatalf("project %s is in %s, among others", id, org)
			}
		}
		for u := range want.overrides {
			if _, ok := m.model.orgs[want.org].members[u]; !ok {
				t.Fatalf("%s has an override in %s without a membership", u, id)
			}
		}
	}
	for id, want := range m.model.users {
		if got, ok := m.state.User(id); !ok || got.Status != want.status || got.EmailDigest != want.email {
			t.Fatalf("user %s is %+v, want %+v", id, got, want)
		}
	}
	if n, want := m.state.Users().Len(), len(m.model.users); n != want || m.state.Orgs().Len() != len(m.model.orgs) ||
		m.state.Projects().Len() != len(m.model.projects) || m.state.Keys().Len() != len(m.model.keys) {
		t.Fatalf("the state has %d users, want %d, or more or fewer of something else", n, want)
	}
}

func sameMembers(got domain.Table[domain.UserID, domain.Member], want map[domain.UserID]domain.Grant) bool {
	grants := domain.Table[domain.UserID, domain.Grant]{}
	for u, m := range got.All() {
		grants = grants.With(u, m.Grant)
	}
	return sameGrants(grants, want)
}

func sameGrants(got domain.Table[domain.UserID, domain.Grant], want map[domain.UserID]domain.Grant) bool {
	for u, g := range want {
		if have, ok := got.Get(u); !ok || have.Role != g.Role || !have.ExpiresAt.Equal(g.ExpiresAt) {
			return false
		}
	}
	return got.Len() == len(want)
}

// sameKeys: what a key is never changes, and it is good as long as the model says.
func (m *machine) sameKeys(t *rapid.T) {
	for id, want := range m.model.keys {
		k, ok := m.state.Key(id)
		if !ok || k.ID != id || k.Public != want.minted.Public || k.Verifier != string(want.minted.Verifier.Hash) ||
			k.Project != want.project || k.Org != want.org || k.User != want.user {
			t.Fatalf("key %s became %+v, was %+v", id, k, want)
		}
		if names := m.state.Catalog().Names(k.Permissions); !slices.Equal(names, want.names) {
			t.Fatalf("key %s holds %q, want %q", id, names, want.names)
		}
		if !k.ExpiresAt.Equal(want.expires) || k.RevokedAt.IsZero() == want.revoked || k.Successor != want.successor {
			t.Fatalf("key %s ends %s, revoked %s, successor %q, want %+v", id, k.ExpiresAt, k.RevokedAt, k.Successor, want)
		}
		if got := m.state.VerifyKey(k, "", netip.Addr{}, m.now); (got == domain.KeyValid) != m.model.good(want, m.now) {
			t.Fatalf("key %s is %s, want good %t", id, got, m.model.good(want, m.now))
		}
	}
}

// replay folds the whole log from nothing.
func (m *machine) replay(t *rapid.T) {
	s := &domain.State{}
	for i, c := range m.log {
		var err error
		if s, err = domain.Evolve(s, c, s.Position+1, domain.Hash{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Digest() != m.state.Digest() {
		t.Fatalf("a replay of %d commits gives another state", len(m.log))
	}
}

func (m *machine) fresh(prefix string) string {
	m.made++
	return fmt.Sprint(prefix, 100+m.made)
}
