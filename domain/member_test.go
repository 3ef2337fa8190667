package domain_test

import "github.com/tenurehq/tenure/domain"

// grantRows fail if a membership that has expired counts for an override: tried. What binds both tables further is in
// ceiling_test.go.
var grantRows = []row{
	{
		name: "a new member, by an ADMIN", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.RoleMember},
		then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"MEMBER"}}}`,
	}, {
		name: "with an expiry", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner, ExpiresAt: in(24 * hour)},
		then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"OWNER" expires_at{@24h}}}}`,
	}, {
		name: "another role", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.Viewer},
		then: `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER"} new{role:"VIEWER"}}}`,
	}, {
		name: "the same role with an expiry", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.RoleMember, ExpiresAt: in(hour)},
		then: `org_ids:"acme" user_id:"mia" role_granted{grant{old{role:"MEMBER"} new{role:"MEMBER" expires_at{@1h}}}}`,
	}, {
		name: "NONE is a role", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.None},
		then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"NONE"}}}`,
	}, {
		name: "the first owner of an unclaimed organization", by: instance, when: domain.GrantRole{Org: "empty", User: "sam", Role: domain.Owner},
		then: `org_ids:"empty" user_id:"sam" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "the first owner, by the organization's own key", by: orgKey("k_empty", "empty"),
		given: []domain.Command{domain.CreateKey{Minted: minted("k_empty"), Org: "empty"}},
		when:  domain.GrantRole{Org: "empty", User: "sam", Role: domain.Owner},
		then:  `org_ids:"empty" user_id:"sam" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "an override, by an ADMIN of the organization", by: user("adam"), when: domain.GrantRole{Project: "web", User: "mia", Role: domain.Admin},
		then: `org_ids:"acme" project_id:"web" user_id:"mia" role_granted{grant{new{role:"ADMIN"}}}`,
	}, {
		name: "an override, by an ADMIN of the project", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Admin}},
		by: user("mia"), when: domain.GrantRole{Project: "web", User: "vic", Role: domain.Admin, ExpiresAt: in(hour)},
		then: `org_ids:"acme" project_id:"web" user_id:"vic" role_granted{grant{new{role:"ADMIN" expires_at{@1h}}}}`,
	}, {
		name: "an override, by the project's key", by: projectKey("k_web", "web"), when: domain.GrantRole{Project: "web", User: "vic", Role: domain.Owner},
		then: `org_ids:"acme" project_id:"web" user_id:"vic" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "the role already held", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "mia", Role: domain.RoleMember},
	}, {
		name: "OWNER to an OWNER, even by an ADMIN", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "olga", Role: domain.Owner},
	}, {
		name: "the override already held", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.None, ExpiresAt: in(hour)}},
		by: user("adam"), when: domain.GrantRole{Project: "web", User: "mia", Role: domain.None, ExpiresAt: in(hour)},
	}, {
		name: "an expiry that is now", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.RoleMember, ExpiresAt: began},
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "an expiry in the past", by: user("adam"), when: domain.GrantRole{Project: "web", User: "mia", Role: domain.Viewer, ExpiresAt: in(-hour)},
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "an override of who is no member", by: user("olga"), when: domain.GrantRole{Project: "web", User: "sam", Role: domain.Viewer},
		code: domain.CodePrecondition, reason: domain.NotAMember,
	}, {
		name: "an override of who is a member no more", given: []domain.Command{expiringMember("acme", "sam")}, by: user("olga"), after: hour,
		when: domain.GrantRole{Project: "web", User: "sam", Role: domain.Viewer},
		code: domain.CodePrecondition, reason: domain.NotAMember,
	}, {
		name: "to nobody", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "who", Role: domain.Viewer},
		code: domain.CodeNotFound, reason: domain.UserNotFound,
	}, {
		name: "to a deactivated user", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "dora", Role: domain.RoleMember},
		code: domain.CodePrecondition, reason: domain.UserDeactivated,
	}, {
		name: "to an erased user", by: user("olga"), when: domain.GrantRole{Org: "acme", User: "erik", Role: domain.RoleMember},
		code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in the organization, by an ADMIN of a project", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Admin}},
		by: user("mia"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an ADMIN's key that lacks it", given: []domain.Command{domain.CreateKey{Minted: minted("k"), User: "adam", Permissions: words("projects:create")}},
		by: pat("k", "adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Viewer},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "in a deleted project", given: projectDeleted("web"), by: instance, when: domain.GrantRole{Project: "web", User: "mia", Role: domain.Viewer},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	},
}

var revokeRows = []row{
	{
		name: "a membership", by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "mia"},
		then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}}`,
	}, {
		name: "one's own", by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "adam"},
		then: `org_ids:"acme" user_id:"adam" role_revoked{grant{role:"ADMIN"}}`,
	}, {
		name: "a deactivated user's", by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "dora"},
		then: `org_ids:"acme" user_id:"dora" role_revoked{grant{role:"VIEWER"}}`,
	}, {
		name: "overrides go with it, those in deleted projects too", by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "mia"},
		given: []domain.Command{
			domain.GrantRole{Project: "web", User: "mia", Role: domain.Viewer, ExpiresAt: in(hour)},
			domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"},
			domain.GrantRole{Project: "old", User: "mia", Role: domain.None}, domain.DeleteProject{ID: "old"},
		},
		then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}
			dropped_overrides{project_id:"old" grant{role:"NONE"}}
			dropped_overrides{project_id:"web" grant{role:"VIEWER" expires_at{@1h}}}}`,
	}, {
		name: "an expired one", given: []domain.Command{expiringMember("acme", "sam")}, by: user("adam"), after: hour,
		when: domain.RevokeRole{Org: "acme", User: "sam"},
		then: `org_ids:"acme" user_id:"sam" role_revoked{grant{role:"MEMBER" expires_at{@1h}}}`,
	}, {
		name: "an override", given: []domain.Command{domain.GrantRole{Project: "web", User: "vic", Role: domain.Admin}}, by: user("adam"),
		when: domain.RevokeRole{Project: "web", User: "vic"},
		then: `org_ids:"acme" project_id:"web" user_id:"vic" role_revoked{grant{role:"ADMIN"}}`,
	}, {
		name: "one's own block, through the organization", given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.None}},
		by: user("olga"), when: domain.RevokeRole{Project: "web", User: "olga"},
		then: `org_ids:"acme" project_id:"web" user_id:"olga" role_revoked{grant{role:"NONE"}}`,
	}, {
		name: "of who is no member", by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "sam"},
		code: domain.CodeNotFound, reason: domain.MemberNotFound, hides: "sam",
	}, {
		name: "an override of who has none", by: user("olga"), when: domain.RevokeRole{Project: "web", User: "mia"},
		code: domain.CodeNotFound, reason: domain.MemberNotFound, hides: "mia",
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.RevokeRole{Org: "acme", User: "vic"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by who is blocked in the project", by: user("mia"), when: domain.RevokeRole{Project: "web", User: "mia"},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.None}},
		code:  domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "web",
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.RevokeRole{Org: "acme", User: "mia"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.RevokeRole{Org: "acme", User: "mia"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "in a deleted project", given: projectDeleted("web"), by: instance, when: domain.RevokeRole{Project: "web", User: "mia"},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	},
}
