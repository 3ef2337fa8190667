package domain_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// row is one case: given the world and more commands, when an actor gives a command, then events or a refusal.
type row struct {
	name string
	// given are commands of the instance, at the beginning.
	given []domain.Command
	// by gives the command when, this long after the beginning.
	by    domain.Actor
	after time.Duration
	when  domain.Command
	// then is the exact event in text form, where {@24h} is the time 24 hours after the beginning; "" for no event. Several have
	// an & between them.
	then string
	// code and reason are those of the refusal, if there is one.
	code   domain.Code
	reason domain.Reason
	// hides is the id that the actor can't see: the refusal must be the very same for an id that does not exist.
	hides string
	// unborn begins with an empty log instead of the world.
	unborn bool
}

// tables are the rows of all commands, one table in the file of each noun.
var tables = [][]row{
	instanceRows, formatRows, orgRows, orgStatusRows, projectRows, projectStateRows, transferRows, grantRows, revokeRows, ownerRows,
	ceilingRows, userRows, createKeyRows, keyCeilingRows, updateKeyRows, rotateKeyRows, revokeKeyRows, keyCallerRows, keyGoodForRows,
	partialKeyRows,
	suspendRows, leaveRows, roleRows, groupRows, updateGroupRows, groupCeilingRows, inviteRows, manageInvitationRows, acceptRows,
	declineRows, offerRows, answerOfferRows, transferLimitRows, serviceAccountRows, serviceKeyRows, identityRows, adminRows,
	catalogRows, policyRows, policyEffectRows, signUpRows, planRows, quotaRows, dataPlaneRows, importKeyRows, initRows,
	hiddenRows, hiddenNounRows, escalationRows, detourRows, webhookRows,
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, table := range tables {
		for _, r := range table {
			t.Run(r.when.Name()+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				r.run(t)
			})
		}
	}
}

