package rpc

import (
	"context"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/directory"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// SearchUsers finds users of the instance by a part of their e-mail or name.
func (s *Server) SearchUsers(ctx context.Context, req *tenurev1.SearchUsersRequest) (*tenurev1.SearchUsersResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	after, err := cursor("search-users", req.PageToken)
	if err != nil {
		return nil, err
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	ids, err := directory.SearchUsers(ctx, m, req.Query, domain.UserID(after), pageSize(req.PageSize))
	if err != nil {
		return nil, readError(err)
	}
	res := &tenurev1.SearchUsersResponse{}
	for _, id := range ids {
		u, ok := state.User(id)
		if !ok || u.Status == domain.UserIsErased {
			continue // erased since
		}
		view, err := s.userView(ctx, state, u)
		if err != nil {
			return nil, err
		}
		res.Users = append(res.Users, view)
	}
	if len(ids) == pageSize(req.PageSize) {
		res.NextPageToken = pageToken("search-users", string(ids[len(ids)-1]))
	}
	return res, nil
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

// FindHolders finds who holds a role or permission anywhere.
func (s *Server) FindHolders(ctx context.Context, req *tenurev1.FindHoldersRequest) (*tenurev1.FindHoldersResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	if req.Permission != "" && state.Catalog().Parse(domain.ProjectLevel, req.Permission) == 0 {
		return nil, domain.Invalidf("permission", domain.UnknownPermission, "%q is not a permission at the level of projects", clip(req.Permission, 100))
	}
	key, err := cursor("holders", req.PageToken)
	if err != nil {
		return nil, err
	}
	after, err := holderKey(key)
	if err != nil {
		return nil, err
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	list, err := directory.FindHolders(ctx, m, domain.Role(req.Role), req.Permission, after, pageSize(req.PageSize))
	if err != nil {
		return nil, readError(err)
	}
	res := &tenurev1.FindHoldersResponse{}
	for _, h := range list {
		res.Holders = append(res.Holders, &tenurev1.Holder{
			OrgId: string(h.Org), ProjectId: string(h.Project), UserId: string(h.User), Role: string(h.Role), By: string(h.By), GroupId: string(h.Group),
			ExpiresAt: timestamp(h.ExpiresAt),
		})
	}
	if len(list) == pageSize(req.PageSize) {
		last := list[len(list)-1]
		res.NextPageToken = pageToken("holders", string(last.Org)+"/"+string(last.Project)+"/"+string(last.User))
	}
	return res, nil
}
