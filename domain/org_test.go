package domain_test

import "github.com/tenurehq/tenure/domain"

func suspended(id domain.OrgID) []domain.Command {
	return []domain.Command{domain.SuspendOrg{ID: id}}
}

func deleted(id domain.OrgID) []domain.Command {
	return []domain.Command{domain.DeleteOrg{ID: id, Cascade: true}}
}

// orgRows fail if chosenID lets everything pass, or if anybody may name any owner: tried.
var orgRows = []row{
	{
		name: "by a person who becomes its owner", by: user("sam"),
		when: domain.CreateOrg{ID: "new", OrgName: "New", Metadata: map[string]string{"a": "b"}},
		then: `org_ids:"new" user_id:"sam" org_created{name:"New" metadata{key:"a" value:"b"}}`,
	}, {
		name: "by a person who names themselves", by: user("sam"), when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "sam"},
		then: `org_ids:"new" user_id:"sam" org_created{name:"New"}`,
	}, {
		name: "by a person's key", by: pat("k_mia", "mia"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		then: `org_ids:"new" user_id:"mia" org_created{name:"New"}`,
	}, {
		name: "names need not be unique", by: user("sam"), when: domain.CreateOrg{ID: "new", OrgName: "Acme"},
		then: `org_ids:"new" user_id:"sam" org_created{name:"Acme"}`,
	}, {
		name: "unclaimed, with a chosen id", by: instance, when: domain.CreateOrg{ID: "new", Chosen: true, OrgName: "New"},
		then: `org_ids:"new" org_created{name:"New"}`,
	}, {
		name: "by the instance for somebody", by: instance, when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "sam"},
		then: `org_ids:"new" user_id:"sam" org_created{name:"New"}`,
	}, {
		name: "somebody else as owner", by: user("sam"), when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "mia"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "somebody unknown as owner, same answer", by: user("sam"), when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "mia"},
		code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "mia",
	}, {
		name: "an id chosen by a person", by: user("sam"), when: domain.CreateOrg{ID: "new", Chosen: true, OrgName: "New"},
		code: domain.CodeDenied, reason: domain.ChosenID,
	}, {
		name: "a taken id chosen by a person", by: user("sam"), when: domain.CreateOrg{ID: "acme", Chosen: true, OrgName: "New"},
		code: domain.CodeDenied, reason: domain.ChosenID,
	}, {
		name: "a taken id", by: instance, when: domain.CreateOrg{ID: "acme", Chosen: true, OrgName: "New"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "the id of a deleted one", given: deleted("acme"), by: instance, when: domain.CreateOrg{ID: "acme", Chosen: true, OrgName: "New"},
		code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "an unknown owner", by: instance, when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "who"},
		code: domain.CodeNotFound, reason: domain.UserNotFound,
	}, {
		name: "a deactivated owner", by: instance, when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "dora"},
		code: domain.CodePrecondition, reason: domain.UserDeactivated,
	}, {
		name: "an erased owner", by: instance, when: domain.CreateOrg{ID: "new", OrgName: "New", Owner: "erik"},
		code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "by a deactivated person", by: user("dora"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeUnauthenticated, reason: domain.UserDeactivated,
	}, {
		name: "by a key of an organization", by: orgKey("k_acme", "acme"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a key of a project", by: projectKey("k_web", "web"), when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "without credentials", by: nobody, when: domain.CreateOrg{ID: "new", OrgName: "New"},
		code: domain.CodeUnauthenticated, reason: domain.Unauthenticated,
	},

	{
		name: "everything, by an ADMIN", by: user("adam"),
		when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2"), Metadata: &map[string]string{"tier": "iron"}},
		then: `org_ids:"acme" org_updated{name{old:"Acme" new:"Acme 2"}
			metadata{old{key:"tier" value:"gold"} new{key:"tier" value:"iron"}}}`,
	}, {
		name: "the name alone, by its own key", by: orgKey("k_acme", "acme"), when: domain.UpdateOrg{ID: "acme", OrgName: new("ACME")},
		then: `org_ids:"acme" org_updated{name{old:"Acme" new:"ACME"}}`,
	}, {
		name: "empties the metadata", by: instance, when: domain.UpdateOrg{ID: "acme", Metadata: &map[string]string{}},
		then: `org_ids:"acme" org_updated{metadata{old{key:"tier" value:"gold"}}}`,
	}, {
		name: "a suspended one, by the instance", given: suspended("acme"), by: instance,
		when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2")},
		then: `org_ids:"acme" org_updated{name{old:"Acme" new:"Acme 2"}}`,
	}, {
		name: "to what it is", by: user("olga"),
		when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme"), Metadata: &map[string]string{"tier": "gold"}},
	}, {
		name: "nothing", by: user("olga"), when: domain.UpdateOrg{ID: "acme"},
	}, {
		name: "by a MEMBER", by: user("mia"), when: domain.UpdateOrg{ID: "acme", OrgName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by who holds NONE", by: user("nora"), when: domain.UpdateOrg{ID: "acme", OrgName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a project's key", by: projectKey("k_web", "web"), when: domain.UpdateOrg{ID: "acme", OrgName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a suspended one", given: suspended("acme"), by: user("olga"), when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2")},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "a suspended one, by its own key", given: suspended("acme"), by: orgKey("k_acme", "acme"),
		when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2")},
		code: domain.CodeUnauthenticated, reason: domain.OrgSuspended,
	}, {
		name: "a deleted one", given: deleted("acme"), by: user("olga"), when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2")},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "a deleted one, by the instance", given: deleted("acme"), by: instance, when: domain.UpdateOrg{ID: "acme", OrgName: new("Acme 2")},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

// orgStatusRows fail if deleted projects count as projects: tried.
var orgStatusRows = []row{
	{name: "an active one", by: instance, when: domain.SuspendOrg{ID: "acme"}, then: `org_ids:"acme" org_suspended{}`},
	{name: "a suspended one", given: suspended("acme"), by: instance, when: domain.SuspendOrg{ID: "acme"}},
	{
		name: "a deleted one", given: deleted("acme"), by: instance, when: domain.SuspendOrg{ID: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "by its owner", by: user("olga"), when: domain.SuspendOrg{ID: "acme"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	},

	{name: "a suspended one", given: suspended("acme"), by: instance, when: domain.ResumeOrg{ID: "acme"}, then: `org_ids:"acme" org_resumed{}`},
	{name: "an active one", by: instance, when: domain.ResumeOrg{ID: "acme"}},
	{
		name: "a deleted one", given: deleted("acme"), by: instance, when: domain.ResumeOrg{ID: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "by its owner", given: suspended("acme"), by: user("olga"), when: domain.ResumeOrg{ID: "acme"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	},

	{name: "an empty one", by: instance, when: domain.DeleteOrg{ID: "empty"}, then: `org_ids:"empty" org_deleted{name:"Empty"}`},
	{
		name: "with its projects, by its owner", by: user("olga"), when: domain.DeleteOrg{ID: "acme", Cascade: true},
		then: `org_ids:"acme" org_deleted{name:"Acme" projects:1}`,
	}, {
		name: "one that has only deleted projects", given: []domain.Command{domain.DeleteProject{ID: "web"}}, by: user("olga"),
		when: domain.DeleteOrg{ID: "acme"}, then: `org_ids:"acme" org_deleted{name:"Acme"}`,
	}, {
		name: "a suspended one, by the instance", given: suspended("acme"), by: instance, when: domain.DeleteOrg{ID: "acme", Cascade: true},
		then: `org_ids:"acme" org_deleted{name:"Acme" projects:1}`,
	}, {
		name: "a deleted one", given: deleted("acme"), by: instance, when: domain.DeleteOrg{ID: "acme"},
	}, {
		name: "one with projects", by: user("olga"), when: domain.DeleteOrg{ID: "acme"},
		code: domain.CodePrecondition, reason: domain.OrgHasProjects,
	}, {
		name: "by an ADMIN", by: user("adam"), when: domain.DeleteOrg{ID: "acme", Cascade: true},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "a suspended one, by its owner", given: suspended("acme"), by: user("olga"), when: domain.DeleteOrg{ID: "acme", Cascade: true},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	},
}