func (r row) run(t *testing.T) {
	s := &domain.State{}
	if !r.unborn {
		s = given(t, r.given...)
	}
	before := s.Digest()
	now := in(r.after)
	events, err := domain.Decide(s, r.when, rules()[r.when.Name()], r.by, now)
	if s.Digest() != before {
		t.Error("deciding changed the state")
	}
	if r.code != 0 {
		e := refusal(err)
		if e == nil || e.Code != r.code || e.Reason != r.reason || len(events) > 0 {
			t.Fatalf("got %v, %v, want code %d, reason %s", events, err, r.code, r.reason)
		}
		if e.Message == "" {
			t.Error("the refusal does not say what to do")
		}
		if r.hides != "" {
			r.revealsNothing(t, s, e)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(eventsOf(t, r.then), events, protocmp.Transform()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	next, err := domain.Evolve(s, commit(s, r.by, now, events), s.Position+1, domain.Hash{1})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) > 0 && next.Digest() == s.Advanced(next.Position, next.Hash).Digest() {
		t.Error("the event changed nothing")
	}
}

// revealsNothing holds the refusal against the one for an id that does not exist.
func (r row) revealsNothing(t *testing.T, s *domain.State, seen *domain.Error) {
	const absent = "absent_id"
	_, err := domain.Decide(s, renamed(r.when, r.hides, absent), rules()[r.when.Name()], r.by, in(r.after))
	e := refusal(err)
	if e == nil {
		t.Fatalf("an id that does not exist is not refused: %v", err)
	}
	e.Message = strings.ReplaceAll(e.Message, absent, r.hides)
	if diff := cmp.Diff(*seen, *e, cmp.AllowUnexported(domain.Error{})); diff != "" {
		t.Errorf("what is hidden (-) can be told from what does not exist (+):\n%s", diff)
	}
}

// renamed is the command with one id, or hash of a token, in place of another.
func renamed(c domain.Command, from, to string) domain.Command {
	v := reflect.New(reflect.TypeOf(c)).Elem()
	v.Set(reflect.ValueOf(c))
	for i := range v.NumField() {
		switch f := v.Field(i).Addr().Interface().(type) {
		case *[]byte:
			if string(*f) == from {
				*f = []byte(to)
			}
		case *[]domain.UserID:
			*f = slices.Clone(*f)
			for j, id := range *f {
				if string(id) == from {
					(*f)[j] = domain.UserID(to)
				}
			}
		case *[]domain.ProjectRole:
			*f = slices.Clone(*f)
			for j, r := range *f {
				if string(r.Project) == from {
					(*f)[j].Project = domain.ProjectID(to)
				}
			}
		default:
			if f := v.Field(i); f.Kind() == reflect.String && f.String() == from {
				f.SetString(to)
			}
		}
	}
	return v.Interface().(domain.Command)
}

func refusal(err error) *domain.Error {
	var e *domain.Error
	errors.As(err, &e)
	return e
}

var timeInText = regexp.MustCompile(`\{@([^}]*)\}`)

// eventsOf are the events in text form, or none.
func eventsOf(t testing.TB, text string) (events []*eventv1.Event) {
	t.Helper()
	if text == "" {
		return nil
	}
	text = timeInText.ReplaceAllStringFunc(text, func(m string) string {
		d, err := time.ParseDuration(timeInText.FindStringSubmatch(m)[1])
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("{seconds: %d}", in(d).Unix())
	})
	for _, text := range strings.Split(text, "&") {
		e := &eventv1.Event{}
		if err := prototext.Unmarshal([]byte(text), e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// Commands that always change something.
var neverIdle = words(`CreateOrg CreateProject TransferProject CreateKey ImportKey RotateKey RevokeRole LeaveOrg CreateServiceAccount
	CreateGroup DeleteGroup DefineRole DeleteRole Invite ResendInvitation OfferTransfer AcceptTransfer CreateWebhook RotateWebhookSecret DeleteWebhook`)

// Tenure itself gives these, and nobody is refused who can.
var neverRefused = words("CreateInstance IntroducePepper RehashKey Init DisableWebhook")

// TestEveryCommandHasRows: every method that changes something, and every type with a decide method, has a row in which it is
// accepted, one in which it is refused and one in which it changes nothing.
func TestEveryCommandHasRows(t *testing.T) {
	t.Parallel()
	var accepted, idle, refused []string
	for _, r := range slices.Concat(tables...) {
		name := r.when.Name()
		switch {
		case r.code != 0:
			refused = append(refused, name)
		case r.then == "":
			idle = append(idle, name)
		default:
			accepted = append(accepted, name)
		}
	}
	commands := append(commandTypes(t), changingMethods()...)
	slices.Sort(commands)
	for _, name := range slices.Compact(commands) {
		if !slices.Contains(accepted, name) {
			t.Errorf("no row accepts %s", name)
		}
		if !slices.Contains(refused, name) && !slices.Contains(neverRefused, name) {
			t.Errorf("no row refuses %s", name)
		}
		if !slices.Contains(idle, name) && !slices.Contains(neverIdle, name) {
			t.Errorf("in no row %s changes nothing", name)
		}
		if rules()[name].Requirement == domain.Nobody {
			t.Errorf("%s has no rule", name)
		}
	}
}

// changingMethods are the methods that are not declared free of side effects; VerifyKey is none of them only because its
// secret must not stand in a URL.
func changingMethods() (names []string) {
	eachMethod(func(m protoreflect.MethodDescriptor) {
		level := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel()
		// What takes no reason changes nothing that the log says.
		if level != descriptorpb.MethodOptions_NO_SIDE_EFFECTS && m.Input().Fields().ByName("reason") != nil {
			names = append(names, string(m.Name()))
		}
	})
	return names
}

// commandTypes are the types of this package's source that have a decide method.
func commandTypes(t *testing.T) (names []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "decide" && f.Recv != nil {
				names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	if len(names) < 20 {
		t.Fatalf("found only %d commands in the source", len(names))
	}
	return names
}
