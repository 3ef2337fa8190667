package tests

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// register makes a person of an address.
func (s *apiServer) register(t testing.TB, email string) apiPerson {
	t.Helper()
	p := apiPerson{email: email, name: "Name of " + email}
	p.id = apiOK[*tenurev1.RegisterUserResponse](t, s.admin(), &tenurev1.RegisterUserRequest{Email: email, Name: p.name}).User.Id
	p.key = s.key(t, s.admin(), &tenurev1.CreateKeyRequest{UserId: p.id})
	return p
}

// An invitation waits for somebody to have the address, is accepted by them alone, with its token, and gives what it said. Seen
// to fail when invitedPerson does not compare the address.
func TestAPIInvitationStory(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	sent := apiOK[*tenurev1.InviteResponse](t, owner, &tenurev1.InviteRequest{
		ProjectId: a.project, Email: "Ada.Invited@Example.com", Role: "VIEWER", ProjectRole: "ADMIN",
	})
	org := apiOK[*tenurev1.GetOrgResponse](t, owner, &tenurev1.GetOrgRequest{OrgId: a.org}).Org
	want := &tenurev1.Invitation{
		Id: sent.Invitation.Id, OrgId: a.org, OrgName: org.Name, Email: "ada.invited@example.com", Role: "VIEWER", ProjectId: a.project, ProjectRole: "ADMIN",
		Status: tenurev1.InvitationStatus_INVITATION_STATUS_PENDING, InvitedBy: "user " + a.owner.id, CreatedAt: sent.Invitation.CreatedAt,
		ExpiresAt: timestamppb.New(sent.Invitation.CreatedAt.AsTime().Add(7 * 24 * time.Hour)),
	}
	if d := sent.Invitation.ExpiresAt.AsTime().Sub(want.ExpiresAt.AsTime()); d.Abs() < time.Second {
		want.ExpiresAt = sent.Invitation.ExpiresAt
	}
	if !proto.Equal(sent.Invitation, want) || sent.AcceptToken == "" {
		t.Errorf("sent %v, want %v", sent, want)
	}
	ada, eve := s.register(t, "ada.invited@example.com"), s.person(t)
	mine := &tenurev1.ListInvitationsRequest{UserId: ada.id}
	list := apiOK[*tenurev1.ListInvitationsResponse](t, s.bearer(ada.key.secret), mine).Invitations
	if len(list) != 1 || !proto.Equal(list[0], want) {
		t.Errorf("the person sees %v", list)
	}
	accept := &tenurev1.AcceptInvitationRequest{AcceptToken: sent.AcceptToken}
	before := s.mark()
	wrong := apiRefused(t, s.bearer(ada.key.secret), &tenurev1.AcceptInvitationRequest{AcceptToken: sent.AcceptToken + "x"}, connect.CodeNotFound, domain.InvitationNotFound)
	for name, row := range map[string]struct {
		caller  apiCaller
		request proto.Message
	}{
		"another person, right token":        {s.bearer(eve.key.secret), accept},
		"another person declines":            {s.bearer(eve.key.secret), &tenurev1.DeclineInvitationRequest{InvitationId: sent.Invitation.Id}},
		"another person declines with token": {s.bearer(eve.key.secret), &tenurev1.DeclineInvitationRequest{AcceptToken: sent.AcceptToken}},
		"nothing to decline":                 {s.bearer(eve.key.secret), &tenurev1.DeclineInvitationRequest{InvitationId: apiNowhere.invitation}},
		"admin, for another person":          {s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: sent.Invitation.Id, UserId: eve.id}},
		"admin, for nobody":                  {s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: sent.Invitation.Id, UserId: apiNowhere.user}},
		"admin, nothing to accept":           {s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: apiNowhere.invitation, UserId: ada.id}},
	} {
		if got := apiRefused(t, row.caller, row.request, connect.CodeNotFound, domain.InvitationNotFound); got != wrong {
			t.Errorf("%s: %+v, want %+v", name, got, wrong)
		}
	}
	// The id alone is not enough for the person either, nor is a key that does not hold everything.
	apiRefused(t, s.bearer(ada.key.secret), &tenurev1.AcceptInvitationRequest{InvitationId: sent.Invitation.Id}, connect.CodePermissionDenied, domain.PermissionDenied)
	before.unchanged(t, s)
	narrow := s.key(t, s.bearer(ada.key.secret), &tenurev1.CreateKeyRequest{UserId: ada.id, Preset: "read-only"})
	apiRefused(t, s.bearer(narrow.secret), accept, connect.CodePermissionDenied, domain.KeyCeiling)

	accepted := apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(ada.key.secret), accept)
	if accepted.Invitation.Status != tenurev1.InvitationStatus_INVITATION_STATUS_ACCEPTED || accepted.Invitation.Id != want.Id {
		t.Errorf("accepted %v", accepted.Invitation)
	}
	apiIs(t, owner, &tenurev1.CheckRequest{UserId: ada.id, OrgId: a.org, Permission: "organizationMembers:read"}, "false ROLE_LACKS_PERMISSION VIEWER")
	apiIs(t, owner, &tenurev1.CheckRequest{UserId: ada.id, ProjectId: a.project, Permission: "apiKeys:CUD"}, "true PROJECT_OVERRIDE ADMIN")
	after := s.mark()
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(ada.key.secret), accept)
	after.unchanged(t, s)
	ended := &tenurev1.DeclineInvitationRequest{AcceptToken: sent.AcceptToken}
	apiRefused(t, s.bearer(ada.key.secret), ended, connect.CodeFailedPrecondition, domain.InvitationEnded)
	apiRefused(t, owner, &tenurev1.RevokeInvitationRequest{InvitationId: want.Id}, connect.CodeFailedPrecondition, domain.InvitationEnded)
	apiRefused(t, owner, &tenurev1.ResendInvitationRequest{InvitationId: want.Id}, connect.CodeFailedPrecondition, domain.InvitationEnded)
	if list := apiOK[*tenurev1.ListInvitationsResponse](t, s.bearer(ada.key.secret), mine).Invitations; len(list) != 0 {
		t.Errorf("still pending: %v", list)
	}
	mine.IncludeEnded = true
	if list := apiOK[*tenurev1.ListInvitationsResponse](t, s.bearer(ada.key.secret), mine).Invitations; len(list) != 1 {
		t.Errorf("ended: %v", list)
	}
}

