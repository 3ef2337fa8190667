package domain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// invite is an invitation of a person of the world. Its token's hash is "token of" its id.
func invite(id domain.InvitationID, who domain.UserID, org domain.OrgID, project domain.ProjectID, role, projectRole domain.Role) domain.Invite {
	return domain.Invite{
		ID: id, Org: org, Project: project, Role: role, ProjectRole: projectRole, Email: sealed(string(id), string(who)),
		EmailDigest: []byte("digest of " + who), TokenHash: []byte("token of " + id),
	}
}

// inviteTo is the invitation inv of sam, who is a member of nothing.
func inviteTo(org domain.OrgID, project domain.ProjectID, role, projectRole domain.Role) domain.Invite {
	return invite("inv", "sam", org, project, role, projectRole)
}

const week = 7 * 24 * hour

func sentText(where, roles, expires string) string {
	return fmt.Sprintf(`%s invitation_id:"inv" invitation_sent{email{subject:"inv" data:"sam"} email_digest:"digest of sam"
		%s expires_at{@%s} token_hash:"token of inv"}`, where, roles, expires)
}

// The person mia holds OWNER in web, and manages its members through it alone.
var projectManager = []domain.Command{override("mia", domain.Owner, never)}

func endingIn(c domain.Invite, d time.Duration) domain.Invite {
	c.ExpiresAt = in(d)
	return c
}

