package tests

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// initEnv is what a Langfuse installation is begun with, unchanged.
var initEnv = map[string]string{
	"LANGFUSE_INIT_ORG_ID": "acme", "LANGFUSE_INIT_ORG_NAME": "Acme Corp", "LANGFUSE_INIT_PROJECT_ID": "chatbot",
	"LANGFUSE_INIT_PROJECT_NAME": "acme-chatbot", "LANGFUSE_INIT_PROJECT_RETENTION": "30",
	"LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk-lf-1234567890", "LANGFUSE_INIT_PROJECT_SECRET_KEY": "sk-lf-1234567890",
	"LANGFUSE_INIT_USER_EMAIL": "Ada@Example.com", "LANGFUSE_INIT_USER_NAME": "Ada", "LANGFUSE_INIT_USER_PASSWORD": "ignored",
	"LANGFUSE_DEFAULT_ORG_ID": "acme", "LANGFUSE_DEFAULT_PROJECT_ID": "chatbot", "LANGFUSE_DEFAULT_PROJECT_ROLE": "MEMBER",
	"LANGFUSE_ALLOWED_ORGANIZATION_CREATORS": "*@example.com,boss@other.example",
}

func initSettings(t *testing.T, env map[string]string) app.InitSettings {
	t.Helper()
	s, err := app.InitFromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Three servers that start at once on one log make one organization, project, person and key, in one commit. Fails if Init is
// given as single commands, or makes the person without looking whether the address has an account: tried.
func TestInitOfThreeServersAtOnce(t *testing.T) {
	t.Parallel()
	c := natstest.Cluster(t, 3)
	settings := initSettings(t, initEnv)
	f := startFaultServers(t, t.TempDir(), 3, func(c *app.Config) { c.Init = settings }, c.URL(0), c.URL(1), c.URL(2))
	state, _ := f.settled(t)
	if n := [4]int{state.Orgs().Len(), state.Projects().Len(), state.Users().Len(), state.Keys().Len()}; n != [4]int{1, 1, 1, 1} {
		t.Errorf("organizations, projects, users, keys: %v", n)
	}
	commits := 0
	err := f.apps[0].Engine.Commits(processContext(t), 1, state.Position, func(c engine.Commit) error {
		for _, e := range c.Entries {
			if e.Command == "Init" {
				commits++
				if len(e.Events) < 6 {
					t.Errorf("init made %d events in position %d", len(e.Events), c.Position)
				}
			}
		}
		return nil
	})
	if err != nil || commits != 1 {
		t.Errorf("init stands in %d commits, %v", commits, err)
	}
	for i, a := range f.apps {
		s := &apiServer{App: a}
		for _, req := range []*tenurev1.VerifyKeyRequest{
			{PublicKey: "pk-lf-1234567890", Secret: "sk-lf-1234567890"}, {Secret: "sk-lf-1234567890"},
		} {
			res := apiOK[*tenurev1.VerifyKeyResponse](t, s.bearer(processAdmin), req)
			if !res.Valid || res.ProjectId != "chatbot" || res.OrgId != "acme" {
				t.Errorf("server %d: the key of the settings: %v", i, res)
			}
		}
	}
}

// A second start changes nothing. What was changed since is told and left: a name, a demoted owner, a revoked key, the policy.
// Fails if Init does not remember what it gave, or overwrites: tried.
func TestInitLeavesWhatWasChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := &lockedBuffer{}
	start := func() *apiServer {
		return apiStart(t, func(c *app.Config) {
			c.DataDir, c.Init, c.Logger = dir, initSettings(t, initEnv), slog.New(slog.NewTextHandler(logs, nil))
		})
	}
	s := start()
	admin := s.admin()
	member := apiOK[*tenurev1.ListMembersResponse](t, admin, &tenurev1.ListMembersRequest{OrgId: "acme"}).Members[0]
	if member.Email != "ada@example.com" || member.Role != "OWNER" || member.Name != "Ada" {
		t.Errorf("the owner is %v", member)
	}
	project := apiOK[*tenurev1.GetProjectResponse](t, admin, &tenurev1.GetProjectRequest{ProjectId: "chatbot"}).Project
	if project.Name != "acme-chatbot" || project.RetentionDays != 30 || project.OrgId != "acme" {
		t.Errorf("the project is %v", project)
	}
	policy := apiOK[*tenurev1.GetPolicyResponse](t, admin, &tenurev1.GetPolicyRequest{}).Policy
	if got := policy.SignUp.Grants; len(got) != 1 || got[0].Role != "VIEWER" || got[0].ProjectRole != "MEMBER" || len(policy.OrgCreators.Emails) != 2 {
		t.Errorf("the policy is %v", policy)
	}
	if text := logs.String(); !strings.Contains(text, "Tenure has no passwords") || strings.Contains(text, "found something else") {
		t.Errorf("the log of the first start says:\n%s", text)
	}
	before := s.mark()
	s.stop(t)

	s = start()
	before.unchanged(t, s)
	if strings.Contains(logs.String(), "found something else") {
		t.Errorf("the second start finds differences:\n%s", logs.String())
	}
	other := s.person(t)
	admin = s.admin()
	for _, req := range []*tenurev1.GrantRoleRequest{
		{OrgId: "acme", UserId: other.id, Role: "OWNER"}, {OrgId: "acme", UserId: member.UserId, Role: "VIEWER"},
	} {
		apiOK[*tenurev1.GrantRoleResponse](t, admin, req)
	}
	name := "Acme Renamed"
	apiOK[*tenurev1.UpdateOrgResponse](t, admin, &tenurev1.UpdateOrgRequest{OrgId: "acme", Name: &name})
	key := apiOK[*tenurev1.ListKeysResponse](t, admin, &tenurev1.ListKeysRequest{ProjectId: "chatbot"}).Keys[0]
	apiOK[*tenurev1.RevokeKeyResponse](t, admin, &tenurev1.RevokeKeyRequest{KeyId: key.Id})
	apiOK[*tenurev1.UpdatePolicyResponse](t, admin, &tenurev1.UpdatePolicyRequest{SignUp: &tenurev1.SignUpPolicy{}})
	before = s.mark()
	s.stop(t)

	s = start()
	before.unchanged(t, s)
	for _, want := range []string{`named \"Acme Renamed\", not \"Acme Corp\"`, "not promoted again", "KEY_REVOKED", "what new people get was changed"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log does not tell %s:\n%s", want, logs.String())
		}
	}
	// Nor does one who was removed altogether come back.
	apiOK[*tenurev1.RevokeRoleResponse](t, s.admin(), &tenurev1.RevokeRoleRequest{OrgId: "acme", UserId: member.UserId})
	before = s.mark()
	s.stop(t)
	s = start()
	before.unchanged(t, s)
	for _, secret := range []string{initEnv["LANGFUSE_INIT_PROJECT_SECRET_KEY"], "ada@example.com", "boss@other.example"} {
		if strings.Contains(strings.ToLower(logs.String()), secret) {
			t.Errorf("the log shows %s", secret)
		}
	}
}

