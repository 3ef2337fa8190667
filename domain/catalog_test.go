package domain_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
)

func entry(level domain.Level, name string, from domain.Role) domain.CatalogEntry {
	return domain.CatalogEntry{Level: level, Name: name, From: from}
}

// Permissions of an operator's own: reports at both levels, one of organizations and one of projects that owners alone hold.
var own = domain.ExtendCatalog{Own: []domain.CatalogEntry{
	entry(domain.ProjectLevel, "reports:read", "viewer"), entry(domain.OrgLevel, "reports:read", domain.Admin),
	entry(domain.OrgLevel, "billing:see", domain.Owner), entry(domain.ProjectLevel, "shred:do", domain.Owner),
}}

// catalogRows fail if the order or the spelling of roles makes a difference, or a permission of Tenure's is taken for free: tried.
var catalogRows = []row{
	{
		name: "permissions of an operator's own", by: system, when: own,
		then: `catalog_extended{new{level:"organization" name:"billing:see" from_role:"OWNER"} new{level:"organization" name:"reports:read" from_role:"ADMIN"}
			new{level:"project" name:"reports:read" from_role:"VIEWER"} new{level:"project" name:"shred:do" from_role:"OWNER"}}`,
	}, {
		name: "one for another role, and one less", by: system, given: []domain.Command{own},
		when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.OrgLevel, "reports:read", domain.Viewer)}},
		then: `catalog_extended{old{level:"organization" name:"billing:see" from_role:"OWNER"} old{level:"organization" name:"reports:read" from_role:"ADMIN"}
			old{level:"project" name:"reports:read" from_role:"VIEWER"} old{level:"project" name:"shred:do" from_role:"OWNER"}
			new{level:"organization" name:"reports:read" from_role:"VIEWER"}}`,
	}, {
		name: "none any more", by: system, given: []domain.Command{domain.ExtendCatalog{Own: own.Own[:1]}}, when: domain.ExtendCatalog{},
		then: `catalog_extended{old{level:"project" name:"reports:read" from_role:"VIEWER"}}`,
	},
	{name: "the same in another order", by: system, given: []domain.Command{own}, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{own.Own[2], own.Own[3], own.Own[1], own.Own[0]}}},
	{name: "none", by: system, when: domain.ExtendCatalog{}},
	{name: "none, after all were taken away", by: system, given: []domain.Command{own, domain.ExtendCatalog{}}, when: domain.ExtendCatalog{}},
	{
		name: "one of Tenure's own", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.ProjectLevel, "project:read", domain.Owner)}},
		code: domain.CodeInvalid, reason: domain.NameTaken,
	}, {
		name: "a name that stands for one of Tenure's own", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.OrgLevel, "members:CUD", domain.Owner)}},
		code: domain.CodeInvalid, reason: domain.NameTaken,
	}, {
		name: "one named twice", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{own.Own[0], own.Own[1], own.Own[0]}},
		code: domain.CodeInvalid, reason: domain.NameTaken,
	}, {
		name: "of no level", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(0, "reports:read", domain.Owner)}},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "from no role", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.OrgLevel, "reports:read", "Editor")}},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "from NONE, which holds nothing", by: system, when: domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.OrgLevel, "reports:read", "none")}},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "more than there is room for", by: system, when: numbered(0, 300), code: domain.CodeExhausted, reason: domain.TooMany,
	}, {
		name: "more than there is room for beside those taken away", by: system, given: []domain.Command{numbered(0, 100)}, when: numbered(100, 200),
		code: domain.CodeExhausted, reason: domain.TooMany,
	},

	{
		name: "an operator's own permission", given: []domain.Command{own}, by: user("adam"),
		when: domain.DefineRole{Org: "acme", Role: "Reporter", OrgPermissions: words("reports:read"), ProjectPermissions: words("reports:read")},
		then: `org_ids:"acme" role_defined{role:"Reporter" permissions{organization:"reports:read" project:"reports:read"}}`,
	}, {
		name: "an operator's own permission that an ADMIN does not hold", given: []domain.Command{own}, by: user("adam"),
		when: domain.DefineRole{Org: "acme", Role: "Shredder", ProjectPermissions: words("shred:do")}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "an operator's own permission that was taken away", given: []domain.Command{own, domain.ExtendCatalog{}}, by: user("olga"),
		when: domain.DefineRole{Org: "acme", Role: "Reporter", ProjectPermissions: words("reports:read")}, code: domain.CodeInvalid, reason: domain.UnknownPermission,
	}, {
		name: "a role with an operator's own permission that was taken away", by: user("adam"), when: domain.GrantRole{Org: "acme", User: "sam", Role: "Shredder"},
		given: []domain.Command{own, domain.DefineRole{Org: "acme", Role: "Shredder", ProjectPermissions: words("shred:do project:read")}, domain.ExtendCatalog{}},
		then:  `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"Shredder"}}}`,
	}, {
		name: "a role with an operator's own permission that was taken away, to what is left of it", by: user("adam"),
		given: []domain.Command{own, domain.DefineRole{Org: "acme", Role: "Shredder", ProjectPermissions: words("shred:do project:read")}, domain.ExtendCatalog{}},
		when:  domain.UpdateRole{Org: "acme", Role: "Shredder", ProjectPermissions: new(words("project:read"))},
	}, {
		name: "with an operator's own permission, of a project", given: []domain.Command{own}, by: user("adam"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("reports:read")}, then: createdText(inWeb, "k", `permissions:"reports:read"`),
	}, {
		name: "with an operator's own permission of organizations, of a project", given: []domain.Command{own}, by: user("olga"),
		when: domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("billing:see")}, code: domain.CodeInvalid, reason: domain.UnknownPermission,
	}, {
		name: "OWNER, by a key from before an operator's own permissions", given: []domain.Command{own}, by: orgKey("k_acme", "acme"),
		when: domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner}, code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "by a full key from before an operator's own permissions", given: []domain.Command{own}, by: instanceKey("k_root"), when: domain.SuspendOrg{ID: "acme"},
		then: `org_ids:"acme" org_suspended{}`,
	},
}

