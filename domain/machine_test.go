package domain_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	made  int
	steps int

	// base is the state behind the log; open is the commit that is being collected, nil if there is none.
	base *domain.State
	open *eventv1.Commit
	log  []*eventv1.Commit

	tokens   [][]byte       // of invitations, ever
	accepted map[string]int // commands that changed something, by name
}

// TestMachine: whatever anybody does, the state says what the model says, and what must never be is not (see invariants and the
// checks named within...). A commit takes in several commands, and the log is folded once more at the end.
//
// Finds it, in the 100 runs that are the default, if any of these is taken out, tried for each: the ceiling in GrantRole,
// CreateServiceAccount, groupEvent, UpdateRole (new set or old), DeleteRole, mayInvite (organization or project), managedInvitation
// or managedMember; the last owner in SuspendMember or LeaveOrg, or that a service account owns nothing; suspended in heldByUser;
// the home of service accounts in grantable; the order of grants and groups, and that groups add up; what an invitation would take
// away; overrides that end with the membership, and groups with an account; of a transfer the end of group roles, offers and
// invitations, tooMuch, and the preview's drops; quotas of projects, members (of groups, and at sign-up, too) and keys, and what is
// counted for them; the residency in PlaceOrg; the policy's names and creators; whoHas; the time of an invitation; whose an identity
// is; admins in SubjectsAfter, suspended in AccessibleAfter.
// What comes up too seldom for that is in TestMachineStories. Older guards, tried before: keepsOwner in GrantRole, RevokeRole and
// EraseUser, nameFree, the cap and the ceiling of keys, questions about expiries and states.
func TestMachine(t *testing.T) {
	t.Parallel()
	accepted := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := opened(t)
		m.accepted = accepted
		// A run is some 30 steps; three in a row reach further.
		for range 3 {
			t.Repeat(map[string]func(*rapid.T){"": func(t *rapid.T) { m.invariants(t) }, "step": func(t *rapid.T) { one(t, "action", m.actions())(t) }})
		}
		m.everywhere(t)
		m.replay(t, rapid.IntRange(0, len(m.log)).Draw(t, "snapshot at"))
	})
	if checks, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String()); t.Failed() || err != nil || checks < 100 {
		return
	}
	for _, name := range commandNames(t) {
		t.Logf("%s was accepted %d times", name, accepted[name])
		if accepted[name] == 0 && name != "CreateInstance" {
			t.Errorf("%s was never accepted, so nothing is proved about it", name)
		}
	}
}

// opened is the machine with something to begin with.
func opened(t rapid.TB) *machine {
	m := &machine{state: &domain.State{}, base: &domain.State{}, model: newModel(), now: began, accepted: map[string]int{}}
	for _, c := range opening {
		m.do(t, instance, c)
	}
	return m
}

func (m *machine) actions() []func(*rapid.T) {
	return []func(*rapid.T){
		m.passTime, func(t *rapid.T) { m.seal(t) }, m.orgCommand, m.placement, m.projectCommand, m.transfer, m.offer, m.grant, m.revoke,
		m.memberCommand, m.roleCommand, m.roleCommand, m.groupCommand, m.groupCommand, m.invite, m.invitationCommand, m.invitationCommand, m.userCommand,
		m.account, m.keyCommand, m.newKey, m.instanceCommand, m.init, m.webhookCommand,
	}
}

