package domain_test

import (
	"net/netip"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// A key of web with every attribute; what the events say of them is attributesText.
var attributes = []domain.Command{domain.CreateKey{
	Minted: minted("k"), Project: "web", KeyName: "Name", Note: "Note", Permissions: words("project:read scores:CUD"),
	Environments: words("prod"), Networks: networks("10.0.0.0/8"), ExpiresAt: in(48 * hour),
}}

const attributesText = `name:"Name" note:"Note" permissions:"project:read" permissions:"scores:CUD"
	environments:"prod" allowed_networks:"10.0.0.0/8" expires_at{@48h}`

// expiring is a key of web that ends after an hour.
var expiring = []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", ExpiresAt: in(hour)}}

var rotated = []domain.Command{domain.RotateKey{ID: "k_web", Successor: minted("next"), Grace: 24 * hour}}

var updateKeyRows = []row{
	{
		name: "everything, by an ADMIN", given: attributes, by: user("adam"),
		when: domain.UpdateKey{
			ID: "k", KeyName: new("New"), Note: new(""), Permissions: new(words("scores:CUD members:CUD")),
			Environments: new(words("staging default")), Networks: new(networks("10.9.9.9/16", "::1/128")), ExpiresAt: new(in(72 * hour)),
		},
		then: inWeb + ` key_id:"k" key_updated{name{old:"Name" new:"New"} note{old:"Note"}
			permissions{old:"project:read" old:"scores:CUD" new:"projectMembers:CUD" new:"scores:CUD"}
			environments{old:"prod" new:"default" new:"staging"}
			allowed_networks{old:"10.0.0.0/8" new:"10.9.0.0/16" new:"::1/128"}
			expires_at{old{@48h} new{@72h}}}`,
	}, {
		name: "lifts all bounds", given: attributes, by: user("olga"),
		when: domain.UpdateKey{ID: "k", Environments: &[]string{}, Networks: &[]netip.Prefix{}, ExpiresAt: &time.Time{}},
		then: inWeb + ` key_id:"k" key_updated{environments{old:"prod"} allowed_networks{old:"10.0.0.0/8"} expires_at{old{@48h}}}`,
	}, {
		name: "of an organization, by its owner", by: user("olga"), when: domain.UpdateKey{ID: "k_acme", Note: new("!")},
		then: `org_ids:"acme" key_id:"k_acme" key_updated{note{new:"!"}}`,
	}, {
		name: "of a user, by the person", by: user("mia"), when: domain.UpdateKey{ID: "k_mia", ExpiresAt: new(in(hour))},
		then: `user_id:"mia" key_id:"k_mia" key_updated{expires_at{new{@1h}}}`,
	}, {
		name: "of the instance", by: instance, when: domain.UpdateKey{ID: "k_root", Permissions: new(words("organization:update auditLogs:read"))},
		then: `key_id:"k_root" key_updated{permissions{` + inText("old", everywhere(domain.Owner)) + ` new:"auditLogs:read" new:"organization:update"}}`,
	}, {
		name: "after a transfer, where the project is now", given: []domain.Command{domain.TransferProject{ID: "web", Target: "globex"}}, by: user("gary"),
		when: domain.UpdateKey{ID: "k_web", Note: new("!")},
		then: `org_ids:"globex" project_id:"web" key_id:"k_web" key_updated{note{new:"!"}}`,
	}, {
		name: "to what it is", given: attributes, by: user("adam"),
		when: domain.UpdateKey{
			ID: "k", KeyName: new("Name"), Note: new("Note"), Permissions: new(words("scores:CUD project:read")),
			Environments: new(words("prod")), Networks: new(networks("10.0.0.0/8")), ExpiresAt: new(in(48 * hour)),
		},
	}, {
		name: "a permission that it can't hold", by: user("olga"), when: domain.UpdateKey{ID: "k_web", Permissions: new(words("organization:delete"))},
		code: domain.CodeInvalid, reason: domain.UnknownPermission,
	}, {
		name: "an environment that the project does not have", by: user("olga"), when: domain.UpdateKey{ID: "k_web", Environments: new(words("dev"))},
		code: domain.CodeInvalid, reason: domain.UnknownEnvironment,
	}, {
		name: "an environment, of an organization", by: user("olga"), when: domain.UpdateKey{ID: "k_acme", Environments: new(words("default"))},
		code: domain.CodeInvalid, reason: domain.UnknownEnvironment,
	}, {
		name: "an expiry that is now", by: user("olga"), after: hour, when: domain.UpdateKey{ID: "k_web", ExpiresAt: new(in(hour))},
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "an expired one", given: expiring, by: user("olga"), after: hour, when: domain.UpdateKey{ID: "k", ExpiresAt: &time.Time{}},
		code: domain.CodePrecondition, reason: domain.KeyExpired,
	}, {
		name: "a revoked one", given: []domain.Command{domain.RevokeKey{ID: "k_web"}}, by: user("olga"), when: domain.UpdateKey{ID: "k_web", Note: new("!")},
		code: domain.CodePrecondition, reason: domain.KeyRevoked,
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.UpdateKey{ID: "k_web", Note: new("!")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of an organization, by an ADMIN", by: user("adam"), when: domain.UpdateKey{ID: "k_acme", Note: new("!")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of a deleted project", given: projectDeleted("web"), by: user("olga"), when: domain.UpdateKey{ID: "k_web", Note: new("!")},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.UpdateKey{ID: "k_web", Note: new("!")},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	},
}

func rotatedText(where, id, attributes, change string) string {
	return where + ` key_id:"` + id + `" key_rotated{successor_key_id:"next" successor` + mintedText("next", attributes) + ` expires_at{` + change + `}}`
}

// rotateKeyRows fail if the grace may pass the key's own expiry, or if a key may be rotated twice: tried.
var rotateKeyRows = []row{
	{
		name: "with every attribute", given: attributes, by: user("adam"), when: domain.RotateKey{ID: "k", Successor: minted("next"), Grace: 24 * hour},
		then: rotatedText(inWeb, "k", attributesText, `old{@48h} new{@24h}`),
	}, {
		name: "the grace never passes its own expiry", given: attributes, by: user("adam"), after: 47 * hour,
		when: domain.RotateKey{ID: "k", Successor: minted("next"), Grace: 24 * hour},
		then: rotatedText(inWeb, "k", attributesText, `old{@48h} new{@48h}`),
	}, {
		name: "no grace", given: attributes, by: user("adam"), after: hour, when: domain.RotateKey{ID: "k", Successor: minted("next")},
		then: rotatedText(inWeb, "k", attributesText, `old{@48h} new{@1h}`),
	}, {
		name: "one without an expiry, by itself", by: projectKey("k_web", "web"), when: domain.RotateKey{ID: "k_web", Successor: minted("next"), Grace: hour},
		then: rotatedText(inWeb, "k_web", inText("permissions", inProject(domain.Owner)), `new{@1h}`),
	}, {
		name: "of an organization, by its owner", by: user("olga"), when: domain.RotateKey{ID: "k_acme", Successor: minted("next"), Grace: hour},
		then: rotatedText(`org_ids:"acme"`, "k_acme", inText("permissions", everywhere(domain.Owner)), `new{@1h}`),
	}, {
		name: "of a user, by the person", by: user("mia"), when: domain.RotateKey{ID: "k_mia", Successor: minted("next"), Grace: hour},
		then: rotatedText(`user_id:"mia"`, "k_mia", inText("permissions", everywhere(domain.Owner)), `new{@1h}`),
	}, {
		name: "of the instance", by: instance, when: domain.RotateKey{ID: "k_root", Successor: minted("next"), Grace: hour},
		then: rotatedText("", "k_root", inText("permissions", everywhere(domain.Owner)), `new{@1h}`),
	}, {
		name: "the successor", given: rotated, by: user("olga"), when: domain.RotateKey{ID: "next", Successor: minted("third"), Grace: hour},
		then: inWeb + ` key_id:"next" key_rotated{successor_key_id:"third" successor` +
			mintedText("third", inText("permissions", inProject(domain.Owner))) + ` expires_at{new{@1h}}}`,
	}, {
		name: "twice", given: rotated, by: user("olga"), when: domain.RotateKey{ID: "k_web", Successor: minted("third")},
		code: domain.CodePrecondition, reason: domain.KeyRotated,
	}, {
		name: "once its grace is over", given: rotated, by: user("olga"), after: 24 * hour, when: domain.RotateKey{ID: "k_web", Successor: minted("third")},
		code: domain.CodePrecondition, reason: domain.KeyExpired,
	}, {
		name: "a revoked one", given: []domain.Command{domain.RevokeKey{ID: "k_web"}}, by: user("olga"), when: domain.RotateKey{ID: "k_web", Successor: minted("next")},
		code: domain.CodePrecondition, reason: domain.KeyRevoked,
	}, {
		name: "an expired one", given: expiring, by: user("olga"), after: hour, when: domain.RotateKey{ID: "k", Successor: minted("next")},
		code: domain.CodePrecondition, reason: domain.KeyExpired,
	}, {
		name: "a taken id", by: user("olga"), when: domain.RotateKey{ID: "k_web", Successor: minted("k_app")},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "a taken public part", by: user("olga"), when: domain.RotateKey{ID: "k_web", Successor: domain.Minted{ID: "next", Public: "pk-k_app"}},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "a taken secret", by: user("olga"),
		when: domain.RotateKey{ID: "k_web", Successor: domain.Minted{ID: "next", Public: "pk-next", Verifier: minted("k_app").Verifier}},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.RotateKey{ID: "k_web", Successor: minted("next")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.RotateKey{ID: "k_web", Successor: minted("next")},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	},
}

var revokeKeyRows = []row{
	{
		name: "by an ADMIN", by: user("adam"), when: domain.RevokeKey{ID: "k_web"},
		then: inWeb + ` key_id:"k_web" key_revoked{public_key:"pk-k_web"}`,
	}, {
		name: "by itself", by: projectKey("k_web", "web"), when: domain.RevokeKey{ID: "k_web"},
		then: inWeb + ` key_id:"k_web" key_revoked{public_key:"pk-k_web"}`,
	}, {
		name: "of a user, by the person", by: user("mia"), when: domain.RevokeKey{ID: "k_mia"},
		then: `user_id:"mia" key_id:"k_mia" key_revoked{public_key:"pk-k_mia"}`,
	}, {
		name: "of the instance", by: instance, when: domain.RevokeKey{ID: "k_root"}, then: `key_id:"k_root" key_revoked{public_key:"pk-k_root"}`,
	}, {
		name: "of a deleted project, by the instance", given: projectDeleted("web"), by: instance, when: domain.RevokeKey{ID: "k_web"},
		then: inWeb + ` key_id:"k_web" key_revoked{public_key:"pk-k_web"}`,
	}, {
		name: "an expired one", given: expiring, by: user("adam"), after: hour, when: domain.RevokeKey{ID: "k"},
		then: inWeb + ` key_id:"k" key_revoked{public_key:"pk-k"}`,
	}, {
		name: "a revoked one", given: []domain.Command{domain.RevokeKey{ID: "k_web"}}, by: user("adam"), when: domain.RevokeKey{ID: "k_web"},
	}, {
		name: "of an erased user", given: []domain.Command{domain.EraseUser{ID: "mia"}}, by: instance, when: domain.RevokeKey{ID: "k_mia"},
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.RevokeKey{ID: "k_web"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of an organization, by an ADMIN", by: user("adam"), when: domain.RevokeKey{ID: "k_acme"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "of the instance, by an OWNER", by: user("olga"), when: domain.RevokeKey{ID: "k_root"},
		code: domain.CodeNotFound, reason: domain.KeyNotFound, hides: "k_root",
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("adam"), when: domain.RevokeKey{ID: "k_web"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	},
}
