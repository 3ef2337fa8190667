package tenancy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plannedCase is a plan from an installation that a test has changed by hand, because a file can't say so.
type plannedCase struct {
	have, want string
	change     func(*Present)
	o          PlanOptions
	lines      []string
	note       string
}

func (c plannedCase) run(t *testing.T) {
	t.Parallel()
	have := presentOf(t, c.have)
	if c.change != nil {
		c.change(have)
	}
	lines, notes, err := planned(t, c.want, have, c.o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.lines, lines); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if said := strings.Join(notes, "\n"); c.note == "" && said != "" || !strings.Contains(said, c.note) {
		t.Errorf("notes %q, want %q", notes, c.note)
	}
}

// What has passed, what can't be told apart and what can't be compared is left alone and told. Fails where the check that a
// row is about is left out: tried.
func TestPlanNotes(t *testing.T) {
	t.Parallel()
	const key = "organizations: [{name: acme, keys: [{name: k, permissions: ['scores:CUD']}]}]"
	const people = "users: [{email: ada@a.b}]\n"
	for name, c := range map[string]plannedCase{
		"a grant that has expired": {
			have: people + "organizations: [{name: acme}]", want: "organizations: [{name: acme, members: [{email: ada@a.b, role: OWNER, expires_at: 2026-05-31}]}]",
			o: PlanOptions{Prune: true}, note: "has expired by the file",
		},
		"a grant that has expired by the file alone": {
			have: people + "organizations: [{name: acme, members: [{email: ada@a.b, role: OWNER}]}]",
			want: "organizations: [{name: acme, members: [{email: ada@a.b, role: OWNER, expires_at: 2026-05-31}]}]",
			o:    PlanOptions{Prune: true}, note: "has expired by the file",
		},
		"a key that has expired": {
			have: key, want: "organizations: [{name: acme, keys: [{name: k, expires_at: 2026-05-31}, {name: l, expires_at: 2026-05-31}]}]",
			o: PlanOptions{Prune: true}, note: "the key l has expired by the file",
		},
		"a key that shares its name": {
			have: key, want: "organizations: [{name: acme, keys: []}]", change: func(p *Present) { p.Organizations[0].Keys[0].unclear = "another has the same name" },
			o: PlanOptions{Prune: true}, note: "key k of acme () is left alone: another has the same name",
		},
		"a service account that shares its name": {
			have: "organizations: [{name: acme, service_accounts: [{name: bot, role: VIEWER}]}]", want: "organizations: [{name: acme, service_accounts: []}]",
			change: func(p *Present) { p.Organizations[0].ServiceAccounts[0].twins = true }, o: PlanOptions{Prune: true}, note: "service account bot () is left alone",
		},
		"another organization of the name": {
			have: "organizations: [{name: acme}]", want: "organizations: [{name: acme, id: other}]",
			lines: []string{"acme: + organization: id other"}, note: "another organization has this name and the id org-acme",
		},
		"addresses without an account, as many": {
			have: people + "policy: {org_creators: {who: listed, emails: [ada@a.b]}}", want: "policy: {org_creators: {who: listed, emails: [ada@a.b, x@a.b]}}",
			change: func(p *Present) { p.Policy.OrgCreators.hidden = 1 }, note: "1 addresses without an account can't be compared",
		},
		"addresses without an account, more": {
			have: people + "policy: {org_creators: {who: listed, emails: [ada@a.b]}}", want: "policy: {org_creators: {who: listed, emails: [ada@a.b, x@a.b, y@a.b]}}",
			change: func(p *Present) { p.Policy.OrgCreators.hidden = 1 },
			lines:  []string{"~ policy for creators of organizations: emails ada@a.b -> ada@a.b, x@a.b, y@a.b"},
		},
		"a project restored": {
			have: "organizations: [{name: acme}]", want: "organizations: [{name: acme, projects: [{id: p1, name: new, retention_days: 9, keys: [{name: k}]}]}]",
			change: func(p *Present) { p.Organizations[0].deleted = []Project{{ID: "p1", Name: "old"}} },
			lines:  []string{"acme: + project new: restored p1", "acme: ~ project new: retention for ever -> 9 days"}, note: "run it again to compare",
		},
		"sign-up of somebody new": {
			have:  "policy: {sign_up: [{organization: acme, role: VIEWER, project: app, project_role: NONE}]}\norganizations: [{name: acme, projects: [{name: app}]}]",
			want:  people + "organizations: [{name: acme, members: [], projects: [{name: app, overrides: []}]}]",
			o:     PlanOptions{Prune: true},
			lines: []string{"+ user ada@a.b", "acme: - member ada@a.b", "acme: - override of ada@a.b in project app"},
		},
		"names that the present policy refuses": {
			have: `policy: {naming: {org_pattern: "^x"}}`, want: "policy: {naming: {org_pattern: ^a}}\norganizations: [{name: acme}]",
			lines: []string{"~ policy for names: org_pattern ^x -> ^a", "acme: + organization"},
		},
		"names that the present policy takes": {
			have: `policy: {naming: {org_pattern: "^a"}}`, want: "policy: {naming: {org_pattern: ^x}}\norganizations: [{name: acme}]",
			lines: []string{"acme: + organization", "~ policy for names: org_pattern ^a -> ^x"},
		},
		"names that move on": {
			have:  "organizations: [{name: acme, projects: [{name: a}, {name: b}, {name: c}]}]",
			want:  "organizations: [{name: acme, projects: [{id: prj-a, name: b}, {id: prj-b, name: c}, {id: prj-c, name: d}, {name: a}]}]",
			lines: []string{"acme: ~ project d: name c -> d", "acme: ~ project c: name b -> c", "acme: ~ project b: name a -> b", "acme: + project a"},
		},
	} {
		t.Run(name, c.run)
	}
}

// Names that can't be had are mistakes. Fails if renameProjects or nameFree say nothing: tried.
func TestPlanRefusesNames(t *testing.T) {
	t.Parallel()
	have := "organizations: [{name: acme, projects: [{name: a}, {name: b}]}]"
	for want, says := range map[string]string{
		"organizations: [{name: acme, projects: [{id: prj-a, name: b}, {id: prj-b, name: a}]}]": "take each other's names",
		"organizations: [{name: acme, projects: [{id: prj-a, name: b}]}]":                       "project prj-b has it",
		"organizations: [{name: acme, projects: [{id: new, name: b}]}]":                         "project prj-b has it",
	} {
		_, _, err := planned(t, want, presentOf(t, have), PlanOptions{})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", want, err, says)
		}
	}
}