// opening is what the machine begins with.
var opening = []domain.Command{
	domain.CreateInstance{LogID: "log", Pepper: "pep"},
	register("u0"), register("u1"), register("u2"), register("u3"),
	domain.CreateOrg{ID: "o0", OrgName: "O", Owner: "u0"}, domain.CreateOrg{ID: "o1", OrgName: "O", Owner: "u1"},
	domain.CreateOrg{ID: "o2", OrgName: "O"},
	domain.GrantRole{Org: "o0", User: "u2", Role: domain.Admin}, domain.GrantRole{Org: "o1", User: "u2", Role: domain.Admin},
	domain.GrantRole{Org: "o0", User: "u1", Role: domain.RoleMember}, domain.GrantRole{Org: "o0", User: "u3", Role: domain.RoleMember},
	domain.CreateProject{ID: "p0", Org: "o0", ProjectName: "a"}, domain.CreateProject{ID: "p1", Org: "o1", ProjectName: "b"},
	domain.CreateKey{Minted: minted("k0"), Project: "p0"}, domain.CreateKey{Minted: minted("k1"), Org: "o0"},
	domain.CreateKey{Minted: minted("k2"), User: "u2"},
	domain.DefinePlan{ID: "free", PlanName: "free", Quotas: domain.Quotas{Projects: bound(2), Members: bound(5), Keys: bound(4)}},
	domain.SetPlan{Org: "o0", Plan: "free"}, domain.SetPlan{Org: "o1", Plan: "free"},
	domain.RegisterDataPlane{ID: "d0", Region: "eu-west"}, domain.RegisterDataPlane{ID: "d1", Region: "us", Dedicated: true},
	domain.DefineRole{
		Org: "o0", Role: "RX", OrgPermissions: words("organizationMembers:CUD organizationMembers:read"), ProjectPermissions: words("project:read scores:CUD"),
	},
	domain.DefineRole{Org: "o0", Role: "RY", OrgPermissions: words("organization:delete"), ProjectPermissions: words("project:delete")},
	domain.CreateGroup{ID: "g0", Org: "o0", GroupName: "a", Role: "RX", Users: []domain.UserID{"u3"}},
}

func bound(n uint32) domain.Quota { return domain.Quota{Bound: true, Max: n} }

