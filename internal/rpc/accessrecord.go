package rpc

import (
	"errors"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/internal/edge"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// keepRefusal keeps a call that was refused for who called, in the access log:
//
//  1. unauthenticated: with credentials, whatever the method, because it is not the method that was refused; without, if the method
//     changes something or reads what is sensitive;
//  2. permission_denied, under the same condition: ceilings and chosen ids are among them, for they too say who may not;
//  3. not_found, under the same condition, if what is named is there and hidden from the caller. What does not exist is no attempt on
//     anybody.
//
// It is no refusal for who called, and not kept, if the request is wrong or the state of things stands against it
// (failed_precondition, already_exists, quotas), if an address is throttled (a metric counts that), or if a key in VerifyKey is not
// good: that is an answer.
//
// A record goes to the organization of what refused the caller, and to no other: whether a hidden thing exists must not be told by
// a record that the caller can read, so one of a hidden thing never goes to another place that the call named. What is of no
// organization (the instance, people, strangers' calls) is for instance admins. A stranger can name what they like: nothing of that
// is kept.
func (s *Server) keepRefusal(c *call, err error) {
	var known *domain.Error
	if !errors.As(err, &known) {
		return
	}
	state, of, refusals := s.Engine.State(), domain.Place{}, s.watched[c.procedure].refusals
	switch {
	case known.Code == domain.CodeUnauthenticated && (c.presented || refusals):
		if c.refused.Kind != 0 {
			whose := *c
			whose.actor, c = c.refused, &whose
		}
		of = placeOf(state, c.actor)
	case (known.Code == domain.CodeDenied || known.Code == domain.CodeNotFound) && refusals:
		target, refuses := refusing(state, c, known)
		if !refuses && known.Code == domain.CodeNotFound {
			return
		}
		of = target.Place
	default:
		return
	}
	a := &eventv1.AccessRecord{Kind: eventv1.AccessRecord_KIND_DENIED, Code: codes[known.Code].String(), ErrorReason: string(known.Reason)}
	s.AccessLog.Record(s.accessRecord(state, c, a, of))
}

// refusing is the target whose refusal this is, of several the one that Authorize meets first; none if the caller is refused
// everywhere, or if what is named is not there.
func refusing(state *domain.State, c *call, refusal *domain.Error) (domain.Target, bool) {
	for _, t := range c.targets {
		var here *domain.Error
		if errors.As(state.Authorize(c.actor, c.rule, []domain.Target{t}, c.now), &here) {
			return t, !t.Absent && here.Code == refusal.Code
		}
	}
	switch {
	case len(c.targets) > 0:
		// Denied by a ceiling, on what the caller sees. What is not found inside is not there.
		return c.targets[0], refusal.Code == domain.CodeDenied
	case refusal.Code == domain.CodeDenied || refusal.Reason == domain.InvitationNotFound:
		return invitation(state, c)
	}
	return domain.Target{}, false
}

// invitation is the one that AcceptInvitation or DeclineInvitation names: they have no targets and are judged by whether the caller is
// the person invited.
func invitation(state *domain.State, c *call) (domain.Target, bool) {
	m, ok := c.message.(interface{ GetInvitationId() string })
	if !ok {
		return domain.Target{}, false
	}
	targets, err := state.InvitationTarget(domain.InvitationID(m.GetInvitationId()))
	if err != nil {
		return domain.Target{}, false
	}
	return targets[0], true
}

// placeOf is where an actor is at home; nowhere, if it is a person or the instance.
func placeOf(state *domain.State, a domain.Actor) domain.Place {
	org := a.Org
	if u, ok := state.User(a.User); ok {
		org = u.Home
	}
	place, _ := state.Place(org, a.Project)
	return place
}

// keepRead keeps that something sensitive was read, in every organization that the call named; reading about oneself is none.
func (s *Server) keepRead(c *call) {
	if !s.watched[c.procedure].reads {
		return
	}
	state, places := s.Engine.State(), map[domain.OrgID]domain.Place{}
	for _, t := range c.targets {
		if t.User != "" && t.User == c.actor.User {
			return
		}
		if t.Place.Org != nil {
			places[t.Place.Org.ID] = t.Place
		}
	}
	if len(places) == 0 {
		places[""] = domain.Place{}
	}
	id := ulid.Make().String()
	for _, place := range places {
		a := &eventv1.AccessRecord{Id: id, Kind: eventv1.AccessRecord_KIND_READ, Code: "ok"}
		s.AccessLog.Record(s.accessRecord(state, c, a, place))
	}
}

// accessRecord fills in who called, what, and of the organization the things that the call named, as far as they are there: an id is
// kept because it is one, not because somebody wrote it.
func (s *Server) accessRecord(state *domain.State, c *call, a *eventv1.AccessRecord, of domain.Place) accesslog.Record {
	a.Time, a.Procedure = timestamppb.New(c.now), s.watched[c.procedure].name
	a.Request = &eventv1.RequestInfo{RequestId: c.requestID, TraceId: c.traceID}
	r := accesslog.Record{Stored: a, Subject: c.actor.Subject(), UserAgent: c.userAgent}
	if c.ip.IsValid() {
		r.IP = c.ip.String()
	}
	if c.actor.Kind == 0 {
		r.Caller, r.Stranger = edge.Source(c.ip).String(), true
		return r
	}
	r.Caller = c.actor.String() + " " + string(c.actor.Key)
	if of.Org != nil {
		a.OrgId, a.Own = string(of.Org.ID), state.Sees(c.actor, domain.Place{Org: of.Org}, c.now)
	}
	if of.Project != nil {
		a.ProjectId = string(of.Project.ID)
	}
	a.Actor = c.actor.Stored(state, domain.OrgID(a.OrgId), c.now)
	if m, ok := c.message.(interface{ GetReason() string }); ok {
		a.Reason = m.GetReason()
	}
	named(state, c, a)
	return r
}

// named adds the ids of a request that are of the record's organization; of the instance's records, those of people and their keys.
func named(state *domain.State, c *call, a *eventv1.AccessRecord) {
	for _, t := range c.targets {
		if t.User != "" {
			a.UserId = string(t.User)
		}
	}
	org := domain.OrgID(a.OrgId)
	if m, ok := c.message.(interface{ GetUserId() string }); ok && (a.Own || org == "") {
		if u, ok := state.User(domain.UserID(m.GetUserId())); ok {
			a.UserId = string(u.ID)
		}
	}
	if m, ok := c.message.(interface{ GetKeyId() string }); ok {
		if k, ok := state.Key(domain.KeyID(m.GetKeyId())); ok {
			if at := placeOf(state, domain.KeyActor(k, "")); at.Org == nil && org == "" || at.Org != nil && at.Org.ID == org {
				a.KeyId = string(k.ID)
			}
		}
	}
	if m, ok := c.message.(interface{ GetGroupId() string }); ok {
		if g, ok := state.Group(domain.GroupID(m.GetGroupId())); ok && g.Org == org {
			a.GroupId = string(g.ID)
		}
	}
	if m, ok := c.message.(interface{ GetOfferId() string }); ok {
		if o, ok := state.Offer(domain.OfferID(m.GetOfferId())); ok && (o.Source == org || o.Target == org) {
			a.OfferId = string(o.ID)
		}
	}
	if m, ok := c.message.(interface{ GetInvitationId() string }); ok {
		if i, ok := state.Invitation(domain.InvitationID(m.GetInvitationId())); ok && i.Org == org {
			a.InvitationId = string(i.ID)
		}
	}
}