// An invitation is good for its time, can be sent anew, which makes the token before worthless, taken back and turned down.
// Seen to fail when invitationResent leaves the old token in place.
func TestAPIInvitationExpiresAndIsRenewed(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner, p := s.bearer(a.owner.key.secret), s.person(t)
	person := s.bearer(p.key.secret)
	invite := &tenurev1.InviteRequest{OrgId: a.org, Email: p.email, Role: "MEMBER", ExpiresAt: timestamppb.New(s.Engine.Now().Add(2 * time.Second))}
	sent := apiOK[*tenurev1.InviteResponse](t, owner, invite)
	again := apiRefused(t, owner, invite, connect.CodeAlreadyExists, domain.InvitationExists)
	if !apiIDs.MatchString(again.message) {
		t.Errorf("%q does not name the invitation", again.message)
	}
	s.ahead.Add(int64(2 * time.Second))
	accept := func(token string) proto.Message { return &tenurev1.AcceptInvitationRequest{AcceptToken: token} }
	apiRefused(t, person, accept(sent.AcceptToken), connect.CodeFailedPrecondition, domain.InvitationExpiredReason)
	apiRefused(t, person, &tenurev1.DeclineInvitationRequest{AcceptToken: sent.AcceptToken}, connect.CodeFailedPrecondition, domain.InvitationExpiredReason)
	list := apiOK[*tenurev1.ListInvitationsResponse](t, owner, &tenurev1.ListInvitationsRequest{OrgId: a.org, IncludeEnded: true}).Invitations
	if len(list) != 1 || list[0].Status != tenurev1.InvitationStatus_INVITATION_STATUS_EXPIRED {
		t.Errorf("expired: %v", list)
	}
	renewed := apiOK[*tenurev1.ResendInvitationResponse](t, owner, &tenurev1.ResendInvitationRequest{InvitationId: sent.Invitation.Id})
	if renewed.Invitation.Id != sent.Invitation.Id || renewed.AcceptToken == sent.AcceptToken || renewed.Invitation.Status != tenurev1.InvitationStatus_INVITATION_STATUS_PENDING {
		t.Errorf("renewed: %v", renewed.Invitation)
	}
	apiRefused(t, person, accept(sent.AcceptToken), connect.CodeNotFound, domain.InvitationNotFound)
	apiOK[*tenurev1.RevokeInvitationResponse](t, owner, &tenurev1.RevokeInvitationRequest{InvitationId: sent.Invitation.Id})
	apiRefused(t, person, accept(renewed.AcceptToken), connect.CodeNotFound, domain.InvitationNotFound)
	apiRefused(t, s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: sent.Invitation.Id, UserId: p.id}, connect.CodeFailedPrecondition, domain.InvitationEnded)

	invite.ExpiresAt = nil
	second := apiOK[*tenurev1.InviteResponse](t, owner, invite)
	declined := apiOK[*tenurev1.DeclineInvitationResponse](t, person, &tenurev1.DeclineInvitationRequest{InvitationId: second.Invitation.Id}).Invitation
	if declined.Status != tenurev1.InvitationStatus_INVITATION_STATUS_DECLINED {
		t.Errorf("declined: %v", declined)
	}
	apiRefused(t, person, accept(second.AcceptToken), connect.CodeFailedPrecondition, domain.InvitationEnded)
	// An instance admin who has checked the address accepts by the id.
	third := apiOK[*tenurev1.InviteResponse](t, owner, invite)
	apiRefused(t, s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: third.Invitation.Id}, connect.CodeInvalidArgument, domain.InvalidField)
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.admin(), &tenurev1.AcceptInvitationRequest{InvitationId: third.Invitation.Id, UserId: p.id})
	apiIs(t, owner, &tenurev1.CheckRequest{UserId: p.id, OrgId: a.org, Permission: "organizationMembers:read"}, "true ORG_ROLE MEMBER")
}

