package domain

import (
	"net/netip"
	"slices"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Keys, in words:
//
//  1. A key never holds more than whoever made it. Who changes what it is good for must hold the old permissions and the
//     new ones; who rotates it gets its secret, and so must hold them as well. Anybody with the permission for keys may
//     revoke it. A key never makes another, or itself, live longer or work from more networks than it does. Personal keys
//     are managed with a personal key that holds everything; any of them may end itself. Those of a service account are
//     managed in its organization, and hold no more than their maker does there.
//  2. A key that is revoked or expired stays so; its id, public part and principal never change.
//  3. Only keys of projects are bound to environments, and only to declared ones.
//  4. Rotation makes a successor with the same attributes and the same expiry. The old key lives on for the grace, never
//     past its own expiry, and can't be rotated again.

// DefaultGrace and MaxGrace bound how long a rotated key lives on.
const (
	DefaultGrace = 24 * time.Hour
	MaxGrace     = 7 * 24 * time.Hour
)

// Preset is a named set of permissions for a new key.
type Preset string

const (
	// PresetFull is everything that whoever makes the key may give.
	PresetFull Preset = "full"
	// PresetReadOnly is what VIEWER holds.
	PresetReadOnly Preset = "read-only"
	// PresetIngestOnly is what data planes need beyond a valid key to take in scores; traces need no permission.
	PresetIngestOnly Preset = "ingest-only"
)

// Minted is a fresh secret as far as the log may know it.
type Minted struct {
	ID       KeyID
	Public   string
	Display  string
	Verifier *eventv1.Verifier
}

// CreateKey makes a key for a project, else a user, else an organization, else the instance.
type CreateKey struct {
	Minted
	Project ProjectID
	Org     OrgID
	User    UserID

	KeyName      string
	Note         string
	Permissions  []string
	Preset       Preset
	Environments []string
	Networks     []netip.Prefix
	ExpiresAt    time.Time
}

// UpdateKey changes what is not nil.
type UpdateKey struct {
	ID           KeyID
	KeyName      *string
	Note         *string
	Permissions  *[]string
	Environments *[]string
	Networks     *[]netip.Prefix
	ExpiresAt    *time.Time
}

// RotateKey gives a key a successor.
type RotateKey struct {
	ID        KeyID
	Successor Minted
	Grace     time.Duration
}

// RevokeKey ends a key.
type RevokeKey struct{ ID KeyID }

// Name is the method's name.
func (CreateKey) Name() string { return "CreateKey" }
func (UpdateKey) Name() string { return "UpdateKey" }
func (RotateKey) Name() string { return "RotateKey" }
func (RevokeKey) Name() string { return "RevokeKey" }

// Targets names the key's principal.
func (c CreateKey) Targets(s *State) ([]Target, error) {
	return s.PrincipalTarget(c.Project, c.Org, c.User)
}
func (c UpdateKey) Targets(s *State) ([]Target, error) { return s.KeyTarget(c.ID) }
func (c RotateKey) Targets(s *State) ([]Target, error) { return s.KeyTarget(c.ID) }
func (c RevokeKey) Targets(s *State) ([]Target, error) { return s.KeyTarget(c.ID) }

func (c CreateKey) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.principal(c.Project, c.Org, c.User)
	if err != nil {
		return nil, err
	}
	if err := s.managesKeys(by, at, c.User, ""); err != nil {
		return nil, err
	}
	if s.taken(c.Minted) {
		return nil, idTaken(string(c.Minted.ID))
	}
	if err := s.withinCaller(by, c.ExpiresAt, c.Networks); err != nil {
		return nil, err
	}
	if expired(c.ExpiresAt, now) {
		return nil, Invalidf("expires_at", ExpiryInPast, "must be in the future")
	}
	ceiling := s.keyCeiling(by, at, now)
	set, err := c.permissions(s, keyScope(s, at), ceiling)
	if err != nil {
		return nil, err
	}
	environments := slices.Sorted(slices.Values(c.Environments))
	if err := environmentsKnown(at.Project, environments); err != nil {
		return nil, err
	}
	if at.Org != nil && c.User == "" {
		if err := s.roomForKey(at.Org, now); err != nil {
			return nil, err
		}
	}
	return one(at.keyEvent(c.User, c.Minted.ID, &eventv1.Event{Body: &eventv1.Event_KeyCreated{KeyCreated: c.Minted.event(&eventv1.KeyAttributes{
		Name: c.KeyName, Note: c.Note, Permissions: s.Catalog().Names(set), Environments: environments,
		AllowedNetworks: networkNames(c.Networks), ExpiresAt: storedTime(c.ExpiresAt),
	})}})), nil
}

