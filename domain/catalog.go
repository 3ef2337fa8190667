package domain

import (
	"iter"
	"math/bits"
	"slices"
	"strings"
)

// The catalog of permissions, in words:
//
//  1. A permission is a name at one level, held by a built-in role and by all stronger ones. Tenure's own are the same in
//     every log and can't be taken away.
//  2. An operator's own are defined by CatalogExtended and belong to the log, so that every server answers alike. One that is
//     taken away can't be asked or held any more; if it comes back, keys and roles that held it hold it again.

// Level is where a permission is asked: auditLogs:read exists at both.
type Level uint8

const (
	// OrgLevel permissions are asked of an organization.
	OrgLevel Level = iota + 1
	// ProjectLevel permissions are asked of a project.
	ProjectLevel
)

var levelNames = map[Level]string{OrgLevel: "organization", ProjectLevel: "project"}

// String is "organization" or "project".
func (l Level) String() string { return levelNames[l] }

// ParseLevel reads what String wrote; 0 if it is neither.
func ParseLevel(name string) Level {
	for l, n := range levelNames {
		if n == name {
			return l
		}
	}
	return 0
}

// Permission is one entry of the catalog: what may be done, at one level. 0 is none.
type Permission uint8

// maxPermissions is how many a PermissionSet has room for.
const maxPermissions = 255

// PermissionSet is a set of permissions of both levels.
type PermissionSet [4]uint64

// Has tells whether p is in the set; 0 never is.
func (s PermissionSet) Has(p Permission) bool { return p != 0 && s[p/64]&(1<<(p%64)) != 0 }

// And is the intersection.
func (s PermissionSet) And(o PermissionSet) PermissionSet {
	return PermissionSet{s[0] & o[0], s[1] & o[1], s[2] & o[2], s[3] & o[3]}
}

// Or is the union.
func (s PermissionSet) Or(o PermissionSet) PermissionSet {
	return PermissionSet{s[0] | o[0], s[1] | o[1], s[2] | o[2], s[3] | o[3]}
}

// Within tells whether every permission of s is in o.
func (s PermissionSet) Within(o PermissionSet) bool { return s.And(o) == s }

// IsEmpty tells whether nothing is in the set.
func (s PermissionSet) IsEmpty() bool { return s == PermissionSet{} }

// Len is the number of permissions; a name of both levels counts twice.
func (s PermissionSet) Len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

func (s PermissionSet) with(p Permission) PermissionSet {
	s[p/64] |= 1 << (p % 64)
	return s
}

// CatalogEntry is one permission and the weakest built-in role that holds it; all stronger ones do as well.
type CatalogEntry struct {
	Level Level
	Name  string
	From  Role
	// Own tells that the operator of the installation added it.
	Own bool
}

// Catalog is all that can be held and asked. It never changes; a Permission of Tenure's own is the same in every Catalog.
type Catalog struct {
	entries []CatalogEntry // of Permission i+1
	retired PermissionSet

	orgPermissions, projectPermissions map[string]Permission
	allOrg, allProject, all            PermissionSet
	roles                              map[Role]PermissionSet
	byName                             []Permission // sorted by name, one of two levels beside the other
	projectNames                       []string     // what keys of projects hold most of the time
}

// builtIn is the catalog of Tenure's own permissions.
var builtIn = newCatalog(tenures, PermissionSet{})

func newCatalog(entries []CatalogEntry, retired PermissionSet) *Catalog {
	c := &Catalog{
		entries: entries, retired: retired,
		orgPermissions: map[string]Permission{}, projectPermissions: map[string]Permission{}, roles: map[Role]PermissionSet{},
	}
	for i, e := range entries {
		p := Permission(i + 1)
		if retired.Has(p) {
			continue
		}
		c.all = c.all.with(p)
		if e.Level == OrgLevel {
			c.orgPermissions[e.Name] = p
			c.allOrg = c.allOrg.with(p)
		} else {
			c.projectPermissions[e.Name] = p
			c.allProject = c.allProject.with(p)
		}
		for role, n := range strength {
			if n >= strength[e.From] {
				c.roles[role] = c.roles[role].with(p)
			}
		}
	}
	for i := range entries {
		c.byName = append(c.byName, Permission(i+1))
	}
	slices.SortFunc(c.byName, func(a, b Permission) int { return strings.Compare(c.name(a), c.name(b)) })
	c.projectNames = c.Names(c.allProject)
	// members:CUD is a name for the right to manage members at the level it is asked.
	c.orgPermissions["members:CUD"], c.projectPermissions["members:CUD"] = c.orgPermissions["organizationMembers:CUD"], c.projectPermissions["projectMembers:CUD"]
	return c
}

