package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Invitations, in words:
//
//  1. An invitation is for an e-mail address, whether or not it has an account, and for an organization, perhaps with a project
//     of it as well. One that is for a project alone makes a member with NONE and an override there.
//  2. Nobody invites to more than they hold. Who may only manage the members of a project invites to that project alone.
//  3. There is one pending invitation of an address to the same place. It is good until it expires, and can be renewed until it
//     was answered or taken back; a renewal makes the token before worthless.
//  4. It is accepted by the person who has the token and the invited address, or for them by an instance admin who has checked
//     the address.
//  5. Of a membership that exists an acceptance changes only what it adds: it lowers no role, cuts no time and lifts no block,
//     and covers nothing stronger that waits for the end of a grant. Overrides that hold more than the invitation gives end
//     when the membership did, or would have, if that had an end. A project that was deleted or has left the organization
//     meanwhile is passed over, if there is a role besides.
//  6. An invitation stands or falls by itself, whatever became of others.

// InvitationStatus is what became of an invitation. Whether a pending one has expired is judged at the time of the question.
type InvitationStatus uint8

const (
	// InvitationPending waits for an answer.
	InvitationPending InvitationStatus = iota + 1
	// InvitationAccepted made a member.
	InvitationAccepted
	// InvitationDeclined was turned down by the invited person.
	InvitationDeclined
	// InvitationRevoked was taken back.
	InvitationRevoked
	// InvitationExpired is never stored: it is what a pending one is after its time.
	InvitationExpired
)

const (
	// DefaultInvitationAge is how long an invitation is good if nothing else is asked for, MaxInvitationAge how long at most.
	DefaultInvitationAge = 7 * 24 * time.Hour
	MaxInvitationAge     = 90 * 24 * time.Hour
)

