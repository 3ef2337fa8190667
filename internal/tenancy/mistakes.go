package tenancy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mistakes are what is wrong with a file, each with its place. They are told all at once.
type Mistakes []error

func (m Mistakes) Error() string {
	return strings.Join(names(m, error.Error), "; ")
}

// mistakes is a list of what is wrong, and where.
type mistakes struct{ list Mistakes }

// at notes a mistake if something is wrong; place is like "organization acme, project app".
func (m *mistakes) at(wrong bool, place, format string, args ...any) {
	if wrong {
		m.list = append(m.list, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
	}
}

// once notes every name that is empty or comes twice.
func (m *mistakes) once(place, what string, names []string) {
	for i, name := range names {
		m.at(name == "", place, "%s without a name", what)
		m.at(name != "" && slices.Index(names, name) != i, place, "%s %s is listed twice", what, name)
	}
}

func (m *mistakes) email(place, email string) {
	local, domain, ok := strings.Cut(email, "@")
	m.at(!ok || local == "" || domain == "" || strings.ContainsAny(email, " \t\n"), place, "%q is not an e-mail", email)
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (m *mistakes) id(place, id string) {
	m.at(!idForm.MatchString(id), place, "the id %q must be 1-64 letters, digits, _ or -", id)
}

// names collects the names of a list.
func names[T any](list []T, name func(T) string) (all []string) {
	for _, e := range list {
		all = append(all, name(e))
	}
	return all
}

func (f *File) mistakes() Mistakes {
	var m mistakes
	m.once("users", "user", names(f.Users, func(u User) string { return u.Email }))
	for _, u := range f.Users {
		m.email("users", u.Email)
	}
	m.once("instance_admins", "instance admin", f.InstanceAdmins)
	for _, a := range f.InstanceAdmins {
		m.email("instance_admins", a)
	}
	m.once("plans", "plan", names(f.Plans, func(p QuotaPlan) string { return p.ID }))
	for _, p := range f.Plans {
		m.id("plans", p.ID)
	}
	m.once("data_planes", "data plane", names(f.DataPlanes, func(d DataPlane) string { return d.ID }))
	for _, d := range f.DataPlanes {
		m.id("data_planes", d.ID)
		m.at(d.BaseURL == "", "data_planes", "data plane %s has no base_url", d.ID)
	}
	if f.Policy != nil {
		m.policy(f.Policy)
	}
	m.organizations(f.Organizations)
	return m.list
}

func (m *mistakes) policy(p *Policy) {
	if n := p.Naming; n != nil {
		for _, pattern := range []string{n.OrgPattern, n.ProjectPattern} {
			_, err := regexp.Compile(pattern)
			m.at(err != nil, "policy, naming", "%q is not a regular expression: %v", pattern, err)
		}
	}
	if c := p.OrgCreators; c != nil {
		_, known := creators[c.Who]
		m.at(!known, "policy, org_creators", "who is %q; it must be everyone, listed or instance_admins", c.Who)
		m.at(len(c.Emails) > 0 && c.Who != "listed", "policy, org_creators", "emails go with who: listed")
		m.once("policy, org_creators", "address", c.Emails)
		for _, e := range c.Emails {
			m.email("policy, org_creators", e)
		}
	}
	for _, g := range p.SignUp {
		m.at(g.Organization == "" || g.Role == "", "policy, sign_up", "organization and role must be given")
		m.at((g.Project == "") != (g.ProjectRole == ""), "policy, sign_up", "project and project_role go together")
	}
}

func (m *mistakes) organizations(list []Org) {
	for i, o := range list {
		place := "organization " + labelOf(list, i)
		m.at(o.Name == "", "organizations", "organization without a name")
		if o.ID != "" {
			m.id(place, o.ID)
		}
		for _, before := range list[:i] {
			m.at(o.ID != "" && before.ID == o.ID, "organizations", "the id %s is given twice", o.ID)
			m.at(o.Name != "" && before.Name == o.Name && (o.ID == "" || before.ID == ""), "organizations",
				"%s is listed twice; organizations of one name need ids", o.Name)
		}
	}
	projects := map[string]string{}
	for i, o := range list {
		place := "organization " + labelOf(list, i)
		m.org(place, o)
		for _, p := range o.Projects {
			if p.ID == "" {
				continue
			}
			m.id(place+", project "+p.Name, p.ID)
			m.at(projects[p.ID] != "", place, "project %s has the id %s, and so has one of %s", p.Name, p.ID, projects[p.ID])
			projects[p.ID] = place
		}
	}
}

// labelOf names an organization to people: by its name, with the id where another has the same.
func labelOf(list []Org, i int) string {
	for j, other := range list {
		if j != i && other.Name == list[i].Name {
			return list[i].Name + " (" + list[i].ID + ")"
		}
	}
	return list[i].Name
}

func (m *mistakes) org(place string, o Org) {
	m.once(place, "role", names(o.Roles, func(r Role) string { return fold(r.Name) }))
	for _, r := range o.Roles {
		at := place + ", role " + r.Name
		m.at(isBuiltIn(r.Name), at, "is built in; choose another name")
		m.permissions(at, r.OrganizationPermissions)
		m.permissions(at, r.ProjectPermissions)
	}
	m.once(place, "member", names(o.Members, func(e Member) string { return e.Email }))
	for _, e := range o.Members {
		m.email(place+", members", e.Email)
		m.at(e.Role == "" && e.Suspended == nil, place+", member "+e.Email, "has no role")
		m.at(e.Role == "" && e.ExpiresAt != nil, place+", member "+e.Email, "expires_at goes with a role")
	}
	m.once(place, "service account", names(o.ServiceAccounts, func(a ServiceAccount) string { return a.Name }))
	for _, a := range o.ServiceAccounts {
		m.keys(place+", service account "+a.Name, a.Keys, false)
	}
	m.once(place, "group", names(o.Groups, func(g Group) string { return fold(g.Name) }))
	for _, g := range o.Groups {
		at := place + ", group " + g.Name
		m.once(at, "member", g.Members)
		m.once(at, "project", names(sortedKeys(g.ProjectRoles), fold))
		for project, role := range g.ProjectRoles {
			m.at(role == "", at, "has no role in project %s", project)
		}
	}
	m.once(place, "project", names(o.Projects, func(p Project) string { return fold(p.Name) }))
	for _, p := range o.Projects {
		at := place + ", project " + p.Name
		m.at(p.RetentionDays != nil && (*p.RetentionDays == 1 || *p.RetentionDays == 2), at, "retention_days must be 0 (for ever) or at least 3")
		m.once(at, "override of", names(p.Overrides, Override.subject))
		for _, v := range p.Overrides {
			m.at((v.Email == "") == (v.ServiceAccount == ""), at, "an override is for an email or a service_account")
			m.at(v.Role == "", at, "the override of %s has no role", v.subject())
		}
		m.keys(at, p.Keys, true)
	}
	m.keys(place, o.Keys, false)
}

// subject is whom an override is for.
func (v Override) subject() string {
	if v.Email != "" {
		return v.Email
	}
	return v.ServiceAccount
}

func (m *mistakes) keys(place string, keys []Key, ofProject bool) {
	m.once(place, "key", names(keys, func(k Key) string { return k.Name }))
	for _, k := range keys {
		at := place + ", key " + k.Name
		m.at(!slices.Contains([]string{"", "full", "read-only", "ingest-only"}, k.Preset), at, "the preset %q is neither full nor read-only nor ingest-only", k.Preset)
		m.at(k.Preset != "" && k.Permissions != nil, at, "give a preset or permissions, not both")
		m.at(k.Permissions != nil && len(k.Permissions) == 0, at, "a key can't be made to hold nothing; leave permissions out, or the key")
		m.permissions(at, k.Permissions)
		m.at(!ofProject && len(k.Environments) > 0, at, "only keys of projects are bound to environments")
		m.once(at, "environment", k.Environments)
		for _, n := range k.AllowedNetworks {
			_, ok := parseNetwork(n)
			m.at(!ok, at, "%q is neither an address nor a network", n)
		}
		m.once(at, "network", k.AllowedNetworks)
	}
}

func (m *mistakes) permissions(place string, list []string) {
	m.once(place, "permission", list)
	m.at(slices.Contains(list, "members:CUD"), place, "members:CUD has two meanings; write organizationMembers:CUD or projectMembers:CUD")
}