// An account that exists keeps its id; a project's name that is taken, and defaults that are nowhere, keep nobody from starting.
func TestInitMeetsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := apiStart(t, func(c *app.Config) { c.DataDir = dir })
	admin := s.admin()
	user := apiOK[*tenurev1.RegisterUserResponse](t, admin, &tenurev1.RegisterUserRequest{Email: "ada@example.com"}).User
	apiOK[*tenurev1.CreateOrgResponse](t, admin, &tenurev1.CreateOrgRequest{OrgId: "acme", Name: "Acme Corp"})
	apiOK[*tenurev1.CreateProjectResponse](t, admin, &tenurev1.CreateProjectRequest{OrgId: "acme", Name: "Acme-Chatbot"})
	s.stop(t)

	logs := &lockedBuffer{}
	env := map[string]string{}
	for k, v := range initEnv {
		env[k] = v
	}
	env["LANGFUSE_DEFAULT_ORG_ID"] = "nowhere"
	// Tenure's own variable comes first.
	env["TENURE_INIT_ORG_NAME"] = "Acme Corp of Tenure"
	s = apiStart(t, func(c *app.Config) {
		c.DataDir, c.Init, c.Logger = dir, initSettings(t, env), slog.New(slog.NewTextHandler(logs, nil))
	})
	members := apiOK[*tenurev1.ListMembersResponse](t, s.admin(), &tenurev1.ListMembersRequest{OrgId: "acme"}).Members
	if len(members) != 1 || members[0].UserId != user.Id || members[0].Role != "OWNER" {
		t.Errorf("members: %v", members)
	}
	if s.Engine.State().Projects().Len() != 1 || len(s.Engine.State().Instance.Policy.SignUp) != 0 {
		t.Error("a project was made under a name that was taken, or a default that is nowhere was set")
	}
	for _, want := range []string{"its name \\\"acme-chatbot\\\" is taken", "not \\\"Acme Corp of Tenure\\\"", "check DEFAULT_ORG_ID"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log does not tell %s:\n%s", want, logs.String())
		}
	}
}

