package rpc

import (
	"context"
	"iter"
	"slices"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// DefineRole makes a role of the organization's own.
func (s *Server) DefineRole(ctx context.Context, req *tenurev1.DefineRoleRequest) (*tenurev1.DefineRoleResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DefineRole{
		Org: domain.OrgID(req.OrgId), Role: domain.Role(req.Role), Description: req.Description,
		OrgPermissions: req.OrganizationPermissions, ProjectPermissions: req.ProjectPermissions,
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DefineRoleResponse{Role: roleOf(out.State, req.OrgId, req.Role), Token: token(out)}, nil
}

// UpdateRole changes a role for everybody who has it.
func (s *Server) UpdateRole(ctx context.Context, req *tenurev1.UpdateRoleRequest) (*tenurev1.UpdateRoleResponse, error) {
	c := domain.UpdateRole{
		Org: domain.OrgID(req.OrgId), Role: domain.Role(req.Role), Description: req.Description,
		OrgPermissions: ifGiven(req.OrganizationPermissions), ProjectPermissions: ifGiven(req.ProjectPermissions),
	}
	if req.NoOrganizationPermissions {
		c.OrgPermissions = &[]string{}
	}
	if req.NoProjectPermissions {
		c.ProjectPermissions = &[]string{}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateRoleResponse{Role: roleOf(out.State, req.OrgId, req.Role), Token: token(out)}, nil
}

// DeleteRole ends a role that nobody has.
func (s *Server) DeleteRole(ctx context.Context, req *tenurev1.DeleteRoleRequest) (*tenurev1.DeleteRoleResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeleteRole{Org: domain.OrgID(req.OrgId), Role: domain.Role(req.Role)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeleteRoleResponse{Token: token(out)}, nil
}

// ListRoles answers the built-in roles and those of the organization.
func (s *Server) ListRoles(ctx context.Context, req *tenurev1.ListRolesRequest) (*tenurev1.ListRolesResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.OrgTarget(domain.OrgID(req.OrgId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	o := targets[0].Place.Org
	after := func(key domain.Role) iter.Seq2[domain.Role, struct{}] {
		return func(yield func(domain.Role, struct{}) bool) {
			if at := slices.Index(domain.BuiltInRoles, key); at >= 0 || key == "" {
				for _, name := range domain.BuiltInRoles[at+1:] {
					if !yield(name, struct{}{}) {
						return
					}
				}
				key = ""
			}
			for name := range o.Roles.Page(key) {
				if !yield(name, struct{}{}) {
					return
				}
			}
		}
	}
	roles, next, err := page("roles", after, req.PageSize, req.PageToken,
		func(name domain.Role, _ struct{}) (*tenurev1.Role, bool) { return roleView(state, o, name), true })
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListRolesResponse{Roles: roles, NextPageToken: next}, nil
}

// ListPermissions answers the whole catalog.
func (s *Server) ListPermissions(ctx context.Context, _ *tenurev1.ListPermissionsRequest) (*tenurev1.ListPermissionsResponse, error) {
	res := &tenurev1.ListPermissionsResponse{}
	for _, e := range callFrom(ctx).state.Catalog().Entries() {
		res.Permissions = append(res.Permissions, &tenurev1.Permission{Level: e.Level.String(), Name: e.Name, FromRole: string(e.From), Own: e.Own})
	}
	return res, nil
}

func roleOf(state *domain.State, org, name string) *tenurev1.Role {
	o, _ := state.Org(domain.OrgID(org))
	r, ok := o.Role(domain.Role(name))
	if !ok {
		// It ended since.
		return &tenurev1.Role{OrgId: org, Name: name}
	}
	return roleView(state, o, r.Name)
}

func roleView(state *domain.State, o *domain.Org, name domain.Role) *tenurev1.Role {
	set := state.RolePermissions(o, name)
	view := &tenurev1.Role{
		OrgId: string(o.ID), Name: string(name), BuiltIn: slices.Contains(domain.BuiltInRoles, name),
		OrganizationPermissions: state.Catalog().NamesAt(domain.OrgLevel, set),
		ProjectPermissions:      state.Catalog().NamesAt(domain.ProjectLevel, set),
	}
	if r, ok := o.Role(name); ok {
		view.Description = r.Description
	}
	return view
}