// permissions are what the new key holds: those named, which must be within the ceiling, else those of the preset as far
// as the ceiling goes.
func (c CreateKey) permissions(s *State, scope, ceiling PermissionSet) (PermissionSet, error) {
	if len(c.Permissions) > 0 {
		return s.keySet(c.Permissions, scope, ceiling)
	}
	set := scope
	switch c.Preset {
	case PresetReadOnly:
		set = s.Catalog().BuiltIn(Viewer).And(scope)
	case PresetIngestOnly:
		set, _ = s.Catalog().named([]string{"scores:CUD"}, scope)
	}
	return s.byName(set.And(ceiling), scope), nil
}

// byName is the part of a set that names can tell: a key's permissions are stored by name, and a name stands for every level at
// which the key can hold it.
func (s *State) byName(set, scope PermissionSet) (part PermissionSet) {
	scope = scope.And(s.Catalog().all)
	for levels := range s.Catalog().namesakes() {
		if levels = levels.And(scope); levels.Within(set) {
			part = part.Or(levels)
		}
	}
	return part
}

// keySet is the permissions of these names, which must be within the scope and the ceiling.
func (s *State) keySet(names []string, scope, ceiling PermissionSet) (PermissionSet, error) {
	set, unknown := s.Catalog().named(names, scope)
	if unknown != "" {
		return set, Invalidf("permissions", UnknownPermission, "%q is not a permission that this key can hold", unknown)
	}
	if !set.Within(ceiling) {
		return set, keyCeilingError()
	}
	return set, nil
}

func keyCeilingError() error {
	return Errorf(CodeDenied, KeyCeiling, "the key would hold more than you do here; leave out what you do not hold, or ask somebody who does")
}

func (c UpdateKey) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	k, at, err := s.liveKey(c.ID, now)
	if err != nil {
		return nil, err
	}
	if err := s.managesKeys(by, at, k.User, ""); err != nil {
		return nil, err
	}
	body := &eventv1.KeyUpdated{Name: stringChange(k.Name, c.KeyName), Note: stringChange(k.Note, c.Note)}
	if c.Permissions != nil {
		ceiling := s.keyCeiling(by, at, now)
		set, err := s.keySet(*c.Permissions, keyScope(s, at), ceiling)
		if err != nil {
			return nil, err
		}
		body.Permissions = stringsChange(s.Catalog().Names(k.Permissions), s.Catalog().Names(set))
	}
	if c.Environments != nil {
		environments := slices.Sorted(slices.Values(*c.Environments))
		if err := environmentsKnown(at.Project, environments); err != nil {
			return nil, err
		}
		body.Environments = stringsChange(k.Environments, environments)
	}
	if c.Networks != nil {
		body.AllowedNetworks = stringsChange(networkNames(k.Networks), networkNames(*c.Networks))
	}
	if c.ExpiresAt != nil && !c.ExpiresAt.Equal(k.ExpiresAt) {
		if expired(*c.ExpiresAt, now) {
			return nil, Invalidf("expires_at", ExpiryInPast, "must be in the future; RevokeKey ends a key at once")
		}
		if k.Successor != "" {
			return nil, inState(KeyRotated)
		}
		if err := s.withinCaller(by, *c.ExpiresAt, k.Networks); err != nil {
			return nil, err
		}
		body.ExpiresAt = &eventv1.TimeChange{Old: storedTime(k.ExpiresAt), New: storedTime(*c.ExpiresAt)}
	}
	if body.AllowedNetworks != nil {
		if err := s.withinCaller(by, k.ExpiresAt, *c.Networks); err != nil {
			return nil, err
		}
	}
	goodFor := body.Permissions != nil || body.Environments != nil || body.AllowedNetworks != nil || body.ExpiresAt != nil
	if goodFor && !s.keyHolds(k).Within(s.keyCeiling(by, at, now)) {
		return nil, keyCeilingError()
	}
	if body.Name == nil && body.Note == nil && !goodFor {
		return nil, nil
	}
	return one(at.keyEvent(k.User, k.ID, &eventv1.Event{Body: &eventv1.Event_KeyUpdated{KeyUpdated: body}})), nil
}

