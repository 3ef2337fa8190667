package domain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
)

// settings are all that an installation can begin with.
func settings() domain.Init {
	return domain.Init{
		Org: "home", OrgName: "Home", Project: "main", ProjectName: "Main", RetentionDays: 30,
		User: "root", Email: sealed("root", "root@"), EmailDigest: []byte("digest of root"), FullName: sealed("root", "Root"), Key: minted("k_init"),
	}
}

func differently(change func(*domain.Init)) domain.Init {
	c := settings()
	change(&c)
	return c
}

// again is as a second start gives it: the account has an id by then, and another is made for nothing.
var again = differently(func(c *domain.Init) {
	c.User, c.Email, c.FullName = "root2", sealed("root2", "root@"), sealed("root2", "Root")
	c.Key.ID, c.Key.Verifier = "k_init2", settings().Key.Verifier
})

func started(more ...domain.Command) []domain.Command {
	return append([]domain.Command{settings()}, more...)
}

const (
	homeText    = `org_ids:"home" org_created{name:"Home"} & `
	rootText    = `user_id:"root" user_registered{email{subject:"root" data:"root@"} email_digest:"digest of root" name{subject:"root" data:"Root"}} & `
	ownerText   = `org_ids:"home" user_id:"root" role_granted{grant{new{role:"OWNER"}}} & `
	projectText = `org_ids:"home" project_id:"main" project_created{name:"Main" retention_days:30} & `
	memberGiven = `given:"member/home/root"`
)

var initKeyText = `org_ids:"home" project_id:"main" key_id:"k_init" key_created` + mintedText("k_init", `name:"init" `+inText("permissions", inProject(domain.Owner))) + ` & `

// initRows fail if what was given once is given again, if anything that is there is overwritten, or if a project that has left or
// a deleted organization gets something: tried, for each.
var initRows = func() []row {
	withPolicy := differently(func(c *domain.Init) {
		c.SignUp = &[]domain.SignUpGrant{{Org: "home", Role: "viewer", Project: "main", ProjectRole: domain.RoleMember}, {Org: "nowhere", Role: domain.Viewer}}
		c.Creators = &domain.Creators{Who: domain.CreatorsAdmins}
	})
	keyless := differently(func(c *domain.Init) { c.Key = domain.Minted{} })
	idle := func(name string, c domain.Init, given ...domain.Command) row {
		return row{name: name, given: given, by: system, when: c}
	}
	return []row{
		{name: "everything", by: system, when: settings(), then: homeText + rootText + ownerText + projectText + initKeyText + `init_applied{` + memberGiven + ` given:"key/pk-k_init"}`},
		{name: "an organization alone", by: system, when: domain.Init{Org: "home", OrgName: "Home"}, then: strings.TrimSuffix(homeText, " & ")},
		{
			name: "a policy besides, as far as what it gives is there", by: system, when: withPolicy,
			then: homeText + rootText + ownerText + projectText + initKeyText + `policy_updated{old{} new{org_creators:ORG_CREATORS_INSTANCE_ADMINS
				sign_up{org_id:"home" role:"VIEWER" project_id:"main" project_role:"MEMBER"}}} &
				init_applied{` + memberGiven + ` given:"key/pk-k_init" given:"policy/sign_up" given:"policy/org_creators"}`,
		}, {
			name: "somebody who has an account, and an organization that is there", by: system,
			when: domain.Init{Org: "acme", OrgName: "Other", User: "new", Email: sealed("new", "s"), EmailDigest: []byte("digest of sam")},
			then: `org_ids:"acme" user_id:"sam" role_granted{grant{new{role:"OWNER"}}} & init_applied{given:"member/acme/sam"}`,
		}, {
			name: "somebody who is a member already is not promoted", by: system,
			when: domain.Init{Org: "acme", OrgName: "Acme", User: "new", EmailDigest: []byte("digest of vic")}, then: `init_applied{given:"member/acme/vic"}`,
		}, {
			name: "a key that was not there before", given: []domain.Command{keyless}, by: system, when: settings(), then: initKeyText + `init_applied{given:"key/pk-k_init"}`,
		}, {
			name: "a project that is there under that id gets the key alone", by: system, given: []domain.Command{
				domain.Init{Org: "home", OrgName: "Home"}, domain.CreateProject{ID: "main", Org: "home", ProjectName: "Mine"},
			},
			when: settings(), then: rootText + ownerText + initKeyText + `init_applied{` + memberGiven + ` given:"key/pk-k_init"}`,
		},
		idle("by a second server", settings(), started()...),
		idle("by a later start", again, started()...),
		idle("several times", again, started(again, again)...),
		idle("after the person was demoted", again, started(
			domain.GrantRole{Org: "home", User: "sam", Role: domain.Owner}, domain.GrantRole{Org: "home", User: "root", Role: domain.Viewer})...),
		idle("after the person was removed", again, started(
			domain.GrantRole{Org: "home", User: "sam", Role: domain.Owner}, domain.RevokeRole{Org: "home", User: "root"})...),
		idle("after the key was revoked", again, started(domain.RevokeKey{ID: "k_init"})...),
		idle("after the project was deleted", again, started(domain.DeleteProject{ID: "main"})...),
		idle("after everything was renamed", again, started(
			domain.UpdateOrg{ID: "home", OrgName: new("House")}, domain.UpdateProject{ID: "main", ProjectName: new("Side"), RetentionDays: new(uint32(0))})...),
		idle("after the organization was deleted", again, started(domain.DeleteOrg{ID: "home", Cascade: true})...),
		idle("into an organization that was deleted", settings(), domain.Init{Org: "home", OrgName: "Home"}, domain.DeleteOrg{ID: "home"}),
		idle("a key for a project that was deleted", settings(), keyless, domain.DeleteProject{ID: "main"}),
		idle("a key for a project that has left", settings(), keyless, domain.TransferProject{ID: "main", Target: "globex"}),
		idle("a key whose secret another one has", differently(func(c *domain.Init) { c.Key.Verifier = minted("k_app").Verifier }), keyless),
		idle("a project whose name is taken", differently(func(c *domain.Init) { c.Project, c.ProjectName = "other", "MAIN" }), settings()),
		idle("nothing", domain.Init{}),
		{
			name: "a policy that was changed since stays", by: system, when: withPolicy,
			given: []domain.Command{withPolicy, signUp(), creators(domain.CreatorsEveryone, nil)},
		}, {
			name: "a person whose account was erased begins anew", by: system, when: again,
			given: started(domain.GrantRole{Org: "home", User: "sam", Role: domain.Owner}, domain.EraseUser{ID: "root"}),
			then:  strings.ReplaceAll(rootText+ownerText, `"root"`, `"root2"`) + `init_applied{given:"member/home/root2"}`,
		}, {
			name: "what is to be given is not there", by: system, when: domain.Init{SignUp: &[]domain.SignUpGrant{{Org: "nowhere", Role: domain.Viewer}}},
		},
	}
}()

