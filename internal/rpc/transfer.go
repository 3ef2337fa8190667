package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// TransferProject moves a project to another organization.
func (s *Server) TransferProject(ctx context.Context, req *tenurev1.TransferProjectRequest) (*tenurev1.TransferProjectResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.TransferProject{
		ID: domain.ProjectID(req.ProjectId), Target: domain.OrgID(req.TargetOrgId), NewName: req.NewName, KeepOverrides: req.KeepOverrides,
	})
	if err != nil {
		return nil, err
	}
	project := projectOf(out, req.ProjectId)
	return &tenurev1.TransferProjectResponse{Project: project, Token: token(out), Warnings: nameWarnings(out.State, domain.ProjectLevel, req.NewName)}, nil
}

// PreviewTransfer answers what TransferProject would do.
func (s *Server) PreviewTransfer(ctx context.Context, req *tenurev1.PreviewTransferRequest) (*tenurev1.PreviewTransferResponse, error) {
	c := domain.TransferProject{
		ID: domain.ProjectID(req.ProjectId), Target: domain.OrgID(req.TargetOrgId), NewName: req.NewName, KeepOverrides: req.KeepOverrides,
	}
	targets, err := c.Targets(callFrom(ctx).state)
	for i := range targets {
		// What state things are in is an obstacle to tell of, not a reason to refuse the question.
		targets[i].EvenInactive = true
	}
	state, err := s.authorize(ctx, targets, err)
	if err != nil {
		return nil, err
	}
	preview := previewView(state.PreviewTransfer(c, callFrom(ctx).actor, callFrom(ctx).now))
	res := &tenurev1.PreviewTransferResponse{
		AccessChanges: preview.AccessChanges, DroppedOverrideUserIds: preview.DroppedOverrideUserIds, KeysKept: preview.KeysKept, Preview: preview,
	}
	for _, o := range preview.Obstacles {
		res.Obstacles = append(res.Obstacles, o.Reason)
	}
	return res, nil
}