// commandNames are the names of all commands, from the source.
func commandNames(t *testing.T) (names []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func \(\w+\) Name\(\) +string +\{ return "(\w+)" \}`).FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
	}
	slices.Sort(names)
	if len(names) < 50 {
		t.Fatalf("the source names only the commands %q", names)
	}
	return names
}

// ruleOf is the rule of the command's method; commands that only Tenure itself gives have none.
func ruleOf(c domain.Command) domain.Rule {
	if rule, ok := rules()[c.Name()]; ok {
		return rule
	}
	return domain.Rule{Requirement: domain.Anyone}
}

// do gives a command. A refusal changes nothing; what is accepted goes into the log, the state and the model.
func (m *machine) do(t rapid.TB, by domain.Actor, c domain.Command) {
	preview := m.preview(by, c)
	m.steps++
	digested := m.steps%8 == 0 // reading all of the state takes long
	var before domain.Hash
	if digested {
		before = m.state.Digest()
	}
	events, err := domain.Decide(m.state, c, ruleOf(c), by, m.now)
	if digested && m.state.Digest() != before {
		t.Fatalf("%s: deciding %T %+v changed the state", by, c, c)
	}
	preview.foretells(t, err)
	if err != nil {
		if e := refusal(err); e == nil || e.Code == domain.CodeInternal || len(events) > 0 {
			t.Fatalf("%s: %T %+v: %v, %v", by, c, c, events, err)
		}
		return
	}
	t.Logf("%s with key %q: %T %+v", by, by.Key, c, c)
	m.collect(t, by, events)
	old := m.model.clone()
	m.model.apply(c, by, m.now)
	if len(events) == 0 {
		return
	}
	m.accepted[c.Name()]++
	m.withinGrantCeiling(t, old, by, c)
	m.withinKeyCeiling(t, old, by, c)
	m.withinCaller(t, old, by, c)
	m.withinQuotas(t, old, c)
	m.withinTime(t, old, by, c)
	m.withinPolicy(t, old, by, c)
	preview.cameTrue(t, m, old)
}

// collect adds a command's outcome to the commit that is being collected, as the engine does.
func (m *machine) collect(t rapid.TB, by domain.Actor, events []*eventv1.Event) {
	if m.open == nil {
		m.base = m.state
		m.open = &eventv1.Commit{Parent: uint64(m.base.Position), Time: stamp(m.now)}
	}
	entry := &eventv1.Entry{Actor: by.Stored(m.state, "", m.now), Events: events}
	next, err := domain.EvolveEntry(m.state, entry, len(m.open.Entries), m.base.Position+1, m.now)
	if err != nil {
		t.Fatal(err)
	}
	m.state, m.open.Entries = next, append(m.open.Entries, entry)
}

// seal ends the commit that is being collected: folded as a whole it gives the state that its commands left one by one.
func (m *machine) seal(t rapid.TB) {
	if m.open == nil {
		return
	}
	sealed, err := domain.Evolve(m.base, m.open, m.base.Position+1, domain.Hash{byte(len(m.log))})
	if err != nil {
		t.Fatal(err)
	}
	behind := m.state.Advanced(sealed.Position, sealed.Hash)
	behind.Time = sealed.Time
	if sealed.Digest() != behind.Digest() {
		t.Fatal("a commit of several commands gives another state than they do one by one")
	}
	m.log = append(m.log, m.open)
	m.state, m.open = sealed, nil
}

// replay folds the whole log from nothing: one commit after the other, in place as when a server starts, and with a snapshot
// written and read somewhere on the way.
//
// The last two fail if Evolve changes a table that Loading shares with another state, or if State.derive leaves out a table:
// tried.
func (m *machine) replay(t rapid.TB, cut int) {
	m.seal(t)
	for name, halfway := range map[string]func(*domain.State) *domain.State{
		"replay":   func(s *domain.State) *domain.State { return s },
		"loading":  func(s *domain.State) *domain.State { return s.Loading() },
		"snapshot": func(s *domain.State) *domain.State { return reread(t, s) },
	} {
		s := &domain.State{}
		for i, c := range m.log {
			if i == cut {
				s = halfway(s)
			}
			var err error
			if s, err = domain.Evolve(s, c, s.Position+1, domain.Hash{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if name == "loading" && cut < len(m.log) {
			s = s.Loaded()
		}
		if s.Digest() != m.state.Digest() {
			t.Fatalf("%s of %d commits, halfway at %d, gives another state", name, len(m.log), cut)
		}
	}
}

func reread(t rapid.TB, s *domain.State) *domain.State {
	var b bytes.Buffer
	if err := s.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	got, err := domain.ReadSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// passTime lets it be later, which ends a commit.
func (m *machine) passTime(t *rapid.T) {
	m.seal(t)
	m.now = m.now.Add(one(t, "later", []time.Duration{time.Minute, hour, hour, 24 * hour, 24 * hour, 8 * 24 * hour}))
}

func (m *machine) fresh(prefix string) string {
	m.made++
	return fmt.Sprint(prefix, 100+m.made)
}

// clone is the model before the next command.
func (m *model) clone() *model {
	c := *m
	c.orgs = cloned(m.orgs, func(o *modelOrg) {
		o.members, o.suspended, o.roles = maps.Clone(o.members), maps.Clone(o.suspended), maps.Clone(o.roles)
	})
	c.projects = cloned(m.projects, func(p *modelProject) { p.overrides = maps.Clone(p.overrides) })
	c.groups = cloned(m.groups, func(g *modelGroup) { g.projects, g.users = maps.Clone(g.projects), maps.Clone(g.users) })
	c.users, c.keys = cloned(m.users, func(*modelUser) {}), cloned(m.keys, func(*modelKey) {})
	c.invitations, c.offers = cloned(m.invitations, func(*modelInvitation) {}), cloned(m.offers, func(*modelOffer) {})
	c.plans, c.planes, c.identities = maps.Clone(m.plans), maps.Clone(m.planes), maps.Clone(m.identities)
	c.admins, c.own, c.given = maps.Clone(m.admins), maps.Clone(m.own), maps.Clone(m.given)
	return &c
}

func cloned[K comparable, V any](from map[K]*V, deepen func(*V)) map[K]*V {
	to := make(map[K]*V, len(from))
	for k, v := range from {
		c := *v
		deepen(&c)
		to[k] = &c
	}
	return to
}
