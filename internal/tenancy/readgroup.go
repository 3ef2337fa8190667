package tenancy

import (
	"context"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

func (r *orgReader) readGroups(ctx context.Context) error {
	if r.want != nil && r.want.Groups == nil {
		return nil
	}
	list, err := all(ctx, r.groups.ListGroups,
		func(token string) *tenurev1.ListGroupsRequest {
			return &tenurev1.ListGroupsRequest{OrgId: r.org.ID, PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListGroupsResponse) ([]*tenurev1.Group, string) {
			return res.Groups, res.NextPageToken
		})
	if err != nil {
		return err
	}
	projects := map[string]string{}
	for _, p := range r.org.Projects {
		projects[p.ID] = p.Name
	}
	r.org.Groups = Section[Group]{}
	for _, g := range list {
		group := Group{Name: g.Name, Role: g.Role, ProjectRoles: ProjectRoles{}, id: g.Id}
		for _, role := range g.ProjectRoles {
			// Roles in deleted projects sleep with them.
			if name, ok := projects[role.ProjectId]; ok {
				group.ProjectRoles[name] = role.Role
			}
		}
		if group.Members, err = r.groupMembers(ctx, g.Id); err != nil {
			return err
		}
		r.org.Groups = append(r.org.Groups, group)
	}
	slices.SortFunc(r.org.Groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (r *orgReader) groupMembers(ctx context.Context, group string) (Section[string], error) {
	list, err := all(ctx, r.groups.ListGroupMembers,
		func(token string) *tenurev1.ListGroupMembersRequest {
			return &tenurev1.ListGroupMembersRequest{GroupId: group, PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListGroupMembersResponse) ([]*tenurev1.GroupMember, string) {
			return res.Members, res.NextPageToken
		})
	if err != nil {
		return nil, err
	}
	members := Section[string]{}
	for _, m := range list {
		if m.Email != "" {
			members = append(members, m.Email)
		} else {
			members = append(members, m.Name)
		}
	}
	slices.Sort(members)
	return members, nil
}
