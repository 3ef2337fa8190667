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

// question is a check that may be asked, ready to be answered.
type question struct {
	subject    domain.Actor
	permission domain.Permission
	at         domain.Place
	// hidden is what to answer without looking, about those of whom the caller may not know.
	hidden domain.Reason
}

func (s *Server) check(ctx context.Context, req *tenurev1.CheckRequest) (*tenurev1.CheckResponse, error) {
	q, err := s.question(ctx, req)
	if err != nil {
		return nil, err
	}
	verdict := domain.Verdict{Reason: q.hidden}
	if q.hidden == "" {
		c := callFrom(ctx)
		verdict = c.state.Check(q.subject, q.permission, q.at, c.now)
	}
	return &tenurev1.CheckResponse{Allowed: verdict.Allowed, Reason: string(verdict.Reason), Role: string(verdict.Role)}, nil
}

// Explain answers a check with the way there.
func (s *Server) Explain(ctx context.Context, req *tenurev1.ExplainRequest) (*tenurev1.ExplainResponse, error) {
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	q, err := s.question(ctx, req.Check)
	if err != nil {
		return nil, err
	}
	c := callFrom(ctx)
	if q.hidden != "" {
		return &tenurev1.ExplainResponse{Reason: string(q.hidden), Token: c.token, Steps: []*tenurev1.Step{{
			Kind: "subject", Id: req.Check.UserId + req.Check.KeyId, Finding: string(domain.Absent),
			Text: "who was asked about is nobody that can be told about here",
		}}}, nil
	}
	verdict, steps := c.state.Explain(q.subject, q.permission, q.at, c.now)
	res := &tenurev1.ExplainResponse{Allowed: verdict.Allowed, Reason: string(verdict.Reason), Role: string(verdict.Role), Token: c.token}
	res.Steps = stepViews(steps)
	return res, nil
}

func stepViews(steps []domain.Step) (views []*tenurev1.Step) {
	for _, step := range steps {
		views = append(views, &tenurev1.Step{
			Kind: step.Kind, Id: step.ID, Finding: string(step.Finding), Role: string(step.Role), ExpiresAt: timestamp(step.ExpiresAt), Text: step.Text,
		})
	}
	return views
}

func (s *Server) question(ctx context.Context, req *tenurev1.CheckRequest) (q question, err error) {
	c := callFrom(ctx)
	targets, err := c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	subject, unknownKey := c.subject(req)
	if err == nil {
		targets[0].Self = subject == c.actor
		targets[0].EvenDeleted, targets[0].EvenInactive = true, true
	}
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return q, err
	}
	q.subject, q.at = subject, targets[0].Place
	if q.permission, err = permissionAt(c.state, q.at, req.Permission); err != nil {
		return q, err
	}
	if q.hidden = c.hidden(subject, q.at); unknownKey {
		q.hidden = domain.KeyUnknown
	}
	return q, nil
}

// permissionAt finds a permission at the level of a place.
func permissionAt(state *domain.State, at domain.Place, name string) (domain.Permission, error) {
	level := domain.OrgLevel
	if at.Project != nil {
		level = domain.ProjectLevel
	}
	p := state.Catalog().Parse(level, name)
	if p == 0 {
		return 0, domain.Invalidf("permission", domain.UnknownPermission, "%q is not a permission at the level of what is named", clip(name, 100))
	}
	return p, nil
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
	if subject == c.actor || c.state.IsAdmin(c.actor) {
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
