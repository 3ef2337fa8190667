package domain_test

import "github.com/tenurehq/tenure/domain"

// refusedToAdmins is what an ADMIN may not do, because an OWNER would gain or lose by it.
func refusedToAdmins(name string, given []domain.Command, when domain.Command) row {
	return row{name: name + ", by an ADMIN", given: given, by: user("adam"), when: when, code: domain.CodeDenied, reason: domain.GrantCeiling}
}

func group(id domain.GroupID, role domain.Role, users ...domain.UserID) domain.CreateGroup {
	return domain.CreateGroup{ID: id, Org: "acme", GroupName: "Group " + string(id), Role: role, Users: users}
}

// groupCeilingRows: nobody gives or takes by groups more than they hold, at any place that a group reaches, now or when a grant
// ends. Each fails without its part of groupEvent: the roles of the group that change, those of who enters or leaves, the role in
// the organization before and after, the overrides that sleep, wake and end, the role in each project before and after. Tried,
// one by one.
var groupCeilingRows = []row{
	refusedToAdmins("one of OWNERs", nil, team(domain.Owner, "")),
	refusedToAdmins("one of OWNERs of a project", nil, team("", domain.Owner)),
	refusedToAdmins("one of a role that holds more", customRoles, team("Reaper", "")),
	refusedToAdmins("OWNER, for an empty one", []domain.Command{team("", "")}, domain.UpdateGroup{ID: "team", Role: domain.Owner}),
	refusedToAdmins("less than OWNER, for an empty one", []domain.Command{team(domain.Owner, "")}, domain.UpdateGroup{ID: "team", Role: domain.Viewer}),
	refusedToAdmins("OWNER of a project, for an empty one", []domain.Command{team("", "")}, domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("web", "OWNER")}),
	refusedToAdmins("the end of OWNER of a project, for an empty one", []domain.Command{team("", domain.Owner)}, domain.UpdateGroup{ID: "team", DropProjects: []domain.ProjectID{"web"}}),
	refusedToAdmins("somebody into one of OWNERs", []domain.Command{team(domain.Owner, "")}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}),
	refusedToAdmins("oneself into one of OWNERs of a project", []domain.Command{team("", domain.Owner)}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"adam"}}),
	refusedToAdmins("somebody out of one of OWNERs", []domain.Command{team(domain.Owner, "", "sam")}, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}),
	refusedToAdmins("somebody out of one of OWNERs of a project", []domain.Command{team("", domain.Owner, "sam")}, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}),
	refusedToAdmins("who is OWNER anyway into one of OWNERs", []domain.Command{team(domain.Owner, "")}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"olga"}}),
	refusedToAdmins("who is OWNER anyway into one of OWNERs of a project", []domain.Command{team("", domain.Owner)}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"olga"}}),
	refusedToAdmins("more to who holds more by another group",
		with(customRoles, group("reapers", "Reaper", "sam"), team(domain.Viewer, "")), domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}),
	refusedToAdmins("more to who will hold more by another group",
		with(customRoles, group("reapers", "Reaper", "sam"), team(domain.Viewer, ""), expiringMember("acme", "sam")), domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}),
	refusedToAdmins("an empty one of OWNERs", []domain.Command{team(domain.Owner, "")}, domain.DeleteGroup{ID: "team"}),
	refusedToAdmins("an empty one of OWNERs of a project", []domain.Command{team("", domain.Owner)}, domain.DeleteGroup{ID: "team"}),

	// NONE of a group stands before the role of the organization.
	refusedToAdmins("an OWNER blocked", nil, team("", domain.None, "olga")),
	refusedToAdmins("an OWNER lowered", []domain.Command{team("", domain.Viewer)}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"olga"}}),
	refusedToAdmins("an OWNER blocked, being in it", []domain.Command{team("", "", "olga")}, domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("web", "NONE")}),
	refusedToAdmins("the block of an OWNER", []domain.Command{team("", domain.None, "olga")}, domain.UpdateGroup{ID: "team", DropProjects: []domain.ProjectID{"web"}}),
	refusedToAdmins("the block of an OWNER, by taking them out", []domain.Command{team("", domain.None, "olga")}, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"olga"}}),
	refusedToAdmins("the block of an OWNER", []domain.Command{team("", domain.None, "olga")}, domain.DeleteGroup{ID: "team"}),
	refusedToAdmins("the block of an OWNER by another group",
		[]domain.Command{group("owners", domain.Owner, "sam"), team("", domain.None, "sam")}, domain.DeleteGroup{ID: "team"}),
	refusedToAdmins("the block of an OWNER, under an override that ends",
		[]domain.Command{team("", domain.None, "olga"), override("olga", domain.Viewer, in(hour))}, domain.DeleteGroup{ID: "team"}),

	// Overrides sleep, wake and end with the membership.
	refusedToAdmins("the last hold of an OWNER of a project",
		[]domain.Command{team(domain.Viewer, "", "sam"), override("sam", domain.Owner, never)}, domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}),
	refusedToAdmins("the last hold of an OWNER of a project",
		[]domain.Command{team(domain.Viewer, "", "sam"), override("sam", domain.Owner, never)}, domain.DeleteGroup{ID: "team"}),
	{
		name: "who wakes as OWNER of a project, by an ADMIN", by: user("adam"), after: hour, when: team(domain.Viewer, "", "sam"),
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Owner, never)},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "who falls asleep as OWNER of a project, by an ADMIN", by: user("adam"), after: hour, when: domain.DeleteGroup{ID: "team"},
		given: []domain.Command{team(domain.Viewer, "", "sam"), expiringMember("acme", "sam"), override("sam", domain.Owner, never)},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	},

	// What a grant covers comes to count when it ends.
	{
		name: "an expiry to who is OWNER by a group, by an ADMIN", given: []domain.Command{team(domain.Owner, "", "vic")}, by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "vic", Role: domain.Viewer, ExpiresAt: in(hour)}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "no expiry to who would be OWNER by a group, by an ADMIN", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.RoleMember},
		given: []domain.Command{team(domain.Owner, "", "sam"), expiringMember("acme", "sam")},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "of who is OWNER by a group then, by an ADMIN", given: []domain.Command{team(domain.Owner, "", "vic")}, by: user("adam"),
		when: domain.RevokeRole{Org: "acme", User: "vic"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an override of who is OWNER there by a group then, by an ADMIN", by: user("adam"), when: domain.RevokeRole{Project: "web", User: "vic"},
		given: []domain.Command{team("", domain.Owner, "vic"), override("vic", domain.Viewer, never)},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "a direct grant before OWNER by a group, by an ADMIN", given: []domain.Command{team(domain.Owner, "", "sam")}, by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an override before OWNER by a group, by an ADMIN", given: []domain.Command{team("", domain.Owner, "vic")}, by: user("adam"),
		when: override("vic", domain.Viewer, never), code: domain.CodeDenied, reason: domain.GrantCeiling,
	},

	// What stays within bounds.
	{
		name: "somebody beside an OWNER", given: []domain.Command{team(domain.Viewer, domain.RoleMember, "olga")}, by: user("olga"),
		when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}, then: teamText + ` group_updated{added_user_ids:"sam"}`,
	}, {
		name: "somebody beside an OWNER, by an ADMIN", given: []domain.Command{team(domain.Viewer, domain.RoleMember, "olga")}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}, then: teamText + ` group_updated{added_user_ids:"sam"}`,
	}, {
		name: "a role in the organization that the OWNER in it does not need, by an ADMIN", given: []domain.Command{team(domain.Viewer, "", "olga")}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", Role: domain.Admin}, then: teamText + ` group_updated{role{old:"VIEWER" new:"ADMIN"}}`,
	}, {
		name: "one of two groups of who is OWNER by the other, by an ADMIN", by: user("adam"), when: domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}},
		given: []domain.Command{group("owners", domain.Owner, "sam"), team(domain.Viewer, "", "sam")},
		then:  teamText + ` group_updated{removed_user_ids:"sam"}`,
	}, {
		name: "by an ADMIN's key that holds less", by: pat("k", "adam"), when: team(domain.Viewer, ""),
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), User: "adam", Permissions: words("organizationMembers:CUD")}},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an OWNER blocked, by an OWNER", given: secondOwner(), by: user("olga"), when: team("", domain.None, "sam"),
		then: teamText + ` group_created{name:"Team" role:"NONE" project_roles{project_id:"web" role:"NONE"} user_ids:"sam"}`,
	},
}
