package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// accept is how a person answers the invitation inv.
var accept = domain.AcceptInvitation{TokenHash: []byte("token of inv")}

const (
	samAccepts         = `org_ids:"acme" user_id:"sam" invitation_id:"inv" invitation_accepted{}`
	samAcceptsInWeb    = inWeb + ` user_id:"sam" invitation_id:"inv" invitation_accepted{}`
	miaAccepts         = `org_ids:"acme" user_id:"mia" invitation_id:"inv" invitation_accepted{}`
	miaAcceptsInWeb    = inWeb + ` user_id:"mia" invitation_id:"inv" invitation_accepted{}`
	samBecomes         = ` & org_ids:"acme" user_id:"sam" role_granted{grant{`
	samBecomesInWeb    = ` & ` + inWeb + ` user_id:"sam" role_granted{grant{`
	miaBecomes         = ` & org_ids:"acme" user_id:"mia" role_granted{grant{`
	miaBecomesInWeb    = ` & ` + inWeb + ` user_id:"mia" role_granted{grant{`
	samLosesInWeb      = ` & ` + inWeb + ` user_id:"sam" role_revoked{grant{`
	miaLosesInWeb      = miaBecomesInWeb + `old{role:"OWNER"} new{role:"OWNER" expires_at{@1h}}}}`
	sleepingOwnerInWeb = samLosesInWeb + `role:"OWNER"}}`
)

// mia answers an invitation to acme, where she is MEMBER.
func miaIs(role domain.Role, given ...domain.Command) []domain.Command {
	return append(given, invite("inv", "mia", "acme", "", role, ""))
}

func miaIsInWeb(projectRole domain.Role, given ...domain.Command) []domain.Command {
	return append(given, invite("inv", "mia", "", "web", "", projectRole))
}

