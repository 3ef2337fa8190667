package domain_test

import "github.com/tenurehq/tenure/domain"

// In the world, and all that a second owner of acme would do to it.
func secondOwner(more ...domain.Command) []domain.Command {
	return append([]domain.Command{domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner}}, more...)
}

// ceilingRows: nobody grants or takes away more than they hold. Without the call of withinCeiling in GrantRole or RevokeRole
// these fail: tried, for each of the three calls.
var ceilingRows = []row{
	{
		name: "OWNER, by an ADMIN", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.Owner},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "OWNER to oneself, by an ADMIN", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "adam", Role: domain.Owner},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "less to an OWNER, by an ADMIN", given: secondOwner(), by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an expiry to an OWNER, by an ADMIN", given: secondOwner(), by: user("adam"),
		when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "less to a deactivated OWNER, by an ADMIN", given: secondOwner(domain.DeactivateUser{ID: "sam"}), by: user("adam"),
		when: domain.RevokeRole{Org: "acme", User: "sam"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "less to an OWNER, by an OWNER", given: secondOwner(), by: user("olga"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		then: `org_ids:"acme" user_id:"sam" role_granted{grant{old{role:"OWNER"} new{role:"VIEWER"}}}`,
	}, {
		name: "an expired OWNER counts as absent", by: user("adam"), after: hour,
		given: []domain.Command{domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)}},
		when:  domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		then:  `org_ids:"acme" user_id:"sam" role_granted{grant{old{role:"OWNER" expires_at{@1h}} new{role:"VIEWER"}}}`,
	}, {
		name: "ADMIN, by an ADMIN's key that holds less", by: pat("k", "adam"), when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.Admin},
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), User: "adam", Permissions: words("organizationMembers:CUD")}},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "VIEWER, by a key of the organization that holds less", by: orgKey("k", "acme"),
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("members:CUD")}},
		when:  domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "NONE, by a key of the organization that holds no more", by: orgKey("k", "acme"),
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("members:CUD")}},
		when:  domain.GrantRole{Org: "acme", User: "sam", Role: domain.None},
		then:  `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"NONE"}}}`,
	}, {
		name: "VIEWER, by a key of the instance that holds less", by: instanceKey("k"),
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), Permissions: words("members:CUD")}},
		when:  domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "OWNER in a project, by an ADMIN", by: user("adam"), when: domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "OWNER in a project, by a MEMBER who is OWNER there", by: user("mia"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		when:  domain.GrantRole{Project: "web", User: "vic", Role: domain.Owner},
		then:  `org_ids:"acme" project_id:"web" user_id:"vic" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "OWNER in a project, by an OWNER who is VIEWER there", by: user("olga"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.Viewer}},
		when:  domain.GrantRole{Project: "web", User: "vic", Role: domain.Owner},
		then:  `org_ids:"acme" project_id:"web" user_id:"vic" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "an override on an OWNER, by an ADMIN", by: user("adam"), when: domain.GrantRole{Project: "web", User: "olga", Role: domain.None},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "less to an OWNER of the project, by an ADMIN", by: user("adam"), when: domain.GrantRole{Project: "web", User: "mia", Role: domain.Viewer},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an OWNER, by an ADMIN", given: secondOwner(), by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "sam"},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "a MEMBER who is OWNER of a project, by an ADMIN", by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "mia"},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "a MEMBER who was OWNER of a project, by an ADMIN", by: user("adam"), after: hour, when: domain.RevokeRole{Org: "acme", User: "mia"},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner, ExpiresAt: in(hour)}},
		then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}
			dropped_overrides{project_id:"web" grant{role:"OWNER" expires_at{@1h}}}}`,
	}, {
		name: "an OWNER's override, by an ADMIN", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		by: user("adam"), when: domain.RevokeRole{Project: "web", User: "mia"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "the block of an OWNER, by an ADMIN", given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.None}},
		by: user("adam"), when: domain.RevokeRole{Project: "web", User: "olga"}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an expiry to the block of an OWNER, by an ADMIN", given: []domain.Command{override("olga", domain.None, never)},
		by: user("adam"), when: domain.GrantRole{Project: "web", User: "olga", Role: domain.None, ExpiresAt: in(hour)},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "VIEWER for an hour to an OWNER who is blocked, by an ADMIN", given: []domain.Command{override("olga", domain.None, never)},
		by: user("adam"), when: domain.GrantRole{Project: "web", User: "olga", Role: domain.Viewer, ExpiresAt: in(hour)},
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "VIEWER for good to an OWNER who is blocked, by an ADMIN", given: []domain.Command{override("olga", domain.None, never)},
		by: user("adam"), when: domain.GrantRole{Project: "web", User: "olga", Role: domain.Viewer},
		then: `org_ids:"acme" project_id:"web" user_id:"olga" role_granted{grant{old{role:"NONE"} new{role:"VIEWER"}}}`,
	}, {
		name: "an expiry to the block of an OWNER, by an OWNER", given: secondOwner(override("olga", domain.None, never)),
		by: user("sam"), when: domain.GrantRole{Project: "web", User: "olga", Role: domain.None, ExpiresAt: in(hour)},
		then: `org_ids:"acme" project_id:"web" user_id:"olga" role_granted{grant{old{role:"NONE"} new{role:"NONE" expires_at{@1h}}}}`,
	}, {
		// The override sleeps while the membership is expired; who wakes it must hold it.
		name: "a membership that wakes an OWNER's override, by an ADMIN", by: user("adam"), after: hour,
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}, expiringMember("acme", "mia")},
		when:  domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "a longer membership under an OWNER's override, by an ADMIN", by: user("adam"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}, expiringMember("acme", "mia")},
		when:  domain.GrantRole{Org: "acme", User: "mia", Role: domain.RoleMember},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "a membership that wakes an OWNER's override, by an OWNER", by: user("olga"), after: hour,
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}, expiringMember("acme", "mia")},
		when:  domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer},
		then:  `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER" expires_at{@1h}} new{role:"VIEWER"}}}`,
	}, {
		name: "another role under an OWNER's override, by an ADMIN", by: user("adam"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		when:  domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer},
		then:  `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER"} new{role:"VIEWER"}}}`,
	},
}

