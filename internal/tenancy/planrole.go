package tenancy

import (
	"context"
	"slices"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// namesOwnRole tells whether the organization gives anybody a role that is not a built-in one.
func (o *Org) namesOwnRole() bool {
	return slices.ContainsFunc(o.rolesGiven(), func(role string) bool { return role != "" && !isBuiltIn(role) })
}

func (o *Org) rolesGiven() (list []string) {
	for _, m := range o.Members {
		list = append(list, m.Role)
	}
	for _, a := range o.ServiceAccounts {
		list = append(list, a.Role)
	}
	for _, g := range o.Groups {
		list = append(list, g.Role)
		for _, project := range sortedKeys(g.ProjectRoles) {
			list = append(list, g.ProjectRoles[project])
		}
	}
	for _, p := range o.Projects {
		for _, v := range p.Overrides {
			list = append(list, v.Role)
		}
	}
	return list
}

func (p *orgPlanner) planRoles() {
	find := func(list []Role, name string) *Role {
		for i := range list {
			if fold(list[i].Name) == fold(name) {
				return &list[i]
			}
		}
		return nil
	}
	given := p.want.rolesGiven()
	slices.Sort(given)
	for _, role := range slices.Compact(given) {
		p.mistake(role != "" && !isBuiltIn(role) && find(p.want.Roles, role) == nil && find(p.have.Roles, role) == nil,
			"there is no role %s: it is neither built in nor among the organization's roles", role)
	}
	for i := range p.want.Roles {
		w := &p.want.Roles[i]
		if h := find(p.have.Roles, w.Name); h != nil {
			p.changeRole(w, h)
		} else {
			p.defineRole(w)
		}
	}
	if !p.Prune || p.want.Roles == nil {
		return
	}
	for _, h := range p.have.Roles {
		if find(p.want.Roles, h.Name) != nil {
			continue
		}
		p.add(Remove, "role "+h.Name, nil, stepDropRoles, func(ctx context.Context, a *applier) error {
			_, err := a.roles.DeleteRole(ctx, &tenurev1.DeleteRoleRequest{OrgId: p.id(a), Role: h.Name})
			return err
		})
	}
}

func (p *orgPlanner) defineRole(w *Role) {
	var f fields
	f.text("description", "", w.Description)
	f.list("organization permissions", nil, w.OrganizationPermissions)
	f.list("project permissions", nil, w.ProjectPermissions)
	p.add(Create, "role "+w.Name, f, stepRoles, func(ctx context.Context, a *applier) error {
		_, err := a.roles.DefineRole(ctx, &tenurev1.DefineRoleRequest{
			OrgId: p.id(a), Role: w.Name, Description: value(w.Description),
			OrganizationPermissions: w.OrganizationPermissions, ProjectPermissions: w.ProjectPermissions,
		})
		return err
	})
}

func (p *orgPlanner) changeRole(w, h *Role) {
	var f fields
	description := f.text("description", value(h.Description), w.Description)
	organization := f.list("organization permissions", h.OrganizationPermissions, w.OrganizationPermissions)
	project := f.list("project permissions", h.ProjectPermissions, w.ProjectPermissions)
	if f == nil {
		return
	}
	p.add(Update, "role "+h.Name, f, stepRoles, func(ctx context.Context, a *applier) error {
		req := &tenurev1.UpdateRoleRequest{OrgId: p.id(a), Role: h.Name}
		if description {
			req.Description = w.Description
		}
		if organization {
			req.OrganizationPermissions, req.NoOrganizationPermissions = w.OrganizationPermissions, len(w.OrganizationPermissions) == 0
		}
		if project {
			req.ProjectPermissions, req.NoProjectPermissions = w.ProjectPermissions, len(w.ProjectPermissions) == 0
		}
		_, err := a.roles.UpdateRole(ctx, req)
		return err
	})
}
