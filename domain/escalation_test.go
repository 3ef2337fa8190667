package domain_test

import (
	"github.com/tenurehq/tenure/domain"
)

// leaked are keys that hold all their principal can hold, but not for ever and not from everywhere.
var leaked = []domain.Command{
	domain.CreateKey{Minted: minted("short"), Project: "web", ExpiresAt: in(hour), Networks: networks("10.0.0.0/8")},
	domain.CreateKey{Minted: minted("small"), User: "mia", Permissions: words("project:read")},
	domain.CreateKey{Minted: minted("plain"), Project: "web"},
}

// escalationRows: nothing is got by a detour that is refused when asked for directly. Each fails without its guard: the
// organization role of an override with an expiry, managesKeys, withinCaller, the successor in UpdateKey, tooMuch in
// droppedOverrides, keyCeiling at the place itself. Tried, one by one.
var escalationRows = []row{
	{
		name: "an expiring override where NONE blocks an OWNER, by an ADMIN", by: user("adam"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.None}},
		when:  domain.GrantRole{Project: "web", User: "olga", Role: domain.Viewer, ExpiresAt: in(hour)},
		code:  domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "of a person, by a key of theirs that holds less", given: leaked, by: pat("small", "mia"),
		when: domain.CreateKey{Minted: minted("k"), User: "mia"}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of a person, by a key of theirs that holds less", given: leaked, by: pat("small", "mia"),
		when: domain.UpdateKey{ID: "small", KeyName: new("mine")}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of a person, by a key of theirs that holds less", given: leaked, by: pat("small", "mia"),
		when: domain.RotateKey{ID: "small", Successor: minted("k")}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of a person, by another key of theirs that holds less", given: leaked, by: pat("small", "mia"),
		when: domain.RevokeKey{ID: "k_mia"}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of a person, by itself", given: leaked, by: pat("small", "mia"),
		when: domain.RevokeKey{ID: "small"}, then: `user_id:"mia" key_id:"small" key_revoked{public_key:"pk-small"}`,
	}, {
		name: "that outlives the caller's", given: leaked, by: projectKey("short", "web"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Networks: networks("10.1.0.0/16")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "from wider networks than the caller's", given: leaked, by: projectKey("short", "web"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", ExpiresAt: in(hour / 2), Networks: networks("0.0.0.0/0")},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "from everywhere, by a bound one", given: leaked, by: projectKey("short", "web"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", ExpiresAt: in(hour / 2)},
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "itself, to live longer", given: leaked, by: projectKey("short", "web"),
		when: domain.UpdateKey{ID: "short", ExpiresAt: new(in(2 * hour))}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "itself, to work from everywhere", given: leaked, by: projectKey("short", "web"),
		when: domain.UpdateKey{ID: "short", Networks: new(networks())}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "expiry of a rotated one", by: instance,
		given: append(leaked[:3:3], domain.RotateKey{ID: "plain", Successor: minted("next"), Grace: hour}),
		when:  domain.UpdateKey{ID: "plain", ExpiresAt: new(in(48 * hour))}, code: domain.CodePrecondition, reason: domain.KeyRotated,
	}, {
		name: "expiry of one that holds more, by an ADMIN", given: leaked, by: user("adam"),
		when: domain.UpdateKey{ID: "plain", ExpiresAt: new(in(48 * hour))}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "kept overrides end where they hold more than the actor in the target", by: user("ivan"),
		given: []domain.Command{
			domain.GrantRole{Org: "globex", User: "vic", Role: domain.Viewer},
			domain.GrantRole{Project: "web", User: "vic", Role: domain.Owner},
		},
		when: domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"vic" grant{role:"OWNER"}}}`,
	}, {
		name: "more than an OWNER holds in a project with a lower override", by: user("olga"),
		given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.Admin}},
		when:  domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:delete")},
		code:  domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "an account that ended while its e-mail was looked up", by: instance,
		when: domain.RegisterUser{ID: "late", EmailDigest: []byte("nobody's")}, code: domain.CodeAborted, reason: "CONTENTION",
	}, {
		name: "an id that is sealed under for others", by: instance,
		when: domain.RegisterUser{ID: "instance", Chosen: true, Email: sealed("instance", "x"), EmailDigest: []byte("nobody's")},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	},
}
