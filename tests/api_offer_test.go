package tests

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiParties are two organizations whose owners know nothing of each other: each with a member of its own, and two people who are
// members of both and blocked in the project, one of them without any rights in the target. The project has everything that a move
// can end.
type apiParties struct {
	s            *apiServer
	from, to     apiTenant
	source, dest apiCaller
	here, there  apiPerson
	both, quiet  apiPerson
	group        string
	invitation   string
}

func apiTwoParties(t *testing.T, s *apiServer) *apiParties {
	p := &apiParties{s: s, from: s.tenant(t), to: s.tenant(t), both: s.person(t), quiet: s.person(t)}
	p.source, p.dest = s.bearer(p.from.owner.key.secret).from("203.0.113.1"), s.bearer(p.to.owner.key.secret).from("203.0.113.2")
	p.source, p.dest = p.source.with("User-Agent", "agent-of-source"), p.dest.with("User-Agent", "agent-of-target")
	p.here, p.there = s.join(t, p.from.org, "VIEWER"), s.join(t, p.to.org, "MEMBER")
	grant := func(by apiCaller, req *tenurev1.GrantRoleRequest) { apiOK[*tenurev1.GrantRoleResponse](t, by, req) }
	for user, role := range map[string]string{p.both.id: "VIEWER", p.quiet.id: "NONE"} {
		grant(p.source, &tenurev1.GrantRoleRequest{OrgId: p.from.org, UserId: user, Role: "MEMBER"})
		grant(p.source, &tenurev1.GrantRoleRequest{ProjectId: p.from.project, UserId: user, Role: "NONE"})
		grant(p.dest, &tenurev1.GrantRoleRequest{OrgId: p.to.org, UserId: user, Role: role})
	}
	grant(p.source, &tenurev1.GrantRoleRequest{ProjectId: p.from.project, UserId: p.here.id, Role: "ADMIN"})
	p.group = apiOK[*tenurev1.CreateGroupResponse](t, p.source, &tenurev1.CreateGroupRequest{
		OrgId: p.from.org, Name: "of the source", UserIds: []string{p.here.id}, ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: p.from.project, Role: "VIEWER"}},
	}).Group.Id
	p.invitation = apiOK[*tenurev1.InviteResponse](t, p.source, &tenurev1.InviteRequest{
		ProjectId: p.from.project, Email: "asked-in@example.com", ProjectRole: "VIEWER",
	}).Invitation.Id
	return p
}

func (p *apiParties) offer(t *testing.T, target string) *tenurev1.TransferOffer {
	t.Helper()
	return apiOK[*tenurev1.OfferTransferResponse](t, p.source, &tenurev1.OfferTransferRequest{ProjectId: p.from.project, TargetOrgId: target, Reason: "sold"}).Offer
}

// Who offers learns nothing of the other side, not even whether it exists: every answer reads the same for an organization that is
// not there, that is suspended or deleted. Seen to fail when keep_overrides is looked at for the source's half: the override of who
// is NONE in both then stays.
func TestAPIOfferDoesNotTellWhetherTheTargetExists(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p := apiTwoParties(t, s)
	suspended, deleted := s.org(t, ""), s.org(t, "")
	apiOK[*tenurev1.SuspendOrgResponse](t, s.admin(), &tenurev1.SuspendOrgRequest{OrgId: suspended})
	apiOK[*tenurev1.DeleteOrgResponse](t, s.admin(), &tenurev1.DeleteOrgRequest{OrgId: deleted})
	var want string
	for _, target := range []string{apiNowhere.org, p.to.org, suspended, deleted} {
		offer := p.offer(t, target)
		var text []string
		for _, m := range []proto.Message{
			offer,
			apiOK[*tenurev1.ListTransferOffersResponse](t, p.source, &tenurev1.ListTransferOffersRequest{OrgId: p.from.org}),
			apiOK[*tenurev1.PreviewOfferResponse](t, p.source, &tenurev1.PreviewOfferRequest{OfferId: offer.Id}),
			apiOK[*tenurev1.PreviewOfferResponse](t, p.source, &tenurev1.PreviewOfferRequest{OfferId: offer.Id, KeepOverrides: true, NewName: proto.String("another name")}),
		} {
			text = append(text, apiMasked(t, m))
		}
		for _, request := range []proto.Message{
			&tenurev1.AcceptTransferRequest{OfferId: offer.Id}, &tenurev1.DeclineTransferRequest{OfferId: offer.Id},
		} {
			e := apiRefused(t, p.source, request, connect.CodeNotFound, domain.OfferNotFound)
			text = append(text, apiIDs.ReplaceAllString(e.message, "<$1>"))
		}
		text = append(text, apiMasked(t, apiOK[*tenurev1.CancelTransferResponse](t, p.source, &tenurev1.CancelTransferRequest{OfferId: offer.Id}).Offer))
		if got := strings.Join(text, "\n"); want == "" {
			want = got
		} else if got != want {
			t.Errorf("offered to %s:\n%s\nto nobody:\n%s", target, got, want)
		}
	}
}

