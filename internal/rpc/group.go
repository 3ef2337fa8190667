package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// CreateGroup makes a group.
func (s *Server) CreateGroup(ctx context.Context, req *tenurev1.CreateGroupRequest) (*tenurev1.CreateGroupResponse, error) {
	id, chosen := newID(req.GroupId, "grp_")
	out, err := s.execute(ctx, req.Reason, domain.CreateGroup{
		ID: domain.GroupID(id), Chosen: chosen, Org: domain.OrgID(req.OrgId), GroupName: req.Name, Role: domain.Role(req.Role),
		ProjectRoles: projectRoles(req.ProjectRoles), Users: idsOf[domain.UserID](req.UserIds),
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.CreateGroupResponse{Group: groupOf(out.State, out.Events[0].GroupId), Token: token(out)}, nil
}

// UpdateGroup changes a group.
func (s *Server) UpdateGroup(ctx context.Context, req *tenurev1.UpdateGroupRequest) (*tenurev1.UpdateGroupResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.UpdateGroup{
		ID: domain.GroupID(req.GroupId), GroupName: req.Name, Role: domain.Role(req.Role),
		ProjectRoles: projectRoles(req.ProjectRoles), DropProjects: idsOf[domain.ProjectID](req.DropProjectIds),
		Add: idsOf[domain.UserID](req.AddUserIds), Remove: idsOf[domain.UserID](req.RemoveUserIds),
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateGroupResponse{Group: groupOf(out.State, req.GroupId), Token: token(out)}, nil
}

// DeleteGroup ends a group.
func (s *Server) DeleteGroup(ctx context.Context, req *tenurev1.DeleteGroupRequest) (*tenurev1.DeleteGroupResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeleteGroup{ID: domain.GroupID(req.GroupId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeleteGroupResponse{Token: token(out)}, nil
}

// ListGroups answers the groups of an organization.
func (s *Server) ListGroups(ctx context.Context, req *tenurev1.ListGroupsRequest) (*tenurev1.ListGroupsResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.OrgTarget(domain.OrgID(req.OrgId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	groups, next, err := page("groups", behind(targets[0].Place.Org.Groups, state.Group), req.PageSize, req.PageToken,
		func(_ domain.GroupID, g *domain.Group) (*tenurev1.Group, bool) {
			return groupView(g), req.UserId == "" || g.Members.Has(domain.UserID(req.UserId))
		})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListGroupsResponse{Groups: groups, NextPageToken: next}, nil
}

// ListGroupMembers answers who is in a group.
func (s *Server) ListGroupMembers(ctx context.Context, req *tenurev1.ListGroupMembersRequest) (*tenurev1.ListGroupMembersResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.GroupTarget(domain.GroupID(req.GroupId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	g, _ := state.Group(domain.GroupID(req.GroupId))
	users, next, err := page("group", behind(g.Members, state.User), req.PageSize, req.PageToken,
		func(_ domain.UserID, u *domain.User) (*domain.User, bool) { return u, true })
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListGroupMembersResponse{NextPageToken: next}
	for _, u := range users {
		email, name, err := s.openUser(ctx, u)
		if err != nil {
			return nil, err
		}
		res.Members = append(res.Members, &tenurev1.GroupMember{UserId: string(u.ID), Email: email, Name: name})
	}
	return res, nil
}

func groupOf(state *domain.State, id string) *tenurev1.Group {
	if g, ok := state.Group(domain.GroupID(id)); ok {
		return groupView(g)
	}
	// It ended since.
	return &tenurev1.Group{Id: id}
}

func groupView(g *domain.Group) *tenurev1.Group {
	view := &tenurev1.Group{
		Id: string(g.ID), OrgId: string(g.Org), Name: g.Name, Role: string(g.Role), Members: uint32(g.Members.Len()),
		CreatedAt: timestamppb.New(g.CreatedAt), UpdatedAt: timestamppb.New(g.UpdatedAt),
	}
	for _, id := range g.Projects.Keys() {
		role, _ := g.Projects.Get(id)
		view.ProjectRoles = append(view.ProjectRoles, &tenurev1.ProjectRole{ProjectId: string(id), Role: string(role)})
	}
	return view
}

func projectRoles(list []*tenurev1.ProjectRole) (roles []domain.ProjectRole) {
	for _, r := range list {
		roles = append(roles, domain.ProjectRole{Project: domain.ProjectID(r.ProjectId), Role: domain.Role(r.Role)})
	}
	return roles
}

func idsOf[ID ~string](list []string) (ids []ID) {
	for _, id := range list {
		ids = append(ids, ID(id))
	}
	return ids
}