// Invitation offers an e-mail address a role.
type Invitation struct {
	ID          InvitationID
	Org         OrgID
	Email       Sealed
	EmailDigest string
	Role        Role
	Project     ProjectID // "" for none, or once the project has left the organization
	ProjectRole Role
	Status      InvitationStatus
	TokenHash   string
	InvitedBy   string
	User        UserID // who accepted
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// At is the status at a time.
func (i *Invitation) At(now time.Time) InvitationStatus {
	if i.Status == InvitationPending && expired(i.ExpiresAt, now) {
		return InvitationExpired
	}
	return i.Status
}

// Invite invites an e-mail address to a project, else to an organization.
type Invite struct {
	ID          InvitationID
	Org         OrgID
	Project     ProjectID
	Email       *eventv1.Sealed
	EmailDigest []byte
	Role        Role // "" is None, for a project alone
	ProjectRole Role
	ExpiresAt   time.Time // zero is DefaultInvitationAge from now
	TokenHash   []byte
}

// AcceptInvitation makes the invited person a member.
type AcceptInvitation struct {
	// TokenHash finds the invitation for a person, ID for an instance admin.
	TokenHash []byte
	ID        InvitationID
	// User is who accepts; "" is the actor.
	User UserID
}

// DeclineInvitation turns an invitation down.
type DeclineInvitation struct {
	TokenHash []byte
	ID        InvitationID
	User      UserID
}

// RevokeInvitation takes a pending invitation back.
type RevokeInvitation struct{ ID InvitationID }

// ResendInvitation renews an invitation under a new token.
type ResendInvitation struct {
	ID        InvitationID
	ExpiresAt time.Time // zero is DefaultInvitationAge from now
	TokenHash []byte
}

// Name is the method's name.
func (Invite) Name() string            { return "Invite" }
func (AcceptInvitation) Name() string  { return "AcceptInvitation" }
func (DeclineInvitation) Name() string { return "DeclineInvitation" }
func (RevokeInvitation) Name() string  { return "RevokeInvitation" }
func (ResendInvitation) Name() string  { return "ResendInvitation" }

// Targets names the place; who answers an invitation proves by token and address what it is about.
func (c Invite) Targets(s *State) ([]Target, error)           { return s.PlaceTarget(c.Org, c.Project) }
func (AcceptInvitation) Targets(*State) ([]Target, error)     { return nil, nil }
func (DeclineInvitation) Targets(*State) ([]Target, error)    { return nil, nil }
func (c RevokeInvitation) Targets(s *State) ([]Target, error) { return s.InvitationTarget(c.ID) }
func (c ResendInvitation) Targets(s *State) ([]Target, error) { return s.InvitationTarget(c.ID) }

// InvitationTarget is the place of an invitation that a request names.
func (s *State) InvitationTarget(id InvitationID) ([]Target, error) {
	i, ok := s.invitations.Get(id)
	if !ok {
		return nil, invitationNotFound(id)
	}
	targets, err := evenDeleted(s.PlaceTarget(i.Org, s.projectOf(i)))
	if err != nil {
		return nil, err
	}
	targets[0].Missing = invitationNotFound(id)
	return targets, nil
}

// projectOf is the project that an invitation is managed in; "" for none, or once it has left the organization.
func (s *State) projectOf(i *Invitation) ProjectID {
	if p, ok := s.projects.Get(i.Project); ok && p.Org == i.Org {
		return p.ID
	}
	return ""
}

func (c Invite) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.grantPlace(c.Org, c.Project)
	if err != nil {
		return nil, err
	}
	role, projectRole := None, Role("")
	if c.Role != "" {
		if role, err = s.knownRole(at.Org, "role", c.Role); err != nil {
			return nil, err
		}
	}
	switch {
	case at.Project != nil && c.ProjectRole == "":
		return nil, Invalidf("project_role", InvalidField, "must be given with a project")
	case at.Project != nil:
		if projectRole, err = s.knownRole(at.Org, "project_role", c.ProjectRole); err != nil {
			return nil, err
		}
	case c.ProjectRole != "":
		return nil, Invalidf("project_role", InvalidField, "goes with project_id, which names the project")
	case c.Role == "":
		return nil, Invalidf("role", InvalidField, "must be given; NONE makes a member who holds nothing yet")
	}
	if err := s.mayInvite(by, at, role, projectRole, now); err != nil {
		return nil, err
	}
	until, err := answerableUntil(c.ExpiresAt, now)
	if err != nil {
		return nil, err
	}
	for _, id := range s.Invited(string(c.EmailDigest)).Keys() {
		i, _ := s.invitations.Get(id)
		if i.At(now) == InvitationPending && i.Org == at.Org.ID && i.Project == c.Project {
			return nil, Errorf(CodeExists, InvitationExists, "invitation %s is for the same address and place; renew it with ResendInvitation, or revoke it", id)
		}
	}
	return one(at.event(&eventv1.Event{
		InvitationId: string(c.ID),
		Body: &eventv1.Event_InvitationSent{InvitationSent: &eventv1.InvitationSent{
			Email: c.Email, EmailDigest: c.EmailDigest, Role: string(role), ProjectRole: string(projectRole),
			ExpiresAt: storedTime(until), TokenHash: c.TokenHash,
		}},
	})), nil
}

// mayInvite refuses what an invitation gives beyond the actor's own.
func (s *State) mayInvite(by Actor, at Place, role, projectRole Role, now time.Time) error {
	org := Place{Org: at.Org}
	if role != None {
		if !s.Holds(by, organizationMembersCUD, org, now) {
			return Errorf(CodeDenied, PermissionDenied, "a role in the organization needs the permission organizationMembers:CUD there; leave role out to invite to the project alone")
		}
		if err := s.withinCeiling(by, org, now, s.permissions(at.Org, role)); err != nil {
			return err
		}
	}
	if at.Project == nil {
		return nil
	}
	return s.withinCeiling(by, at, now, s.permissions(at.Org, projectRole))
}

// answerableUntil is when something that waits for an answer expires.
func answerableUntil(wanted, now time.Time) (time.Time, error) {
	switch {
	case wanted.IsZero():
		return now.Add(DefaultInvitationAge), nil
	case expired(wanted, now):
		return wanted, Invalidf("expires_at", ExpiryInPast, "must be in the future")
	case wanted.Sub(now) > MaxInvitationAge:
		return wanted, Invalidf("expires_at", InvalidField, "must be at most %d days ahead", MaxInvitationAge/(24*time.Hour))
	}
	return wanted, nil
}

func (c RevokeInvitation) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	i, err := s.managedInvitation(by, c.ID, now)
	if err != nil || i.Status == InvitationRevoked {
		return nil, err
	}
	if i.Status != InvitationPending {
		return nil, invitationEnded()
	}
	return one(s.invitationEvent(i, &eventv1.Event{Body: &eventv1.Event_InvitationRevoked{InvitationRevoked: &eventv1.InvitationRevoked{}}})), nil
}

