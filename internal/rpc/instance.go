package rpc

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// GetInstance answers about the installation.
func (s *Server) GetInstance(ctx context.Context, _ *tenurev1.GetInstanceRequest) (*tenurev1.GetInstanceResponse, error) {
	c := callFrom(ctx)
	res := &tenurev1.GetInstanceResponse{
		LogId: c.state.Instance.LogID, Version: s.Version, Position: uint64(c.state.Position),
		Time: timestamp(c.state.Time), SyncAlways: s.SyncAlways, Format: c.state.Instance.LogFormat(), ServerFormat: engine.Format,
	}
	if !c.state.IsAdmin(c.actor) {
		return res, nil
	}
	res.Counts = &tenurev1.GetInstanceResponse_Counts{
		Orgs: uint64(c.state.Orgs().Len()), Projects: uint64(c.state.Projects().Len()), Users: uint64(c.state.Users().Len()),
		Keys: uint64(c.state.Keys().Len()), VoidPositions: c.state.Voids,
	}
	res.Warnings = s.Warnings()
	return res, nil
}

// WhoAmI answers who the credentials belong to.
func (s *Server) WhoAmI(ctx context.Context, _ *tenurev1.WhoAmIRequest) (*tenurev1.WhoAmIResponse, error) {
	c := callFrom(ctx)
	a := c.actor
	res := &tenurev1.WhoAmIResponse{
		Kind: a.KindName(), UserId: string(a.User), OrgId: string(a.Org), ProjectId: string(a.Project),
		KeyId: string(a.Key), Method: a.Method, InstanceAdmin: c.state.IsAdmin(a),
	}
	if p, ok := c.state.Project(a.Project); ok {
		res.OrgId = string(p.Org)
	}
	if k, ok := c.state.Key(a.Key); ok {
		res.Permissions = c.state.Catalog().Names(c.state.KeyPermissions(k, c.now))
	}
	return res, nil
}

// GrantInstanceAdmin makes a person an instance admin.
func (s *Server) GrantInstanceAdmin(ctx context.Context, req *tenurev1.GrantInstanceAdminRequest) (*tenurev1.GrantInstanceAdminResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.GrantInstanceAdmin{User: domain.UserID(req.UserId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.GrantInstanceAdminResponse{Token: token(out)}, nil
}

// RevokeInstanceAdmin ends it.
func (s *Server) RevokeInstanceAdmin(ctx context.Context, req *tenurev1.RevokeInstanceAdminRequest) (*tenurev1.RevokeInstanceAdminResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.RevokeInstanceAdmin{User: domain.UserID(req.UserId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.RevokeInstanceAdminResponse{Token: token(out)}, nil
}

// RaiseFormat raises the log to the format of the servers, if they all read the same.
func (s *Server) RaiseFormat(ctx context.Context, req *tenurev1.RaiseFormatRequest) (*tenurev1.RaiseFormatResponse, error) {
	// First, because which servers there are is not for everybody.
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return nil, err
	}
	newest, older, err := s.Servers(ctx)
	if err != nil {
		return nil, domain.Errorf(domain.CodeUnavailable, "SERVERS_UNKNOWN",
			"the servers can't be asked for the format they read, so nothing was done; see the server's log, and try again").Because(err)
	}
	if len(older) > 0 {
		return nil, domain.Errorf(domain.CodePrecondition, domain.OldServers,
			"these servers can't read format %d of the log and would stop; upgrade them first: %s", newest, strings.Join(older, "; "))
	}
	out, err := s.execute(ctx, req.Reason, domain.RaiseFormat{To: newest})
	if err != nil {
		return nil, err
	}
	return &tenurev1.RaiseFormatResponse{Format: out.State.Instance.LogFormat(), Token: token(out)}, nil
}

// ListInstanceAdmins answers the people who are instance admins.
func (s *Server) ListInstanceAdmins(ctx context.Context, req *tenurev1.ListInstanceAdminsRequest) (*tenurev1.ListInstanceAdminsResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	ids, next, err := page("admins", state.Admins().Page, req.PageSize, req.PageToken,
		func(id domain.UserID, _ struct{}) (string, bool) { return string(id), true })
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListInstanceAdminsResponse{UserIds: ids, NextPageToken: next}, nil
}
