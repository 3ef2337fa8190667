package tests

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

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
	"SetPlan":    func(n apiNames) apiForms { return apiForms{&tenurev1.SetPlanRequest{OrgId: n.org}} },
	"PlaceOrg":   func(n apiNames) apiForms { return apiForms{&tenurev1.PlaceOrgRequest{OrgId: n.org}} },
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
	"SuspendMember": func(n apiNames) apiForms {
		return apiForms{&tenurev1.SuspendMemberRequest{OrgId: n.org, UserId: n.user}}
	},
	"ResumeMember": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ResumeMemberRequest{OrgId: n.org, UserId: n.user}}
	},
	"LeaveOrg": func(n apiNames) apiForms { return apiForms{&tenurev1.LeaveOrgRequest{OrgId: n.org}} },
	"ListMembers": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ListMembersRequest{OrgId: n.org}, &tenurev1.ListMembersRequest{ProjectId: n.project}}
	},

	"DefineRole": func(n apiNames) apiForms {
		return apiForms{&tenurev1.DefineRoleRequest{OrgId: n.org, Role: apiUnique("defined")}}
	},
	"UpdateRole": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateRoleRequest{OrgId: n.org, Role: n.role, Description: proto.String(apiUnique("described"))}}
	},
	"DeleteRole":      func(n apiNames) apiForms { return apiForms{&tenurev1.DeleteRoleRequest{OrgId: n.org, Role: n.role}} },
	"ListRoles":       func(n apiNames) apiForms { return apiForms{&tenurev1.ListRolesRequest{OrgId: n.org}} },
	"ListPermissions": func(apiNames) apiForms { return apiForms{&tenurev1.ListPermissionsRequest{}} },

	"CreateGroup": func(n apiNames) apiForms {
		return apiForms{&tenurev1.CreateGroupRequest{OrgId: n.org, Name: apiUnique("group of a test")}}
	},
	"UpdateGroup": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateGroupRequest{GroupId: n.group, Name: proto.String(apiUnique("renamed by a test"))}}
	},
	"DeleteGroup":      func(n apiNames) apiForms { return apiForms{&tenurev1.DeleteGroupRequest{GroupId: n.group}} },
	"ListGroups":       func(n apiNames) apiForms { return apiForms{&tenurev1.ListGroupsRequest{OrgId: n.org}} },
	"ListGroupMembers": func(n apiNames) apiForms { return apiForms{&tenurev1.ListGroupMembersRequest{GroupId: n.group}} },

	"CreateWebhook": func(n apiNames) apiForms {
		return apiForms{&tenurev1.CreateWebhookRequest{OrgId: n.org, Url: apiHook}}
	},
	"GetWebhook":   func(n apiNames) apiForms { return apiForms{&tenurev1.GetWebhookRequest{WebhookId: n.webhook}} },
	"ListWebhooks": func(n apiNames) apiForms { return apiForms{&tenurev1.ListWebhooksRequest{OrgId: n.org}} },
	"UpdateWebhook": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateWebhookRequest{WebhookId: n.webhook, Description: proto.String(apiUnique("described"))}}
	},
	"DeleteWebhook":       func(n apiNames) apiForms { return apiForms{&tenurev1.DeleteWebhookRequest{WebhookId: n.webhook}} },
	"RotateWebhookSecret": func(n apiNames) apiForms { return apiForms{&tenurev1.RotateWebhookSecretRequest{WebhookId: n.webhook}} },
	"ListWebhookDeliveries": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ListWebhookDeliveriesRequest{WebhookId: n.webhook}}
	},
	"RedeliverWebhook": func(n apiNames) apiForms { return apiForms{&tenurev1.RedeliverWebhookRequest{WebhookId: n.webhook}} },
	"TestWebhook":      func(n apiNames) apiForms { return apiForms{&tenurev1.TestWebhookRequest{WebhookId: n.webhook}} },

	"Invite": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.InviteRequest{OrgId: n.org, Email: apiUnique("invited") + "@example.com", Role: "VIEWER"},
			&tenurev1.InviteRequest{ProjectId: n.project, Email: apiUnique("invited") + "@example.com", ProjectRole: "VIEWER"},
		}
	},
	"AcceptInvitation": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.AcceptInvitationRequest{AcceptToken: n.token},
			&tenurev1.AcceptInvitationRequest{InvitationId: n.invitation, UserId: n.user},
		}
	},
	"DeclineInvitation": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.DeclineInvitationRequest{AcceptToken: n.token},
			&tenurev1.DeclineInvitationRequest{InvitationId: n.invitation},
			&tenurev1.DeclineInvitationRequest{InvitationId: n.invitation, UserId: n.user},
		}
	},
	"RevokeInvitation": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.RevokeInvitationRequest{InvitationId: n.invitation}, &tenurev1.RevokeInvitationRequest{InvitationId: n.projectInvitation},
		}
	},
	"ResendInvitation": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ResendInvitationRequest{InvitationId: n.invitation}, &tenurev1.ResendInvitationRequest{InvitationId: n.projectInvitation},
		}
	},
	"ListInvitations": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ListInvitationsRequest{OrgId: n.org}, &tenurev1.ListInvitationsRequest{ProjectId: n.project},
			&tenurev1.ListInvitationsRequest{UserId: n.user},
		}
	},

	"OfferTransfer": func(n apiNames) apiForms {
		return apiForms{&tenurev1.OfferTransferRequest{ProjectId: n.project, TargetOrgId: n.target}}
	},
	"AcceptTransfer":  func(n apiNames) apiForms { return apiForms{&tenurev1.AcceptTransferRequest{OfferId: n.offered}} },
	"DeclineTransfer": func(n apiNames) apiForms { return apiForms{&tenurev1.DeclineTransferRequest{OfferId: n.offered}} },
	"CancelTransfer":  func(n apiNames) apiForms { return apiForms{&tenurev1.CancelTransferRequest{OfferId: n.offer}} },
	"ListTransferOffers": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ListTransferOffersRequest{OrgId: n.org}}
	},
	"PreviewOffer": func(n apiNames) apiForms {
		return apiForms{&tenurev1.PreviewOfferRequest{OfferId: n.offer}, &tenurev1.PreviewOfferRequest{OfferId: n.offered}}
	},

	"RegisterUser": func(apiNames) apiForms {
		return apiForms{&tenurev1.RegisterUserRequest{Email: "registered@example.com"}}
	},
	"GetUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.GetUserRequest{UserId: n.user}, &tenurev1.GetUserRequest{UserId: n.account}}
	},
	"ListUsers": func(apiNames) apiForms { return apiForms{&tenurev1.ListUsersRequest{}} },
	"UpdateUser": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.UpdateUserRequest{UserId: n.user, Name: proto.String("Renamed by a Test")},
			&tenurev1.UpdateUserRequest{UserId: n.account, Name: proto.String("Renamed by a Test")},
		}
	},
	"DeactivateUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.DeactivateUserRequest{UserId: n.user}}
	},
	"ReactivateUser": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ReactivateUserRequest{UserId: n.user}}
	},
	"EraseUser": func(n apiNames) apiForms { return apiForms{&tenurev1.EraseUserRequest{UserId: n.user}} },

	"CreateServiceAccount": func(n apiNames) apiForms {
		return apiForms{&tenurev1.CreateServiceAccountRequest{OrgId: n.org, Name: apiUnique("account of a test")}}
	},
	"LinkIdentity": func(n apiNames) apiForms {
		return apiForms{&tenurev1.LinkIdentityRequest{UserId: n.user, Issuer: "https://accounts.example.com", Subject: apiUnique("subject")}}
	},
	"UnlinkIdentity": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UnlinkIdentityRequest{UserId: n.user, Issuer: "https://accounts.example.com", Subject: "subject"}}
	},

	"CreateKey": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.CreateKeyRequest{ProjectId: n.project}, &tenurev1.CreateKeyRequest{OrgId: n.org},
			&tenurev1.CreateKeyRequest{UserId: n.user}, &tenurev1.CreateKeyRequest{Instance: true},
			&tenurev1.CreateKeyRequest{UserId: n.account},
		}
	},
	"GetKey": func(n apiNames) apiForms { return apiForms{&tenurev1.GetKeyRequest{KeyId: n.key}} },
	"ListKeys": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ListKeysRequest{ProjectId: n.project}, &tenurev1.ListKeysRequest{OrgId: n.org},
			&tenurev1.ListKeysRequest{UserId: n.user}, &tenurev1.ListKeysRequest{Instance: true},
			&tenurev1.ListKeysRequest{UserId: n.account},
		}
	},
	"UpdateKey": func(n apiNames) apiForms {
		return apiForms{&tenurev1.UpdateKeyRequest{KeyId: n.key, Note: proto.String("noted by a test")}}
	},
	"RotateKey": func(n apiNames) apiForms { return apiForms{&tenurev1.RotateKeyRequest{KeyId: n.key}} },
	"RevokeKey": func(n apiNames) apiForms { return apiForms{&tenurev1.RevokeKeyRequest{KeyId: n.key}} },
	"ImportKey": func(n apiNames) (list apiForms) {
		for _, req := range []*tenurev1.ImportKeyRequest{{ProjectId: n.project}, {OrgId: n.org}, {UserId: n.user}} {
			req.PublicKey, req.Scheme, req.Hash = apiUnique("pk-imported"), "bcrypt", apiBcrypt(apiUnique("secret"))
			list = append(list, req)
		}
		return list
	},
	"VerifyKey": func(n apiNames) apiForms {
		return apiForms{&tenurev1.VerifyKeyRequest{PublicKey: n.public, Secret: n.secret}}
	},

	"WatchInvalidations": func(apiNames) apiForms { return apiForms{&tenurev1.WatchInvalidationsRequest{}} },
	"ResolveKey": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ResolveKeyRequest{PublicKey: n.public, Secret: n.secret}}
	},
	"ResolveUser": func(n apiNames) apiForms { return apiForms{&tenurev1.ResolveUserRequest{UserId: n.user}} },

	"Check": func(n apiNames) apiForms { return apiChecks(n) },
	"BatchCheck": func(n apiNames) (list apiForms) {
		for _, check := range apiChecks(n) {
			list = append(list, &tenurev1.BatchCheckRequest{Checks: []*tenurev1.CheckRequest{check.(*tenurev1.CheckRequest)}})
		}
		return list
	},

	"Explain": func(n apiNames) (list apiForms) {
		for _, check := range apiChecks(n) {
			list = append(list, &tenurev1.ExplainRequest{Check: check.(*tenurev1.CheckRequest)})
		}
		return list
	},
	"ListAccessible": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ListAccessibleRequest{}, &tenurev1.ListAccessibleRequest{UserId: n.user, OrgId: n.org},
			&tenurev1.ListAccessibleRequest{UserId: n.user}, &tenurev1.ListAccessibleRequest{OrgId: n.org},
		}
	},
	"ListSubjects": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.ListSubjectsRequest{OrgId: n.org, Permission: "organization:update"},
			&tenurev1.ListSubjectsRequest{ProjectId: n.project, Permission: "project:read"},
		}
	},

	"GetInstance": func(apiNames) apiForms { return apiForms{&tenurev1.GetInstanceRequest{}} },
	"WhoAmI":      func(apiNames) apiForms { return apiForms{&tenurev1.WhoAmIRequest{}} },
	"GrantInstanceAdmin": func(n apiNames) apiForms {
		return apiForms{&tenurev1.GrantInstanceAdminRequest{UserId: n.user}}
	},
	"RevokeInstanceAdmin": func(n apiNames) apiForms {
		return apiForms{&tenurev1.RevokeInstanceAdminRequest{UserId: n.user}}
	},
	"RaiseFormat":        func(apiNames) apiForms { return apiForms{&tenurev1.RaiseFormatRequest{}} },
	"ListInstanceAdmins": func(apiNames) apiForms { return apiForms{&tenurev1.ListInstanceAdminsRequest{}} },
	"UpdatePolicy":       func(apiNames) apiForms { return apiForms{&tenurev1.UpdatePolicyRequest{}} },
	"GetPolicy":          func(apiNames) apiForms { return apiForms{&tenurev1.GetPolicyRequest{}} },

	"DefinePlan": func(apiNames) apiForms { return apiForms{&tenurev1.DefinePlanRequest{PlanId: "plan-of-a-test"}} },
	"ListPlans":  func(apiNames) apiForms { return apiForms{&tenurev1.ListPlansRequest{}} },
	"RegisterDataPlane": func(apiNames) apiForms {
		return apiForms{&tenurev1.RegisterDataPlaneRequest{DataPlaneId: "plane-of-a-test", BaseUrl: "https://plane.example.com"}}
	},
	"ListDataPlanes": func(apiNames) apiForms { return apiForms{&tenurev1.ListDataPlanesRequest{}} },

	"QueryAudit": func(n apiNames) apiForms {
		return apiForms{&tenurev1.QueryAuditRequest{OrgId: n.org}, &tenurev1.QueryAuditRequest{ProjectId: n.project}}
	},
	"WatchAudit": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.WatchAuditRequest{OrgId: n.org, AfterPosition: proto.Uint64(0)},
			&tenurev1.WatchAuditRequest{ProjectId: n.project, AfterPosition: proto.Uint64(0)},
		}
	},
	"QueryAccessLog": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.QueryAccessLogRequest{OrgId: n.org}, &tenurev1.QueryAccessLogRequest{ProjectId: n.project}, &tenurev1.QueryAccessLogRequest{},
		}
	},
	"ExportAudit": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ExportAuditRequest{OrgId: n.org}, &tenurev1.ExportAuditRequest{ProjectId: n.project}}
	},
	"ReadLog": func(apiNames) apiForms { return apiForms{&tenurev1.ReadLogRequest{}} },

	"AccessAt": func(n apiNames) apiForms {
		return apiForms{
			&tenurev1.AccessAtRequest{OrgId: n.org, UserId: n.user, Time: timestamppb.Now()},
			&tenurev1.AccessAtRequest{ProjectId: n.project, Permission: "project:read", Time: timestamppb.Now()},
		}
	},
	"FindHolders": func(apiNames) apiForms { return apiForms{&tenurev1.FindHoldersRequest{Permission: "project:read"}} },
	"FindKeys": func(n apiNames) apiForms {
		return apiForms{&tenurev1.FindKeysRequest{OrgId: n.org, UnusedForDays: 1}}
	},
	"ReportUsage": func(n apiNames) apiForms {
		return apiForms{&tenurev1.ReportUsageRequest{Uses: []*tenurev1.ReportedUse{{KeyId: n.key, Uses: 1, LastUsedAt: timestamppb.Now()}}}}
	},
	"SearchUsers": func(apiNames) apiForms { return apiForms{&tenurev1.SearchUsersRequest{Query: "example"}} },
	"SearchOrgs":  func(apiNames) apiForms { return apiForms{&tenurev1.SearchOrgsRequest{Query: "org"}} },

	"ListProjections":   func(apiNames) apiForms { return apiForms{&tenurev1.ListProjectionsRequest{}} },
	"RebuildProjection": func(apiNames) apiForms { return apiForms{&tenurev1.RebuildProjectionRequest{Name: "directory"}} },
	"VerifyProjection":  func(apiNames) apiForms { return apiForms{&tenurev1.VerifyProjectionRequest{Name: "audit"}} },
	"ReadPersonalKeys":  func(apiNames) apiForms { return apiForms{&tenurev1.ReadPersonalKeysRequest{}} },
}

// apiHook is a URL that nothing is sent to, because it is of this machine.
const apiHook = "https://127.0.0.1:1/hook"

// apiBcrypt is the cheapest bcrypt hash of a secret.
func apiBcrypt(secret string) string {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		panic(fmt.Sprint("bcrypt: ", err))
	}
	return string(hash)
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
