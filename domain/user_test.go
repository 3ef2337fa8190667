package domain_test

import "github.com/tenurehq/tenure/domain"

// userRows fail if a known e-mail is not asked for, or an old or erased one not freed, or if alive is not asked: tried.
var userRows = []row{
	{
		name: "a new e-mail", by: instance, when: register("new"),
		then: `user_id:"new" user_registered{email{subject:"new" data:"new@example.com"} email_digest:"digest of new"
			name{subject:"new" data:"new"}}`,
	}, {
		name: "without a name", by: instance, when: domain.RegisterUser{ID: "new", Email: sealed("new", "e"), EmailDigest: []byte("d")},
		then: `user_id:"new" user_registered{email{subject:"new" data:"e"} email_digest:"d"}`,
	}, {
		name: "a known e-mail, under whatever id", by: instance,
		when: domain.RegisterUser{ID: "new", Email: sealed("new", "olga"), EmailDigest: []byte("digest of olga")},
	}, {
		name: "the e-mail of an erased user", by: instance,
		when: domain.RegisterUser{ID: "new", Email: sealed("new", "erik"), EmailDigest: []byte("digest of erik")},
		then: `user_id:"new" user_registered{email{subject:"new" data:"erik"} email_digest:"digest of erik"}`,
	}, {
		name: "a taken id", by: instance, when: domain.RegisterUser{ID: "olga", Chosen: true, EmailDigest: []byte("digest of new")},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "the id of an erased user", by: instance, when: domain.RegisterUser{ID: "erik", Chosen: true, EmailDigest: []byte("digest of new")},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "an e-mail that the edge took for known", by: instance, when: domain.RegisterUser{ID: "new", EmailDigest: []byte("digest of new")},
		code: domain.CodeAborted, reason: "CONTENTION",
	}, {
		name: "the id that the instance seals under", by: instance,
		when: domain.RegisterUser{ID: "instance", Chosen: true, Email: sealed("instance", "e"), EmailDigest: []byte("e")},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "an id that a key may seal under", by: instance,
		when: domain.RegisterUser{ID: "key_1", Chosen: true, Email: sealed("key_1", "e"), EmailDigest: []byte("e")},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "by a person", by: user("olga"), when: register("new"), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a known e-mail, by a person, same answer", by: user("olga"), when: register("sam"),
		code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "sam",
	},

	{
		name: "e-mail and name, by the person", by: user("mia"),
		when: domain.UpdateUser{ID: "mia", Email: sealed("mia", "new@"), EmailDigest: []byte("digest of new"), FullName: sealed("mia", "Mia")},
		then: `org_ids:"acme" user_id:"mia" user_updated{
			email{old{subject:"mia" data:"mia@example.com"} new{subject:"mia" data:"new@"}}
			old_email_digest:"digest of mia" new_email_digest:"digest of new"
			name{old{subject:"mia" data:"mia"} new{subject:"mia" data:"Mia"}}}`,
	}, {
		name: "the name goes, by the person's key", by: pat("k_mia", "mia"), when: domain.UpdateUser{ID: "mia", ClearName: true},
		then: `org_ids:"acme" user_id:"mia" user_updated{name{old{subject:"mia" data:"mia"}}}`,
	}, {
		name: "every organization is named", by: instance, when: domain.UpdateUser{ID: "ivan", ClearName: true},
		then: `org_ids:"acme" org_ids:"globex" user_id:"ivan" user_updated{name{old{subject:"ivan" data:"ivan"}}}`,
	}, {
		name: "an e-mail that somebody had before", given: []domain.Command{domain.UpdateUser{ID: "olga", Email: sealed("olga", "o"), EmailDigest: []byte("o")}},
		by: user("sam"), when: domain.UpdateUser{ID: "sam", Email: sealed("sam", "olga"), EmailDigest: []byte("digest of olga")},
		then: `user_id:"sam" user_updated{email{old{subject:"sam" data:"sam@example.com"} new{subject:"sam" data:"olga"}}
			old_email_digest:"digest of sam" new_email_digest:"digest of olga"}`,
	}, {
		name: "the same e-mail, sealed anew", by: user("mia"), when: domain.UpdateUser{ID: "mia", Email: sealed("mia", "other"), EmailDigest: []byte("digest of mia")},
	}, {
		name: "no name, having none", given: []domain.Command{domain.UpdateUser{ID: "mia", ClearName: true}}, by: user("mia"),
		when: domain.UpdateUser{ID: "mia", ClearName: true},
	}, {
		name: "an e-mail that somebody has", by: user("mia"), when: domain.UpdateUser{ID: "mia", Email: sealed("mia", "olga"), EmailDigest: []byte("digest of olga")},
		code: domain.CodeExists, reason: domain.EmailTaken,
	}, {
		name: "somebody else, by an OWNER", by: user("olga"), when: domain.UpdateUser{ID: "mia", ClearName: true},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia",
	}, {
		name: "a member, by a key of the organization", by: orgKey("k_acme", "acme"), when: domain.UpdateUser{ID: "mia", ClearName: true},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia",
	}, {
		name: "by the person, deactivated", by: user("dora"), when: domain.UpdateUser{ID: "dora", ClearName: true},
		code: domain.CodeUnauthenticated, reason: domain.UserDeactivated,
	}, {
		name: "an erased one", by: instance, when: domain.UpdateUser{ID: "erik", Email: sealed("erik", "e"), EmailDigest: []byte("e")},
		code: domain.CodePrecondition, reason: domain.UserErased,
	},

	{name: "a member", by: instance, when: domain.DeactivateUser{ID: "mia"}, then: `org_ids:"acme" user_id:"mia" user_deactivated{}`},
	{name: "a deactivated one", by: instance, when: domain.DeactivateUser{ID: "dora"}},
	{
		name: "an erased one", by: instance, when: domain.DeactivateUser{ID: "erik"},
		code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "by themselves", by: user("mia"), when: domain.DeactivateUser{ID: "mia"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an OWNER", by: user("olga"), when: domain.DeactivateUser{ID: "mia"},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia",
	},

	{name: "a deactivated one", by: instance, when: domain.ReactivateUser{ID: "dora"}, then: `org_ids:"acme" user_id:"dora" user_reactivated{}`},
	{name: "an active one", by: instance, when: domain.ReactivateUser{ID: "mia"}},
	{
		name: "an erased one", by: instance, when: domain.ReactivateUser{ID: "erik"},
		code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "by themselves", by: user("dora"), when: domain.ReactivateUser{ID: "dora"},
		code: domain.CodeUnauthenticated, reason: domain.UserDeactivated,
	},

	{
		name: "a member of two", by: instance, when: domain.EraseUser{ID: "ivan"},
		then: `org_ids:"acme" org_ids:"globex" user_id:"ivan" user_erased{email_digest:"digest of ivan"}`,
	}, {
		name: "a deactivated one", by: instance, when: domain.EraseUser{ID: "dora"},
		then: `org_ids:"acme" user_id:"dora" user_erased{email_digest:"digest of dora"}`,
	},
	{name: "an erased one", by: instance, when: domain.EraseUser{ID: "erik"}},
	{
		name: "by themselves", by: user("mia"), when: domain.EraseUser{ID: "mia"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an OWNER", by: user("olga"), when: domain.EraseUser{ID: "erik"},
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "erik",
	},
}
