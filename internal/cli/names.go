package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// names turns what people call things into ids.
//
// An id is tried before a name. One that Tenure made (org_01J...) is never looked up, so that ids work without any right
// to look. A name counts if it is exactly that of one thing that the caller can see; if it is that of several, or of none,
// the error lists what there is.
type names struct {
	orgs     tenurev1connect.OrgServiceClient
	projects tenurev1connect.ProjectServiceClient
	groups   tenurev1connect.GroupServiceClient
	users    tenurev1connect.UserServiceClient
	members  tenurev1connect.MemberServiceClient
	instance tenurev1connect.InstanceServiceClient

	// here is the organization or project that the command has named so far.
	here place
	// deleted prefers deleted projects.
	deleted bool
}

// place is where to look for people by e-mail, and for projects by a bare name.
type place struct{ org, project string }

func newNames(c *Connection) *names {
	return &names{
		orgs:     tenurev1connect.NewOrgServiceClient(c.HTTP, c.URL, c.Options()...),
		projects: tenurev1connect.NewProjectServiceClient(c.HTTP, c.URL, c.Options()...),
		groups:   tenurev1connect.NewGroupServiceClient(c.HTTP, c.URL, c.Options()...),
		users:    tenurev1connect.NewUserServiceClient(c.HTTP, c.URL, c.Options()...),
		members:  tenurev1connect.NewMemberServiceClient(c.HTTP, c.URL, c.Options()...),
		instance: tenurev1connect.NewInstanceServiceClient(c.HTTP, c.URL, c.Options()...),
	}
}

func (n *names) within(p place) { n.here = p }

