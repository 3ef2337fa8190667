package domain_test

import "github.com/tenurehq/tenure/domain"

// Instance admins: sam, who is a member of nothing, and mia, a MEMBER of acme; dora is deactivated since.
var admins = []domain.Command{
	domain.GrantInstanceAdmin{User: "sam"}, domain.GrantInstanceAdmin{User: "mia"}, domain.ReactivateUser{ID: "dora"},
	domain.GrantInstanceAdmin{User: "dora"}, domain.DeactivateUser{ID: "dora"},
}

// adminRows fail if a deactivated person, a service account or a key that holds less acts as an instance admin: tried.
var adminRows = []row{
	{name: "a person", by: instance, when: domain.GrantInstanceAdmin{User: "sam"}, then: `user_id:"sam" instance_admin_granted{}`},
	{name: "by a person who is one", given: admins, by: user("sam"), when: domain.GrantInstanceAdmin{User: "vic"}, then: `user_id:"vic" instance_admin_granted{}`},
	{name: "by a person's key that holds all", given: admins, by: pat("k_mia", "mia"), when: domain.GrantInstanceAdmin{User: "vic"}, then: `user_id:"vic" instance_admin_granted{}`},
	{name: "who is one", given: admins, by: instance, when: domain.GrantInstanceAdmin{User: "sam"}},
	{name: "by a person's key that holds less", given: append(admins[:5:5], partialKeys...), by: pat("p_mia", "mia"), when: domain.GrantInstanceAdmin{User: "vic"}, code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "oneself, by an OWNER", by: user("olga"), when: domain.GrantInstanceAdmin{User: "olga"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "somebody else, by an OWNER", by: user("olga"), when: domain.GrantInstanceAdmin{User: "mia"}, code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia"},
	{name: "by one who was one", given: append(admins[:5:5], domain.RevokeInstanceAdmin{User: "mia"}), by: user("mia"), when: domain.GrantInstanceAdmin{User: "mia"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by one who is deactivated", given: admins, by: user("dora"), when: domain.GrantInstanceAdmin{User: "vic"}, code: domain.CodeUnauthenticated, reason: domain.UserDeactivated},
	{name: "a service account", given: accounts, by: instance, when: domain.GrantInstanceAdmin{User: "bot"}, code: domain.CodePrecondition, reason: domain.IsServiceAccount},
	{name: "somebody deactivated", by: instance, when: domain.GrantInstanceAdmin{User: "dora"}, code: domain.CodePrecondition, reason: domain.UserDeactivated},
	{name: "somebody erased", by: instance, when: domain.GrantInstanceAdmin{User: "erik"}, code: domain.CodePrecondition, reason: domain.UserErased},
	{name: "somebody unknown", by: instance, when: domain.GrantInstanceAdmin{User: "who"}, code: domain.CodeNotFound, reason: domain.UserNotFound},

	{name: "by oneself", given: admins, by: user("sam"), when: domain.RevokeInstanceAdmin{User: "sam"}, then: `user_id:"sam" instance_admin_revoked{}`},
	{name: "somebody deactivated", given: admins, by: instance, when: domain.RevokeInstanceAdmin{User: "dora"}, then: `user_id:"dora" instance_admin_revoked{}`},
	{name: "who is none", by: instance, when: domain.RevokeInstanceAdmin{User: "sam"}},
	{name: "who was erased", given: with(admins, domain.EraseUser{ID: "sam"}), by: instance, when: domain.RevokeInstanceAdmin{User: "sam"}},
	{name: "by an OWNER", given: admins, by: user("olga"), when: domain.RevokeInstanceAdmin{User: "mia"}, code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia"},
	{name: "by a person's key that holds less", given: append(admins[:5:5], partialKeys...), by: pat("p_mia", "mia"), when: domain.RevokeInstanceAdmin{User: "sam"}, code: domain.CodeDenied, reason: domain.KeyCeiling},

	{name: "by a person who is an instance admin, unclaimed", given: admins, by: user("sam"), when: domain.CreateOrg{ID: "new", Chosen: true, OrgName: "New"}, then: `org_ids:"new" org_created{name:"New"}`},
	{name: "by a person who is an instance admin", given: admins, by: user("sam"), when: domain.SuspendOrg{ID: "acme"}, then: `org_ids:"acme" org_suspended{}`},
	{name: "by one whose key holds it", given: append(admins[:5:5], partialKeys...), by: pat("p_mia", "mia"), when: domain.SuspendOrg{ID: "acme"}, code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "of a suspended organization, by a person who is an instance admin", given: with(admins, suspended("acme")...), by: user("sam"), when: domain.UpdateOrg{ID: "acme", OrgName: new("New")}, then: `org_ids:"acme" org_updated{name{old:"Acme" new:"New"}}`},
	{
		name: "of any organization, by an instance admin's key that holds it", by: pat("k", "sam"), when: domain.UpdateOrg{ID: "acme", OrgName: new("New")},
		given: with(admins, domain.CreateKey{Minted: minted("k"), User: "sam", Permissions: words("organization:update")}),
		then:  `org_ids:"acme" org_updated{name{old:"Acme" new:"New"}}`,
	}, {
		name: "of any organization, by an instance admin's key that lacks it", by: pat("k", "sam"), when: domain.UpdateOrg{ID: "acme", OrgName: new("New")},
		given: with(admins, domain.CreateKey{Minted: minted("k"), User: "sam", Permissions: words("project:read")}),
		code:  domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "OWNER, by an instance admin's key that holds less", by: pat("k", "sam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner},
		given: with(admins, domain.CreateKey{Minted: minted("k"), User: "sam", Permissions: words("members:CUD")}),
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	},
	{name: "of somebody else, by a person who is an instance admin", given: admins, by: user("sam"), when: domain.CreateKey{Minted: minted("k"), User: "vic", Permissions: words("project:read")}, then: createdText(`user_id:"vic"`, "k", `permissions:"project:read"`)},
}
