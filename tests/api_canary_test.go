package tests

import (
	"bytes"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/accesslog"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// logged is a log that several goroutines write to.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// No secret, e-mail or name of a person comes into logs, metrics or the files of the store, whatever is called and however
// it fails. Fails if the gate logs the request or its Authorization header, or if a name is stored unsealed: tried.
func TestAPICanary(t *testing.T) {
	t.Parallel()
	var logs logged
	s := apiStart(t, func(c *app.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.PrivateListen = "127.0.0.1:0"
	})
	a := s.furnished(t)
	canaries := map[string]string{
		"the admin key": apiAdminKey, "an e-mail": a.owner.email, "a name": a.owner.name,
		"a personal secret": a.owner.key.secret, "an organization's secret": a.orgKey.secret, "a project's secret": a.projectKey.secret,
		"a wrong secret": "sk-tn-canarycanarycanary", "a user agent": "canary-agent/1.0", "an address": "203.0.113.77",
		"an invitation's token": a.token, "an invited address": "canary.invited@example.com", "a listed address": "canary.listed@example.com",
		"an account elsewhere": "canary-subject-77", "a service account's name": "canary account",
	}
	apiOK[*tenurev1.InviteResponse](t, s.admin(), &tenurev1.InviteRequest{OrgId: a.org, Email: canaries["an invited address"], Role: "VIEWER"})
	apiOK[*tenurev1.UpdatePolicyResponse](t, s.admin(), &tenurev1.UpdatePolicyRequest{OrgCreators: &tenurev1.OrgCreatorsPolicy{
		Who: tenurev1.OrgCreatorsPolicy_WHO_LISTED, Emails: []string{canaries["a listed address"]},
	}})
	apiOK[*tenurev1.LinkIdentityResponse](t, s.admin(), &tenurev1.LinkIdentityRequest{
		UserId: a.owner.id, Issuer: "https://accounts.example.com", Subject: canaries["an account elsewhere"],
	})
	apiOK[*tenurev1.CreateServiceAccountResponse](t, s.admin(), &tenurev1.CreateServiceAccountRequest{OrgId: a.org, Name: canaries["a service account's name"]})
	for _, caller := range []apiCaller{
		s.bearer(a.projectKey.secret), s.basic(a.orgKey.public, a.orgKey.secret), s.bearer(a.owner.key.secret),
		s.bearer(canaries["a wrong secret"]), s.basic(a.orgKey.public, a.projectKey.secret), s.anonymous(), s.admin(),
	} {
		caller = caller.from(canaries["an address"]).with("User-Agent", canaries["a user agent"])
		apiEveryRequest(t, a.names(), func(_ string, request proto.Message) {
			_, _, err := caller.call(t.Context(), request)
			for what, canary := range canaries {
				if err != nil && strings.Contains(err.Error(), canary) {
					t.Errorf("%s is in an error: %v", what, err)
				}
			}
		})
	}
	res, err := http.Get(s.PrivateURL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(metrics, []byte("tenure_rpc_requests_total")) {
		t.Errorf("the metrics are not there: %.200s", metrics)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	text := logs.String()
	// Whom the directory is searched for is in it, until erased: see TestReadModelsForgetTheErased.
	personal := map[string]bool{"an e-mail": true, "a name": true, "a service account's name": true}
	for what, canary := range canaries {
		if strings.Contains(text, canary) {
			t.Errorf("%s is in the log", what)
		}
		if bytes.Contains(metrics, []byte(canary)) {
			t.Errorf("%s is in the metrics", what)
		}
	}
	access := false
	if err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		stored, err := os.ReadFile(path)
		access = access || strings.Contains(path, accesslog.StreamName) && bytes.Contains(stored, []byte("PERMISSION_DENIED"))
		for what, canary := range canaries {
			if personal[what] && strings.HasPrefix(d.Name(), "directory-") {
				continue
			}
			if bytes.Contains(stored, []byte(canary)) {
				t.Errorf("%s is in the file %s", what, d.Name())
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !access {
		t.Error("nothing is in the access log")
	}
	if !strings.Contains(text, "log replayed") {
		t.Error("nothing was logged at all")
	}
}

// What was personal about an erased person reads "<erased>" wherever it was shown, also after a restart, and the key it was
// sealed with is gone. Fails if neither EraseUser nor the eraser destroys the key, or if the history shows digests: tried.
func TestAPIErasure(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	person := s.person(t)
	apiOK[*tenurev1.GrantRoleResponse](t, s.admin(), &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: person.id, Role: "ADMIN"})
	apiOK[*tenurev1.UpdateUserResponse](t, s.bearer(person.key.secret).from("203.0.113.78"), &tenurev1.UpdateUserRequest{
		UserId: person.id, Name: proto.String("Another Name"),
	})
	// The person's own address and names are in the organization's history.
	history := func(s *apiServer) string {
		text, err := protojson.Marshal(apiOK[*tenurev1.QueryAuditResponse](t, s.bearer(a.owner.key.secret), &tenurev1.QueryAuditRequest{OrgId: a.org}))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	personal := []string{person.email, person.name, "Another Name", "203.0.113.78"}
	before := history(s)
	for _, value := range personal[1:] {
		if !strings.Contains(before, value) {
			t.Fatalf("before the erasure the history does not show %s: %s", value, before)
		}
	}
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: person.id})
	apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: person.id})
	gone := func(s *apiServer) {
		t.Helper()
		text := history(s)
		for _, value := range personal {
			if strings.Contains(text, value) {
				t.Errorf("the history still shows %s: %s", value, text)
			}
		}
		if !strings.Contains(text, "<erased>") {
			t.Errorf("the history does not say that something was erased: %s", text)
		}
		u := apiOK[*tenurev1.GetUserResponse](t, s.admin(), &tenurev1.GetUserRequest{UserId: person.id}).User
		if u.Email != "<erased>" || u.Name != "<erased>" || u.Status != tenurev1.UserStatus_USER_STATUS_ERASED {
			t.Errorf("GetUser: %v", u)
		}
		if _, _, err := s.bearer(person.key.secret).call(t.Context(), &tenurev1.WhoAmIRequest{}); err == nil {
			t.Error("a key of the erased person still works")
		}
		for _, m := range apiOK[*tenurev1.ListMembersResponse](t, s.admin(), &tenurev1.ListMembersRequest{OrgId: a.org}).Members {
			if m.UserId == person.id {
				t.Error("the erased person is still a member")
			}
		}
	}
	gone(s)
	s.stop(t)
	again := apiStart(t, func(c *app.Config) { c.DataDir = s.dir })
	gone(again)
	// The e-mail is free.
	u := apiOK[*tenurev1.RegisterUserResponse](t, again.admin(), &tenurev1.RegisterUserRequest{Email: person.email}).User
	if u.Id == person.id {
		t.Error("the e-mail still belongs to the erased account")
	}
}
