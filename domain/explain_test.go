package domain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
)

// confused is a world in which somebody's rights come from everywhere at once, or do not.
var confused = slices.Concat(customRoles, accounts, partialKeys, []domain.Command{
	domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}, domain.CreateProject{ID: "gone", Org: "acme", ProjectName: "Gone"},
	group("a", domain.Viewer, "sam", "vic"), group("b", "Editor", "sam"), team(domain.None, domain.Admin, "sam", "olga", "nora"),
	domain.CreateGroup{ID: "block", Org: "acme", GroupName: "Block", ProjectRoles: inProjects("web", "NONE", "old", "VIEWER"), Users: []domain.UserID{"vic"}},
	override("sam", domain.Viewer, in(hour)), override("adam", domain.None, never), domain.GrantRole{Project: "old", User: "mia", Role: "Editor"},
	expiringMember("acme", "gary"), override("gary", domain.Owner, never), memberSuspended("acme", "ivan"), domain.DeleteProject{ID: "gone"},
	domain.GrantInstanceAdmin{User: "ivan"}, domain.CreateKey{Minted: minted("k_sam"), User: "sam"}, domain.CreateKey{Minted: minted("k_bot"), User: "bot"},
	domain.CreateKey{Minted: minted("k_dead"), Project: "web"}, domain.RevokeKey{ID: "k_dead"}, domain.CreateKey{Minted: minted("k_late"), Project: "web", ExpiresAt: in(hour)},
})

// somebody are actors of every kind.
var somebody = []domain.Actor{
	instance, instanceKey("k_root"), instanceKey("p_root"), user("olga"), user("adam"), user("ivan"), user("mia"), user("vic"), user("nora"), user("dora"),
	user("gary"), user("sam"), user("erik"), user("who"), user("bot"), user("bot2"), pat("k_sam", "sam"), pat("p_mia", "mia"), pat("k_bot", "bot"),
	orgKey("k_acme", "acme"), projectKey("k_web", "web"), projectKey("k_app", "app"), projectKey("k_dead", "web"), projectKey("k_late", "web"),
}

// TestExplainAgreesWithCheck: the same verdict for everybody, everything, everywhere; what decides is among the steps, and nothing
// denies what is allowed. Fails if a suspended instance admin is told that the membership denies, or a step is left out: tried.
func TestExplainAgreesWithCheck(t *testing.T) {
	t.Parallel()
	for _, s := range []*domain.State{given(t, confused...), given(t, with(confused, suspended("acme")...)...), given(t, with(confused, deleted("acme")...)...)} {
		for _, where := range []string{"acme", "globex", "project web", "project old", "project gone", "project app"} {
			place := at(t, s, where)
			for _, name := range words("auditLogs:read members:CUD") {
				for _, a := range somebody {
					for _, after := range []time.Duration{0, hour} {
						p := asks(t, s, place, name)
						v, steps := s.Explain(a, p, place, in(after))
						if want := s.Check(a, p, place, in(after)); v != want {
							t.Fatalf("%s, %s in %s: explained as %+v, checked as %+v", a, name, where, v, want)
						}
						if complaint := unexplained(v, steps); complaint != "" {
							t.Errorf("%s with key %q, %s in %s after %s: %+v: %s: %+v", a, a.Key, name, where, after, v, complaint, steps)
						}
					}
				}
			}
		}
	}
}

// stepOf is the kind of step that shows a reason, and what must have been found of it.
var stepOf = map[domain.Reason]struct {
	kind    string
	finding domain.Finding
}{
	domain.ByOrgRole: {"membership", domain.Decides}, domain.ByOrgGroup: {"group", domain.Decides}, domain.ByProjectOverride: {"override", domain.Decides},
	domain.ByProjectGroup: {"group", domain.Decides}, domain.ByInstanceAdmin: {"instance_admin", domain.Decides}, domain.ByKeyPermission: {"key", domain.Decides},
	domain.RoleLacks: {"role", domain.Decides}, domain.BlockedInProject: {"role", domain.Decides}, domain.KeyLacks: {"key", domain.Decides},
	domain.NotAMember: {"membership", domain.Absent}, domain.MemberSuspended: {"membership", domain.Denies}, domain.GrantExpired: {"membership", domain.Over},
	domain.KeyOfOtherTenant: {"key", domain.Denies}, domain.KeyRevoked: {"key", domain.Denies}, domain.KeyExpired: {"key", domain.Denies},
	domain.UserUnknown: {"user", domain.Denies}, domain.UserErased: {"user", domain.Denies}, domain.UserDeactivated: {"user", domain.Denies},
	domain.OrgSuspended: {"organization", domain.Denies}, domain.OrgDeleted: {"organization", domain.Denies}, domain.ProjectDeleted: {"project", domain.Denies},
}

