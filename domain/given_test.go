package domain_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// began is when everything that is given happened.
var began = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// in is the time a while after everything given.
func in(d time.Duration) time.Time { return began.Add(d) }

// The actors of the world below.
var (
	system   = domain.Actor{Kind: domain.ActorSystem}
	instance = domain.Actor{Kind: domain.ActorInstance, Method: "admin_key"}
	nobody   = domain.Actor{}
)

func user(id domain.UserID) domain.Actor {
	return domain.Actor{Kind: domain.ActorUser, User: id, Method: "bearer"}
}

func pat(id domain.KeyID, of domain.UserID) domain.Actor {
	return domain.Actor{Kind: domain.ActorUser, User: of, Key: id, Method: "bearer"}
}

func orgKey(id domain.KeyID, of domain.OrgID) domain.Actor {
	return domain.Actor{Kind: domain.ActorOrg, Org: of, Key: id, Method: "basic"}
}

func projectKey(id domain.KeyID, of domain.ProjectID) domain.Actor {
	return domain.Actor{Kind: domain.ActorProject, Project: of, Key: id, Method: "basic"}
}

func instanceKey(id domain.KeyID) domain.Actor {
	return domain.Actor{Kind: domain.ActorInstance, Key: id, Method: "basic"}
}

// minted is a secret that can be told from every other by its key's id.
func minted(id domain.KeyID) domain.Minted {
	return domain.Minted{
		ID: id, Public: "pk-" + string(id), Display: "sk-..." + string(id),
		Verifier: &eventv1.Verifier{Scheme: "hmac", PepperId: "pep", Hash: []byte("hash of " + id)},
	}
}

func sealed(subject, data string) *eventv1.Sealed {
	return &eventv1.Sealed{Subject: subject, Data: []byte(data)}
}

func register(id domain.UserID) domain.RegisterUser {
	s := string(id)
	return domain.RegisterUser{ID: id, Email: sealed(s, s+"@example.com"), EmailDigest: []byte("digest of " + s), FullName: sealed(s, s)}
}

// The world that every row begins with, made by these commands of the instance:
//
//	acme    olga OWNER (the only one), adam ADMIN, ivan ADMIN, mia MEMBER, vic VIEWER, nora NONE, dora VIEWER (deactivated)
//	        project web ("Web", prod and staging)
//	globex  gary OWNER, ivan ADMIN; project app ("App")
//	empty   unclaimed
//	sam     is a member of nothing, erik was erased
//
// The keys k_web, k_app, k_acme, k_olga, k_mia and k_root hold everything that a key of their principal can hold.
var worldCommands = []domain.Command{
	domain.CreateInstance{LogID: "log", Pepper: "pep", SealingKey: "seal", IdempotencyCapacity: 100},
	register("olga"), register("adam"), register("ivan"), register("mia"), register("vic"), register("nora"),
	register("dora"), register("gary"), register("sam"), register("erik"),
	domain.CreateOrg{ID: "acme", OrgName: "Acme", Metadata: map[string]string{"tier": "gold"}, Owner: "olga"},
	domain.CreateOrg{ID: "globex", OrgName: "Globex", Owner: "gary"},
	domain.CreateOrg{ID: "empty", OrgName: "Empty"},
	domain.GrantRole{Org: "acme", User: "adam", Role: domain.Admin},
	domain.GrantRole{Org: "acme", User: "ivan", Role: domain.Admin},
	domain.GrantRole{Org: "acme", User: "mia", Role: domain.RoleMember},
	domain.GrantRole{Org: "acme", User: "vic", Role: domain.Viewer},
	domain.GrantRole{Org: "acme", User: "nora", Role: domain.None},
	domain.GrantRole{Org: "acme", User: "dora", Role: domain.Viewer},
	domain.GrantRole{Org: "globex", User: "ivan", Role: domain.Admin},
	domain.CreateProject{ID: "web", Org: "acme", ProjectName: "Web", Environments: []string{"staging", "prod"}},
	domain.CreateProject{ID: "app", Org: "globex", ProjectName: "App"},
	domain.DeactivateUser{ID: "dora"}, domain.EraseUser{ID: "erik"},
	domain.CreateKey{Minted: minted("k_web"), Project: "web"}, domain.CreateKey{Minted: minted("k_app"), Project: "app"},
	domain.CreateKey{Minted: minted("k_acme"), Org: "acme"}, domain.CreateKey{Minted: minted("k_root")},
	domain.CreateKey{Minted: minted("k_olga"), User: "olga"}, domain.CreateKey{Minted: minted("k_mia"), User: "mia"},
}