// OfferTransfer proposes a project to another organization.
func (s *Server) OfferTransfer(ctx context.Context, req *tenurev1.OfferTransferRequest) (*tenurev1.OfferTransferResponse, error) {
	id, _ := newID("", "xfr_")
	out, err := s.execute(ctx, req.Reason, domain.OfferTransfer{
		ID: domain.OfferID(id), Project: domain.ProjectID(req.ProjectId), Target: domain.OrgID(req.TargetOrgId), ExpiresAt: timeOf(req.ExpiresAt),
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.OfferTransferResponse{Offer: s.offerOf(out.State, domain.OfferID(out.Events[0].OfferId), ""), Token: token(out)}, nil
}

// AcceptTransfer moves the project that was offered.
func (s *Server) AcceptTransfer(ctx context.Context, req *tenurev1.AcceptTransferRequest) (*tenurev1.AcceptTransferResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.AcceptTransfer{ID: domain.OfferID(req.OfferId), NewName: req.NewName, KeepOverrides: req.KeepOverrides})
	if err != nil {
		return nil, err
	}
	return &tenurev1.AcceptTransferResponse{
		Project: projectOf(out, out.Events[0].ProjectId), Token: token(out), Warnings: nameWarnings(out.State, domain.ProjectLevel, req.NewName),
	}, nil
}

// DeclineTransfer turns an offer down.
func (s *Server) DeclineTransfer(ctx context.Context, req *tenurev1.DeclineTransferRequest) (*tenurev1.DeclineTransferResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeclineTransfer{ID: domain.OfferID(req.OfferId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeclineTransferResponse{Offer: s.offerOf(out.State, domain.OfferID(req.OfferId), ""), Token: token(out)}, nil
}

// CancelTransfer takes an offer back.
func (s *Server) CancelTransfer(ctx context.Context, req *tenurev1.CancelTransferRequest) (*tenurev1.CancelTransferResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.CancelTransfer{ID: domain.OfferID(req.OfferId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.CancelTransferResponse{Offer: s.offerOf(out.State, domain.OfferID(req.OfferId), ""), Token: token(out)}, nil
}

// ListTransferOffers answers what an organization offered and was offered.
func (s *Server) ListTransferOffers(ctx context.Context, req *tenurev1.ListTransferOffersRequest) (*tenurev1.ListTransferOffersResponse, error) {
	c := callFrom(ctx)
	org := domain.OrgID(req.OrgId)
	targets, err := c.state.OrgTarget(org)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	offers, next, err := page("offers", behind(targets[0].Place.Org.Offers, c.state.Offer), req.PageSize, req.PageToken,
		func(id domain.OfferID, o *domain.Offer) (*tenurev1.TransferOffer, bool) {
			return s.offerOf(c.state, id, org), req.IncludeEnded || o.At(c.now) == domain.OfferPending
		})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListTransferOffersResponse{Offers: offers, NextPageToken: next}, nil
}

// PreviewOffer answers what accepting an offer would do, to each side its own half.
func (s *Server) PreviewOffer(ctx context.Context, req *tenurev1.PreviewOfferRequest) (*tenurev1.PreviewOfferResponse, error) {
	c := callFrom(ctx)
	targets, err := c.state.OfferTarget(c.actor, domain.OfferID(req.OfferId), c.now)
	state, err := s.authorize(ctx, targets, err)
	if err != nil {
		return nil, err
	}
	offer, _ := state.Offer(domain.OfferID(req.OfferId))
	preview, err := state.PreviewOffer(offer, domain.AcceptTransfer{NewName: req.NewName, KeepOverrides: req.KeepOverrides}, c.actor, c.now)
	if err != nil {
		return nil, err
	}
	return &tenurev1.PreviewOfferResponse{Preview: previewView(preview)}, nil
}

// offerOf shows an offer to one of its sides, or to both. The target's side is told what it needs to decide: the names of project
// and source. Of the target the other side is told no more than the id it gave itself.
func (s *Server) offerOf(state *domain.State, id domain.OfferID, side domain.OrgID) *tenurev1.TransferOffer {
	o, _ := state.Offer(id)
	view := &tenurev1.TransferOffer{
		Id: string(o.ID), ProjectId: string(o.Project), SourceOrgId: string(o.Source), TargetOrgId: string(o.Target),
		Status: tenurev1.OfferStatus(o.At(s.Engine.Now())), CreatedAt: timestamppb.New(o.CreatedAt), ExpiresAt: timestamp(o.ExpiresAt),
	}
	// Once it is in other hands, how they call it is nobody's business here.
	if p, ok := state.Project(o.Project); ok && (p.Org == o.Source || p.Org == side) {
		view.ProjectName = p.Name
	}
	if source, ok := state.Org(o.Source); ok {
		view.SourceOrgName = source.Name
	}
	return view
}

func previewView(p domain.TransferPreview) *tenurev1.TransferPreview {
	view := &tenurev1.TransferPreview{KeysKept: uint32(p.KeysKept)}
	for _, o := range p.Obstacles {
		view.Obstacles = append(view.Obstacles, &tenurev1.Obstacle{Reason: string(o.Reason), Message: o.Message})
	}
	for _, c := range p.Changes {
		view.AccessChanges = append(view.AccessChanges, &tenurev1.AccessChange{
			UserId: string(c.User), OldRole: string(c.Old.Role), NewRole: string(c.New.Role), OldBy: string(c.Old.By), NewBy: string(c.New.By),
		})
	}
	for _, id := range p.Dropped {
		view.DroppedOverrideUserIds = append(view.DroppedOverrideUserIds, string(id))
	}
	for _, id := range p.DroppedGroups {
		view.DroppedGroupIds = append(view.DroppedGroupIds, string(id))
	}
	for _, id := range p.ChangedInvitations {
		view.ChangedInvitationIds = append(view.ChangedInvitationIds, string(id))
	}
	if p.Source != nil {
		view.OldPlanId, view.OldDataPlaneId = string(p.Source.Plan), string(p.Source.DataPlane)
	}
	if p.Target != nil {
		view.NewPlanId, view.NewDataPlaneId = string(p.Target.Plan), string(p.Target.DataPlane)
	}
	return view
}
