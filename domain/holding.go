package domain

import (
	"cmp"
	"slices"
	"time"
)

// Holding is what a person holds at a place until a grant ends. Of several at one place the first that has not ended counts; see
// tenure.v1.Holding for the rest.
type Holding struct {
	Org     OrgID
	Project ProjectID // "" for what is held in the organization
	Role    Role
	// By is ByOrgRole, ByOrgGroup, ByProjectOverride or ByProjectGroup; MemberSuspended says that the membership is, and that nothing is
	// held in the organization.
	By        Reason
	Set       PermissionSet
	ExpiresAt time.Time
}

// Holdings are all that grants and groups give a person, ordered by organization and project, at one place by precedence. They say
// in data what roleOf decides at a time: organizations and projects count whatever state they are in.
func (s *State) Holdings(id UserID) (list []Holding) {
	u, ok := s.users.Get(id)
	if !ok {
		return nil
	}
	for org := range u.Orgs.All() {
		o, _ := s.orgs.Get(org)
		m, ok := o.Members.Get(id)
		if !ok {
			continue
		}
		if m.Suspended {
			list = append(list, Holding{Org: org, Role: None, By: MemberSuspended})
			continue
		}
		if m.Role != "" {
			list = append(list, Holding{Org: org, Role: m.Role, By: ByOrgRole, Set: s.permissions(o, m.Role), ExpiresAt: m.ExpiresAt})
		}
		if e := s.byGroups(m, o, ""); e.Role != "" {
			list = append(list, Holding{Org: org, Role: e.Role, By: e.By, Set: e.set})
		}
		for project := range o.Projects.All() {
			p, _ := s.projects.Get(project)
			if g, ok := p.Overrides.Get(id); ok {
				list = append(list, Holding{Org: org, Project: project, Role: g.Role, By: ByProjectOverride, Set: s.permissions(o, g.Role).And(s.Catalog().allProject), ExpiresAt: g.ExpiresAt})
			}
			if e := s.byGroups(m, o, project); e.Role != "" {
				list = append(list, Holding{Org: org, Project: project, Role: e.Role, By: e.By, Set: e.set.And(s.Catalog().allProject)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Holding) int { return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Project, b.Project)) })
	return list
}
