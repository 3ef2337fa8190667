package domain_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure/domain"
)

// Overrides in web: of mia, who is a member of acme alone, and of ivan, who is one of both.
var webOverrides = []domain.Command{
	domain.GrantRole{Project: "web", User: "mia", Role: domain.Admin},
	domain.GrantRole{Project: "web", User: "ivan", Role: domain.Viewer, ExpiresAt: in(48 * hour)},
}

// strongOverride is one of a member of both that holds more than an ADMIN does.
var strongOverride = []domain.Command{
	domain.GrantRole{Org: "globex", User: "olga", Role: domain.Viewer}, domain.GrantRole{Project: "web", User: "olga", Role: domain.Owner},
}

func expiringMember(org domain.OrgID, id domain.UserID) domain.Command {
	return domain.GrantRole{Org: org, User: id, Role: domain.RoleMember, ExpiresAt: in(hour)}
}

// transferRows fail if one of the obstacles is taken out, if a target that does not exist is answered before the project is
// looked at, or if droppedOverrides leaves one of its questions out: tried, for each.
var transferRows = []row{
	{
		name: "by an ADMIN of both", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "globex"},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{}`,
	}, {
		name: "by an ADMIN of both who is blocked in the project", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "globex"},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "ivan", Role: domain.None}},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web"
			project_transferred{dropped_overrides{user_id:"ivan" grant{role:"NONE"}}}`,
	}, {
		name: "by the instance, to an unclaimed organization", by: instance, when: domain.TransferProject{ID: "web", Target: "empty"},
		then: `org_ids:"acme" org_ids:"empty" project_id:"web" project_transferred{}`,
	}, {
		name: "overrides end", given: webOverrides, by: instance, when: domain.TransferProject{ID: "web", Target: "globex"},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"ivan" grant{role:"VIEWER" expires_at{@48h}}}
			dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
	}, {
		name: "overrides of members of both are kept", given: webOverrides, by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
	}, {
		name: "an override that holds more than the actor does in the target ends", given: strongOverride, by: user("ivan"),
		when: domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"olga" grant{role:"OWNER"}}}`,
	}, {
		name: "an override that holds no more than the actor is kept", given: strongOverride, by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{}`,
	}, {
		name: "an expired membership in the target counts as none", by: instance, after: hour,
		given: append(slices.Clone(webOverrides), expiringMember("globex", "ivan"), expiringMember("globex", "mia")),
		when:  domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"ivan" grant{role:"VIEWER" expires_at{@48h}}}
			dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
	}, {
		name: "an expired membership in the source counts as none", by: instance, after: hour,
		given: append(slices.Clone(webOverrides), expiringMember("acme", "ivan")),
		when:  domain.TransferProject{ID: "web", Target: "globex", KeepOverrides: true},
		then: `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{
			dropped_overrides{user_id:"ivan" grant{role:"VIEWER" expires_at{@48h}}}
			dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
	}, {
		name: "under a new name, the old one being taken", by: user("ivan"),
		given: []domain.Command{domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "WEB"}},
		when:  domain.TransferProject{ID: "web", Target: "globex", NewName: new("Web of Acme")},
		then:  `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{name{old:"Web" new:"Web of Acme"}}`,
	}, {
		name: "the name of a deleted one", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "globex"},
		given: []domain.Command{domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "Web"}, domain.DeleteProject{ID: "web2"}},
		then:  `org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{}`,
	}, {
		name: "to where it is", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "acme"},
		code: domain.CodePrecondition, reason: domain.SameOrg,
	}, {
		name: "a name taken in other case", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "globex"},
		given: []domain.Command{domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "wEB"}},
		code:  domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "a new name taken in other case", by: user("ivan"), when: domain.TransferProject{ID: "web", Target: "globex", NewName: new("APP")},
		code: domain.CodeExists, reason: domain.NameTaken,
	}, {
		name: "out of a suspended organization", given: suspended("acme"), by: user("ivan"),
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "into a suspended organization", given: suspended("globex"), by: user("ivan"),
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "out of a suspended organization, by the instance", given: suspended("acme"), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "into a suspended organization, by the instance", given: suspended("globex"), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "out of a deleted organization", given: deleted("acme"), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "into a deleted organization", given: deleted("globex"), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "a deleted project", given: projectDeleted("web"), by: user("ivan"),
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "a deleted project, by the instance", given: projectDeleted("web"), by: instance,
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "by a MEMBER of the source", given: []domain.Command{domain.GrantRole{Org: "globex", User: "mia", Role: domain.Owner}}, by: user("mia"),
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by who is OWNER in the project only", by: user("mia"), when: domain.TransferProject{ID: "web", Target: "globex"},
		given: []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.Owner}, domain.GrantRole{Org: "globex", User: "mia", Role: domain.Owner}},
		code:  domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a MEMBER of the target", given: []domain.Command{domain.GrantRole{Org: "globex", User: "olga", Role: domain.RoleMember}}, by: user("olga"),
		when: domain.TransferProject{ID: "web", Target: "globex"}, code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by its own key", by: projectKey("k_web", "web"), when: domain.TransferProject{ID: "web", Target: "acme"},
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "to an organization out of sight", by: user("olga"), when: domain.TransferProject{ID: "web", Target: "globex"},
		code: domain.CodeNotFound, reason: domain.OrgNotFound, hides: "globex",
	}, {
		name: "to an organization out of sight, by the source's key", by: orgKey("k_acme", "acme"), when: domain.TransferProject{ID: "web", Target: "globex"},
		code: domain.CodeNotFound, reason: domain.OrgNotFound, hides: "globex",
	}, {
		name: "who does not see the project learns nothing about the target", by: user("sam"), when: domain.TransferProject{ID: "web", Target: "globex"},
		code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "globex",
	}, {
		name: "who may not move the project learns nothing about the target", by: user("mia"), when: domain.TransferProject{ID: "web", Target: "globex"},
		code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "globex",
	}, {
		name: "a project out of sight", by: user("gary"), when: domain.TransferProject{ID: "web", Target: "globex"},
		code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "web",
	}, {
		name: "to an organization that does not exist, by the instance", by: instance, when: domain.TransferProject{ID: "web", Target: "nowhere"},
		code: domain.CodeNotFound, reason: domain.OrgNotFound,
	},
}

func TestPreviewTransfer(t *testing.T) {
	t.Parallel()
	s := given(t, append(slices.Clone(webOverrides),
		domain.RevokeKey{ID: "k_web"},
		domain.CreateKey{Minted: minted("k1"), Project: "web"},
		domain.CreateKey{Minted: minted("k2"), Project: "web", ExpiresAt: in(hour)},
	)...)
	got := s.PreviewTransfer(domain.TransferProject{ID: "web", Target: "globex"}, instance, in(hour))
	role := func(r domain.Role) domain.Effective { return domain.Effective{Role: r, By: domain.ByOrgRole} }
	over := func(r domain.Role) domain.Effective { return domain.Effective{Role: r, By: domain.ByProjectOverride} }
	ivans := over(domain.Viewer)
	ivans.ExpiresAt = in(48 * hour)
	want := domain.TransferPreview{
		Changes: []domain.AccessChange{
			{User: "adam", Old: role(domain.Admin)}, {User: "gary", New: role(domain.Owner)},
			{User: "ivan", Old: ivans, New: role(domain.Admin)}, {User: "mia", Old: over(domain.Admin)},
			{User: "olga", Old: role(domain.Owner)}, {User: "vic", Old: role(domain.Viewer)},
			// dora is deactivated and nora holds nothing: neither loses anything.
		},
		Dropped:            []domain.UserID{"ivan", "mia"},
		ChangedInvitations: []domain.InvitationID{},
		KeysKept:           1,
		Source:             at(t, s, "acme").Org, Target: at(t, s, "globex").Org,
	}
	if diff := cmp.Diff(want, got, previewed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	s = given(t, domain.SuspendOrg{ID: "acme"}, domain.DeleteProject{ID: "web"})
	got = s.PreviewTransfer(domain.TransferProject{ID: "web", Target: "acme"}, instance, began)
	if reasons := reasonsOf(got.Obstacles); !slices.Equal(reasons, []domain.Reason{domain.SameOrg}) {
		t.Errorf("obstacles %v", reasons)
	}
	s = given(t, domain.SuspendOrg{ID: "acme"}, domain.SuspendOrg{ID: "globex"}, domain.DeleteProject{ID: "web"})
	got = s.PreviewTransfer(domain.TransferProject{ID: "web", Target: "globex"}, instance, began)
	want3 := []domain.Reason{domain.OrgSuspended, domain.OrgSuspended, domain.ProjectDeleted}
	if reasons := reasonsOf(got.Obstacles); !slices.Equal(reasons, want3) {
		t.Errorf("obstacles %v, want %v", reasons, want3)
	}
}

func reasonsOf(obstacles []domain.Obstacle) (reasons []domain.Reason) {
	for _, o := range obstacles {
		reasons = append(reasons, o.Reason)
	}
	return reasons
}

// previewed compares what a preview tells.
var previewed = cmp.Options{
	cmpopts.IgnoreUnexported(domain.TransferPreview{}, domain.Effective{}),
	cmp.Comparer(func(a, b *domain.Org) bool { return (a == nil) == (b == nil) && (a == nil || a.ID == b.ID) }),
}