// ownerRows: once owned, never ownerless. Without the calls of keepsOwner and everyOrgKeepsOwner these fail: tried, for each
// of the four calls.
var ownerRows = []row{
	{
		name: "the last owner", by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "the last owner, by the instance", by: instance, when: domain.RevokeRole{Org: "acme", User: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "less to the last owner", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "olga", Role: domain.Admin},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an expiry to the last owner", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "olga", Role: domain.Owner, ExpiresAt: in(hour)},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an expiry to the first owner", by: instance, when: domain.GrantRole{Org: "empty", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an unclaimed organization may have members without an owner", by: instance, when: domain.GrantRole{Org: "empty", User: "sam", Role: domain.Admin},
		then: `org_ids:"empty" user_id:"sam" role_granted{grant{new{role:"ADMIN"}}}`,
	}, {
		name: "and lose them", given: []domain.Command{domain.GrantRole{Org: "empty", User: "sam", Role: domain.Admin}}, by: instance,
		when: domain.RevokeRole{Org: "empty", User: "sam"}, then: `org_ids:"empty" user_id:"sam" role_revoked{grant{role:"ADMIN"}}`,
	}, {
		name: "an owner with an expiry does not count", given: []domain.Command{domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)}},
		by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "a deactivated owner does not count", given: secondOwner(domain.DeactivateUser{ID: "sam"}),
		by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "an owner of a project does not count", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "olga"}, code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "one of two owners", given: secondOwner(), by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "olga"},
		then: `org_ids:"acme" user_id:"olga" role_revoked{grant{role:"OWNER"}}`,
	}, {
		name: "an expiry to one of two owners", given: secondOwner(), by: user("sam"),
		when: domain.GrantRole{Org: "acme", User: "olga", Role: domain.Owner, ExpiresAt: in(hour)},
		then: `org_ids:"acme" user_id:"olga" role_granted{grant{old{role:"OWNER"} new{role:"OWNER" expires_at{@1h}}}}`,
	}, {
		name: "an owner with an expiry, for good", given: []domain.Command{domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(hour)}},
		by: user("olga"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner},
		then: `org_ids:"acme" user_id:"sam" role_granted{grant{old{role:"OWNER" expires_at{@1h}} new{role:"OWNER"}}}`,
	}, {
		name: "a deactivated owner", given: secondOwner(domain.DeactivateUser{ID: "sam"}), by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "sam"},
		then: `org_ids:"acme" user_id:"sam" role_revoked{grant{role:"OWNER"}}`,
	}, {
		name: "the last owner of a suspended organization", given: suspended("acme"), by: instance, when: domain.DeactivateUser{ID: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "the last owner", by: instance, when: domain.DeactivateUser{ID: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "the last owner of one of two organizations", by: instance, when: domain.DeactivateUser{ID: "olga"},
		given: secondOwner(domain.CreateOrg{ID: "second", OrgName: "Second", Owner: "olga"}),
		code:  domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "the last owner of a deleted organization", given: deleted("acme"), by: instance, when: domain.DeactivateUser{ID: "olga"},
		then: `org_ids:"acme" user_id:"olga" user_deactivated{}`,
	}, {
		name: "the last owner", by: instance, when: domain.EraseUser{ID: "olga"},
		code: domain.CodePrecondition, reason: domain.LastOwner,
	}, {
		name: "one of two owners", given: secondOwner(), by: instance, when: domain.EraseUser{ID: "olga"},
		then: `org_ids:"acme" user_id:"olga" user_erased{email_digest:"digest of olga"}`,
	},
}
