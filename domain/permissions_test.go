package domain_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
)

// What the built-in roles hold, written out a second time: each role holds its own line and those of all weaker roles.
var (
	orgLevel = map[domain.Role]string{
		domain.Owner:      `organization:CRUD_apiKeys organization:delete langfuseCloudBilling:CRUD`,
		domain.Admin:      `projects:create projects:transfer_org organization:update organizationMembers:CUD auditLogs:read`,
		domain.RoleMember: `organizationMembers:read`,
	}
	projectLevel = map[domain.Role]string{
		domain.Owner: `project:delete`,
		domain.Admin: `projectMembers:CUD apiKeys:CUD traces:delete annotationQueueAssignments:CUD project:update
			integrations:CRUD promptProtectedLabels:CUD models:CUD llmApiKeys:create llmApiKeys:update llmApiKeys:delete
			auditLogs:read automations:CUD`,
		domain.RoleMember: `projectMembers:read apiKeys:read objects:publish objects:bookmark objects:tag scores:CUD
			scoreConfigs:CUD annotationQueues:CUD annotationQueueAssignments:read datasets:CUD prompts:CUD dashboards:CUD
			batchExports:create batchExports:read evalTemplate:CUD evalJob:CUD evalDefaultModel:CUD llmSchemas:CUD llmTools:CUD
			playground:execute comments:CUD promptExperiments:CUD TableViewPresets:CUD alerts:CUD`,
		domain.Viewer: `project:read scoreConfigs:read annotationQueues:read datasets:read prompts:read dashboards:read
			evalTemplate:read evalJob:read evalJobExecution:read evalDefaultModel:read llmApiKeys:read llmSchemas:read
			llmTools:read comments:read promptExperiments:read TableViewPresets:read automations:read alerts:read`,
	}
	weakestFirst = []domain.Role{domain.None, domain.Viewer, domain.RoleMember, domain.Admin, domain.Owner}
)

// listed is what the table above gives a role at a level, sorted.
// builtIn is the catalog of a log without permissions of an operator's own.
var builtIn = (&domain.State{}).Catalog()

func listed(level map[domain.Role]string, role domain.Role) (names []string) {
	for _, r := range weakestFirst {
		names = append(names, words(level[r])...)
		if r == role {
			break
		}
	}
	slices.Sort(names)
	return names
}

func heldBy(role domain.Role, level domain.Level, names []string) (held []string) {
	for _, name := range names {
		if builtIn.BuiltIn(role).Has(domain.ParsePermission(level, name)) {
			held = append(held, name)
		}
	}
	return held
}

// Fails if a permission moves to another role, or one is added or removed: tried.
func TestRolePermissions(t *testing.T) {
	t.Parallel()
	for _, want := range []struct {
		role         domain.Role
		org, project int
	}{
		{domain.Owner, 9, 56}, {domain.Admin, 6, 55}, {domain.RoleMember, 1, 42}, {domain.Viewer, 0, 18}, {domain.None, 0, 0},
	} {
		org, project := listed(orgLevel, want.role), listed(projectLevel, want.role)
		if len(org) != want.org || len(project) != want.project {
			t.Errorf("%s: the table lists %d and %d, want %d and %d", want.role, len(org), len(project), want.org, want.project)
		}
		set := builtIn.BuiltIn(want.role)
		if set.Len() != want.org+want.project {
			t.Errorf("%s holds %d permissions, want %d and %d", want.role, set.Len(), want.org, want.project)
		}
		if diff := cmp.Diff(org, heldBy(want.role, domain.OrgLevel, listed(orgLevel, domain.Owner))); diff != "" {
			t.Errorf("%s in an organization (-want +got):\n%s", want.role, diff)
		}
		if diff := cmp.Diff(project, heldBy(want.role, domain.ProjectLevel, listed(projectLevel, domain.Owner))); diff != "" {
			t.Errorf("%s in a project (-want +got):\n%s", want.role, diff)
		}
		both := append(slices.Clone(org), project...)
		slices.Sort(both)
		if diff := cmp.Diff(slices.Compact(both), builtIn.Names(set)); diff != "" {
			t.Errorf("%s, names of both levels (-want +got):\n%s", want.role, diff)
		}
		if set.IsEmpty() != (want.role == domain.None) {
			t.Errorf("%s: empty is %t", want.role, set.IsEmpty())
		}
	}
	if !builtIn.BuiltIn("CUSTOM").IsEmpty() || !builtIn.BuiltIn("").IsEmpty() {
		t.Error("a role that does not exist holds something")
	}
}

func TestParsePermission(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level domain.Level
		name  string
		same  string // the name it stands for; "" if it is none
	}{
		{domain.OrgLevel, "members:CUD", "organizationMembers:CUD"},
		{domain.ProjectLevel, "members:CUD", "projectMembers:CUD"},
		{domain.OrgLevel, "auditLogs:read", "auditLogs:read"},
		{domain.ProjectLevel, "auditLogs:read", "auditLogs:read"},
		{domain.OrgLevel, "project:delete", ""},
		{domain.ProjectLevel, "organization:delete", ""},
		{domain.ProjectLevel, "organizationMembers:CUD", ""},
		{domain.OrgLevel, "", ""},
		{domain.ProjectLevel, "Project:Delete", ""},
	} {
		p := domain.ParsePermission(c.level, c.name)
		if (p == 0) != (c.same == "") || p != domain.ParsePermission(c.level, c.same) {
			t.Errorf("%q at level %d is permission %d", c.name, c.level, p)
		}
	}
	if domain.ParsePermission(domain.OrgLevel, "auditLogs:read") == domain.ParsePermission(domain.ProjectLevel, "auditLogs:read") {
		t.Error("auditLogs:read of an organization is that of a project")
	}
	if builtIn.BuiltIn(domain.Owner).Has(0) {
		t.Error("somebody holds no permission as if it were one")
	}
}

func TestParseRole(t *testing.T) {
	t.Parallel()
	for _, r := range weakestFirst {
		if got, ok := domain.ParseRole(string(r)); got != r || !ok {
			t.Errorf("%s: got %q, %t", r, got, ok)
		}
	}
	for _, name := range []string{"", "owner", "OWNER ", "CUSTOM"} {
		if got, ok := domain.ParseRole(name); ok {
			t.Errorf("%q is the role %s", name, got)
		}
	}
}

func TestPermissionSets(t *testing.T) {
	t.Parallel()
	owner, viewer, none := builtIn.BuiltIn(domain.Owner), builtIn.BuiltIn(domain.Viewer), builtIn.BuiltIn(domain.None)
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"VIEWER is within OWNER", viewer.Within(owner)}, {"OWNER is not within VIEWER", !owner.Within(viewer)},
		{"nothing is within nothing", none.Within(none)}, {"and is the weaker", owner.And(viewer) == viewer},
		{"or is the stronger", owner.Or(viewer) == owner},
	} {
		if !c.ok {
			t.Errorf("not so: %s", c.what)
		}
	}
}

// inText are names as a field of an event in text form.
func inText(field string, names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s:%q ", field, name)
	}
	return b.String()
}

func sorted[K ~string, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
