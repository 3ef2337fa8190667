package tests

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// permissionOf is the permission that lets a caller pass, for each request in apiRequests that asks for one: another way
// in stands behind a "|".
const permissionOf = `
UpdateOrg       0 organization:update
DeleteOrg       0 organization:delete
CreateProject   0 projects:create
GetProject      0 project:read
UpdateProject   0 project:update
DeleteProject   0 project:delete
RestoreProject  0 project:delete
GrantRole       0 organizationMembers:CUD
GrantRole       1 projectMembers:CUD|organizationMembers:CUD
RevokeRole      0 organizationMembers:CUD
RevokeRole      1 projectMembers:CUD|organizationMembers:CUD
ListMembers     0 organizationMembers:read
ListMembers     1 projectMembers:read|organizationMembers:read
CreateKey       0 apiKeys:CUD
CreateKey       1 organization:CRUD_apiKeys
GetKey          0 apiKeys:read
ListKeys        0 apiKeys:read
ListKeys        1 organization:CRUD_apiKeys
UpdateKey       0 apiKeys:CUD
RotateKey       0 apiKeys:CUD
RevokeKey       0 apiKeys:CUD
Check           2 organizationMembers:read
Check           3 projectMembers:read|organizationMembers:read
QueryAudit      0 auditLogs:read
QueryAudit      1 auditLogs:read
WatchAudit      0 auditLogs:read
WatchAudit      1 auditLogs:read
QueryAccessLog  0 auditLogs:read
QueryAccessLog  1 auditLogs:read
ExportAudit     0 auditLogs:read
ExportAudit     1 auditLogs:read
AccessAt        0 auditLogs:read
AccessAt        1 auditLogs:read
FindKeys        0 organization:CRUD_apiKeys

SuspendMember        0 organizationMembers:CUD
ResumeMember         0 organizationMembers:CUD
DefineRole           0 organizationMembers:CUD
UpdateRole           0 organizationMembers:CUD
DeleteRole           0 organizationMembers:CUD
CreateGroup          0 organizationMembers:CUD
UpdateGroup          0 organizationMembers:CUD
DeleteGroup          0 organizationMembers:CUD
ListGroups           0 organizationMembers:read
ListGroupMembers     0 organizationMembers:read
CreateWebhook         0 organization:update
GetWebhook            0 organization:update
ListWebhooks          0 organization:update
UpdateWebhook         0 organization:update
DeleteWebhook         0 organization:update
RotateWebhookSecret   0 organization:update
ListWebhookDeliveries 0 organization:update
RedeliverWebhook      0 organization:update
TestWebhook           0 organization:update
Invite               0 organizationMembers:CUD
Invite               1 projectMembers:CUD|organizationMembers:CUD
RevokeInvitation     0 organizationMembers:CUD
RevokeInvitation     1 projectMembers:CUD|organizationMembers:CUD
ResendInvitation     0 organizationMembers:CUD
ResendInvitation     1 projectMembers:CUD|organizationMembers:CUD
ListInvitations      0 organizationMembers:CUD
ListInvitations      1 projectMembers:CUD|organizationMembers:CUD
OfferTransfer        0 projects:transfer_org
AcceptTransfer       0 projects:transfer_org
DeclineTransfer      0 projects:transfer_org
CancelTransfer       0 projects:transfer_org
ListTransferOffers   0 projects:transfer_org
PreviewOffer         0 projects:transfer_org
PreviewOffer         1 projects:transfer_org
GetUser              1 organizationMembers:read
UpdateUser           1 organizationMembers:CUD
CreateServiceAccount 0 organizationMembers:CUD
CreateKey            4 organization:CRUD_apiKeys
ListKeys             4 organization:CRUD_apiKeys
Explain              2 organizationMembers:read
Explain              3 projectMembers:read|organizationMembers:read
ListAccessible       1 organizationMembers:read
ListSubjects         0 organizationMembers:read
ListSubjects         1 projectMembers:read|organizationMembers:read
`

// Each request takes exactly one permission: a key that holds nothing else passes, a key that holds everything else does
// not. Seen to fail with models:CUD declared for UpdateProject.
func TestAPIAuthorizationTakesOnePermission(t *testing.T) {
	t.Parallel()
	s := apiStart(t, apiFed)
	passes := func(a apiTenant, row, permissions []string) bool {
		key := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{OrgId: a.org, Permissions: permissions})
		form, _ := strconv.Atoi(row[1])
		_, _, err := s.bearer(key.secret).call(t.Context(), apiRequests[row[0]](a.names())[form])
		// That a ceiling or the state of things then stops the command is another matter.
		return apiErrorOf(err).reason != string(domain.PermissionDenied)
	}
	for line := range strings.Lines(permissionOf) {
		row := strings.Fields(line)
		if len(row) == 0 {
			continue
		}
		a, ways := s.furnished(t), strings.Split(row[2], "|")
		rest := apiOK[*tenurev1.WhoAmIResponse](t, s.bearer(a.orgKey.secret), &tenurev1.WhoAmIRequest{}).Permissions
		rest = slices.DeleteFunc(rest, func(p string) bool { return slices.Contains(ways, p) })
		if passes(a, row, rest) {
			t.Errorf("%s %s passes without %s", row[0], row[1], row[2])
		}
		for _, p := range ways {
			if !passes(a, row, []string{p}) {
				t.Errorf("%s %s is refused to a key that holds %s", row[0], row[1], p)
			}
		}
	}
}
