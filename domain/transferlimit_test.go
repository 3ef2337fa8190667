package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// Data planes in three regions, one of which is not told. The plane solo is dedicated.
var planes = []domain.Command{
	domain.RegisterDataPlane{ID: "eu", BaseURL: "https://eu", Region: "eu-west-1", KeyScheme: "hmac"},
	domain.RegisterDataPlane{ID: "us", BaseURL: "https://us", Region: "us", KeyScheme: "hmac"},
	domain.RegisterDataPlane{ID: "anywhere", BaseURL: "https://any", KeyScheme: "hmac"},
	domain.RegisterDataPlane{ID: "solo", BaseURL: "https://solo", Region: "eu", Dedicated: true, KeyScheme: "langfuse"},
}

func resident(org domain.OrgID, region string) domain.Command {
	return domain.UpdateOrg{ID: org, Residency: &region}
}

const moveText = `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{`

// transferLimitRows: what goes with a project and what stands in its way. They fail without their part of transferObstacles, of
// droppedOverrides or of move: tried, for each.
var transferLimitRows = func() (rows []row) {
	move := domain.TransferProject{ID: "web", Target: "globex"}
	keep := domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true}
	passes := func(name string, then string, when domain.Command, given ...domain.Command) {
		rows = append(rows, row{name: name, given: given, by: user("ivan"), when: when, then: then})
	}
	refuses := func(name string, code domain.Code, reason domain.Reason, when domain.Command, given ...domain.Command) {
		rows = append(rows, row{name: name, given: given, by: user("ivan"), when: when, code: code, reason: reason})
	}
	passes("roles of groups end", moveText+`dropped_group_roles{group_id:"crew" role:"NONE"} dropped_group_roles{group_id:"team" role:"VIEWER"}}`, move,
		team(domain.Viewer, domain.Viewer, "sam"), group("other", domain.Viewer),
		domain.CreateGroup{ID: "crew", Org: "acme", GroupName: "Crew", ProjectRoles: inProjects("web", "NONE")})
	passes("pending invitations lose it", moveText+`changed_invitation_ids:"both" changed_invitation_ids:"inv"}`, move,
		invite("both", "who", "", "web", domain.Viewer, domain.Viewer), inviteTo("", "web", "", domain.Viewer), invite("org", "sam", "acme", "", domain.Viewer, ""),
		invite("gone", "gary", "", "web", "", domain.Viewer), domain.RevokeInvitation{ID: "gone"})
	passes("a pending offer ends", moveText+`}`, move, offer("web", "empty"))
	passes("an override of a role of the source's own ends, whatever the target has", moveText+`dropped_overrides{user_id:"ivan" grant{role:"Editor"}}}`, keep,
		with(customRoles, override("ivan", "Editor", never), domain.DefineRole{Org: "globex", Role: "Editor", ProjectPermissions: words("project:read")})...)
	passes("an override of a member by groups of both is kept", moveText+`}`, keep, team(domain.Viewer, "", "sam"), override("sam", domain.Admin, never),
		domain.CreateGroup{ID: "g", Org: "globex", GroupName: "Crew", Users: []domain.UserID{"sam"}})
	passes("an override that would lower an OWNER of the target ends", moveText+`dropped_overrides{user_id:"gary" grant{role:"NONE"}}}`, keep,
		domain.GrantRole{Org: "acme", User: "gary", Role: domain.Viewer}, override("gary", domain.None, never))
	rows = append(rows, row{
		name: "an override that lowers an OWNER of the target is kept by an OWNER", by: instance, when: keep, then: moveText + `}`,
		given: []domain.Command{domain.GrantRole{Org: "acme", User: "gary", Role: domain.Viewer}, override("gary", domain.None, never)},
	}, row{
		name: "kept overrides end where they hold more than the key that moves it", by: pat("k", "ivan"), when: keep,
		given: []domain.Command{
			domain.CreateKey{Minted: minted("k"), User: "ivan", Permissions: words("projects:transfer_org project:read")}, override("ivan", domain.RoleMember, never),
		},
		then: moveText + `dropped_overrides{user_id:"ivan" grant{role:"MEMBER"}}}`,
	})

	one, room := domain.Quota{Bound: true, Max: 1}, domain.Quota{Bound: true, Max: 2}
	refuses("a quota of projects", domain.CodeExhausted, domain.QuotaExceeded, move, planned("globex", domain.Quotas{Projects: one})...)
	passes("room for one more project", moveText+`}`, move, planned("globex", domain.Quotas{Projects: room, Keys: room})...)
	refuses("a quota of keys", domain.CodeExhausted, domain.QuotaExceeded, move, planned("globex", domain.Quotas{Keys: one})...)
	passes("a quota of keys, its own being revoked", moveText+`}`, move, with(planned("globex", domain.Quotas{Keys: one}), domain.RevokeKey{ID: "k_web"})...)
	passes("members are not moved", moveText+`}`, move, planned("globex", domain.Quotas{Members: one})...)
	rows = append(rows, row{
		name: "a quota of keys, some having expired", by: user("ivan"), after: hour, when: move, then: moveText + `}`,
		given: append([]domain.Command{domain.CreateKey{Minted: minted("k1"), Project: "web", ExpiresAt: in(hour)}}, planned("globex", domain.Quotas{Keys: room})...),
	})

	placed := func(more ...domain.Command) []domain.Command { return with(planes, more...) }
	refuses("a data plane of the target outside the residency", domain.CodePrecondition, domain.ResidencyViolated, move,
		placed(resident("acme", "eu"), domain.PlaceOrg{Org: "globex", DataPlane: "us"})...)
	refuses("a data plane of the target of which no region is told", domain.CodePrecondition, domain.ResidencyViolated, move,
		placed(resident("acme", "eu"), domain.PlaceOrg{Org: "globex", DataPlane: "anywhere"})...)
	refuses("a residency of the target that is another", domain.CodePrecondition, domain.ResidencyViolated, move, resident("acme", "eu"), resident("globex", "us"))
	refuses("a residency of the target that is wider", domain.CodePrecondition, domain.ResidencyViolated, move, resident("acme", "eu-west-1"), resident("globex", "eu"))
	passes("a data plane of the target inside the residency", moveText+`}`, move,
		placed(resident("acme", "eu"), domain.PlaceOrg{Org: "globex", DataPlane: "eu"})...)
	passes("a target that was not placed and may be anywhere", moveText+`}`, move, resident("acme", "eu"))
	passes("a residency of the target alone", moveText+`}`, move, resident("globex", "us"))

	naming := domain.UpdatePolicy{Naming: &domain.Naming{ProjectPattern: "^bu-"}}
	refuses("a new name against the policy", domain.CodeInvalid, domain.NamingPolicy, domain.TransferProject{ID: "web", Target: "globex", NewName: new("Site")}, naming)
	passes("its own name, whatever the policy", moveText+`}`, move, naming)
	passes("its own name given as the new one", moveText+`}`, domain.TransferProject{ID: "web", Target: "globex", NewName: new("Web")}, naming)
	return rows
}()

