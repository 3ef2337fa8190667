package domain_test

import "github.com/tenurehq/tenure/domain"

func memberSuspended(org domain.OrgID, id domain.UserID) domain.Command {
	return domain.SuspendMember{Org: org, User: id}
}

// A group of acme that gives role there and in web, with these people in it.
func team(role, inWeb domain.Role, users ...domain.UserID) domain.CreateGroup {
	c := domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", Role: role, Users: users}
	if inWeb != "" {
		c.ProjectRoles = []domain.ProjectRole{{Project: "web", Role: inWeb}}
	}
	return c
}

// suspendRows fail if managedMember leaves out the overrides, the role, what is under it or the groups' roles in projects, or
// if SuspendMember does not ask keepsOwner: tried, for each.
var suspendRows = []row{
	{
		name: "a member", by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "mia"},
		then: `org_ids:"acme" user_id:"mia" member_suspended{}`,
	}, {
		name: "a member by a group alone", given: []domain.Command{team(domain.Viewer, "", "sam")}, by: orgKey("k_acme", "acme"),
		when: domain.SuspendMember{Org: "acme", User: "sam"}, then: `org_ids:"acme" user_id:"sam" member_suspended{}`,
	}, {
		name: "whose role has expired", given: []domain.Command{expiringMember("acme", "sam")}, by: user("adam"), after: hour,
		when: domain.SuspendMember{Org: "acme", User: "sam"}, then: `org_ids:"acme" user_id:"sam" member_suspended{}`,
	}, {
		name: "a deactivated one", by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "dora"},
		then: `org_ids:"acme" user_id:"dora" member_suspended{}`,
	}, {
		name: "one of two owners", given: secondOwner(), by: user("olga"), when: domain.SuspendMember{Org: "acme", User: "sam"},
		then: `org_ids:"acme" user_id:"sam" member_suspended{}`,
	}, {
		name: "in a suspended organization, by the instance", given: suspended("acme"), by: instance,
		when: domain.SuspendMember{Org: "acme", User: "mia"}, then: `org_ids:"acme" user_id:"mia" member_suspended{}`,
	}, {
		name: "a suspended one", given: []domain.Command{memberSuspended("acme", "mia")}, by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "mia"},
	}, {
		name: "the last owner", by: user("olga"), when: domain.SuspendMember{Org: "acme", User: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "the last owner, by the instance", by: instance, when: domain.SuspendMember{Org: "acme", User: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an owner beside a suspended one", given: secondOwner(memberSuspended("acme", "sam")), by: user("olga"),
		when: domain.SuspendMember{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an owner beside an owner by group", given: []domain.Command{team(domain.Owner, "", "adam")}, by: instance,
		when: domain.SuspendMember{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an OWNER, by an ADMIN", given: secondOwner(), by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "sam"},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an OWNER of a project, by an ADMIN", given: []domain.Command{override("mia", domain.Owner, never)}, by: user("adam"),
		when: domain.SuspendMember{Org: "acme", User: "mia"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an OWNER of a project by group, by an ADMIN", given: []domain.Command{team(domain.None, domain.Owner, "mia")}, by: user("adam"),
		when: domain.SuspendMember{Org: "acme", User: "mia"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "whom a group makes OWNER later, by an ADMIN", by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "sam"},
		given: []domain.Command{team(domain.Owner, "", "sam"), expiringMember("acme", "sam")},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "who is no member", by: user("adam"), when: domain.SuspendMember{Org: "acme", User: "sam"},
		code: domain.CodeNotFound, reason: domain.MemberNotFound, hides: "sam",
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.SuspendMember{Org: "acme", User: "vic"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a suspended ADMIN", given: []domain.Command{memberSuspended("acme", "adam")}, by: user("adam"),
		when: domain.SuspendMember{Org: "acme", User: "mia"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.SuspendMember{Org: "acme", User: "mia"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.SuspendMember{Org: "acme", User: "mia"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},

	{
		name: "a suspended one", given: []domain.Command{memberSuspended("acme", "mia")}, by: user("adam"),
		when: domain.ResumeMember{Org: "acme", User: "mia"}, then: `org_ids:"acme" user_id:"mia" member_resumed{}`,
	}, {
		name: "an OWNER, by an OWNER", given: secondOwner(memberSuspended("acme", "sam")), by: user("olga"),
		when: domain.ResumeMember{Org: "acme", User: "sam"}, then: `org_ids:"acme" user_id:"sam" member_resumed{}`,
	}, {
		name: "who is not suspended", by: user("adam"), when: domain.ResumeMember{Org: "acme", User: "mia"},
	}, {
		name: "an OWNER, by an ADMIN", given: secondOwner(memberSuspended("acme", "sam")), by: user("adam"),
		when: domain.ResumeMember{Org: "acme", User: "sam"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an OWNER of a project, by an ADMIN", given: []domain.Command{override("mia", domain.Owner, never), memberSuspended("acme", "mia")},
		by: user("adam"), when: domain.ResumeMember{Org: "acme", User: "mia"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "oneself", given: []domain.Command{memberSuspended("acme", "adam")}, by: user("adam"),
		when: domain.ResumeMember{Org: "acme", User: "adam"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "oneself, with a key that holds all", given: append(secondOwner(memberSuspended("acme", "olga")), domain.CreateKey{Minted: minted("k"), User: "olga"}),
		by: pat("k", "olga"), when: domain.ResumeMember{Org: "acme", User: "olga"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "who is no member", by: user("adam"), when: domain.ResumeMember{Org: "acme", User: "sam"},
		code: domain.CodeNotFound, reason: domain.MemberNotFound, hides: "sam",
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.ResumeMember{Org: "acme", User: "mia"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},

	{
		name: "a suspended one stays so", given: []domain.Command{memberSuspended("acme", "mia")}, by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.RoleMember},
	}, {
		name: "by a suspended ADMIN", given: []domain.Command{memberSuspended("acme", "adam")}, by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a project that a suspended ADMIN does not see any more", given: []domain.Command{memberSuspended("acme", "adam")}, by: user("adam"),
		when: domain.UpdateProject{ID: "web", ProjectName: new("Mine")}, code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "web",
	}, {
		name: "of a suspended person, by themselves", given: []domain.Command{memberSuspended("acme", "mia")}, by: user("mia"),
		when: domain.CreateKey{Minted: minted("k"), User: "mia", Permissions: words("project:read")},
		then: createdText(`user_id:"mia"`, "k", `permissions:"project:read"`),
	}, {
		name: "the last owner who is not suspended", given: secondOwner(memberSuspended("acme", "sam")), by: instance,
		when: domain.EraseUser{ID: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "a suspended owner", given: secondOwner(memberSuspended("acme", "sam")), by: user("olga"),
		when: domain.RevokeRole{Org: "acme", User: "sam"}, then: `org_ids:"acme" user_id:"sam" role_revoked{grant{role:"OWNER"}}`,
	},
}

// leaveRows fail if LeaveOrg does not ask keepsOwner or fullKey, or leaves groups or overrides out: tried, for each.
var leaveRows = []row{
	{
		name: "a MEMBER", by: user("mia"), when: domain.LeaveOrg{Org: "acme"}, then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}}`,
	}, {
		name: "with everything, however strong", given: []domain.Command{override("mia", domain.Owner, in(hour)), team(domain.Owner, domain.Owner, "mia")},
		by: pat("k_mia", "mia"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}
			dropped_overrides{project_id:"web" grant{role:"OWNER" expires_at{@1h}}} left_group_ids:"team"}`,
	}, {
		name: "a member by a group alone", given: []domain.Command{team(domain.Viewer, "", "sam")}, by: user("sam"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"sam" role_revoked{left_group_ids:"team"}`,
	}, {
		name: "one of two owners", given: secondOwner(), by: user("olga"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"olga" role_revoked{grant{role:"OWNER"}}`,
	}, {
		name: "a suspended one", given: []domain.Command{memberSuspended("acme", "mia")}, by: user("mia"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}}`,
	}, {
		name: "a suspended owner", given: secondOwner(memberSuspended("acme", "sam")), by: user("sam"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"sam" role_revoked{grant{role:"OWNER"}}`,
	}, {
		name: "a service account", given: accounts, by: user("bot"), when: domain.LeaveOrg{Org: "acme"},
		then: `org_ids:"acme" user_id:"bot" role_revoked{grant{role:"MEMBER"}}`,
	}, {
		name: "the last owner", by: user("olga"), when: domain.LeaveOrg{Org: "acme"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an owner beside one with an expiry", given: []domain.Command{domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)}},
		by: user("olga"), when: domain.LeaveOrg{Org: "acme"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an owner beside a service account", given: append(accounts[:1:1], domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}),
		by: user("olga"), when: domain.LeaveOrg{Org: "acme"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "by a key that holds less than all", given: partialKeys, by: pat("p_mia", "mia"), when: domain.LeaveOrg{Org: "acme"},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by a key of the organization", by: orgKey("k_acme", "acme"), when: domain.LeaveOrg{Org: "acme"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by the instance", by: instance, when: domain.LeaveOrg{Org: "acme"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "an instance admin who is no member", given: admins, by: user("sam"), when: domain.LeaveOrg{Org: "acme"},
		code: domain.CodeNotFound, reason: domain.MemberNotFound,
	}, {
		name: "who is a member no more", given: []domain.Command{expiringMember("acme", "sam")}, by: user("sam"), after: hour,
		when: domain.LeaveOrg{Org: "acme"}, code: domain.CodeNotFound, reason: domain.OrgNotFound, hides: "acme",
	}, {
		name: "a suspended organization", given: suspended("acme"), by: user("mia"), when: domain.LeaveOrg{Org: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "a deleted organization", given: deleted("acme"), by: user("mia"), when: domain.LeaveOrg{Org: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}
