// Package directory is the read model of who and what there is: organizations, projects, people, roles, keys, as they are and as
// they were. Each thing is kept in versions, from one position of the log to another; the present is the versions that have no end.
package directory

import (
	"strings"

	"github.com/tenurehq/tenure/projections/readmodel"
)

// Version of the read model's shape. Raise it with every change of Schema or of what Apply writes.
const Version = 1

// What follows on the columns of every table of versions: valid from, and valid until, by position in the log and by time in
// microseconds since 1970. The end is NULL as long as a version is the present one.
var validity = []readmodel.Column{
	{Name: "from_position", Type: "BIGINT NOT NULL"}, {Name: "from_time", Type: "BIGINT NOT NULL"},
	{Name: "to_position", Type: "BIGINT"}, {Name: "to_time", Type: "BIGINT"},
}

// noun is something that is kept in versions, in a table NAME_history; the view NAME shows the present.
type noun struct {
	name    string
	key     int // how many of the columns, from the first on, tell one from another
	columns []string
	tenant  string
	// index are more columns to find the present by.
	index []string
}

// Columns that hold a number; all others hold text. Times are in microseconds and NULL for never.
var numbers = map[string]string{
	"created_at": "BIGINT", "expires_at": "BIGINT", "revoked_at": "BIGINT", "retention_days": "BIGINT", "suspended": "BIGINT",
	"strength": "BIGINT",
}

const memberOf = "user_id IN (SELECT user_id FROM {}members_history WHERE org_id = {org} AND to_position IS NULL)"

var (
	organizations = noun{"organizations", 1, []string{"org_id", "name", "status", "plan_id", "residency", "data_plane_id", "metadata", "created_at", "sought"}, readmodel.Tenant, nil}
	projects      = noun{"projects", 1, []string{"project_id", "org_id", "name", "status", "retention_days", "environments", "metadata", "created_at"}, readmodel.Tenant, []string{"org_id, project_id"}}
	users         = noun{"users", 1, []string{"user_id", "status", "home_org_id", "created_at"}, memberOf, nil}
	members       = noun{"members", 2, []string{"org_id", "user_id", "role", "expires_at", "suspended"}, readmodel.Tenant, []string{"user_id"}}
	projectRoles  = noun{"project_roles", 2, []string{"project_id", "user_id", "org_id", "role", "expires_at"}, readmodel.Tenant, []string{"user_id", "org_id"}}
	roles         = noun{"roles", 2, []string{"org_id", "role", "description", "organization_permissions", "project_permissions", "strength"}, readmodel.Tenant + " OR org_id = ''", nil}
	groups        = noun{"groups", 1, []string{"group_id", "org_id", "name", "role"}, readmodel.Tenant, []string{"org_id"}}
	groupMembers  = noun{"group_members", 2, []string{"group_id", "user_id", "org_id"}, readmodel.Tenant, []string{"user_id", "org_id, user_id"}}
	groupProjects = noun{"group_project_roles", 2, []string{"group_id", "project_id", "org_id", "role"}, readmodel.Tenant, []string{"project_id", "org_id"}}
	apiKeys       = noun{"api_keys", 1, []string{
		"key_id", "org_id", "project_id", "user_id", "public_key", "display_secret", "name", "note", "organization_permissions", "project_permissions",
		"environments", "networks", "created_at", "created_by", "expires_at", "revoked_at", "successor_key_id",
	}, readmodel.Tenant, []string{"org_id, key_id", "project_id", "user_id", "expires_at", "public_key"}}
	invitations = noun{"invitations", 1, []string{
		"invitation_id", "org_id", "project_id", "role", "project_role", "status", "invited_by", "user_id", "created_at", "expires_at",
	}, readmodel.Tenant, []string{"org_id"}}
	admins = noun{"instance_admins", 1, []string{"user_id"}, "", nil}

	nouns = []*noun{
		&organizations, &projects, &users, &members, &projectRoles, &roles, &groups, &groupMembers, &groupProjects, &apiKeys, &invitations, &admins,
	}
)

// profiles hold what is personal, of the present alone: when a person is erased, the row is deleted.
var profiles = readmodel.Table{
	Name: "profiles",
	Columns: []readmodel.Column{
		{Name: "user_id", Type: "TEXT NOT NULL PRIMARY KEY"}, {Name: "email", Type: "TEXT NOT NULL"}, {Name: "name", Type: "TEXT NOT NULL"},
		{Name: "sought", Type: "TEXT NOT NULL"},
	},
	Key: []string{"user_id"}, Tenant: memberOf,
}

func (n noun) keys() []string { return n.columns[:n.key] }

func (n noun) table() readmodel.Table {
	t := readmodel.Table{Name: n.name + "_history", Tenant: n.tenant, Key: append(append([]string{}, n.keys()...), "from_position")}
	for _, c := range n.columns {
		kind := numbers[c]
		if kind == "" {
			kind = "TEXT NOT NULL"
		}
		t.Columns = append(t.Columns, readmodel.Column{Name: c, Type: kind})
	}
	t.Columns = append(t.Columns, validity...)
	key := strings.Join(n.keys(), ", ")
	t.Indexes = []string{"UNIQUE (" + key + ") WHERE to_position IS NULL"}
	t.Searches = []string{"(" + key + ", from_position)"}
	for _, i := range n.index {
		t.Searches = append(t.Searches, "("+i+")")
	}
	return t
}

