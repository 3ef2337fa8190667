package tests

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/rpc"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Every method declares who may call it, and the rule says something: permissions where they are asked for, and nothing
// that its kind of access ignores. Seen to fail with GetOrg's rule taken out of the proto's options. That a method without a rule is refused to everybody is tested in internal/rpc.
func TestAPIRuleOfEveryMethod(t *testing.T) {
	t.Parallel()
	// A user is all that these name, and the rule for users needs no permission.
	ofUsers := []string{"LinkIdentity", "UnlinkIdentity"}
	for name, m := range apiMethods {
		rule, _ := proto.GetExtension(m.Options(), tenurev1.E_Rule).(*tenurev1.Rule)
		permissions := rule.GetOrganization() + rule.GetProject() + rule.GetOrganizationForProject()
		switch rule.GetAccess() {
		case tenurev1.Access_ACCESS_UNSPECIFIED:
			t.Errorf("%s declares no rule; say in the proto who may call it", name)
		case tenurev1.Access_ACCESS_PERMISSION:
			if permissions == "" && !slices.Contains(ofUsers, name) {
				t.Errorf("%s asks for a permission and names none", name)
			}
		default:
			if permissions != "" || rule.GetSelf() {
				t.Errorf("%s: %s asks for no permission, but the rule has %v", name, rule.GetAccess(), rule)
			}
		}
		if rule.GetSensitive() && apiSideEffects(m) {
			t.Errorf("%s is marked as a sensitive read and has side effects; those are in the log", name)
		}
		if rule.GetAccess() == tenurev1.Access_ACCESS_ANYONE && name != "VerifyKey" {
			t.Errorf("%s is open to everybody; only VerifyKey may be", name)
		}
	}
}

// Every service that the proto declares is among those that are served, reflected and held to the rules. Seen to fail when
// one is left out of Services.
func TestAPIServesEveryService(t *testing.T) {
	t.Parallel()
	protoregistry.GlobalFiles.RangeFilesByPackage("tenure.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			if name := string(f.Services().Get(i).FullName()); !slices.Contains(rpc.Services, name) {
				t.Errorf("%s is not in rpc.Services", name)
			}
		}
		return true
	})
}

// Commands take a reason and answer a token, queries say that they have no side effects: clients, proxies and the
// idempotency of the API go by that. No request says who acts: only credentials do.
func TestAPIShapeOfEveryMethod(t *testing.T) {
	t.Parallel()
	for name, m := range apiMethods {
		_, hasReason := fieldNamed(m.Input(), "reason")
		_, hasToken := fieldNamed(m.Output(), "token")
		// VerifyKey takes a secret, which must not become part of an address; the others change nothing that the log says.
		beside := []string{"VerifyKey", "ReportUsage", "RebuildProjection", "VerifyProjection", "ResolveKey", "RedeliverWebhook", "TestWebhook"}
		if apiSideEffects(m) && !slices.Contains(beside, name) && (!hasReason || !hasToken) {
			t.Errorf("%s has side effects: it must take a reason and answer a token, or be declared NO_SIDE_EFFECTS", name)
		}
		if !apiSideEffects(m) && hasReason {
			t.Errorf("%s takes a reason, but is declared NO_SIDE_EFFECTS", name)
		}
		if want := m.Name() + "Request"; m.Input().Name() != want {
			t.Errorf("%s takes %s, want %s", name, m.Input().Name(), want)
		}
		for i := range m.Input().Fields().Len() {
			field := string(m.Input().Fields().Get(i).Name())
			for _, word := range []string{"actor", "caller", "created_by", "granted_by", "on_behalf", "admin", "as_user"} {
				if strings.Contains(field, word) {
					t.Errorf("%s.%s looks as if a request could say who acts", m.Input().Name(), field)
				}
			}
		}
	}
}

func fieldNamed(m protoreflect.MessageDescriptor, name protoreflect.Name) (protoreflect.FieldDescriptor, bool) {
	f := m.Fields().ByName(name)
	return f, f != nil
}

// What acted stands in the log as the credentials say, whatever else a request claims. Seen to fail when Stored names
// another id.
func TestAPIActorComesFromCredentials(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	for _, c := range []struct {
		caller apiCaller
		want   *eventv1.Actor
	}{
		{s.admin(), &eventv1.Actor{Kind: eventv1.Actor_KIND_INSTANCE, Method: "admin_key", Role: "INSTANCE_ADMIN"}},
		{s.bearer(a.owner.key.secret), &eventv1.Actor{
			Kind: eventv1.Actor_KIND_USER, Id: a.owner.id, KeyId: a.owner.key.id, Method: "bearer", Role: "OWNER",
		}},
		{s.basic(a.orgKey.public, a.orgKey.secret), &eventv1.Actor{
			Kind: eventv1.Actor_KIND_ORG, Id: a.org, KeyId: a.orgKey.id, Method: "basic",
		}},
		{s.bearer(a.projectKey.secret), &eventv1.Actor{
			Kind: eventv1.Actor_KIND_PROJECT, Id: a.project, KeyId: a.projectKey.id, Method: "bearer",
		}},
	} {
		caller := c.caller
		for _, name := range []string{"Tenure-Actor", "X-Actor", "X-User-Id", "X-Remote-User", "X-Forwarded-User", "Remote-User", "From"} {
			caller = caller.with(name, "usr_somebody-else")
		}
		apiOK[*tenurev1.UpdateProjectResponse](t, caller, &tenurev1.UpdateProjectRequest{ProjectId: a.project, Name: proto.String(apiUnique("renamed"))})
		if got := lastEntry(t, s).Actor; !proto.Equal(got, c.want) {
			t.Errorf("actor %v, want %v", got, c.want)
		}
	}
}

// lastEntry is the newest entry of the log.
func lastEntry(t *testing.T, s *apiServer) (entry *eventv1.Entry) {
	t.Helper()
	at := s.Engine.State().Position
	err := s.Engine.Commits(context.WithoutCancel(t.Context()), at, at, func(c engine.Commit) error {
		entry = c.Entries[len(c.Entries)-1]
		return nil
	})
	if err != nil || entry == nil {
		t.Fatalf("position %d of the log: %v", domain.Position(at), err)
	}
	return entry
}
