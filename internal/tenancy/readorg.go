package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// orgReader reads what is in one organization.
type orgReader struct {
	*reader
	// want is what the file says about it; nil for everything.
	want *Org
	org  Org
	// people are those met, by e-mail.
	people map[string]User
	// emails and accounts are by user id.
	emails, accounts map[string]string
}

func (r *orgReader) read(ctx context.Context, name string) error {
	for _, part := range []func(context.Context) error{r.readMembers, r.readRoles, r.readProjects, r.readGroups, r.readKeys} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("organization %s: %w", name, err)
		}
	}
	return nil
}

func (r *orgReader) listMembers(ctx context.Context, req *tenurev1.ListMembersRequest) ([]*tenurev1.Member, error) {
	return all(ctx, r.members.ListMembers,
		func(token string) *tenurev1.ListMembersRequest {
			return &tenurev1.ListMembersRequest{OrgId: req.OrgId, ProjectId: req.ProjectId, PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListMembersResponse) ([]*tenurev1.Member, string) {
			return res.Members, res.NextPageToken
		})
}

// readMembers tells service accounts from people by their having no e-mail.
func (r *orgReader) readMembers(ctx context.Context) error {
	list, err := r.listMembers(ctx, &tenurev1.ListMembersRequest{OrgId: r.org.ID})
	if err != nil {
		return err
	}
	r.emails, r.accounts = map[string]string{}, map[string]string{}
	r.org.Members, r.org.ServiceAccounts = Section[Member]{}, Section[ServiceAccount]{}
	for _, m := range list {
		role, expires := grantOf(m)
		var suspended *bool
		if m.Suspended {
			suspended = new(true)
		}
		if m.Email == "" {
			r.accounts[m.UserId] = m.Name
			a := ServiceAccount{Name: m.Name, Role: role, ExpiresAt: expires, Suspended: suspended, id: m.UserId}
			if r.want == nil || slices.ContainsFunc(r.want.ServiceAccounts, func(w ServiceAccount) bool { return w.Name == m.Name && w.Keys != nil }) {
				if a.Keys, err = r.listKeys(ctx, &tenurev1.ListKeysRequest{UserId: m.UserId}); err != nil {
					return err
				}
			}
			r.org.ServiceAccounts = append(r.org.ServiceAccounts, a)
			continue
		}
		r.emails[m.UserId] = m.Email
		r.people[m.Email] = User{Email: m.Email, Name: m.Name, id: m.UserId}
		if role != "" || m.Suspended {
			r.org.Members = append(r.org.Members, Member{Email: m.Email, Role: role, ExpiresAt: expires, Suspended: suspended})
		}
	}
	slices.SortFunc(r.org.Members, func(a, b Member) int { return strings.Compare(a.Email, b.Email) })
	slices.SortFunc(r.org.ServiceAccounts, func(a, b ServiceAccount) int {
		return strings.Compare(a.Name+"\x00"+a.id, b.Name+"\x00"+b.id)
	})
	accounts := r.org.ServiceAccounts
	for i := range accounts {
		accounts[i].twins = i > 0 && accounts[i-1].Name == accounts[i].Name || i+1 < len(accounts) && accounts[i+1].Name == accounts[i].Name
	}
	return nil
}

// grantOf is what was granted to a member in the organization, if it is in force.
func grantOf(m *tenurev1.Member) (role string, expires *Expiry) {
	if m.OrgRole == "" || m.Role == "" || m.ByGroupId != "" {
		return "", nil
	}
	return m.OrgRole, expiryOf(m.ExpiresAt)
}

func (r *orgReader) readRoles(ctx context.Context) error {
	if r.want != nil && r.want.Roles == nil && !r.want.namesOwnRole() {
		return nil
	}
	list, err := all(ctx, r.roles.ListRoles,
		func(token string) *tenurev1.ListRolesRequest {
			return &tenurev1.ListRolesRequest{OrgId: r.org.ID, PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListRolesResponse) ([]*tenurev1.Role, string) { return res.Roles, res.NextPageToken })
	if err != nil {
		return err
	}
	r.org.Roles = Section[Role]{}
	for _, role := range list {
		if !role.BuiltIn {
			r.org.Roles = append(r.org.Roles, Role{
				Name: role.Name, Description: given(role.Description),
				OrganizationPermissions: sorted(role.OrganizationPermissions), ProjectPermissions: sorted(role.ProjectPermissions),
			})
		}
	}
	slices.SortFunc(r.org.Roles, func(a, b Role) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (r *orgReader) readProjects(ctx context.Context) error {
	list, err := all(ctx, r.projects.ListProjects,
		func(token string) *tenurev1.ListProjectsRequest {
			return &tenurev1.ListProjectsRequest{OrgId: r.org.ID, PageSize: pageSize, PageToken: token, IncludeDeleted: true}
		},
		func(res *tenurev1.ListProjectsResponse) ([]*tenurev1.Project, string) {
			return res.Projects, res.NextPageToken
		})
	if err != nil {
		return err
	}
	r.org.Projects = Section[Project]{}
	for _, listed := range list {
		p := Project{ID: listed.Id, Name: listed.Name, Metadata: listed.Metadata, Environments: declared(listed.Environments)}
		if listed.RetentionDays != 0 {
			p.RetentionDays = &listed.RetentionDays
		}
		if listed.Status == tenurev1.Status_STATUS_DELETED {
			r.org.deleted = append(r.org.deleted, p)
			continue
		}
		if err := r.readProject(ctx, &p); err != nil {
			return fmt.Errorf("project %s: %w", p.Name, err)
		}
		r.org.Projects = append(r.org.Projects, p)
	}
	slices.SortFunc(r.org.Projects, func(a, b Project) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (r *orgReader) readProject(ctx context.Context, p *Project) (err error) {
	overrides, keys := r.want == nil, r.want == nil
	if r.want != nil {
		for _, w := range r.want.Projects {
			if w.ID == p.ID || w.ID == "" && fold(w.Name) == fold(p.Name) {
				overrides, keys = overrides || w.Overrides != nil, keys || w.Keys != nil
			}
		}
	}
	if overrides {
		list, err := r.listMembers(ctx, &tenurev1.ListMembersRequest{ProjectId: p.ID})
		if err != nil {
			return err
		}
		p.Overrides = Section[Override]{}
		for _, m := range list {
			// The one in force decides, or the suspension does.
			if m.ProjectRole != "" && (m.Role == m.ProjectRole && m.ByGroupId == "" || m.Suspended && m.Role != "") {
				p.Overrides = append(p.Overrides, Override{
					Email: m.Email, ServiceAccount: r.accounts[m.UserId], Role: m.ProjectRole, ExpiresAt: expiryOf(m.ExpiresAt),
				})
			}
		}
		slices.SortFunc(p.Overrides, func(a, b Override) int { return strings.Compare(a.subject(), b.subject()) })
	}
	if keys {
		p.Keys, err = r.listKeys(ctx, &tenurev1.ListKeysRequest{ProjectId: p.ID})
	}
	return err
}

func (r *orgReader) readKeys(ctx context.Context) (err error) {
	if r.want == nil || r.want.Keys != nil {
		r.org.Keys, err = r.listKeys(ctx, &tenurev1.ListKeysRequest{OrgId: r.org.ID})
	}
	return err
}

// sorted is a sorted list that is there even if it is empty.
func sorted(list []string) Section[string] {
	s := append(Section[string]{}, list...)
	slices.Sort(s)
	return s
}
