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
//  5. A service account is a user without login and e-mail, at home in one organization, whose managers of members rename it
//     and whose managers of keys make its keys.
//  6. An account elsewhere (issuer and subject, compared by a keyed digest) belongs to one person at a time.

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

// CreateServiceAccount makes a user without login.
type CreateServiceAccount struct {
	ID       UserID
	Chosen   bool // the caller chose the id
	Org      OrgID
	FullName *eventv1.Sealed
	Role     Role // "" is None
}

// LinkIdentity ties an account elsewhere to a person.
type LinkIdentity struct {
	ID      UserID
	Issuer  string
	Digest  []byte // of issuer and subject
	Subject *eventv1.Sealed
}

// UnlinkIdentity ends the tie.
type UnlinkIdentity struct {
	ID     UserID
	Digest []byte
}

// Name is the method's name.
func (CreateServiceAccount) Name() string { return "CreateServiceAccount" }
func (LinkIdentity) Name() string         { return "LinkIdentity" }
func (UnlinkIdentity) Name() string       { return "UnlinkIdentity" }
func (RegisterUser) Name() string         { return "RegisterUser" }
func (UpdateUser) Name() string           { return "UpdateUser" }
func (DeactivateUser) Name() string       { return "DeactivateUser" }
func (ReactivateUser) Name() string       { return "ReactivateUser" }
func (EraseUser) Name() string            { return "EraseUser" }

// Targets names the user.
func (RegisterUser) Targets(*State) ([]Target, error)             { return nil, nil }
func (c UpdateUser) Targets(s *State) ([]Target, error)           { return s.UserTarget(c.ID) }
func (c DeactivateUser) Targets(s *State) ([]Target, error)       { return s.UserTarget(c.ID) }
func (c ReactivateUser) Targets(s *State) ([]Target, error)       { return s.UserTarget(c.ID) }
func (c EraseUser) Targets(s *State) ([]Target, error)            { return s.UserTarget(c.ID) }
func (c LinkIdentity) Targets(s *State) ([]Target, error)         { return s.UserTarget(c.ID) }
func (c UnlinkIdentity) Targets(s *State) ([]Target, error)       { return s.UserTarget(c.ID) }
func (c CreateServiceAccount) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }

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
	if err := c.ID.mayBeChosen(c.Chosen); err != nil {
		return nil, err
	}
	registered := &eventv1.Event{
		UserId: string(c.ID),
		Body: &eventv1.Event_UserRegistered{UserRegistered: &eventv1.UserRegistered{
			Email: c.Email, EmailDigest: c.EmailDigest, Name: c.FullName,
		}},
	}
	return append(one(registered), s.signUp(c.ID)...), nil
}

// mayBeChosen refuses ids under which what is personal about others is sealed, see Actor.Subject and InvitationSent.
func (id UserID) mayBeChosen(chosen bool) error {
	if chosen && (id == "instance" || strings.HasPrefix(string(id), "key_") || strings.HasPrefix(string(id), "inv_")) {
		return Invalidf("user_id", InvalidField, "must not be \"instance\" or begin with key_ or inv_")
	}
	return nil
}

func (c CreateServiceAccount) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if err := s.chosenID(c.Chosen, by); err != nil {
		return nil, err
	}
	if err := c.ID.mayBeChosen(c.Chosen); err != nil {
		return nil, err
	}
	if s.users.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	role := None
	if c.Role != "" {
		if role, err = s.knownRole(o, "role", c.Role); err != nil {
			return nil, err
		}
	}
	at := Place{Org: o}
	if err := s.withinCeiling(by, at, now, s.permissions(o, role)); err != nil {
		return nil, err
	}
	if err := s.roomForMembers(o, 1); err != nil {
		return nil, err
	}
	created := at.event(&eventv1.Event{
		UserId: string(c.ID), Body: &eventv1.Event_ServiceAccountCreated{ServiceAccountCreated: &eventv1.ServiceAccountCreated{Name: c.FullName}},
	})
	return append(one(created), at.granted(c.ID, Grant{}, Grant{Role: role})), nil
}

// person refuses service accounts, and users that are not there.
func (s *State) person(id UserID) error {
	u, err := s.unerased(id)
	if err == nil && u.Home != "" {
		return Errorf(CodePrecondition, IsServiceAccount, "%s is a service account, and this is for people", id)
	}
	return err
}

func (c LinkIdentity) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	if err := s.person(c.ID); err != nil {
		return nil, err
	}
	if err := s.fullKey(by); err != nil {
		return nil, err
	}
	if holder, taken := s.identities.Get(string(c.Digest)); taken {
		if holder == c.ID {
			return nil, nil
		}
		return nil, Errorf(CodeExists, IdentityTaken, "another account is tied to this identity; unlink it there first")
	}
	// No organization is named: where else somebody has an account is not its business.
	return one(&eventv1.Event{UserId: string(c.ID), Body: &eventv1.Event_IdentityLinked{IdentityLinked: &eventv1.IdentityLinked{
		Identity: &eventv1.Identity{Issuer: c.Issuer, Digest: c.Digest, Subject: c.Subject},
	}}}), nil
}