// What was found different is told, and nothing else. Fails if Drift leaves out one of its questions: tried, for each.
func TestInitDrift(t *testing.T) {
	t.Parallel()
	all := differently(func(c *domain.Init) {
		c.SignUp = &[]domain.SignUpGrant{{Org: "home", Role: domain.Viewer}}
		c.Creators = &domain.Creators{Who: domain.CreatorsAdmins}
	})
	second := domain.GrantRole{Org: "home", User: "sam", Role: domain.Owner}
	for _, c := range []struct {
		name  string
		given []domain.Command
		asks  domain.Init
		want  []string // a piece of each
	}{
		{"nothing", nil, all, nil},
		{"another name", []domain.Command{domain.UpdateOrg{ID: "home", OrgName: new("House")}}, all, []string{`named "House", not "Home"`}},
		{"suspended", suspended("home"), all, []string{"home is suspended"}},
		{"deleted", deleted("home"), all, []string{"is not there", "home is deleted"}},
		{"demoted", []domain.Command{second, domain.GrantRole{Org: "home", User: "root", Role: domain.Viewer}}, all, []string{`"VIEWER"`}},
		{"removed", []domain.Command{second, domain.RevokeRole{Org: "home", User: "root"}}, all, []string{`role ""`}},
		{"suspended as a member", []domain.Command{second, memberSuspended("home", "root")}, all, []string{`"NONE"`}},
		{"project deleted", []domain.Command{domain.DeleteProject{ID: "main"}}, all, []string{"main is deleted"}},
		{"project moved", []domain.Command{domain.TransferProject{ID: "main", Target: "globex"}}, all, []string{"in organization globex, not home"}},
		{"project renamed", []domain.Command{domain.UpdateProject{ID: "main", ProjectName: new("Side"), RetentionDays: new(uint32(9))}}, all, []string{`"Side"`, "9 days, not 30"}},
		{"key revoked", []domain.Command{domain.RevokeKey{ID: "k_init"}}, all, []string{"KEY_REVOKED"}},
		{"key with another secret", nil, differently(func(c *domain.Init) { c.Key.Verifier = minted("other").Verifier }), []string{"another secret"}},
		{"key of another project", nil, differently(func(c *domain.Init) { c.Key = minted("k_web") }), []string{"is not of project main"}},
		{"project that could not be made", nil, differently(func(c *domain.Init) { c.Project, c.ProjectName = "other", "MAIN" }), []string{"could not be made"}},
		{"sign-up changed", []domain.Command{signUp()}, all, []string{"what new people get"}},
		{"creators changed", []domain.Command{creators(domain.CreatorsEveryone, nil)}, all, []string{"who may create organizations"}},
		{"what is to be given is not there", []domain.Command{}, differently(func(c *domain.Init) { c.SignUp = &[]domain.SignUpGrant{{Org: "nowhere", Role: domain.Viewer}} }), []string{"not there"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := given(t, append([]domain.Command{all}, c.given...)...)
			got := c.asks.Drift(s, began)
			if len(got) != len(c.want) {
				t.Fatalf("told %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("told %q, want %q", got[i], want)
				}
			}
		})
	}
}

// However many servers start with the same settings, in whichever state, the result is that of one.
func TestInitGivesOneResult(t *testing.T) {
	t.Parallel()
	s := given(t, settings())
	for i := range 5 {
		events, err := domain.Decide(s, again, rules()["Init"], system, in(hour))
		if err != nil || len(events) > 0 {
			t.Fatalf("start %d: %v, %v", i, events, err)
		}
	}
	u, _ := s.UserByEmail([]byte("digest of root"))
	home := at(t, s, "home")
	if diff := cmp.Diff([]domain.UserID{u.ID}, home.Org.Members.Keys()); diff != "" || !home.Org.Claimed {
		t.Errorf("claimed is %t, members (-want +got):\n%s", home.Org.Claimed, diff)
	}
}
