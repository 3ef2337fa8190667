package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

func naming(org, project string) domain.UpdatePolicy {
	return domain.UpdatePolicy{Naming: &domain.Naming{OrgPattern: org, ProjectPattern: project, OrgForm: "client-<name>"}}
}

func creators(who domain.OrgCreators, domains []string, people ...string) domain.UpdatePolicy {
	c := &domain.Creators{Who: who, Domains: domains}
	for _, p := range people {
		c.Emails = append(c.Emails, []byte("digest of "+p))
	}
	return domain.UpdatePolicy{Creators: c}
}

func signUp(grants ...domain.SignUpGrant) domain.UpdatePolicy {
	return domain.UpdatePolicy{SignUp: &grants}
}

// policyRows fail if a part that is not given is replaced, or what is not there is promised at sign-up: tried.
var policyRows = []row{
	{
		name: "all of it", by: instance,
		when: domain.UpdatePolicy{
			Naming:   &domain.Naming{OrgPattern: "^client-", ProjectPattern: "^bu-", OrgForm: "client-<name>", ProjectForm: "bu-<name>", WarnOnly: true},
			Creators: creators(domain.CreatorsListed, words("B.example A.example"), "sam", "mia").Creators,
			SignUp:   &[]domain.SignUpGrant{{Org: "acme", Role: "viewer", Project: "web", ProjectRole: "member"}, {Org: "globex", Role: domain.None}},
		},
		then: `policy_updated{old{} new{org_name_pattern:"^client-" project_name_pattern:"^bu-" org_name_form:"client-<name>" project_name_form:"bu-<name>"
			warn_only:true org_creators:ORG_CREATORS_LISTED creator_domains:"a.example" creator_domains:"b.example"
			creator_emails:"digest of mia" creator_emails:"digest of sam" sign_up{org_id:"acme" role:"VIEWER" project_id:"web" project_role:"MEMBER"}
			sign_up{org_id:"globex" role:"NONE"}}}`,
	}, {
		name: "one part, the others stay", given: []domain.Command{naming("^a", ""), signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer})}, by: instance,
		when: creators(domain.CreatorsAdmins, words("a.example"), "sam"),
		then: `policy_updated{old{org_name_pattern:"^a" org_name_form:"client-<name>" sign_up{org_id:"acme" role:"VIEWER"}}
			new{org_name_pattern:"^a" org_name_form:"client-<name>" sign_up{org_id:"acme" role:"VIEWER"} org_creators:ORG_CREATORS_INSTANCE_ADMINS}}`,
	}, {
		name: "everyone again, the list goes", given: []domain.Command{creators(domain.CreatorsListed, words("a.example"))}, by: instance,
		when: creators(domain.CreatorsEveryone, words("a.example")),
		then: `policy_updated{old{org_creators:ORG_CREATORS_LISTED creator_domains:"a.example"} new{}}`,
	}, {
		name: "nothing at sign-up, by a person who is an instance admin", given: with(admins, signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer})), by: user("sam"),
		when: signUp(), then: `policy_updated{old{sign_up{org_id:"acme" role:"VIEWER"}} new{}}`,
	},
	{name: "what it is", given: []domain.Command{naming("^a", "^b"), signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer})}, by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: "viewer"})},
	{name: "the same list in another order", given: []domain.Command{creators(domain.CreatorsListed, words("a b"), "sam", "mia")}, by: instance, when: creators(domain.CreatorsListed, words("B A"), "mia", "sam")},
	{name: "nothing", by: instance, when: domain.UpdatePolicy{}},
	{name: "a pattern that is none, of organizations", by: instance, when: naming("(", ""), code: domain.CodeInvalid, reason: domain.BadPattern},
	{name: "a pattern that is none, of projects", by: instance, when: naming("", `(?=a)`), code: domain.CodeInvalid, reason: domain.BadPattern},
	{name: "an organization that is not there", by: instance, when: signUp(domain.SignUpGrant{Org: "nowhere", Role: domain.Viewer}), code: domain.CodeNotFound, reason: domain.OrgNotFound},
	{name: "a deleted organization", given: deleted("acme"), by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer}), code: domain.CodePrecondition, reason: domain.OrgDeleted},
	{name: "an unknown role", by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: "Editor"}), code: domain.CodeInvalid, reason: domain.UnknownRole},
	{name: "no role", by: instance, when: signUp(domain.SignUpGrant{Org: "acme"}), code: domain.CodeInvalid, reason: domain.UnknownRole},
	{name: "a project of another organization", by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer, Project: "app", ProjectRole: domain.Viewer}), code: domain.CodeNotFound, reason: domain.ProjectNotFound},
	{name: "an unknown role in a project", by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer, Project: "web", ProjectRole: "Editor"}), code: domain.CodeInvalid, reason: domain.UnknownRole},
	{name: "a role in a project without the project", by: instance, when: signUp(domain.SignUpGrant{Org: "acme", Role: domain.Viewer, ProjectRole: domain.Viewer}), code: domain.CodeInvalid, reason: domain.InvalidField},
	{name: "by an OWNER", by: user("olga"), when: domain.UpdatePolicy{}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by a key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.UpdatePolicy{}, code: domain.CodeDenied, reason: domain.KeyCeiling},
}