func (c UnlinkIdentity) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, err := s.unerased(c.ID)
	if err != nil {
		return nil, err
	}
	if err := s.fullKey(by); err != nil {
		return nil, err
	}
	i, ok := u.Identities.Get(string(c.Digest))
	if !ok {
		return nil, nil
	}
	return one(&eventv1.Event{UserId: string(c.ID), Body: &eventv1.Event_IdentityUnlinked{IdentityUnlinked: &eventv1.IdentityUnlinked{
		Identity: &eventv1.Identity{Issuer: i.Issuer, Digest: c.Digest, Subject: i.Subject.stored()},
	}}}), nil
}

func (c UpdateUser) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	u, err := s.unerased(c.ID)
	if err != nil {
		return nil, err
	}
	// Who manages the members of a service account's organization has a permission for it.
	if u.Home == "" || by.User == u.ID {
		if err := s.fullKey(by); err != nil {
			return nil, err
		}
	}
	if c.Email != nil {
		if err := s.person(c.ID); err != nil {
			return nil, err
		}
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

func (s *State) serviceAccountCreated(e *eventv1.Event, body *eventv1.ServiceAccountCreated, at moment) {
	if !s.orgs.Has(OrgID(e.OrgIds[0])) {
		panic(misfit("organization " + e.OrgIds[0]))
	}
	u := &User{
		ID: UserID(e.UserId), Home: OrgID(e.OrgIds[0]), Name: sealedOf(body.Name), Status: UserActive, CreatedAt: at.Time, UpdatedAt: at.Time,
	}
	s.users = s.users.With(u.ID, u)
}

func (s *State) identityLinked(e *eventv1.Event, i *eventv1.Identity) {
	id, digest := UserID(e.UserId), string(i.GetDigest())
	s.identities = s.identities.With(digest, id)
	s.editUser(id, func(u *User) {
		u.Identities = u.Identities.With(digest, Identity{i.GetIssuer(), sealedOf(i.GetSubject())})
	})
}

func (s *State) identityUnlinked(e *eventv1.Event, i *eventv1.Identity) {
	s.identities = s.identities.Without(string(i.GetDigest()))
	s.editUser(UserID(e.UserId), func(u *User) { u.Identities = u.Identities.Without(string(i.GetDigest())) })
}

func (s *State) userUpdated(e *eventv1.Event, body *eventv1.UserUpdated, at moment) {
	id := UserID(e.UserId)
	s.editUser(id, func(u *User) {
		u.UpdatedAt = at.Time
		if body.Email != nil {
			for i := range s.Invited(u.EmailDigest).All() {
				u.Invitations = u.Invitations.With(i, struct{}{})
			}
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

// ErasedBy are the subjects whose personal keys must be destroyed because of an event, on the state behind it: the person, and
// every invitation that holds an address of theirs.
func (s *State) ErasedBy(e *eventv1.Event) (subjects []string) {
	body := e.GetUserErased()
	if body == nil {
		return nil
	}
	u, ok := s.users.Get(UserID(e.UserId))
	if !ok {
		return nil
	}
	return append(s.invitationSubjects(u, string(body.EmailDigest)), e.UserId)
}

func (s *State) invitationSubjects(u *User, digest string) (subjects []string) {
	for _, ids := range []Table[InvitationID, struct{}]{u.Invitations, s.Invited(digest)} {
		for id := range ids.All() {
			subjects = append(subjects, string(id))
		}
	}
	return subjects
}

// userErased: memberships, overrides, groups, identities and personal keys follow from the one event.
func (s *State) userErased(e *eventv1.Event, body *eventv1.UserErased, at moment) {
	id := UserID(e.UserId)
	u, ok := s.users.Get(id)
	if !ok {
		panic(misfit("user " + e.UserId))
	}
	for org := range u.Orgs.All() {
		o, _ := s.orgs.Get(org)
		m, _ := o.Members.Get(id)
		s.setMember(org, id, func(m *Member) { m.Grant = Grant{} })
		for _, g := range m.Groups {
			s.leaveGroup(g, id)
		}
	}
	for digest := range u.Identities.All() {
		s.identities = s.identities.Without(digest)
	}
	for _, subject := range s.invitationSubjects(u, string(body.EmailDigest)) {
		s.erased = s.erased.With(subject, struct{}{})
	}
	s.admins = s.admins.Without(id)
	for key := range u.Keys.All() {
		s.editKey(key, func(k *Key) {
			if k.RevokedAt.IsZero() {
				k.RevokedAt = at.Time
			}
		})
	}
	s.emails = s.emails.Without(string(body.EmailDigest))
	s.erased = s.erased.With(string(id), struct{}{})
	s.editUser(id, func(u *User) {
		u.Status, u.UpdatedAt, u.Email, u.EmailDigest, u.Name = UserIsErased, at.Time, Sealed{}, "", Sealed{}
		u.Identities = Table[string, Identity]{}
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
