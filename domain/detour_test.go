package domain_test

import "github.com/tenurehq/tenure/domain"

// detourRows are escalationRows for groups, roles, invitations, service accounts, admins, imports and offers. What a command's own
// table shows is not repeated here. Each fails without its guard: the old set and the new one in UpdateRole, the sleeping override in
// RevokeRole, the ceiling of renewals, fullKey in invitedPerson and in Authorize, chosenID, byName, and what droppedOverrides asks.
// Tried, one by one.
var detourRows = func() []row {
	reaper := with(customRoles, domain.GrantRole{Org: "acme", User: "mia", Role: "Reaper"})
	deputy := domain.DefineRole{Org: "acme", Role: "Deputy", OrgPermissions: words("organizationMembers:CUD"), ProjectPermissions: words("project:read")}
	byDeputy := with(customRoles, deputy, domain.GrantRole{Org: "acme", User: "sam", Role: "Deputy"})
	denied := func(name string, given []domain.Command, by domain.Actor, when domain.Command, reason domain.Reason) row {
		return row{name: name, given: given, by: by, when: when, code: domain.CodeDenied, reason: reason}
	}
	later := func(r row) row {
		r.after = hour
		return r
	}
	return []row{
		// Roles of an organization's own.
		denied("the role one has, to more", byDeputy, user("sam"), domain.UpdateRole{Org: "acme", Role: "Deputy", OrgPermissions: new(words("organizationMembers:CUD organization:update"))}, domain.GrantCeiling),
		denied("a role that somebody stronger has, to less", reaper, user("adam"), domain.UpdateRole{Org: "acme", Role: "Reaper", ProjectPermissions: &[]string{}}, domain.GrantCeiling),
		denied("a role that only differs in what one does not hold", reaper, user("adam"), domain.UpdateRole{Org: "acme", Role: "Reaper", OrgPermissions: new(words("organizationMembers:read"))}, domain.GrantCeiling),
		denied("a role for another that one holds less of", byDeputy, user("sam"), domain.GrantRole{Org: "acme", User: "vic", Role: "Deputy"}, domain.GrantCeiling),
		denied("a stronger role to oneself, after it was deleted", with(byDeputy, domain.DeleteRole{Org: "acme", Role: "Editor"}), user("sam"),
			domain.DefineRole{Org: "acme", Role: "Editor", ProjectPermissions: words("project:update")}, domain.GrantCeiling),
		{
			name: "a role that was redefined holds what it holds now", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"},
			given: with(customRoles, domain.DeleteRole{Org: "acme", Role: "Editor"}, domain.DefineRole{Org: "acme", Role: "editor", ProjectPermissions: words("project:delete")}),
			code:  domain.CodeDenied, reason: domain.GrantCeiling,
		},
		denied("a role with one of an operator's own permissions that an ADMIN lacks", with(customRoles, own, domain.UpdateRole{Org: "acme", Role: "Editor", ProjectPermissions: new(words("shred:do"))}),
			user("adam"), domain.UpdateRole{Org: "acme", Role: "Editor", ProjectPermissions: &[]string{}}, domain.GrantCeiling),

		// Memberships that sleep, and grants that cover others.
		later(denied("an OWNER's override that sleeps", []domain.Command{override("mia", domain.Owner, never), expiringMember("acme", "mia")}, user("adam"),
			domain.RevokeRole{Project: "web", User: "mia"}, domain.GrantCeiling)),
		later(denied("a member whose OWNER's override sleeps", []domain.Command{override("mia", domain.Owner, never), expiringMember("acme", "mia")}, user("adam"),
			domain.RevokeRole{Org: "acme", User: "mia"}, domain.GrantCeiling)),
		denied("who is suspended as OWNER of a project", []domain.Command{override("mia", domain.Owner, never), memberSuspended("acme", "mia")}, user("adam"),
			domain.RevokeRole{Org: "acme", User: "mia"}, domain.GrantCeiling),
		denied("less to a suspended OWNER", secondOwner(memberSuspended("acme", "sam")), user("adam"), domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, domain.GrantCeiling),
		denied("an OWNER by a group, out of it while suspended", []domain.Command{team(domain.Owner, "", "sam"), memberSuspended("acme", "sam")}, user("adam"),
			domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}}, domain.GrantCeiling),

		// Invitations.
		denied("oneself to OWNER", nil, user("adam"), invite("inv", "adam", "acme", "", domain.Owner, ""), domain.GrantCeiling),
		denied("a role of the organization by way of the project", projectManager, user("mia"), invite("inv", "mia", "", "web", domain.Admin, domain.Viewer), domain.PermissionDenied),
		denied("OWNER's renewal, by who was demoted since", []domain.Command{inviteTo("acme", "", domain.Owner, ""), domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner}, domain.GrantRole{Org: "acme", User: "olga", Role: domain.Admin}},
			user("olga"), resend, domain.GrantCeiling),
		denied("an invitation for somebody, by a narrow key of an instance admin", append(append(admins[:5:5], partialKeys...), inviteTo("acme", "", domain.Viewer, "")), pat("p_mia", "mia"),
			domain.AcceptInvitation{ID: "inv", User: "sam"}, domain.KeyCeiling),
		denied("an invitation for somebody by id, by who was an instance admin", append(admins[:5:5], domain.RevokeInstanceAdmin{User: "mia"}, inviteTo("acme", "", domain.Viewer, "")), user("mia"),
			domain.AcceptInvitation{ID: "inv", User: "sam"}, domain.PermissionDenied),

		// Service accounts.
		denied("a service account stronger than its maker", byDeputy, user("sam"), newAccount("Editor"), domain.GrantCeiling),
		denied("a stronger role to a service account", accounts, user("adam"), domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}, domain.GrantCeiling),
		denied("a service account with a stronger role, taken away", with(accounts, domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}), user("adam"), domain.RevokeRole{Org: "acme", User: "bot"}, domain.GrantCeiling),
		denied("that outlives the key it is made with, of a service account", with(accounts, domain.CreateKey{Minted: minted("short"), Org: "acme", ExpiresAt: in(hour)}), orgKey("short", "acme"),
			domain.CreateKey{Minted: minted("k"), User: "bot"}, domain.KeyCeiling),

		// Instance admins with keys that hold less.
		denied("a chosen id, by who was an instance admin", append(admins[:5:5], domain.RevokeInstanceAdmin{User: "mia"}), user("mia"), domain.CreateOrg{ID: "mine", Chosen: true, OrgName: "Mine"}, domain.ChosenID),
		denied("of the instance, by an instance admin's key that holds less", append(admins[:5:5], partialKeys...), pat("p_mia", "mia"), domain.CreateKey{Minted: minted("k")}, domain.PermissionDenied),
		denied("of another person, by an instance admin's key that holds less", append(admins[:5:5], partialKeys...), pat("p_mia", "mia"), domain.CreateKey{Minted: minted("k"), User: "olga"}, domain.PermissionDenied),
		denied("one's own account, by an instance admin's key that holds less", append(admins[:5:5], partialKeys...), pat("p_mia", "mia"), link("mia", "x"), domain.KeyCeiling),
		{
			name: "a place to an organization's project, by an instance admin's key that holds less", by: pat("p_mia", "mia"), when: domain.PlaceOrg{Org: "acme"},
			given: append(admins[:5:5], partialKeys...), code: domain.CodeDenied, reason: domain.KeyCeiling,
		},

		// A name may stand for two levels.
		{
			name: "everything, by who holds a name at one level alone", by: user("sam"), when: domain.CreateKey{Minted: minted("k"), Org: "acme"},
			given: []domain.Command{
				domain.DefineRole{Org: "acme", Role: "Keeper", OrgPermissions: words("organization:CRUD_apiKeys auditLogs:read"), ProjectPermissions: words("project:read")},
				domain.GrantRole{Org: "acme", User: "sam", Role: "Keeper"},
			},
			then: createdText(`org_ids:"acme"`, "k", inText("permissions", words("organization:CRUD_apiKeys project:read"))),
		},

		// Imported keys hold what their principal does, and are handled as any other.
		{
			name: "with an imported key of a person, more than the person may", by: pat("k", "vic"), when: domain.UpdateProject{ID: "web", ProjectName: new("Mine")},
			given: []domain.Command{domain.ImportKey{Minted: minted("k"), User: "vic"}}, code: domain.CodeDenied, reason: domain.PermissionDenied,
		},
		denied("an imported key of a project, to more than an ADMIN holds", []domain.Command{domain.ImportKey{Minted: minted("k"), Project: "web", Permissions: words("project:read")}}, user("adam"),
			domain.UpdateKey{ID: "k", Permissions: new(words("project:delete"))}, domain.KeyCeiling),

		// Offers.
		{
			name: "overrides that hold more than who accepts end", by: user("ivan"), when: domain.AcceptTransfer{ID: "xfr", KeepOverrides: true},
			given: append(strongOverride[:len(strongOverride):len(strongOverride)], offered...), then: offerText + `project_transferred{dropped_overrides{user_id:"olga" grant{role:"OWNER"}}}`,
		}, {
			name: "overrides that hold more than the key which accepts end", by: pat("k", "ivan"), when: domain.AcceptTransfer{ID: "xfr", KeepOverrides: true},
			given: []domain.Command{override("ivan", domain.Viewer, never), offered[0], domain.CreateKey{Minted: minted("k"), User: "ivan", Permissions: words("projects:transfer_org")}},
			then:  offerText + `project_transferred{dropped_overrides{user_id:"ivan" grant{role:"VIEWER"}}}`,
		}, {
			name: "a role of the source's own ends", by: user("gary"), when: domain.AcceptTransfer{ID: "xfr", KeepOverrides: true},
			given: with(customRoles, override("ivan", "Reaper", never), offered[0]),
			then:  offerText + `project_transferred{dropped_overrides{user_id:"ivan" grant{role:"Reaper"}}}`,
		}, {
			name: "a block of an OWNER of the target ends, accepted by an ADMIN", by: user("ivan"), when: domain.AcceptTransfer{ID: "xfr", KeepOverrides: true},
			given: []domain.Command{domain.GrantRole{Org: "acme", User: "gary", Role: domain.Viewer}, override("gary", domain.None, never), offered[0]},
			then:  offerText + `project_transferred{dropped_overrides{user_id:"gary" grant{role:"NONE"}}}`,
		},

		// Sign-up: known people get nothing by registering again.
		{
			name: "a person whose membership was taken gets none by registering again", by: instance, when: register("mia"),
			given: []domain.Command{signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer}), domain.RevokeRole{Org: "acme", User: "mia"}},
		},
	}
}()
