package domain

import (
	"bytes"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Users, in words:
//
//  1. An e-mail, compared by the keyed digest of its lower-cased form, belongs to one user at a time. Registering one that
//     is known changes nothing.
//  2. A deactivated user may do nothing, personal keys included; memberships are kept and count again after reactivation.
//  3. An erased user is gone for good: memberships, overrides and personal keys end with the account, the e-mail is free.
//  4. None of this may take an organization its last owner.

// RegisterUser makes an account, unless the e-mail has one.
type RegisterUser struct {
	ID          UserID
	Chosen      bool // the caller chose the id
	Email       *eventv1.Sealed
	EmailDigest []byte
	FullName    *eventv1.Sealed
}

// UpdateUser changes what is not nil.
type UpdateUser struct {
	ID          UserID
	Email       *eventv1.Sealed
	EmailDigest []byte
	// FullName is the new name. The edge leaves it nil if the name stays the same: the domain can't compare sealed values.
	FullName *eventv1.Sealed
	// ClearName takes the name away.
	ClearName bool
}

// DeactivateUser denies a person everything.
type DeactivateUser struct{ ID UserID }

// ReactivateUser ends a deactivation.
type ReactivateUser struct{ ID UserID }

// EraseUser ends an account for good.
type EraseUser struct{ ID UserID }

// Name is the method's name.
func (RegisterUser) Name() string   { return "RegisterUser" }
func (UpdateUser) Name() string     { return "UpdateUser" }
func (DeactivateUser) Name() string { return "DeactivateUser" }
func (ReactivateUser) Name() string { return "ReactivateUser" }
func (EraseUser) Name() string      { return "EraseUser" }

// Targets names the user.
func (RegisterUser) Targets(*State) ([]Target, error)       { return nil, nil }
func (c UpdateUser) Targets(s *State) ([]Target, error)     { return s.UserTarget(c.ID) }
func (c DeactivateUser) Targets(s *State) ([]Target, error) { return s.UserTarget(c.ID) }
func (c ReactivateUser) Targets(s *State) ([]Target, error) { return s.UserTarget(c.ID) }
func (c EraseUser) Targets(s *State) ([]Target, error)      { return s.UserTarget(c.ID) }

func (c RegisterUser) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	if _, known := s.UserByEmail(c.EmailDigest); known {
		return nil, nil
	}
	if s.users.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	if c.Email == nil {
		// The edge saw an account with this e-mail, which has ended since.
		return nil, Errorf(CodeAborted, "CONTENTION", "the account of this e-mail changed at the same time; try again")
	}
	if c.Chosen && (c.ID == "instance" || strings.HasPrefix(string(c.ID), "key_")) {
		// Under these ids other actors' addresses are sealed, see Actor.Subject.
		return nil, Invalidf("user_id", InvalidField, "must not be \"instance\" or begin with key_")
	}
	return one(&eventv1.Event{
		UserId: string(c.ID),
		Body: &eventv1.Event_UserRegistered{UserRegistered: &eventv1.UserRegistered{
			Email: c.Email, EmailDigest: c.EmailDigest, Name: c.FullName,
		}},
	}), nil
}

func (c UpdateUser) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, err := s.unerased(c.ID)
	if err != nil {
		return nil, err
	}
	if err := s.fullKey(by); err != nil {
		return nil, err
	}
	body := &eventv1.UserUpdated{}
	if c.Email != nil && !bytes.Equal(c.EmailDigest, []byte(u.EmailDigest)) {
		if _, taken := s.UserByEmail(c.EmailDigest); taken {
			return nil, Errorf(CodeExists, EmailTaken, "another account has this e-mail")
		}
		body.Email = &eventv1.SealedChange{Old: u.Email.stored(), New: c.Email}
		body.OldEmailDigest, body.NewEmailDigest = []byte(u.EmailDigest), c.EmailDigest
	}
	if c.FullName != nil || c.ClearName && u.Name != (Sealed{}) {
		body.Name = &eventv1.SealedChange{Old: u.Name.stored(), New: c.FullName}
	}
	if body.Email == nil && body.Name == nil {
		return nil, nil
	}
	return one(s.userEvent(u, &eventv1.Event{Body: &eventv1.Event_UserUpdated{UserUpdated: body}})), nil
}

func (c DeactivateUser) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, err := s.unerased(c.ID)
	if err != nil || u.Status == UserIsDeactivated {
		return nil, err
	}
	if err := s.everyOrgKeepsOwner(u); err != nil {
		return nil, err
	}
	return one(s.userEvent(u, &eventv1.Event{Body: &eventv1.Event_UserDeactivated{UserDeactivated: &eventv1.UserDeactivated{}}})), nil
}

