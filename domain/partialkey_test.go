package domain_test

import "github.com/tenurehq/tenure/domain"

// A key of mia, one of olga and one of the instance that hold less than everything.
var partialKeys = []domain.Command{
	domain.CreateKey{Minted: minted("p_mia"), User: "mia", Permissions: words("project:read")},
	domain.CreateKey{Minted: minted("p_olga"), User: "olga", Permissions: words("organization:update")},
	domain.CreateKey{Minted: minted("p_root"), Permissions: words("organization:update project:read")},
}

// partialKeyRows: for what no single permission stands for a key must hold every permission. Without the calls of fullKey
// these fail: tried, for each of the four.
var partialKeyRows = []row{
	{
		name: "by a person's key that holds less than all", given: partialKeys, by: pat("p_mia", "mia"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by an instance's key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by an instance's key that holds all", by: instanceKey("k_root"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		then: `org_ids:"new" org_created{name:"New"}`,
	}, {
		name: "one's own, by a key that holds less than all", given: partialKeys, by: pat("p_mia", "mia"), when: domain.UpdateUser{ID: "mia", ClearName: true},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by an instance's key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.UpdateUser{ID: "mia", ClearName: true},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an instance's key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: register("new"),
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by an instance's key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.SuspendOrg{ID: "acme"},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by an instance's key that holds all", by: instanceKey("k_root"), when: domain.SuspendOrg{ID: "acme"},
		then: `org_ids:"acme" org_suspended{}`,
	}, {
		name: "by an instance's key that holds it", given: partialKeys, by: instanceKey("p_root"), when: domain.UpdateOrg{ID: "acme", OrgName: new("New")},
		then: `org_ids:"acme" org_updated{name{old:"Acme" new:"New"}}`,
	}, {
		name: "by an instance's key that lacks it", given: partialKeys, by: instanceKey("p_root"), when: domain.DeleteOrg{ID: "empty"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an owner's key that holds it", given: partialKeys, by: pat("p_olga", "olga"), when: domain.UpdateOrg{ID: "acme", OrgName: new("New")},
		then: `org_ids:"acme" org_updated{name{old:"Acme" new:"New"}}`,
	}, {
		name: "by an owner's key that lacks it", given: partialKeys, by: pat("p_olga", "olga"), when: domain.DeleteOrg{ID: "acme", Cascade: true},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a revoked key", given: append(partialKeys[:1:1], domain.RevokeKey{ID: "p_mia"}), by: pat("p_mia", "mia"),
		when: domain.CreateOrg{ID: "new", OrgName: "New"}, code: domain.CodeUnauthenticated, reason: domain.KeyRevoked,
	}, {
		name: "by an expired key", given: expiring, by: projectKey("k", "web"), after: hour, when: domain.UpdateProject{ID: "web"},
		code: domain.CodeUnauthenticated, reason: domain.KeyExpired,
	}, {
		name: "by a key that does not exist", by: projectKey("who", "web"), when: domain.UpdateProject{ID: "web"},
		code: domain.CodeUnauthenticated, reason: domain.KeyUnknown,
	}, {
		name: "by the key of a deactivated person", given: append(secondOwner(), domain.DeactivateUser{ID: "olga"}), by: pat("k_olga", "olga"),
		when: domain.UpdateOrg{ID: "acme"}, code: domain.CodeUnauthenticated, reason: domain.UserDeactivated,
	},
}
