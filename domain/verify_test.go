package domain_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
)

// Fails if state, verdict, Usable or VerifyKey leaves one of its questions out: tried, for each.
func TestVerifyKey(t *testing.T) {
	t.Parallel()
	bound := []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", Environments: words("prod")}}
	boundToDefault := []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", Environments: words("default prod")}}
	office := []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", Networks: networks("10.1.0.0/16", "2001:db8::/32")}}
	for _, c := range []struct {
		name        string
		given       []domain.Command
		key         domain.KeyID
		environment string
		from        string
		after       time.Duration
		want        domain.Reason
	}{
		{"of a project", nil, "k_web", "", "", 0, domain.KeyValid},
		{"of an organization", nil, "k_acme", "prod", "", 0, domain.KeyValid},
		{"of a user", nil, "k_mia", "", "", 0, domain.KeyValid},
		{"of the instance", nil, "k_root", "", "", 0, domain.KeyValid},
		{"any environment, known or not", nil, "k_web", "whatever", "", 0, domain.KeyValid},
		{"revoked", []domain.Command{domain.RevokeKey{ID: "k_web"}}, "k_web", "", "", 0, domain.KeyRevoked},
		{"revoked before expired", append(expiring[:1:1], domain.RevokeKey{ID: "k"}), "k", "", "", hour, domain.KeyRevoked},
		{"a moment before it expires", expiring, "k", "", "", hour - 1, domain.KeyValid},
		{"the moment it expires", expiring, "k", "", "", hour, domain.KeyExpired},
		{"rotated, within its grace", rotated, "k_web", "", "", 24*hour - 1, domain.KeyValid},
		{"rotated, its grace over", rotated, "k_web", "", "", 24 * hour, domain.KeyExpired},
		{"the successor", rotated, "next", "", "", 24 * hour, domain.KeyValid},
		{"its environment", bound, "k", "prod", "", 0, domain.KeyValid},
		{"another environment", bound, "k", "staging", "", 0, domain.WrongEnvironment},
		{"no environment is the default one", bound, "k", "", "", 0, domain.WrongEnvironment},
		{"bound to the default one", boundToDefault, "k", "", "", 0, domain.KeyValid},
		{"bound to the default one, by name", boundToDefault, "k", "default", "", 0, domain.KeyValid},
		{"its network", office, "k", "", "10.1.255.255", 0, domain.KeyValid},
		{"its other network", office, "k", "", "2001:db8:ffff::1", 0, domain.KeyValid},
		{"another network", office, "k", "", "10.2.0.0", 0, domain.NetworkNotAllowed},
		{"another network of the other kind", office, "k", "", "2001:db9::1", 0, domain.NetworkNotAllowed},
		{"no address", office, "k", "", "", 0, domain.NetworkNotAllowed},
		{"network before environment", []domain.Command{
			domain.CreateKey{Minted: minted("k"), Project: "web", Environments: words("prod"), Networks: networks("10.0.0.0/8")},
		}, "k", "", "11.0.0.0", 0, domain.NetworkNotAllowed},
		{"project in a suspended organization", suspended("acme"), "k_web", "", "", 0, domain.OrgSuspended},
		{"suspended organization", suspended("acme"), "k_acme", "", "", 0, domain.OrgSuspended},
		{"resumed organization", append(suspended("acme"), domain.ResumeOrg{ID: "acme"}), "k_web", "", "", 0, domain.KeyValid},
		{"project in a deleted organization", deleted("acme"), "k_web", "", "", 0, domain.OrgDeleted},
		{"deleted organization", deleted("acme"), "k_acme", "", "", 0, domain.OrgDeleted},
		{"deleted project", projectDeleted("web"), "k_web", "", "", 0, domain.ProjectDeleted},
		{"restored project", append(projectDeleted("web"), domain.RestoreProject{ID: "web"}), "k_web", "", "", 0, domain.KeyValid},
		{"deactivated user", []domain.Command{domain.DeactivateUser{ID: "mia"}}, "k_mia", "", "", 0, domain.UserDeactivated},
		{"reactivated user", []domain.Command{domain.DeactivateUser{ID: "mia"}, domain.ReactivateUser{ID: "mia"}}, "k_mia", "", "", 0, domain.KeyValid},
		{"erased user", []domain.Command{domain.EraseUser{ID: "mia"}}, "k_mia", "", "", 0, domain.KeyRevoked},
		{"key of a user, an organization of theirs suspended", suspended("acme"), "k_mia", "", "", 0, domain.KeyValid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := given(t, c.given...)
			k, ok := s.Key(c.key)
			if !ok {
				t.Fatalf("no key %s", c.key)
			}
			var from netip.Addr
			if c.from != "" {
				from = netip.MustParseAddr(c.from)
			}
			if got := s.VerifyKey(k, c.environment, from, in(c.after)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestKeysAreFoundByEachPart(t *testing.T) {
	t.Parallel()
	s := given(t, rotated...)
	for _, id := range []domain.KeyID{"k_web", "next", "k_root"} {
		m := minted(id)
		byPublic, ok := s.KeyByPublic(m.Public)
		byVerifier, ok2 := s.KeyByVerifier(m.Verifier.Hash)
		if !ok || !ok2 || byPublic.ID != id || byVerifier != byPublic {
			t.Errorf("%s: by public part %v, by verifier %v", id, byPublic, byVerifier)
		}
	}
	if _, ok := s.KeyByPublic("who"); ok {
		t.Error("an unknown public part finds a key")
	}
	if _, ok := s.KeyByVerifier(nil); ok {
		t.Error("no verifier finds a key")
	}
}

// A transfer does not touch keys: they answer the same but for the organization. Fails if projectTransferred leaves the
// project where it was: tried.
func TestVerifyKeyAfterTransfer(t *testing.T) {
	t.Parallel()
	before := given(t, attributes...)
	after := given(t, append(attributes[:1:1], domain.TransferProject{ID: "web", Target: "globex", NewName: new("Moved")})...)
	for _, id := range []domain.KeyID{"k", "k_web"} {
		old, _ := before.Key(id)
		now, _ := after.Key(id)
		if diff := cmp.Diff(old, now, cmp.AllowUnexported(domain.Key{}, netip.Prefix{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s changed (-before +after):\n%s", id, diff)
		}
		if got := after.VerifyKey(now, "prod", netip.MustParseAddr("10.0.0.1"), began); got != domain.KeyValid {
			t.Errorf("%s is %s", id, got)
		}
		place, err := after.Place("", now.Project)
		if err != nil || place.Org.ID != "globex" {
			t.Errorf("%s is in %v, %v", id, place.Org, err)
		}
	}
	// Whatever happens to the old organization is nothing to the key any more, unlike what happens to the new one.
	for org, want := range map[domain.OrgID]domain.Reason{"acme": domain.KeyValid, "globex": domain.OrgSuspended} {
		s := given(t, domain.TransferProject{ID: "web", Target: "globex"}, domain.SuspendOrg{ID: org})
		k, _ := s.Key("k_web")
		if got := s.VerifyKey(k, "", netip.Addr{}, began); got != want {
			t.Errorf("%s suspended: %s, want %s", org, got, want)
		}
	}
}

func TestKeyPermissions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		given []domain.Command
		key   domain.KeyID
		after time.Duration
		want  []string
	}{
		{"of a project", nil, "k_web", 0, inProject(domain.Owner)},
		{"of a user: no more than the user holds", nil, "k_mia", 0, everywhere(domain.RoleMember)},
		{"and what an override gives, in projects", []domain.Command{override("mia", domain.Owner, never)}, "k_mia", 0, mixed(domain.RoleMember, domain.Owner)},
		{"an expired override gives nothing", []domain.Command{override("mia", domain.Owner, in(hour))}, "k_mia", hour, everywhere(domain.RoleMember)},
		{"an expired membership gives nothing, its overrides neither", []domain.Command{override("mia", domain.Owner, never), expiringMember("acme", "mia")}, "k_mia", hour, nil},
		{"a suspended organization gives nothing", suspended("acme"), "k_mia", 0, nil},
		{"no more than its own", partialKeys, "p_mia", 0, words("project:read")},
		{"its own, if the user holds it", partialKeys, "p_olga", 0, words("organization:update")},
	} {
		s := given(t, c.given...)
		k, _ := s.Key(c.key)
		if diff := cmp.Diff(c.want, s.Catalog().Names(s.KeyPermissions(k, in(c.after)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// mixed is what one role gives in an organization and another in its projects.
func mixed(org, project domain.Role) []string {
	set := map[string]bool{}
	for _, name := range append(everywhere(org), inProject(project)...) {
		set[name] = true
	}
	return sorted(set)
}
