package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// asked is how many different questions are asked in turn: more than caches hold.
const asked = 1 << 16

// checks are questions answered in process, beside plain Go maps asked the same.
func checks(s sizes) []row {
	w := shared(s)
	return append(checkRows(s, w), verifyRows(s, w)...)
}

func checkRows(s sizes, w *world) []row {
	questions := w.questions(asked)
	read := domain.ParsePermission(domain.ProjectLevel, "project:read")
	now := time.Now()
	plain := plainOf(w.s)
	sum := 0
	times := inTurns(s, w.checking(questions, read, now), func(i int) {
		q := &questions[i%asked]
		if plain.look(q) {
			sum++
		}
	})
	if sum == 0 {
		panic("the plain maps find nobody")
	}
	check := w.checking(questions, read, now)
	return []row{
		within(row{What: "Check in process", Figure: times[0] / 1000, Unit: "us"}, 2),
		atMost(row{What: "Check beside plain look-ups", Figure: times[0], Unit: "ns", Floor: times[1], FloorIs: "Go maps"}, 4),
		within(row{What: "Check, memory taken", Figure: allocations(func() { check(1) }), Unit: "allocations"}, 0),
	}
}

// checking asks one question after the other.
func (w *world) checking(questions []question, p domain.Permission, now time.Time) func(int) {
	s := w.s
	return func(i int) {
		q := &questions[i%len(questions)]
		at, err := s.Place("", q.project)
		if err != nil {
			panic(err)
		}
		if v := s.Check(domain.Actor{Kind: domain.ActorUser, User: q.person}, p, at, now); !v.Allowed {
			panic(string(v.Reason))
		}
	}
}

// plain are Go maps that hold what a check looks up: the person, the project, its organization, the membership, and whether
// there is an override.
type plain struct {
	users     map[domain.UserID]*domain.User
	projects  map[domain.ProjectID]*domain.Project
	orgs      map[domain.OrgID]*domain.Org
	members   map[domain.OrgID]map[domain.UserID]domain.Member
	overrides map[domain.ProjectID]map[domain.UserID]domain.Grant
}

func plainOf(s *domain.State) *plain {
	p := &plain{
		map[domain.UserID]*domain.User{}, map[domain.ProjectID]*domain.Project{}, map[domain.OrgID]*domain.Org{},
		map[domain.OrgID]map[domain.UserID]domain.Member{}, map[domain.ProjectID]map[domain.UserID]domain.Grant{},
	}
	for id, u := range s.Users().All() {
		p.users[id] = u
	}
	for id, project := range s.Projects().All() {
		p.projects[id] = project
		p.overrides[id] = map[domain.UserID]domain.Grant{}
		for user, g := range project.Overrides.All() {
			p.overrides[id][user] = g
		}
	}
	for id, o := range s.Orgs().All() {
		p.orgs[id], p.members[id] = o, map[domain.UserID]domain.Member{}
		for user, m := range o.Members.All() {
			p.members[id][user] = m
		}
	}
	return p
}

func (p *plain) look(q *question) bool {
	u, ok := p.users[q.person]
	if !ok || u.Status != domain.UserActive {
		return false
	}
	project := p.projects[q.project]
	o := p.orgs[project.Org]
	if o.Status != domain.Active {
		return false
	}
	m, ok := p.members[project.Org][q.person]
	if g, has := p.overrides[q.project][q.person]; has {
		return g.Role != domain.None
	}
	return ok && m.Role != domain.None
}

func verifyRows(s sizes, w *world) []row {
	bare := map[string]worldKey{}
	for id, k := range w.s.Keys().All() {
		bare[k.Public] = worldKey{id: id, public: k.Verifier}
	}
	key := make([]byte, 32)
	keyed := hmac.New(sha256.New, key)
	var secret, sum [128]byte
	n := len(w.keys)
	order := rand.Perm(n)
	now := time.Now()
	times := inTurns(s, w.verifying(order, now), func(i int) {
		k := &w.keys[order[i%n]]
		found := bare[k.public]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(k.secret))
		subtle.ConstantTimeCompare(mac.Sum(nil), []byte(found.public))
	}, func(i int) {
		k := &w.keys[order[i%n]]
		found := bare[k.public]
		keyed.Reset()
		keyed.Write(append(secret[:0], k.secret...))
		subtle.ConstantTimeCompare(keyed.Sum(sum[:0]), []byte(found.public))
	})
	return []row{
		atMost(row{What: "VerifyKey in process", Figure: times[0], Unit: "ns", Floor: times[1], FloorIs: "hmac.New and a look-up"}, 2.5),
		// The stricter floor, without a bar: keying an HMAC costs as much as using it, and whoever verifies many keys it once.
		{What: "  beside an HMAC keyed once", Figure: times[0], Unit: "ns", Floor: times[2], FloorIs: "HMAC and a look-up", Ratio: times[0] / times[2]},
	}
}

// verifying verifies one key after the other, as VerifyKey does.
func (w *world) verifying(order []int, now time.Time) func(int) {
	s := w.s
	return func(i int) {
		k := &w.keys[order[i%len(order)]]
		found, ok := s.KeyByPublic(k.public)
		if !ok || !w.ring.Verify(found.Scheme, found.Pepper, []byte(found.Verifier), k.secret) {
			panic("a key is not found")
		}
		if reason := s.VerifyKey(found, "", netip.Addr{}, now); reason != domain.KeyValid {
			panic(string(reason))
		}
	}
}

// allocations of one call.
func allocations(call func()) float64 {
	const calls = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / calls)
}