// Wrong settings are named by their variable.
func TestInitFromEnvRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		env  map[string]string
		says string
	}{
		"half a key":      {map[string]string{"LANGFUSE_INIT_ORG_ID": "a", "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk"}, "belong together"},
		"a short name":    {map[string]string{"TENURE_INIT_ORG_ID": "a", "TENURE_INIT_ORG_NAME": "x"}, "INIT_ORG_NAME"},
		"a bad id":        {map[string]string{"TENURE_INIT_ORG_ID": "a b"}, "INIT_ORG_ID"},
		"retention words": {map[string]string{"LANGFUSE_INIT_ORG_ID": "a", "LANGFUSE_INIT_PROJECT_RETENTION": "ten"}, "INIT_PROJECT_RETENTION"},
		"two days": {map[string]string{
			"LANGFUSE_INIT_ORG_ID": "a", "LANGFUSE_INIT_PROJECT_ID": "p", "LANGFUSE_INIT_PROJECT_RETENTION": "2",
		}, "INIT_PROJECT_RETENTION"},
		"no address": {map[string]string{"LANGFUSE_INIT_ORG_ID": "a", "LANGFUSE_INIT_USER_EMAIL": "ada"}, "INIT_USER_EMAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := app.InitFromEnv(func(v string) string { return row.env[v] }); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want an error that says %q", err, row.says)
			}
		})
	}
}

// An operator's own permissions can be held and asked on every server once one was started with the file, and no more once they
// are gone from it. Tenure's own can't be taken away or changed.
func TestPermissionsFile(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), t.TempDir()+"/permissions.yaml"
	start := func(text string) (*apiServer, error) {
		initWrite(t, file, text)
		ctx, cancel := context.WithTimeout(t.Context(), apiWait)
		defer cancel()
		a, err := app.Start(ctx, app.Config{
			DataDir: dir, Listen: "127.0.0.1:0", AdminKey: apiAdminKey, Logger: slog.New(slog.DiscardHandler), PermissionsFile: file,
		})
		return &apiServer{App: a, dir: dir}, err
	}
	s, err := start("permissions:\n  - {level: project, name: \"reports:export\", role: MEMBER}\n  - {level: organization, name: \"contracts:sign\", role: OWNER}\n")
	if err != nil {
		t.Fatal(err)
	}
	a := s.tenant(t)
	check := func(s *apiServer, permission string) bool {
		return apiOK[*tenurev1.CheckResponse](t, s.admin(), &tenurev1.CheckRequest{UserId: a.owner.id, ProjectId: a.project, Permission: permission}).Allowed
	}
	if !check(s, "reports:export") {
		t.Error("OWNER does not hold a permission that MEMBER holds")
	}
	secret := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project, Permissions: []string{"reports:export"}})
	role := &tenurev1.DefineRoleRequest{OrgId: a.org, Role: "Reporter", ProjectPermissions: []string{"reports:export"}}
	apiOK[*tenurev1.DefineRoleResponse](t, s.bearer(a.owner.key.secret), role)
	// A full key of before does not lose its fullness: an owner makes a key of their own with it.
	apiOK[*tenurev1.CreateKeyResponse](t, s.bearer(a.owner.key.secret), &tenurev1.CreateKeyRequest{UserId: a.owner.id})
	s.stop(t)

	if s, err = start("permissions: []\n"); err != nil {
		t.Fatal(err)
	}
	res := apiOK[*tenurev1.VerifyKeyResponse](t, s.admin(), &tenurev1.VerifyKeyRequest{PublicKey: secret.public, Secret: secret.secret})
	if !res.Valid || len(res.Permissions) != 0 {
		t.Errorf("a key that held what is gone: %v", res)
	}
	apiRefused(t, s.admin(), &tenurev1.CheckRequest{UserId: a.owner.id, ProjectId: a.project, Permission: "reports:export"}, 3, domain.UnknownPermission)
	s.stop(t)

	for text, says := range map[string]string{
		"permissions:\n  - {level: project, name: \"project:read\", role: OWNER}\n": "Tenure's own",
		"permissions:\n  - {level: planet, name: \"a:b\", role: OWNER}\n":           "level",
		"permissions:\n  - {level: project, name: \"nocolon\", role: OWNER}\n":      "resource:action",
		"permissions:\n  - {level: project, name: \"a:b\", role: BOSS}\n":           "role",
		"permissions:\n  - {level: project, name: \"a:b\", rolle: OWNER}\n":         "rolle",
	} {
		if s, err := start(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", text, err, says)
			if err == nil {
				s.stop(t)
			}
		}
	}
	if s, err = start("permissions:\n  - {level: project, name: \"reports:export\", role: VIEWER}\n"); err != nil {
		t.Fatal(err)
	}
	defer s.stop(t)
	res = apiOK[*tenurev1.VerifyKeyResponse](t, s.admin(), &tenurev1.VerifyKeyRequest{PublicKey: secret.public, Secret: secret.secret})
	if len(res.Permissions) != 1 {
		t.Errorf("the permission is back, and the key holds %q", res.Permissions)
	}
}

func initWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
