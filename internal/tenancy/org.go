package tenancy

// Org is an organization with what is in it. With an id it is the one of that id, or is made under it; else the one of that
// name.
type Org struct {
	ID        string            `yaml:"id,omitempty"`
	Name      string            `yaml:"name"`
	Metadata  map[string]string `yaml:"metadata,omitempty"`
	Plan      *string           `yaml:"plan,omitempty"`
	Residency *string           `yaml:"residency,omitempty"`
	DataPlane *string           `yaml:"data_plane,omitempty"`
	Suspended *bool             `yaml:"suspended,omitempty"`

	Roles           Section[Role]           `yaml:"roles,omitempty"`
	Members         Section[Member]         `yaml:"members,omitempty"`
	ServiceAccounts Section[ServiceAccount] `yaml:"service_accounts,omitempty"`
	Groups          Section[Group]          `yaml:"groups,omitempty"`
	Projects        Section[Project]        `yaml:"projects,omitempty"`
	Keys            Section[Key]            `yaml:"keys,omitempty"`

	// deleted are the projects that can be restored.
	deleted []Project
}

// Role is one of an organization's own.
type Role struct {
	Name                    string          `yaml:"name"`
	Description             *string         `yaml:"description,omitempty"`
	OrganizationPermissions Section[string] `yaml:"organization_permissions,omitempty"`
	ProjectPermissions      Section[string] `yaml:"project_permissions,omitempty"`
}

// Member is a person's role in an organization. Without a role it only says whether somebody who is a member by groups is
// suspended.
type Member struct {
	Email     string  `yaml:"email"`
	Role      string  `yaml:"role,omitempty"`
	ExpiresAt *Expiry `yaml:"expires_at,omitempty"`
	Suspended *bool   `yaml:"suspended,omitempty"`
}

// ServiceAccount is a user without login, at home in the organization.
type ServiceAccount struct {
	Name string `yaml:"name"`
	// Role is NONE if absent.
	Role      string       `yaml:"role,omitempty"`
	ExpiresAt *Expiry      `yaml:"expires_at,omitempty"`
	Suspended *bool        `yaml:"suspended,omitempty"`
	Keys      Section[Key] `yaml:"keys,omitempty"`

	id string
	// twins: others have the same name.
	twins bool
}

// Group is a set of people who share roles.
type Group struct {
	Name string `yaml:"name"`
	// Role is that in the organization, NONE if absent.
	Role string `yaml:"role,omitempty"`
	// Members are e-mails, or names of service accounts.
	Members Section[string] `yaml:"members,omitempty"`
	// ProjectRoles are roles by the names of projects.
	ProjectRoles ProjectRoles `yaml:"project_roles,omitempty"`

	id string
}

// ProjectRoles are roles by the names of projects; absent and empty differ.
type ProjectRoles map[string]string

// IsZero makes YAML leave them out when they are absent.
func (r ProjectRoles) IsZero() bool { return r == nil }

// Project is a project with its overrides and keys. With an id it is the one of that id, deleted or not, or is made under it;
// else the one of that name.
type Project struct {
	ID            string            `yaml:"id,omitempty"`
	Name          string            `yaml:"name"`
	Metadata      map[string]string `yaml:"metadata,omitempty"`
	RetentionDays *uint32           `yaml:"retention_days,omitempty"`
	Environments  Section[string]   `yaml:"environments,omitempty"`
	Overrides     Section[Override] `yaml:"overrides,omitempty"`
	Keys          Section[Key]      `yaml:"keys,omitempty"`
}

// Override is a role in a project that beats the one in its organization. It is a person's, else a service account's.
type Override struct {
	Email          string  `yaml:"email,omitempty"`
	ServiceAccount string  `yaml:"service_account,omitempty"`
	Role           string  `yaml:"role"`
	ExpiresAt      *Expiry `yaml:"expires_at,omitempty"`
}

// Key is an API key, known by its name among the keys of its principal that are neither revoked nor expired.
type Key struct {
	Name string  `yaml:"name"`
	Note *string `yaml:"note,omitempty"`
	// Preset gives a new key its permissions (full, read-only or ingest-only) and is not looked at again.
	Preset          string          `yaml:"preset,omitempty"`
	Permissions     Section[string] `yaml:"permissions,omitempty"`
	Environments    Section[string] `yaml:"environments,omitempty"`
	AllowedNetworks Section[string] `yaml:"allowed_networks,omitempty"`
	ExpiresAt       *Expiry         `yaml:"expires_at,omitempty"`

	id string
	// retiring are the ids of keys that this one succeeds and that are still good for a while.
	retiring []string
	// unclear is why it can't be in a file; empty for most.
	unclear string
}
