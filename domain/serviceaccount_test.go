package domain_test

import "github.com/tenurehq/tenure/domain"

// Service accounts: bot of acme, MEMBER there, and bot2 of globex.
var accounts = []domain.Command{
	domain.CreateServiceAccount{ID: "bot", Org: "acme", FullName: sealed("bot", "Bot"), Role: domain.RoleMember},
	domain.CreateServiceAccount{ID: "bot2", Org: "globex", FullName: sealed("bot2", "Bot"), Role: domain.Admin},
}

func accountText(role string) string {
	return `org_ids:"acme" user_id:"new" service_account_created{name{subject:"new" data:"New"}} &
		org_ids:"acme" user_id:"new" role_granted{grant{new{role:"` + role + `"}}}`
}

func newAccount(role domain.Role) domain.CreateServiceAccount {
	return domain.CreateServiceAccount{ID: "new", Org: "acme", FullName: sealed("new", "New"), Role: role}
}

// serviceAccountRows fail if grantable lets another home pass, if a service account counts as an owner or a person, or if the
// ceiling of its role is not asked for: tried, for each.
var serviceAccountRows = []row{
	{name: "by an ADMIN", by: user("adam"), when: newAccount("member"), then: accountText("MEMBER")},
	{name: "without a role, by the organization's key", by: orgKey("k_acme", "acme"), when: newAccount(""), then: accountText("NONE")},
	{
		name: "with a chosen id", by: instance, when: domain.CreateServiceAccount{ID: "new", Chosen: true, Org: "acme", FullName: sealed("new", "New"), Role: domain.Owner},
		then: accountText("OWNER"),
	},
	{name: "with a role of the organization's own", given: customRoles, by: user("adam"), when: newAccount("EDITOR"), then: accountText("Editor")},
	{name: "OWNER, by an ADMIN", by: user("adam"), when: newAccount(domain.Owner), code: domain.CodeDenied, reason: domain.GrantCeiling},
	{name: "a role that holds more, by an ADMIN", given: customRoles, by: user("adam"), when: newAccount("Reaper"), code: domain.CodeDenied, reason: domain.GrantCeiling},
	{name: "an unknown role", by: user("adam"), when: newAccount("Editor"), code: domain.CodeInvalid, reason: domain.UnknownRole},
	{
		name: "an id chosen by a person", by: user("adam"), when: domain.CreateServiceAccount{ID: "gary", Chosen: true, Org: "acme"},
		code: domain.CodeDenied, reason: domain.ChosenID, hides: "gary",
	}, {
		name: "a taken id", by: instance, when: domain.CreateServiceAccount{ID: "mia", Chosen: true, Org: "acme"}, code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "an id that invitations seal under", by: instance, when: domain.CreateServiceAccount{ID: "inv_1", Chosen: true, Org: "acme"},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "over the quota", by: user("adam"), when: newAccount(""), code: domain.CodeExhausted, reason: domain.QuotaExceeded,
		given: planned("acme", domain.Quotas{Members: domain.Quota{Bound: true, Max: 7}}),
	},
	{name: "by a MEMBER", by: user("mia"), when: newAccount(""), code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by an OWNER of a project", given: projectManager, by: user("mia"), when: newAccount(""), code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "in a suspended organization", given: suspended("acme"), by: user("adam"), when: newAccount(""), code: domain.CodePrecondition, reason: domain.OrgSuspended},
	{name: "in a deleted organization", given: deleted("acme"), by: instance, when: newAccount(""), code: domain.CodePrecondition, reason: domain.OrgDeleted},

	// A member of its home and of nothing else.
	{
		name: "a service account, at home", given: accounts, by: user("adam"), when: domain.GrantRole{Org: "acme", User: "bot", Role: domain.Admin},
		then: `org_ids:"acme" user_id:"bot" role_granted{grant{old{role:"MEMBER"} new{role:"ADMIN"}}}`,
	}, {
		name: "a service account, in a project at home", given: accounts, by: user("adam"), when: override("bot", domain.Admin, never),
		then: inWeb + ` user_id:"bot" role_granted{grant{new{role:"ADMIN"}}}`,
	}, {
		name: "a service account of another organization", given: accounts, by: user("olga"), when: domain.GrantRole{Org: "acme", User: "bot2", Role: domain.Viewer},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "a service account of another organization, by the instance", given: accounts, by: instance, when: domain.GrantRole{Org: "acme", User: "bot2", Role: domain.Viewer},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "a service account of another organization, in a project that moved there", by: instance, when: override("bot2", domain.Viewer, never),
		given: accounts, code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "overrides of a service account end", given: with(accounts, override("bot", domain.Viewer, never)), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: moveText + `dropped_overrides{user_id:"bot" grant{role:"VIEWER"}}}`,
	}, {
		name: "a service account that has left may come home again", given: with(accounts, domain.RevokeRole{Org: "acme", User: "bot"}), by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "bot", Role: domain.Viewer}, then: `org_ids:"acme" user_id:"bot" role_granted{grant{new{role:"VIEWER"}}}`,
	},

	// It owns nothing.
	{
		name: "the last owner who is a person", given: with(accounts, domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}), by: user("olga"),
		when: domain.RevokeRole{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "a service account that holds OWNER", given: with(accounts, domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}), by: user("olga"),
		when: domain.RevokeRole{Org: "acme", User: "bot"}, then: `org_ids:"acme" user_id:"bot" role_revoked{grant{role:"OWNER"}}`,
	}, {
		name: "OWNER with an expiry, to a service account of an unclaimed organization", given: []domain.Command{domain.CreateServiceAccount{ID: "bot", Org: "empty"}},
		by: instance, when: domain.GrantRole{Org: "empty", User: "bot", Role: domain.Owner, ExpiresAt: in(hour)},
		then: `org_ids:"empty" user_id:"bot" role_granted{grant{old{role:"NONE"} new{role:"OWNER" expires_at{@1h}}}}`,
	}, {
		name: "an expiry to the first owner who is a person", by: instance, code: domain.CodePrecondition, reason: domain.LastOwner,
		given: []domain.Command{domain.CreateServiceAccount{ID: "bot", Org: "empty", Role: domain.Owner}},
		when:  domain.GrantRole{Org: "empty", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)},
	},
	{name: "by a service account", given: accounts, by: user("bot"), when: domain.CreateOrg{ID: "new", OrgName: "New"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{
		name: "with a service account as owner", given: accounts, by: instance, when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "bot"},
		code: domain.CodeNotFound, reason: domain.UserNotFound,
	},

	// Whoever manages the members of its home manages it.
	{
		name: "a service account's name, by an ADMIN", given: accounts, by: user("adam"), when: domain.UpdateUser{ID: "bot", FullName: sealed("bot", "Robot")},
		then: `org_ids:"acme" user_id:"bot" user_updated{name{old{subject:"bot" data:"Bot"} new{subject:"bot" data:"Robot"}}}`,
	}, {
		name: "a service account's name, by a key that manages members and nothing else", by: orgKey("k", "acme"),
		given: with(accounts, domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("organizationMembers:CUD")}),
		when:  domain.UpdateUser{ID: "bot", ClearName: true}, then: `org_ids:"acme" user_id:"bot" user_updated{name{old{subject:"bot" data:"Bot"}}}`,
	}, {
		name: "its own name, by itself", given: accounts, by: user("bot"), when: domain.UpdateUser{ID: "bot", ClearName: true},
		then: `org_ids:"acme" user_id:"bot" user_updated{name{old{subject:"bot" data:"Bot"}}}`,
	}, {
		name: "its own name, by a key of it that holds less than all", by: pat("k", "bot"), when: domain.UpdateUser{ID: "bot", ClearName: true},
		given: with(accounts, domain.CreateKey{Minted: minted("k"), User: "bot", Permissions: words("project:read")}),
		code:  domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "an e-mail to a service account", given: accounts, by: user("adam"), when: domain.UpdateUser{ID: "bot", Email: sealed("bot", "b"), EmailDigest: []byte("b")},
		code: domain.CodePrecondition, reason: domain.IsServiceAccount,
	}, {
		name: "a service account, by a MEMBER", given: accounts, by: user("mia"), when: domain.UpdateUser{ID: "bot", ClearName: true},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a service account of another organization", given: accounts, by: user("olga"), when: domain.UpdateUser{ID: "bot2", ClearName: true},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "a service account of a suspended organization", given: with(accounts, suspended("acme")...), by: user("adam"), when: domain.UpdateUser{ID: "bot", ClearName: true},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "a service account, by an OWNER of its home", given: accounts, by: user("olga"), when: domain.DeactivateUser{ID: "bot"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a service account, by the instance", given: accounts, by: instance, when: domain.DeactivateUser{ID: "bot"}, then: `org_ids:"acme" user_id:"bot" user_deactivated{}`,
	}, {
		name: "a service account", given: accounts, by: instance, when: domain.EraseUser{ID: "bot"}, then: `org_ids:"acme" user_id:"bot" user_erased{}`,
	},
}

