package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure/domain"
)

// asks is a permission by name, an operator's own included.
func asks(t testing.TB, s *domain.State, place domain.Place, name string) domain.Permission {
	t.Helper()
	level := domain.OrgLevel
	if place.Project != nil {
		level = domain.ProjectLevel
	}
	p := s.Catalog().Parse(level, name)
	if p == 0 {
		t.Fatalf("there is no permission %s at %s level", name, level)
	}
	return p
}

// Two roles that hold nothing in common, and groups of acme that give them to sam.
var split = []domain.Command{
	domain.DefineRole{Org: "acme", Role: "Auditor", OrgPermissions: words("auditLogs:read organizationMembers:read"), ProjectPermissions: words("project:read")},
	domain.DefineRole{Org: "acme", Role: "Writer", OrgPermissions: words("projects:create"), ProjectPermissions: words("scores:CUD")},
	group("auditors", "Auditor", "sam"), group("writers", "Writer", "sam"),
}

// TestCheckRoles is TestCheck for groups, suspensions, roles of an organization's own, instance admins, service accounts and an
// operator's own permissions. Fails if a group comes before a grant or the organization before the project, if what groups give
// does not add up, or if Check does not ask for a suspension, or of an instance admin for the account: tried, for each.
func TestCheckRoles(t *testing.T) {
	t.Parallel()
	yes := func(reason domain.Reason, role domain.Role) domain.Verdict {
		return domain.Verdict{Allowed: true, Reason: reason, Role: role}
	}
	no := func(reason domain.Reason, role domain.Role) domain.Verdict {
		return domain.Verdict{Reason: reason, Role: role}
	}
	bot := with(accounts, domain.CreateKey{Minted: minted("k_bot"), User: "bot"})
	for _, c := range []struct {
		name  string
		given []domain.Command
		actor domain.Actor
		asks  string
		where string
		after time.Duration
		want  domain.Verdict
	}{
		{"by a group", []domain.Command{team(domain.Admin, "", "sam")}, user("sam"), "organization:update", "acme", 0, yes(domain.ByOrgGroup, domain.Admin)},
		{"by a group, inherited", []domain.Command{team(domain.Admin, "", "sam")}, user("sam"), "project:update", "project web", 0, yes(domain.ByOrgGroup, domain.Admin)},
		{"by a group for the project alone", []domain.Command{team("", domain.Admin, "sam")}, user("sam"), "project:update", "project web", 0, yes(domain.ByProjectGroup, domain.Admin)},
		{"by a group for the project alone, not in the organization", []domain.Command{team("", domain.Owner, "sam")}, user("sam"), "organization:update", "acme", 0, no(domain.RoleLacks, domain.None)},
		{"a grant before a stronger group", []domain.Command{team(domain.Owner, "", "vic")}, user("vic"), "organization:update", "acme", 0, no(domain.RoleLacks, domain.Viewer)},
		{"NONE granted before a group", []domain.Command{team(domain.Owner, "", "nora")}, user("nora"), "organizationMembers:read", "acme", 0, no(domain.RoleLacks, domain.None)},
		{"a group once the grant has expired", []domain.Command{team(domain.Owner, "", "sam"), expiringMember("acme", "sam")}, user("sam"), "organization:delete", "acme", hour, yes(domain.ByOrgGroup, domain.Owner)},
		{"an override before a stronger group", []domain.Command{team("", domain.Owner, "vic"), override("vic", domain.Viewer, never)}, user("vic"), "project:update", "project web", 0, no(domain.RoleLacks, domain.Viewer)},
		{"a group in the project before the grant in the organization", []domain.Command{team("", domain.Viewer, "olga")}, user("olga"), "project:update", "project web", 0, no(domain.RoleLacks, domain.Viewer)},
		{"NONE of a group in the project blocks", []domain.Command{team("", domain.None, "olga")}, user("olga"), "project:read", "project web", 0, no(domain.BlockedInProject, domain.None)},
		{"NONE of a group in the project, in the organization", []domain.Command{team("", domain.None, "olga")}, user("olga"), "organization:delete", "acme", 0, yes(domain.ByOrgRole, domain.Owner)},
		{"a group in the project once the override has expired", []domain.Command{team("", domain.Owner, "vic"), override("vic", domain.None, in(hour))}, user("vic"), "project:delete", "project web", hour, yes(domain.ByProjectGroup, domain.Owner)},
		{"a group in another project", []domain.Command{domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}, team("", domain.Admin, "vic")}, user("vic"), "project:update", "project old", 0, no(domain.RoleLacks, domain.Viewer)},
		{"an override of a member by a group", []domain.Command{team("", "", "sam"), override("sam", domain.Admin, never)}, user("sam"), "project:update", "project web", 0, yes(domain.ByProjectOverride, domain.Admin)},
		{"the strongest of several groups", []domain.Command{group("a", domain.Viewer, "sam"), group("b", domain.Admin, "sam"), group("c", domain.RoleMember, "sam")}, user("sam"), "organization:update", "acme", 0, yes(domain.ByOrgGroup, domain.Admin)},
		{"NONE of one group takes nothing from another", []domain.Command{group("a", domain.None, "sam"), group("b", domain.Admin, "sam")}, user("sam"), "organization:update", "acme", 0, yes(domain.ByOrgGroup, domain.Admin)},
		{"what several groups give, the stronger", split, user("sam"), "auditLogs:read", "acme", 0, yes(domain.ByOrgGroup, "Auditor")},
		{"what several groups give, the weaker", split, user("sam"), "projects:create", "acme", 0, yes(domain.ByOrgGroup, "Auditor")},
		{"what several groups give, inherited", split, user("sam"), "scores:CUD", "project web", 0, yes(domain.ByOrgGroup, "Auditor")},
		{"what several groups do not give", split, user("sam"), "project:update", "project web", 0, no(domain.RoleLacks, "Auditor")},

		{"a role of the organization's own", with(customRoles, domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"}), user("sam"), "prompts:CUD", "project web", 0, yes(domain.ByOrgRole, "Editor")},
		{"a role of the organization's own that lacks it", with(customRoles, domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"}), user("sam"), "scores:CUD", "project web", 0, no(domain.RoleLacks, "Editor")},
		{"a role of the organization's own as an override", with(customRoles, override("olga", "Editor", never)), user("olga"), "project:update", "project web", 0, no(domain.RoleLacks, "Editor")},
		{"a role of the organization's own, its part of organizations as an override", with(customRoles, override("nora", "Editor", never)), user("nora"), "organizationMembers:read", "acme", 0, no(domain.RoleLacks, domain.None)},
		{"a role that was changed", with(customRoles, domain.GrantRole{Org: "acme", User: "sam", Role: "Editor"}, domain.UpdateRole{Org: "acme", Role: "Editor", ProjectPermissions: new(words("scores:CUD"))}), user("sam"), "scores:CUD", "project web", 0, yes(domain.ByOrgRole, "Editor")},
		{"an empty role is no block", with([]domain.Command{domain.DefineRole{Org: "acme", Role: "Guest"}}, override("mia", "Guest", never)), user("mia"), "project:read", "project web", 0, no(domain.RoleLacks, "Guest")},

		{"suspended", []domain.Command{memberSuspended("acme", "mia")}, user("mia"), "organizationMembers:read", "acme", 0, no(domain.MemberSuspended, domain.None)},
		{"suspended, with an override", []domain.Command{override("mia", domain.Owner, never), memberSuspended("acme", "mia")}, user("mia"), "project:read", "project web", 0, no(domain.MemberSuspended, domain.None)},
		{"suspended, by a group", []domain.Command{team(domain.Owner, domain.Owner, "sam"), memberSuspended("acme", "sam")}, user("sam"), "project:read", "project web", 0, no(domain.MemberSuspended, domain.None)},
		{"suspended, elsewhere", []domain.Command{memberSuspended("acme", "ivan")}, user("ivan"), "organization:update", "globex", 0, yes(domain.ByOrgRole, domain.Admin)},
		{"suspended, a key that holds all", []domain.Command{memberSuspended("acme", "mia")}, pat("k_mia", "mia"), "project:read", "project web", 0, no(domain.MemberSuspended, domain.None)},
		{"resumed", []domain.Command{memberSuspended("acme", "mia"), domain.ResumeMember{Org: "acme", User: "mia"}}, user("mia"), "organizationMembers:read", "acme", 0, yes(domain.ByOrgRole, domain.RoleMember)},

		{"an instance admin who is no member", admins, user("sam"), "organization:delete", "acme", 0, yes(domain.ByInstanceAdmin, "")},
		{"an instance admin who is a MEMBER", admins, user("mia"), "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, domain.RoleMember)},
		{"an instance admin who is suspended as a member", with(admins, memberSuspended("acme", "mia")), user("mia"), "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, domain.None)},
		{"an instance admin who is blocked", with(admins, override("mia", domain.None, never)), user("mia"), "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, domain.None)},
		{"an instance admin, in a suspended organization", with(admins, suspended("acme")...), user("sam"), "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, "")},
		{"an instance admin, in a deleted project", with(admins, domain.DeleteProject{ID: "web"}), user("sam"), "project:delete", "project web", 0, yes(domain.ByInstanceAdmin, "")},
		{"an instance admin's key that holds it", append(admins[:5:5], partialKeys...), pat("p_mia", "mia"), "project:read", "project app", 0, yes(domain.ByInstanceAdmin, "")},
		{"an instance admin's key that lacks it", append(admins[:5:5], partialKeys...), pat("p_mia", "mia"), "scores:CUD", "project web", 0, no(domain.KeyLacks, domain.RoleMember)},
		{"an instance admin who is deactivated", admins, user("dora"), "project:read", "project web", 0, no(domain.UserDeactivated, domain.Viewer)},
		{"who was an instance admin", append(admins[:5:5], domain.RevokeInstanceAdmin{User: "sam"}), user("sam"), "project:read", "project web", 0, no(domain.NotAMember, "")},

		{"a service account", accounts, user("bot"), "scores:CUD", "project web", 0, yes(domain.ByOrgRole, domain.RoleMember)},
		{"a service account's key, capped", bot, pat("k_bot", "bot"), "project:update", "project web", 0, no(domain.RoleLacks, domain.RoleMember)},
		{"a service account's key that holds less", with(accounts, domain.CreateKey{Minted: minted("k_bot"), User: "bot", Permissions: words("project:read")}), pat("k_bot", "bot"), "scores:CUD", "project web", 0, no(domain.KeyLacks, domain.RoleMember)},
		{"a service account, elsewhere", bot, pat("k_bot", "bot"), "project:read", "project app", 0, no(domain.NotAMember, "")},
		{"a service account of a suspended organization", with(bot, suspended("acme")...), pat("k_bot", "bot"), "project:read", "project web", 0, no(domain.OrgSuspended, domain.RoleMember)},

		{"an operator's own permission", []domain.Command{own}, user("vic"), "reports:read", "project web", 0, yes(domain.ByOrgRole, domain.Viewer)},
		{"an operator's own permission that takes a stronger role", []domain.Command{own}, user("adam"), "shred:do", "project web", 0, no(domain.RoleLacks, domain.Admin)},
		{"an operator's own permission, at another level for another role", []domain.Command{own}, user("vic"), "reports:read", "acme", 0, no(domain.RoleLacks, domain.Viewer)},
		{"an operator's own permission, a key from before", []domain.Command{own}, projectKey("k_web", "web"), "reports:read", "project web", 0, no(domain.KeyLacks, "")},
		{"an operator's own permission, the instance", []domain.Command{own}, instance, "shred:do", "project web", 0, yes(domain.ByInstanceAdmin, "")},
		{"an operator's own permission, a full key of the instance from before", []domain.Command{own}, instanceKey("k_root"), "shred:do", "project web", 0, no(domain.KeyLacks, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := given(t, c.given...)
			place := at(t, s, c.where)
			if got := s.Check(c.actor, asks(t, s, place, c.asks), place, in(c.after)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// What gives a role, and of several groups the strongest; of two that give as much a built-in role, then the first by name.
func TestEffectiveRoleByGroups(t *testing.T) {
	t.Parallel()
	twins := with([]domain.Command{
		domain.DefineRole{Org: "acme", Role: "B", ProjectPermissions: listed(projectLevel, domain.Viewer)}, domain.DefineRole{Org: "acme", Role: "A", ProjectPermissions: listed(projectLevel, domain.Viewer)},
	}, group("g1", "B", "sam"), group("g2", "A", "sam"))
	for _, c := range []struct {
		name  string
		given []domain.Command
		user  domain.UserID
		where string
		want  domain.Effective
	}{
		{"the strongest", []domain.Command{group("a", domain.Viewer, "sam"), group("b", domain.Admin, "sam")}, "sam", "acme", domain.Effective{Role: domain.Admin, By: domain.ByOrgGroup, Group: "b"}},
		{"the first by name of roles alike", twins, "sam", "acme", domain.Effective{Role: "A", By: domain.ByOrgGroup, Group: "g2"}},
		{"a built-in role of roles alike", with(twins, group("g3", domain.Viewer, "sam")), "sam", "acme", domain.Effective{Role: domain.Viewer, By: domain.ByOrgGroup, Group: "g3"}},
		{"the first by id of groups alike", []domain.Command{group("b", domain.Viewer, "sam"), group("a", domain.Viewer, "sam")}, "sam", "acme", domain.Effective{Role: domain.Viewer, By: domain.ByOrgGroup, Group: "a"}},
		{"in the project", []domain.Command{team(domain.Viewer, domain.Admin, "sam")}, "sam", "project web", domain.Effective{Role: domain.Admin, By: domain.ByProjectGroup, Group: "team"}},
		{"a grant names no group", []domain.Command{team(domain.Owner, "", "vic")}, "vic", "acme", domain.Effective{Role: domain.Viewer, By: domain.ByOrgRole}},
		{"suspended", []domain.Command{team(domain.Owner, "", "sam"), memberSuspended("acme", "sam")}, "sam", "acme", domain.Effective{Role: domain.None, By: domain.ByOrgGroup}},
	} {
		s := given(t, c.given...)
		if diff := cmp.Diff(c.want, s.EffectiveRole(c.user, at(t, s, c.where), began), cmpopts.IgnoreUnexported(domain.Effective{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// Who acts is named with the role at the time: NONE for who is suspended, an instance admin as such.
func TestStoredRole(t *testing.T) {
	t.Parallel()
	s := given(t, with(admins, team(domain.Admin, "", "gary"), memberSuspended("acme", "vic"))...)
	for id, want := range map[domain.UserID]string{"gary": "ADMIN", "vic": "NONE", "mia": "INSTANCE_ADMIN", "sam": "INSTANCE_ADMIN", "olga": "OWNER", "erik": ""} {
		if got := user(id).Stored(s, "acme", began).Role; got != want {
			t.Errorf("%s acted as %q, want %q", id, got, want)
		}
	}
}

// What keys hold by roles of groups, of service accounts, of suspended people and of instance admins. Fails if a deleted project
// or a suspended membership counts: tried.
func TestKeyPermissionsOfRoles(t *testing.T) {
	t.Parallel()
	mine := domain.CreateKey{Minted: minted("k"), User: "sam"}
	bot := with(accounts, domain.CreateKey{Minted: minted("k"), User: "bot"})
	for name, c := range map[string]struct {
		given []domain.Command
		want  []string
	}{
		"of a member by a group":                     {[]domain.Command{mine, team(domain.Viewer, "", "sam")}, everywhere(domain.Viewer)},
		"of a group in a project":                    {[]domain.Command{mine, team(domain.Viewer, domain.Admin, "sam")}, mixed(domain.Viewer, domain.Admin)},
		"of two groups":                              {with(split, mine), words("auditLogs:read organizationMembers:read project:read projects:create scores:CUD")},
		"of a member of nothing":                     {[]domain.Command{mine}, nil},
		"of a suspended member":                      {[]domain.Command{mine, team(domain.Owner, domain.Owner, "sam"), memberSuspended("acme", "sam")}, nil},
		"of an override in a deleted project":        {[]domain.Command{mine, team("", "", "sam"), override("sam", domain.Admin, never), domain.DeleteProject{ID: "web"}}, nil},
		"of a group in a deleted project":            {[]domain.Command{mine, team("", domain.Admin, "sam"), domain.DeleteProject{ID: "web"}}, nil},
		"of a blocked member elsewhere":              {[]domain.Command{mine, team(domain.Viewer, domain.None, "sam")}, everywhere(domain.Viewer)},
		"of an instance admin":                       {with(admins, mine), everywhere(domain.Owner)},
		"of a service account":                       {bot, everywhere(domain.RoleMember)},
		"of a service account, organization deleted": {with(bot, deleted("acme")...), nil},
	} {
		s := given(t, c.given...)
		k, _ := s.Key("k")
		if diff := cmp.Diff(c.want, s.Catalog().Names(s.KeyPermissions(k, began))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A service account's key is good as long as its home is; a person's whatever becomes of organizations and memberships.
func TestVerifyKeyOfAccounts(t *testing.T) {
	t.Parallel()
	bot := with(accounts, domain.CreateKey{Minted: minted("k"), User: "bot"})
	for name, c := range map[string]struct {
		given []domain.Command
		key   domain.KeyID
		want  domain.Reason
	}{
		"of a service account":                     {bot, "k", domain.KeyValid},
		"its home suspended":                       {with(bot, suspended("acme")...), "k", domain.OrgSuspended},
		"its home resumed":                         {with(bot, domain.SuspendOrg{ID: "acme"}, domain.ResumeOrg{ID: "acme"}), "k", domain.KeyValid},
		"its home deleted":                         {with(bot, deleted("acme")...), "k", domain.OrgDeleted},
		"another organization suspended":           {with(bot, suspended("globex")...), "k", domain.KeyValid},
		"a service account that left its home":     {with(bot, domain.RevokeRole{Org: "acme", User: "bot"}), "k", domain.KeyValid},
		"a deactivated service account":            {with(bot, domain.DeactivateUser{ID: "bot"}), "k", domain.UserDeactivated},
		"an erased service account":                {with(bot, domain.EraseUser{ID: "bot"}), "k", domain.KeyRevoked},
		"a person who is suspended as a member":    {[]domain.Command{memberSuspended("acme", "mia")}, "k_mia", domain.KeyValid},
		"imported, expired from the beginning":     {[]domain.Command{domain.ImportKey{Minted: minted("k"), Project: "web", ExpiresAt: began}}, "k", domain.KeyExpired},
		"imported, its project in a suspended one": {with([]domain.Command{domain.ImportKey{Minted: minted("k"), Project: "web"}}, suspended("acme")...), "k", domain.OrgSuspended},
	} {
		s := given(t, c.given...)
		k, _ := s.Key(c.key)
		if got := s.VerifyKey(k, "", networks("10.0.0.1/32")[0].Addr(), began); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
