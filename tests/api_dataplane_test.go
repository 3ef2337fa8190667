package tests

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// An organization is on the data plane it was placed on, VerifyKey says so, and nothing takes its data out of its residency: no
// placement, no change of a data plane, of the residency, no transfer and no offer. Seen to fail when RegisterDataPlane does not
// look at who is on it.
func TestAPIDataPlaneResidency(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	admin := s.admin()
	a, b := s.tenant(t), s.tenant(t)
	owner, next := s.bearer(a.owner.key.secret), s.bearer(b.owner.key.secret)
	register := func(id, region string, dedicated bool) *tenurev1.RegisterDataPlaneRequest {
		return &tenurev1.RegisterDataPlaneRequest{DataPlaneId: id, BaseUrl: "https://" + id + ".example.com", Region: region, Dedicated: dedicated}
	}
	made := apiOK[*tenurev1.RegisterDataPlaneResponse](t, admin, register("eu-1", "eu-west-1", false)).DataPlane
	if want := (&tenurev1.DataPlane{Id: "eu-1", BaseUrl: "https://eu-1.example.com", Region: "eu-west-1", KeyScheme: "hmac"}); !proto.Equal(made, want) {
		t.Errorf("registered %v, want %v", made, want)
	}
	for _, req := range []*tenurev1.RegisterDataPlaneRequest{register("us-1", "us-east-1", false), register("euro", "euro", false), register("alone", "eu", true)} {
		apiOK[*tenurev1.RegisterDataPlaneResponse](t, admin, req)
	}
	place := func(org, id string) proto.Message { return &tenurev1.PlaceOrgRequest{OrgId: org, DataPlaneId: id} }
	apiOK[*tenurev1.UpdateOrgResponse](t, owner, &tenurev1.UpdateOrgRequest{OrgId: a.org, Residency: "eu"})
	for _, id := range []string{"us-1", "euro"} {
		e := apiRefused(t, admin, place(a.org, id), connect.CodeFailedPrecondition, domain.ResidencyViolated)
		if !strings.Contains(e.message, "must stay in eu") {
			t.Errorf("%q does not say where it must stay", e.message)
		}
	}
	apiRefused(t, admin, place(a.org, "no-such-plane"), connect.CodeNotFound, domain.DataPlaneNotFound)
	org := apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(a.org, "eu-1")).Org
	if org.DataPlaneId != "eu-1" || org.Residency != "eu" {
		t.Errorf("placed %v", org)
	}
	for _, key := range []apiKey{a.projectKey, a.orgKey} {
		if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{Secret: key.secret}); v.DataPlaneId != "eu-1" {
			t.Errorf("VerifyKey: %v", v)
		}
	}
	before := s.mark()
	apiRefused(t, admin, register("eu-1", "us-east-1", false), connect.CodeFailedPrecondition, domain.ResidencyViolated)
	apiRefused(t, admin, register("eu-1", "", false), connect.CodeFailedPrecondition, domain.ResidencyViolated)
	apiRefused(t, owner, &tenurev1.UpdateOrgRequest{OrgId: a.org, Residency: "us"}, connect.CodeFailedPrecondition, domain.ResidencyViolated)
	before.unchanged(t, s)

	// A project does not leave either.
	apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(b.org, "us-1"))
	offer := s.offer(t, a.project, b.org)
	apiRefused(t, admin, &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: b.org}, connect.CodeFailedPrecondition, domain.ResidencyViolated)
	apiRefused(t, next, &tenurev1.AcceptTransferRequest{OfferId: offer}, connect.CodeFailedPrecondition, domain.ResidencyViolated)
	text := apiText(t, apiOK[*tenurev1.PreviewOfferResponse](t, owner, &tenurev1.PreviewOfferRequest{OfferId: offer}))
	if strings.Contains(text, "us-") || strings.Contains(text, "RESIDENCY") {
		t.Errorf("the source is told where the target's data lives: %s", text)
	}
	apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(b.org, "alone"))
	if text := apiText(t, apiOK[*tenurev1.PreviewOfferResponse](t, next, &tenurev1.PreviewOfferRequest{OfferId: offer})); strings.Contains(text, "eu-1") || !strings.Contains(text, "alone") {
		t.Errorf("the target is told where the source's data lives, or not where its own: %s", text)
	}
	apiOK[*tenurev1.AcceptTransferResponse](t, next, &tenurev1.AcceptTransferRequest{OfferId: offer})
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{Secret: a.projectKey.secret}); v.DataPlaneId != "alone" || v.OrgId != b.org {
		t.Errorf("VerifyKey after the move: %v", v)
	}

	// A dedicated one serves one organization.
	c := apiOK[*tenurev1.CreateOrgResponse](t, admin, &tenurev1.CreateOrgRequest{Name: "a third", Residency: "eu"}).Org
	if c.Residency != "eu" {
		t.Errorf("made %v", c)
	}
	apiRefused(t, admin, place(c.Id, "alone"), connect.CodeFailedPrecondition, domain.DataPlaneDedicated)
	apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(c.Id, "eu-1"))
	apiRefused(t, admin, register("eu-1", "eu-west-1", true), connect.CodeFailedPrecondition, domain.DataPlaneShared)
	orgs := map[string]uint32{}
	for _, d := range apiOK[*tenurev1.ListDataPlanesResponse](t, admin, &tenurev1.ListDataPlanesRequest{}).DataPlanes {
		orgs[d.Id] = d.Orgs
	}
	for id, want := range map[string]uint32{"eu-1": 2, "us-1": 0, "euro": 0, "alone": 1} {
		if orgs[id] != want {
			t.Errorf("%s serves %d organizations, want %d", id, orgs[id], want)
		}
	}
	// What was deleted leaves room, and who lifts the residency may go anywhere.
	apiOK[*tenurev1.DeleteOrgResponse](t, admin, &tenurev1.DeleteOrgRequest{OrgId: b.org, Cascade: true})
	apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(c.Id, "alone"))
	apiOK[*tenurev1.UpdateOrgResponse](t, owner, &tenurev1.UpdateOrgRequest{OrgId: a.org, AnyResidency: true})
	apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(a.org, "us-1"))
	if org := apiOK[*tenurev1.PlaceOrgResponse](t, admin, place(a.org, "")).Org; org.DataPlaneId != "" || org.Residency != "" {
		t.Errorf("placed nowhere: %v", org)
	}
}