func (n noun) view() readmodel.View {
	return readmodel.View{
		Name: n.name, Tenant: n.tenant,
		Query: "SELECT " + strings.Join(n.columns, ", ") + ", from_position, from_time FROM {}" + n.name + "_history WHERE to_position IS NULL",
	}
}

// Schema is the read model's.
func Schema() readmodel.Schema {
	s := readmodel.Schema{Name: "directory", Version: Version}
	for _, n := range nouns {
		s.Tables, s.Views = append(s.Tables, n.table()), append(s.Views, n.view())
	}
	s.Tables = append(s.Tables, profiles)
	s.Views = append(s.Views, access...)
	return s
}

// holds: a member m has a role in the organization, of their own or by a group. It is asked of single members, so that it is looked up.
const holds = `m.suspended = 0 AND (m.role <> '' AND (m.expires_at IS NULL OR m.expires_at > {now})
		OR EXISTS (SELECT 1 FROM {}group_members om WHERE om.org_id = m.org_id AND om.user_id = m.user_id))`

// access says in SQL what domain/access.go says: an override in the project, else what groups give in the project, else the role in
// the organization, else what groups give there; nothing without membership, for who is suspended or not active, or where the
// organization or project is not.
var access = []readmodel.View{
	{
		// Who holds something in an organization, and by what: one row, or one for each group.
		Name: "organization_grants", Tenant: readmodel.Tenant,
		Query: `SELECT m.org_id, m.user_id, m.role, 'ORGANIZATION_ROLE' AS source, '' AS group_id, m.expires_at
				FROM {}members m WHERE m.suspended = 0 AND m.role <> '' AND (m.expires_at IS NULL OR m.expires_at > {now})
			UNION ALL
			SELECT m.org_id, m.user_id, g.role, 'ORGANIZATION_GROUP', g.group_id, NULL
				FROM {}members m JOIN {}group_members gm ON gm.org_id = m.org_id AND gm.user_id = m.user_id JOIN {}groups g ON g.group_id = gm.group_id
				WHERE m.suspended = 0 AND (m.role = '' OR m.expires_at <= {now})`,
	},
	{
		// The same in projects.
		Name: "effective_grants", Tenant: readmodel.Tenant,
		Query: `SELECT p.org_id, p.project_id, h.user_id, h.role, h.source, h.group_id, h.expires_at
				FROM {}projects p JOIN {}organizations o ON o.org_id = p.org_id JOIN {}organization_grants h ON h.org_id = p.org_id
					JOIN {}users u ON u.user_id = h.user_id
				WHERE p.status = 'active' AND o.status = 'active' AND u.status = 'active'
					AND NOT EXISTS (SELECT 1 FROM {}project_roles r WHERE r.project_id = p.project_id AND r.user_id = h.user_id AND (r.expires_at IS NULL OR r.expires_at > {now}))
					AND NOT EXISTS (SELECT 1 FROM {}group_project_roles gp JOIN {}group_members gm ON gm.group_id = gp.group_id WHERE gp.project_id = p.project_id AND gm.user_id = h.user_id)
			UNION ALL
			SELECT p.org_id, p.project_id, r.user_id, r.role, 'PROJECT_OVERRIDE', '', r.expires_at
				FROM {}projects p JOIN {}organizations o ON o.org_id = p.org_id JOIN {}project_roles r ON r.project_id = p.project_id
					JOIN {}users u ON u.user_id = r.user_id
				WHERE p.status = 'active' AND o.status = 'active' AND u.status = 'active' AND (r.expires_at IS NULL OR r.expires_at > {now})
					AND EXISTS (SELECT 1 FROM {}members m WHERE m.org_id = p.org_id AND m.user_id = r.user_id AND ` + holds + `)
			UNION ALL
			SELECT p.org_id, p.project_id, gm.user_id, gp.role, 'PROJECT_GROUP', gp.group_id, NULL
				FROM {}projects p JOIN {}organizations o ON o.org_id = p.org_id JOIN {}group_project_roles gp ON gp.project_id = p.project_id
					JOIN {}group_members gm ON gm.group_id = gp.group_id JOIN {}users u ON u.user_id = gm.user_id
				WHERE p.status = 'active' AND o.status = 'active' AND u.status = 'active'
					AND NOT EXISTS (SELECT 1 FROM {}project_roles r WHERE r.project_id = p.project_id AND r.user_id = gm.user_id AND (r.expires_at IS NULL OR r.expires_at > {now}))
					AND EXISTS (SELECT 1 FROM {}members m WHERE m.org_id = p.org_id AND m.user_id = gm.user_id AND ` + holds + `)`,
	},
	{
		// One role for each person and project: that of several groups which holds most. Who holds nothing is not in it.
		Name: "effective_access", Tenant: readmodel.Tenant,
		Query: `SELECT org_id, project_id, user_id, role, source, group_id, expires_at FROM (
				SELECT e.*, ROW_NUMBER() OVER (PARTITION BY e.org_id, e.project_id, e.user_id ORDER BY r.strength DESC, r.org_id, e.role, e.group_id) AS rank
				FROM {}effective_grants e JOIN {}roles r ON r.role = e.role AND r.org_id IN ('', e.org_id)
			) AS ranked WHERE rank = 1 AND role <> 'NONE'`,
	},
}
