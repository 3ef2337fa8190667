package tests

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// matrix says who may call what: y may, d is permission_denied, n not_found, i is invalid_argument: it takes a person whom the
// request does not name. A row is a method and which of its requests
// in apiRequests. The columns are callers:
//
//	O A M V N  members with the role OWNER, ADMIN, MEMBER, VIEWER, NONE
//	P          NONE in the organization, ADMIN by an override in the project
//	X          ADMIN in the organization, blocked in the project by an override NONE
//	R          OWNER, with a personal key that is read-only
//	S          a user of another organization
//	G K        a key of the organization, a key of the project
//	I          the admin key
const matrix = `
                        OAMVN PXR S GK I
CreateOrg            0  yyyyy yyd y dd y
GetOrg               0  yyyyy yyy n yy y
ListOrgs             0  yyyyy yyy y yy y
UpdateOrg            0  yyddd dyd n yd y
SuspendOrg           0  ddddd ddd n dd y
ResumeOrg            0  ddddd ddd n dd y
SetPlan              0  ddddd ddd n dd y
PlaceOrg             0  ddddd ddd n dd y
DeleteOrg            0  ydddd ddd n yd y

CreateProject        0  yyddd dyd n yd y
GetProject           0  yyyyn yny n yy y
ListProjects         0  yyyyy yyy n yy y
UpdateProject        0  yyddn ynd n yy y
DeleteProject        0  ydddn dnd n yy y
RestoreProject       0  ydddn dnd n yy y
TransferProject      0  yyddn dyd n nd y
PreviewTransfer      0  yyddn dyd n nd y

GrantRole            0  yyddd dyd n yd y
GrantRole            1  yyddn yyd n yy y
RevokeRole           0  yyddd dyd n yd y
RevokeRole           1  yyddn yyd n yy y
ListMembers          0  yyydd dyd n yd y
ListMembers          1  yyydn yyd n yy y
SuspendMember        0  yyddd dyd n yd y
ResumeMember         0  yyddd dyd n yd y
LeaveOrg             0  yyyyy yyd n dd d

DefineRole           0  yyddd dyd n yd y
UpdateRole           0  yyddd dyd n yd y
DeleteRole           0  yyddd dyd n yd y
ListRoles            0  yyyyy yyy n yy y
ListPermissions      0  yyyyy yyy y yy y

CreateGroup          0  yyddd dyd n yd y
UpdateGroup          0  yyddd dyd n yd y
DeleteGroup          0  yyddd dyd n yd y
ListGroups           0  yyydd dyd n yd y
ListGroupMembers     0  yyydd dyd n yd y

CreateWebhook        0  yyddd dyd n yd y
GetWebhook           0  yyddd dyd n yd y
ListWebhooks         0  yyddd dyd n yd y
UpdateWebhook        0  yyddd dyd n yd y
DeleteWebhook        0  yyddd dyd n yd y
RotateWebhookSecret  0  yyddd dyd n yd y
ListWebhookDeliveries 0 yyddd dyd n yd y
RedeliverWebhook     0  yyddd dyd n yd y
TestWebhook          0  yyddd dyd n yd y

Invite               0  yyddd dyd n yd y
Invite               1  yyddn yyd n yy y
AcceptInvitation     0  nnnnn nnd n dd i
AcceptInvitation     1  ddddd ddd d dd y
DeclineInvitation    0  nnnnn nnd n dd i
DeclineInvitation    1  nnnnn nnd n dd i
DeclineInvitation    2  ddddd ddd d dd y
RevokeInvitation     0  yyddd dyd n yd y
RevokeInvitation     1  yyddn yyd n yy y
ResendInvitation     0  yyddd dyd n yd y
ResendInvitation     1  yyddn yyd n yy y
ListInvitations      0  yyddd dyd n yd y
ListInvitations      1  yyddn yyd n yy y
ListInvitations      2  nnnnn nnn n nn y

OfferTransfer        0  yyddn dyd n yd y
AcceptTransfer       0  yyddd dyd n yd y
DeclineTransfer      0  yyddd dyd n yd y
CancelTransfer       0  yyddd dyd n yd y
ListTransferOffers   0  yyddd dyd n yd y
PreviewOffer         0  yyddd dyd n yd y
PreviewOffer         1  yyddd dyd n yd y

RegisterUser         0  ddddd ddd d dd y
GetUser              0  nnnnn nnn n nn y
GetUser              1  yyydd dyd n yd y
ListUsers            0  ddddd ddd d dd y
UpdateUser           0  nnnnn nnn n nn y
UpdateUser           1  yyddd dyd n yd y
DeactivateUser       0  nnnnn nnn n nn y
ReactivateUser       0  nnnnn nnn n nn y
EraseUser            0  nnnnn nnn n nn y
CreateServiceAccount 0  yyddd dyd n yd y
LinkIdentity         0  nnnnn nnn n nn y
UnlinkIdentity       0  nnnnn nnn n nn y

CreateKey            0  yyddn ynd n yy y
CreateKey            1  ydddd ddd n yd y
CreateKey            2  nnnnn nnn n nn y
CreateKey            3  ddddd ddd d dd y
CreateKey            4  ydddd ddd n yd y
GetKey               0  yyydn ynd n yy y
ListKeys             0  yyydn ynd n yy y
ListKeys             1  ydddd ddd n yd y
ListKeys             2  nnnnn nnn n nn y
ListKeys             3  ddddd ddd d dd y
ListKeys             4  ydddd ddd n yd y
UpdateKey            0  yyddn ynd n yy y
RotateKey            0  yyddn ynd n yy y
RevokeKey            0  yyddn ynd n yy y
ImportKey            0  ddddn dnd n dd y
ImportKey            1  ddddd ddd n dd y
ImportKey            2  nnnnn nnn n nn y
VerifyKey            0  yyyyy yyy y yy y

Check                0  yyyyy yyy n yy y
Check                1  yyyyn yyy n yy y
Check                2  yyydd dyd n yd y
Check                3  yyydn yyd n yy y
Check                4  yyydn yyd n yy y
BatchCheck           0  yyyyy yyy n yy y
BatchCheck           1  yyyyn yyy n yy y
BatchCheck           2  yyydd dyd n yd y
BatchCheck           3  yyydn yyd n yy y
BatchCheck           4  yyydn yyd n yy y
Explain              0  yyyyy yyy n yy y
Explain              1  yyyyn yyy n yy y
Explain              2  yyydd dyd n yd y
Explain              3  yyydn yyd n yy y
Explain              4  yyydn yyd n yy y
ListAccessible       0  yyyyy yyy y ii i
ListAccessible       1  yyydd dyd n yd y
ListAccessible       2  nnnnn nnn n nn y
ListAccessible       3  yyyyy yyy n ii i
ListSubjects         0  yyydd dyd n yd y
ListSubjects         1  yyydn yyd n yy y

GetInstance          0  yyyyy yyy y yy y
WhoAmI               0  yyyyy yyy y yy y
GrantInstanceAdmin   0  nnnnn nnn n nn y
RevokeInstanceAdmin  0  nnnnn nnn n nn y
ListInstanceAdmins   0  ddddd ddd d dd y
RaiseFormat          0  ddddd ddd d dd y
UpdatePolicy         0  ddddd ddd d dd y
GetPolicy            0  ddddd ddd d dd y
DefinePlan           0  ddddd ddd d dd y
ListPlans            0  ddddd ddd d dd y
RegisterDataPlane    0  ddddd ddd d dd y
ListDataPlanes       0  ddddd ddd d dd y

QueryAudit           0  yyddd dyd n yd y
QueryAudit           1  yyddn ynd n yy y
WatchAudit           0  yyddd dyd n yd y
WatchAudit           1  yyddn ynd n yy y
QueryAccessLog       0  yyddd dyd n yd y
QueryAccessLog       1  yyddn ynd n yy y
QueryAccessLog       2  ddddd ddd d dd y
ExportAudit          0  yyddd dyd n yd y
ExportAudit          1  yyddn ynd n yy y
ReadLog              0  ddddd ddd d dd y
ReadPersonalKeys     0  ddddd ddd d dd y

AccessAt             0  yyddd dyd n yd y
AccessAt             1  yyddn ynd n yy y
FindHolders          0  ddddd ddd d dd y
FindKeys             0  ydddd ddd n yd y
ReportUsage          0  ddddd ddd d dd y
SearchUsers          0  ddddd ddd d dd y
SearchOrgs           0  ddddd ddd d dd y
ListProjections      0  ddddd ddd d dd y
RebuildProjection    0  ddddd ddd d dd y
VerifyProjection     0  ddddd ddd d dd y

WatchInvalidations   0  ddddd ddd d dd y
ResolveKey           0  ddddd ddd d dd y
ResolveUser          0  ddddd ddd d dd y
`