// Each side is shown its own half of what would happen: its own people and things, none of the other's. Seen to fail when
// PreviewOffer answers the whole preview.
func TestAPIOfferShowsEachSideItsHalf(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p := apiTwoParties(t, s)
	offer := p.offer(t, p.to.org)
	ask := &tenurev1.PreviewOfferRequest{OfferId: offer.Id, KeepOverrides: true}
	of := func(c apiCaller) (*tenurev1.TransferPreview, string) {
		preview := apiOK[*tenurev1.PreviewOfferResponse](t, c, ask).Preview
		return preview, apiText(t, preview)
	}
	source, text := of(p.source)
	for _, id := range []string{p.to.owner.id, p.there.id, p.to.project} {
		if strings.Contains(text, id) {
			t.Errorf("the source is shown %s of the target: %s", id, text)
		}
	}
	if !slices.Equal(source.DroppedGroupIds, []string{p.group}) || !slices.Equal(source.ChangedInvitationIds, []string{p.invitation}) || source.KeysKept != 1 ||
		len(source.DroppedOverrideUserIds) != 3 || len(source.AccessChanges) != 2 {
		t.Errorf("the source's half: %s", text)
	}
	for _, change := range source.AccessChanges {
		if change.NewRole != "" || change.NewBy != "" || !slices.Contains([]string{p.from.owner.id, p.here.id}, change.UserId) {
			t.Errorf("the source is told %v", change)
		}
	}
	target, text := of(p.dest)
	for _, id := range []string{p.from.owner.id, p.here.id, p.group, p.invitation} {
		if strings.Contains(text, id) {
			t.Errorf("the target is shown %s of the source: %s", id, text)
		}
	}
	for _, change := range target.AccessChanges {
		if change.OldRole != "" || change.OldBy != "" || !slices.Contains([]string{p.to.owner.id, p.there.id, p.both.id}, change.UserId) {
			t.Errorf("the target is told %v", change)
		}
	}
	if len(target.Obstacles) != 0 || target.DroppedOverrideUserIds != nil {
		t.Errorf("the target's half: %s", text)
	}
	// What stands in the way is told to whom it stops.
	name := apiOK[*tenurev1.GetProjectResponse](t, p.source, &tenurev1.GetProjectRequest{ProjectId: p.from.project}).Project.Name
	apiOK[*tenurev1.CreateProjectResponse](t, p.dest, &tenurev1.CreateProjectRequest{OrgId: p.to.org, Name: strings.ToUpper(name)})
	if target, text = of(p.dest); len(target.Obstacles) != 1 || target.Obstacles[0].Reason != string(domain.NameTaken) {
		t.Errorf("the target is not told of the name: %s", text)
	}
	if source, text = of(p.source); len(source.Obstacles) != 0 {
		t.Errorf("the source is told of names in the target: %s", text)
	}
	apiRefused(t, p.dest, &tenurev1.AcceptTransferRequest{OfferId: offer.Id}, connect.CodeAlreadyExists, domain.NameTaken)
	// Strangers and members without the right are told nothing, or to ask.
	apiRefused(t, s.bearer(s.person(t).key.secret), ask, connect.CodeNotFound, domain.OfferNotFound)
	apiRefused(t, s.bearer(p.there.key.secret), ask, connect.CodePermissionDenied, domain.PermissionDenied)
	apiRefused(t, s.bearer(p.here.key.secret), ask, connect.CodePermissionDenied, domain.PermissionDenied)
}

