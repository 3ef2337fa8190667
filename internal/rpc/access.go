package rpc

import (
	"context"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Check answers whether somebody may do something somewhere.
func (s *Server) Check(ctx context.Context, req *tenurev1.CheckRequest) (*tenurev1.CheckResponse, error) {
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	res, err := s.check(ctx, req)
	if err != nil {
		return nil, err
	}
	res.Token = callFrom(ctx).token
	return res, nil
}

// BatchCheck answers many checks from one state.
func (s *Server) BatchCheck(ctx context.Context, req *tenurev1.BatchCheckRequest) (*tenurev1.BatchCheckResponse, error) {
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	res := &tenurev1.BatchCheckResponse{Token: callFrom(ctx).token, Results: make([]*tenurev1.CheckResponse, 0, len(req.Checks))}
	for _, check := range req.Checks {
		answer, err := s.check(ctx, check)
		if err != nil {
			return nil, err
		}
		res.Results = append(res.Results, answer)
	}
	return res, nil
}

func (s *Server) check(ctx context.Context, req *tenurev1.CheckRequest) (*tenurev1.CheckResponse, error) {
	c := callFrom(ctx)
	targets, err := c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	subject, unknownKey := c.subject(req)
	if err == nil {
		targets[0].Self = subject == c.actor
		targets[0].EvenDeleted, targets[0].EvenInactive = true, true
	}
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	level := domain.OrgLevel
	if req.ProjectId != "" {
		level = domain.ProjectLevel
	}
	p := domain.ParsePermission(level, req.Permission)
	if p == 0 {
		return nil, domain.Invalidf("permission", domain.UnknownPermission, "%q is not a permission at the level of what is named", clip(req.Permission, 100))
	}
	if unknownKey {
		return &tenurev1.CheckResponse{Reason: string(domain.KeyUnknown)}, nil
	}
	verdict := c.state.Check(subject, p, targets[0].Place, c.now)
	if reason := c.hidden(subject, targets[0].Place); reason != "" {
		verdict = domain.Verdict{Reason: reason}
	}
	return &tenurev1.CheckResponse{Allowed: verdict.Allowed, Reason: string(verdict.Reason), Role: string(verdict.Role)}, nil
}

// subject is whom a check is about: the caller if nobody is named.
func (c *call) subject(req *tenurev1.CheckRequest) (subject domain.Actor, unknownKey bool) {
	switch {
	case req.KeyId != "":
		if domain.KeyID(req.KeyId) == c.actor.Key {
			return c.actor, false
		}
		k, ok := c.state.Key(domain.KeyID(req.KeyId))
		if !ok {
			return domain.Actor{}, true
		}
		return domain.KeyActor(k, ""), false
	case req.UserId != "":
		if c.actor.Kind == domain.ActorUser && c.actor.User == domain.UserID(req.UserId) {
			// Whoever asks about themselves with a key of their own learns what they may do with it.
			return c.actor, false
		}
		return domain.Actor{Kind: domain.ActorUser, User: domain.UserID(req.UserId)}, false
	}
	return c.actor, false
}

// hidden is what to answer about users and keys of other tenants, which read like those that do not exist; "" if the caller
// may know about the subject.
func (c *call) hidden(subject domain.Actor, at domain.Place) domain.Reason {
	if subject == c.actor || c.actor.Kind == domain.ActorInstance {
		return ""
	}
	stranger := subject.User != "" && !at.Org.Members.Has(subject.User)
	k, ok := c.state.Key(subject.Key)
	if !ok {
		if stranger {
			return domain.NotAMember
		}
		return ""
	}
	if k.User == "" {
		target, err := c.state.PrincipalTarget(k.Project, k.Org, "")
		stranger = err != nil || target[0].Place.Org == nil || !c.state.Sees(c.actor, target[0].Place, c.now)
	}
	if stranger {
		return domain.KeyUnknown
	}
	return ""
}
