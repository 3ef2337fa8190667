package domain

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// stateChanges change one field of a state each.
var stateChanges = map[string]func(*State){
	"Position": func(s *State) { s.Position++ },
	"Hash":     func(s *State) { s.Hash[31]++ },
	"Time":     func(s *State) { s.Time = s.Time.Add(1) },
	"Voids":    func(s *State) { s.Voids++ },
	"Instance": func(s *State) { s.Instance.LogID = "other" },

	"orgs":     func(s *State) { s.orgs = s.orgs.With("org", &Org{}) },
	"projects": func(s *State) { s.projects = s.projects.With("project", &Project{}) },
	"users":    func(s *State) { s.users = s.users.With("user", &User{}) },
	"keys":     func(s *State) { s.keys = s.keys.With("key", &Key{}) },

	"emails":       func(s *State) { s.emails = s.emails.With("e-mail", "user") },
	"publicKeys":   func(s *State) { s.publicKeys = s.publicKeys.With("public", "key") },
	"verifiers":    func(s *State) { s.verifiers = s.verifiers.With("hash", "key") },
	"instanceKeys": func(s *State) { s.instanceKeys = s.instanceKeys.With("key", struct{}{}) },
	"erased":       func(s *State) { s.erased = s.erased.With("user", struct{}{}) },
	"catalog": func(s *State) {
		s.catalog = builtIn.withOwn([]CatalogEntry{{Level: OrgLevel, Name: "own:thing", From: Owner, Own: true}})
	},
	"admins":      func(s *State) { s.admins = s.admins.With("user", struct{}{}) },
	"plans":       func(s *State) { s.plans = s.plans.With("plan", &Plan{}) },
	"dataPlanes":  func(s *State) { s.dataPlanes = s.dataPlanes.With("plane", &DataPlane{}) },
	"groups":      func(s *State) { s.groups = s.groups.With("group", &Group{}) },
	"invitations": func(s *State) { s.invitations = s.invitations.With("invitation", &Invitation{}) },
	"invited":     func(s *State) { s.invited = s.invited.With("digest", Table[InvitationID, struct{}]{}) },
	"tokens":      func(s *State) { s.tokens = s.tokens.With("hash", "invitation") },
	"offers":      func(s *State) { s.offers = s.offers.With("offer", &Offer{}) },
	"identities":  func(s *State) { s.identities = s.identities.With("digest", "user") },
	"inits":       func(s *State) { s.inits = s.inits.With("what", struct{}{}) },
	"webhooks":    func(s *State) { s.webhooks = s.webhooks.With("webhook", &Webhook{}) },
	"memory":      func(s *State) { s.memory.Count++ },
}

var memoryChanges = map[string]func(*memory){
	"Buckets": func(m *memory) { m.Buckets = []bucket{{}} },
	"Count":   func(m *memory) { m.Count++ },
	"Forgot":  func(m *memory) { m.Forgot = time.Unix(1, 0) },
}

var bucketChanges = map[string]func(*bucket){
	"Begin": func(b *bucket) { b.Begin = time.Unix(1, 0) },
	"Table": func(b *bucket) { b.Table = b.Table.With("key", Remembered{}) },
}

// holdsAll fails unless there is a change for each field of a struct.
func holdsAll[C any](t *testing.T, of reflect.Type, changes map[string]C) {
	t.Helper()
	var fields []string
	for i := range of.NumField() {
		fields = append(fields, of.Field(i).Name)
	}
	slices.Sort(fields)
	if listed := slices.Sorted(maps.Keys(changes)); !slices.Equal(fields, listed) {
		t.Fatalf("%s has the fields %q, this test knows %q: put a new one into Digest as well", of, fields, listed)
	}
}

// Fails if a line is taken out of Digest, and if State gets another field: tried.
func TestDigestHoldsEveryFieldOfState(t *testing.T) {
	t.Parallel()
	held := maps.Clone(stateChanges)
	held["loading"] = nil // how the state is held, not what it says
	holdsAll(t, reflect.TypeFor[State](), held)
	holdsAll(t, reflect.TypeFor[memory](), memoryChanges)
	holdsAll(t, reflect.TypeFor[bucket](), bucketChanges)
	for name, change := range stateChanges {
		differs(t, name, State{}, change)
	}
	for name, change := range memoryChanges {
		differs(t, "memory."+name, State{}, func(s *State) { change(&s.memory) })
	}
	for name, change := range bucketChanges {
		differs(t, "bucket."+name, State{memory: memory{Buckets: []bucket{{}}}}, func(s *State) {
			b := bucket{}
			change(&b)
			s.memory.Buckets = []bucket{b}
		})
	}
}

// differs fails unless the change shows in the digest.
func differs(t *testing.T, name string, s State, change func(*State)) {
	t.Helper()
	before := s.Digest()
	if change(&s); s.Digest() == before {
		t.Errorf("%s does not show in the digest", name)
	}
}