// The target accepts, the project moves with its keys, and its history with it; neither side reads where the other's people work
// from. Seen to fail when ActedIn answers both organizations of an offer.
func TestAPIOfferStory(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p := apiTwoParties(t, s)
	offer := p.offer(t, p.to.org)
	list := apiOK[*tenurev1.ListTransferOffersResponse](t, p.dest, &tenurev1.ListTransferOffersRequest{OrgId: p.to.org}).Offers
	if len(list) != 1 || !proto.Equal(list[0], offer) || offer.SourceOrgName == "" || offer.ProjectName == "" || offer.SourceOrgId != p.from.org {
		t.Errorf("the target sees %v, the source %v", list, offer)
	}
	again := apiRefused(t, p.source, &tenurev1.OfferTransferRequest{ProjectId: p.from.project, TargetOrgId: apiNowhere.org}, connect.CodeAlreadyExists, domain.OfferExists)
	if !strings.Contains(again.message, offer.Id) {
		t.Errorf("%q does not name the offer", again.message)
	}
	apiRefused(t, p.dest, &tenurev1.CancelTransferRequest{OfferId: offer.Id}, connect.CodeNotFound, domain.OfferNotFound)
	verify := &tenurev1.VerifyKeyRequest{PublicKey: p.from.projectKey.public, Secret: p.from.projectKey.secret}
	accepted := apiOK[*tenurev1.AcceptTransferResponse](t, p.dest, &tenurev1.AcceptTransferRequest{OfferId: offer.Id, NewName: proto.String("bought")})
	if accepted.Project.OrgId != p.to.org || accepted.Project.Name != "bought" {
		t.Errorf("accepted %v", accepted.Project)
	}
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), verify); !v.Valid || v.OrgId != p.to.org || v.KeyId != p.from.projectKey.id {
		t.Errorf("the project's key: %v", v)
	}
	apiRefused(t, p.source, &tenurev1.GetProjectRequest{ProjectId: p.from.project}, connect.CodeNotFound, domain.ProjectNotFound)
	apiIs(t, s.admin(), &tenurev1.CheckRequest{UserId: p.here.id, ProjectId: p.from.project, Permission: "project:read"}, "false NOT_A_MEMBER")
	apiIs(t, p.dest, &tenurev1.CheckRequest{UserId: p.both.id, ProjectId: p.from.project, Permission: "project:read"}, "true ORG_ROLE VIEWER")
	apiRefused(t, p.dest, &tenurev1.DeclineTransferRequest{OfferId: offer.Id}, connect.CodeFailedPrecondition, domain.OfferEnded)

	history := func(c apiCaller, req *tenurev1.QueryAuditRequest) ([]string, string) {
		res := apiOK[*tenurev1.QueryAuditResponse](t, c, req)
		return apiTypes(res.Records), apiText(t, res)
	}
	types, text := history(p.dest, &tenurev1.QueryAuditRequest{OrgId: p.to.org})
	if want := []string{"ProjectTransferred", "TransferOffered"}; !slices.Equal(types[:2], want) {
		t.Errorf("the target's history: %v", types)
	}
	for what, hidden := range map[string]string{"address": "203.0.113.1\"", "agent": "agent-of-source", "e-mail": "asked-in@", "owner": p.from.owner.email} {
		if strings.Contains(text, hidden) {
			t.Errorf("the target reads the source's %s: %s", what, text)
		}
	}
	if !strings.Contains(text, "203.0.113.2") || !strings.Contains(text, "agent-of-target") {
		t.Errorf("the target does not read its own people's address: %s", text)
	}
	types, text = history(p.source, &tenurev1.QueryAuditRequest{OrgId: p.from.org})
	if want := []string{"ProjectTransferred", "TransferOffered", "InvitationSent", "GroupCreated"}; !slices.Equal(types[:4], want) {
		t.Errorf("the source's history: %v", types)
	}
	if strings.Contains(text, "203.0.113.2") || strings.Contains(text, "agent-of-target") || !strings.Contains(text, "agent-of-source") || !strings.Contains(text, "asked-in@") {
		t.Errorf("the source reads its own people's data and only that: %s", text)
	}
	types, text = history(p.dest, &tenurev1.QueryAuditRequest{ProjectId: p.from.project})
	want := []string{"ProjectTransferred", "TransferOffered", "InvitationSent", "RoleGranted", "RoleGranted", "RoleGranted", "KeyCreated", "ProjectCreated"}
	if !slices.Equal(types, want) {
		t.Errorf("the project's history: %v, want %v", types, want)
	}
	if strings.Contains(text, "asked-in@") || strings.Contains(text, "agent-of-source") {
		t.Errorf("the project's history shows the source's people: %s", text)
	}

	// How the project is called in its new hands is not the source's business.
	apiOK[*tenurev1.UpdateProjectResponse](t, p.dest, &tenurev1.UpdateProjectRequest{ProjectId: p.from.project, Name: proto.String("renamed later")})
	for _, side := range []struct {
		caller   apiCaller
		org, saw string
	}{{p.source, p.from.org, ""}, {p.dest, p.to.org, "renamed later"}} {
		req := &tenurev1.ListTransferOffersRequest{OrgId: side.org, IncludeEnded: true}
		list := apiOK[*tenurev1.ListTransferOffersResponse](t, side.caller, req).Offers
		if len(list) != 1 || list[0].Status != tenurev1.OfferStatus_OFFER_STATUS_ACCEPTED || list[0].ProjectName != side.saw {
			t.Errorf("%s sees %v, want the name %q", side.org, list, side.saw)
		}
	}
}