// An acceptance takes nothing away and lifts no block, and one invitation stands in no other's way. Seen to fail when the role of
// the invitation is granted whatever is there.
func TestAPIInvitationOnlyAdds(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.tenant(t), s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	invite := func(by apiCaller, req *tenurev1.InviteRequest) proto.Message {
		return &tenurev1.AcceptInvitationRequest{AcceptToken: apiOK[*tenurev1.InviteResponse](t, by, req).AcceptToken}
	}
	weaker := invite(owner, &tenurev1.InviteRequest{OrgId: a.org, Email: a.owner.email, Role: "VIEWER"})
	apiOK[*tenurev1.AcceptInvitationResponse](t, owner, weaker)
	apiIs(t, owner, &tenurev1.CheckRequest{OrgId: a.org, Permission: "organization:delete"}, "true ORG_ROLE OWNER")

	m := s.join(t, a.org, "VIEWER")
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: m.id, Role: "NONE"})
	blocked := invite(owner, &tenurev1.InviteRequest{ProjectId: a.project, Email: m.email, Role: "MEMBER", ProjectRole: "ADMIN"})
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(m.key.secret), blocked)
	apiIs(t, owner, &tenurev1.CheckRequest{UserId: m.id, OrgId: a.org, Permission: "organizationMembers:read"}, "true ORG_ROLE MEMBER")
	apiIs(t, owner, &tenurev1.CheckRequest{UserId: m.id, ProjectId: a.project, Permission: "project:read"}, "false BLOCKED_IN_PROJECT NONE")

	p := s.person(t)
	shut := invite(s.bearer(b.owner.key.secret), &tenurev1.InviteRequest{OrgId: b.org, Email: p.email, Role: "MEMBER"})
	open := invite(owner, &tenurev1.InviteRequest{OrgId: a.org, Email: p.email, Role: "MEMBER"})
	apiOK[*tenurev1.SuspendOrgResponse](t, s.admin(), &tenurev1.SuspendOrgRequest{OrgId: b.org})
	apiRefused(t, s.bearer(p.key.secret), shut, connect.CodeFailedPrecondition, domain.OrgSuspended)
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(p.key.secret), open)
	apiOK[*tenurev1.SuspendMemberResponse](t, owner, &tenurev1.SuspendMemberRequest{OrgId: a.org, UserId: p.id})
	more := invite(owner, &tenurev1.InviteRequest{OrgId: a.org, Email: p.email, Role: "ADMIN"})
	apiRefused(t, s.bearer(p.key.secret), more, connect.CodeFailedPrecondition, domain.MemberSuspended)
	apiOK[*tenurev1.ResumeOrgResponse](t, s.admin(), &tenurev1.ResumeOrgRequest{OrgId: b.org})
	apiOK[*tenurev1.AcceptInvitationResponse](t, s.bearer(p.key.secret), shut)
}

