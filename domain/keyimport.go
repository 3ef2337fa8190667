package domain

import (
	"net/netip"
	"slices"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Imported keys, in words:
//
//  1. A key that was made elsewhere keeps its public part, hash, expiry and time of making; its secret is never known. One that
//     has expired already may be imported, for the record.
//  2. A hash that is slow to verify is replaced by a quick one when the secret was first seen to be right.

// ImportKey takes in a key that was made elsewhere.
type ImportKey struct {
	Minted
	Project ProjectID
	Org     OrgID
	User    UserID

	KeyName      string
	Note         string
	Permissions  []string // none means all that there are
	Environments []string
	Networks     []netip.Prefix
	ExpiresAt    time.Time
	MadeAt       time.Time
}

// RehashKey replaces the verifier of a key whose secret was right. Only Tenure itself gives it.
type RehashKey struct {
	ID KeyID
	// Old is the hash that the secret was right for.
	Old      string
	Verifier *eventv1.Verifier
}

// Name is the method's name, or the command's.
func (ImportKey) Name() string { return "ImportKey" }
func (RehashKey) Name() string { return "RehashKey" }

// Targets names the key's principal, or nothing.
func (c ImportKey) Targets(s *State) ([]Target, error) {
	return s.PrincipalTarget(c.Project, c.Org, c.User)
}
func (RehashKey) Targets(*State) ([]Target, error) { return nil, nil }

func (c ImportKey) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.principal(c.Project, c.Org, c.User)
	if err != nil {
		return nil, err
	}
	if s.taken(c.Minted) {
		return nil, Errorf(CodeExists, IDTaken, "there is a key with this id, public part or hash already")
	}
	set := keyScope(s, at)
	if len(c.Permissions) > 0 {
		if set, err = s.keySet(c.Permissions, set, set); err != nil {
			return nil, err
		}
	}
	environments := slices.Sorted(slices.Values(c.Environments))
	if err := environmentsKnown(at.Project, environments); err != nil {
		return nil, err
	}
	if at.Org != nil && c.User == "" && !expired(c.ExpiresAt, now) {
		if err := s.roomForKey(at.Org, now); err != nil {
			return nil, err
		}
	}
	return one(at.keyEvent(c.User, c.Minted.ID, &eventv1.Event{Body: &eventv1.Event_KeyImported{KeyImported: &eventv1.KeyImported{
		Key: c.Minted.event(&eventv1.KeyAttributes{
			Name: c.KeyName, Note: c.Note, Permissions: s.Catalog().Names(set), Environments: environments,
			AllowedNetworks: networkNames(c.Networks), ExpiresAt: storedTime(c.ExpiresAt),
		}),
		CreatedAt: storedTime(c.MadeAt),
	}}})), nil
}

func (c RehashKey) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	k, ok := s.keys.Get(c.ID)
	if !ok || k.Verifier != c.Old || k.state(now) != "" || s.verifiers.Has(string(c.Verifier.GetHash())) {
		return nil, nil
	}
	return one(s.keyPlace(k).keyEvent(k.User, k.ID, &eventv1.Event{Body: &eventv1.Event_KeyRehashed{KeyRehashed: &eventv1.KeyRehashed{
		OldScheme: k.Scheme, Verifier: c.Verifier,
	}}})), nil
}
