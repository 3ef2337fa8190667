package tenancy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// presentOf is an installation that holds what a file says, and nothing else; ids are made of names.
func presentOf(t testing.TB, text string) *Present {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := &Present{File: *f, people: map[string]string{}, deleted: map[string]string{"org-gone": "gone"}}
	for _, u := range f.Users {
		p.people[u.Email] = "usr-" + u.Email
	}
	for i := range p.Organizations {
		o := &p.Organizations[i]
		if o.ID == "" {
			o.ID = "org-" + o.Name
		}
		filled(&o.Roles)
		filled(&o.Members)
		filled(&o.ServiceAccounts)
		filled(&o.Groups)
		filled(&o.Projects)
		filled(&o.Keys)
		for j := range o.Projects {
			q := &o.Projects[j]
			if q.ID == "" {
				q.ID = "prj-" + q.Name
			}
			filled(&q.Overrides)
			filled(&q.Keys)
			filled(&q.Environments)
		}
	}
	return p
}

func filled[T any](s *Section[T]) {
	if *s == nil {
		*s = Section[T]{}
	}
}

var planNow = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// planned is the plan, line by line.
func planned(t testing.TB, want string, have *Present, o PlanOptions) (lines, notes []string, err error) {
	t.Helper()
	f, err := Parse([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	o.Now = planNow
	c, err := PlanChanges(f, have, o)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range c.List {
		line := e.String()
		if e.Org != "" {
			line = e.Org + ": " + line
		}
		lines = append(lines, line)
	}
	return lines, c.Notes, nil
}

const acme = `
users: [{email: ada@a.b, name: Ada}, {email: ben@a.b}, {email: eve@a.b}]
instance_admins: [ada@a.b]
plans: [{id: team, quotas: {projects: 3}}, {id: big}]
data_planes: [{id: eu-1, base_url: "https://eu", region: eu}, {id: us-1, base_url: "https://us", region: us}]
organizations:
  - name: acme
    metadata: {tier: gold}
    residency: eu
    data_plane: eu-1
    plan: team
    roles: [{name: lead, project_permissions: ["prompts:CUD"]}]
    members: [{email: ada@a.b, role: OWNER}, {email: ben@a.b, role: lead, expires_at: 2027-01-01}]
    service_accounts: [{name: bot, role: VIEWER}]
    groups: [{name: ops, role: VIEWER, members: [eve@a.b, bot], project_roles: {app: ADMIN}}]
    projects:
      - name: app
        retention_days: 30
        environments: [prod, ci]
        overrides: [{email: ben@a.b, role: NONE}]
        keys: [{name: ingest, permissions: ["scores:CUD"], environments: [ci]}]
    keys: [{name: ci, permissions: ["projects:create"]}]
`

// Each row is what a file leads to from the same installation. Fails if a section that is absent is emptied, if pruning
// happens without being asked for, or if an order is wrong: tried by leaving out the checks for nil and Prune, and the
// sorting.
func TestPlan(t *testing.T) {
	t.Parallel()
	prune := PlanOptions{Prune: true}
	for name, row := range map[string]struct {
		want  string
		o     PlanOptions
		lines []string
	}{
		"the same":           {acme, prune, nil},
		"nothing":            {"users: []", prune, nil},
		"an absent section":  {"organizations: [{name: acme}]", prune, nil},
		"an absent field":    {"organizations: [{name: acme, projects: [{name: app}]}]", PlanOptions{}, nil},
		"empty, not pruning": {"organizations: [{name: acme, members: [], projects: [], keys: [], groups: [], roles: [], service_accounts: []}]", PlanOptions{}, nil},
		"empty further inside, not pruning": {
			"instance_admins: []\norganizations: [{name: acme, groups: [{name: ops, members: [], project_roles: {}}], projects: [{name: app, overrides: [], keys: []}]}]",
			PlanOptions{}, nil,
		},
		"empty, pruning": {
			"organizations: [{name: acme, members: [], projects: [], keys: [], groups: [], roles: [], service_accounts: []}]", prune,
			[]string{
				"acme: - key ci", "acme: - member ben@a.b", "acme: - project app", "acme: - group ops",
				"acme: - service account bot", "acme: - member ada@a.b", "acme: - role lead",
			},
		},
		"a new organization": {
			"organizations: [{name: new, id: n1, suspended: true, members: [{email: ben@a.b, role: VIEWER}, {email: ada@a.b, role: owner}]," +
				" plan: team, projects: [{name: p}], keys: [{name: k, expires_at: 2027-02-03}]}]", prune,
			[]string{
				"new: + organization: id n1", "new: + member ada@a.b: role OWNER", "new: + member ben@a.b: role VIEWER", "new: + project p",
				"new: + key k: preset full; expires_at 2027-02-03T00:00:00Z", "new: + plan of the organization: team", "new: + suspended of the organization: true",
			},
		},
		"users": {
			"users: [{email: ada@a.b, name: Ada L, deactivated: true}, {email: new@a.b, name: New}]", prune,
			[]string{"~ user ada@a.b: name Ada -> Ada L", "+ user new@a.b: name New", "~ user ada@a.b: deactivated false -> true"},
		},
		"admins": {
			"instance_admins: [ben@a.b]", prune, []string{"+ instance admin ben@a.b", "- instance admin ada@a.b"},
		},
		"plans: roomier first, tighter last": {
			"plans: [{id: team, quotas: {projects: 2}}, {id: big, name: Big}, {id: new}]", PlanOptions{},
			[]string{`~ plan big: name "" -> Big`, "+ plan new", "~ plan team: quotas projects 3 -> projects 2"},
		},
		"a roomier plan before projects": {
			"organizations: [{name: acme, plan: big, projects: [{name: two}]}]", PlanOptions{},
			[]string{"acme: ~ organization: plan team -> big", "acme: + project two"},
		},
		"another region": {
			"organizations: [{name: acme, residency: us, data_plane: us-1}]", PlanOptions{},
			[]string{
				`acme: ~ organization: residency eu -> ""`, "acme: ~ organization: data plane eu-1 -> us-1", `acme: ~ organization: residency "" -> us`,
			},
		},
		"an owner replaced": {
			"organizations: [{name: acme, members: [{email: ada@a.b, role: VIEWER}, {email: ben@a.b, role: OWNER, expires_at: never}]}]", PlanOptions{},
			[]string{"acme: ~ member ben@a.b: role lead -> OWNER; expires_at 2027-01-01T00:00:00Z -> never", "acme: ~ member ada@a.b: role OWNER -> VIEWER"},
		},
		"an owner removed": {
			"organizations: [{name: acme, members: [{email: eve@a.b, role: OWNER}]}]", prune,
			[]string{"acme: - member ben@a.b", "acme: + member eve@a.b: role OWNER", "acme: - member ada@a.b"},
		},
		"an expiry kept with another role": {
			"organizations: [{name: acme, members: [{email: ben@a.b, role: VIEWER}]}]", PlanOptions{},
			[]string{"acme: ~ member ben@a.b: role lead -> VIEWER"},
		},
		"a member suspended": {
			"organizations: [{name: acme, members: [{email: ben@a.b, suspended: true}]}]", PlanOptions{},
			[]string{"acme: ~ member ben@a.b: suspended false -> true"},
		},
		"a role in another spelling": {
			"organizations: [{name: acme, members: [{email: ben@a.b, role: LEAD}, {email: ada@a.b, role: owner}]}]", PlanOptions{}, nil,
		},
		"roles": {
			"organizations: [{name: acme, roles: [{name: lead, description: Leads, project_permissions: []}, {name: aide}]}]", PlanOptions{},
			[]string{`acme: ~ role lead: description "" -> Leads; project permissions prompts:CUD -> ""`, "acme: + role aide"},
		},
		"a group": {
			"organizations: [{name: acme, groups: [{name: OPS, role: NONE, members: [ben@a.b, bot], project_roles: {}}]}]", prune,
			[]string{"acme: ~ group OPS: name ops -> OPS; role VIEWER -> NONE; members + ben@a.b; members - eve@a.b; role in app ADMIN -> none"},
		},
		"a group, not pruning": {
			"organizations: [{name: acme, groups: [{name: ops, members: [ben@a.b], project_roles: {APP: ADMIN}}]}]", PlanOptions{},
			[]string{"acme: ~ group ops: members + ben@a.b"},
		},
		"environments that a key was bound to": {
			"organizations: [{name: acme, projects: [{name: app, environments: [default, stage], keys: [{name: ingest, environments: [stage]}]}]}]", PlanOptions{},
			[]string{
				"acme: ~ project app: environments ci, prod -> ci, prod, stage", "acme: ~ key ingest of project app: environments ci -> stage",
				"acme: ~ project app: environments ci, prod, stage -> stage",
			},
		},
		"environments that no key was bound to": {
			"organizations: [{name: acme, projects: [{name: app, environments: [ci]}]}]", PlanOptions{},
			[]string{"acme: ~ project app: environments ci, prod -> ci"},
		},
		"a project": {
			"organizations: [{name: acme, projects: [{name: App, retention_days: 0, overrides: [{service_account: bot, role: NONE}]}]}]", prune,
			[]string{
				"acme: ~ project App: name app -> App", "acme: ~ project App: retention 30 days -> for ever",
				"acme: + override of bot in project App: role NONE", "acme: - override of ben@a.b in project App",
			},
		},
		"a project renamed by id": {
			"organizations: [{name: acme, projects: [{id: prj-app, name: application}]}]", prune,
			[]string{"acme: ~ project application: name app -> application"},
		},
		"a project renamed where a group has a role": {
			"organizations: [{name: acme, projects: [{id: prj-app, name: main}, {name: app}], groups: [{name: ops, project_roles: {main: ADMIN}}]}]", prune,
			[]string{"acme: ~ project main: name app -> main", "acme: + project app"},
		},
		"an organization renamed by id": {
			"organizations: [{id: org-acme, name: acme inc}, {name: acme}]", PlanOptions{},
			[]string{"acme inc: ~ organization: name acme -> acme inc", "acme: + organization"},
		},
		"a key": {
			"organizations: [{name: acme, keys: [{name: ci, preset: read-only, note: N, allowed_networks: [10.1.2.3/8, 10.0.0.1]}]}]", PlanOptions{},
			[]string{`acme: ~ key ci: note "" -> N; networks "" -> 10.0.0.0/8, 10.0.0.1/32`},
		},
		"organizations stay": {"organizations: []", prune, nil},
		"organizations go": {
			"organizations: []", PlanOptions{Prune: true, PruneOrganizations: true}, []string{"acme (org-acme): - organization with all that is in it"},
		},
		"names": {
			`policy: {naming: {org_pattern: "^a"}, org_creators: {who: listed, emails: ["*@a.b"]}, sign_up: [{organization: acme, role: viewer, project: APP, project_role: NONE}]}`, prune,
			[]string{
				`~ policy for names: org_pattern "" -> ^a`, `~ policy for creators of organizations: who "" -> listed; emails "" -> *@a.b`,
				`~ policy for sign-up: grants "" -> VIEWER in acme and NONE in its APP`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines, _, err := planned(t, row.want, presentOf(t, acme), row.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.lines, lines); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What a file refers to must be there. Fails where a check is left out: tried.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	org := func(text string) string { return "organizations: [{name: acme, " + text + "}]" }
	for name, row := range map[string]struct{ text, says string }{
		"a stranger":               {org("members: [{email: x@a.b, role: OWNER}]"), "organization acme, members: x@a.b is neither among the users"},
		"a stranger's override":    {org("projects: [{name: app, overrides: [{email: x@a.b, role: NONE}]}]"), "project app, overrides: x@a.b"},
		"a stranger in a group":    {org("groups: [{name: ops, members: [nobody]}]"), "group ops: nobody"},
		"a stranger as an admin":   {"instance_admins: [x@a.b]", "instance_admins: x@a.b"},
		"a service account":        {org("projects: [{name: app, overrides: [{service_account: x, role: NONE}]}]"), "service account x, which is not there"},
		"a role":                   {org("members: [{email: ada@a.b, role: ONWER}]"), "there is no role ONWER"},
		"a plan":                   {org("plan: small"), "there is no plan small"},
		"a data plane":             {org("data_plane: eu-9"), "there is no data plane eu-9"},
		"a group's project":        {org("groups: [{name: ops, project_roles: {other: NONE}}]"), "role in project other, which is not there"},
		"sign-up, organization":    {"policy: {sign_up: [{organization: other, role: NONE}]}", "there is no organization other"},
		"sign-up, project":         {"policy: {sign_up: [{organization: acme, role: NONE, project: other, project_role: NONE}]}", "acme has no project other"},
		"one of two names":         {"organizations: [{name: twin}]", "2 organizations have this name ([t1 t2])"},
		"one of two accounts":      {org("service_accounts: [{name: twin}]"), "several service accounts are named twin"},
		"one of two keys":          {org("keys: [{name: twin}]"), "key twin can't be told which it is"},
		"sign-up, two names":       {"policy: {sign_up: [{organization: twin, role: NONE}]}", "2 organizations are named twin"},
		"an id that was deleted":   {"organizations: [{name: back, id: org-gone}]", "was that of gone, which was deleted for good"},
		"a project from elsewhere": {"organizations: [{name: other, projects: [{name: app, id: prj-app}]}]", "is in organization org-acme; move it with TransferProject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			have := presentOf(t, acme)
			// What a file can't say: two organizations, service accounts and keys of one name.
			for _, id := range []string{"t1", "t2"} {
				twin := *emptyOrg()
				twin.ID, twin.Name = id, "twin"
				have.Organizations = append(have.Organizations, twin)
			}
			have.Organizations[0].ServiceAccounts = append(have.Organizations[0].ServiceAccounts, ServiceAccount{Name: "twin", twins: true})
			have.Organizations[0].Keys = append(have.Organizations[0].Keys, Key{Name: "twin", unclear: "another has the same name"})
			_, _, err := planned(t, row.text, have, PlanOptions{})
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want an error that says %q", err, row.says)
			}
		})
	}
}