// An offer ends when it is turned down, taken back, overtaken or too late; one that has expired stays so when another follows.
func TestAPIOfferEnds(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	p := apiTwoParties(t, s)
	declined := p.offer(t, p.to.org)
	apiOK[*tenurev1.DeclineTransferResponse](t, p.dest, &tenurev1.DeclineTransferRequest{OfferId: declined.Id})
	cancelled := p.offer(t, p.to.org)
	apiOK[*tenurev1.CancelTransferResponse](t, p.source, &tenurev1.CancelTransferRequest{OfferId: cancelled.Id})
	expired := apiOK[*tenurev1.OfferTransferResponse](t, p.source, &tenurev1.OfferTransferRequest{
		ProjectId: p.from.project, TargetOrgId: p.to.org, ExpiresAt: timestamppb.New(s.Engine.Now().Add(2 * time.Second)),
	}).Offer
	s.ahead.Add(int64(2 * time.Second))
	overtaken := p.offer(t, p.to.org)
	third := s.org(t, "")
	apiOK[*tenurev1.TransferProjectResponse](t, s.admin(), &tenurev1.TransferProjectRequest{ProjectId: p.from.project, TargetOrgId: third})
	for _, row := range []struct {
		offer  *tenurev1.TransferOffer
		status tenurev1.OfferStatus
		reason domain.Reason
	}{
		{declined, tenurev1.OfferStatus_OFFER_STATUS_DECLINED, domain.OfferEnded}, {cancelled, tenurev1.OfferStatus_OFFER_STATUS_CANCELLED, domain.OfferEnded},
		{expired, tenurev1.OfferStatus_OFFER_STATUS_EXPIRED, domain.OfferExpiredReason}, {overtaken, tenurev1.OfferStatus_OFFER_STATUS_CANCELLED, domain.OfferEnded},
	} {
		for _, request := range []proto.Message{
			&tenurev1.AcceptTransferRequest{OfferId: row.offer.Id}, &tenurev1.PreviewOfferRequest{OfferId: row.offer.Id},
		} {
			apiRefused(t, p.dest, request, connect.CodeFailedPrecondition, row.reason)
		}
		list := apiOK[*tenurev1.ListTransferOffersResponse](t, p.source, &tenurev1.ListTransferOffersRequest{OrgId: p.from.org, IncludeEnded: true}).Offers
		i := slices.IndexFunc(list, func(o *tenurev1.TransferOffer) bool { return o.Id == row.offer.Id })
		if i < 0 || list[i].Status != row.status || list[i].ProjectName != "" {
			t.Errorf("offer %s: %v, want %s without a name", row.offer.Id, list, row.status)
		}
	}
	if list := apiOK[*tenurev1.ListTransferOffersResponse](t, p.dest, &tenurev1.ListTransferOffersRequest{OrgId: p.to.org}).Offers; len(list) != 0 {
		t.Errorf("pending: %v", list)
	}
	// Too late, and nothing came in between.
	q := apiTwoParties(t, s)
	late := apiOK[*tenurev1.OfferTransferResponse](t, q.source, &tenurev1.OfferTransferRequest{
		ProjectId: q.from.project, TargetOrgId: q.to.org, ExpiresAt: timestamppb.New(s.Engine.Now().Add(2 * time.Second)),
	}).Offer
	s.ahead.Add(int64(2 * time.Second))
	apiRefused(t, q.dest, &tenurev1.AcceptTransferRequest{OfferId: late.Id}, connect.CodeFailedPrecondition, domain.OfferExpiredReason)
	apiRefused(t, q.source, &tenurev1.OfferTransferRequest{ProjectId: q.from.project, TargetOrgId: q.from.org}, connect.CodeFailedPrecondition, domain.SameOrg)
}
