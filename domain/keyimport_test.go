package domain_test

import (
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func importedText(where, attributes, made string) string {
	return fmt.Sprintf(`%s key_id:"k" key_imported{key%s %s}`, where, mintedText("k", attributes), made)
}

// slow is a key that was made elsewhere, with a hash that is slow to verify.
func slow(id domain.KeyID) domain.Minted {
	m := minted(id)
	m.Verifier = &eventv1.Verifier{Scheme: "bcrypt", Hash: []byte("slow hash of " + id)}
	return m
}

func rehash(id domain.KeyID, old string) domain.RehashKey {
	return domain.RehashKey{ID: id, Old: old, Verifier: &eventv1.Verifier{Scheme: "hmac", PepperId: "pep", Hash: []byte("quick hash of " + id)}}
}

const rehashedText = ` key_id:"k" key_rehashed{old_scheme:"bcrypt" verifier{scheme:"hmac" pepper_id:"pep" hash:"quick hash of k"}}`

// importKeyRows fail if one that has expired is refused, if what a project's key can't hold is taken in, or if a hash is replaced
// that is no longer the key's, or by one that another key has: tried, for each.
var importKeyRows = []row{
	{
		name: "every attribute, of a project", by: instance,
		when: domain.ImportKey{
			Minted: minted("k"), Project: "web", KeyName: "Name", Note: "Note", Permissions: words("scores:CUD members:CUD"), Environments: words("prod default"),
			Networks: networks("10.1.2.3/8"), ExpiresAt: in(hour), MadeAt: in(-hour),
		},
		then: importedText(inWeb, `name:"Name" note:"Note" permissions:"projectMembers:CUD" permissions:"scores:CUD" environments:"default" environments:"prod"
			allowed_networks:"10.0.0.0/8" expires_at{@1h}`, `created_at{@-1h}`),
	},
	{name: "everything, of a project", by: instance, when: domain.ImportKey{Minted: minted("k"), Project: "web"}, then: importedText(inWeb, inText("permissions", inProject(domain.Owner)), "")},
	{name: "everything, of an organization", by: instance, when: domain.ImportKey{Minted: minted("k"), Org: "acme"}, then: importedText(`org_ids:"acme"`, inText("permissions", everywhere(domain.Owner)), "")},
	{name: "of a person, by a person who is an instance admin", given: admins, by: user("sam"), when: domain.ImportKey{Minted: minted("k"), User: "vic", Permissions: words("project:read")}, then: importedText(`user_id:"vic"`, `permissions:"project:read"`, "")},
	{name: "of a service account", given: accounts, by: instance, when: domain.ImportKey{Minted: minted("k"), User: "bot", Permissions: words("project:read")}, then: importedText(`org_ids:"acme" user_id:"bot"`, `permissions:"project:read"`, "")},
	{name: "that has expired", by: instance, after: hour, when: domain.ImportKey{Minted: minted("k"), Project: "web", Permissions: words("project:read"), ExpiresAt: began}, then: importedText(inWeb, `permissions:"project:read" expires_at{@0h}`, "")},
	{name: "a taken id", by: instance, when: domain.ImportKey{Minted: domain.Minted{ID: "k_app", Public: "pk"}, Project: "web"}, code: domain.CodeExists, reason: domain.IDTaken},
	{name: "a taken public part", by: instance, when: domain.ImportKey{Minted: domain.Minted{ID: "k", Public: "pk-k_app"}, Project: "web"}, code: domain.CodeExists, reason: domain.IDTaken},
	{name: "a taken hash", by: instance, when: domain.ImportKey{Minted: domain.Minted{ID: "k", Public: "pk", Verifier: minted("k_app").Verifier}, Project: "web"}, code: domain.CodeExists, reason: domain.IDTaken},
	{name: "the public part of a revoked one", given: []domain.Command{domain.RevokeKey{ID: "k_app"}}, by: instance, when: domain.ImportKey{Minted: domain.Minted{ID: "k", Public: "pk-k_app"}, Project: "web"}, code: domain.CodeExists, reason: domain.IDTaken},
	{name: "a permission that it can't hold", by: instance, when: domain.ImportKey{Minted: minted("k"), Project: "web", Permissions: words("organization:delete")}, code: domain.CodeInvalid, reason: domain.UnknownPermission},
	{name: "an environment that the project does not have", by: instance, when: domain.ImportKey{Minted: minted("k"), Project: "web", Environments: words("dev")}, code: domain.CodeInvalid, reason: domain.UnknownEnvironment},
	{name: "an environment, of an organization", by: instance, when: domain.ImportKey{Minted: minted("k"), Org: "acme", Environments: words("default")}, code: domain.CodeInvalid, reason: domain.UnknownEnvironment},
	{name: "of a deleted project", given: projectDeleted("web"), by: instance, when: domain.ImportKey{Minted: minted("k"), Project: "web"}, code: domain.CodePrecondition, reason: domain.ProjectDeleted},
	{name: "of a deleted organization", given: deleted("acme"), by: instance, when: domain.ImportKey{Minted: minted("k"), Org: "acme"}, code: domain.CodePrecondition, reason: domain.OrgDeleted},
	{name: "of a deactivated person", by: instance, when: domain.ImportKey{Minted: minted("k"), User: "dora"}, code: domain.CodePrecondition, reason: domain.UserDeactivated},
	{name: "of an erased person", by: instance, when: domain.ImportKey{Minted: minted("k"), User: "erik"}, code: domain.CodePrecondition, reason: domain.UserErased},
	{name: "of what is not there", by: instance, when: domain.ImportKey{Minted: minted("k"), Project: "nowhere"}, code: domain.CodeNotFound, reason: domain.ProjectNotFound},
	{name: "by an OWNER", by: user("olga"), when: domain.ImportKey{Minted: minted("k"), Project: "web"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by the project's key", by: projectKey("k_web", "web"), when: domain.ImportKey{Minted: minted("k"), Project: "web"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "of oneself", by: user("mia"), when: domain.ImportKey{Minted: minted("k"), User: "mia"}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "of a project out of sight", by: user("gary"), when: domain.ImportKey{Minted: minted("k"), Project: "web"}, code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "web"},
	{name: "by a key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.ImportKey{Minted: minted("k"), Project: "web"}, code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "the imported one of an OWNER's strength, by an ADMIN", given: []domain.Command{domain.ImportKey{Minted: minted("k"), Project: "web"}}, by: user("adam"), when: domain.RotateKey{ID: "k", Successor: minted("next")}, code: domain.CodeDenied, reason: domain.KeyCeiling},
	{name: "the imported one, by an OWNER", given: []domain.Command{domain.ImportKey{Minted: minted("k"), Project: "web", Permissions: words("project:read")}}, by: user("olga"), when: domain.RotateKey{ID: "k", Successor: minted("next"), Grace: hour}, then: rotatedText(inWeb, "k", `permissions:"project:read"`, `new{@1h}`)},

	{name: "of a project", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}}, by: system, when: rehash("k", "slow hash of k"), then: inWeb + rehashedText},
	{name: "of a person", given: []domain.Command{domain.ImportKey{Minted: slow("k"), User: "mia"}}, by: system, when: rehash("k", "slow hash of k"), then: `user_id:"mia"` + rehashedText},
	{name: "of a service account", given: with(accounts, domain.ImportKey{Minted: slow("k"), User: "bot"}), by: system, when: rehash("k", "slow hash of k"), then: `org_ids:"acme" user_id:"bot"` + rehashedText},
	{name: "after a transfer", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}, domain.TransferProject{ID: "web", Target: "globex"}}, by: system, when: rehash("k", "slow hash of k"), then: `org_ids:"globex" project_id:"web"` + rehashedText},
	{name: "by another hash than it has", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}}, by: system, when: rehash("k", "other")},
	{name: "twice", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}, rehash("k", "slow hash of k")}, by: system, when: rehash("k", "slow hash of k")},
	{name: "a revoked one", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}, domain.RevokeKey{ID: "k"}}, by: system, when: rehash("k", "slow hash of k")},
	{name: "an expired one", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web", ExpiresAt: in(hour)}}, by: system, after: hour, when: rehash("k", "slow hash of k")},
	{name: "one that is not there", by: system, when: rehash("k", "slow hash of k")},
	{
		name: "by a hash that another key has", given: []domain.Command{domain.ImportKey{Minted: slow("k"), Project: "web"}}, by: system,
		when: domain.RehashKey{ID: "k", Old: "slow hash of k", Verifier: minted("k_app").Verifier},
	},
}

// A key that was made elsewhere keeps its age, and is found by the hash that it has now.
func TestImportedKeys(t *testing.T) {
	t.Parallel()
	s := given(t, domain.ImportKey{Minted: slow("k"), Project: "web", MadeAt: in(-hour), ExpiresAt: in(hour)}, rehash("k", "slow hash of k"))
	k, ok := s.KeyByVerifier([]byte("quick hash of k"))
	if !ok || k.ID != "k" || k.Scheme != "hmac" || k.Pepper != "pep" || !k.CreatedAt.Equal(in(-hour)) || !k.ExpiresAt.Equal(in(hour)) || k.Public != "pk-k" {
		t.Errorf("got %+v", k)
	}
	if _, ok := s.KeyByVerifier([]byte("slow hash of k")); ok {
		t.Error("the slow hash still finds it")
	}
	s = given(t, domain.ImportKey{Minted: minted("k"), Project: "web"})
	if k, _ := s.Key("k"); !k.CreatedAt.Equal(began) || k.CreatedBy != "instance" {
		t.Errorf("without a time of making: %+v", k)
	}
}