// Fails if value skips a field, or writes two values alike: tried with time.Time, PermissionSet and maps.
func TestDigestHoldsEveryFieldOfEntities(t *testing.T) {
	t.Parallel()
	everyField(t, func(s *State, o Org) { s.orgs = s.orgs.With("id", &o) })
	everyField(t, func(s *State, p Project) { s.projects = s.projects.With("id", &p) })
	everyField(t, func(s *State, u User) { s.users = s.users.With("id", &u) })
	everyField(t, func(s *State, k Key) { s.keys = s.keys.With("id", &k) })
	everyField(t, func(s *State, i Instance) { s.Instance = i })
	everyField(t, func(s *State, g Grant) {
		s.orgs = s.orgs.With("id", &Org{Members: Table[UserID, Member]{}.With("user", Member{Grant: g})})
	})
	everyField(t, func(s *State, g Grant) {
		s.projects = s.projects.With("id", &Project{Overrides: Table[UserID, Grant]{}.With("user", g)})
	})
	everyField(t, func(s *State, m Member) {
		s.orgs = s.orgs.With("id", &Org{Members: Table[UserID, Member]{}.With("user", m)})
	})
	everyField(t, func(s *State, r CustomRole) {
		s.orgs = s.orgs.With("id", &Org{Roles: Table[Role, *CustomRole]{}.With("role", &r)})
	})
	everyField(t, func(s *State, g Group) { s.groups = s.groups.With("id", &g) })
	everyField(t, func(s *State, i Invitation) { s.invitations = s.invitations.With("id", &i) })
	everyField(t, func(s *State, o Offer) { s.offers = s.offers.With("id", &o) })
	everyField(t, func(s *State, p Plan) { s.plans = s.plans.With("id", &p) })
	everyField(t, func(s *State, q Quota) { s.plans = s.plans.With("id", &Plan{Quotas: Quotas{Members: q}}) })
	everyField(t, func(s *State, d DataPlane) { s.dataPlanes = s.dataPlanes.With("id", &d) })
	everyField(t, func(s *State, p Policy) { s.Instance.Policy = p })
	everyField(t, func(s *State, g SignUpGrant) { s.Instance.Policy.SignUp = []SignUpGrant{g} })
	everyField(t, func(s *State, i Identity) {
		s.users = s.users.With("id", &User{Identities: Table[string, Identity]{}.With("digest", i)})
	})
	everyField(t, func(s *State, v Sealed) { s.users = s.users.With("id", &User{Name: v}) })
	everyField(t, func(s *State, r Remembered) {
		s.memory.Buckets = []bucket{{Table: Table[string, Remembered]{}.With("key", r)}}
	})
}

// everyField changes one field of an entity after the other and expects as many digests.
func everyField[E any](t *testing.T, put func(*State, E)) {
	t.Helper()
	var zero E
	digest := func(e E) Hash {
		s := State{}
		put(&s, e)
		s.derive()
		if got := reread(t, &s); got.Digest() != s.Digest() {
			t.Errorf("%+v is another one when a snapshot of it was read", e)
		}
		return s.Digest()
	}
	seen := map[Hash]string{digest(zero): "nothing"}
	for i := range reflect.TypeFor[E]().NumField() {
		e := zero
		v := reflect.ValueOf(&e).Elem()
		name := v.Type().String() + "." + v.Type().Field(i).Name
		if !change(v.Field(i)) {
			t.Fatalf("%s: this test can't change a %s", name, v.Field(i).Type())
		}
		d := digest(e)
		if other, same := seen[d]; same {
			t.Errorf("a change of %s has the digest of a change of %s", name, other)
		}
		seen[d] = name
	}
}

// change gives a value that was zero another one.
func change(v reflect.Value) bool {
	var other any
	switch x := v.Interface().(type) {
	case time.Time:
		other = time.Unix(1, 0)
	case []netip.Prefix:
		other = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	case []string:
		other = []string{"x"}
	case map[string]string:
		other = map[string]string{"x": ""}
	case Sealed:
		other = Sealed{Data: "x"}
	case PermissionSet:
		other = PermissionSet{}.with(catalogSize())
	case interface{ another() any }:
		other = x.another()
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int:
			v.SetInt(1)
		case reflect.Uint8, reflect.Uint32, reflect.Uint64:
			v.SetUint(1)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Struct:
			return change(v.Field(0))
		default:
			return false
		}
		return true
	}
	v.Set(reflect.ValueOf(other))
	return true
}

// another is the table with a value more.
func (t Table[K, V]) another() any {
	value := reflect.New(reflect.TypeFor[V]()).Elem()
	if value.Kind() == reflect.Pointer {
		value.Set(reflect.New(value.Type().Elem()))
	}
	return t.With("x", value.Interface().(V))
}

// catalogSize is the last permission.
func catalogSize() Permission { return Permission(len(tenures)) }

// Text that moves from one field, element or level into the next is another digest, and so is another nanosecond. Fails if
// lengths, nanoseconds or one level of permissions are left out: tried.
func TestDigestKeepsNeighboursApart(t *testing.T) {
	t.Parallel()
	seen := map[Hash]int{}
	for i, k := range []Key{
		{}, {Name: "ab"}, {Name: "a", Note: "b"}, {Note: "ab"},
		{Environments: []string{"ab"}}, {Environments: []string{"a", "b"}}, {Environments: []string{"a"}, Note: "b"},
		{Permissions: orgSet("auditLogs:read")}, {Permissions: projectSet("auditLogs:read")},
		{ExpiresAt: time.Unix(1, 0)}, {ExpiresAt: time.Unix(1, 1)}, {ExpiresAt: time.Unix(2, 0)},
	} {
		s := State{}
		s.keys = s.keys.With("id", &k)
		if other, same := seen[s.Digest()]; same {
			t.Errorf("keys %d and %d have one digest", other, i)
		}
		seen[s.Digest()] = i
	}
}

func orgSet(name string) PermissionSet { return PermissionSet{}.with(ParsePermission(OrgLevel, name)) }
func projectSet(name string) PermissionSet {
	return PermissionSet{}.with(ParsePermission(ProjectLevel, name))
}

func TestDigestRefusesWhatItCantWrite(t *testing.T) {
	t.Parallel()
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "canonical form") {
			t.Errorf("a channel has a digest: %v", r)
		}
	}()
	canon{}.value(reflect.ValueOf(make(chan int)))
}
