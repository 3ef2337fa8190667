package tests

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A key of a service account never holds more than whoever made it, whatever becomes of the account. Seen to fail when keyCeiling
// knows no place for keys of service accounts.
func TestAPIAccountKeysKeepTheirMakersCeiling(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	// ADMIN with the right to make keys: built-in ADMIN has none.
	own := apiOK[*tenurev1.ListRolesResponse](t, owner, &tenurev1.ListRolesRequest{OrgId: a.org}).Roles
	apiOK[*tenurev1.DefineRoleResponse](t, owner, &tenurev1.DefineRoleRequest{
		OrgId: a.org, Role: "KEYMAKER", OrganizationPermissions: append(own[1].OrganizationPermissions, "organization:CRUD_apiKeys"), ProjectPermissions: own[1].ProjectPermissions,
	})
	admin, keymaker := s.bearer(s.join(t, a.org, "ADMIN").key.secret), s.bearer(s.join(t, a.org, "KEYMAKER").key.secret)
	made := apiOK[*tenurev1.CreateServiceAccountResponse](t, admin, &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "deploys", Role: "MEMBER"}).User
	if made.ServiceOrgId != a.org || made.Name != "deploys" || made.Email != "" || made.Status != tenurev1.UserStatus_USER_STATUS_ACTIVE {
		t.Errorf("made %v", made)
	}
	apiRefused(t, admin, &tenurev1.CreateKeyRequest{UserId: made.Id}, connect.CodePermissionDenied, domain.PermissionDenied)
	weak := s.key(t, keymaker, &tenurev1.CreateKeyRequest{UserId: made.Id})
	strong := s.key(t, owner, &tenurev1.CreateKeyRequest{UserId: made.Id})
	apiRefused(t, keymaker, &tenurev1.CreateKeyRequest{UserId: made.Id, Permissions: []string{"organization:delete"}}, connect.CodePermissionDenied, domain.KeyCeiling)
	for _, request := range []proto.Message{
		&tenurev1.RotateKeyRequest{KeyId: strong.id},
		&tenurev1.UpdateKeyRequest{KeyId: weak.id, Permissions: []string{"organization:delete"}},
		&tenurev1.UpdateKeyRequest{KeyId: strong.id, AllowedNetworks: []string{"10.0.0.0/8"}},
	} {
		apiRefused(t, keymaker, request, connect.CodePermissionDenied, domain.KeyCeiling)
	}
	for _, permission := range []string{"organization:delete", "projects:create"} {
		apiIs(t, owner, &tenurev1.CheckRequest{KeyId: weak.id, OrgId: a.org, Permission: permission}, "false ROLE_LACKS_PERMISSION MEMBER")
	}
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: made.Id, Role: "OWNER"})
	apiIs(t, owner, &tenurev1.CheckRequest{KeyId: weak.id, OrgId: a.org, Permission: "projects:create"}, "true ORG_ROLE OWNER")
	apiIs(t, owner, &tenurev1.CheckRequest{KeyId: weak.id, OrgId: a.org, Permission: "organization:delete"}, "false KEY_LACKS_PERMISSION OWNER")
	apiIs(t, owner, &tenurev1.CheckRequest{KeyId: strong.id, OrgId: a.org, Permission: "organization:delete"}, "true ORG_ROLE OWNER")
	apiRefused(t, s.bearer(weak.secret), &tenurev1.DeleteOrgRequest{OrgId: a.org, Cascade: true}, connect.CodePermissionDenied, domain.PermissionDenied)
	if who := apiOK[*tenurev1.WhoAmIResponse](t, s.bearer(weak.secret), &tenurev1.WhoAmIRequest{}); who.UserId != made.Id || slices.Contains(who.Permissions, "organization:delete") {
		t.Errorf("the key says %v", who)
	}
	// It may hold OWNER, but owns nothing.
	apiRefused(t, owner, &tenurev1.LeaveOrgRequest{OrgId: a.org}, connect.CodeFailedPrecondition, domain.LastOwner)
	apiOK[*tenurev1.SuspendOrgResponse](t, s.admin(), &tenurev1.SuspendOrgRequest{OrgId: a.org})
	apiRefused(t, s.bearer(weak.secret), &tenurev1.WhoAmIRequest{}, connect.CodeUnauthenticated, domain.OrgSuspended)
}

