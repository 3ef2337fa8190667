package domain

import (
	"slices"
	"strings"
)

// Level is where a permission is asked: auditLogs:read exists at both.
type Level uint8

const (
	// OrgLevel permissions are asked of an organization.
	OrgLevel Level = iota + 1
	// ProjectLevel permissions are asked of a project.
	ProjectLevel
)

// Permission is one entry of the catalog: what may be done, at one level. 0 is none.
type Permission uint8

// PermissionSet is a set of permissions of both levels.
type PermissionSet [2]uint64

// Has tells whether p is in the set; 0 never is.
func (s PermissionSet) Has(p Permission) bool { return p != 0 && s[p/64]&(1<<(p%64)) != 0 }

// And is the intersection.
func (s PermissionSet) And(o PermissionSet) PermissionSet {
	return PermissionSet{s[0] & o[0], s[1] & o[1]}
}

// Or is the union.
func (s PermissionSet) Or(o PermissionSet) PermissionSet {
	return PermissionSet{s[0] | o[0], s[1] | o[1]}
}

// Within tells whether every permission of s is in o.
func (s PermissionSet) Within(o PermissionSet) bool { return s.And(o) == s }

// IsEmpty tells whether nothing is in the set.
func (s PermissionSet) IsEmpty() bool { return s == PermissionSet{} }

// Len is the number of permissions; a name of both levels counts twice.
func (s PermissionSet) Len() (n int) {
	for i := range catalog {
		if s.Has(Permission(i + 1)) {
			n++
		}
	}
	return n
}

// Names are the names in the set, sorted, each once.
func (s PermissionSet) Names() []string {
	var names []string
	for i, c := range catalog {
		if s.Has(Permission(i + 1)) {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s PermissionSet) with(p Permission) PermissionSet {
	s[p/64] |= 1 << (p % 64)
	return s
}

// catalogEntry is one permission and the weakest built-in role that holds it; all stronger ones do as well.
type catalogEntry struct {
	level Level
	name  string
	from  Role
}

// The catalog as data: level, weakest role, names. Its order is of no consequence, nothing stored refers to it.
var catalog = func() (all []catalogEntry) {
	for _, row := range []struct {
		level Level
		from  Role
		names string
	}{
		{OrgLevel, Owner, `organization:CRUD_apiKeys organization:delete langfuseCloudBilling:CRUD`},
		{OrgLevel, Admin, `projects:create projects:transfer_org organization:update organizationMembers:CUD auditLogs:read`},
		{OrgLevel, RoleMember, `organizationMembers:read`},
		{ProjectLevel, Owner, `project:delete`},
		{ProjectLevel, Admin, `projectMembers:CUD apiKeys:CUD traces:delete annotationQueueAssignments:CUD project:update
			integrations:CRUD promptProtectedLabels:CUD models:CUD llmApiKeys:create llmApiKeys:update llmApiKeys:delete
			auditLogs:read automations:CUD`},
		{ProjectLevel, RoleMember, `projectMembers:read apiKeys:read objects:publish objects:bookmark objects:tag scores:CUD
			scoreConfigs:CUD annotationQueues:CUD annotationQueueAssignments:read datasets:CUD prompts:CUD dashboards:CUD
			batchExports:create batchExports:read evalTemplate:CUD evalJob:CUD evalDefaultModel:CUD llmSchemas:CUD
			llmTools:CUD playground:execute comments:CUD promptExperiments:CUD TableViewPresets:CUD alerts:CUD`},
		{ProjectLevel, Viewer, `project:read scoreConfigs:read annotationQueues:read datasets:read prompts:read
			dashboards:read evalTemplate:read evalJob:read evalJobExecution:read evalDefaultModel:read llmApiKeys:read
			llmSchemas:read llmTools:read comments:read promptExperiments:read TableViewPresets:read automations:read
			alerts:read`},
	} {
		for _, name := range strings.Fields(row.names) {
			all = append(all, catalogEntry{row.level, name, row.from})
		}
	}
	return all
}()

var orgPermissions, projectPermissions = func() (o, p map[string]Permission) {
	o, p = map[string]Permission{}, map[string]Permission{}
	for i, c := range catalog {
		if c.level == OrgLevel {
			o[c.name] = Permission(i + 1)
		} else {
			p[c.name] = Permission(i + 1)
		}
	}
	// members:CUD is a name for the right to manage members at the level it is asked.
	o["members:CUD"], p["members:CUD"] = o["organizationMembers:CUD"], p["projectMembers:CUD"]
	return o, p
}()

// ParsePermission finds a permission by its name at a level; 0 if there is none.
func ParsePermission(level Level, name string) Permission {
	if level == OrgLevel {
		return orgPermissions[name]
	}
	return projectPermissions[name]
}

// allOrg, allProject and all are the whole catalog at one level, and at both.
var (
	allOrg     = setOf(func(c catalogEntry) bool { return c.level == OrgLevel })
	allProject = setOf(func(c catalogEntry) bool { return c.level == ProjectLevel })
	all        = allOrg.Or(allProject)
)

func setOf(in func(catalogEntry) bool) (s PermissionSet) {
	for i, c := range catalog {
		if in(c) {
			s = s.with(Permission(i + 1))
		}
	}
	return s
}

// namedSet is the permissions of these names at every level in within; unknown is the first name that has none.
func namedSet(names []string, within PermissionSet) (s PermissionSet, unknown string) {
	for _, name := range names {
		found := false
		for _, p := range []Permission{orgPermissions[name], projectPermissions[name]} {
			if within.Has(p) {
				s, found = s.with(p), true
			}
		}
		if !found && unknown == "" {
			unknown = name
		}
	}
	return s, unknown
}