// Nobody invites to more than they hold, and who manages one project's members invites to that project alone. Seen to fail when
// mayInvite asks for no ceiling.
func TestAPIInvitationCeiling(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	admin, local := s.bearer(s.join(t, a.org, "ADMIN").key.secret), s.join(t, a.org, "NONE")
	apiOK[*tenurev1.GrantRoleResponse](t, s.admin(), &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: local.id, Role: "ADMIN"})
	strong := apiOK[*tenurev1.InviteResponse](t, s.admin(), &tenurev1.InviteRequest{OrgId: a.org, Email: "future-owner@example.com", Role: "OWNER"}).Invitation
	both := apiOK[*tenurev1.InviteResponse](t, s.admin(), &tenurev1.InviteRequest{ProjectId: a.project, Email: "both@example.com", Role: "VIEWER", ProjectRole: "VIEWER"}).Invitation
	before := s.mark()
	for _, row := range []struct {
		caller  apiCaller
		request proto.Message
		reason  domain.Reason
	}{
		{admin, &tenurev1.InviteRequest{OrgId: a.org, Email: "x@example.com", Role: "OWNER"}, domain.GrantCeiling},
		{admin, &tenurev1.InviteRequest{ProjectId: a.project, Email: "x@example.com", ProjectRole: "OWNER"}, domain.GrantCeiling},
		{s.bearer(local.key.secret), &tenurev1.InviteRequest{ProjectId: a.project, Email: "x@example.com", ProjectRole: "OWNER"}, domain.GrantCeiling},
		{s.bearer(local.key.secret), &tenurev1.InviteRequest{ProjectId: a.project, Email: "x@example.com", ProjectRole: "VIEWER", Role: "VIEWER"}, domain.PermissionDenied},
		{admin, &tenurev1.ResendInvitationRequest{InvitationId: strong.Id}, domain.GrantCeiling},
		{admin, &tenurev1.RevokeInvitationRequest{InvitationId: strong.Id}, domain.GrantCeiling},
		{s.bearer(local.key.secret), &tenurev1.ResendInvitationRequest{InvitationId: both.Id}, domain.PermissionDenied},
		{s.bearer(local.key.secret), &tenurev1.RevokeInvitationRequest{InvitationId: strong.Id}, domain.PermissionDenied},
	} {
		apiRefused(t, row.caller, row.request, connect.CodePermissionDenied, row.reason)
	}
	before.unchanged(t, s)
	apiOK[*tenurev1.InviteResponse](t, s.bearer(local.key.secret), &tenurev1.InviteRequest{ProjectId: a.project, Email: "y@example.com", ProjectRole: "ADMIN"})
	apiOK[*tenurev1.RevokeInvitationResponse](t, admin, &tenurev1.RevokeInvitationRequest{InvitationId: both.Id})
}