func (c ResendInvitation) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	i, err := s.managedInvitation(by, c.ID, now)
	if err != nil {
		return nil, err
	}
	if i.Status != InvitationPending {
		return nil, invitationEnded()
	}
	until, err := answerableUntil(c.ExpiresAt, now)
	if err != nil {
		return nil, err
	}
	return one(s.invitationEvent(i, &eventv1.Event{Body: &eventv1.Event_InvitationResent{InvitationResent: &eventv1.InvitationResent{
		ExpiresAt: &eventv1.TimeChange{Old: storedTime(i.ExpiresAt), New: storedTime(until)}, TokenHash: c.TokenHash,
	}}})), nil
}

// managedInvitation finds an invitation that the actor could send as well.
func (s *State) managedInvitation(by Actor, id InvitationID, now time.Time) (*Invitation, error) {
	i, ok := s.invitations.Get(id)
	if !ok {
		return nil, invitationNotFound(id)
	}
	at, err := s.Place(i.Org, s.projectOf(i))
	if err != nil {
		return nil, err
	}
	if at.Org.Status == Deleted {
		return nil, inState(OrgDeleted)
	}
	return i, s.mayInvite(by, at, i.Role, i.ProjectRole, now)
}

func (s *State) invitationEvent(i *Invitation, e *eventv1.Event) *eventv1.Event {
	e.OrgIds, e.ProjectId, e.InvitationId = []string{string(i.Org)}, string(i.Project), string(i.ID)
	return e
}

func (s *State) invitationSent(e *eventv1.Event, body *eventv1.InvitationSent, by *eventv1.Actor, at moment) {
	i := &Invitation{
		ID: InvitationID(e.InvitationId), Org: OrgID(e.OrgIds[0]), Email: sealedOf(body.Email), EmailDigest: string(body.EmailDigest),
		Role: Role(body.Role), Project: ProjectID(e.ProjectId), ProjectRole: Role(body.ProjectRole), Status: InvitationPending,
		TokenHash: string(body.TokenHash), InvitedBy: createdBy(by), CreatedAt: at.Time, ExpiresAt: timeOf(body.ExpiresAt),
	}
	s.invitations = s.invitations.With(i.ID, i)
	s.invited = s.invited.With(i.EmailDigest, s.Invited(i.EmailDigest).With(i.ID, struct{}{}))
	s.tokens = s.tokens.With(i.TokenHash, i.ID)
	s.editOrg(i.Org, func(o *Org) { o.Invitations = o.Invitations.With(i.ID, struct{}{}) })
	if i.Project != "" {
		s.editProject(i.Project, func(p *Project) { p.Invitations = p.Invitations.With(i.ID, struct{}{}) })
	}
}

func (s *State) invitationResent(e *eventv1.Event, body *eventv1.InvitationResent) {
	s.editInvitation(InvitationID(e.InvitationId), func(i *Invitation) {
		s.tokens = s.tokens.Without(i.TokenHash).With(string(body.TokenHash), i.ID)
		i.TokenHash, i.ExpiresAt = string(body.TokenHash), timeOf(body.ExpiresAt.GetNew())
	})
}

// invitationEnds leaves the token of an accepted or declined one: who sends it again is told what became of it.
func (s *State) invitationEnds(e *eventv1.Event, status InvitationStatus) {
	s.editInvitation(InvitationID(e.InvitationId), func(i *Invitation) {
		i.Status = status
		if status == InvitationRevoked {
			s.tokens = s.tokens.Without(i.TokenHash)
		}
		if status == InvitationAccepted {
			i.User = UserID(e.UserId)
			s.editUser(i.User, func(u *User) { u.Invitations = u.Invitations.With(i.ID, struct{}{}) })
		}
		if i.Project != "" {
			s.editProject(i.Project, func(p *Project) { p.Invitations = p.Invitations.Without(i.ID) })
		}
	})
}

func (s *State) editInvitation(id InvitationID, change func(*Invitation)) {
	old, ok := s.invitations.Get(id)
	if !ok {
		panic(misfit("invitation " + string(id)))
	}
	i := *old
	change(&i)
	s.invitations = s.invitations.With(id, &i)
}

// InvitationByToken finds an invitation by the hash of its token.
func (s *State) InvitationByToken(hash []byte) (*Invitation, bool) {
	id, ok := s.tokens.Get(string(hash))
	if !ok {
		return nil, false
	}
	return s.invitations.Get(id)
}