func apiSideEffects(m protoreflect.MethodDescriptor) bool {
	return m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// Who may call what, for every request of every method. Seen to fail with organization_for_project left out of meets, with
// overrides left out of heldByUser, and with the key's cap left out of held.
func TestAPIAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	s := apiStart(t, apiFed)
	c := apiNewCast(t, s)
	names := c.fresh(t, true)
	rows := map[string]string{}
	var columns string
	for line := range strings.Lines(matrix) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case columns == "":
			columns = strings.Join(fields, "")
		default:
			rows[fields[0]+" "+fields[1]] = strings.Join(fields[2:], "")
		}
	}
	for method, forms := range apiRequests {
		for form := range forms(names) {
			row := method + " " + strconv.Itoa(form)
			wanted := rows[row]
			if delete(rows, row); len(wanted) != len(columns) {
				t.Errorf("%s has %d columns in the matrix, want %d", row, len(wanted), len(columns))
				continue
			}
			for i := range columns {
				request := forms(names)[form]
				if !apiIsAnswered(t, c.callers[columns[i]], request, wanted[i]) {
					t.Errorf("%s as %c", row, columns[i])
				}
				if wanted[i] == 'y' && apiSideEffects(apiMethodOf(request)) {
					names = c.fresh(t, slices.Contains([]string{"DeleteOrg", "SuspendOrg", "LeaveOrg"}, method))
				}
			}
		}
	}
	for row := range rows {
		t.Errorf("the matrix has a row %q, and apiRequests has no such request", row)
	}
}

// apiIsAnswered tells whether a caller is answered as the letter of the matrix says.
func apiIsAnswered(t *testing.T, caller apiCaller, request proto.Message, want byte) bool {
	t.Helper()
	_, _, err := caller.call(t.Context(), request)
	got := byte('y')
	switch code := connect.CodeOf(err); {
	case err == nil:
	case code == connect.CodePermissionDenied:
		got = 'd'
	case code == connect.CodeNotFound:
		got = 'n'
	case code == connect.CodeInvalidArgument:
		got = 'i'
	default:
		got = '?'
	}
	if got != want {
		t.Errorf("%c (%v), want %c", got, err, want)
	}
	return got == want
}