// unexplained says what is wrong with the steps of a verdict; "" if nothing is.
func unexplained(v domain.Verdict, steps []domain.Step) string {
	want, ok := stepOf[v.Reason]
	if !ok {
		return "no step shows that reason"
	}
	shown := false
	for _, step := range steps {
		shown = shown || step.Kind == want.kind && step.Finding == want.finding
		switch {
		case step.Text == "" || step.Finding == "":
			return "an empty step"
		case v.Allowed && step.Finding == domain.Denies:
			return "what is allowed is denied by " + step.Kind
		case step.Kind == "role" && step.Role != v.Role:
			return "another role decides than the verdict's"
		}
	}
	if !shown {
		return "nothing shows that " + want.kind + " " + string(want.finding)
	}
	return ""
}

// TestExplain: the way to some verdicts, step by step.
func TestExplain(t *testing.T) {
	t.Parallel()
	step := func(kind, id string, f domain.Finding, role domain.Role, text string) domain.Step {
		return domain.Step{Kind: kind, ID: id, Finding: f, Role: role, Text: text}
	}
	until := func(s domain.Step, d time.Duration) domain.Step {
		s.ExpiresAt = in(d)
		return s
	}
	acme, web := step("organization", "acme", domain.Passes, "", "organization acme is active"), step("project", "web", domain.Passes, "", "project web is active")
	sam := step("user", "sam", domain.Passes, "", "the account of sam is active")
	for name, c := range map[string]struct {
		given []domain.Command
		actor domain.Actor
		asks  string
		where string
		want  []domain.Step
	}{
		"groups at both levels, an override before them": {
			confused, user("sam"), "project:update", "project web", []domain.Step{
				sam, acme, web,
				step("membership", "acme", domain.Absent, "", "no role in organization acme was granted to sam directly"),
				step("group", "a", domain.Overruled, domain.Viewer, "group a gives VIEWER in organization acme"),
				step("group", "b", domain.Overruled, "Editor", "group b gives Editor in organization acme"),
				step("group", "team", domain.Overruled, domain.None, "group team gives NONE in organization acme"),
				step("group", "team", domain.Overruled, domain.Admin, "group team gives ADMIN in project web"),
				until(step("override", "web", domain.Decides, domain.Viewer, "sam has the override VIEWER in project web"), hour),
				step("role", "VIEWER", domain.Decides, domain.Viewer, "VIEWER does not hold project:update, so it is not allowed in project web"),
			},
		},
		"several groups add up": {
			split, user("sam"), "projects:create", "acme", []domain.Step{
				sam, acme, step("membership", "acme", domain.Absent, "", "no role in organization acme was granted to sam directly"),
				step("group", "auditors", domain.Decides, "Auditor", "group auditors gives Auditor in organization acme"),
				step("group", "writers", domain.Adds, "Writer", "group writers gives Writer in organization acme"),
				step("role", "Auditor", domain.Decides, "Auditor", "Auditor holds projects:create, so it is allowed in organization acme"),
			},
		},
		"a narrow key of a person": {
			partialKeys, pat("p_mia", "mia"), "scores:CUD", "project web", []domain.Step{
				step("key", "p_mia", domain.Passes, "", "the key is good, acts as user mia and does not hold the permission"),
				step("user", "mia", domain.Passes, "", "the account of mia is active"), acme, web,
				step("membership", "acme", domain.Decides, domain.RoleMember, "mia has MEMBER in organization acme"),
				step("override", "web", domain.Absent, "", "mia has no override in project web"),
				step("key", "p_mia", domain.Decides, "", "the key does not hold scores:CUD, so it is not allowed in project web"),
			},
		},
		"an instance admin who is suspended, in a suspended organization": {
			with(admins, memberSuspended("acme", "mia"), domain.SuspendOrg{ID: "acme"}), user("mia"), "organization:delete", "acme", []domain.Step{
				step("user", "mia", domain.Passes, "", "the account of mia is active"),
				step("organization", "acme", domain.Overruled, "", "organization acme is not: the organization is suspended; an instance admin can resume it"),
				step("membership", "acme", domain.Overruled, "", "the membership in organization acme is suspended"),
				step("instance_admin", "mia", domain.Decides, "", "an instance admin holds everything, organization:delete in organization acme too"),
			},
		},
		"a key of another organization": {
			nil, orgKey("k_acme", "acme"), "project:read", "project app", []domain.Step{
				step("key", "k_acme", domain.Passes, "", "the key is good, acts as organization acme and holds the permission"),
				step("organization", "globex", domain.Passes, "", "organization globex is active"), step("project", "app", domain.Passes, "", "project app is active"),
				step("key", "k_acme", domain.Denies, "", "the key belongs to organization acme and reaches nothing in project app"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := given(t, c.given...)
			place := at(t, s, c.where)
			_, steps := s.Explain(c.actor, asks(t, s, place, c.asks), place, began)
			if diff := cmp.Diff(c.want, steps); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// An override sleeps with the membership.
	s := given(t, confused...)
	place := at(t, s, "project web")
	_, steps := s.Explain(user("gary"), asks(t, s, place, "project:read"), place, in(hour))
	i := slices.IndexFunc(steps, func(s domain.Step) bool { return s.Kind == "override" })
	if i < 0 || steps[i].Finding != domain.Overruled || !strings.Contains(steps[i].Text, "needs a membership in force") {
		t.Errorf("an override that sleeps: %+v", steps)
	}
}