// acceptRows fail if adds lets a weaker role pass, or one that covers what comes when a grant ends, or leaves out more time, if
// the block of an override or of a group is not asked for, if overrides wake that hold more than the invitation, or if the token,
// the address, the account, the key or the quota is not asked for: tried, for each.
var acceptRows = []row{
	{
		name: "a new member", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("sam"), when: accept,
		then: samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
	}, {
		name: "a new member, with a role in the project as well", given: []domain.Command{inviteTo("", "web", domain.Viewer, domain.Admin)}, by: user("sam"),
		when: accept, then: samAcceptsInWeb + samBecomes + `new{role:"VIEWER"}}}` + samBecomesInWeb + `new{role:"ADMIN"}}}`,
	}, {
		name: "a new member, of the project alone", given: []domain.Command{inviteTo("", "web", "", domain.Viewer)}, by: user("sam"),
		when: accept, then: samAcceptsInWeb + samBecomes + `new{role:"NONE"}}}` + samBecomesInWeb + `new{role:"VIEWER"}}}`,
	}, {
		name: "a role in the project that the one in the organization gives already", given: []domain.Command{inviteTo("", "web", domain.Admin, domain.Viewer)},
		by: user("sam"), when: accept, then: samAcceptsInWeb + samBecomes + `new{role:"ADMIN"}}}`,
	}, {
		name: "the first owner of an unclaimed organization", given: []domain.Command{inviteTo("empty", "", domain.Owner, "")}, by: user("sam"), when: accept,
		then: `org_ids:"empty" user_id:"sam" invitation_id:"inv" invitation_accepted{} & org_ids:"empty" user_id:"sam" role_granted{grant{new{role:"OWNER"}}}`,
	}, {
		name: "by an instance admin for the person, by id", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: instance,
		when: domain.AcceptInvitation{ID: "inv", User: "sam"}, then: samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
	}, {
		name: "by a person who is an instance admin, by id", given: with(admins, inviteTo("acme", "", domain.Viewer, "")), by: user("sam"),
		when: domain.AcceptInvitation{ID: "inv"}, then: samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
	}, {
		name: "by a key that holds everything", given: miaIs(domain.Admin), by: pat("k_mia", "mia"), when: accept,
		then: miaAccepts + miaBecomes + `old{role:"MEMBER"} new{role:"ADMIN"}}}`,
	}, {
		name: "a moment before it expires", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("sam"), after: week - 1, when: accept,
		then: samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
	},

	// Of a membership that exists only what is added.
	{name: "a weaker role", given: miaIs(domain.Viewer), by: user("mia"), when: accept, then: miaAccepts},
	{name: "the same role", given: miaIs(domain.RoleMember), by: user("mia"), when: accept, then: miaAccepts},
	{
		name: "a role that holds something else", by: user("mia"), when: accept, then: miaAccepts,
		given: miaIs("Auditor", domain.DefineRole{Org: "acme", Role: "Auditor", OrgPermissions: words("auditLogs:read")}),
	}, {
		name: "a weaker role that lasts longer", given: miaIs(domain.Viewer, domain.GrantRole{Org: "acme", User: "mia", Role: domain.Admin, ExpiresAt: in(hour)}),
		by: user("mia"), when: accept, then: miaAccepts,
	}, {
		name: "the same role that lasts longer", given: miaIs(domain.RoleMember, expiringMember("acme", "mia")), by: user("mia"), when: accept,
		then: miaAccepts + miaBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"MEMBER"}}}`,
	}, {
		name: "a stronger role than groups give", given: []domain.Command{team(domain.Viewer, "", "sam"), inviteTo("acme", "", domain.RoleMember, "")}, by: user("sam"),
		when: accept, then: samAccepts + samBecomes + `new{role:"MEMBER"}}}`,
	}, {
		name: "a weaker role than groups give", given: []domain.Command{team(domain.Admin, "", "sam"), inviteTo("acme", "", domain.RoleMember, "")}, by: user("sam"),
		when: accept, then: samAccepts,
	}, {
		name: "a stronger role that would cover what a group gives later", given: miaIs(domain.Admin, team(domain.Owner, "", "mia"), expiringMember("acme", "mia")),
		by: user("mia"), when: accept, then: miaAccepts,
	}, {
		name: "a stronger role in the project", given: miaIsInWeb(domain.Admin), by: user("mia"), when: accept,
		then: miaAcceptsInWeb + miaBecomesInWeb + `new{role:"ADMIN"}}}`,
	}, {
		name: "a weaker role in the project", given: miaIsInWeb(domain.Viewer), by: user("mia"), when: accept, then: miaAcceptsInWeb,
	}, {
		name: "a stronger role in the project than the override", given: miaIsInWeb(domain.Admin, override("mia", domain.Viewer, never)), by: user("mia"), when: accept,
		then: miaAcceptsInWeb + miaBecomesInWeb + `old{role:"VIEWER"} new{role:"ADMIN"}}}`,
	}, {
		name: "a block in the project stays", given: miaIsInWeb(domain.Admin, override("mia", domain.None, never)), by: user("mia"), when: accept, then: miaAcceptsInWeb,
	}, {
		name: "a block for an hour stays", given: miaIsInWeb(domain.Admin, override("mia", domain.None, in(hour))), by: user("mia"), when: accept, then: miaAcceptsInWeb,
	}, {
		name: "a block that is over", given: miaIsInWeb(domain.Admin, override("mia", domain.None, in(hour))), by: user("mia"), after: hour, when: accept,
		then: miaAcceptsInWeb + miaBecomesInWeb + `old{role:"NONE" expires_at{@1h}} new{role:"ADMIN"}}}`,
	}, {
		name: "a block by a group stays", given: miaIsInWeb(domain.Admin, team("", domain.None, "mia")), by: user("mia"), when: accept, then: miaAcceptsInWeb,
	}, {
		name: "NONE inherited is no block", given: []domain.Command{invite("inv", "nora", "", "web", "", domain.Viewer)}, by: user("nora"), when: accept,
		then: inWeb + ` user_id:"nora" invitation_id:"inv" invitation_accepted{} & ` + inWeb + ` user_id:"nora" role_granted{grant{new{role:"VIEWER"}}}`,
	}, {
		name: "a stronger role in the project that would cover the organization's later", by: user("olga"), when: accept,
		given: []domain.Command{override("olga", domain.Viewer, in(hour)), invite("inv", "olga", "", "web", "", domain.Admin)},
		then:  inWeb + ` user_id:"olga" invitation_id:"inv" invitation_accepted{}`,
	}, {
		name: "a stronger role in the project that would cover a group's in the organization later", by: user("mia"), when: accept, then: miaAcceptsInWeb,
		given: miaIsInWeb(domain.Admin, team(domain.Owner, "", "mia"), expiringMember("acme", "mia")),
	},

	// A membership that has expired wakes without what the invitation does not give.
	{
		name: "an OWNER of the project whose membership has expired", by: user("sam"), after: hour, when: accept,
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Owner, never), inviteTo("acme", "", domain.Admin, "")},
		then:  samAccepts + sleepingOwnerInWeb + samBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"ADMIN"}}}`,
	}, {
		name: "an OWNER of the project whose membership has expired, to less there", by: user("sam"), after: hour, when: accept,
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Owner, never), inviteTo("", "web", "", domain.Admin)},
		then: samAcceptsInWeb + sleepingOwnerInWeb + samBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"NONE"}}}` +
			samBecomesInWeb + `new{role:"ADMIN"}}}`,
	}, {
		name: "an override within what the invitation gives in the project wakes", by: user("sam"), after: hour, when: accept,
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Viewer, never), inviteTo("", "web", "", domain.Admin)},
		then: samAcceptsInWeb + samBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"NONE"}}}` +
			samBecomesInWeb + `old{role:"VIEWER"} new{role:"ADMIN"}}}`,
	}, {
		name: "an override within the invitation wakes", by: user("sam"), after: hour, when: accept,
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.Viewer, never), inviteTo("acme", "", domain.Admin, "")},
		then:  samAccepts + samBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"ADMIN"}}}`,
	}, {
		name: "a block of who was no member any more stays", by: user("sam"), after: hour, when: accept,
		given: []domain.Command{expiringMember("acme", "sam"), override("sam", domain.None, never), inviteTo("", "web", domain.Viewer, domain.Admin)},
		then:  samAcceptsInWeb + samBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"VIEWER"}}}`,
	},

	{
		name: "an OWNER's override ends when the membership would have", by: user("mia"), when: accept,
		given: miaIs(domain.RoleMember, override("mia", domain.Owner, never), expiringMember("acme", "mia")),
		then:  miaAccepts + miaLosesInWeb + miaBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"MEMBER"}}}`,
	}, {
		name: "an OWNER's override that ends before the membership would have", by: user("mia"), when: accept,
		given: miaIs(domain.RoleMember, override("mia", domain.Owner, in(hour/2)), expiringMember("acme", "mia")),
		then:  miaAccepts + miaBecomes + `old{role:"MEMBER" expires_at{@1h}} new{role:"MEMBER"}}}`,
	},

	// What became of places and roles meanwhile.
	{
		name: "a project that was deleted, with a role besides", given: []domain.Command{inviteTo("", "web", domain.Viewer, domain.Admin), domain.DeleteProject{ID: "web"}},
		by: user("sam"), when: accept, then: samAcceptsInWeb + samBecomes + `new{role:"VIEWER"}}}`,
	}, {
		name: "a project that has left, with a role besides", by: user("sam"), when: accept,
		given: []domain.Command{inviteTo("", "web", domain.Viewer, domain.Admin), domain.TransferProject{ID: "web", Target: "globex"}},
		then:  samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
	}, {
		name: "one of two, the other being broken", by: user("sam"), when: accept, then: samAccepts + samBecomes + `new{role:"VIEWER"}}}`,
		given: []domain.Command{
			domain.CreateProject{ID: "old", Org: "acme", ProjectName: "Old"}, invite("other", "sam", "", "old", "", domain.Viewer),
			domain.DeleteProject{ID: "old"}, inviteTo("acme", "", domain.Viewer, ""),
		},
	}, {
		name: "an address that has become theirs", by: user("mia"), when: accept, then: miaAccepts + miaBecomes + `old{role:"MEMBER"} new{role:"ADMIN"}}}`,
		given: []domain.Command{
			invite("inv", "who", "acme", "", domain.Admin, ""),
			domain.UpdateUser{ID: "mia", Email: sealed("mia", "who"), EmailDigest: []byte("digest of who")},
		},
	},
	{name: "again", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.AcceptInvitation{ID: "inv", User: "sam"}}, by: user("sam"), when: accept},
	{
		name: "again, after the membership has ended", by: user("sam"), when: accept,
		given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.AcceptInvitation{ID: "inv", User: "sam"}, domain.RevokeRole{Org: "acme", User: "sam"}},
	}, {
		name: "again, under another address", by: user("sam"), when: accept,
		given: []domain.Command{
			inviteTo("acme", "", domain.Viewer, ""), domain.AcceptInvitation{ID: "inv", User: "sam"},
			domain.UpdateUser{ID: "sam", Email: sealed("sam", "new"), EmailDigest: []byte("new")},
		},
	}, {
		name: "a project that was deleted, and nothing besides", given: []domain.Command{inviteTo("", "web", "", domain.Admin), domain.DeleteProject{ID: "web"}},
		by: user("sam"), when: accept, code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "one that has expired", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("sam"), after: week, when: accept,
		code: domain.CodePrecondition, reason: domain.InvitationExpiredReason,
	}, {
		name: "one that was declined", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.DeclineInvitation{ID: "inv", User: "sam"}},
		by: user("sam"), when: accept, code: domain.CodePrecondition, reason: domain.InvitationEnded,
	}, {
		name: "one that was revoked", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.RevokeInvitation{ID: "inv"}}, by: user("sam"),
		when: accept, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv",
	}, {
		name: "one that was revoked, by an instance admin", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.RevokeInvitation{ID: "inv"}},
		by: instance, when: domain.AcceptInvitation{ID: "inv", User: "sam"}, code: domain.CodePrecondition, reason: domain.InvitationEnded,
	}, {
		name: "a token from before the renewal", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), resend}, by: user("sam"), when: accept,
		code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv",
	}, {
		name: "one that somebody else accepted who had the address", by: user("mia"), when: accept,
		given: []domain.Command{
			inviteTo("acme", "", domain.Admin, ""), domain.AcceptInvitation{ID: "inv", User: "sam"},
			domain.UpdateUser{ID: "sam", Email: sealed("sam", "new"), EmailDigest: []byte("new")},
			domain.UpdateUser{ID: "mia", Email: sealed("mia", "sam"), EmailDigest: []byte("digest of sam")},
		},
		code: domain.CodePrecondition, reason: domain.InvitationEnded,
	}, {
		name: "with another address", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("mia"), when: accept,
		code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv",
	}, {
		name: "with another address by now", by: user("sam"), when: accept, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv",
		given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), domain.UpdateUser{ID: "sam", Email: sealed("sam", "new"), EmailDigest: []byte("new")}},
	}, {
		name: "without the token", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("sam"), when: domain.AcceptInvitation{ID: "inv"},
		code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "inv",
	}, {
		name: "for somebody else", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: user("olga"),
		when: domain.AcceptInvitation{TokenHash: []byte("token of inv"), User: "sam"}, code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "sam",
	}, {
		name: "by an instance admin, for who has another address", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: instance,
		when: domain.AcceptInvitation{ID: "inv", User: "mia"}, code: domain.CodeNotFound, reason: domain.InvitationNotFound,
	}, {
		name: "by an instance admin, for nobody", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: instance,
		when: domain.AcceptInvitation{ID: "inv"}, code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "by an instance admin's key that holds less than all", given: with(partialKeys, inviteTo("acme", "", domain.Viewer, "")), by: instanceKey("p_root"),
		when: domain.AcceptInvitation{ID: "inv", User: "sam"}, code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "by a person's key that holds less than all", given: append(miaIs(domain.Admin), partialKeys...), by: pat("p_mia", "mia"), when: accept,
		code: domain.CodeDenied, reason: domain.KeyCeiling,
	}, {
		name: "of a deactivated person, by an instance admin", given: []domain.Command{invite("inv", "dora", "globex", "", domain.Viewer, "")}, by: instance,
		when: domain.AcceptInvitation{ID: "inv", User: "dora"}, code: domain.CodeNotFound, reason: domain.InvitationNotFound,
	}, {
		name: "by a service account", given: with(accounts, inviteTo("acme", "", domain.Viewer, "")), by: user("bot"), when: accept,
		code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv",
	}, {
		name: "by who is suspended", given: miaIs(domain.Admin, memberSuspended("acme", "mia")), by: user("mia"), when: accept,
		code: domain.CodePrecondition, reason: domain.MemberSuspended,
	}, {
		name: "in a suspended organization", given: with(suspended("acme"), inviteTo("acme", "", domain.Viewer, "")), by: user("sam"), when: accept,
		code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: []domain.Command{inviteTo("acme", "", domain.Viewer, ""), deleted("acme")[0]}, by: user("sam"), when: accept,
		code: domain.CodePrecondition, reason: domain.OrgDeleted,
	}, {
		name: "by a key of a project", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: projectKey("k_web", "web"), when: accept,
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "without credentials", given: []domain.Command{inviteTo("acme", "", domain.Viewer, "")}, by: nobody, when: accept,
		code: domain.CodeUnauthenticated, reason: domain.Unauthenticated,
	},
}

// declineRows fail if the address is not asked for: tried.
var declineRows = func() (rows []row) {
	sent := []domain.Command{inviteTo("acme", "", domain.Viewer, "")}
	byToken, byID := domain.DeclineInvitation{TokenHash: []byte("token of inv")}, domain.DeclineInvitation{ID: "inv"}
	const text = `org_ids:"acme" user_id:"sam" invitation_id:"inv" invitation_declined{}`
	again := with(sent, domain.DeclineInvitation{ID: "inv", User: "sam"})
	return append(rows,
		row{name: "by token", given: sent, by: user("sam"), when: byToken, then: text},
		row{name: "by id", given: sent, by: user("sam"), when: byID, then: text},
		row{name: "for somebody, by the instance", given: sent, by: instance, when: domain.DeclineInvitation{ID: "inv", User: "sam"}, then: text},
		row{name: "of a deleted organization", given: with(sent, deleted("acme")...), by: user("sam"), when: byID, then: text},
		row{name: "again", given: again, by: user("sam"), when: byToken},
		row{name: "with another address, by token", given: sent, by: user("mia"), when: byToken, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "token of inv"},
		row{name: "with another address, by id", given: sent, by: user("mia"), when: byID, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "inv"},
		row{name: "with another address, one that was declined", given: again, by: user("mia"), when: byID, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "inv"},
		row{name: "by the organization that sent it", given: sent, by: user("olga"), when: byID, code: domain.CodeNotFound, reason: domain.InvitationNotFound, hides: "inv"},
		row{name: "for somebody else", given: sent, by: user("mia"), when: domain.DeclineInvitation{ID: "inv", User: "sam"}, code: domain.CodeDenied, reason: domain.PermissionDenied, hides: "inv"},
		row{name: "by the instance for nobody", given: sent, by: instance, when: byID, code: domain.CodeInvalid, reason: domain.InvalidField},
		row{name: "by a narrow key of the person", given: with(sent, domain.CreateKey{Minted: minted("k"), User: "sam", Permissions: words("project:read")}), by: pat("k", "sam"), when: byID, code: domain.CodeDenied, reason: domain.KeyCeiling},
		row{name: "one that has expired", given: sent, by: user("sam"), after: week, when: byID, code: domain.CodePrecondition, reason: domain.InvitationExpiredReason},
		row{name: "one that was accepted", given: with(sent, domain.AcceptInvitation{ID: "inv", User: "sam"}), by: user("sam"), when: byID, code: domain.CodePrecondition, reason: domain.InvitationEnded},
		row{name: "one that was revoked", given: with(sent, domain.RevokeInvitation{ID: "inv"}), by: user("sam"), when: byID, code: domain.CodePrecondition, reason: domain.InvitationEnded},
	)
}()

// What an invitation is at a time.
func TestInvitationStatus(t *testing.T) {
	t.Parallel()
	s := given(t, inviteTo("acme", "", domain.Viewer, ""), domain.AcceptInvitation{ID: "inv", User: "sam"})
	i, _ := s.Invitation("inv")
	if i.Status != domain.InvitationAccepted || i.User != "sam" || i.At(in(week)) != domain.InvitationAccepted {
		t.Errorf("got %+v", i)
	}
	s = given(t, inviteTo("acme", "", domain.Viewer, ""))
	if i, _ := s.Invitation("inv"); i.At(in(week-1)) != domain.InvitationPending || i.At(in(week)) != domain.InvitationExpired {
		t.Errorf("of a week: %d and then %d", i.At(in(week-1)), i.At(in(week)))
	}
}
