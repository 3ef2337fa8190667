package tests

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiKey is a key with its secret.
type apiKey struct{ id, public, secret string }

// apiPerson is a user with a personal key.
type apiPerson struct {
	id, email, name string
	key             apiKey
}

// apiTenant is an organization as the tests need it.
type apiTenant struct {
	org, project       string
	owner              apiPerson
	orgKey, projectKey apiKey
	apiFurniture
}

// apiFurniture is what an organization can have besides: a role of its own, a group, a service account, an invitation of a
// person to the organization with its token, one to the project, an offer that it made and one that it got.
type apiFurniture struct {
	role, group, account                 string
	invitation, projectInvitation, token string
	offer, offered                       string
	webhook                              string // apiNowhere's on a server without the feed
}

var apiCount atomic.Int64

// apiUnique makes a name that no other test has.
func apiUnique(name string) string { return fmt.Sprintf("%s-%d", name, apiCount.Add(1)) }

func (s *apiServer) person(t testing.TB) apiPerson {
	t.Helper()
	name := apiUnique("person")
	p := apiPerson{email: name + "@example.com", name: "Name of " + name}
	p.id = apiOK[*tenurev1.RegisterUserResponse](t, s.admin(), &tenurev1.RegisterUserRequest{Email: p.email, Name: p.name}).User.Id
	p.key = s.key(t, s.admin(), &tenurev1.CreateKeyRequest{UserId: p.id})
	return p
}

func (s *apiServer) key(t testing.TB, by apiCaller, req *tenurev1.CreateKeyRequest) apiKey {
	t.Helper()
	res := apiOK[*tenurev1.CreateKeyResponse](t, by, req)
	return apiKey{res.Key.Id, res.Key.PublicKey, res.Secret}
}

func (s *apiServer) org(t testing.TB, owner string) string {
	t.Helper()
	return apiOK[*tenurev1.CreateOrgResponse](t, s.admin(), &tenurev1.CreateOrgRequest{Name: apiUnique("org"), OwnerUserId: owner}).Org.Id
}

func (s *apiServer) project(t testing.TB, org string) string {
	t.Helper()
	return apiOK[*tenurev1.CreateProjectResponse](t, s.admin(), &tenurev1.CreateProjectRequest{OrgId: org, Name: apiUnique("project")}).Project.Id
}

func (s *apiServer) tenant(t testing.TB) apiTenant {
	t.Helper()
	a := apiTenant{owner: s.person(t)}
	a.org = s.org(t, a.owner.id)
	a.project = s.project(t, a.org)
	a.orgKey = s.key(t, s.admin(), &tenurev1.CreateKeyRequest{OrgId: a.org})
	a.projectKey = s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
	return a
}

// furnished is a tenant with everything that an organization can have; its owner is the person invited.
func (s *apiServer) furnished(t testing.TB) apiTenant {
	t.Helper()
	a := s.tenant(t)
	a.apiFurniture = s.furniture(t, a.org, a.project, s.org(t, ""), a.owner.email)
	return a
}

func (s *apiServer) furniture(t testing.TB, org, project, other, email string) (f apiFurniture) {
	t.Helper()
	admin := s.admin()
	f.role = apiOK[*tenurev1.DefineRoleResponse](t, admin, &tenurev1.DefineRoleRequest{
		OrgId: org, Role: apiUnique("role"), ProjectPermissions: []string{"prompts:read"},
	}).Role.Name
	f.group = apiOK[*tenurev1.CreateGroupResponse](t, admin, &tenurev1.CreateGroupRequest{OrgId: org, Name: apiUnique("group")}).Group.Id
	f.account = apiOK[*tenurev1.CreateServiceAccountResponse](t, admin, &tenurev1.CreateServiceAccountRequest{
		OrgId: org, Name: apiUnique("account"),
	}).User.Id
	invited := apiOK[*tenurev1.InviteResponse](t, admin, &tenurev1.InviteRequest{OrgId: org, Email: email, Role: "VIEWER"})
	f.invitation, f.token = invited.Invitation.Id, invited.AcceptToken
	f.projectInvitation = apiOK[*tenurev1.InviteResponse](t, admin, &tenurev1.InviteRequest{
		ProjectId: project, Email: apiUnique("invited") + "@example.com", ProjectRole: "VIEWER",
	}).Invitation.Id
	f.webhook = apiNowhere.webhook
	if s.ReadModels.Feed != nil {
		// An organization has few of them.
		o, _ := s.Engine.State().Org(domain.OrgID(org))
		for _, id := range o.Webhooks.Keys() {
			apiOK[*tenurev1.DeleteWebhookResponse](t, admin, &tenurev1.DeleteWebhookRequest{WebhookId: string(id)})
		}
		f.webhook = apiOK[*tenurev1.CreateWebhookResponse](t, admin, &tenurev1.CreateWebhookRequest{OrgId: org, Url: apiHook, EventTypes: []string{"OrgDeleted"}}).Webhook.Id
	}
	f.offer, f.offered = s.offer(t, s.project(t, org), other), s.offer(t, s.project(t, other), org)
	return f
}

func (s *apiServer) offer(t testing.TB, project, target string) string {
	t.Helper()
	return apiOK[*tenurev1.OfferTransferResponse](t, s.admin(), &tenurev1.OfferTransferRequest{ProjectId: project, TargetOrgId: target}).Offer.Id
}

// apiNames are the ids that a request can name.
type apiNames struct {
	org, target, project, user, key string
	// public and secret are what VerifyKey is asked about.
	public, secret string
	apiFurniture
}

// names are the tenant's own things.
func (a apiTenant) names() apiNames {
	return apiNames{
		org: a.org, target: a.org, project: a.project, user: a.owner.id, key: a.projectKey.id,
		public: a.projectKey.public, secret: a.projectKey.secret, apiFurniture: a.apiFurniture,
	}
}
