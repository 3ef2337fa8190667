package tests

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/tenancy"
)

// applyWorld says everything that a file can say.
const applyWorld = `
plans: [{id: small, quotas: {projects: 2, keys: 5}}, {id: large}]
data_planes: [{id: eu-1, base_url: "https://eu.example.com", region: eu}, {id: us-1, base_url: "https://us.example.com", region: us}]
policy:
  naming: {org_pattern: "^(client|bu)-", org_form: client-<name>}
  org_creators: {who: listed, emails: ["ada@example.com", "*@example.org", "stranger@example.com"]}
  sign_up: [{organization: bu-one, role: VIEWER, project: docs, project_role: NONE}]
users: [{email: ada@example.com, name: Ada}, {email: ben@example.com}, {email: eve@example.com}]
instance_admins: [ada@example.com]
organizations:
  - name: bu-one
    id: one
    metadata: {tier: gold}
    plan: small
    residency: eu
    data_plane: eu-1
    roles: [{name: lead, description: Leads, organization_permissions: ["projects:create"], project_permissions: ["prompts:CUD"]}]
    members: [{email: ada@example.com, role: OWNER}, {email: ben@example.com, role: lead, expires_at: 2099-01-01T10:00:00Z}]
    service_accounts: [{name: bot, role: VIEWER, keys: [{name: ci, permissions: ["projects:create"]}]}]
    groups: [{name: ops, role: VIEWER, members: [eve@example.com, bot], project_roles: {docs: ADMIN}}]
    projects:
      - name: docs
        id: docs
        retention_days: 30
        environments: [prod, ci]
        metadata: {team: red}
        overrides: [{email: ben@example.com, role: NONE, expires_at: 2099-01-01}, {service_account: bot, role: lead}]
        keys: [{name: ingest, permissions: ["scores:CUD"], environments: [ci], note: N, allowed_networks: [10.0.0.0/8], expires_at: 2099-01-01}]
      - {name: old}
    keys: [{name: terraform}]
  - {name: client-two, suspended: true, members: [{email: ben@example.com, role: OWNER}, {email: eve@example.com, role: ADMIN, suspended: true}]}
`

// applyChanged is applyWorld with everything different that can be.
const applyChanged = `
plans: [{id: small, name: Small, quotas: {projects: 9}}, {id: large, quotas: {members: 50}}]
data_planes: [{id: eu-1, base_url: "https://eu2.example.com", region: eu}]
policy:
  naming: {project_pattern: "^[a-z]", warn_only: true}
  org_creators: {who: instance_admins}
  sign_up: [{organization: unit-one, role: NONE}]
users: [{email: ada@example.com, name: Ada L, deactivated: true}, {email: eve@example.com, name: Eve}, {email: new@example.com}]
instance_admins: [eve@example.com]
organizations:
  - name: unit-one
    id: one
    metadata: {}
    plan: large
    residency: us
    data_plane: us-1
    roles: [{name: lead, description: "", organization_permissions: [], project_permissions: ["prompts:CUD", "datasets:CUD"]}, {name: aide}]
    members: [{email: eve@example.com, role: OWNER}, {email: ben@example.com, role: aide, expires_at: never, suspended: true}]
    service_accounts: [{name: bot, role: NONE, suspended: true, keys: []}, {name: bot2, role: aide}]
    groups: [{name: OPS, role: NONE, members: [bot2, new@example.com], project_roles: {manual: VIEWER}}]
    projects:
      - name: manual
        id: docs
        retention_days: 0
        environments: [prod, stage]
        metadata: {team: blue}
        overrides: [{email: ben@example.com, role: VIEWER, expires_at: never}]
        keys: [{name: ingest, permissions: ["scores:CUD", "prompts:read"], environments: [stage], note: "", allowed_networks: [], expires_at: never}, {name: extra, preset: read-only}]
      - {name: docs, overrides: [{email: new@example.com, role: ADMIN}]}
    keys: []
  - {name: client-two, suspended: false, members: [{email: ben@example.com, role: OWNER}, {email: eve@example.com, role: ADMIN, suspended: false}]}
`

// Everything that a file can say is made, changed, taken away, and read back as it was said. Fails if the order of changes does
// not work (owners, regions, quotas, environments that keys are bound to, names that become free): tried by leaving the changes
// of an organization unsorted.
func TestApplyChanges(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	admin := applyAs(s, apiAdminKey, nil)
	prune := tenancy.PlanOptions{Prune: true}
	r := applied(t, admin, applyFile(t, applyWorld), prune)
	if len(r.Keys) != 3 || r.Keys["bu-one/docs/ingest"] == nil || r.Keys["bu-one/bot/ci"] == nil || r.Keys["bu-one/terraform"].Secret == "" {
		t.Errorf("the new keys are %v", r.Keys)
	}
	before := applyExport(t, admin)
	applied(t, admin, applyFile(t, applyChanged), prune)
	after := applyExport(t, admin)
	for _, wanted := range []string{
		"name: unit-one", "{email: ben@example.com, role: aide, suspended: true}", "data_plane: us-1", "environments: [prod, stage]",
		"{email: ada@example.com, name: Ada L, deactivated: true}", "instance_admins: [eve@example.com]", "project_roles: {manual: VIEWER}",
	} {
		if !strings.Contains(after, wanted) {
			t.Errorf("%q is missing in\n%s", wanted, after)
		}
	}
	for _, gone := range []string{"terraform", "Leads", "gold", "retention_days", "name: old", "name: ci", "10.0.0.0"} {
		if !strings.Contains(before, gone) || strings.Contains(after, gone) {
			t.Errorf("%q must be there before and gone after:\n%s", gone, after)
		}
	}
	// Without pruning nothing goes, and the way back needs no more than the file.
	back := applyFile(t, applyWorld)
	back.Users[0].Deactivated = new(false)
	back.Organizations[0].Projects[0].Name = "handbook" // docs is another one now
	applied(t, admin, back, tenancy.PlanOptions{})
	applied(t, admin, applyFile(t, "organizations: []"), tenancy.PlanOptions{Prune: true, PruneOrganizations: true})
	if left := applyExport(t, admin); !strings.Contains(left, "organizations: []") {
		t.Errorf("organizations are left:\n%s", left)
	}
}
