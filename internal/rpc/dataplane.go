package rpc

import (
	"cmp"
	"context"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/keyring"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// RegisterDataPlane makes a data plane known or changes it.
func (s *Server) RegisterDataPlane(ctx context.Context, req *tenurev1.RegisterDataPlaneRequest) (*tenurev1.RegisterDataPlaneResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.RegisterDataPlane{
		ID: domain.DataPlaneID(req.DataPlaneId), BaseURL: req.BaseUrl, Region: req.Region, Dedicated: req.Dedicated,
		KeyScheme: cmp.Or(req.KeyScheme, keyring.SchemeHMAC),
	})
	if err != nil {
		return nil, err
	}
	d, _ := out.State.DataPlane(domain.DataPlaneID(req.DataPlaneId))
	return &tenurev1.RegisterDataPlaneResponse{DataPlane: dataPlaneView(d), Token: token(out)}, nil
}

// ListDataPlanes answers all data planes.
func (s *Server) ListDataPlanes(ctx context.Context, req *tenurev1.ListDataPlanesRequest) (*tenurev1.ListDataPlanesResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	planes, next, err := page("dataplanes", state.DataPlanes().Page, req.PageSize, req.PageToken,
		func(_ domain.DataPlaneID, d *domain.DataPlane) (*tenurev1.DataPlane, bool) {
			return dataPlaneView(d), true
		})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListDataPlanesResponse{DataPlanes: planes, NextPageToken: next}, nil
}

func dataPlaneView(d *domain.DataPlane) *tenurev1.DataPlane {
	return &tenurev1.DataPlane{
		Id: string(d.ID), BaseUrl: d.BaseURL, Region: d.Region, Dedicated: d.Dedicated, KeyScheme: d.KeyScheme, Orgs: uint32(d.Orgs.Len()),
	}
}
