package rpc

import (
	"context"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// DefinePlan makes or changes a plan.
func (s *Server) DefinePlan(ctx context.Context, req *tenurev1.DefinePlanRequest) (*tenurev1.DefinePlanResponse, error) {
	quota := func(n *uint32) domain.Quota {
		if n == nil {
			return domain.Quota{}
		}
		return domain.Quota{Bound: true, Max: *n}
	}
	quotas := req.Quotas
	if quotas == nil {
		quotas = &tenurev1.Quotas{}
	}
	out, err := s.execute(ctx, req.Reason, domain.DefinePlan{
		ID: domain.PlanID(req.PlanId), PlanName: req.Name,
		Quotas: domain.Quotas{Projects: quota(quotas.Projects), Members: quota(quotas.Members), Keys: quota(quotas.Keys)},
	})
	if err != nil {
		return nil, err
	}
	p, _ := out.State.Plan(domain.PlanID(req.PlanId))
	return &tenurev1.DefinePlanResponse{Plan: planView(p), Token: token(out)}, nil
}

// ListPlans answers all plans.
func (s *Server) ListPlans(ctx context.Context, req *tenurev1.ListPlansRequest) (*tenurev1.ListPlansResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	plans, next, err := page("plans", state.Plans().Page, req.PageSize, req.PageToken,
		func(_ domain.PlanID, p *domain.Plan) (*tenurev1.Plan, bool) { return planView(p), true })
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListPlansResponse{Plans: plans, NextPageToken: next}, nil
}

func planView(p *domain.Plan) *tenurev1.Plan {
	quota := func(q domain.Quota) *uint32 {
		if !q.Bound {
			return nil
		}
		return &q.Max
	}
	return &tenurev1.Plan{Id: string(p.ID), Name: p.Name, Quotas: &tenurev1.Quotas{
		Projects: quota(p.Projects), Members: quota(p.Members), Keys: quota(p.Keys),
	}}
}
