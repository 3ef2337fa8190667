package tenancy

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/examples"
)

// The example is what the demo and the documentation say it is.
func TestExample(t *testing.T) {
	t.Parallel()
	f, err := Parse(examples.Tenancy)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Users) != 40 || len(f.Organizations) != 12 {
		t.Errorf("%d people and %d organizations", len(f.Users), len(f.Organizations))
	}
	for _, o := range f.Organizations {
		owners := 0
		for _, m := range o.Members {
			if m.Role == "OWNER" {
				owners++
			}
		}
		if owners == 0 || len(o.Projects) == 0 {
			t.Errorf("%s has %d owners and %d projects", o.Name, owners, len(o.Projects))
		}
	}
}

// Mistakes are named with their place. Fails without KnownFields, without the check for more documents, and where a check of
// mistakes.go is left out: tried.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	org := func(text string) string { return "organizations: [{name: acme, " + text + "}]" }
	project := func(text string) string { return org("projects: [{name: app, " + text + "}]") }
	for name, row := range map[string]struct{ text, says string }{
		"nothing":                   {"", "empty"},
		"no YAML":                   {"users: [", "yaml"},
		"a mistyped field":          {"users: []\norganisations: []", "line 2: there is no field organisations here"},
		"a second document":         {"users: []\n---\nusers: []", "more than one document"},
		"a field twice":             {"users: []\nusers: []", "already defined"},
		"a day that is none":        {"users: []\n" + org("members: [{email: a@b.c, role: OWNER, expires_at: soon}]"), `line 2: expires_at "soon"`},
		"a user twice":              {"users: [{email: a@b.c}, {email: A@b.c}]", "users: user a@b.c is listed twice"},
		"no e-mail":                 {"users: [{email: ada}]", `"ada" is not an e-mail`},
		"an admin twice":            {"instance_admins: [a@b.c, a@b.c]", "instance_admins: instance admin a@b.c is listed twice"},
		"a plan without id":         {"plans: [{name: Team}]", "plan without a name"},
		"a data plane without URL":  {"data_planes: [{id: eu-1}]", "data plane eu-1 has no base_url"},
		"a data plane twice":        {"data_planes: [{id: eu, base_url: u}, {id: eu, base_url: u}]", "data plane eu is listed twice"},
		"a data plane's id":         {"data_planes: [{id: e u, base_url: u}]", `the id "e u"`},
		"a creator twice":           {"policy: {org_creators: {who: listed, emails: [a@b.c, A@b.c]}}", "address a@b.c is listed twice"},
		"a creator of no e-mail":    {"policy: {org_creators: {who: listed, emails: [ada]}}", `"ada" is not an e-mail`},
		"an admin of no e-mail":     {"instance_admins: [ada]", `"ada" is not an e-mail`},
		"a plan's id":               {"plans: [{id: t m}]", `the id "t m"`},
		"a project's id":            {project("id: p p"), `project app: the id "p p"`},
		"a project permission":      {org("roles: [{name: lead, project_permissions: ['members:CUD']}]"), "members:CUD has two meanings"},
		"a permission twice":        {org("roles: [{name: lead, project_permissions: ['a:b', 'a:b']}]"), "role lead: permission a:b is listed twice"},
		"a member of no e-mail":     {org("members: [{email: ada, role: OWNER}]"), `members: "ada" is not an e-mail`},
		"an expiry of no role":      {org("members: [{email: a@b.c, suspended: true, expires_at: never}]"), "expires_at goes with a role"},
		"a service account's key":   {org("service_accounts: [{name: bot, keys: [{name: k}, {name: k}]}]"), "service account bot: key k is listed twice"},
		"a group's project twice":   {org("groups: [{name: ops, project_roles: {app: NONE, App: NONE}}]"), "group ops: project app is listed twice"},
		"a key's permission":        {org("keys: [{name: k, permissions: ['members:CUD']}]"), "members:CUD has two meanings"},
		"an environment twice":      {project("keys: [{name: k, environments: [a, a]}]"), "environment a is listed twice"},
		"a network twice":           {project("keys: [{name: k, allowed_networks: [10.0.0.0/8, 10.1.1.1/8]}]"), "network 10.0.0.0/8 is listed twice"},
		"a pattern":                 {"policy: {naming: {org_pattern: '('}}", `"(" is not a regular expression`},
		"creators":                  {"policy: {org_creators: {who: nobody}}", `who is "nobody"`},
		"creators who are not read": {"policy: {org_creators: {who: everyone, emails: [a@b.c]}}", "who: listed"},
		"half a sign-up":            {"policy: {sign_up: [{organization: acme}]}", "organization and role"},
		"half a project":            {"policy: {sign_up: [{organization: acme, role: VIEWER, project: app}]}", "go together"},
		"an organization twice":     {"organizations: [{name: acme}, {name: acme, id: x}]", "acme is listed twice"},
		"an id twice":               {"organizations: [{name: a, id: x}, {name: b, id: x}]", "the id x is given twice"},
		"an id of a project twice":  {"organizations: [{name: a, projects: [{name: p, id: x}]}, {name: b, projects: [{name: q, id: x}]}]", "project q has the id x"},
		"a bad id":                  {org("id: a b"), `organization acme: the id "a b"`},
		"no name":                   {"organizations: [{id: x}]", "organization without a name"},
		"a role twice":              {org("roles: [{name: lead}, {name: Lead}]"), "role lead is listed twice"},
		"a built-in role":           {org("roles: [{name: Owner}]"), "role Owner: is built in"},
		"a permission of two kinds": {org("roles: [{name: lead, organization_permissions: ['members:CUD']}]"), "members:CUD has two meanings"},
		"a member twice":            {org("members: [{email: a@b.c, role: OWNER}, {email: A@b.c, role: ADMIN}]"), "organization acme: member a@b.c is listed twice"},
		"a member without role":     {org("members: [{email: a@b.c}]"), "member a@b.c: has no role"},
		"a service account twice":   {org("service_accounts: [{name: bot}, {name: bot}]"), "service account bot is listed twice"},
		"a group twice":             {org("groups: [{name: ops}, {name: OPS}]"), "group ops is listed twice"},
		"a group's member twice":    {org("groups: [{name: ops, members: [a@b.c, A@b.c]}]"), "group ops: member a@b.c is listed twice"},
		"a group without a role":    {org("groups: [{name: ops, project_roles: {app: ''}}]"), "group ops: has no role in project app"},
		"a project twice":           {org("projects: [{name: app}, {name: App}]"), "project app is listed twice"},
		"two days":                  {project("retention_days: 2"), "project app: retention_days"},
		"an override of nobody":     {project("overrides: [{role: NONE}]"), "an override is for an email or a service_account"},
		"an override twice":         {project("overrides: [{email: a@b.c, role: NONE}, {email: a@b.c, role: ADMIN}]"), "override of a@b.c is listed twice"},
		"an override of no role":    {project("overrides: [{email: a@b.c}]"), "the override of a@b.c has no role"},
		"a key twice":               {project("keys: [{name: k}, {name: k}]"), "project app: key k is listed twice"},
		"a key without name":        {project("keys: [{note: k}]"), "key without a name"},
		"a preset":                  {project("keys: [{name: k, preset: some}]"), `the preset "some"`},
		"preset and permissions":    {project("keys: [{name: k, preset: full, permissions: ['scores:CUD']}]"), "not both"},
		"a key that holds nothing":  {project("keys: [{name: k, permissions: []}]"), "can't be made to hold nothing"},
		"a network":                 {project("keys: [{name: k, allowed_networks: [home]}]"), `"home" is neither`},
		"an environment of none":    {org("keys: [{name: k, environments: [prod]}]"), "only keys of projects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse([]byte(row.text)); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want an error that says %q", err, row.says)
			}
		})
	}
}

// All mistakes are told at once.
func TestParseTellsAll(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte("users: [{email: ada}, {email: ben}]"))
	if err == nil || !strings.Contains(err.Error(), `"ada"`) || !strings.Contains(err.Error(), `"ben"`) {
		t.Errorf("got %v", err)
	}
}
