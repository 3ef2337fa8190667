package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// GrantRole sets a role or an override.
func (s *Server) GrantRole(ctx context.Context, req *tenurev1.GrantRoleRequest) (*tenurev1.GrantRoleResponse, error) {
	org, project, user := domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId), domain.UserID(req.UserId)
	out, err := s.execute(ctx, req.Reason, domain.GrantRole{Org: org, Project: project, User: user, Role: domain.Role(req.Role), ExpiresAt: timeOf(req.ExpiresAt)})
	if err != nil {
		return nil, err
	}
	member, err := s.memberOf(ctx, out.State, org, project, user)
	return &tenurev1.GrantRoleResponse{Member: member, Token: token(out)}, err
}

// RevokeRole ends a membership or an override.
func (s *Server) RevokeRole(ctx context.Context, req *tenurev1.RevokeRoleRequest) (*tenurev1.RevokeRoleResponse, error) {
	org, project, user := domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId), domain.UserID(req.UserId)
	out, err := s.execute(ctx, req.Reason, domain.RevokeRole{Org: org, Project: project, User: user})
	if err != nil {
		return nil, err
	}
	member, err := s.memberOf(ctx, out.State, org, project, user)
	return &tenurev1.RevokeRoleResponse{Member: member, Token: token(out)}, err
}

// SuspendMember makes a membership count as NONE.
func (s *Server) SuspendMember(ctx context.Context, req *tenurev1.SuspendMemberRequest) (*tenurev1.SuspendMemberResponse, error) {
	org, user := domain.OrgID(req.OrgId), domain.UserID(req.UserId)
	out, err := s.execute(ctx, req.Reason, domain.SuspendMember{Org: org, User: user})
	if err != nil {
		return nil, err
	}
	member, err := s.memberOf(ctx, out.State, org, "", user)
	return &tenurev1.SuspendMemberResponse{Member: member, Token: token(out)}, err
}

// ResumeMember ends a suspension.
func (s *Server) ResumeMember(ctx context.Context, req *tenurev1.ResumeMemberRequest) (*tenurev1.ResumeMemberResponse, error) {
	org, user := domain.OrgID(req.OrgId), domain.UserID(req.UserId)
	out, err := s.execute(ctx, req.Reason, domain.ResumeMember{Org: org, User: user})
	if err != nil {
		return nil, err
	}
	member, err := s.memberOf(ctx, out.State, org, "", user)
	return &tenurev1.ResumeMemberResponse{Member: member, Token: token(out)}, err
}

// LeaveOrg ends the caller's own membership.
func (s *Server) LeaveOrg(ctx context.Context, req *tenurev1.LeaveOrgRequest) (*tenurev1.LeaveOrgResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.LeaveOrg{Org: domain.OrgID(req.OrgId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.LeaveOrgResponse{Token: token(out)}, nil
}

// ListMembers answers the members of an organization, with their roles there or in one of its projects.
func (s *Server) ListMembers(ctx context.Context, req *tenurev1.ListMembersRequest) (*tenurev1.ListMembersResponse, error) {
	c := callFrom(ctx)
	targets, err := c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	at := targets[0].Place
	users, next, err := page("members", at.Org.Members.Page, req.PageSize, req.PageToken,
		func(id domain.UserID, _ domain.Member) (domain.UserID, bool) { return id, true })
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListMembersResponse{NextPageToken: next}
	for _, id := range users {
		member, err := s.memberView(ctx, c.state, at, id, c.now)
		if err != nil {
			return nil, err
		}
		res.Members = append(res.Members, member)
	}
	return res, nil
}

func (s *Server) memberOf(ctx context.Context, state *domain.State, org domain.OrgID, project domain.ProjectID, user domain.UserID) (*tenurev1.Member, error) {
	at, err := state.Place(org, project)
	if err != nil {
		return nil, err
	}
	return s.memberView(ctx, state, at, user, s.Engine.Now())
}

func (s *Server) memberView(ctx context.Context, state *domain.State, at domain.Place, id domain.UserID, now time.Time) (*tenurev1.Member, error) {
	m := &tenurev1.Member{OrgId: string(at.Org.ID), UserId: string(id)}
	e := state.EffectiveRole(id, at, now)
	m.Role, m.ExpiresAt, m.ByGroupId = string(e.Role), timestamp(e.ExpiresAt), string(e.Group)
	membership, _ := at.Org.Members.Get(id)
	m.OrgRole, m.Suspended = string(membership.Role), membership.Suspended
	for _, g := range membership.Groups {
		m.GroupIds = append(m.GroupIds, string(g))
	}
	if at.Project != nil {
		m.ProjectId = string(at.Project.ID)
		override, _ := at.Project.Overrides.Get(id)
		m.ProjectRole = string(override.Role)
	}
	u, ok := state.User(id)
	if !ok {
		return m, nil
	}
	var err error
	m.Email, m.Name, err = s.openUser(ctx, u)
	return m, err
}

// openUser reads what is personal about a user; "<erased>" if that is no longer possible.
func (s *Server) openUser(ctx context.Context, u *domain.User) (email, name string, err error) {
	if u.Status == domain.UserIsErased {
		return erased, erased, nil
	}
	if email, err = s.open(ctx, u.Email, "email"); err != nil {
		return "", "", err
	}
	name, err = s.open(ctx, u.Name, "name")
	return email, name, err
}

// erased stands where personal data was.
const erased = projections.Erased

func (s *Server) open(ctx context.Context, v domain.Sealed, field string) (string, error) {
	return s.openSealed(ctx, v.Stored(), field)
}

func (s *Server) openSealed(ctx context.Context, v *eventv1.Sealed, field string) (string, error) {
	text, err := s.Personal.Open(ctx, v, field)
	if err != nil {
		return "", domain.Errorf(domain.CodeUnavailable, "SEALING_UNAVAILABLE", "personal data can't be read now; try again").Because(err)
	}
	return text, nil
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
