package domain_test

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

func offer(project domain.ProjectID, target domain.OrgID) domain.OfferTransfer {
	return domain.OfferTransfer{ID: "xfr", Project: project, Target: target}
}

// The offer of web to globex.
var offered = []domain.Command{offer("web", "globex")}

const (
	offerText    = `org_ids:"acme" org_ids:"globex" project_id:"web" offer_id:"xfr" `
	acceptedMove = offerText + `project_transferred{}`
)

// offerRows fail if the target is looked at, or an offer that has expired counts as pending: tried.
var offerRows = []row{
	{
		name: "by an ADMIN", by: user("adam"), when: offer("web", "globex"), then: offerText + `transfer_offered{expires_at{@168h}}`,
	}, {
		name: "until then, by the organization's key", by: orgKey("k_acme", "acme"),
		when: domain.OfferTransfer{ID: "xfr", Project: "web", Target: "globex", ExpiresAt: in(hour)}, then: offerText + `transfer_offered{expires_at{@1h}}`,
	}, {
		name: "by an ADMIN who is blocked in the project", given: []domain.Command{override("adam", domain.None, never)}, by: user("adam"),
		when: offer("web", "globex"), then: offerText + `transfer_offered{expires_at{@168h}}`,
	}, {
		name: "to what is not there, same answer", by: user("adam"), when: offer("web", "nowhere"),
		then: `org_ids:"acme" org_ids:"nowhere" project_id:"web" offer_id:"xfr" transfer_offered{expires_at{@168h}}`,
	}, {
		name: "to a deleted organization, same answer", given: deleted("globex"), by: user("adam"), when: offer("web", "globex"),
		then: offerText + `transfer_offered{expires_at{@168h}}`,
	}, {
		name: "after one that has expired", given: []domain.Command{domain.OfferTransfer{ID: "old", Project: "web", Target: "empty"}}, by: user("adam"), after: week,
		when: offer("web", "globex"), then: offerText + `transfer_offered{expires_at{@336h}}`,
	}, {
		name: "after one that was declined", by: user("adam"), when: offer("web", "globex"), then: offerText + `transfer_offered{expires_at{@168h}}`,
		given: []domain.Command{domain.OfferTransfer{ID: "old", Project: "web", Target: "empty"}, domain.DeclineTransfer{ID: "old"}},
	}, {
		name: "twice", given: []domain.Command{domain.OfferTransfer{ID: "old", Project: "web", Target: "empty"}}, by: user("adam"), after: week - 1,
		when: offer("web", "globex"), code: domain.CodeExists, reason: domain.OfferExists,
	}, {
		name: "to where it is", by: user("adam"), when: offer("web", "acme"), code: domain.CodePrecondition, reason: domain.SameOrg,
	}, {
		name: "an expiry that is now", by: user("adam"), when: domain.OfferTransfer{ID: "xfr", Project: "web", Target: "globex", ExpiresAt: began},
		code: domain.CodeInvalid, reason: domain.ExpiryInPast,
	}, {
		name: "longer than can be", by: user("adam"), when: domain.OfferTransfer{ID: "xfr", Project: "web", Target: "globex", ExpiresAt: in(domain.MaxInvitationAge + 1)},
		code: domain.CodeInvalid, reason: domain.InvalidField,
	}, {
		name: "by a MEMBER", by: user("mia"), when: offer("web", "globex"), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by an OWNER of the project alone", given: projectManager, by: user("mia"), when: offer("web", "globex"),
		code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by its own key", by: projectKey("k_web", "web"), when: offer("web", "globex"), code: domain.CodeDenied, reason: domain.PermissionDenied,
	}, {
		name: "by the other side", by: user("gary"), when: offer("web", "globex"), code: domain.CodeNotFound, reason: domain.ProjectNotFound, hides: "web",
	}, {
		name: "a deleted project", given: projectDeleted("web"), by: user("adam"), when: offer("web", "globex"), code: domain.CodePrecondition, reason: domain.ProjectDeleted,
	}, {
		name: "in a suspended organization", given: suspended("acme"), by: user("adam"), when: offer("web", "globex"), code: domain.CodePrecondition, reason: domain.OrgSuspended,
	}, {
		name: "in a deleted organization", given: deleted("acme"), by: instance, when: offer("web", "globex"), code: domain.CodePrecondition, reason: domain.OrgDeleted,
	},
}

