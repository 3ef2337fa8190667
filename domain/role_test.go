package domain_test

import "github.com/tenurehq/tenure/domain"

// A role of acme that an ADMIN can handle, and one that takes an OWNER.
var customRoles = []domain.Command{
	domain.DefineRole{
		Org: "acme", Role: "Editor", Description: "edits", OrgPermissions: words("organizationMembers:read"),
		ProjectPermissions: words("project:read prompts:CUD"),
	},
	domain.DefineRole{Org: "acme", Role: "Reaper", ProjectPermissions: words("project:delete project:read")},
}

const editorText = `{organization:"organizationMembers:read" project:"project:read" project:"prompts:CUD"}`

func with(given []domain.Command, more ...domain.Command) []domain.Command {
	return append(given[:len(given):len(given)], more...)
}

// roleRows fail if names are compared with the case of their letters, if holdsAll is asked for one of the two sets alone, or
// whoHas leaves out members, overrides, groups, their roles in projects, or invitations: tried, for each.
var roleRows = func() []row {
	rows := []row{
		{
			name: "by an ADMIN", by: user("adam"),
			when: domain.DefineRole{
				Org: "acme", Role: "Editor", Description: "edits", OrgPermissions: words("organizationMembers:read"),
				ProjectPermissions: words("prompts:CUD project:read prompts:CUD"),
			},
			then: `org_ids:"acme" role_defined{role:"Editor" description:"edits" permissions` + editorText + `}`,
		}, {
			name: "that holds nothing", by: orgKey("k_acme", "acme"), when: domain.DefineRole{Org: "acme", Role: "Guest"},
			then: `org_ids:"acme" role_defined{role:"Guest" permissions{}}`,
		}, {
			name: "a name that stands for another, at both levels", by: user("adam"),
			when: domain.DefineRole{Org: "acme", Role: "HR", OrgPermissions: words("members:CUD"), ProjectPermissions: words("members:CUD auditLogs:read")},
			then: `org_ids:"acme" role_defined{role:"HR" permissions{
				organization:"organizationMembers:CUD" project:"auditLogs:read" project:"projectMembers:CUD"}}`,
		}, {
			name: "a name that another organization has", given: customRoles, by: user("gary"), when: domain.DefineRole{Org: "globex", Role: "Editor"},
			then: `org_ids:"globex" role_defined{role:"Editor" permissions{}}`,
		}, {
			name: "a taken name in other case", given: customRoles, by: user("adam"), when: domain.DefineRole{Org: "acme", Role: "EDITOR"},
			code: domain.CodeExists, reason: domain.RoleExists,
		}, {
			name: "a built-in name in other case", by: user("olga"), when: domain.DefineRole{Org: "acme", Role: "owner"},
			code: domain.CodeInvalid, reason: domain.BuiltInRole,
		}, {
			name: "a permission of the other level", by: user("olga"), when: domain.DefineRole{Org: "acme", Role: "New", OrgPermissions: words("project:read")},
			code: domain.CodeInvalid, reason: domain.UnknownPermission,
		}, {
			name: "a permission of the other level", by: user("olga"), when: domain.DefineRole{Org: "acme", Role: "New", ProjectPermissions: words("organization:delete")},
			code: domain.CodeInvalid, reason: domain.UnknownPermission,
		}, {
			name: "of more than an ADMIN holds", by: user("adam"), when: domain.DefineRole{Org: "acme", Role: "New", ProjectPermissions: words("project:delete")},
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "of more than the key holds", given: []domain.Command{domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("members:CUD")}},
			by: orgKey("k", "acme"), when: domain.DefineRole{Org: "acme", Role: "New", ProjectPermissions: words("project:read")},
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "by an OWNER of a project", given: []domain.Command{override("mia", domain.Owner, never)}, by: user("mia"),
			when: domain.DefineRole{Org: "acme", Role: "New"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
		}, {
			name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.DefineRole{Org: "acme", Role: "New"},
			code: domain.CodePrecondition, reason: domain.OrgSuspended,
		}, {
			name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.DefineRole{Org: "acme", Role: "New"},
			code: domain.CodePrecondition, reason: domain.OrgDeleted,
		},

		{
			name: "everything, in any spelling, by an ADMIN", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{
				Org: "acme", Role: "eDITOR", Description: new("writes"), OrgPermissions: &[]string{}, ProjectPermissions: new(words("scores:CUD")),
			},
			then: `org_ids:"acme" role_updated{role:"Editor" description{old:"edits" new:"writes"}
				old_permissions` + editorText + ` new_permissions{project:"scores:CUD"}}`,
		}, {
			name: "one level alone", given: customRoles, by: user("adam"), when: domain.UpdateRole{Org: "acme", Role: "Editor", OrgPermissions: new(words("auditLogs:read"))},
			then: `org_ids:"acme" role_updated{role:"Editor" old_permissions` + editorText + `
				new_permissions{organization:"auditLogs:read" project:"project:read" project:"prompts:CUD"}}`,
		}, {
			name: "the description of one that holds more, by an ADMIN", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{Org: "acme", Role: "Reaper", Description: new("!")},
			then: `org_ids:"acme" role_updated{role:"Reaper" description{new:"!"}}`,
		}, {
			name: "to what it is", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{
				Org: "acme", Role: "Editor", Description: new("edits"), OrgPermissions: new(words("organizationMembers:read")),
				ProjectPermissions: new(words("prompts:CUD project:read")),
			},
		}, {
			name: "one that holds more to what it is, by an ADMIN", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{Org: "acme", Role: "Reaper", ProjectPermissions: new(words("project:delete project:read"))},
		}, {
			name: "to more than an ADMIN holds", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{Org: "acme", Role: "Editor", ProjectPermissions: new(words("project:delete"))},
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "from more than an ADMIN holds", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{Org: "acme", Role: "Reaper", ProjectPermissions: new(words("project:read"))},
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "an unknown permission", given: customRoles, by: user("adam"),
			when: domain.UpdateRole{Org: "acme", Role: "Editor", ProjectPermissions: new(words("nothing:do"))},
			code: domain.CodeInvalid, reason: domain.UnknownPermission,
		}, {
			name: "a built-in one", by: user("olga"), when: domain.UpdateRole{Org: "acme", Role: "viewer", Description: new("!")},
			code: domain.CodeInvalid, reason: domain.BuiltInRole,
		}, {
			name: "one that is not there", given: customRoles, by: user("gary"), when: domain.UpdateRole{Org: "globex", Role: "Editor", Description: new("!")},
			code: domain.CodeNotFound, reason: domain.RoleNotFound,
		}, {
			name: "by a MEMBER", given: customRoles, by: user("mia"), when: domain.UpdateRole{Org: "acme", Role: "Editor", Description: new("!")},
			code: domain.CodeDenied, reason: domain.PermissionDenied,
		}, {
			name: "in a deleted organization", given: append(customRoles[:2:2], deleted("acme")...), by: instance,
			when: domain.UpdateRole{Org: "acme", Role: "Editor", Description: new("!")}, code: domain.CodePrecondition, reason: domain.OrgDeleted,
		},

		{
			name: "that nobody has, in any spelling", given: customRoles, by: user("adam"), when: domain.DeleteRole{Org: "acme", Role: "editor"},
			then: `org_ids:"acme" role_deleted{role:"Editor" permissions` + editorText + `}`,
		}, {
			name: "that only an answered invitation has", by: user("adam"), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
			given: with(customRoles, inviteTo("acme", "", "Editor", ""), domain.RevokeInvitation{ID: "inv"}),
			then:  `org_ids:"acme" role_deleted{role:"Editor" permissions` + editorText + `}`,
		}, {
			name: "that people of another organization have", by: user("adam"), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
			given: with(customRoles, domain.DefineRole{Org: "globex", Role: "Editor"}, domain.GrantRole{Org: "globex", User: "sam", Role: "Editor"}),
			then:  `org_ids:"acme" role_deleted{role:"Editor" permissions` + editorText + `}`,
		}, {
			name: "that holds more, by an ADMIN", given: customRoles, by: user("adam"), when: domain.DeleteRole{Org: "acme", Role: "Reaper"},
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "a built-in one", by: user("olga"), when: domain.DeleteRole{Org: "acme", Role: "None"},
			code: domain.CodeInvalid, reason: domain.BuiltInRole,
		}, {
			name: "one that is not there", by: user("olga"), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
			code: domain.CodeNotFound, reason: domain.RoleNotFound,
		}, {
			name: "by a MEMBER", given: customRoles, by: user("mia"), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
			code: domain.CodeDenied, reason: domain.PermissionDenied,
		}, {
			name: "in a deleted organization", given: append(customRoles[:2:2], deleted("acme")...), by: instance,
			when: domain.DeleteRole{Org: "acme", Role: "Editor"}, code: domain.CodePrecondition, reason: domain.OrgDeleted,
		},

		{
			name: "a role of the organization's own, in any spelling", given: customRoles, by: user("adam"),
			when: domain.GrantRole{Org: "acme", User: "sam", Role: "EDITOR"}, then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"Editor"}}}`,
		}, {
			name: "a built-in role in any spelling", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: "Viewer"},
			then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"VIEWER"}}}`,
		}, {
			name: "a role of the organization's own, in a project", given: customRoles, by: user("adam"), when: override("mia", "Editor", never),
			then: `org_ids:"acme" project_id:"web" user_id:"mia" role_granted{grant{new{role:"Editor"}}}`,
		}, {
			name: "a role of the organization's own that holds more, by an ADMIN", given: customRoles, by: user("adam"),
			when: domain.GrantRole{Org: "acme", User: "sam", Role: "Reaper"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, {
			name: "a role of another organization", given: customRoles, by: user("gary"), when: domain.GrantRole{Org: "globex", User: "sam", Role: "Editor"},
			code: domain.CodeInvalid, reason: domain.UnknownRole,
		}, {
			name: "a role that was deleted", given: with(customRoles, domain.DeleteRole{Org: "acme", Role: "Editor"}), by: user("adam"),
			when: domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"}, code: domain.CodeInvalid, reason: domain.UnknownRole,
		}, {
			name: "no role at all", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam"}, code: domain.CodeInvalid, reason: domain.UnknownRole,
		},
	}
	for who, c := range map[string]domain.Command{
		"a member has":                        domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"},
		"a member had":                        domain.GrantRole{Org: "acme", User: "sam", Role: "Editor", ExpiresAt: in(hour)},
		"somebody has in a project":           override("mia", "Editor", never),
		"somebody had in a project":           override("mia", "Editor", in(hour)),
		"a group has":                         team("Editor", ""),
		"a group has in a project":            team(domain.None, "Editor"),
		"somebody is invited to":              inviteTo("acme", "", "Editor", ""),
		"somebody is invited to in a project": inviteTo("", "web", "", "Editor"),
	} {
		rows = append(rows, row{
			name: "that " + who, given: with(customRoles, c), by: user("adam"), after: hour, when: domain.DeleteRole{Org: "acme", Role: "Editor"},
			code: domain.CodePrecondition, reason: domain.RoleInUse,
		})
	}
	return append(rows, row{
		name: "that somebody has in a deleted project", by: user("adam"), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
		given: with(customRoles, override("mia", "Editor", never), domain.DeleteProject{ID: "web"}),
		code:  domain.CodePrecondition, reason: domain.RoleInUse,
	}, row{
		name: "that an invitation which has expired could be renewed to", by: user("adam"), after: 8 * 24 * hour,
		given: with(customRoles, inviteTo("acme", "", "Editor", "")), when: domain.DeleteRole{Org: "acme", Role: "Editor"},
		code: domain.CodePrecondition, reason: domain.RoleInUse,
	})
}()