func (c ReactivateUser) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, err := s.unerased(c.ID)
	if err != nil || u.Status == UserActive {
		return nil, err
	}
	return one(s.userEvent(u, &eventv1.Event{Body: &eventv1.Event_UserReactivated{UserReactivated: &eventv1.UserReactivated{}}})), nil
}

func (c EraseUser) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, _ := s.users.Get(c.ID)
	if u.Status == UserIsErased {
		return nil, nil
	}
	if err := s.everyOrgKeepsOwner(u); err != nil {
		return nil, err
	}
	return one(s.userEvent(u, &eventv1.Event{Body: &eventv1.Event_UserErased{UserErased: &eventv1.UserErased{
		EmailDigest: []byte(u.EmailDigest),
	}}})), nil
}

func (s *State) unerased(id UserID) (*User, error) {
	u, ok := s.users.Get(id)
	if !ok {
		return nil, userNotFound(id)
	}
	if u.Status == UserIsErased {
		return nil, inState(UserErased)
	}
	return u, nil
}

// everyOrgKeepsOwner refuses what would take an organization in use its last owner.
func (s *State) everyOrgKeepsOwner(u *User) error {
	for _, id := range u.Orgs.Keys() {
		o, _ := s.orgs.Get(id)
		if o.Status == Deleted {
			continue
		}
		if err := s.keepsOwner(o, u.ID, false); err != nil {
			return err
		}
	}
	return nil
}

// userEvent fills in whom the event is about and every organization it affects.
func (s *State) userEvent(u *User, e *eventv1.Event) *eventv1.Event {
	e.UserId = string(u.ID)
	for _, id := range u.Orgs.Keys() {
		e.OrgIds = append(e.OrgIds, string(id))
	}
	return e
}

func (v Sealed) stored() *eventv1.Sealed {
	if v == (Sealed{}) {
		return nil
	}
	return &eventv1.Sealed{Subject: v.Subject, Data: []byte(v.Data)}
}

// Stored is the value as the sealing package reads it; nil if empty.
func (v Sealed) Stored() *eventv1.Sealed { return v.stored() }

func sealedOf(v *eventv1.Sealed) Sealed {
	return Sealed{Subject: v.GetSubject(), Data: string(v.GetData())}
}

func (s *State) userRegistered(e *eventv1.Event, body *eventv1.UserRegistered, at moment) {
	u := &User{
		ID: UserID(e.UserId), Email: sealedOf(body.Email), EmailDigest: string(body.EmailDigest), Name: sealedOf(body.Name),
		Status: UserActive, CreatedAt: at.Time, UpdatedAt: at.Time,
	}
	s.users = s.users.With(u.ID, u)
	s.emails = s.emails.With(u.EmailDigest, u.ID)
}

func (s *State) userUpdated(e *eventv1.Event, body *eventv1.UserUpdated, at moment) {
	id := UserID(e.UserId)
	s.editUser(id, func(u *User) {
		u.UpdatedAt = at.Time
		if body.Email != nil {
			u.Email, u.EmailDigest = sealedOf(body.Email.New), string(body.NewEmailDigest)
			s.emails = s.emails.Without(string(body.OldEmailDigest)).With(u.EmailDigest, id)
		}
		if body.Name != nil {
			u.Name = sealedOf(body.Name.New)
		}
	})
}

func (s *State) userStatus(e *eventv1.Event, status UserStatus, at moment) {
	s.editUser(UserID(e.UserId), func(u *User) { u.Status, u.UpdatedAt = status, at.Time })
}

// userErased: memberships, overrides and personal keys follow from the one event.
func (s *State) userErased(e *eventv1.Event, body *eventv1.UserErased, at moment) {
	id := UserID(e.UserId)
	u, ok := s.users.Get(id)
	if !ok {
		panic(misfit("user " + e.UserId))
	}
	for org := range u.Orgs.All() {
		o, _ := s.orgs.Get(org)
		for _, d := range s.overridesOf(o, id) {
			s.dropOverride(d.project, id)
		}
		s.dropMember(org, id)
	}
	for key := range u.Keys.All() {
		s.editKey(key, func(k *Key) {
			if k.RevokedAt.IsZero() {
				k.RevokedAt = at.Time
			}
		})
	}
	s.emails = s.emails.Without(string(body.EmailDigest))
	s.erased = s.erased.With(id, struct{}{})
	s.editUser(id, func(u *User) {
		u.Status, u.UpdatedAt, u.Email, u.EmailDigest, u.Name = UserIsErased, at.Time, Sealed{}, "", Sealed{}
	})
}

func (s *State) editUser(id UserID, change func(*User)) {
	old, ok := s.users.Get(id)
	if !ok {
		panic(misfit("user " + string(id)))
	}
	u := *old
	change(&u)
	s.users = s.users.With(id, &u)
}
