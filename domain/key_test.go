package domain_test

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tenurehq/tenure/domain"
)

// mintedText is what the event of a new key holds, in text form.
func mintedText(id, attributes string) string {
	return fmt.Sprintf(`{public_key:"pk-%[1]s" verifier{scheme:"hmac" pepper_id:"pep" hash:"hash of %[1]s"}
		display_secret:"sk-...%[1]s" attributes{%[2]s}}`, id, attributes)
}

func createdText(where, id, attributes string) string {
	return fmt.Sprintf(`%s key_id:%q key_created%s`, where, id, mintedText(id, attributes))
}

// inProject and everywhere are what a key can hold at most.
func inProject(role domain.Role) []string { return listed(projectLevel, role) }

func everywhere(role domain.Role) []string {
	names := append(listed(orgLevel, role), listed(projectLevel, role)...)
	slices.Sort(names)
	return slices.Compact(names)
}

func networks(names ...string) (list []netip.Prefix) {
	for _, name := range names {
		list = append(list, netip.MustParsePrefix(name))
	}
	return list
}

const inWeb = `org_ids:"acme" project_id:"web"`

// createKeyRows fail if networks are not masked, a preset is not cut to the ceiling, a project's key may hold permissions of
// organizations, or environments or taken secrets are not asked for: tried, for each.
var createKeyRows = []row{
	{
		name: "every attribute, of a project", by: user("olga"),
		when: domain.CreateKey{
			Minted: minted("k"), Project: "web", KeyName: "Name", Note: "Note", Permissions: words("scores:CUD project:read scores:CUD"),
			Environments: words("prod default"), Networks: networks("10.1.2.3/8", "2001:db8::1/32", "10.0.0.0/8"), ExpiresAt: in(hour),
		},
		then: createdText(inWeb, "k", `name:"Name" note:"Note" permissions:"project:read" permissions:"scores:CUD"
			environments:"default" environments:"prod" allowed_networks:"10.0.0.0/8" allowed_networks:"2001:db8::/32" expires_at{@1h}`),
	}, {
		name: "everything the OWNER holds", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Project: "web"},
		then: createdText(inWeb, "k", inText("permissions", inProject(domain.Owner))),
	}, {
		name: "everything an ADMIN holds", by: user("adam"), when: domain.CreateKey{Minted: minted("k"), Project: "web", Preset: domain.PresetFull},
		then: createdText(inWeb, "k", inText("permissions", inProject(domain.Admin))),
	}, {
		name: "read-only, of a project", by: user("adam"), when: domain.CreateKey{Minted: minted("k"), Project: "web", Preset: domain.PresetReadOnly},
		then: createdText(inWeb, "k", inText("permissions", inProject(domain.Viewer))),
	}, {
		name: "ingest-only", by: user("adam"), when: domain.CreateKey{Minted: minted("k"), Project: "web", Preset: domain.PresetIngestOnly},
		then: createdText(inWeb, "k", `permissions:"scores:CUD"`),
	}, {
		name: "names come before the preset", by: user("adam"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Preset: domain.PresetIngestOnly, Permissions: words("project:read")},
		then: createdText(inWeb, "k", `permissions:"project:read"`),
	}, {
		name: "of an organization, by its owner", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Org: "acme"},
		then: createdText(`org_ids:"acme"`, "k", inText("permissions", everywhere(domain.Owner))),
	}, {
		name: "of an organization, by one of its keys", by: orgKey("k_acme", "acme"),
		when: domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("members:CUD auditLogs:read")},
		then: createdText(`org_ids:"acme"`, "k", `permissions:"auditLogs:read" permissions:"organizationMembers:CUD" permissions:"projectMembers:CUD"`),
	}, {
		name: "of a user, by the person", by: user("vic"), when: domain.CreateKey{Minted: minted("k"), User: "vic", Permissions: words("project:delete")},
		then: createdText(`user_id:"vic"`, "k", `permissions:"project:delete"`),
	}, {
		name: "of a user, by the instance", by: instance, when: domain.CreateKey{Minted: minted("k"), User: "vic"},
		then: createdText(`user_id:"vic"`, "k", inText("permissions", everywhere(domain.Owner))),
	}, {
		name: "of the instance", by: instance, when: domain.CreateKey{Minted: minted("k"), Permissions: words("project:read")},
		then: createdText("", "k", `permissions:"project:read"`),
	}, {
		name: "a permission that a project's key can't hold", by: user("olga"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("organization:delete")},
		code: domain.CodeInvalid, reason: domain.UnknownPermission,
	}, {
		name: "a permission that does not exist", by: user("olga"),
		when: domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("project:read nothing:do")},
		code: domain.CodeInvalid, reason: domain.UnknownPermission,
	}, {
		name: "an environment that the project does not have", by: user("olga"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Environments: words("prod dev")},
		code: domain.CodeInvalid, reason: domain.UnknownEnvironment,
	}, {
		name: "an environment, of an organization", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Org: "acme", Environments: words("default")},
		code: domain.CodeInvalid, reason: domain.UnknownEnvironment,
	}, {
		name: "an environment, of a user", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), User: "olga", Environments: words("default")},
		code: domain.CodeInvalid, reason: domain.UnknownEnvironment,
	}, {
		name: "an expiry that is now", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Project: "web", ExpiresAt: began},
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "a taken id", by: user("olga"), when: domain.CreateKey{Minted: domain.Minted{ID: "k_app", Public: "pk-k"}, Project: "web"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "a taken public part", by: user("olga"), when: domain.CreateKey{Minted: domain.Minted{ID: "k", Public: "pk-k_app"}, Project: "web"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "a taken secret", by: user("olga"),
		when: domain.CreateKey{Minted: domain.Minted{ID: "k", Public: "pk-k", Verifier: minted("k_app").Verifier}, Project: "web"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.CreateKey{Minted: minted("k"), Project: "web", Preset: domain.PresetReadOnly},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of an organization, by an ADMIN", by: user("adam"), when: domain.CreateKey{Minted: minted("k"), Org: "acme", Preset: domain.PresetReadOnly},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of the instance, by an OWNER", by: user("olga"), when: domain.CreateKey{Minted: minted("k")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of somebody else", by: user("olga"), when: domain.CreateKey{Minted: minted("k"), User: "mia"},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia",
	}, {
		name: "of a deactivated user", by: instance, when: domain.CreateKey{Minted: minted("k"), User: "dora"},
		code: domain.CodePrecondition, reason: domain.UserDeactivated,
	}, {
		name: "of an erased user", by: instance, when: domain.CreateKey{Minted: minted("k"), User: "erik"},
		code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "of a deleted project", given: projectDeleted("web"), by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Project: "web"},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "of a deleted project, by the instance", given: projectDeleted("web"), by: instance, when: domain.CreateKey{Minted: minted("k"), Project: "web"},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "of a project in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.CreateKey{Minted: minted("k"), Project: "web"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "of a deleted organization, by the instance", given: deleted("acme"), by: instance, when: domain.CreateKey{Minted: minted("k"), Org: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

// A key of the project that holds more than an ADMIN does, and one that does not.
var strongAndWeak = []domain.Command{
	domain.CreateKey{Minted: minted("strong"), Project: "web", Permissions: words("project:delete project:read")},
	domain.CreateKey{Minted: minted("weak"), Project: "web", Permissions: words("project:read apiKeys:CUD")},
	domain.CreateKey{Minted: minted("k_org"), Org: "acme", Permissions: words("organization:CRUD_apiKeys apiKeys:CUD")},
	domain.CreateKey{Minted: minted("k_reader"), Permissions: words("project:read")},
	domain.CreateKey{Minted: minted("k_small"), User: "olga", Permissions: words("project:read apiKeys:CUD")},
}

// keyCeilingRows: a key never holds more than whoever made it. Without the call of Within in grantable, in UpdateKey or in
// RotateKey these fail: tried, for each of the three. What bounds a key besides its permissions is in keycaller_test.go.
var keyCeilingRows = []row{
	{
		name: "more than an ADMIN holds", by: user("adam"), when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:read project:delete")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "more than the key of the project holds", given: strongAndWeak, by: projectKey("weak", "web"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("scores:CUD")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "a preset gives as much as the key of the project holds", given: strongAndWeak, by: projectKey("weak", "web"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web"},
		then: createdText(inWeb, "k", `permissions:"apiKeys:CUD" permissions:"project:read"`),
	}, {
		name: "more than the key of the organization holds", given: strongAndWeak, by: orgKey("k_org", "acme"),
		when: domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("project:read")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "more than the person's key holds", given: strongAndWeak, by: pat("k_small", "olga"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:update")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of the person, more than their key holds", given: strongAndWeak, by: pat("k_small", "olga"),
		when: domain.CreateKey{Minted: minted("k"), User: "olga", Permissions: words("project:update")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of the person, by a key of theirs that holds less than all", given: strongAndWeak, by: pat("k_small", "olga"),
		when: domain.CreateKey{Minted: minted("k"), User: "olga"},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of the instance, by a key of it that holds less than all", given: strongAndWeak, by: instanceKey("k_reader"),
		when: domain.CreateKey{Minted: minted("k"), Permissions: words("project:read")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of the instance, by a key of it that holds all", by: instanceKey("k_root"),
		when: domain.CreateKey{Minted: minted("k"), Permissions: words("project:read")},
		then: createdText("", "k", `permissions:"project:read"`),
	}, {
		name: "to more than an ADMIN holds", given: strongAndWeak, by: user("adam"),
		when: domain.UpdateKey{ID: "weak", Permissions: new(words("project:delete"))},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "from more than an ADMIN holds", given: strongAndWeak, by: user("adam"),
		when: domain.UpdateKey{ID: "strong", Permissions: new(words("project:read"))},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "to more than it holds, by itself", given: strongAndWeak, by: projectKey("weak", "web"),
		when: domain.UpdateKey{ID: "weak", Permissions: new(words("project:read apiKeys:CUD scores:CUD"))},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "to less than it holds, by itself", given: strongAndWeak, by: projectKey("weak", "web"),
		when: domain.UpdateKey{ID: "weak", Permissions: new(words("project:read"))},
		then: inWeb + ` key_id:"weak" key_updated{permissions{old:"apiKeys:CUD" old:"project:read" new:"project:read"}}`,
	}, {
		name: "nothing about what it holds, by an ADMIN", given: strongAndWeak, by: user("adam"), when: domain.UpdateKey{ID: "strong", Note: new("!")},
		then: inWeb + ` key_id:"strong" key_updated{note{new:"!"}}`,
	}, {
		name: "one that holds more, by an ADMIN", given: strongAndWeak, by: user("adam"), when: domain.RotateKey{ID: "strong", Successor: minted("k")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "one that holds more, by a key of the project", given: strongAndWeak, by: projectKey("weak", "web"), when: domain.RotateKey{ID: "strong", Successor: minted("k")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "a person's that holds more, by another of theirs", given: strongAndWeak, by: pat("k_small", "olga"),
		when: domain.RotateKey{ID: "k_olga", Successor: minted("k")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "one that holds more, by an ADMIN", given: strongAndWeak, by: user("adam"), when: domain.RevokeKey{ID: "strong"},
		then: inWeb + ` key_id:"strong" key_revoked{public_key:"pk-strong"}`,
	},
}
