package domain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure/domain"
)

func previewedBy(t *testing.T, s *domain.State, by domain.Actor) domain.TransferPreview {
	t.Helper()
	o, _ := s.Offer("xfr")
	p, err := s.PreviewOffer(o, domain.AcceptTransfer{ID: "xfr", KeepOverrides: true}, by, began)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPreviewOffer: each side is told its own half. Fails if Half leaves out a question, or overrides are kept for who only has a
// part in the source: tried.
func TestPreviewOffer(t *testing.T) {
	t.Parallel()
	// Of ivan and nora, who are members of both, the source must not learn it by which overrides could be kept.
	before := []domain.Command{
		override("ivan", domain.None, never), override("nora", domain.None, never), override("mia", domain.Admin, never), team("", domain.Viewer, "vic"),
		inviteTo("", "web", "", domain.Viewer), domain.GrantRole{Org: "globex", User: "nora", Role: domain.None},
	}
	s := given(t, with(before, domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "WEB"}, offered[0])...)
	role := func(r domain.Role, by domain.Reason) domain.Effective { return domain.Effective{Role: r, By: by} }
	group := domain.Effective{Role: domain.Viewer, By: domain.ByProjectGroup, Group: "team"}
	source := domain.TransferPreview{
		Changes: []domain.AccessChange{
			{User: "adam", Old: role(domain.Admin, domain.ByOrgRole)}, {User: "mia", Old: role(domain.Admin, domain.ByProjectOverride)},
			{User: "olga", Old: role(domain.Owner, domain.ByOrgRole)}, {User: "vic", Old: group},
		},
		Dropped: []domain.UserID{"ivan", "mia", "nora"}, DroppedGroups: []domain.GroupID{"team"}, ChangedInvitations: []domain.InvitationID{"inv"}, KeysKept: 1,
		Source: at(t, s, "acme").Org,
	}
	target := domain.TransferPreview{
		Obstacles: []domain.Obstacle{{OfTarget: true}},
		Changes:   []domain.AccessChange{{User: "gary", New: role(domain.Owner, domain.ByOrgRole)}},
		KeysKept:  1, Target: at(t, s, "globex").Org,
	}
	compare := func(who domain.Actor, s *domain.State, want domain.TransferPreview) {
		t.Helper()
		if diff := cmp.Diff(want, previewedBy(t, s, who), previewed, cmpopts.IgnoreFields(domain.Obstacle{}, "Error")); diff != "" {
			t.Errorf("%s is told (-want +got):\n%s", who, diff)
		}
	}
	compare(user("adam"), s, source)
	compare(user("gary"), s, target)
	both := previewedBy(t, s, user("ivan"))
	if both.Source == nil || both.Target == nil || len(both.Obstacles) != 1 || len(both.Dropped) != 1 {
		t.Errorf("who has rights on both sides is told %+v", both)
	}

	// The source is told the same of what is not there, and of what is not active.
	nowhere := given(t, with(before, offer("web", "nowhere"))...)
	compare(user("adam"), nowhere, source)
	gone := given(t, with(before, domain.DeleteOrg{ID: "globex", Cascade: true}, offered[0])...)
	compare(user("adam"), gone, source)

	declined := given(t, offered[0], domain.DeclineTransfer{ID: "xfr"})
	o, _ := declined.Offer("xfr")
	if _, err := declined.PreviewOffer(o, domain.AcceptTransfer{ID: "xfr"}, user("gary"), began); refusal(err) == nil || refusal(err).Reason != domain.OfferEnded {
		t.Errorf("of one that was declined: %v", err)
	}
}