// serviceKeyRows: a service account's keys are managed in its home, by who holds organization:CRUD_apiKeys there, and hold no more
// than their maker. They fail if PrincipalTarget leaves the account itself in, or keyCeiling does not look at its home: tried.
var serviceKeyRows = func() []row {
	// Keys of bot: one that holds all, a narrow one; and one of acme that makes keys and holds little else.
	keys := with(accounts,
		domain.CreateKey{Minted: minted("k_bot"), User: "bot"},
		domain.CreateKey{Minted: minted("narrow"), User: "bot", Permissions: words("project:read")},
		domain.CreateKey{Minted: minted("maker"), Org: "acme", Permissions: words("organization:CRUD_apiKeys project:read")})
	const text = `org_ids:"acme" user_id:"bot"`
	make := domain.CreateKey{Minted: minted("k"), User: "bot"}
	return []row{
		{name: "of a service account, by an OWNER of its home", given: keys, by: user("olga"), when: make, then: createdText(text, "k", inText("permissions", everywhere(domain.Owner)))},
		{name: "of a service account, as far as its maker holds it", given: keys, by: orgKey("maker", "acme"), when: make, then: createdText(text, "k", inText("permissions", words("organization:CRUD_apiKeys project:read")))},
		{name: "of a service account, by the instance", given: keys, by: instance, when: make, then: createdText(text, "k", inText("permissions", everywhere(domain.Owner)))},
		{
			name: "of a service account, more than its maker holds", given: keys, by: orgKey("maker", "acme"),
			when: domain.CreateKey{Minted: minted("k"), User: "bot", Permissions: words("scores:CUD")}, code: domain.CodeDenied, reason: domain.KeyCeiling,
		},
		{name: "of a service account, by an ADMIN of its home", given: keys, by: user("adam"), when: make, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "of a service account, by itself", given: keys, by: user("bot"), when: make, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "of a service account, by its key that holds all", given: keys, by: pat("k_bot", "bot"), when: make, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{
			name: "of a service account, by itself as OWNER", given: with(keys, domain.GrantRole{Org: "acme", User: "bot", Role: domain.Owner}), by: pat("k_bot", "bot"),
			when: make, then: createdText(text, "k", inText("permissions", everywhere(domain.Owner))),
		},
		{name: "of a service account of another organization", given: keys, by: user("olga"), when: domain.CreateKey{Minted: minted("k"), User: "bot2"}, code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2"},
		{name: "of a deactivated service account", given: with(keys, domain.DeactivateUser{ID: "bot"}), by: user("olga"), when: make, code: domain.CodePrecondition, reason: domain.UserDeactivated},
		{name: "of a service account of a suspended organization", given: with(keys, suspended("acme")...), by: user("olga"), when: make, code: domain.CodePrecondition, reason: domain.OrgSuspended},
		{name: "of a service account of a deleted organization", given: with(keys, deleted("acme")...), by: instance, when: make, code: domain.CodePrecondition, reason: domain.OrgDeleted},
		{name: "of a service account, beyond the quota of keys", given: append(keys[:len(keys):len(keys)], planned("acme", domain.Quotas{Keys: domain.Quota{Bound: true}})...), by: user("olga"), when: make, then: createdText(text, "k", inText("permissions", everywhere(domain.Owner)))},

		{name: "of a service account, by an OWNER of its home", given: keys, by: user("olga"), when: domain.UpdateKey{ID: "narrow", Note: new("!")}, then: text + ` key_id:"narrow" key_updated{note{new:"!"}}`},
		{name: "of a service account that holds more than the caller", given: keys, by: orgKey("maker", "acme"), when: domain.UpdateKey{ID: "k_bot", ExpiresAt: new(in(hour))}, code: domain.CodeDenied, reason: domain.KeyCeiling},
		{name: "of a service account, by itself", given: keys, by: pat("narrow", "bot"), when: domain.UpdateKey{ID: "narrow", Note: new("!")}, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "of a service account, by an OWNER of its home", given: keys, by: user("olga"), when: domain.RotateKey{ID: "narrow", Successor: minted("next"), Grace: hour}, then: rotatedText(text, "narrow", `permissions:"project:read"`, `new{@1h}`)},
		{name: "of a service account that holds more than the caller", given: keys, by: orgKey("maker", "acme"), when: domain.RotateKey{ID: "k_bot", Successor: minted("next")}, code: domain.CodeDenied, reason: domain.KeyCeiling},
		{name: "of a service account, by its key that holds all", given: keys, by: pat("k_bot", "bot"), when: domain.RotateKey{ID: "k_bot", Successor: minted("next")}, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "of a service account, by a key that holds less", given: keys, by: orgKey("maker", "acme"), when: domain.RevokeKey{ID: "k_bot"}, then: text + ` key_id:"k_bot" key_revoked{public_key:"pk-k_bot"}`},
		{name: "of a service account, by an ADMIN of its home", given: keys, by: user("adam"), when: domain.RevokeKey{ID: "narrow"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "of a service account, by the other organization", given: keys, by: user("gary"), when: domain.RevokeKey{ID: "narrow"}, code: domain.CodeNotFound, reason: domain.KeyNotFound, hides: "narrow"},
		{name: "by a service account's key in a suspended organization", given: with(keys, suspended("acme")...), by: pat("k_bot", "bot"), when: domain.UpdateUser{ID: "bot", ClearName: true}, code: domain.CodeUnauthenticated, reason: domain.OrgSuspended},
	}
}()