// withOwn is the catalog with these as the operator's own permissions. Those that are not among them any more keep their
// place, which nothing else may take: sets that hold them must not come to hold another.
func (c *Catalog) withOwn(own []CatalogEntry) *Catalog {
	entries, retired := slices.Clone(c.entries), PermissionSet{}
	for i, e := range entries {
		if !e.Own {
			continue
		}
		at := slices.IndexFunc(own, func(o CatalogEntry) bool { return o.Level == e.Level && o.Name == e.Name })
		if at < 0 {
			retired = retired.with(Permission(i + 1))
		} else {
			entries[i] = own[at]
		}
	}
	for _, o := range own {
		known := slices.ContainsFunc(entries, func(e CatalogEntry) bool { return e.Level == o.Level && e.Name == o.Name })
		if !known && len(entries) < maxPermissions {
			entries = append(entries, o)
		}
	}
	return newCatalog(entries, retired)
}

// Parse finds a permission by its name at a level; 0 if there is none.
func (c *Catalog) Parse(level Level, name string) Permission {
	if level == OrgLevel {
		return c.orgPermissions[name]
	}
	return c.projectPermissions[name]
}

// Entries are all permissions, Tenure's own first.
func (c *Catalog) Entries() (list []CatalogEntry) {
	for i, e := range c.entries {
		if !c.retired.Has(Permission(i + 1)) {
			list = append(list, e)
		}
	}
	return list
}

// own are the operator's, sorted.
func (c *Catalog) own() (list []CatalogEntry) {
	for _, e := range c.Entries() {
		if e.Own {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b CatalogEntry) int {
		if a.Level != b.Level {
			return int(a.Level) - int(b.Level)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// Names are the names in the set, sorted, each once.
func (c *Catalog) Names(s PermissionSet) (names []string) {
	if s = s.And(c.all); s.IsEmpty() {
		return nil
	}
	names = make([]string, 0, s.Len())
	for _, p := range c.byName {
		if name := c.name(p); s.Has(p) && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return names
}

// NamesAt are the names of one level in the set, sorted.
func (c *Catalog) NamesAt(level Level, s PermissionSet) []string {
	if level == OrgLevel {
		return c.Names(s.And(c.allOrg))
	}
	return c.Names(s.And(c.allProject))
}

// Set is the set of permissions with these names at their levels; names that can't be held any more are left out.
func (c *Catalog) Set(org, project []string) (set PermissionSet) {
	for level, names := range map[Level][]string{OrgLevel: org, ProjectLevel: project} {
		for _, name := range names {
			if p := c.Parse(level, name); p != 0 {
				set = set.with(p)
			}
		}
	}
	return set
}

// All are the permissions of both levels that can be held.
func (c *Catalog) All() PermissionSet { return c.all }

// namesakes visits, for every name, the permissions that have it.
func (c *Catalog) namesakes() iter.Seq[PermissionSet] {
	return func(yield func(PermissionSet) bool) {
		for i := 0; i < len(c.byName); {
			set, name := PermissionSet{}, c.name(c.byName[i])
			for ; i < len(c.byName) && c.name(c.byName[i]) == name; i++ {
				set = set.with(c.byName[i])
			}
			if !yield(set) {
				return
			}
		}
	}
}

// BuiltIn is what a built-in role holds; nothing for any other.
func (c *Catalog) BuiltIn(r Role) PermissionSet { return c.roles[r] }

func (c *Catalog) name(p Permission) string { return c.entries[p-1].Name }

// named is the permissions of these names at every level in within; unknown is the first name that has none.
func (c *Catalog) named(names []string, within PermissionSet) (s PermissionSet, unknown string) {
	for _, name := range names {
		found := false
		for _, p := range []Permission{c.orgPermissions[name], c.projectPermissions[name]} {
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

// ParsePermission finds one of Tenure's own permissions by its name at a level; 0 if there is none.
func ParsePermission(level Level, name string) Permission { return builtIn.Parse(level, name) }

// Catalog is what can be held and asked by this state.
func (s *State) Catalog() *Catalog {
	if s.catalog == nil {
		return builtIn
	}
	return s.catalog
}
