package domain_test

import "github.com/tenurehq/tenure/domain"

func projectDeleted(id domain.ProjectID) []domain.Command {
	return []domain.Command{domain.DeleteProject{ID: id}}
}

// projectRows fail if nameFree, foldName, environmentsFree or chosenID lets everything pass, or if a deletion or a new name
// does not free the old one: tried, for each.
var projectRows = []row{
	{
		name: "everything, by an ADMIN", by: user("adam"),
		when: domain.CreateProject{
			ID: "new", Org: "acme", ProjectName: "New", Metadata: map[string]string{"a": "b"}, RetentionDays: 30,
			Environments: []string{"prod", "default", "dev", "prod"},
		},
		then: `org_ids:"acme" project_id:"new" project_created{name:"New" metadata{key:"a" value:"b"} retention_days:30
			environments:"dev" environments:"prod"}`,
	}, {
		name: "by a key of the organization", by: orgKey("k_acme", "acme"), when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		then: `org_ids:"acme" project_id:"new" project_created{name:"New"}`,
	}, {
		name: "with a chosen id", by: instance, when: domain.CreateProject{ID: "new", Chosen: true, Org: "empty", ProjectName: "Web"},
		then: `org_ids:"empty" project_id:"new" project_created{name:"Web"}`,
	}, {
		name: "the name of a deleted one", given: projectDeleted("web"), by: user("olga"),
		when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "Web"},
		then: `org_ids:"acme" project_id:"new" project_created{name:"Web"}`,
	}, {
		name: "the name of one that moved away", given: []domain.Command{domain.TransferProject{ID: "web", Target: "globex"}}, by: user("olga"),
		when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "Web"},
		then: `org_ids:"acme" project_id:"new" project_created{name:"Web"}`,
	}, {
		name: "a taken name in other case", by: user("olga"), when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "wEB"},
		code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "the name of one that moved in", given: []domain.Command{domain.TransferProject{ID: "app", Target: "acme"}}, by: user("olga"),
		when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "APP"},
		code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "a taken id", by: instance, when: domain.CreateProject{ID: "web", Chosen: true, Org: "globex", ProjectName: "New"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "an id chosen by a person", by: user("olga"), when: domain.CreateProject{ID: "app", Chosen: true, Org: "acme", ProjectName: "New"},
		code: domain.CodeDenied, reason: domain.ChosenID, hides: "app",
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name:  "by an ADMIN whose role has expired",
		given: []domain.Command{domain.GrantRole{Org: "acme", User: "adam", Role: domain.Admin, ExpiresAt: in(hour)}},
		by:    user("adam"), after: hour, when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		code: domain.CodeNotFound, reason: domain.OrgNotFound, hides: "acme",
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"),
		when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance,
		when: domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},

	{
		name: "everything, by an ADMIN", by: user("adam"),
		when: domain.UpdateProject{
			ID: "web", ProjectName: new("Site"), Metadata: &map[string]string{"a": "b"}, RetentionDays: new(uint32(9)),
			Environments: &[]string{"staging", "dev", "default"},
		},
		then: `org_ids:"acme" project_id:"web" project_updated{name{old:"Web" new:"Site"} metadata{new{key:"a" value:"b"}}
			retention_days{new:9} environments{old:"prod" old:"staging" new:"dev" new:"staging"}}`,
	}, {
		name: "its own name in other case", by: user("olga"), when: domain.UpdateProject{ID: "web", ProjectName: new("WEB")},
		then: `org_ids:"acme" project_id:"web" project_updated{name{old:"Web" new:"WEB"}}`,
	}, {
		name: "by its own key", by: projectKey("k_web", "web"), when: domain.UpdateProject{ID: "web", RetentionDays: new(uint32(3))},
		then: `org_ids:"acme" project_id:"web" project_updated{retention_days{new:3}}`,
	}, {
		name: "by a VIEWER who is ADMIN there", by: user("vic"), when: domain.UpdateProject{ID: "web", ProjectName: new("Site")},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "vic", Role: domain.Admin}},
		then:  `org_ids:"acme" project_id:"web" project_updated{name{old:"Web" new:"Site"}}`,
	}, {
		name: "an environment that only dead keys are bound to", by: user("olga"), when: domain.UpdateProject{ID: "web", Environments: &[]string{}},
		given: []domain.Command{
			domain.CreateKey{Minted: minted("k"), Project: "web", Environments: []string{"prod"}, ExpiresAt: in(hour)},
			domain.CreateKey{Minted: minted("k2"), Project: "web", Environments: []string{"prod"}}, domain.RevokeKey{ID: "k2"},
		},
		after: hour, then: `org_ids:"acme" project_id:"web" project_updated{environments{old:"prod" old:"staging"}}`,
	}, {
		name: "a key is bound to default only", by: user("olga"), when: domain.UpdateProject{ID: "web", Environments: &[]string{"default"}},
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", Environments: []string{"default"}}},
		then:  `org_ids:"acme" project_id:"web" project_updated{environments{old:"prod" old:"staging"}}`,
	}, {
		name: "to what it is", by: user("olga"),
		when: domain.UpdateProject{
			ID: "web", ProjectName: new("Web"), Metadata: &map[string]string{}, RetentionDays: new(uint32(0)),
			Environments: &[]string{"staging", "default", "prod"},
		},
	}, {
		name: "an environment that a live key is bound to", by: user("olga"),
		given: []domain.Command{domain.CreateKey{Minted: minted("k"), Project: "web", Environments: []string{"prod"}}},
		when:  domain.UpdateProject{ID: "web", Environments: &[]string{"staging"}},
		code:  domain.CodePrecondition, reason: domain.EnvironmentInUse,
	}, {
		name: "a name taken in other case", given: []domain.Command{domain.CreateProject{ID: "other", Org: "acme", ProjectName: "Other"}},
		by: user("olga"), when: domain.UpdateProject{ID: "web", ProjectName: new("OTHER")},
		code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.UpdateProject{ID: "web", ProjectName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an OWNER who is VIEWER there", given: []domain.Command{domain.GrantRole{Project: "web", User: "olga", Role: domain.Viewer}},
		by: user("olga"), when: domain.UpdateProject{ID: "web", ProjectName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a deleted one", given: projectDeleted("web"), by: user("olga"), when: domain.UpdateProject{ID: "web", ProjectName: new("Site")},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "a deleted one, by the instance", given: projectDeleted("web"), by: instance, when: domain.UpdateProject{ID: "web", ProjectName: new("Site")},
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.UpdateProject{ID: "web", ProjectName: new("Site")},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.UpdateProject{ID: "web", ProjectName: new("Site")},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

var projectStateRows = []row{
	{
		name: "by an OWNER", by: user("olga"), when: domain.DeleteProject{ID: "web"},
		then: `org_ids:"acme" project_id:"web" project_deleted{name:"Web"}`,
	}, {
		name: "by a MEMBER who is OWNER there", given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}},
		by: user("mia"), when: domain.DeleteProject{ID: "web"}, then: `org_ids:"acme" project_id:"web" project_deleted{name:"Web"}`,
	}, {
		name: "a deleted one", given: projectDeleted("web"), by: user("olga"), when: domain.DeleteProject{ID: "web"},
	}, {
		name: "by an ADMIN", by: user("adam"), when: domain.DeleteProject{ID: "web"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: domain.DeleteProject{ID: "web"},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.DeleteProject{ID: "web"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},

	{
		name: "by an OWNER", given: projectDeleted("web"), by: user("olga"), when: domain.RestoreProject{ID: "web"},
		then: `org_ids:"acme" project_id:"web" project_restored{}`,
	}, {
		name: "under a new name, the old one being taken", by: user("olga"), when: domain.RestoreProject{ID: "web", NewName: new("Web 1")},
		given: []domain.Command{domain.DeleteProject{ID: "web"}, domain.CreateProject{ID: "other", Org: "acme", ProjectName: "WEB"}},
		then:  `org_ids:"acme" project_id:"web" project_restored{name{old:"Web" new:"Web 1"}}`,
	}, {
		name: "under the name it had", given: projectDeleted("web"), by: user("olga"), when: domain.RestoreProject{ID: "web", NewName: new("Web")},
		then: `org_ids:"acme" project_id:"web" project_restored{}`,
	}, {
		name: "an active one", by: user("olga"), when: domain.RestoreProject{ID: "web"},
	}, {
		name: "its name is taken in other case", by: user("olga"), when: domain.RestoreProject{ID: "web"},
		given: []domain.Command{domain.DeleteProject{ID: "web"}, domain.CreateProject{ID: "other", Org: "acme", ProjectName: "wEB"}},
		code:  domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "the new name is taken", by: user("olga"), when: domain.RestoreProject{ID: "web", NewName: new("OTHER")},
		given: []domain.Command{domain.DeleteProject{ID: "web"}, domain.CreateProject{ID: "other", Org: "acme", ProjectName: "Other"}},
		code:  domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "by an ADMIN", given: projectDeleted("web"), by: user("adam"), when: domain.RestoreProject{ID: "web"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by its own key", given: projectDeleted("web"), by: projectKey("k_web", "web"), when: domain.RestoreProject{ID: "web"},
		code: domain.CodeUnauthenticated, reason: domain.ProjectDeleted,
	}, {
		name: "in a suspended organization", given: append(projectDeleted("web"), suspended("acme")...), by: user("olga"),
		when: domain.RestoreProject{ID: "web"}, code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: domain.RestoreProject{ID: "web"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}
