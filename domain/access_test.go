package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure/domain"
)

func override(id domain.UserID, role domain.Role, until time.Time) domain.Command {
	return domain.GrantRole{Project: "web", User: id, Role: role, ExpiresAt: until}
}

var never time.Time

// at finds a place by name: a project's if it begins with "project ", else an organization's.
func at(t testing.TB, s *domain.State, name string) domain.Place {
	t.Helper()
	project, inProject := strings.CutPrefix(name, "project ")
	org := domain.OrgID(name)
	if inProject {
		org = ""
	} else {
		project = ""
	}
	place, err := s.Place(org, domain.ProjectID(project))
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func permission(t testing.TB, place domain.Place, name string) domain.Permission {
	t.Helper()
	level := domain.OrgLevel
	if place.Project != nil {
		level = domain.ProjectLevel
	}
	p := domain.ParsePermission(level, name)
	if p == 0 {
		t.Fatalf("there is no permission %s at that level", name)
	}
	return p
}

// Fails if At ignores the expiry, if heldByUser does not ask for the membership first, if the cap of a key is left out, or if
// Check does not ask stateOf: tried.
func TestCheck(t *testing.T) {
	t.Parallel()
	yes := func(reason domain.Reason, role domain.Role) domain.Verdict {
		return domain.Verdict{Allowed: true, Reason: reason, Role: role}
	}
	no := func(reason domain.Reason, role domain.Role) domain.Verdict {
		return domain.Verdict{Reason: reason, Role: role}
	}
	for _, c := range []struct {
		name  string
		given []domain.Command
		actor domain.Actor
		asks  string
		where string
		after time.Duration
		want  domain.Verdict
	}{
		{"a role of the organization", nil, user("adam"), "organization:update", "acme", 0, yes(domain.ByOrgRole, domain.Admin)},
		{"a role that lacks it", nil, user("mia"), "organization:update", "acme", 0, no(domain.RoleLacks, domain.RoleMember)},
		{"NONE", nil, user("nora"), "organizationMembers:read", "acme", 0, no(domain.RoleLacks, domain.None)},
		{"nobody's", nil, user("sam"), "organizationMembers:read", "acme", 0, no(domain.NotAMember, "")},
		{"of another organization", nil, user("gary"), "organization:update", "acme", 0, no(domain.NotAMember, "")},
		{"inherited", nil, user("vic"), "project:read", "project web", 0, yes(domain.ByOrgRole, domain.Viewer)},
		{"inherited, lacking", nil, user("vic"), "scores:CUD", "project web", 0, no(domain.RoleLacks, domain.Viewer)},
		{"inherited NONE", nil, user("nora"), "project:read", "project web", 0, no(domain.RoleLacks, domain.None)},
		{"in a project of another organization", nil, user("adam"), "project:read", "project app", 0, no(domain.NotAMember, "")},
		{"a name of both levels, in the organization", nil, user("adam"), "auditLogs:read", "acme", 0, yes(domain.ByOrgRole, domain.Admin)},
		{"a name of both levels, in a project", nil, user("adam"), "auditLogs:read", "project web", 0, yes(domain.ByOrgRole, domain.Admin)},
		{
			"override up", []domain.Command{override("vic", domain.Admin, never)}, user("vic"), "project:update", "project web", 0,
			yes(domain.ByProjectOverride, domain.Admin),
		}, {
			"override up, not in the organization", []domain.Command{override("vic", domain.Owner, never)}, user("vic"), "organization:update", "acme", 0,
			no(domain.RoleLacks, domain.Viewer),
		}, {
			"override up, at both levels the same name", []domain.Command{override("vic", domain.Owner, never)}, user("vic"), "auditLogs:read", "acme", 0,
			no(domain.RoleLacks, domain.Viewer),
		}, {
			"override up from NONE", []domain.Command{override("nora", domain.Viewer, never)}, user("nora"), "project:read", "project web", 0,
			yes(domain.ByProjectOverride, domain.Viewer),
		}, {
			"override down", []domain.Command{override("olga", domain.Viewer, never)}, user("olga"), "project:update", "project web", 0,
			no(domain.RoleLacks, domain.Viewer),
		}, {
			"override NONE", []domain.Command{override("olga", domain.None, never)}, user("olga"), "project:read", "project web", 0,
			no(domain.BlockedInProject, domain.None),
		}, {
			"override NONE, in the organization", []domain.Command{override("olga", domain.None, never)}, user("olga"), "organization:delete", "acme", 0,
			yes(domain.ByOrgRole, domain.Owner),
		}, {
			"override in another project", []domain.Command{
				domain.CreateProject{ID: "other", Org: "acme", ProjectName: "Other"}, override("vic", domain.Admin, never),
			}, user("vic"), "project:update", "project other", 0, no(domain.RoleLacks, domain.Viewer),
		}, {
			"override up, a moment before it expires", []domain.Command{override("vic", domain.Admin, in(hour))}, user("vic"), "project:update", "project web", hour - 1,
			yes(domain.ByProjectOverride, domain.Admin),
		}, {
			"override up, expired", []domain.Command{override("vic", domain.Admin, in(hour))}, user("vic"), "project:update", "project web", hour,
			no(domain.RoleLacks, domain.Viewer),
		}, {
			"override NONE, expired", []domain.Command{override("mia", domain.None, in(hour))}, user("mia"), "scores:CUD", "project web", hour,
			yes(domain.ByOrgRole, domain.RoleMember),
		}, {
			"membership expired", []domain.Command{expiringMember("acme", "sam")}, user("sam"), "organizationMembers:read", "acme", hour,
			no(domain.GrantExpired, ""),
		}, {
			"membership expired, override not", []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Owner, never)},
			user("sam"), "project:read", "project web", hour, no(domain.GrantExpired, ""),
		},
		{"deactivated", nil, user("dora"), "project:read", "project web", 0, no(domain.UserDeactivated, domain.Viewer)},
		{"erased", nil, user("erik"), "project:read", "project web", 0, no(domain.UserErased, "")},
		{"unknown", nil, user("who"), "project:read", "project web", 0, no(domain.UserUnknown, "")},
		{"suspended organization", suspended("acme"), user("olga"), "organization:update", "acme", 0, no(domain.OrgSuspended, domain.Owner)},
		{"project in a suspended organization", suspended("acme"), user("olga"), "project:read", "project web", 0, no(domain.OrgSuspended, domain.Owner)},
		{"deleted organization", deleted("acme"), user("olga"), "organization:update", "acme", 0, no(domain.OrgDeleted, domain.Owner)},
		{"project in a deleted organization", deleted("acme"), user("olga"), "project:read", "project web", 0, no(domain.OrgDeleted, domain.Owner)},
		{"deleted project", projectDeleted("web"), user("olga"), "project:delete", "project web", 0, no(domain.ProjectDeleted, domain.Owner)},
		{"beside a deleted project", projectDeleted("web"), user("olga"), "projects:create", "acme", 0, yes(domain.ByOrgRole, domain.Owner)},

		{"key of the organization", nil, orgKey("k_acme", "acme"), "organization:delete", "acme", 0, yes(domain.ByKeyPermission, "")},
		{"key of the organization, in a project", nil, orgKey("k_acme", "acme"), "project:delete", "project web", 0, yes(domain.ByKeyPermission, "")},
		{"key of another organization", nil, orgKey("k_acme", "acme"), "project:read", "project app", 0, no(domain.KeyOfOtherTenant, "")},
		{"key of the organization that lacks it", strongAndWeak, orgKey("k_org", "acme"), "project:read", "project web", 0, no(domain.KeyLacks, "")},
		{"key of the project", nil, projectKey("k_web", "web"), "project:delete", "project web", 0, yes(domain.ByKeyPermission, "")},
		{"key of the project that lacks it", strongAndWeak, projectKey("weak", "web"), "scores:CUD", "project web", 0, no(domain.KeyLacks, "")},
		{"key of the project, in its organization", nil, projectKey("k_web", "web"), "auditLogs:read", "acme", 0, no(domain.KeyLacks, "")},
		{"key of the project, in another organization", nil, projectKey("k_web", "web"), "auditLogs:read", "globex", 0, no(domain.KeyOfOtherTenant, "")},
		{"key of another project", nil, projectKey("k_app", "app"), "project:read", "project web", 0, no(domain.KeyOfOtherTenant, "")},
		{"key of the project, organization suspended", suspended("acme"), projectKey("k_web", "web"), "project:read", "project web", 0, no(domain.OrgSuspended, "")},
		{"key of the project, deleted", projectDeleted("web"), projectKey("k_web", "web"), "project:read", "project web", 0, no(domain.ProjectDeleted, "")},
		{"key of a user", nil, pat("k_mia", "mia"), "scores:CUD", "project web", 0, yes(domain.ByOrgRole, domain.RoleMember)},
		{"key of a user, more than the user", nil, pat("k_mia", "mia"), "project:update", "project web", 0, no(domain.RoleLacks, domain.RoleMember)},
		{"key of a user that holds less", partialKeys, pat("p_olga", "olga"), "project:read", "project web", 0, no(domain.KeyLacks, domain.Owner)},
		{"key of a user, elsewhere", nil, pat("k_mia", "mia"), "project:read", "project app", 0, no(domain.NotAMember, "")},
		{"key of the instance", nil, instanceKey("k_root"), "organization:delete", "acme", 0, yes(domain.ByInstanceAdmin, "")},
		{"key of the instance that holds less", partialKeys, instanceKey("p_root"), "organization:delete", "acme", 0, no(domain.KeyLacks, "")},
		{"revoked key", []domain.Command{domain.RevokeKey{ID: "k_web"}}, projectKey("k_web", "web"), "project:read", "project web", 0, no(domain.KeyRevoked, "")},
		{"expired key", expiring, projectKey("k", "web"), "project:read", "project web", hour, no(domain.KeyExpired, "")},
		{"expired key of a moment ago", expiring, projectKey("k", "web"), "project:read", "project web", hour - 1, yes(domain.ByKeyPermission, "")},
		{"revoked key of the instance", []domain.Command{domain.RevokeKey{ID: "k_root"}}, instanceKey("k_root"), "project:read", "project web", 0, no(domain.KeyRevoked, "")},
		{"unknown key", nil, projectKey("who", "web"), "project:read", "project web", 0, no(domain.KeyUnknown, "")},

		{"the instance", nil, instance, "organization:delete", "acme", 0, yes(domain.ByInstanceAdmin, "")},
		{"the instance, in a suspended organization", suspended("acme"), instance, "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, "")},
		{"nobody", nil, nobody, "project:read", "project web", 0, no(domain.PermissionDenied, "")},
		{"the system", nil, system, "project:read", "project web", 0, no(domain.PermissionDenied, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := given(t, c.given...)
			place := at(t, s, c.where)
			if got := s.Check(c.actor, permission(t, place, c.asks), place, in(c.after)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// AllocsPerRun can't be used beside other tests, so this one is not parallel. Fails if held returns a pointer: tried.
func TestCheckAllocatesNothing(t *testing.T) {
	s := given(t, override("mia", domain.Admin, in(hour)))
	web, acme := at(t, s, "project web"), at(t, s, "acme")
	inWeb, inAcme := permission(t, web, "scores:CUD"), permission(t, acme, "organization:update")
	for _, a := range []domain.Actor{
		user("mia"), user("sam"), pat("k_mia", "mia"), projectKey("k_web", "web"), orgKey("k_acme", "acme"), instanceKey("k_root"),
	} {
		if n := testing.AllocsPerRun(100, func() {
			s.Check(a, inWeb, web, began)
			s.Check(a, inAcme, acme, began)
		}); n != 0 {
			t.Errorf("two checks of %s allocate %v times", a, n)
		}
	}
}

func TestEffectiveRole(t *testing.T) {
	t.Parallel()
	s := given(t, override("vic", domain.Admin, in(hour)), expiringMember("acme", "sam"))
	for _, c := range []struct {
		user  domain.UserID
		where string
		after time.Duration
		want  domain.Effective
	}{
		{"vic", "project web", 0, domain.Effective{Role: domain.Admin, By: domain.ByProjectOverride, ExpiresAt: in(hour)}},
		{"vic", "project web", hour, domain.Effective{Role: domain.Viewer, By: domain.ByOrgRole}},
		{"vic", "acme", 0, domain.Effective{Role: domain.Viewer, By: domain.ByOrgRole}},
		{"sam", "project web", 0, domain.Effective{Role: domain.RoleMember, By: domain.ByOrgRole, ExpiresAt: in(hour)}},
		{"sam", "project web", hour, domain.Effective{}},
		{"gary", "acme", 0, domain.Effective{}},
	} {
		got := s.EffectiveRole(c.user, at(t, s, c.where), in(c.after))
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(domain.Effective{})); diff != "" {
			t.Errorf("%s in %s after %s (-want +got):\n%s", c.user, c.where, c.after, diff)
		}
	}
}

func TestKeyActor(t *testing.T) {
	t.Parallel()
	s := world()
	for want, text := range map[domain.Actor]string{
		orgKey("k_acme", "acme"): "organization acme", projectKey("k_web", "web"): "project web",
		instanceKey("k_root"): "instance", pat("k_mia", "mia"): "user mia",
	} {
		k, _ := s.Key(want.Key)
		got := domain.KeyActor(k, want.Method)
		if got != want || got.String() != text {
			t.Errorf("got %+v, which reads %s, want %+v", got, got, want)
		}
	}
}