func (c RotateKey) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	k, at, err := s.liveKey(c.ID, now)
	if err != nil {
		return nil, err
	}
	if err := s.managesKeys(by, at, k.User, ""); err != nil {
		return nil, err
	}
	if k.Successor != "" {
		return nil, inState(KeyRotated)
	}
	if !s.keyHolds(k).Within(s.keyCeiling(by, at, now)) {
		return nil, Errorf(CodeDenied, KeyCeiling, "the key holds more than you do here, so you may not see its new secret; ask somebody who holds it")
	}
	if err := s.withinCaller(by, k.ExpiresAt, k.Networks); err != nil {
		return nil, err
	}
	if s.taken(c.Successor) {
		return nil, idTaken(string(c.Successor.ID))
	}
	end := now.Add(c.Grace)
	if !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(end) {
		end = k.ExpiresAt
	}
	return one(at.keyEvent(k.User, k.ID, &eventv1.Event{Body: &eventv1.Event_KeyRotated{KeyRotated: &eventv1.KeyRotated{
		SuccessorKeyId: string(c.Successor.ID),
		Successor: c.Successor.event(&eventv1.KeyAttributes{
			Name: k.Name, Note: k.Note, Permissions: s.Catalog().Names(k.Permissions), Environments: k.Environments,
			AllowedNetworks: networkNames(k.Networks), ExpiresAt: storedTime(k.ExpiresAt),
		}),
		ExpiresAt: &eventv1.TimeChange{Old: storedTime(k.ExpiresAt), New: storedTime(end)},
	}}})), nil
}

func (c RevokeKey) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	k, _ := s.keys.Get(c.ID)
	at := s.keyPlace(k)
	if err := s.managesKeys(by, at, k.User, c.ID); err != nil {
		return nil, err
	}
	if !k.RevokedAt.IsZero() {
		return nil, nil
	}
	return one(at.keyEvent(k.User, k.ID, &eventv1.Event{Body: &eventv1.Event_KeyRevoked{KeyRevoked: &eventv1.KeyRevoked{PublicKey: k.Public}}})), nil
}

// taken tells whether a key has the id, the public part or the secret already.
func (s *State) taken(m Minted) bool {
	return s.keys.Has(m.ID) || s.publicKeys.Has(m.Public) || s.verifiers.Has(string(m.Verifier.GetHash()))
}

// managesKeys refuses to manage a person's keys with one that does not hold everything: a leaked narrow one must not free
// itself. It may end itself, if ends names it. Keys of a service account are managed as those of its organization are.
func (s *State) managesKeys(by Actor, at Place, user UserID, ends KeyID) error {
	if user == "" || at.Org != nil || by.Key != "" && by.Key == ends {
		return nil
	}
	return s.fullKey(by)
}