// What a transfer takes along and leaves. Fails if projectTransferred leaves a group's role or an invitation's part: tried.
func TestTransferLeavesNothing(t *testing.T) {
	t.Parallel()
	s := given(t, team(domain.Viewer, domain.Admin, "sam"), inviteTo("", "web", domain.Viewer, domain.Admin), domain.TransferProject{ID: "web", Target: "globex"})
	g, _ := s.Group("team")
	i, _ := s.Invitation("inv")
	web := at(t, s, "project web")
	if g.Projects.Len() != 0 || i.Project != "" || i.ProjectRole != "" || i.Status != domain.InvitationPending || web.Project.Invitations.Len() != 0 {
		t.Errorf("left: group %v, invitation %+v, %d invitations of the project", g.Projects.Keys(), i, web.Project.Invitations.Len())
	}
	if v := s.Check(user("sam"), permission(t, web, "project:read"), web, began); v.Allowed {
		t.Errorf("somebody of a group of the source may still: %+v", v)
	}
	// Back again, nothing of it is back.
	s = given(t, team(domain.Viewer, domain.Admin, "sam"), domain.TransferProject{ID: "web", Target: "globex"}, domain.TransferProject{ID: "web", Target: "acme"})
	web = at(t, s, "project web")
	if v := s.Check(user("sam"), permission(t, web, "project:update"), web, began); v.Allowed {
		t.Errorf("back again, the group has its role again: %+v", v)
	}
}
