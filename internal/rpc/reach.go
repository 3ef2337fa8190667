package rpc

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/directory"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// ListAccessible answers what a person can reach.
func (s *Server) ListAccessible(ctx context.Context, req *tenurev1.ListAccessibleRequest) (*tenurev1.ListAccessibleResponse, error) {
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	c := callFrom(ctx)
	user := domain.UserID(req.UserId)
	if user == "" {
		if user = c.actor.User; user == "" {
			return nil, domain.Invalidf("user_id", domain.InvalidField, "must be given; only a person can leave it out")
		}
	}
	targets, err := c.state.UserTarget(user)
	if req.OrgId != "" {
		targets, err = c.state.OrgTarget(domain.OrgID(req.OrgId))
	}
	for i := range targets {
		targets[i].Self, targets[i].EvenInactive = c.actor.User == user, true
		if req.OrgId == "" && targets[i].Place.Org != nil {
			// All that a service account can reach is in its home.
			req.OrgId = string(targets[i].Place.Org.ID)
		}
	}
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	org, project, err := placeCursor("accessible", req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListAccessibleResponse{}
	for a := range c.state.AccessibleAfter(user, domain.OrgID(req.OrgId), domain.OrgID(org), domain.ProjectID(project), c.now) {
		if len(res.Accessible) == pageSize(req.PageSize) {
			res.NextPageToken = pageToken("accessible", org+"/"+project)
			return res, nil
		}
		view := &tenurev1.Accessible{
			OrgId: string(a.Org.ID), OrgName: a.Org.Name, Role: string(a.Role), By: string(a.By), GroupId: string(a.Group), ExpiresAt: timestamp(a.ExpiresAt),
		}
		if a.Project != nil {
			view.ProjectId, view.ProjectName = string(a.Project.ID), a.Project.Name
		}
		res.Accessible, org, project = append(res.Accessible, view), view.OrgId, view.ProjectId
	}
	return res, nil
}

// ListSubjects answers who holds a permission at a place.
func (s *Server) ListSubjects(ctx context.Context, req *tenurev1.ListSubjectsRequest) (*tenurev1.ListSubjectsResponse, error) {
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	c := callFrom(ctx)
	targets, err := c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	for i := range targets {
		targets[i].EvenInactive = true
	}
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	at := targets[0].Place
	p, err := permissionAt(c.state, at, req.Permission)
	if err != nil {
		return nil, err
	}
	user, key, err := placeCursor("subjects", req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListSubjectsResponse{}
	for subject := range c.state.SubjectsAfter(p, at, domain.UserID(user), domain.KeyID(key), c.state.IsAdmin(c.actor), c.now) {
		if len(res.Subjects) == pageSize(req.PageSize) {
			res.NextPageToken = pageToken("subjects", user+"/"+key)
			return res, nil
		}
		view := &tenurev1.Subject{
			UserId: string(subject.User), KeyId: string(subject.Key), Role: string(subject.Role), By: string(subject.By),
			GroupId: string(subject.Group), ExpiresAt: timestamp(subject.ExpiresAt),
		}
		if u, ok := c.state.User(subject.User); ok {
			if view.Email, _, err = s.openUser(ctx, u); err != nil {
				return nil, err
			}
		}
		if k, ok := c.state.Key(subject.Key); ok {
			view.KeyName = k.Name
		}
		res.Subjects, user, key = append(res.Subjects, view), view.UserId, view.KeyId
	}
	return res, nil
}

// placeCursor is the cursor of a list that is ordered by two ids.
func placeCursor(kind, token string) (first, second string, err error) {
	key, err := cursor(kind, token)
	first, second, _ = strings.Cut(key, "/")
	return first, second, err
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

// holderKey reads the key behind which a page of holders begins.
func holderKey(key string) (after directory.Holder, err error) {
	if key == "" {
		return after, nil
	}
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return after, domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
	}
	return directory.Holder{Org: domain.OrgID(parts[0]), Project: domain.ProjectID(parts[1]), User: domain.UserID(parts[2])}, nil
}
