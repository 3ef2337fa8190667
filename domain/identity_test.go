package domain_test

import "github.com/tenurehq/tenure/domain"

// link ties the account of elsewhere, by its name.
func link(id domain.UserID, subject string) domain.LinkIdentity {
	return domain.LinkIdentity{ID: id, Issuer: "https://idp", Digest: []byte("digest of " + subject), Subject: sealed(string(id), subject)}
}

func unlink(id domain.UserID, subject string) domain.UnlinkIdentity {
	return domain.UnlinkIdentity{ID: id, Digest: []byte("digest of " + subject)}
}

const (
	linkedText   = `user_id:"mia" identity_linked{identity{issuer:"https://idp" digest:"digest of m" subject{subject:"mia" data:"m"}}}`
	unlinkedText = `user_id:"mia" identity_unlinked{identity{issuer:"https://idp" digest:"digest of m" subject{subject:"mia" data:"m"}}}`
)

var linked = []domain.Command{link("mia", "m")}

// identityRows fail if the identity stays after it was untied or its person erased, or if a narrow key may tie it: tried.
var identityRows = []row{
	{name: "by the person", by: user("mia"), when: link("mia", "m"), then: linkedText},
	{name: "by the person's key that holds all", by: pat("k_mia", "mia"), when: link("mia", "m"), then: linkedText},
	{name: "by the instance", by: instance, when: link("mia", "m"), then: linkedText},
	{name: "of a deactivated person, by the instance", given: []domain.Command{domain.DeactivateUser{ID: "mia"}}, by: instance, when: link("mia", "m"), then: linkedText},
	{name: "that somebody had before", given: []domain.Command{link("sam", "m"), unlink("sam", "m")}, by: user("mia"), when: link("mia", "m"), then: linkedText},
	{name: "that an erased person had", given: []domain.Command{link("sam", "m"), domain.EraseUser{ID: "sam"}}, by: user("mia"), when: link("mia", "m"), then: linkedText},
	{name: "that is tied already", given: linked, by: user("mia"), when: link("mia", "m")},
	{name: "that somebody else has", given: []domain.Command{link("sam", "m")}, by: user("mia"), when: link("mia", "m"), code: domain.CodeExists, reason: domain.IdentityTaken},
	{name: "by a key that holds less than all", given: partialKeys, by: pat("p_mia", "mia"), when: link("mia", "m"), code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "by an instance's key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: link("mia", "m"), code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "to somebody else, by an OWNER", by: user("olga"), when: link("mia", "m"), code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia"},
	{name: "to an erased person", by: instance, when: link("erik", "e"), code: domain.CodePrecondition, reason: domain.UserErased},
	{name: "to a service account, by the instance", given: accounts, by: instance, when: link("bot", "b"), code: domain.CodePrecondition, reason: domain.IsServiceAccount},
	{name: "to a service account, by itself", given: accounts, by: user("bot"), when: link("bot", "b"), code: domain.CodePrecondition, reason: domain.IsServiceAccount},
	{name: "to a service account, by an OWNER of its home", given: accounts, by: user("olga"), when: link("bot", "b"), code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "to a service account of another organization", given: accounts, by: user("olga"), when: link("bot2", "b"), code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2"},

	{name: "by the person", given: linked, by: user("mia"), when: unlink("mia", "m"), then: unlinkedText},
	{name: "by the instance", given: linked, by: instance, when: unlink("mia", "m"), then: unlinkedText},
	{name: "that is not there", by: user("mia"), when: unlink("mia", "m")},
	{name: "that somebody else has", given: []domain.Command{link("sam", "m")}, by: user("mia"), when: unlink("mia", "m")},
	{name: "by a key that holds less than all", given: append(linked[:1:1], partialKeys...), by: pat("p_mia", "mia"), when: unlink("mia", "m"), code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "of somebody else, by an OWNER", given: linked, by: user("olga"), when: unlink("mia", "m"), code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "mia"},
	{name: "of an erased person", by: instance, when: unlink("erik", "e"), code: domain.CodePrecondition, reason: domain.UserErased},
}
