package tenancy

import (
	"context"
	"maps"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Most that one call takes.
const (
	groupMembersAtOnce  = 1000
	groupProjectsAtOnce = 100
)

func (p *orgPlanner) planGroups() {
	find := func(list []Group, name string) int {
		return slices.IndexFunc(list, func(g Group) bool { return fold(g.Name) == fold(name) })
	}
	for _, w := range p.want.Groups {
		for _, m := range w.Members {
			if !p.hasAccount(m) {
				p.person(p.place+", group "+w.Name, m)
			}
		}
		for _, project := range sortedKeys(w.ProjectRoles) {
			p.mistake(!plannedOrg{want: p.want, have: p.have}.hasProject(project), "group %s has a role in project %s, which is not there", w.Name, project)
		}
		i := find(p.have.Groups, w.Name)
		if i < 0 {
			p.changeGroup(Create, w, Group{Name: w.Name, Role: "NONE"})
		} else {
			p.changeGroup(Update, w, p.have.Groups[i])
		}
	}
	if !p.Prune || p.want.Groups == nil {
		return
	}
	for _, h := range p.have.Groups {
		if find(p.want.Groups, h.Name) < 0 {
			p.add(Remove, "group "+h.Name, nil, stepDropGroups, func(ctx context.Context, a *applier) error {
				_, err := a.groups.DeleteGroup(ctx, &tenurev1.DeleteGroupRequest{GroupId: h.id})
				return err
			})
		}
	}
}

// groupChange is what changes in a group; projects by name.
type groupChange struct {
	name, role  string
	add, remove []string
	roles       map[string]string
	drop        []string
}

func (p *orgPlanner) changeGroup(action Action, w, h Group) {
	c := groupChange{roles: map[string]string{}}
	there, present := map[string]bool{}, map[string]string{} // projects as they will be named; the roles in them, by folded name
	for project, role := range h.ProjectRoles {
		name := p.projectName(p.label, project)
		there[name], present[fold(name)] = true, role
	}
	var f fields
	if f.text("name", h.Name, &w.Name) {
		c.name = w.Name
	}
	if w.Role != "" && fold(w.Role) != fold(h.Role) && f.text("role", h.Role, &w.Role) {
		c.role = w.Role
	}
	c.add = slices.DeleteFunc(slices.Clone(w.Members), func(m string) bool { return slices.Contains(h.Members, m) })
	listed := map[string]bool{}
	for project, role := range w.ProjectRoles {
		listed[fold(project)] = true
		if fold(present[fold(project)]) != fold(role) {
			c.roles[project] = role
		}
	}
	if p.Prune && w.Members != nil {
		c.remove = slices.DeleteFunc(slices.Clone(h.Members), func(m string) bool { return slices.Contains(w.Members, m) })
	}
	if p.Prune && w.ProjectRoles != nil {
		for project := range there {
			// A project that is deleted takes the group's role in it along.
			if !listed[fold(project)] && p.keepsProject(project) {
				c.drop = append(c.drop, project)
			}
		}
		slices.Sort(c.drop)
	}
	c.describe(&f, present)
	if action == Update && f == nil {
		return
	}
	at := ref{"group", p.label, fold(w.Name)}
	p.add(action, "group "+w.Name, f, stepGroups, func(ctx context.Context, a *applier) error {
		if action == Create {
			res, err := a.groups.CreateGroup(ctx, &tenurev1.CreateGroupRequest{OrgId: p.id(a), Name: w.Name, Role: w.Role})
			if err != nil {
				return err
			}
			a.note(at, res.Group.Id)
		}
		return p.updateGroup(ctx, a, a.id(at), c)
	})
}

func (p *orgPlanner) keepsProject(name string) bool {
	return p.want.Projects == nil || slices.ContainsFunc(p.want.Projects, func(e Project) bool {
		return fold(e.Name) == fold(name) || e.ID != "" && e.ID == p.ids[ref{"project", p.label, fold(name)}]
	})
}

func (c groupChange) describe(f *fields, present map[string]string) {
	if len(c.add) > 0 {
		*f = append(*f, Field{"members", "", "+ " + strings.Join(c.add, ", ")})
	}
	if len(c.remove) > 0 {
		*f = append(*f, Field{"members", "", "- " + strings.Join(c.remove, ", ")})
	}
	for _, project := range sortedKeys(c.roles) {
		*f = append(*f, Field{"role in " + project, present[fold(project)], c.roles[project]})
	}
	for _, project := range c.drop {
		*f = append(*f, Field{"role in " + project, present[fold(project)], "none"})
	}
}

// updateGroup gives a change in as many calls as it takes.
func (p *orgPlanner) updateGroup(ctx context.Context, a *applier, id string, c groupChange) error {
	project := func(name string) string { return a.id(ref{"project", p.label, fold(name)}) }
	users := func(names []string) (ids []string) {
		for _, name := range names {
			if p.hasAccount(name) {
				ids = append(ids, a.id(ref{"service account", p.label, name}))
			} else {
				ids = append(ids, a.id(ref{"user", "", name}))
			}
		}
		return ids
	}
	names := slices.Sorted(maps.Keys(c.roles))
	for c.name != "" || c.role != "" || len(c.add)+len(c.remove)+len(names)+len(c.drop) > 0 {
		req := &tenurev1.UpdateGroupRequest{GroupId: id, Name: given(c.name), Role: c.role}
		c.name, c.role = "", ""
		var add, remove, set, drop []string
		add, c.add = cut(c.add, groupMembersAtOnce)
		remove, c.remove = cut(c.remove, groupMembersAtOnce)
		set, names = cut(names, groupProjectsAtOnce)
		drop, c.drop = cut(c.drop, groupProjectsAtOnce)
		req.AddUserIds, req.RemoveUserIds = users(add), users(remove)
		for _, name := range set {
			req.ProjectRoles = append(req.ProjectRoles, &tenurev1.ProjectRole{ProjectId: project(name), Role: c.roles[name]})
		}
		for _, name := range drop {
			req.DropProjectIds = append(req.DropProjectIds, project(name))
		}
		if _, err := a.groups.UpdateGroup(ctx, req); err != nil {
			return err
		}
	}
	return nil
}

// cut takes at most n off the front.
func cut(list []string, n int) (front, rest []string) {
	n = min(n, len(list))
	return list[:n], list[n:]
}