// policyEffectRows: what the policy does to new names and to who creates organizations. Without the call of named or of
// mayCreateOrgs in a command these fail: tried, for each.
var policyEffectRows = func() (rows []row) {
	strict := []domain.Command{naming("^client-", "^bu-")}
	lenient := []domain.Command{domain.UpdatePolicy{Naming: &domain.Naming{OrgPattern: "^client-", ProjectPattern: "^bu-", WarnOnly: true}}}
	gone := with(projectDeleted("web"), strict...)
	for _, c := range []struct {
		name  string
		given []domain.Command
		when  domain.Command
		then  string
	}{
		{"a name that matches", strict, domain.CreateOrg{ID: "new", OrgName: "client-a"}, `org_ids:"new" org_created{name:"client-a"}`},
		{"a name that only causes a warning", lenient, domain.CreateOrg{ID: "new", OrgName: "New"}, `org_ids:"new" org_created{name:"New"}`},
		{"a name that does not match", strict, domain.CreateOrg{ID: "new", OrgName: "New"}, ""},
		{"a name that matches", strict, domain.UpdateOrg{ID: "acme", OrgName: new("client-a")}, `org_ids:"acme" org_updated{name{old:"Acme" new:"client-a"}}`},
		{"its own name and something else", strict, domain.UpdateOrg{ID: "acme", OrgName: new("Acme"), Metadata: &map[string]string{}}, `org_ids:"acme" org_updated{metadata{old{key:"tier" value:"gold"}}}`},
		{"a name that does not match", strict, domain.UpdateOrg{ID: "acme", OrgName: new("New")}, ""},
		{"a name that matches", strict, domain.CreateProject{ID: "new", Org: "acme", ProjectName: "bu-a"}, `org_ids:"acme" project_id:"new" project_created{name:"bu-a"}`},
		{"a name that only causes a warning", lenient, domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"}, `org_ids:"acme" project_id:"new" project_created{name:"New"}`},
		{"a name that organizations may have", strict, domain.CreateProject{ID: "new", Org: "acme", ProjectName: "client-a"}, ""},
		{"its own name and something else", strict, domain.UpdateProject{ID: "web", ProjectName: new("Web"), RetentionDays: new(uint32(9))}, inWeb + ` project_updated{retention_days{new:9}}`},
		{"a name that does not match", strict, domain.UpdateProject{ID: "web", ProjectName: new("Site")}, ""},
		{"its own name, whatever the policy", gone, domain.RestoreProject{ID: "web"}, inWeb + ` project_restored{}`},
		{"a name that does not match", gone, domain.RestoreProject{ID: "web", NewName: new("Site")}, ""},
		{"a name that matches", gone, domain.RestoreProject{ID: "web", NewName: new("bu-site")}, inWeb + ` project_restored{name{old:"Web" new:"bu-site"}}`},
	} {
		r := row{name: c.name, given: c.given, by: instance, when: c.when, then: c.then}
		if c.then == "" {
			r.code, r.reason = domain.CodeInvalid, domain.NamingPolicy
		}
		rows = append(rows, r)
	}
	listed := with(admins, creators(domain.CreatorsListed, words("Good.example"), "gary"))
	closed := with(admins, creators(domain.CreatorsAdmins, nil))
	create := domain.CreateOrg{ID: "new", OrgName: "New"}
	from := func(domainOf, digestOf string) domain.CreateOrg {
		return domain.CreateOrg{ID: "new", OrgName: "New", EmailDomain: domainOf, EmailDigest: []byte("digest of " + digestOf)}
	}
	const text = `org_ids:"new" org_created{name:"New"}`
	return append(rows,
		row{name: "by who is listed", given: listed, by: user("gary"), when: create, then: `org_ids:"new" user_id:"gary" org_created{name:"New"}`},
		row{name: "by whose domain is listed", given: listed, by: user("vic"), when: from("GOOD.example", "vic"), then: `org_ids:"new" user_id:"vic" org_created{name:"New"}`},
		row{name: "by an instance admin who is not listed", given: listed, by: user("sam"), when: create, then: text},
		row{name: "by an instance admin, nobody else may", given: closed, by: user("sam"), when: create, then: text},
		row{name: "by the instance, nobody else may", given: closed, by: instance, when: create, then: text},
		row{name: "by who is not listed", given: listed, by: user("olga"), when: from("bad.example", "olga"), code: domain.CodeDenied, reason: domain.OrgCreatorsOnly},
		row{name: "by whose domain only ends alike", given: listed, by: user("olga"), when: from("not-good.example", "olga"), code: domain.CodeDenied, reason: domain.OrgCreatorsOnly},
		row{name: "by whose address has changed since it was looked at", given: listed, by: user("vic"), when: from("good.example", "who"), code: domain.CodeAborted, reason: "CONTENTION"},
		row{name: "by who was listed under another address", given: with(listed, domain.UpdateUser{ID: "gary", Email: sealed("gary", "g"), EmailDigest: []byte("g")}), by: user("gary"),
			when: domain.CreateOrg{ID: "new", OrgName: "New", EmailDigest: []byte("g")}, code: domain.CodeDenied, reason: domain.OrgCreatorsOnly},
		row{name: "by an OWNER elsewhere, only instance admins may", given: closed, by: user("olga"), when: create, code: domain.CodeDenied, reason: domain.OrgCreatorsOnly},
		row{name: "by an instance admin who is deactivated", given: closed, by: user("dora"), when: create, code: domain.CodeUnauthenticated, reason: domain.UserDeactivated},
		row{name: "by a service account, only the listed may", given: append(accounts[:2:2], listed...), by: user("bot"), when: create, code: domain.CodeDenied, reason: domain.OrgCreatorsOnly},
	)
}()

const newText = `user_id:"new" user_registered{email{subject:"new" data:"new@example.com"} email_digest:"digest of new" name{subject:"new" data:"new"}}`

func becomes(where, grant string) string {
	return ` & ` + where + ` user_id:"new" role_granted{grant{` + grant + `}}`
}

// signUpRows: it never keeps anybody from registering. They fail if what is not there any more or full is given, or one role is
// given twice: tried, for each.
var signUpRows = func() (rows []row) {
	toBoth := domain.SignUpGrant{Org: "acme", Role: domain.Viewer, Project: "web", ProjectRole: domain.Admin}
	const inAcme = `org_ids:"acme"`
	viewer, admin := becomes(inAcme, `new{role:"VIEWER"}`), becomes(inWeb, `new{role:"ADMIN"}`)
	second := domain.CreateProject{ID: "second", Org: "acme", ProjectName: "Second"}
	editor := with(customRoles, signUp(domain.SignUpGrant{Org: "acme", Role: "Editor"}))
	for _, c := range []struct {
		name  string
		given []domain.Command
		then  string
	}{
		{"somebody new, with roles in organization and project", []domain.Command{signUp(toBoth)}, viewer + admin},
		{"somebody new, in two projects of one organization", []domain.Command{second, signUp(toBoth, domain.SignUpGrant{Org: "acme", Role: domain.Viewer, Project: "second", ProjectRole: domain.None})},
			viewer + admin + becomes(inAcme+` project_id:"second"`, `new{role:"NONE"}`)},
		{"somebody new, the last of two roles in one organization", []domain.Command{signUp(toBoth, domain.SignUpGrant{Org: "acme", Role: domain.Admin})},
			becomes(inAcme, `new{role:"ADMIN"}`) + admin},
		{"somebody new, first owner of an unclaimed organization", []domain.Command{signUp(domain.SignUpGrant{Org: "empty", Role: domain.Owner})}, becomes(`org_ids:"empty"`, `new{role:"OWNER"}`)},
		{"somebody new, with a role of the organization's own", editor, becomes(inAcme, `new{role:"Editor"}`)},
		{"somebody new, a role that is gone", with(editor, domain.DeleteRole{Org: "acme", Role: "Editor"}), ""},
		{"somebody new, a project that is gone", []domain.Command{signUp(toBoth), domain.DeleteProject{ID: "web"}}, viewer},
		{"somebody new, a project that has left", []domain.Command{signUp(toBoth), domain.TransferProject{ID: "web", Target: "globex"}}, viewer},
		{"somebody new, one organization being suspended", []domain.Command{signUp(toBoth, domain.SignUpGrant{Org: "globex", Role: domain.None}), domain.SuspendOrg{ID: "acme"}}, becomes(`org_ids:"globex"`, `new{role:"NONE"}`)},
		{"somebody new, the organization being deleted", with([]domain.Command{signUp(toBoth)}, deleted("acme")...), ""},
		{"somebody new, the organization being full", append(planned("acme", full), signUp(toBoth)), ""},
	} {
		rows = append(rows, row{name: c.name, given: c.given, by: instance, when: register("new"), then: newText + c.then})
	}
	return append(rows, row{name: "somebody known gets nothing", given: []domain.Command{signUp(toBoth)}, by: instance, when: register("sam")})
}()

func TestNameWarning(t *testing.T) {
	t.Parallel()
	s := given(t, domain.UpdatePolicy{Naming: &domain.Naming{OrgPattern: "^client-", OrgForm: "client-<name>", ProjectPattern: "^bu-", WarnOnly: true}})
	for _, c := range []struct {
		level domain.Level
		name  string
		want  string
	}{
		{domain.OrgLevel, "client-a", ""}, {domain.ProjectLevel, "bu-a", ""},
		{domain.OrgLevel, "bu-a", `the naming policy wants client-<name>; got "bu-a"`},
		{domain.ProjectLevel, "client-a", `the naming policy wants a name that matches ^bu-; got "client-a"`},
	} {
		if got := s.NameWarning(c.level, c.name); got != c.want {
			t.Errorf("%s at level %s: %q, want %q", c.name, c.level, got, c.want)
		}
	}
	if got := world().NameWarning(domain.OrgLevel, "anything"); got != "" {
		t.Errorf("without a policy: %q", got)
	}
}