// withinCaller refuses what would let a key outlive the one it is made or changed with, or leave its networks.
func (s *State) withinCaller(by Actor, expires time.Time, networks []netip.Prefix) error {
	caller, ok := s.keys.Get(by.Key)
	if !ok {
		return nil
	}
	longer := !caller.ExpiresAt.IsZero() && (expires.IsZero() || expires.After(caller.ExpiresAt))
	wider := len(caller.Networks) > 0 && (len(networks) == 0 || slices.ContainsFunc(networks, func(n netip.Prefix) bool {
		return !slices.ContainsFunc(caller.Networks, func(c netip.Prefix) bool { return c.Bits() <= n.Bits() && c.Contains(n.Addr()) })
	}))
	if longer || wider {
		return Errorf(CodeDenied, KeyCeiling, "the key would live longer or work from more networks than the one you call with; narrow it, or call with another one")
	}
	return nil
}

// principal finds what a new key is to act as; all of it must be active. The zero Place is a person's, or the instance; a service
// account's is its home.
func (s *State) principal(project ProjectID, org OrgID, user UserID) (Place, error) {
	switch {
	case project != "":
		return s.activeProject(project)
	case user != "":
		u, err := s.unerased(user)
		if err != nil {
			return Place{}, err
		}
		if reason := s.userState(user); reason != "" {
			return Place{}, inState(reason)
		}
		if u.Home == "" {
			return Place{}, nil
		}
		o, err := s.undeleted(u.Home)
		return Place{Org: o}, err
	case org != "":
		o, err := s.undeleted(org)
		return Place{Org: o}, err
	}
	return Place{}, nil
}

// keyPlace is where a key's principal is now; the zero Place for a person's or the instance's.
func (s *State) keyPlace(k *Key) Place {
	org := k.Org
	if u, ok := s.users.Get(k.User); ok {
		org = u.Home
	}
	if k.Project == "" && org == "" {
		return Place{}
	}
	at, _ := s.Place(org, k.Project)
	return at
}

// keyHolds is what a key holds of what there is to hold.
func (s *State) keyHolds(k *Key) PermissionSet { return k.Permissions.And(s.Catalog().all) }

func (s *State) liveKey(id KeyID, now time.Time) (*Key, Place, error) {
	k, ok := s.keys.Get(id)
	if !ok {
		return nil, Place{}, keyNotFound(id)
	}
	if reason := k.state(now); reason != "" {
		return nil, Place{}, inState(reason)
	}
	return k, s.keyPlace(k), nil
}

// keyScope is all that a key of the place can hold: a project's only project-level permissions.
func keyScope(s *State, at Place) PermissionSet {
	if at.Project != nil {
		return s.Catalog().allProject
	}
	return s.Catalog().all
}

// keyCeiling is the most a key made by the actor may hold: what the actor holds at the place itself. A user's own key has no
// place, it is capped at each use; but a key that makes another never makes a stronger one.
func (s *State) keyCeiling(by Actor, at Place, now time.Time) PermissionSet {
	if at.Org != nil {
		return s.held(by, at, now).set
	}
	if by.Key == "" {
		return s.Catalog().all
	}
	k, _ := s.keys.Get(by.Key)
	return s.keyHolds(k)
}

func environmentsKnown(p *Project, environments []string) error {
	for _, e := range environments {
		if p == nil {
			return Invalidf("environments", UnknownEnvironment, "only keys of projects are bound to environments")
		}
		if e != DefaultEnvironment && !slices.Contains(p.Environments, e) {
			return Invalidf("environments", UnknownEnvironment, "the project has no environment %q; declare it with UpdateProject first", e)
		}
	}
	return nil
}

func networkNames(networks []netip.Prefix) []string {
	var names []string
	for _, n := range networks {
		names = append(names, n.Masked().String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m Minted) event(attributes *eventv1.KeyAttributes) *eventv1.KeyCreated {
	return &eventv1.KeyCreated{PublicKey: m.Public, Verifier: m.Verifier, DisplaySecret: m.Display, Attributes: attributes}
}

// keyEvent fills in where a key's event happened.
func (at Place) keyEvent(user UserID, key KeyID, e *eventv1.Event) *eventv1.Event {
	e.UserId, e.KeyId = string(user), string(key)
	if at.Org == nil {
		return e
	}
	return at.event(e)
}
