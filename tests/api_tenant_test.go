package tests

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

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

// apiNames are the ids that a request can name.
type apiNames struct {
	org, target, project, user, key string
	// public and secret are what VerifyKey is asked about.
	public, secret string
}

// names are the tenant's own things.
func (a apiTenant) names() apiNames {
	return apiNames{
		org: a.org, target: a.org, project: a.project, user: a.owner.id, key: a.projectKey.id,
		public: a.projectKey.public, secret: a.projectKey.secret,
	}
}

// apiForms are the requests of one method.
type apiForms []proto.Message

// apiRequests makes the least valid request of every method, in the forms it takes: of an organization, a project and so
// on. A new method without an entry fails every test that visits all of them.
var apiRequests = map[string]func(n apiNames) apiForms{
	"CreateOrg": func(apiNames) apiForms {
		return apiForms{&tenurev1.CreateOrgRequest{Name: "org of a test"}}
	},
	"GetOrg":   func(n apiNames) apiForms { return apiForms{&tenurev1.GetOrgRequest{OrgId: n.org}} },
	"ListOrgs": func(apiNames) apiForms { return apiForms{&tenurev1.ListOrgsRequest{}} },
	"UpdateOrg": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateOrgRequest{OrgId: n.org, Name: proto.String(apiUnique("renamed by a test"))}}
	},
	"SuspendOrg": func(n apiNames) apiForms { return apiForms{&tenurev1.SuspendOrgRequest{OrgId: n.org}} },
	"ResumeOrg":  func(n apiNames) apiForms { return apiForms{&tenurev1.ResumeOrgRequest{OrgId: n.org}} },
	"DeleteOrg": func(n apiNames) apiForms {
		return apiForms{&tenurev1.DeleteOrgRequest{OrgId: n.org, Cascade: true}}
	},

	"CreateProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.CreateProjectRequest{OrgId: n.org, Name: apiUnique("project of a test")}}
	},
	"GetProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.GetProjectRequest{ProjectId: n.project}}
	},
	"ListProjects": func(n apiNames) apiForms { return apiForms{&tenurev1.ListProjectsRequest{OrgId: n.org}} },
	"UpdateProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateProjectRequest{ProjectId: n.project, Name: proto.String(apiUnique("renamed by a test"))}}
	},
	"DeleteProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.DeleteProjectRequest{ProjectId: n.project}}
	},
	"RestoreProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.RestoreProjectRequest{ProjectId: n.project}}
	},
	"TransferProject": func(n apiNames) apiForms {
		return apiForms{&tenurev1.TransferProjectRequest{ProjectId: n.project, TargetOrgId: n.target}}
	},
	"PreviewTransfer": func(n apiNames) apiForms {
		return apiForms{&tenurev1.PreviewTransferRequest{ProjectId: n.project, TargetOrgId: n.target}}
	},

	"GrantRole": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.GrantRoleRequest{OrgId: n.org, UserId: n.user, Role: "VIEWER"},
			&tenurev1.GrantRoleRequest{ProjectId: n.project, UserId: n.user, Role: "VIEWER"},
		}
	},
	"RevokeRole": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.RevokeRoleRequest{OrgId: n.org, UserId: n.user},
			&tenurev1.RevokeRoleRequest{ProjectId: n.project, UserId: n.user},
		}
	},
	"ListMembers": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ListMembersRequest{OrgId: n.org}, &tenurev1.ListMembersRequest{ProjectId: n.project}}
	},

	"RegisterUser": func(apiNames) apiForms {
		return apiForms{&tenurev1.RegisterUserRequest{Email: "registered@example.com"}}
	},
	"GetUser":   func(n apiNames) apiForms { return apiForms{&tenurev1.GetUserRequest{UserId: n.user}} },
	"ListUsers": func(apiNames) apiForms { return apiForms{&tenurev1.ListUsersRequest{}} },
	"UpdateUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateUserRequest{UserId: n.user, Name: proto.String("Renamed by a Test")}}
	},
	"DeactivateUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.DeactivateUserRequest{UserId: n.user}}
	},
	"ReactivateUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ReactivateUserRequest{UserId: n.user}}
	},
	"EraseUser": func(n apiNames) apiForms { return apiForms{&tenurev1.EraseUserRequest{UserId: n.user}} },

	"CreateKey": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.CreateKeyRequest{ProjectId: n.project}, &tenurev1.CreateKeyRequest{OrgId: n.org},
			&tenurev1.CreateKeyRequest{UserId: n.user}, &tenurev1.CreateKeyRequest{Instance: true},
		}
	},
	"GetKey": func(n apiNames) apiForms { return apiForms{&tenurev1.GetKeyRequest{KeyId: n.key}} },
	"ListKeys": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ListKeysRequest{ProjectId: n.project}, &tenurev1.ListKeysRequest{OrgId: n.org},
			&tenurev1.ListKeysRequest{UserId: n.user}, &tenurev1.ListKeysRequest{Instance: true},
		}
	},
	"UpdateKey": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateKeyRequest{KeyId: n.key, Note: proto.String("noted by a test")}}
	},
	"RotateKey": func(n apiNames) apiForms { return apiForms{&tenurev1.RotateKeyRequest{KeyId: n.key}} },
	"RevokeKey": func(n apiNames) apiForms { return apiForms{&tenurev1.RevokeKeyRequest{KeyId: n.key}} },
	"VerifyKey": func(n apiNames) apiForms {
		return apiForms{&tenurev1.VerifyKeyRequest{PublicKey: n.public, Secret: n.secret}}
	},

	"Check": func(n apiNames) apiForms { return apiChecks(n) },
	"BatchCheck": func(n apiNames) (list apiForms) {
		for _, check := range apiChecks(n) {
			list = append(list, &tenurev1.BatchCheckRequest{Checks: []*tenurev1.CheckRequest{check.(*tenurev1.CheckRequest)}})
		}
		return list
	},

	"GetInstance": func(apiNames) apiForms { return apiForms{&tenurev1.GetInstanceRequest{}} },
	"WhoAmI":      func(apiNames) apiForms { return apiForms{&tenurev1.WhoAmIRequest{}} },

	"QueryAudit": func(n apiNames) apiForms {
		return apiForms{&tenurev1.QueryAuditRequest{OrgId: n.org}, &tenurev1.QueryAuditRequest{ProjectId: n.project}}
	},
	"WatchAudit": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.WatchAuditRequest{OrgId: n.org, AfterPosition: proto.Uint64(0)},
			&tenurev1.WatchAuditRequest{ProjectId: n.project, AfterPosition: proto.Uint64(0)},
		}
	},
}

// apiChecks asks about the caller, a user and a key, in an organization and a project.
func apiChecks(n apiNames) apiForms {
	return apiForms{
		&tenurev1.CheckRequest{Permission: "organization:update", OrgId: n.org},
		&tenurev1.CheckRequest{Permission: "project:read", ProjectId: n.project},
		&tenurev1.CheckRequest{UserId: n.user, Permission: "organization:update", OrgId: n.org},
		&tenurev1.CheckRequest{UserId: n.user, Permission: "project:read", ProjectId: n.project},
		&tenurev1.CheckRequest{KeyId: n.key, Permission: "project:read", ProjectId: n.project},
	}
}

// apiEveryRequest visits every form of every method's request, in order of their names.
func apiEveryRequest(t testing.TB, n apiNames, visit func(method string, request proto.Message)) {
	t.Helper()
	for _, method := range slices.Sorted(maps.Keys(apiMethods)) {
		forms := apiRequests[method]
		if forms == nil {
			t.Errorf("%s: no request in apiRequests; add one", method)
			continue
		}
		for _, request := range forms(n) {
			visit(method, request)
		}
	}
}