var world = sync.OnceValue(func() *domain.State {
	s, err := fold(&domain.State{}, worldCommands)
	if err != nil {
		panic(err)
	}
	return s
})

// fold applies commands of the instance, each in a commit of its own.
func fold(s *domain.State, commands []domain.Command) (*domain.State, error) {
	for _, c := range commands {
		events, err := domain.Decide(s, c, rules()[c.Name()], instance, began)
		if err != nil {
			return nil, fmt.Errorf("given %T: %w", c, err)
		}
		if s, err = domain.Evolve(s, commit(s, instance, began, events), s.Position+1, domain.Hash{byte(s.Position + 1)}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func commit(s *domain.State, by domain.Actor, now time.Time, events []*eventv1.Event) *eventv1.Commit {
	return &eventv1.Commit{
		Parent: uint64(s.Position), Time: stamp(now), Entries: []*eventv1.Entry{{Actor: by.Stored(s, "", now), Events: events}},
	}
}

// given is the world after more commands of the instance.
func given(t testing.TB, commands ...domain.Command) *domain.State {
	t.Helper()
	s, err := fold(world(), commands)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var requirements = map[tenurev1.Access]domain.Requirement{
	tenurev1.Access_ACCESS_ANYONE: domain.Anyone, tenurev1.Access_ACCESS_AUTHENTICATED: domain.Authenticated,
	tenurev1.Access_ACCESS_USER: domain.AnyUser, tenurev1.Access_ACCESS_INSTANCE_ADMIN: domain.InstanceAdmin,
	tenurev1.Access_ACCESS_VISIBLE: domain.Visible, tenurev1.Access_ACCESS_PERMISSION: domain.Permitted,
	tenurev1.Access_ACCESS_DATA_PLANE: domain.AnyInstanceKey,
}

// rules are the rules that the methods declare in the proto, by method. The commands that Tenure itself gives are no methods.
var rules = sync.OnceValue(func() map[string]domain.Rule {
	byName := map[string]domain.Rule{
		"CreateInstance": {Requirement: domain.Anyone}, "IntroducePepper": {Requirement: domain.Anyone},
		"ExtendCatalog": {Requirement: domain.Anyone}, "Init": {Requirement: domain.Anyone}, "RehashKey": {Requirement: domain.Anyone},
		"DisableWebhook": {Requirement: domain.Anyone},
	}
	eachMethod(func(m protoreflect.MethodDescriptor) {
		r := proto.GetExtension(m.Options(), tenurev1.E_Rule).(*tenurev1.Rule)
		byName[string(m.Name())] = domain.Rule{
			Requirement: requirements[r.GetAccess()], Self: r.GetSelf(),
			Org:           domain.ParsePermission(domain.OrgLevel, r.GetOrganization()),
			Project:       domain.ParsePermission(domain.ProjectLevel, r.GetProject()),
			OrgForProject: domain.ParsePermission(domain.OrgLevel, r.GetOrganizationForProject()),
		}
	})
	return byName
})

// eachMethod visits every method of every service of tenure.v1.
func eachMethod(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("tenure.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
			}
		}
		return true
	})
}

const hour = time.Hour

// words are the fields of a list in one string.
func words(s string) []string { return strings.Fields(s) }