func numbered(from, to int) (c domain.ExtendCatalog) {
	for i := from; i < to; i++ {
		c.Own = append(c.Own, entry(domain.OrgLevel, fmt.Sprintf("own:%03d", i), domain.Owner))
	}
	return c
}

// What was taken away is neither asked nor held; if it comes back, the keys and roles that held it hold it again, and nothing
// else does. Fails if a permission that comes later takes the place of one that was taken away: tried.
func TestOwnPermissionsComeBack(t *testing.T) {
	t.Parallel()
	holders := []domain.Command{
		own, domain.CreateKey{Minted: minted("k"), Project: "web", Permissions: words("reports:read project:read")},
		domain.DefineRole{Org: "acme", Role: "Reporter", OrgPermissions: words("reports:read"), ProjectPermissions: words("shred:do project:read")},
		domain.GrantRole{Org: "acme", User: "sam", Role: "Reporter"},
	}
	others := domain.ExtendCatalog{Own: []domain.CatalogEntry{entry(domain.ProjectLevel, "other:do", domain.Viewer), entry(domain.OrgLevel, "other:do", domain.Viewer)}}
	type held struct{ Key, Role, User, Vic []string }
	look := func(s *domain.State) (h held) {
		k, _ := s.Key("k")
		acme, web := at(t, s, "acme"), at(t, s, "project web")
		h.Key = s.Catalog().Names(s.KeyPermissions(k, began))
		h.Role = s.Catalog().Names(s.RolePermissions(acme.Org, "Reporter"))
		for _, e := range s.Catalog().Entries() {
			place := acme
			if e.Level == domain.ProjectLevel {
				place = web
			}
			p := s.Catalog().Parse(e.Level, e.Name)
			if s.Check(user("sam"), p, place, began).Allowed {
				h.User = append(h.User, e.Name)
			}
			if e.Own && s.Check(user("vic"), p, place, began).Allowed {
				h.Vic = append(h.Vic, e.Name)
			}
		}
		slices.Sort(h.User)
		return h
	}
	all := held{
		Key: words("project:read reports:read"), Role: words("project:read reports:read shred:do"), User: words("project:read reports:read shred:do"),
		Vic: words("reports:read"),
	}
	less := held{Key: words("project:read"), Role: words("project:read"), User: words("project:read"), Vic: words("other:do other:do")}
	s := given(t, holders...)
	if diff := cmp.Diff(all, look(s)); diff != "" {
		t.Errorf("while they are there (-want +got):\n%s", diff)
	}
	gone := given(t, append(holders, others)...)
	if diff := cmp.Diff(less, look(gone)); diff != "" {
		t.Errorf("taken away (-want +got):\n%s", diff)
	}
	for _, name := range words("reports:read shred:do") {
		if gone.Catalog().Parse(domain.ProjectLevel, name) != 0 {
			t.Errorf("%s can still be asked", name)
		}
	}
	back := given(t, append(holders, others, own)...)
	if diff := cmp.Diff(all, look(back)); diff != "" {
		t.Errorf("back again (-want +got):\n%s", diff)
	}
	if s.Catalog().Parse(domain.ProjectLevel, "reports:read") != back.Catalog().Parse(domain.ProjectLevel, "reports:read") {
		t.Error("what came back is another permission than before")
	}
}

// A name may come to stand for more than when a key was made: its successor holds no more than the key did. Fails without the cut
// in keyRotated: tried.
func TestRotationAfterTheCatalogGrew(t *testing.T) {
	t.Parallel()
	s := given(t, domain.ExtendCatalog{Own: own.Own[:1]}, domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("reports:read")}, own,
		domain.RotateKey{ID: "k", Successor: minted("next"), Grace: hour})
	for _, id := range []domain.KeyID{"k", "next"} {
		for where, want := range map[string]bool{"project web": true, "acme": false} {
			place := at(t, s, where)
			if v := s.Check(orgKey(id, "acme"), asks(t, s, place, "reports:read"), place, began); v.Allowed != want {
				t.Errorf("%s in %s: %+v", id, where, v)
			}
		}
	}
}
