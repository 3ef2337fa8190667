package rpc

import (
	"context"
	"iter"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/directory"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// CreateOrg makes an organization.
func (s *Server) CreateOrg(ctx context.Context, req *tenurev1.CreateOrgRequest) (*tenurev1.CreateOrgResponse, error) {
	id, chosen := newID(req.OrgId, "org_")
	c := domain.CreateOrg{
		ID: domain.OrgID(id), Chosen: chosen, OrgName: req.Name, Metadata: req.Metadata, Owner: domain.UserID(req.OwnerUserId),
		Residency: req.Residency,
	}
	var err error
	if c.EmailDomain, c.EmailDigest, err = s.callersDomain(ctx); err != nil {
		return nil, err
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.CreateOrgResponse{
		Org: orgOf(out, domain.OrgID(out.Events[0].OrgIds[0])), Token: token(out), Warnings: nameWarnings(out.State, domain.OrgLevel, &req.Name),
	}, nil
}

// callersDomain is the domain of the calling person's address, if the policy asks for it, with the digest of the address.
func (s *Server) callersDomain(ctx context.Context) (domainOf string, digest []byte, err error) {
	state, c := s.Engine.State(), callFrom(ctx)
	u, ok := state.User(c.actor.User)
	if !ok || state.Instance.Policy.OrgCreators != domain.CreatorsListed {
		return "", nil, nil
	}
	email, _, err := s.openUser(ctx, u)
	return email[strings.LastIndex(email, "@")+1:], []byte(u.EmailDigest), err
}

// nameWarnings are what the naming policy would like otherwise about a new name, if there is one.
func nameWarnings(state *domain.State, level domain.Level, name *string) []string {
	if name == nil {
		return nil
	}
	if warning := state.NameWarning(level, *name); warning != "" {
		return []string{warning}
	}
	return nil
}

// GetOrg answers one organization.
func (s *Server) GetOrg(ctx context.Context, req *tenurev1.GetOrgRequest) (*tenurev1.GetOrgResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.OrgTarget(domain.OrgID(req.OrgId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	return &tenurev1.GetOrgResponse{Org: orgView(targets[0].Place.Org)}, nil
}

// ListOrgs answers the organizations the caller can see.
func (s *Server) ListOrgs(ctx context.Context, req *tenurev1.ListOrgsRequest) (*tenurev1.ListOrgsResponse, error) {
	c := callFrom(ctx)
	all := c.state.Orgs().Page
	admin := c.state.IsAdmin(c.actor)
	if u, ok := c.state.User(c.actor.User); ok && !admin {
		all = behind(u.Orgs, c.state.Org)
	}
	orgs, next, err := page("orgs", all, req.PageSize, req.PageToken,
		func(_ domain.OrgID, o *domain.Org) (*tenurev1.Org, bool) {
			visible := admin || o.Status == domain.Active && c.state.Sees(c.actor, domain.Place{Org: o}, c.now)
			if !visible {
				return nil, false
			}
			return orgView(o), true
		})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListOrgsResponse{Orgs: orgs, NextPageToken: next}, nil
}

// SearchOrgs finds organizations of the instance by a part of their name or metadata.
func (s *Server) SearchOrgs(ctx context.Context, req *tenurev1.SearchOrgsRequest) (*tenurev1.SearchOrgsResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	after, err := cursor("search-orgs", req.PageToken)
	if err != nil {
		return nil, err
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	ids, err := directory.SearchOrgs(ctx, m, req.Query, domain.OrgID(after), pageSize(req.PageSize))
	if err != nil {
		return nil, readError(err)
	}
	res := &tenurev1.SearchOrgsResponse{}
	for _, id := range ids {
		if o, ok := state.Org(id); ok {
			res.Orgs = append(res.Orgs, orgView(o))
		}
	}
	if len(ids) == pageSize(req.PageSize) {
		res.NextPageToken = pageToken("search-orgs", string(ids[len(ids)-1]))
	}
	return res, nil
}

// UpdateOrg changes name or metadata.
func (s *Server) UpdateOrg(ctx context.Context, req *tenurev1.UpdateOrgRequest) (*tenurev1.UpdateOrgResponse, error) {
	c := domain.UpdateOrg{ID: domain.OrgID(req.OrgId), OrgName: req.Name, Metadata: metadata(req.Metadata, req.ClearMetadata)}
	if req.Residency != "" || req.AnyResidency {
		c.Residency = &req.Residency
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateOrgResponse{
		Org: orgOf(out, c.ID), Token: token(out), Warnings: nameWarnings(out.State, domain.OrgLevel, req.Name),
	}, nil
}

// SetPlan gives an organization a plan.
func (s *Server) SetPlan(ctx context.Context, req *tenurev1.SetPlanRequest) (*tenurev1.SetPlanResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.SetPlan{Org: domain.OrgID(req.OrgId), Plan: domain.PlanID(req.PlanId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.SetPlanResponse{Org: orgOf(out, domain.OrgID(req.OrgId)), Token: token(out)}, nil
}

// PlaceOrg puts an organization on a data plane.
func (s *Server) PlaceOrg(ctx context.Context, req *tenurev1.PlaceOrgRequest) (*tenurev1.PlaceOrgResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.PlaceOrg{Org: domain.OrgID(req.OrgId), DataPlane: domain.DataPlaneID(req.DataPlaneId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.PlaceOrgResponse{Org: orgOf(out, domain.OrgID(req.OrgId)), Token: token(out)}, nil
}

// SuspendOrg denies everything in an organization.
func (s *Server) SuspendOrg(ctx context.Context, req *tenurev1.SuspendOrgRequest) (*tenurev1.SuspendOrgResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.SuspendOrg{ID: domain.OrgID(req.OrgId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.SuspendOrgResponse{Org: orgOf(out, domain.OrgID(req.OrgId)), Token: token(out)}, nil
}

// ResumeOrg ends a suspension.
func (s *Server) ResumeOrg(ctx context.Context, req *tenurev1.ResumeOrgRequest) (*tenurev1.ResumeOrgResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.ResumeOrg{ID: domain.OrgID(req.OrgId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ResumeOrgResponse{Org: orgOf(out, domain.OrgID(req.OrgId)), Token: token(out)}, nil
}

// DeleteOrg ends an organization.
func (s *Server) DeleteOrg(ctx context.Context, req *tenurev1.DeleteOrgRequest) (*tenurev1.DeleteOrgResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeleteOrg{ID: domain.OrgID(req.OrgId), Cascade: req.Cascade})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeleteOrgResponse{Org: orgOf(out, domain.OrgID(req.OrgId)), Token: token(out)}, nil
}

func orgOf(out engine.Outcome, id domain.OrgID) *tenurev1.Org {
	o, _ := out.State.Org(id)
	return orgView(o)
}

func orgView(o *domain.Org) *tenurev1.Org {
	return &tenurev1.Org{
		Id: string(o.ID), Name: o.Name, Metadata: o.Metadata, Status: statusView(o.Status), Unclaimed: !o.Claimed,
		CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
		PlanId: string(o.Plan), Residency: o.Residency, DataPlaneId: string(o.DataPlane),
	}
}

func statusView(s domain.Status) tenurev1.Status { return tenurev1.Status(s) }

// metadata is the map wanted, nil if it is to stay.
func metadata(m map[string]string, clear bool) *map[string]string {
	if clear {
		return &map[string]string{}
	}
	if len(m) == 0 {
		return nil
	}
	return &m
}

// behind visits a sorted table of ids together with what they name.
func behind[K ~string, V any](ids domain.Table[K, struct{}], find func(K) (V, bool)) func(after K) iter.Seq2[K, V] {
	return func(after K) iter.Seq2[K, V] {
		return func(yield func(K, V) bool) {
			for id := range ids.Page(after) {
				if v, ok := find(id); ok && !yield(id, v) {
					return
				}
			}
		}
	}
}
