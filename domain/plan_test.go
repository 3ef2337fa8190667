package domain_test

import "github.com/tenurehq/tenure/domain"

func atMost(n uint32) domain.Quota { return domain.Quota{Bound: true, Max: n} }

// planned gives an organization a plan with these quotas.
func planned(org domain.OrgID, q domain.Quotas) []domain.Command {
	return []domain.Command{domain.DefinePlan{ID: "pro", PlanName: "Pro", Quotas: q}, domain.SetPlan{Org: org, Plan: "pro"}}
}

// The quotas that acme has used up: one project, two live keys and seven members.
var full = domain.Quotas{Projects: atMost(1), Members: atMost(7), Keys: atMost(2)}

// planRows fail if a bound of 0 reads like none: tried.
var planRows = []row{
	{
		name: "with quotas", by: instance, when: domain.DefinePlan{ID: "pro", PlanName: "Pro", Quotas: domain.Quotas{Projects: atMost(3), Keys: atMost(0)}},
		then: `plan_defined{plan_id:"pro" new{name:"Pro" quotas{projects:3 keys:0}}}`,
	},
	{name: "without quotas", by: instance, when: domain.DefinePlan{ID: "free"}, then: `plan_defined{plan_id:"free" new{quotas{}}}`},
	{
		name: "other quotas", given: planned("acme", full), by: instance, when: domain.DefinePlan{ID: "pro", PlanName: "Pro", Quotas: domain.Quotas{Members: atMost(0)}},
		then: `plan_defined{plan_id:"pro" old{name:"Pro" quotas{projects:1 members:7 keys:2}} new{name:"Pro" quotas{members:0}}}`,
	}, {
		name: "another name, by a person who is an instance admin", given: append(planned("acme", full), admins...), by: user("sam"),
		when: domain.DefinePlan{ID: "pro", PlanName: "Pro+", Quotas: full},
		then: `plan_defined{plan_id:"pro" old{name:"Pro" quotas{projects:1 members:7 keys:2}} new{name:"Pro+" quotas{projects:1 members:7 keys:2}}}`,
	},
	{name: "what it is", given: planned("acme", full), by: instance, when: domain.DefinePlan{ID: "pro", PlanName: "Pro", Quotas: full}},
	{name: "by an OWNER", by: user("olga"), when: domain.DefinePlan{ID: "pro"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by a key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.DefinePlan{ID: "pro"}, code: domain.CodeDenied, reason: domain.KeyCeiling},

	{name: "a plan", given: []domain.Command{domain.DefinePlan{ID: "pro"}}, by: instance, when: domain.SetPlan{Org: "acme", Plan: "pro"}, then: `org_ids:"acme" org_plan_set{plan_id{new:"pro"}}`},
	{name: "another plan", given: append(planned("acme", full), domain.DefinePlan{ID: "max"}), by: instance, when: domain.SetPlan{Org: "acme", Plan: "max"}, then: `org_ids:"acme" org_plan_set{plan_id{old:"pro" new:"max"}}`},
	{name: "none", given: planned("acme", full), by: instance, when: domain.SetPlan{Org: "acme"}, then: `org_ids:"acme" org_plan_set{plan_id{old:"pro"}}`},
	{name: "a smaller one than what is there", given: []domain.Command{domain.DefinePlan{ID: "pro", Quotas: domain.Quotas{Members: atMost(0)}}}, by: instance, when: domain.SetPlan{Org: "acme", Plan: "pro"}, then: `org_ids:"acme" org_plan_set{plan_id{new:"pro"}}`},
	{name: "of a suspended organization", given: with(suspended("acme"), domain.DefinePlan{ID: "pro"}), by: instance, when: domain.SetPlan{Org: "acme", Plan: "pro"}, then: `org_ids:"acme" org_plan_set{plan_id{new:"pro"}}`},
	{name: "the plan it has", given: planned("acme", full), by: instance, when: domain.SetPlan{Org: "acme", Plan: "pro"}},
	{name: "none, having none", by: instance, when: domain.SetPlan{Org: "acme"}},
	{name: "one that is not there", by: instance, when: domain.SetPlan{Org: "acme", Plan: "pro"}, code: domain.CodeNotFound, reason: domain.PlanNotFound},
	{name: "of a deleted organization", given: deleted("acme"), by: instance, when: domain.SetPlan{Org: "acme"}, code: domain.CodePrecondition, reason: domain.OrgDeleted},
	{name: "by its OWNER", given: planned("acme", full), by: user("olga"), when: domain.SetPlan{Org: "acme"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by somebody else, one that is not there", by: user("sam"), when: domain.SetPlan{Org: "acme", Plan: "pro"}, code: domain.CodeNotFound, reason: domain.OrgNotFound, hides: "acme"},
}

// quotaRows: quotas are enforced wherever something is let in, and nowhere else. Without the question in a command, or if what
// has expired, was revoked or deleted counts, these fail: tried, for each.
var quotaRows = func() (rows []row) {
	plan := planned("acme", full)
	refused := func(name string, c domain.Command, given ...domain.Command) {
		rows = append(rows, row{name: name, given: append(given, plan...), by: instance, when: c, code: domain.CodeExhausted, reason: domain.QuotaExceeded})
	}
	passes := func(name string, then string, c domain.Command, given ...domain.Command) {
		rows = append(rows, row{name: name, given: append(given, plan...), by: instance, when: c, then: then, after: hour})
	}
	newProject := domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"}
	newProjectText := `org_ids:"acme" project_id:"new" project_created{name:"New"}`
	refused("a project beyond the quota", newProject)
	passes("a project in place of a deleted one", newProjectText, newProject, domain.DeleteProject{ID: "web"})
	passes("a project in place of one that left", newProjectText, newProject, domain.TransferProject{ID: "web", Target: "globex"})
	old := []domain.Command{domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}, domain.CreateKey{Minted: minted("k_old"), Project: "old"}, domain.DeleteProject{ID: "old"}}
	refused("a project beyond the quota, without keys", domain.RestoreProject{ID: "old"}, old[0], old[2])
	refused("a project whose keys are beyond the quota", domain.RestoreProject{ID: "old"}, with(old, domain.DeleteProject{ID: "web"}, domain.CreateKey{Minted: minted("k2"), Org: "acme"})...)
	passes("a project for which there is room", `org_ids:"acme" project_id:"old" project_restored{}`, domain.RestoreProject{ID: "old"}, with(old, domain.DeleteProject{ID: "web"})...)

	refused("a member beyond the quota", domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer})
	rows = append(rows, row{
		name: "a member where none is allowed", given: planned("acme", domain.Quotas{Members: atMost(0)}), by: instance,
		when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, code: domain.CodeExhausted, reason: domain.QuotaExceeded,
	})
	passes("another role to a member", `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER"} new{role:"VIEWER"}}}`, domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer})
	passes("a member again whose role has expired", `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER" expires_at{@1h}} new{role:"VIEWER"}}}`,
		domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer}, expiringMember("acme", "mia"))
	passes("an override to a member", inWeb+` user_id:"mia" role_granted{grant{new{role:"VIEWER"}}}`, override("mia", domain.Viewer, never))
	passes("a member in place of one who left", `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"VIEWER"}}}`, domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, domain.RevokeRole{Org: "acme", User: "nora"})
	refused("with a member beyond the quota", team(domain.Viewer, "", "mia", "sam"))
	passes("with nobody new", teamText+` group_created{name:"Team" role:"VIEWER" user_ids:"mia" user_ids:"vic"}`, team(domain.Viewer, "", "mia", "vic"))
	refused("with a member beyond the quota", domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}, team(domain.Viewer, "", "mia"))
	refused("with two new members and one less", domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam", "gary"}, Remove: []domain.UserID{"nora"}},
		team(domain.Viewer, "", "nora"), domain.RevokeRole{Org: "acme", User: "nora"})
	passes("with a member in place of another", teamText+` group_updated{added_user_ids:"sam" removed_user_ids:"nora"}`,
		domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}, Remove: []domain.UserID{"nora"}}, team(domain.Viewer, "", "nora"), domain.RevokeRole{Org: "acme", User: "nora"})
	refused("a member beyond the quota", domain.AcceptInvitation{ID: "inv", User: "sam"}, inviteTo("acme", "", domain.Viewer, ""))
	passes("more for a member", miaAccepts+miaBecomes+`old{role:"MEMBER"} new{role:"ADMIN"}}}`, domain.AcceptInvitation{ID: "inv", User: "mia"}, miaIs(domain.Admin)...)
	passes("an invitation that there is no room for yet", sentText(`org_ids:"acme"`, `role:"VIEWER"`, "169h"), inviteTo("acme", "", domain.Viewer, ""))
	refused("a member beyond the quota", newAccount(domain.Viewer))

	newKey := domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:read")}
	newKeyText := createdText(inWeb, "k", `permissions:"project:read"`)
	refused("a key beyond the quota, of a project", newKey)
	refused("a key beyond the quota, of an organization", domain.CreateKey{Minted: minted("k"), Org: "acme"})
	passes("a key in place of a revoked one", newKeyText, newKey, domain.RevokeKey{ID: "k_acme"})
	passes("a key in place of an expired one", newKeyText, newKey, domain.RevokeKey{ID: "k_acme"}, domain.CreateKey{Minted: minted("k1"), Org: "acme", ExpiresAt: in(hour)})
	passes("a key in place of a rotated one whose grace is over", newKeyText, newKey,
		domain.RevokeKey{ID: "k_acme"}, domain.RotateKey{ID: "k_web", Successor: minted("next"), Grace: hour})
	passes("a key beside those of a deleted project", `org_ids:"acme" key_id:"k" key_created`+mintedText("k", `permissions:"project:read"`),
		domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("project:read")}, domain.DeleteProject{ID: "web"})
	passes("a key of a person", createdText(`user_id:"mia"`, "k", `permissions:"project:read"`), domain.CreateKey{Minted: minted("k"), User: "mia", Permissions: words("project:read")})
	passes("a key at the quota", rotatedText(`org_ids:"acme"`, "k_acme", inText("permissions", everywhere(domain.Owner)), `new{@2h}`), domain.RotateKey{ID: "k_acme", Successor: minted("next"), Grace: hour})
	refused("a key beyond the quota", domain.ImportKey{Minted: minted("k"), Project: "web"})
	passes("a key that has expired", importedText(inWeb, `permissions:"project:read" expires_at{@1h}`, ""),
		domain.ImportKey{Minted: minted("k"), Project: "web", Permissions: words("project:read"), ExpiresAt: in(hour)})
	return rows
}()
