package domain_test

import "github.com/tenurehq/tenure/domain"

const teamText = `org_ids:"acme" group_id:"team"`

func inProjects(roles ...string) (list []domain.ProjectRole) {
	for i := 0; i < len(roles); i += 2 {
		list = append(list, domain.ProjectRole{Project: domain.ProjectID(roles[i]), Role: domain.Role(roles[i+1])})
	}
	return list
}

// groupRows fail if names are compared with the case of their letters, or a project of another organization, a deleted one, or
// one that is named twice passes projectRoles: tried, for each. What nobody gives or takes by groups is in groupceiling_test.go.
var groupRows = []row{
	{
		name: "everything, by an ADMIN", by: user("adam"), given: []domain.Command{domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}},
		when: domain.CreateGroup{
			ID: "team", Org: "acme", GroupName: "Team", Role: "viewer", ProjectRoles: inProjects("web", "ADMIN", "old", "NONE"),
			Users: []domain.UserID{"vic", "sam", "vic"},
		},
		then: teamText + ` group_created{name:"Team" role:"VIEWER" project_roles{project_id:"old" role:"NONE"}
			project_roles{project_id:"web" role:"ADMIN"} user_ids:"sam" user_ids:"vic"}`,
	}, {
		name: "without a role in the organization, by its key", by: orgKey("k_acme", "acme"), when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team"},
		then: teamText + ` group_created{name:"Team" role:"NONE"}`,
	}, {
		name: "with a role of the organization's own and a chosen id", given: customRoles, by: instance,
		when: domain.CreateGroup{ID: "team", Chosen: true, Org: "acme", GroupName: "Team", Role: "editor"},
		then: teamText + ` group_created{name:"Team" role:"Editor"}`,
	}, {
		name: "the name of one that was deleted or renamed", by: user("adam"), when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team"},
		given: []domain.Command{
			domain.CreateGroup{ID: "a", Org: "acme", GroupName: "Team"}, domain.DeleteGroup{ID: "a"},
			domain.CreateGroup{ID: "b", Org: "acme", GroupName: "team"}, domain.UpdateGroup{ID: "b", GroupName: new("Crew")},
		},
		then: teamText + ` group_created{name:"Team" role:"NONE"}`,
	}, {
		name: "the name of one of another organization", given: []domain.Command{domain.CreateGroup{ID: "a", Org: "globex", GroupName: "Team"}}, by: user("adam"),
		when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team"}, then: teamText + ` group_created{name:"Team" role:"NONE"}`,
	}, {
		name: "a name taken in other case", given: []domain.Command{team("", "")}, by: user("adam"),
		when: domain.CreateGroup{ID: "new", Org: "acme", GroupName: "TEAM"}, code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "a taken id", given: []domain.Command{team("", "")}, by: instance,
		when: domain.CreateGroup{ID: "team", Chosen: true, Org: "globex", GroupName: "New"}, code: domain.CodeExists, reason: domain.IDTaken,
	}, {
		name: "an id chosen by a person", given: []domain.Command{team("", "")}, by: user("gary"),
		when: domain.CreateGroup{ID: "team", Chosen: true, Org: "globex", GroupName: "New"},
		code: domain.CodeDenied, reason: domain.ChosenID, hides: "team",
	}, {
		name: "an unknown role", by: user("adam"), when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", Role: "Editor"},
		code: domain.CodeInvalid, reason: domain.UnknownRole,
	}, {
		name: "an unknown role in a project", by: user("adam"), when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", ProjectRoles: inProjects("web", "")},
		code: domain.CodeInvalid, reason: domain.UnknownRole,
	}, {
		name: "a project named twice", by: user("adam"),
		when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", ProjectRoles: inProjects("web", "VIEWER", "web", "ADMIN")},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "a project of another organization", by: user("olga"),
		when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", ProjectRoles: inProjects("app", "VIEWER")},
		code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "app",
	}, {
		name: "a project of another organization, even by who is in both", by: user("ivan"),
		when: domain.CreateGroup{ID: "team", Org: "acme", GroupName: "Team", ProjectRoles: inProjects("app", "VIEWER")},
		code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "app",
	}, {
		name: "a deleted project", given: projectDeleted("web"), by: user("olga"), when: team("", domain.Viewer),
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "somebody unknown", by: user("olga"), when: team("", "", "who"), code: domain.CodeNotFound, reason: domain.UserNotFound,
	}, {
		name: "a service account of another organization", given: accounts, by: user("olga"), when: team("", "", "bot2"),
		code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "somebody deactivated", by: user("olga"), when: team("", "", "dora"), code: domain.CodePrecondition, reason: domain.UserDeactivated,
	}, {
		name: "somebody erased", by: user("olga"), when: team("", "", "erik"), code: domain.CodePrecondition, reason: domain.UserErased,
	}, {
		name: "by a MEMBER", by: user("mia"), when: team("", ""), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an OWNER of the project", given: []domain.Command{override("mia", domain.Owner, never)}, by: user("mia"), when: team("", domain.Viewer),
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("olga"), when: team("", ""),
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: team("", ""),
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

// updateGroupRows fail if what stays the same stands in the event, or the last hold's overrides pass unseen: tried.
var updateGroupRows = []row{
	{
		name: "everything, by an ADMIN", by: user("adam"),
		given: []domain.Command{domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}, team(domain.Viewer, domain.Viewer, "sam", "vic")},
		when: domain.UpdateGroup{
			ID: "team", GroupName: new("Crew"), Role: domain.RoleMember, ProjectRoles: inProjects("old", "ADMIN"), DropProjects: []domain.ProjectID{"web"},
			Add: []domain.UserID{"nora", "vic"}, Remove: []domain.UserID{"sam", "mia"},
		},
		then: teamText + ` group_updated{name{old:"Team" new:"Crew"} role{old:"VIEWER" new:"MEMBER"}
			project_roles{project_id:"old" role{new:"ADMIN"}} project_roles{project_id:"web" role{old:"VIEWER"}}
			added_user_ids:"nora" removed_user_ids:"sam"}`,
	}, {
		name: "another role in a project, by the organization's key", given: []domain.Command{team("", domain.Viewer)}, by: orgKey("k_acme", "acme"),
		when: domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("web", "MEMBER")},
		then: teamText + ` group_updated{project_roles{project_id:"web" role{old:"VIEWER" new:"MEMBER"}}}`,
	}, {
		name: "its own name in other case", given: []domain.Command{team("", "")}, by: user("adam"), when: domain.UpdateGroup{ID: "team", GroupName: new("TEAM")},
		then: teamText + ` group_updated{name{old:"Team" new:"TEAM"}}`,
	}, {
		name: "the name of one that holds more, by an ADMIN", given: []domain.Command{team(domain.Owner, domain.Owner, "sam")}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", GroupName: new("Crew")}, then: teamText + ` group_updated{name{old:"Team" new:"Crew"}}`,
	}, {
		name: "the last hold of somebody with overrides", given: []domain.Command{team(domain.Viewer, "", "sam"), override("sam", domain.Admin, never)},
		by: user("adam"), when: domain.UpdateGroup{ID: "team", Remove: []domain.UserID{"sam"}},
		then: teamText + ` group_updated{removed_user_ids:"sam"}`,
	}, {
		name: "who is to enter and to leave stays", given: []domain.Command{team("", "", "sam")}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}, Remove: []domain.UserID{"sam"}},
	}, {
		name: "to what it is, a deactivated member included", by: user("adam"),
		given: []domain.Command{team(domain.Viewer, domain.Admin, "sam", "vic"), domain.DeactivateUser{ID: "sam"}},
		when: domain.UpdateGroup{
			ID: "team", GroupName: new("Team"), Role: "viewer", ProjectRoles: inProjects("web", "admin"), Add: []domain.UserID{"sam"},
			Remove: []domain.UserID{"mia", "who"}, DropProjects: []domain.ProjectID{"app", "nowhere"},
		},
	}, {
		name: "a name taken in other case", given: []domain.Command{team("", ""), domain.CreateGroup{ID: "b", Org: "acme", GroupName: "Crew"}},
		by: user("adam"), when: domain.UpdateGroup{ID: "team", GroupName: new("CREW")}, code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "a project set and dropped", given: []domain.Command{team("", domain.Viewer)}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("web", "ADMIN"), DropProjects: []domain.ProjectID{"web"}},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "a project dropped twice", given: []domain.Command{team("", domain.Viewer)}, by: user("adam"),
		when: domain.UpdateGroup{ID: "team", DropProjects: []domain.ProjectID{"web", "web"}}, code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "an unknown role", given: []domain.Command{team("", "")}, by: user("adam"), when: domain.UpdateGroup{ID: "team", Role: "Editor"},
		code: domain.CodeInvalid, reason: domain.UnknownRole,
	}, {
		name: "a project of another organization", given: []domain.Command{team("", "")}, by: user("olga"),
		when: domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("app", "VIEWER")}, code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "app",
	}, {
		name: "a deleted project", given: with(projectDeleted("web"), team("", "")), by: user("olga"),
		when: domain.UpdateGroup{ID: "team", ProjectRoles: inProjects("web", "VIEWER")}, code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "somebody unknown", given: []domain.Command{team("", "")}, by: user("olga"), when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"who"}},
		code: domain.CodeNotFound, reason: domain.UserNotFound,
	}, {
		name: "a service account of another organization", given: with(accounts, team("", "")), by: user("olga"),
		when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"bot2"}}, code: domain.CodeNotFound, reason: domain.UserNotFound, hides: "bot2",
	}, {
		name: "somebody deactivated", given: []domain.Command{team("", "")}, by: user("olga"), when: domain.UpdateGroup{ID: "team", Add: []domain.UserID{"dora"}},
		code: domain.CodePrecondition, reason: domain.UserDeactivated,
	}, {
		name: "by a MEMBER who is in it", given: []domain.Command{team("", "", "mia")}, by: user("mia"), when: domain.UpdateGroup{ID: "team", GroupName: new("Mine")},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a suspended organization", given: with(suspended("acme"), team("", "")), by: user("olga"), when: domain.UpdateGroup{ID: "team", GroupName: new("New")},
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: []domain.Command{team("", ""), deleted("acme")[0]}, by: instance,
		when: domain.UpdateGroup{ID: "team", GroupName: new("New")}, code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "that is not there", by: instance, when: domain.UpdateGroup{ID: "team", GroupName: new("New")}, code: domain.CodeNotFound, reason: domain.GroupNotFound,
	},

	{
		name: "with everybody, by an ADMIN", given: []domain.Command{team(domain.Viewer, domain.Admin, "sam", "vic")}, by: user("adam"),
		when: domain.DeleteGroup{ID: "team"},
		then: teamText + ` group_deleted{name:"Team" role:"VIEWER" project_roles{project_id:"web" role:"ADMIN"} members:2}`,
	}, {
		name: "empty, by the organization's key", given: []domain.Command{team("", "")}, by: orgKey("k_acme", "acme"), when: domain.DeleteGroup{ID: "team"},
		then: teamText + ` group_deleted{name:"Team" role:"NONE"}`,
	}, {
		name: "with a role in a deleted project", given: []domain.Command{team("", domain.Viewer, "vic"), domain.DeleteProject{ID: "web"}}, by: user("adam"),
		when: domain.DeleteGroup{ID: "team"}, then: teamText + ` group_deleted{name:"Team" role:"NONE" project_roles{project_id:"web" role:"VIEWER"} members:1}`,
	}, {
		name: "twice", given: []domain.Command{team("", ""), domain.DeleteGroup{ID: "team"}}, by: user("adam"), when: domain.DeleteGroup{ID: "team"},
		code: domain.CodeNotFound, reason: domain.GroupNotFound, hides: "team",
	}, {
		name: "by a MEMBER", given: []domain.Command{team("", "")}, by: user("mia"), when: domain.DeleteGroup{ID: "team"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "in a deleted organization", given: []domain.Command{team("", ""), deleted("acme")[0]}, by: instance, when: domain.DeleteGroup{ID: "team"},
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},

	{
		name: "of who is a member by a group alone", given: []domain.Command{team(domain.Viewer, "", "sam")}, by: user("adam"),
		when: domain.RevokeRole{Org: "acme", User: "sam"}, code: domain.CodePrecondition, reason: domain.MemberByGroup,
	}, {
		name: "of who stays by a group, with overrides", given: []domain.Command{team(domain.Viewer, "", "mia"), override("mia", domain.Admin, never)},
		by: user("adam"), when: domain.RevokeRole{Org: "acme", User: "mia"}, then: `org_ids:"acme" user_id:"mia" role_revoked{grant{role:"MEMBER"}}`,
	}, {
		name: "an override of who is a member by a group alone", given: []domain.Command{team(domain.Viewer, "", "sam")}, by: user("adam"),
		when: override("sam", domain.Admin, never), then: inWeb + ` user_id:"sam" role_granted{grant{new{role:"ADMIN"}}}`,
	},
}