// A service account is at home in one organization, and nothing of a person. Seen to fail when grantable does not look at Home.
func TestAPIAccountIsNoPerson(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.furnished(t), s.furnished(t)
	owner, admin := s.bearer(a.owner.key.secret), s.admin()
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.account, Role: "OWNER"})
	key := s.bearer(s.key(t, owner, &tenurev1.CreateKeyRequest{UserId: a.account}).secret)
	grant := func(user string) apiError {
		e := apiRefused(t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: user, Role: "VIEWER"}, connect.CodeNotFound, domain.UserNotFound)
		e.message = strings.ReplaceAll(e.message, user, "<user>")
		return e
	}
	if theirs, none := grant(b.account), grant(apiNowhere.user); theirs != none {
		t.Errorf("a service account of another organization: %+v, nobody: %+v", theirs, none)
	}
	for _, row := range []struct {
		caller  apiCaller
		request proto.Message
		code    connect.Code
		reason  domain.Reason
	}{
		{admin, &tenurev1.GrantInstanceAdminRequest{UserId: a.account}, connect.CodeFailedPrecondition, domain.IsServiceAccount},
		{admin, &tenurev1.LinkIdentityRequest{UserId: a.account, Issuer: "https://x.example", Subject: "x"}, connect.CodeFailedPrecondition, domain.IsServiceAccount},
		{admin, &tenurev1.UpdateUserRequest{UserId: a.account, Email: proto.String("x@example.com")}, connect.CodeFailedPrecondition, domain.IsServiceAccount},
		{key, &tenurev1.CreateOrgRequest{Name: "made by a program"}, connect.CodePermissionDenied, domain.PermissionDenied},
		{key, &tenurev1.AcceptInvitationRequest{AcceptToken: b.token}, connect.CodeNotFound, domain.InvitationNotFound},
		{admin, &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "chosen", UserId: b.account}, connect.CodeAlreadyExists, domain.IDTaken},
		{owner, &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: "chosen", UserId: "mine"}, connect.CodePermissionDenied, domain.ChosenID},
	} {
		apiRefused(t, row.caller, row.request, row.code, row.reason)
	}
	// Choosing an id that is taken leaves its owner's name readable.
	u := apiOK[*tenurev1.GetUserResponse](t, s.bearer(b.owner.key.secret), &tenurev1.GetUserRequest{UserId: b.account}).User
	if !strings.HasPrefix(u.Name, "account-") {
		t.Errorf("after somebody chose its id: %v", u)
	}
	renamed := apiOK[*tenurev1.UpdateUserResponse](t, owner, &tenurev1.UpdateUserRequest{UserId: a.account, Name: proto.String("renamed")}).User
	if renamed.Name != "renamed" {
		t.Errorf("renamed: %v", renamed)
	}
}

// An account elsewhere belongs to one person at a time, who is found by it. Seen to fail when identities are compared by the
// subject alone.
func TestAPIIdentity(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p, q := s.person(t), s.person(t)
	const issuer, subject = "https://accounts.example.com", "Subject-Canary-1"
	link := func(user, issuer, subject string) *tenurev1.LinkIdentityRequest {
		return &tenurev1.LinkIdentityRequest{UserId: user, Issuer: issuer, Subject: subject}
	}
	find := func(issuer, subject string) (ids []string) {
		req := &tenurev1.ListUsersRequest{Identity: &tenurev1.Identity{Issuer: issuer, Subject: subject}}
		for _, u := range apiOK[*tenurev1.ListUsersResponse](t, s.admin(), req).Users {
			ids = append(ids, u.Id)
		}
		return ids
	}
	person := s.bearer(p.key.secret)
	u := apiOK[*tenurev1.LinkIdentityResponse](t, person, link(p.id, issuer, subject)).User
	if len(u.Identities) != 1 || u.Identities[0].Issuer != issuer || u.Identities[0].Subject != subject {
		t.Errorf("linked: %v", u)
	}
	before := s.mark()
	apiOK[*tenurev1.LinkIdentityResponse](t, person, link(p.id, issuer, subject))
	apiRefused(t, s.bearer(q.key.secret), link(q.id, issuer, subject), connect.CodeAlreadyExists, domain.IdentityTaken)
	apiRefused(t, person, link(q.id, issuer, "another"), connect.CodeNotFound, domain.UserNotFound)
	before.unchanged(t, s)
	narrow := s.bearer(s.key(t, person, &tenurev1.CreateKeyRequest{UserId: p.id, Preset: "read-only"}).secret)
	apiRefused(t, narrow, link(p.id, issuer, "another"), connect.CodePermissionDenied, domain.KeyCeiling)
	unlink := &tenurev1.UnlinkIdentityRequest{UserId: p.id, Issuer: issuer, Subject: subject}
	apiRefused(t, narrow, unlink, connect.CodePermissionDenied, domain.KeyCeiling)
	apiOK[*tenurev1.LinkIdentityResponse](t, s.bearer(q.key.secret), link(q.id, "https://other.example.com", subject))
	if got := find(issuer, subject); !slices.Equal(got, []string{p.id}) {
		t.Errorf("found %v", got)
	}
	if got := find(issuer, strings.ToLower(subject)); got != nil {
		t.Errorf("found %v in another spelling", got)
	}
	if u := apiOK[*tenurev1.UnlinkIdentityResponse](t, person, unlink).User; len(u.Identities) != 0 {
		t.Errorf("unlinked: %v", u)
	}
	apiOK[*tenurev1.UnlinkIdentityResponse](t, person, unlink)
	if got := find(issuer, subject); got != nil {
		t.Errorf("found %v after the end", got)
	}
	apiOK[*tenurev1.LinkIdentityResponse](t, s.bearer(q.key.secret), link(q.id, issuer, subject))
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: q.id})
	if got := find(issuer, subject); got != nil {
		t.Errorf("found the erased %v", got)
	}
	s.logLacks(t, subject)
}
