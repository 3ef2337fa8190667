// Package tenancy is the declarative file: what an installation holds, as YAML. It parses a file, reads the present state
// into the same form, plans the changes that lead from one to the other and gives them through the API.
package tenancy

// File is what a YAML file describes, or what an installation holds.
//
// What a file does not mention is left alone: a section that is absent is not looked at, a field that is absent keeps its
// value and gets the server's default in something new. Within a section that is there, what the file does not list stays,
// unless the plan prunes. Values that are lists themselves (environments, permissions, networks, quotas, a part of the
// policy, metadata) are one value and are replaced whole.
type File struct {
	Plans      Section[QuotaPlan] `yaml:"plans,omitempty"`
	DataPlanes Section[DataPlane] `yaml:"data_planes,omitempty"`
	Policy     *Policy            `yaml:"policy,omitempty"`
	Users      Section[User]      `yaml:"users,omitempty"`
	// InstanceAdmins are e-mails.
	InstanceAdmins Section[string] `yaml:"instance_admins,omitempty"`
	Organizations  Section[Org]    `yaml:"organizations,omitempty"`
}

// Section is a list in which absent and empty differ: "members: []" says that there are none.
type Section[T any] []T

// IsZero makes YAML leave out absent sections alone.
func (s Section[T]) IsZero() bool { return s == nil }

// User is a person, whom everything else names by e-mail. Nobody is ever erased for not being in a file.
type User struct {
	Email       string `yaml:"email"`
	Name        string `yaml:"name,omitempty"`
	Deactivated *bool  `yaml:"deactivated,omitempty"`

	id string
}

// QuotaPlan is a plan that organizations can have. Plans can't be deleted.
type QuotaPlan struct {
	ID     string  `yaml:"id"`
	Name   string  `yaml:"name,omitempty"`
	Quotas *Quotas `yaml:"quotas,omitempty"`
}

// Quotas bound what an organization may have; absent means no bound.
type Quotas struct {
	Projects *uint32 `yaml:"projects,omitempty"`
	Members  *uint32 `yaml:"members,omitempty"`
	Keys     *uint32 `yaml:"keys,omitempty"`
}

// DataPlane is where tenants' data lives. Data planes can't be deleted.
type DataPlane struct {
	ID        string  `yaml:"id"`
	BaseURL   string  `yaml:"base_url"`
	Region    *string `yaml:"region,omitempty"`
	Dedicated *bool   `yaml:"dedicated,omitempty"`
	// KeyScheme is hmac or langfuse.
	KeyScheme string `yaml:"key_scheme,omitempty"`
}

// Policy is what the installation demands and gives by itself. Each part is replaced whole.
type Policy struct {
	Naming      *Naming         `yaml:"naming,omitempty"`
	OrgCreators *OrgCreators    `yaml:"org_creators,omitempty"`
	SignUp      Section[SignUp] `yaml:"sign_up,omitempty"`
}

// Naming holds new names to a form.
type Naming struct {
	OrgPattern     string `yaml:"org_pattern,omitempty"`
	OrgForm        string `yaml:"org_form,omitempty"`
	ProjectPattern string `yaml:"project_pattern,omitempty"`
	ProjectForm    string `yaml:"project_form,omitempty"`
	WarnOnly       bool   `yaml:"warn_only,omitempty"`
}

// OrgCreators says who may create organizations: everyone, instance_admins, or those listed.
type OrgCreators struct {
	Who string `yaml:"who"`
	// Emails are addresses, or whole domains such as "*@example.com".
	Emails []string `yaml:"emails,omitempty"`

	// hidden is how many addresses the installation knows by their digest alone.
	hidden int
}

// SignUp is what a new person gets: a role in an organization, perhaps one in a project of it as well.
type SignUp struct {
	// Organization is a name, or an id where several have the name.
	Organization string `yaml:"organization"`
	Role         string `yaml:"role"`
	Project      string `yaml:"project,omitempty"`
	ProjectRole  string `yaml:"project_role,omitempty"`
}