// inviteRows fail if mayInvite leaves out the permission for a role in the organization, its ceiling or the project's, if an
// invitation that has expired or is to another place counts as pending, or if the time to accept has no end: tried, for each.
var inviteRows = []row{
	{
		name: "to the organization, by an ADMIN", by: user("adam"), when: inviteTo("acme", "", "viewer", ""),
		then: sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"),
	}, {
		name: "with NONE, by the organization's key", by: orgKey("k_acme", "acme"), when: inviteTo("acme", "", domain.None, ""),
		then: sentText(`org_ids:"acme"`, `role:"NONE"`, "168h"),
	}, {
		name: "to the project as well", by: user("adam"), when: inviteTo("", "web", domain.Viewer, domain.Admin),
		then: sentText(inWeb, `role:"VIEWER" project_role:"ADMIN"`, "168h"),
	}, {
		name: "to the project alone, by who manages its members alone", given: projectManager, by: user("mia"), when: inviteTo("", "web", "", domain.Owner),
		then: sentText(inWeb, `role:"NONE" project_role:"OWNER"`, "168h"),
	}, {
		name: "to the project alone, by its key", by: projectKey("k_web", "web"), when: inviteTo("", "web", domain.None, domain.None),
		then: sentText(inWeb, `role:"NONE" project_role:"NONE"`, "168h"),
	}, {
		name: "to a role of the organization's own", given: customRoles, by: user("adam"), when: inviteTo("acme", "", "EDITOR", ""),
		then: sentText(`org_ids:"acme"`, `role:"Editor"`, "168h"),
	}, {
		name: "as long as can be", by: user("adam"), when: endingIn(inviteTo("acme", "", domain.Viewer, ""), domain.MaxInvitationAge),
		then: sentText(`org_ids:"acme"`, `role:"VIEWER"`, "2160h"),
	}, {
		name: "somebody who is a member", by: user("adam"), when: invite("inv", "mia", "acme", "", domain.Viewer, ""),
		then: strings.ReplaceAll(sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"), "sam", "mia"),
	}, {
		name: "an address without an account", by: user("adam"), when: invite("inv", "who", "acme", "", domain.Viewer, ""),
		then: strings.ReplaceAll(sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"), "sam", "who"),
	}, {
		name: "besides one to a project", given: []domain.Command{invite("old", "sam", "", "web", domain.Viewer, domain.Viewer)}, by: user("adam"),
		when: inviteTo("acme", "", domain.Viewer, ""), then: sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"),
	}, {
		name: "besides one to another organization", given: []domain.Command{invite("old", "sam", "globex", "", domain.Viewer, "")}, by: user("adam"),
		when: inviteTo("acme", "", domain.Viewer, ""), then: sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"),
	}, {
		name: "after one that was revoked", by: user("adam"), when: inviteTo("acme", "", domain.Viewer, ""),
		given: []domain.Command{invite("old", "sam", "acme", "", domain.Viewer, ""), domain.RevokeInvitation{ID: "old"}},
		then:  sentText(`org_ids:"acme"`, `role:"VIEWER"`, "168h"),
	}, {
		name: "after one that has expired", given: []domain.Command{invite("old", "sam", "acme", "", domain.Viewer, "")}, by: user("adam"), after: week,
		when: inviteTo("acme", "", domain.Viewer, ""), then: sentText(`org_ids:"acme"`, `role:"VIEWER"`, "336h"),
	}, {
		name: "twice to the same place", given: []domain.Command{invite("old", "sam", "acme", "", domain.Admin, "")}, by: user("adam"), after: week - 1,
		when: inviteTo("acme", "", domain.Viewer, ""), code: domain.CodeExists, reason: domain.InvitationExists,
	}, {
		name: "twice to the same project", given: []domain.Command{invite("old", "sam", "", "web", "", domain.Viewer)}, by: user("adam"),
		when: inviteTo("", "web", domain.Viewer, domain.Viewer), code: domain.CodeExists, reason: domain.InvitationExists,
	}, {
		name: "an expiry that is now", by: user("adam"), when: endingIn(inviteTo("acme", "", domain.Viewer, ""), 0),
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "longer than can be", by: user("adam"), when: endingIn(inviteTo("acme", "", domain.Viewer, ""), domain.MaxInvitationAge+1),
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "an unknown role", by: user("adam"), when: inviteTo("acme", "", "Editor", ""), code: domain.CodeInvalid, reason: domain.UnknownRole,
	}, {
		name: "an unknown role in the project", by: user("adam"), when: inviteTo("", "web", "", "Editor"), code: domain.CodeInvalid, reason: domain.UnknownRole,
	}, {
		name: "to the organization without a role", by: user("adam"), when: inviteTo("acme", "", "", ""), code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "to a project without a role there", by: user("adam"), when: inviteTo("", "web", domain.Viewer, ""), code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "to a role in a project without the project", by: user("adam"), when: inviteTo("acme", "", domain.Viewer, domain.Viewer),
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "to OWNER, by an ADMIN", by: user("adam"), when: inviteTo("acme", "", domain.Owner, ""), code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "to OWNER of a project, by an ADMIN", by: user("adam"), when: inviteTo("", "web", domain.Viewer, domain.Owner), code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "to a role that holds more, by an ADMIN", given: customRoles, by: user("adam"), when: inviteTo("acme", "", "Reaper", ""),
		code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "to a role in the organization, by who manages the project's members alone", given: projectManager, by: user("mia"),
		when: inviteTo("", "web", domain.Viewer, domain.Viewer), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "to a role that holds nothing, by who manages the project's members alone", by: user("mia"), when: inviteTo("", "web", "Guest", domain.Viewer),
		given: with(projectManager, domain.DefineRole{Org: "acme", Role: "Guest"}), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "to the organization, by who manages the project's members alone", given: projectManager, by: user("mia"),
		when: inviteTo("acme", "", domain.None, ""), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by a key that holds less than the role", given: []domain.Command{domain.CreateKey{Minted: minted("k"), Org: "acme", Permissions: words("members:CUD")}},
		by: orgKey("k", "acme"), when: inviteTo("", "web", "", domain.Viewer), code: domain.CodeDenied, reason: domain.GrantCeiling,
	}, {
		name: "by a MEMBER", by: user("mia"), when: inviteTo("acme", "", domain.None, ""), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "to a deleted project", given: projectDeleted("web"), by: instance, when: inviteTo("", "web", "", domain.Viewer),
		code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "to a suspended organization", given: suspended("acme"), by: user("adam"), when: inviteTo("acme", "", domain.Viewer, ""),
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "to a deleted organization", given: deleted("acme"), by: instance, when: inviteTo("acme", "", domain.Viewer, ""),
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

const resentText = `invitation_resent{expires_at{old{@168h} new{@%s}} token_hash:"token 2"}`

var resend = domain.ResendInvitation{ID: "inv", TokenHash: []byte("token 2")}

// manageInvitationRows fail if managedInvitation does not ask what Invite asks, or looks for the project where it is now: tried.
var manageInvitationRows = func() (rows []row) {
	toOrg := []domain.Command{inviteTo("acme", "", domain.Viewer, "")}
	toBoth := []domain.Command{inviteTo("", "web", domain.Viewer, domain.Viewer)}
	toProject := []domain.Command{inviteTo("", "web", "", domain.Viewer)}
	ended := []domain.Command{domain.RevokeInvitation{ID: "inv"}, domain.AcceptInvitation{ID: "inv", User: "sam"}, domain.DeclineInvitation{ID: "inv", User: "sam"}}
	rows = []row{
		{
			name: "a pending one, by an ADMIN", given: toOrg, by: user("adam"), after: hour, when: resend,
			then: `org_ids:"acme" invitation_id:"inv" ` + fmt.Sprintf(resentText, "169h"),
		}, {
			name: "one that has expired, until then", given: toOrg, by: user("adam"), after: week,
			when: domain.ResendInvitation{ID: "inv", TokenHash: []byte("token 2"), ExpiresAt: in(week + hour)},
			then: `org_ids:"acme" invitation_id:"inv" ` + fmt.Sprintf(resentText, "169h"),
		}, {
			name: "one to the project alone, by who manages its members alone", given: with(projectManager, toProject...), by: user("mia"), when: resend,
			then: inWeb + ` invitation_id:"inv" ` + fmt.Sprintf(resentText, "168h"),
		}, {
			name: "an expiry that is now", given: toOrg, by: user("adam"), after: hour,
			when: domain.ResendInvitation{ID: "inv", ExpiresAt: in(hour)}, code: domain.CodeInvalid, reason: domain.ExpiryInPast,
		}, {
			name: "longer than can be", given: toOrg, by: user("adam"),
			when: domain.ResendInvitation{ID: "inv", ExpiresAt: in(domain.MaxInvitationAge + 1)}, code: domain.CodeInvalid, reason: domain.InvalidField,
		},
		{name: "a pending one", given: toOrg, by: user("adam"), when: domain.RevokeInvitation{ID: "inv"}, then: `org_ids:"acme" invitation_id:"inv" invitation_revoked{}`},
		{
			name: "one that has expired", given: toOrg, by: orgKey("k_acme", "acme"), after: week, when: domain.RevokeInvitation{ID: "inv"},
			then: `org_ids:"acme" invitation_id:"inv" invitation_revoked{}`,
		}, {
			name: "one to the project alone, by who manages its members alone", given: with(projectManager, toProject...), by: user("mia"),
			when: domain.RevokeInvitation{ID: "inv"}, then: inWeb + ` invitation_id:"inv" invitation_revoked{}`,
		}, {
			name: "one to a deleted project", given: with(toBoth, domain.DeleteProject{ID: "web"}), by: user("adam"),
			when: domain.RevokeInvitation{ID: "inv"}, then: inWeb + ` invitation_id:"inv" invitation_revoked{}`,
		}, {
			name: "one whose project has left", given: with(toBoth, domain.TransferProject{ID: "web", Target: "globex"}), by: user("adam"),
			when: domain.RevokeInvitation{ID: "inv"}, then: `org_ids:"acme" invitation_id:"inv" invitation_revoked{}`,
		},
		{name: "a revoked one", given: with(toOrg, ended[0]), by: user("adam"), when: domain.RevokeInvitation{ID: "inv"}},
	}
	for _, c := range []domain.Command{resend, domain.RevokeInvitation{ID: "inv"}} {
		for what, end := range map[string]domain.Command{"a revoked one": ended[0], "an accepted one": ended[1], "a declined one": ended[2]} {
			if c.Name() == "RevokeInvitation" && end == ended[0] {
				continue
			}
			rows = append(rows, row{
				name: what + ", after it ended", given: with(toOrg, end), by: user("adam"), when: c, code: domain.CodePrecondition, reason: domain.InvitationEnded,
			}, row{
				name: what + " whose project has left, by the organization that sent it", by: user("olga"), when: c,
				given: with(toBoth, end, domain.TransferProject{ID: "web", Target: "globex"}), code: domain.CodePrecondition, reason: domain.InvitationEnded,
			}, row{
				name: what + " whose project has left, by the one where it is now", by: user("gary"), when: c, hides: "inv",
				given: with(toBoth, end, domain.TransferProject{ID: "web", Target: "globex"}), code: domain.CodeNotFound, reason: domain.InvitationNotFound,
			})
		}
		rows = append(rows, row{
			name: "to OWNER, by an ADMIN", given: []domain.Command{inviteTo("acme", "", domain.Owner, "")}, by: user("adam"), when: c,
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, row{
			name: "to OWNER of the project, by an ADMIN", given: []domain.Command{inviteTo("", "web", domain.Viewer, domain.Owner)}, by: user("adam"), when: c,
			code: domain.CodeDenied, reason: domain.GrantCeiling,
		}, row{
			name: "to a role that holds more by now, by an ADMIN", by: user("adam"), when: c,
			given: with(customRoles, inviteTo("acme", "", "Editor", ""), domain.UpdateRole{Org: "acme", Role: "Editor", OrgPermissions: new(words("organization:delete"))}),
			code:  domain.CodeDenied, reason: domain.GrantCeiling,
		}, row{
			name: "to a role in the organization as well, by who manages the project's members alone", given: with(projectManager, toBoth...),
			by: user("mia"), when: c, code: domain.CodeDenied, reason: domain.PermissionDenied,
		}, row{
			name: "by a MEMBER", given: toOrg, by: user("mia"), when: c, code: domain.CodeDenied, reason: domain.PermissionDenied,
		}, row{
			name: "by the invited person", given: toOrg, by: user("sam"), when: c, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "inv",
		}, row{
			name: "in a suspended organization", given: with(toOrg, suspended("acme")...), by: user("adam"), when: c,
			code: domain.CodePrecondition, reason: domain.OrgSuspended,
		}, row{
			name: "in a deleted organization", given: with(toOrg, deleted("acme")...), by: instance, when: c,
			code: domain.CodePrecondition, reason: domain.OrgDeleted,
		})
	}
	return rows
}()

// TestInvitationTokens: the newest token finds the invitation, those before and those of revoked ones nothing. Fails if a
// renewal or a revocation leaves the token: tried.
func TestInvitationTokens(t *testing.T) {
	t.Parallel()
	found := func(s *domain.State, token string) bool {
		_, ok := s.InvitationByToken([]byte(token))
		return ok
	}
	sent := inviteTo("acme", "", domain.Viewer, "")
	for _, c := range []struct {
		given    []domain.Command
		old, new bool
	}{
		{[]domain.Command{sent}, true, false},
		{[]domain.Command{sent, resend}, false, true},
		{[]domain.Command{sent, resend, domain.RevokeInvitation{ID: "inv"}}, false, false},
		{[]domain.Command{sent, resend, domain.AcceptInvitation{ID: "inv", User: "sam"}}, false, true},
		{[]domain.Command{sent, domain.DeclineInvitation{ID: "inv", User: "sam"}}, true, false},
	} {
		s := given(t, c.given...)
		if old, renewed := found(s, "token of inv"), found(s, "token 2"); old != c.old || renewed != c.new {
			t.Errorf("after %v: the first token finds %t, the second %t", c.given, old, renewed)
		}
	}
}
