package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func (c AcceptInvitation) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	i, u, err := s.invitedPerson(by, c.TokenHash, c.ID, c.User, false)
	if err != nil {
		return nil, err
	}
	if i.Status == InvitationAccepted && i.User == u.ID {
		return nil, nil
	}
	if err := i.answerable(now); err != nil {
		return nil, err
	}
	o, _ := s.orgs.Get(i.Org)
	if reason := o.state(); reason != "" {
		return nil, inState(reason)
	}
	m, isMember := o.Members.Get(u.ID)
	if m.Suspended {
		return nil, inState(MemberSuspended)
	}
	p, ok := s.projects.Get(i.Project)
	gone := ok && p.Status == Deleted
	if gone && i.Role == None {
		return nil, inState(ProjectDeleted)
	}
	if !isMember {
		if err := s.roomForMembers(o, 1); err != nil {
			return nil, err
		}
	}
	events := one(Place{Org: o}.event(&eventv1.Event{
		ProjectId: string(i.Project), UserId: string(u.ID), InvitationId: string(i.ID),
		Body: &eventv1.Event_InvitationAccepted{InvitationAccepted: &eventv1.InvitationAccepted{}},
	}))
	inOrg := func(t time.Time) Effective { return s.orgRole(m, o, t) }
	after := *s
	if adds(inOrg, now, s.permissions(o, i.Role), s.Catalog().all) {
		ends := s.overridesEnd(i, o, u.ID, m.until(), now)
		for _, e := range append(ends, Place{Org: o}.granted(u.ID, m.Grant, Grant{Role: i.Role})) {
			after.evolve(e, nil, moment{Time: now})
			events = append(events, e)
		}
	}
	if !ok || gone {
		return events, nil
	}
	at, _ := after.Place("", i.Project)
	m, _ = at.Org.Members.Get(u.ID)
	inProject := func(t time.Time) Effective { return s.roleOf(u.ID, m, at, t) }
	e := inProject(now)
	blocked := e.Role == None && (e.By == ByProjectOverride || e.By == ByProjectGroup)
	if !blocked && adds(inProject, now, s.permissions(o, i.ProjectRole), s.Catalog().allProject) {
		old, _ := at.Project.Overrides.Get(u.ID)
		events = append(events, at.granted(u.ID, old, Grant{Role: i.ProjectRole}))
	}
	return events, nil
}

// overridesEnd are the events by which overrides of a user that hold more than an invitation gives end when the membership did or
// would have, because whoever sent the invitation need not hold them.
func (s *State) overridesEnd(i *Invitation, o *Org, user UserID, until, now time.Time) (events []*eventv1.Event) {
	if until.IsZero() {
		return nil
	}
	for _, d := range s.overridesOf(o, user) {
		gives := s.permissions(o, i.Role)
		if d.project == i.Project {
			gives = gives.Or(s.permissions(o, i.ProjectRole))
		}
		if s.permissions(o, d.grant.At(now)).And(s.Catalog().allProject).Within(gives) {
			continue
		}
		at, _ := s.Place("", d.project)
		switch {
		case expired(until, now):
			events = append(events, at.revoked(user, d.grant))
		case d.grant.ExpiresAt.IsZero() || d.grant.ExpiresAt.After(until):
			events = append(events, at.granted(user, d.grant, Grant{d.grant.Role, until}))
		}
	}
	return events
}

// adds tells whether a set for ever gives more than what is held, among the permissions that count: more of them, or more time.
// It takes nothing away then, not of what comes to count when a grant ends either.
func adds(held func(time.Time) Effective, now time.Time, set, among PermissionSet) bool {
	first, gets := held(now), set.And(among)
	for e := first; ; e = held(e.ExpiresAt) {
		if !e.set.And(among).Within(gets) {
			return false
		}
		if e.ExpiresAt.IsZero() {
			break
		}
	}
	return first.Role == "" || first.set.And(among) != gets || !first.ExpiresAt.IsZero()
}

func (c DeclineInvitation) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	i, u, err := s.invitedPerson(by, c.TokenHash, c.ID, c.User, true)
	if err != nil {
		return nil, err
	}
	if i.Status == InvitationDeclined {
		return nil, nil
	}
	if err := i.answerable(now); err != nil {
		return nil, err
	}
	e := s.invitationEvent(i, &eventv1.Event{Body: &eventv1.Event_InvitationDeclined{InvitationDeclined: &eventv1.InvitationDeclined{}}})
	e.UserId = string(u.ID)
	return one(e), nil
}

// invitedPerson finds the invitation and the person it is for. Whoever is not that person, or a person who should know the token
// and does not, meets what meets everybody if there is no such invitation.
func (s *State) invitedPerson(by Actor, tokenHash []byte, id InvitationID, user UserID, byIDAlone bool) (*Invitation, *User, error) {
	if err := s.fullKey(by); err != nil {
		return nil, nil, err
	}
	if s.IsAdmin(by) && user == "" && by.Kind != ActorUser {
		return nil, nil, Invalidf("user_id", InvalidField, "says whose invitation is answered; an instance admin gives it")
	}
	if user == "" {
		user = by.User
	}
	if user != by.User && !s.IsAdmin(by) {
		return nil, nil, Errorf(CodeDenied, PermissionDenied, "only instance admins may answer for somebody else; leave user_id out")
	}
	missing := Errorf(CodeNotFound, InvitationNotFound, "there is no such invitation for you; check it, and that you call as the person whose address was invited")
	if len(tokenHash) > 0 {
		var ok bool
		if id, ok = s.tokens.Get(string(tokenHash)); !ok {
			return nil, nil, missing
		}
	} else if !s.IsAdmin(by) && !byIDAlone {
		return nil, nil, Errorf(CodeDenied, PermissionDenied, "an invitation is accepted with its token: send accept_token")
	}
	i, ok := s.invitations.Get(id)
	u, known := s.users.Get(user)
	if !ok || !known || u.Status != UserActive || i.User != user && (u.EmailDigest == "" || i.EmailDigest != u.EmailDigest) {
		return nil, nil, missing
	}
	return i, u, nil
}

// answerable is an error if the invitation can't be accepted or declined any more.
func (i *Invitation) answerable(now time.Time) error {
	switch i.At(now) {
	case InvitationPending:
		return nil
	case InvitationExpired:
		return Errorf(CodePrecondition, InvitationExpiredReason, "the invitation has expired; ask for it to be sent again")
	}
	return invitationEnded()
}

func invitationEnded() error {
	return Errorf(CodePrecondition, InvitationEnded, "the invitation was answered or taken back; a new one can be sent")
}
