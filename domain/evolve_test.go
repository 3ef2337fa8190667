package domain_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// everyKind is a history that, with the world's, holds an event of every kind.
var everyKind = slices.Concat(webOverrides, rotated, []domain.Command{
	domain.IntroducePepper{Pepper: "pep2"}, domain.RaiseFormat{To: 2}, domain.UpdateOrg{ID: "acme", OrgName: new("New")}, domain.SuspendOrg{ID: "acme"},
	domain.ResumeOrg{ID: "acme"}, domain.UpdateProject{ID: "web", ProjectName: new("New")}, domain.DeleteProject{ID: "web"},
	domain.RestoreProject{ID: "web", NewName: new("Newer")}, domain.RevokeRole{Org: "acme", User: "mia"},
	domain.TransferProject{ID: "web", Target: "globex"}, domain.UpdateUser{ID: "mia", ClearName: true},
	domain.ReactivateUser{ID: "dora"}, domain.UpdateKey{ID: "next", Note: new("!")}, domain.RevokeKey{ID: "next"},
	domain.EraseUser{ID: "vic"}, domain.DeleteOrg{ID: "empty"},
}, customRoles, accounts, linked, admins, planes, []domain.Command{
	own, unlink("mia", "m"), domain.RevokeInstanceAdmin{User: "sam"}, naming("^a", ""), domain.DefinePlan{ID: "pro"}, domain.SetPlan{Org: "acme", Plan: "pro"},
	domain.PlaceOrg{Org: "acme", DataPlane: "us"}, domain.UpdateRole{Org: "acme", Role: "Editor", Description: new("!")}, domain.DeleteRole{Org: "acme", Role: "Editor"},
	team(domain.Viewer, "", "sam"), domain.UpdateGroup{ID: "team", GroupName: new("Crew")}, domain.DeleteGroup{ID: "team"},
	memberSuspended("acme", "adam"), domain.ResumeMember{Org: "acme", User: "adam"},
	inviteTo("acme", "", domain.Viewer, ""), resend, domain.AcceptInvitation{ID: "inv", User: "sam"},
	invite("inv2", "mia", "acme", "", domain.Viewer, ""), domain.DeclineInvitation{ID: "inv2", User: "mia"},
	invite("inv3", "mia", "acme", "", domain.Viewer, ""), domain.RevokeInvitation{ID: "inv3"},
	offer("web", "acme"), domain.DeclineTransfer{ID: "xfr"}, domain.OfferTransfer{ID: "xfr2", Project: "web", Target: "acme"}, domain.CancelTransfer{ID: "xfr2"},
	domain.ImportKey{Minted: slow("k_slow"), Org: "acme"}, rehash("k_slow", "slow hash of k_slow"),
	hook("whk"), domain.UpdateWebhook{ID: "whk", Paused: new(true)}, domain.RotateWebhookSecret{ID: "whk", Secret: []byte("next")}, domain.DeleteWebhook{ID: "whk"},
	domain.Init{Org: "home", OrgName: "Home", User: "root", Email: sealed("root", "r"), EmailDigest: []byte("r")},
})

// eventKinds are the alternatives of an event's body.
func eventKinds() protoreflect.FieldDescriptors {
	return (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
}

// TestEvolve folds an event of every kind: it makes another state and leaves the one it got as it was. Fails if an edit writes
// to the entity it found instead of to a copy, or if a case is taken out of evolve: tried.
func TestEvolve(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.Name]bool{}
	s := &domain.State{}
	for _, c := range slices.Concat(worldCommands, everyKind) {
		events, err := domain.Decide(s, c, rules()[c.Name()], instance, began)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		before := s.Digest()
		next, err := domain.EvolveEntry(s, &eventv1.Entry{Actor: instance.Stored(s, "", began), Events: events}, 0, s.Position+1, began)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		if s.Digest() != before {
			t.Errorf("%T changed the state it was decided on", c)
		}
		for _, e := range events {
			seen[e.ProtoReflect().WhichOneof(eventKinds().Get(0).ContainingOneof()).Name()] = true
			if next.Digest() == before {
				t.Errorf("%T: its event changed nothing", c)
			}
		}
		s = next.Advanced(s.Position+1, domain.Hash{})
	}
	for i := range eventKinds().Len() {
		if name := eventKinds().Get(i).Name(); !seen[name] {
			t.Errorf("no command of this test makes %s", name)
		}
	}
}