var (
	madeID = regexp.MustCompile(`^[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}$`)
	// anyID is what a chosen id can be.
	anyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// everywhere is in how many organizations a project's bare name is looked for at most.
const everywhere = 50

func (n *names) org(ctx context.Context, s string) (string, error) {
	if madeID.MatchString(s) || s == "" {
		return s, nil
	}
	if anyID.MatchString(s) {
		res, err := n.orgs.GetOrg(ctx, &tenurev1.GetOrgRequest{OrgId: s})
		if err == nil {
			return res.Org.Id, nil
		}
		if connect.CodeOf(err) != connect.CodeNotFound {
			return "", err
		}
	}
	all, err := n.allOrgs(ctx)
	if err != nil {
		return "", err
	}
	return pick("organization", s, all)
}

func (n *names) allOrgs(ctx context.Context) (all []candidate, err error) {
	for token := ""; ; {
		res, err := n.orgs.ListOrgs(ctx, &tenurev1.ListOrgsRequest{PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, err
		}
		for _, o := range res.Orgs {
			all = append(all, candidate{id: o.Id, name: o.Name, shown: o.Name})
		}
		if token = res.NextPageToken; token == "" {
			return all, nil
		}
	}
}

func (n *names) project(ctx context.Context, s string) (string, error) {
	if madeID.MatchString(s) || s == "" {
		return s, nil
	}
	if in, name, qualified := strings.Cut(s, "/"); qualified {
		owner, err := n.org(ctx, in)
		if err != nil {
			return "", err
		}
		return n.projectIn(ctx, owner, in, name)
	}
	if anyID.MatchString(s) {
		res, err := n.projects.GetProject(ctx, &tenurev1.GetProjectRequest{ProjectId: s})
		if err == nil {
			return res.Project.Id, nil
		}
		if connect.CodeOf(err) != connect.CodeNotFound {
			return "", err
		}
	}
	if n.here.org != "" {
		return n.projectIn(ctx, n.here.org, n.here.org, s)
	}
	orgs, err := n.allOrgs(ctx)
	if err != nil {
		return "", err
	}
	if len(orgs) > everywhere {
		return "", fmt.Errorf("%q is no project's id, and you see too many organizations to look for a name in all of them: say ORG/PROJECT", s)
	}
	var all []candidate
	for _, o := range orgs {
		list, err := n.allProjects(ctx, o.id, o.name)
		if err != nil {
			return "", err
		}
		all = append(all, list...)
	}
	return pick("project", s, all)
}

func (n *names) projectIn(ctx context.Context, org, shown, name string) (string, error) {
	all, err := n.allProjects(ctx, org, shown)
	if err != nil {
		return "", err
	}
	return pick("project", name, all)
}

// allProjects are the projects of an organization. Deleted ones count only where no other has the name, unless it is they
// that are looked for.
func (n *names) allProjects(ctx context.Context, org, shown string) (all []candidate, err error) {
	for token := ""; ; {
		res, err := n.projects.ListProjects(ctx, &tenurev1.ListProjectsRequest{OrgId: org, IncludeDeleted: true, PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, err
		}
		for _, p := range res.Projects {
			deleted := p.Status == tenurev1.Status_STATUS_DELETED
			all = append(all, candidate{id: p.Id, name: p.Name, shown: shown + "/" + p.Name, second: deleted != n.deleted})
		}
		if token = res.NextPageToken; token == "" {
			return all, nil
		}
	}
}

func (n *names) group(ctx context.Context, s string) (string, error) {
	in, name, qualified := strings.Cut(s, "/")
	if !qualified {
		return s, nil
	}
	owner, err := n.org(ctx, in)
	if err != nil {
		return "", err
	}
	var all []candidate
	for token := ""; ; {
		res, err := n.groups.ListGroups(ctx, &tenurev1.ListGroupsRequest{OrgId: owner, PageSize: pageSize, PageToken: token})
		if err != nil {
			return "", err
		}
		for _, g := range res.Groups {
			all = append(all, candidate{id: g.Id, name: g.Name, shown: in + "/" + g.Name})
		}
		if token = res.NextPageToken; token == "" {
			return pick("group", name, all)
		}
	}
}

// user looks an e-mail up among all users, for instance admins, else among the members of the organization or project that
// the command names, else it must be the caller's own.
func (n *names) user(ctx context.Context, s string) (string, error) {
	if !strings.Contains(s, "@") {
		return s, nil
	}
	res, err := n.users.ListUsers(ctx, &tenurev1.ListUsersRequest{Email: s})
	if err == nil {
		if len(res.Users) == 1 {
			return res.Users[0].Id, nil
		}
		return "", fmt.Errorf("nobody has the e-mail %s; `tenure user register %[1]s` makes an account", s)
	}
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		return "", err
	}
	if n.here == (place{}) {
		return n.self(ctx, s)
	}
	req := &tenurev1.ListMembersRequest{OrgId: n.here.org, PageSize: pageSize}
	if n.here.project != "" {
		req.OrgId, req.ProjectId = "", n.here.project
	}
	for {
		res, err := n.members.ListMembers(ctx, req)
		if err != nil {
			return "", err
		}
		for _, m := range res.Members {
			if strings.EqualFold(m.Email, s) {
				return m.UserId, nil
			}
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			return "", fmt.Errorf("no member there has the e-mail %s, and only instance admins can look among all users: name the user by id, or invite the address with `tenure invite send`", s)
		}
	}
}

func (n *names) self(ctx context.Context, s string) (string, error) {
	me, err := n.instance.WhoAmI(ctx, &tenurev1.WhoAmIRequest{})
	if err != nil {
		return "", err
	}
	if me.UserId != "" {
		res, err := n.users.GetUser(ctx, &tenurev1.GetUserRequest{UserId: me.UserId})
		if err != nil {
			return "", err
		}
		if strings.EqualFold(res.User.Email, s) {
			return me.UserId, nil
		}
	}
	return "", fmt.Errorf("only instance admins can look for %s among all users: name the user by id, or an organization to look in", s)
}

// unknownName is returned for a name that nothing has.
type unknownName struct{ message string }

func (e *unknownName) Error() string { return e.message }

// candidate is a thing that a name may mean; shown is how an error lists it. A second one counts where there is no first.
type candidate struct {
	id, name, shown string
	second          bool
}

// listed is how many candidates an error lists.
const listed = 10

// pick is the id of the one candidate of that id or name.
func pick(what, s string, all []candidate) (string, error) {
	var found, second []candidate
	for _, c := range all {
		switch {
		case c.id == s:
			return c.id, nil
		case c.name == s && c.second:
			second = append(second, c)
		case c.name == s:
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		found = second
	}
	switch len(found) {
	case 1:
		return found[0].id, nil
	case 0:
		// What resembles it comes first.
		slices.SortStableFunc(all, func(a, b candidate) int { return distance(a.name, s) - distance(b.name, s) })
		if len(all) == 0 {
			return "", &unknownName{fmt.Sprintf("there is no %s %q that you can see, nor any other", what, s)}
		}
		return "", &unknownName{fmt.Sprintf("there is no %s %q that you can see; there is %s", what, s, list(all))}
	}
	return "", fmt.Errorf("%d %ss are named %q; say which by id: %s", len(found), what, s, list(found))
}

func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return 0
	}
	if strings.Contains(a, b) || strings.Contains(b, a) {
		return 1
	}
	return 2
}

func list(all []candidate) string {
	var words []string
	for _, c := range all[:min(len(all), listed)] {
		words = append(words, fmt.Sprintf("%s (%s)", visible(c.shown), c.id))
	}
	if more := len(all) - listed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
