package domain_test

import (
	"net/netip"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// A key of web that ends in a day and works from one network, one that does not end, and personal ones of olga of which the
// narrow one manages no other.
var callers = []domain.Command{
	domain.CreateKey{Minted: minted("bounded"), Project: "web", Networks: networks("10.1.0.0/16", "2001:db8::/32"), ExpiresAt: in(24 * hour)},
	domain.CreateKey{Minted: minted("free"), Project: "web"},
	domain.CreateKey{Minted: minted("narrow"), User: "olga", Permissions: words("project:read apiKeys:CUD")},
}

var byBounded = projectKey("bounded", "web")

func madeByBounded(networks []netip.Prefix, expires time.Time) domain.Command {
	return domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:read"), Networks: networks, ExpiresAt: expires}
}

func refusedCaller(name string, by domain.Actor, c domain.Command) row {
	return row{name: name, given: callers, by: by, when: c, code: domain.CodeDenied, reason: domain.KeyCeiling}
}

// keyCallerRows: a key never makes another, or itself, live longer or work from more networks than it does, and a person's
// narrow key manages none but itself. Without a call of withinCaller or of managesKeys these fail: tried, for each call.
var keyCallerRows = []row{
	{
		name: "as long and as wide as the key it is made with", given: callers, by: byBounded,
		when: madeByBounded(networks("2001:db8:1::/48", "10.1.0.0/16"), in(24*hour)),
		then: createdText(inWeb, "k", `permissions:"project:read" allowed_networks:"10.1.0.0/16" allowed_networks:"2001:db8:1::/48" expires_at{@24h}`),
	},
	refusedCaller("longer than the key it is made with", byBounded, madeByBounded(networks("10.1.0.0/16"), in(24*hour+1))),
	refusedCaller("for ever, with a key that ends", byBounded, madeByBounded(networks("10.1.0.0/16"), never)),
	refusedCaller("from everywhere, with a key that is bound", byBounded, madeByBounded(nil, in(hour))),
	refusedCaller("from a wider network", byBounded, madeByBounded(networks("10.0.0.0/8"), in(hour))),
	refusedCaller("from a wider network that begins in its own", byBounded, madeByBounded(networks("10.1.0.0/15"), in(hour))),
	refusedCaller("from another network beside its own", byBounded, madeByBounded(networks("10.1.0.0/16", "10.2.0.0/16"), in(hour))),
	refusedCaller("from all of the other kind", byBounded, madeByBounded(networks("::/0"), in(hour))),
	refusedCaller("itself, longer", byBounded, domain.UpdateKey{ID: "bounded", ExpiresAt: new(in(25 * hour))}),
	refusedCaller("itself, for ever", byBounded, domain.UpdateKey{ID: "bounded", ExpiresAt: &time.Time{}}),
	refusedCaller("itself, from everywhere", byBounded, domain.UpdateKey{ID: "bounded", Networks: &[]netip.Prefix{}}),
	refusedCaller("itself, from a wider network", byBounded, domain.UpdateKey{ID: "bounded", Networks: new(networks("10.0.0.0/8"))}),
	refusedCaller("another, from a network it is not bound to", byBounded, domain.UpdateKey{ID: "free", Networks: new(networks("10.2.0.0/16"))}),
	refusedCaller("another that lives longer", byBounded, domain.RotateKey{ID: "free", Successor: minted("k"), Grace: hour}),
	{
		name: "itself, shorter and narrower", given: callers, by: byBounded,
		when: domain.UpdateKey{ID: "bounded", ExpiresAt: new(in(hour)), Networks: new(networks("10.1.1.0/24"))},
		then: inWeb + ` key_id:"bounded" key_updated{
			allowed_networks{old:"10.1.0.0/16" old:"2001:db8::/32" new:"10.1.1.0/24"} expires_at{old{@24h} new{@1h}}}`,
	}, {
		name: "itself, bounded", given: callers, by: byBounded, when: domain.RotateKey{ID: "bounded", Successor: minted("next"), Grace: hour},
		then: rotatedText(inWeb, "bounded", inText("permissions", inProject(domain.Owner))+
			`allowed_networks:"10.1.0.0/16" allowed_networks:"2001:db8::/32" expires_at{@24h}`, `old{@24h} new{@1h}`),
	}, {
		name: "the name of another that lives longer", given: callers, by: byBounded, when: domain.UpdateKey{ID: "free", KeyName: new("!")},
		then: inWeb + ` key_id:"free" key_updated{name{new:"!"}}`,
	}, {
		name: "another that lives longer", given: callers, by: byBounded, when: domain.RevokeKey{ID: "free"},
		then: inWeb + ` key_id:"free" key_revoked{public_key:"pk-free"}`,
	},

	refusedCaller("a person's, by a narrow one of theirs", pat("narrow", "olga"), domain.CreateKey{Minted: minted("k"), User: "olga", Permissions: words("project:read")}),
	refusedCaller("a person's, by a narrow one of theirs", pat("narrow", "olga"), domain.UpdateKey{ID: "k_olga", Note: new("!")}),
	refusedCaller("itself, a narrow one of a person's", pat("narrow", "olga"), domain.UpdateKey{ID: "narrow", ExpiresAt: new(in(hour))}),
	refusedCaller("itself, a narrow one of a person's", pat("narrow", "olga"), domain.RotateKey{ID: "narrow", Successor: minted("k")}),
	refusedCaller("a person's, by a narrow one of theirs", pat("narrow", "olga"), domain.RevokeKey{ID: "k_olga"}),
	{
		name: "itself, a narrow one of a person's", given: callers, by: pat("narrow", "olga"), when: domain.RevokeKey{ID: "narrow"},
		then: `user_id:"olga" key_id:"narrow" key_revoked{public_key:"pk-narrow"}`,
	}, {
		name: "a narrow one of a person's, by one that holds all", given: callers, by: pat("k_olga", "olga"), when: domain.RevokeKey{ID: "narrow"},
		then: `user_id:"olga" key_id:"narrow" key_revoked{public_key:"pk-narrow"}`,
	}, {
		name: "of a project, by a narrow one of a person's", given: callers, by: pat("narrow", "olga"), when: domain.RevokeKey{ID: "free"},
		then: inWeb + ` key_id:"free" key_revoked{public_key:"pk-free"}`,
	},
}

// What a key is good for is changed only by who holds what it holds, in the project itself, and a rotated one is never
// prolonged. Without the question in UpdateKey these fail: tried, for each.
var keyGoodForRows = func() (rows []row) {
	for name, c := range map[string]domain.UpdateKey{
		"the expiry of one that holds more, by an ADMIN":       {ID: "strong", ExpiresAt: new(in(hour))},
		"the networks of one that holds more, by an ADMIN":     {ID: "strong", Networks: new(networks("10.0.0.0/8"))},
		"the environments of one that holds more, by an ADMIN": {ID: "strong", Environments: new(words("prod"))},
	} {
		rows = append(rows, row{name: name, given: strongAndWeak, by: user("adam"), when: c, code: domain.CodeDenied, reason: domain.KeyCeiling})
	}
	lowered := append(strongAndWeak[:len(strongAndWeak):len(strongAndWeak)], override("olga", domain.Admin, never))
	return append(rows,
		row{
			name: "more than an OWNER holds who is ADMIN there", given: lowered, by: user("olga"),
			when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("project:delete")},
			code: domain.CodeDenied, reason: domain.KeyCeiling,
		},
		row{
			name: "one that holds more than an OWNER who is ADMIN there", given: lowered, by: user("olga"),
			when: domain.RotateKey{ID: "strong", Successor: minted("k")}, code: domain.CodeDenied, reason: domain.KeyCeiling,
		},
		row{
			name: "the expiry of a rotated one", given: rotated, by: user("olga"), when: domain.UpdateKey{ID: "k_web", ExpiresAt: &time.Time{}},
			code: domain.CodePrecondition, reason: domain.KeyRotated,
		},
		row{
			name: "the note of a rotated one", given: rotated, by: user("olga"), when: domain.UpdateKey{ID: "k_web", Note: new("!")},
			then: inWeb + ` key_id:"k_web" key_updated{note{new:"!"}}`,
		},
	)
}()