// TestEvolveMisfits: an event that does not fit the state is an error that says where, and never brings the server down.
func TestEvolveMisfits(t *testing.T) {
	t.Parallel()
	// They name nothing that must be there.
	fits := words(`instance_created pepper_introduced user_registered catalog_extended policy_updated plan_defined data_plane_registered
		init_applied format_raised`)
	for i := range eventKinds().Len() {
		kind := eventKinds().Get(i)
		for _, e := range []*eventv1.Event{
			{},
			{
				OrgIds: []string{"nowhere", "nowhere too"}, ProjectId: "nowhere", UserId: "nowhere", KeyId: "nowhere", GroupId: "nowhere",
				InvitationId: "nowhere", OfferId: "nowhere",
			},
		} {
			r := e.ProtoReflect()
			r.Set(kind, r.NewField(kind))
			before := world().Digest()
			next, err := domain.Evolve(world(), commit(world(), instance, began, []*eventv1.Event{e}), 99, domain.Hash{})
			named := e.ProjectId != ""
			switch {
			case err != nil && strings.Contains(err.Error(), "event *eventv1."):
				t.Errorf("%s is not handled: %v", kind.Name(), err)
			case err != nil && (next != nil || !strings.Contains(err.Error(), "position 99")):
				t.Errorf("%s: %v beside %v", kind.Name(), next, err)
			case err == nil && named && !slices.Contains(fits, string(kind.Name())):
				t.Errorf("%s fits although nothing it names is there", kind.Name())
			case world().Digest() != before:
				t.Errorf("%s changed the state before", kind.Name())
			}
		}
	}
	if _, err := domain.Evolve(world(), commit(world(), instance, began, []*eventv1.Event{{}}), 1, domain.Hash{}); err == nil {
		t.Error("an event of a kind this build does not know fits")
	}
}

func TestEvolveCommit(t *testing.T) {
	t.Parallel()
	s := world()
	c := commit(s, instance, in(hour), nil)
	next, err := domain.Evolve(s, c, s.Position+1, domain.Hash{7})
	if err != nil || next.Position != s.Position+1 || next.Hash != (domain.Hash{7}) || !next.Time.Equal(in(hour)) {
		t.Errorf("got %v at %d, %s, %s", err, next.Position, next.Hash, next.Time)
	}
	void := next.Void(next.Position+1, domain.Hash{8})
	if void.Voids != 1 || next.Voids != 0 || void.Position != next.Position+1 || void.Hash != (domain.Hash{8}) || !void.Time.Equal(next.Time) {
		t.Errorf("got %+v", void.Position)
	}
	if text := (domain.Hash{0xab}).String(); !strings.HasPrefix(text, "ab00") || len(text) != 64 {
		t.Errorf("a hash reads %s", text)
	}
}

// TestErase: everything of the person ends with the one event. Fails without the loop over the overrides, or over the keys, of
// userErased: tried.
func TestErase(t *testing.T) {
	t.Parallel()
	s := given(t, override("ivan", domain.Viewer, never), domain.CreateKey{Minted: minted("k"), User: "ivan"}, domain.EraseUser{ID: "ivan"})
	u, _ := s.User("ivan")
	k, _ := s.Key("k")
	web := at(t, s, "project web")
	_, byEmail := s.UserByEmail([]byte("digest of ivan"))
	if u.Status != domain.UserIsErased || u.Email != (domain.Sealed{}) || u.Name != (domain.Sealed{}) || u.EmailDigest != "" || u.Orgs.Len() != 0 {
		t.Errorf("left of the user: %+v", u)
	}
	if k.RevokedAt.IsZero() || web.Project.Overrides.Has("ivan") || web.Org.Members.Has("ivan") || byEmail || !s.Erased().Has("ivan") {
		t.Errorf("left over: key %v, override %t, membership %t, e-mail %t", k.RevokedAt, web.Project.Overrides.Has("ivan"), web.Org.Members.Has("ivan"), byEmail)
	}
}

// What a key of another build holds may be a permission or a network that this one can't read: it then holds nothing by it,
// and stays bound.
func TestForeignKeyAttributes(t *testing.T) {
	t.Parallel()
	s := world()
	e := eventsOf(t, createdText(inWeb, "k", `permissions:"project:read" permissions:"new:thing" allowed_networks:"new notation"`))
	next, err := domain.Evolve(s, commit(s, instance, began, e), s.Position+1, domain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := next.Key("k")
	if got := s.Catalog().Names(k.Permissions); !slices.Equal(got, words("project:read")) {
		t.Errorf("holds %q", got)
	}
	from := networks("10.0.0.1/32")[0].Addr()
	if got := next.VerifyKey(k, "", from, began); got != domain.NetworkNotAllowed {
		t.Errorf("used from anywhere: %s", got)
	}
	if k.CreatedBy != "instance" {
		t.Errorf("created by %q", k.CreatedBy)
	}
}