// answerOfferRows fail if an offer's side, its state or its end is not asked for, or a transfer leaves a pending one: tried.
var answerOfferRows = func() []row {
	moved := []domain.Command{offered[0], domain.TransferProject{ID: "web", Target: "empty"}}
	accepted := with(offered, domain.AcceptTransfer{ID: "xfr"})
	declined, cancelled := with(offered, domain.DeclineTransfer{ID: "xfr"}), with(offered, domain.CancelTransfer{ID: "xfr"})
	rows := []row{
		{name: "by an ADMIN of the target", given: offered, by: user("ivan"), when: domain.AcceptTransfer{ID: "xfr"}, then: acceptedMove},
		{name: "by the OWNER of the target, who does not see the source", given: offered, by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"}, then: acceptedMove},
		{
			name: "under a new name", given: with(offered, domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "WEB"}), by: user("gary"),
			when: domain.AcceptTransfer{ID: "xfr", NewName: new("Site")}, then: offerText + `project_transferred{name{old:"Web" new:"Site"}}`,
		}, {
			name: "overrides end", given: append(slices.Clone(webOverrides), offered...), by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"},
			then: offerText + `project_transferred{dropped_overrides{user_id:"ivan" grant{role:"VIEWER" expires_at{@48h}}}
				dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
		}, {
			name: "overrides of members of both are kept", given: append(slices.Clone(webOverrides), offered...), by: user("gary"),
			when: domain.AcceptTransfer{ID: "xfr", KeepOverrides: true},
			then: offerText + `project_transferred{dropped_overrides{user_id:"mia" grant{role:"ADMIN"}}}`,
		}, {
			name: "a name taken in the target", given: with(offered, domain.CreateProject{ID: "web2", Org: "globex", ProjectName: "WEB"}), by: user("gary"),
			when: domain.AcceptTransfer{ID: "xfr"}, code: domain.CodeExists, reason: domain.NameTaken,
		}, {
			name: "a project that was deleted", given: with(offered, domain.DeleteProject{ID: "web"}), by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"},
			code: domain.CodePrecondition, reason: domain.ProjectDeleted,
		}, {
			name: "out of a suspended organization", given: with(offered, suspended("acme")...), by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"},
			code: domain.CodePrecondition, reason: domain.OrgSuspended,
		}, {
			name: "out of a deleted organization", given: with(offered, deleted("acme")...), by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"},
			code: domain.CodePrecondition, reason: domain.OrgDeleted,
		}, {
			name: "over the target's quota", by: user("gary"), when: domain.AcceptTransfer{ID: "xfr"}, code: domain.CodeExhausted, reason: domain.QuotaExceeded,
			given: append(planned("globex", domain.Quotas{Projects: domain.Quota{Bound: true, Max: 1}}), offered...),
		},
		{name: "one that has expired", given: offered, by: user("gary"), after: week, when: domain.AcceptTransfer{ID: "xfr"}, code: domain.CodePrecondition, reason: domain.OfferExpiredReason},
		{name: "one that has expired", given: offered, by: user("gary"), after: week, when: domain.DeclineTransfer{ID: "xfr"}, code: domain.CodePrecondition, reason: domain.OfferExpiredReason},

		{name: "by an ADMIN of the target", given: offered, by: user("ivan"), when: domain.DeclineTransfer{ID: "xfr"}, then: offerText + `transfer_declined{}`},
		{name: "by the instance", given: offered, by: instance, when: domain.DeclineTransfer{ID: "xfr"}, then: offerText + `transfer_declined{}`},
		{name: "a declined one", given: declined, by: user("gary"), when: domain.DeclineTransfer{ID: "xfr"}},

		{name: "by an ADMIN of the source", given: offered, by: user("adam"), when: domain.CancelTransfer{ID: "xfr"}, then: offerText + `transfer_cancelled{}`},
		{name: "one that has expired", given: offered, by: user("adam"), after: week, when: domain.CancelTransfer{ID: "xfr"}, then: offerText + `transfer_cancelled{}`},
		{
			name: "one to what is not there", given: []domain.Command{offer("web", "nowhere")}, by: user("adam"), when: domain.CancelTransfer{ID: "xfr"},
			then: `org_ids:"acme" org_ids:"nowhere" project_id:"web" offer_id:"xfr" transfer_cancelled{}`,
		},
		{name: "a cancelled one", given: cancelled, by: user("adam"), when: domain.CancelTransfer{ID: "xfr"}},
		{name: "one that another transfer has overtaken", given: moved, by: user("adam"), when: domain.CancelTransfer{ID: "xfr"}},
	}
	ended := func(name string, given []domain.Command, by domain.Actor, commands ...domain.Command) {
		for _, c := range commands {
			rows = append(rows, row{name: name, given: given, by: by, when: c, code: domain.CodePrecondition, reason: domain.OfferEnded})
		}
	}
	answer, decline, cancel := domain.AcceptTransfer{ID: "xfr"}, domain.DeclineTransfer{ID: "xfr"}, domain.CancelTransfer{ID: "xfr"}
	ended("one that was accepted", accepted, user("gary"), answer, decline)
	ended("one that was accepted", accepted, user("adam"), cancel)
	ended("one that was declined", declined, user("gary"), answer)
	ended("one that was declined", declined, user("adam"), cancel)
	ended("one that was cancelled", cancelled, user("gary"), answer, decline)
	ended("one that another transfer has overtaken", moved, user("gary"), answer, decline)
	for who, by := range map[string]domain.Actor{"MEMBER": user("mia"), "key that holds less": orgKey("k", "globex")} {
		for _, c := range []domain.Command{answer, decline} {
			rows = append(rows, row{
				name: "by a " + who + " of the target", by: by, when: c, code: domain.CodeDenied, reason: domain.PermissionDenied,
				given: with(offered, domain.GrantRole{Org: "globex", User: "mia", Role: domain.RoleMember},
					domain.CreateKey{Minted: minted("k"), Org: "globex", Permissions: words("projects:create")}),
			})
		}
	}
	rows = append(rows, row{name: "by a MEMBER of the source", given: offered, by: user("mia"), when: cancel, code: domain.CodeDenied, reason: domain.PermissionDenied})
	// Each side has no part in the other's half.
	for c, by := range map[domain.Command]domain.Actor{answer: user("adam"), decline: user("adam"), cancel: user("gary")} {
		rows = append(rows, row{name: "by the other side", given: offered, by: by, when: c, code: domain.CodeNotFound, reason: domain.OfferNotFound, hides: "xfr"})
	}
	for _, c := range []domain.Command{answer, decline} {
		rows = append(rows,
			row{name: "of a suspended target", given: with(offered, suspended("globex")...), by: user("gary"), when: c, code: domain.CodePrecondition, reason: domain.OrgSuspended},
			row{name: "to what is not there", given: []domain.Command{offer("web", "nowhere")}, by: instance, when: c, code: domain.CodeNotFound, reason: domain.OfferNotFound, hides: "xfr"},
			row{name: "to what is not there, by the source", given: []domain.Command{offer("web", "nowhere")}, by: user("adam"), when: c, code: domain.CodeNotFound, reason: domain.OfferNotFound, hides: "xfr"})
	}
	return append(rows, row{name: "of a suspended source", given: with(offered, suspended("acme")...), by: user("adam"), when: cancel, code: domain.CodePrecondition, reason: domain.OrgSuspended})
}()

func offerStatus(t *testing.T, s *domain.State) domain.OfferStatus {
	t.Helper()
	o, ok := s.Offer("xfr")
	if !ok {
		t.Fatal("no offer")
	}
	return o.At(began)
}

// What becomes of an offer, and that the project is free for another one then. Fails without the calls of endOffer: tried.
func TestOfferEnds(t *testing.T) {
	t.Parallel()
	for want, end := range map[domain.OfferStatus]domain.Command{
		domain.OfferAccepted: domain.AcceptTransfer{ID: "xfr"}, domain.OfferDeclined: domain.DeclineTransfer{ID: "xfr"},
		domain.OfferCancelled: domain.TransferProject{ID: "web", Target: "empty"},
	} {
		s := given(t, offered[0], end)
		if got := offerStatus(t, s); got != want || at(t, s, "project web").Project.Offer != "" {
			t.Errorf("after %T the offer is %d, the project's %q", end, got, at(t, s, "project web").Project.Offer)
		}
	}
	s := given(t, offered...)
	if o, _ := s.Offer("xfr"); offerStatus(t, s) != domain.OfferPending || o.At(in(week)) != domain.OfferExpired || at(t, s, "globex").Org.Offers.Len() != 1 {
		t.Errorf("pending, then expired: %d and %d", o.At(began), o.At(in(week)))
	}
}

// In what organizations the actor of an event acted: of an offer on one side alone.
func TestActedIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		offerText + `transfer_offered{}`:   {"acme"},
		offerText + `transfer_cancelled{}`: {"acme"},
		offerText + `transfer_declined{}`:  {"globex"},
		acceptedMove:                       {"globex"},
		`org_ids:"acme" org_ids:"globex" project_id:"web" project_transferred{}`: {"acme", "globex"},
		`org_ids:"acme" org_suspended{}`:                                         {"acme"},
	} {
		if got := domain.ActedIn(eventsOf(t, text)[0]); !slices.Equal(got, want) {
			t.Errorf("%s: in %q, want %q", text, got, want)
		}
	}
}
