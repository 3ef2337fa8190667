package tests

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/runner"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
	"github.com/tenurehq/tenure/tests/pgtest"
)

// onBothEngines runs a test on servers with both databases.
func onBothEngines(t *testing.T, test func(t *testing.T, s *apiServer)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, apiStart(t, nil)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, apiStart(t, func(cfg *app.Config) { cfg.PostgresURL = pgtest.Database(t) }))
	})
}

// settled waits until the read models are where the state is, and answers how long that took.
func (s *apiServer) settled(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), apiWait)
	defer cancel()
	for _, p := range s.ReadModels.All() {
		if _, err := p.Await(ctx, s.Engine.State().Position); err != nil {
			t.Fatalf("%v: %+v", err, p.Report())
		}
	}
	return time.Since(began)
}

// verified checks that every read model is what the log says.
func (s *apiServer) verified(t testing.TB) {
	t.Helper()
	s.settled(t)
	for _, p := range s.ReadModels.All() {
		b, err := p.Verify()
		if err != nil {
			t.Fatal(err)
		}
		<-b.Done()
		if v, err := b.Result(); err != nil {
			t.Errorf("%s: %v, %+v", p.Name(), err, v)
		}
	}
}

// processVerify is VerifyProjection of a server in a process.
func processVerify(t *testing.T, url, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), processWait)
	defer cancel()
	client := tenurev1connect.NewProjectionServiceClient(http.DefaultClient, url)
	stream, err := client.VerifyProjection(withBearer(ctx, processAdmin), &tenurev1.VerifyProjectionRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var result *tenurev1.BuildResult
	var progress *tenurev1.BuildProgress
	for stream.Receive() {
		result, progress = stream.Msg().Result, stream.Msg().Progress
	}
	if stream.Err() != nil || result.GetHash() == "" {
		list, _ := client.ListProjections(withBearer(t.Context(), processAdmin), &tenurev1.ListProjectionsRequest{})
		t.Errorf("%s: %v, %v, %v; %v", name, stream.Err(), result, progress, list)
	}
}

// The same commands on both databases give the same answers to every query, and what the state can answer too is what it answers.
func TestReadModelsAnswerTheSame(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, s *apiServer) {
		a, b := s.furnished(t), s.tenant(t)
		admin := s.admin()
		before := time.Now()
		positionBefore := uint64(s.Engine.State().Position)
		apiOK[*tenurev1.TransferProjectResponse](t, admin, &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: b.org, Reason: "sold"})
		s.settled(t)
		for what, got := range map[string][2]any{
			"people by e-mail":    {a.owner.id, firstUser(apiOK[*tenurev1.SearchUsersResponse](t, admin, &tenurev1.SearchUsersRequest{Query: strings.ToUpper(a.owner.email)}))},
			"people by name":      {a.owner.id, firstUser(apiOK[*tenurev1.SearchUsersResponse](t, admin, &tenurev1.SearchUsersRequest{Query: a.owner.name[1:]}))},
			"a wildcard is text":  {"", firstUser(apiOK[*tenurev1.SearchUsersResponse](t, admin, &tenurev1.SearchUsersRequest{Query: "%"}))},
			"an underscore, too":  {"", firstUser(apiOK[*tenurev1.SearchUsersResponse](t, admin, &tenurev1.SearchUsersRequest{Query: "________________________________________________"}))},
			"organizations":       {b.org, firstOrg(apiOK[*tenurev1.SearchOrgsResponse](t, admin, &tenurev1.SearchOrgsRequest{Query: strings.ToUpper(orgName(s, b.org))}))},
			"no such organiation": {"", firstOrg(apiOK[*tenurev1.SearchOrgsResponse](t, admin, &tenurev1.SearchOrgsRequest{Query: "no such organization"}))},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: %v, want %v", what, got[1], got[0])
			}
		}

		// Who could read the project, before the transfer and after it, and by which grant.
		who := func(req *tenurev1.AccessAtRequest) (list []string) {
			req.Permission = "project:read"
			for _, subject := range apiOK[*tenurev1.AccessAtResponse](t, admin, req).Subjects {
				if subject.UserId != "" {
					list = append(list, subject.UserId)
					if subject.GrantedIn == 0 && subject.By != string(domain.ByInstanceAdmin) {
						t.Errorf("%s holds it by %s, and no grant is named", subject.UserId, subject.By)
					}
				}
			}
			return list
		}
		if list := who(&tenurev1.AccessAtRequest{ProjectId: a.project, Time: timestamppb.New(before)}); !slices.Contains(list, a.owner.id) || slices.Contains(list, b.owner.id) {
			t.Errorf("before the transfer: %v", list)
		}
		if list := who(&tenurev1.AccessAtRequest{ProjectId: a.project, Position: positionBefore}); !slices.Contains(list, a.owner.id) {
			t.Errorf("at position %d: %v", positionBefore, list)
		}
		if list := who(&tenurev1.AccessAtRequest{ProjectId: a.project, Time: timestamppb.Now()}); slices.Contains(list, a.owner.id) || !slices.Contains(list, b.owner.id) {
			t.Errorf("after the transfer: %v", list)
		}
		// The former organization asks about what was its own.
		if list := who(&tenurev1.AccessAtRequest{OrgId: a.org, ProjectId: a.project, Time: timestamppb.New(before)}); !slices.Contains(list, a.owner.id) {
			t.Errorf("as the former organization: %v", list)
		}
		former := s.bearer(a.owner.key.secret)
		refusedAs(t, former, &tenurev1.AccessAtRequest{OrgId: a.org, ProjectId: a.project, Permission: "project:read", Time: timestamppb.Now()}, connect.CodeFailedPrecondition, "NOT_THERE_THEN")
		refusedAs(t, former, &tenurev1.AccessAtRequest{ProjectId: a.project, Permission: "project:read", Time: timestamppb.New(before)}, connect.CodeNotFound, "")
		refusedAs(t, admin, &tenurev1.AccessAtRequest{OrgId: a.org, UserId: a.owner.id, Position: 1 << 40}, connect.CodeInvalidArgument, "")
		refusedAs(t, admin, &tenurev1.AccessAtRequest{OrgId: a.org, UserId: a.owner.id, Time: timestamppb.New(time.Now().Add(time.Hour))}, connect.CodeInvalidArgument, "")
		refusedAs(t, admin, &tenurev1.AccessAtRequest{OrgId: a.org, UserId: a.owner.id, Position: 1}, connect.CodeFailedPrecondition, "NOT_THERE_THEN")
		// What a person could do then.
		then := apiOK[*tenurev1.AccessAtResponse](t, admin, &tenurev1.AccessAtRequest{OrgId: a.org, UserId: a.owner.id, Permission: "organization:update", Time: timestamppb.New(before)})
		if !then.Verdict.GetAllowed() || len(then.Verdict.Steps) == 0 || len(then.Access) < 2 || then.Access[0].Role != "OWNER" || !slices.Contains(then.Access[1].Permissions, "project:delete") {
			t.Errorf("%v", then)
		}

		// Who holds something anywhere is what the state says of each project.
		var holders []string
		req := &tenurev1.FindHoldersRequest{Permission: "project:delete", PageSize: 2}
		for {
			res := apiOK[*tenurev1.FindHoldersResponse](t, admin, req)
			for _, h := range res.Holders {
				holders = append(holders, h.ProjectId+" "+h.UserId)
			}
			if req.PageToken = res.NextPageToken; req.PageToken == "" {
				break
			}
		}
		var want []string
		state := s.Engine.State()
		p := domain.ParsePermission(domain.ProjectLevel, "project:delete")
		for id := range state.Projects().All() {
			at, err := state.Place("", id)
			if err != nil {
				t.Fatal(err)
			}
			for subject := range state.SubjectsAfter(p, at, "", "", false, time.Now()) {
				if subject.User != "" {
					want = append(want, string(id)+" "+string(subject.User))
				}
			}
		}
		slices.Sort(want)
		slices.Sort(holders)
		if !slices.Equal(holders, want) {
			t.Errorf("who holds project:delete: %v, the state says %v", holders, want)
		}
		s.verified(t)
	})
}

// withBearer is a context whose calls carry a secret.
func withBearer(ctx context.Context, secret string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+secret)
	return ctx
}

// refusedAs calls a method that must refuse, and answers the error. An empty reason is any.
func refusedAs(t testing.TB, c apiCaller, request proto.Message, code connect.Code, reason string) error {
	t.Helper()
	_, _, err := c.call(t.Context(), request)
	if e := apiErrorOf(err); err == nil || e.code != code || reason != "" && e.reason != reason {
		t.Errorf("%s %v: %v, want %s %s", request.ProtoReflect().Descriptor().Name(), request, err, code, reason)
		return errors.New("not refused")
	}
	return err
}

func firstUser(res *tenurev1.SearchUsersResponse) string {
	if len(res.Users) == 0 {
		return ""
	}
	return res.Users[0].Id
}

func firstOrg(res *tenurev1.SearchOrgsResponse) string {
	if len(res.Orgs) == 0 {
		return ""
	}
	return res.Orgs[0].Id
}

func orgName(s *apiServer, id string) string {
	o, _ := s.Engine.State().Org(domain.OrgID(id))
	return o.Name
}

// When a person is erased, nothing personal of theirs is in the read models any more, nor in their files. Seen to fail without
// secure_delete, and without the checkpoint of the write-ahead log.
func TestReadModelsForgetTheErased(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, s *apiServer) {
		var people []apiPerson
		for range 30 {
			people = append(people, s.person(t))
		}
		gone, stays := people[11], people[12]
		s.settled(t)
		apiOK[*tenurev1.EraseUserResponse](t, s.admin(), &tenurev1.EraseUserRequest{UserId: gone.id})
		s.settled(t)
		if id := firstUser(apiOK[*tenurev1.SearchUsersResponse](t, s.admin(), &tenurev1.SearchUsersRequest{Query: gone.email})); id != "" {
			t.Errorf("%s is found", id)
		}
		if id := firstUser(apiOK[*tenurev1.SearchUsersResponse](t, s.admin(), &tenurev1.SearchUsersRequest{Query: stays.email})); id != stays.id {
			t.Errorf("who was not erased is found as %q", id)
		}
		s.verified(t)
		kept := false
		for path, data := range filesOf(t, s.dir) {
			kept = kept || strings.Contains(data, stays.email)
			for _, personal := range []string{gone.email, gone.name} {
				if strings.Contains(data, personal) {
					t.Errorf("%q is in %s", personal, filepath.Base(path))
				}
			}
		}
		if sqlite := s.ReadModels.Database.Engine() == "sqlite"; kept != sqlite {
			t.Errorf("who was not erased is in a file: %t", kept)
		}
	})
}

func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return ignoreGone(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A request that names a position waits for the read model, for a bounded time, and is then told how far it is; one that names none is
// answered with what is there. Fails if model takes what is there in the end,
// whatever the call wanted: tried.
func TestReadModelsAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	s.settled(t)
	// The projector ends; the log goes on.
	s.ReadModels.Audit.Close()
	at := s.Engine.State().Position
	made := apiOK[*tenurev1.CreateProjectResponse](t, s.admin(), &tenurev1.CreateProjectRequest{OrgId: a.org, Name: "later"})
	query := &tenurev1.QueryAuditRequest{OrgId: a.org}
	began := time.Now()
	err := refusedAs(t, s.admin().with("Tenure-Token", made.Token), query, connect.CodeUnavailable, string(runner.NotCaughtUp))
	if want := fmt.Sprintf(`read model "audit" is at %d, %d wanted`, at, s.Engine.State().Position); !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if res := apiOK[*tenurev1.QueryAuditResponse](t, s.admin(), query); res.Records[0].Position > uint64(at) {
		t.Errorf("the newest record is at %d, the read model at %d", res.Records[0].Position, at)
	}
}

// Usage is counted, merged over servers and restarts, shown with the key, and finds keys that nobody uses. Seen to fail when a flush
// replaces what is stored instead of adding to it.
func TestKeyUsage(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	conn := apiBroker(t)
	start := func(pepper string) *apiServer {
		return apiStart(t, func(cfg *app.Config) {
			cfg.NATSURL, cfg.PostgresURL = conn.ConnectedUrl(), database
			if pepper != "" {
				cfg.PepperFile, cfg.SealingKeyFile = filepath.Join(pepper, "pepper"), filepath.Join(pepper, "sealing-key")
			}
		})
	}
	s := start("")
	other := start(s.dir)
	a := s.tenant(t)
	unused := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project})
	apiOK[*tenurev1.GetInstanceResponse](t, other.admin().with("Tenure-Consistency", "linearizable"), &tenurev1.GetInstanceRequest{})
	for i := range 10 {
		server := []*apiServer{s, other}[i%2]
		apiOK[*tenurev1.VerifyKeyResponse](t, server.anonymous(), &tenurev1.VerifyKeyRequest{PublicKey: a.projectKey.public, Secret: a.projectKey.secret})
	}
	// A wrong environment or secret is no use.
	apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{PublicKey: a.projectKey.public, Secret: a.orgKey.secret})
	at := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	apiOK[*tenurev1.ReportUsageResponse](t, s.admin(), &tenurev1.ReportUsageRequest{Uses: []*tenurev1.ReportedUse{
		{KeyId: a.projectKey.id, Uses: 100, LastUsedAt: timestamppb.New(at)}, {KeyId: "key_unknown", Uses: 5, LastUsedAt: timestamppb.Now()},
	}})
	other.stop(t)
	other = start(s.dir)
	get := func(server *apiServer) *tenurev1.KeyUsage {
		return apiOK[*tenurev1.GetKeyResponse](t, server.admin(), &tenurev1.GetKeyRequest{KeyId: a.projectKey.id}).Key.Usage
	}
	if usage := get(s); len(usage.GetDays()) != 2 || usage.Days[0].Uses != 100 {
		t.Errorf("before it is stored: %v", usage)
	}
	if err := s.ReadModels.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]*apiServer{"one": s, "other": other} {
		usage := get(server)
		if len(usage.GetDays()) != 2 || usage.Days[0].Uses != 100 || usage.Days[1].Uses != 10 || usage.Days[0].Day != at.UTC().Format(time.DateOnly) ||
			time.Since(usage.LastUsedAt.AsTime()) > apiWait {
			t.Errorf("%s: %v", name, usage)
		}
	}
	if usage := apiOK[*tenurev1.GetKeyResponse](t, s.admin(), &tenurev1.GetKeyRequest{KeyId: unused.id}).Key.Usage; usage != nil {
		t.Errorf("a key that nobody used: %v", usage)
	}
	s.ahead.Store(int64(36 * time.Hour))
	s.settled(t)
	found := apiOK[*tenurev1.FindKeysResponse](t, s.bearer(a.orgKey.secret), &tenurev1.FindKeysRequest{OrgId: a.org, UnusedForDays: 1})
	var ids []string
	for _, k := range found.Keys {
		ids = append(ids, k.Id)
	}
	if !slices.Contains(ids, unused.id) || slices.Contains(ids, a.orgKey.id) {
		t.Errorf("unused keys %v, want %s and not %s, which asks", ids, unused.id, a.orgKey.id)
	}
}

// Keys that end soon are found, those that have ended or are revoked are not; organization by organization, or everywhere.
func TestFindKeysThatExpire(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, s *apiServer) {
		a := s.tenant(t)
		key := func(in time.Duration) apiKey {
			return s.key(t, s.admin(), &tenurev1.CreateKeyRequest{ProjectId: a.project, ExpiresAt: timestamppb.New(time.Now().Add(in))})
		}
		soon, later, revoked := key(24*time.Hour), key(30*24*time.Hour), key(24*time.Hour)
		apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: revoked.id})
		s.settled(t)
		for _, org := range []string{a.org, ""} {
			var ids []string
			for _, k := range apiOK[*tenurev1.FindKeysResponse](t, s.admin(), &tenurev1.FindKeysRequest{OrgId: org, ExpiringWithinDays: 7}).Keys {
				ids = append(ids, k.Id)
			}
			if !slices.Equal(ids, []string{soon.id}) {
				t.Errorf("%q: %v, want %s and neither %s nor %s", org, ids, soon.id, later.id, revoked.id)
			}
		}
		refusedAs(t, s.bearer(a.orgKey.secret), &tenurev1.FindKeysRequest{ExpiringWithinDays: 7}, connect.CodePermissionDenied, "")
		refusedAs(t, s.bearer(a.orgKey.secret), &tenurev1.FindKeysRequest{OrgId: a.org}, connect.CodeInvalidArgument, "")
	})
}

// Exports hold what QueryAudit shows, whole lines in every format, and go on where they broke.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, s *apiServer) {
		a := s.furnished(t)
		s.settled(t)
		want := 0
		req := &tenurev1.QueryAuditRequest{OrgId: a.org, PageSize: 1000}
		want = len(apiOK[*tenurev1.QueryAuditResponse](t, s.admin(), req).Records)
		client := tenurev1connect.NewAuditServiceClient(http.DefaultClient, s.URL)
		export := func(req *tenurev1.ExportAuditRequest) (text string, position uint64, index uint32) {
			t.Helper()
			stream, err := client.ExportAudit(withBearer(t.Context(), apiAdminKey), req)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			for stream.Receive() {
				text += string(stream.Msg().Data)
				position, index = stream.Msg().Position, stream.Msg().Index
			}
			if stream.Err() != nil {
				t.Fatal(stream.Err())
			}
			return text, position, index
		}
		for format, head := range map[tenurev1.AuditFormat]int{0: 0, tenurev1.AuditFormat_AUDIT_FORMAT_CSV: 1, tenurev1.AuditFormat_AUDIT_FORMAT_CLOUDEVENTS: 0, tenurev1.AuditFormat_AUDIT_FORMAT_OCSF: 0} {
			text, _, _ := export(&tenurev1.ExportAuditRequest{OrgId: a.org, Format: format})
			lines := strings.Count(text, "\n")
			if lines != want+head || !strings.HasSuffix(text, "\n") {
				t.Errorf("%s: %d lines, want %d", format, lines, want+head)
			}
			half, position, index := export(&tenurev1.ExportAuditRequest{OrgId: a.org, Format: format, Filter: &tenurev1.AuditFilter{ToPosition: uint64(s.Engine.State().Position) - 4}})
			rest, _, _ := export(&tenurev1.ExportAuditRequest{OrgId: a.org, Format: format, AfterPosition: position, AfterIndex: index})
			if half+rest != text || rest == "" {
				t.Errorf("%s: an export that went on is another", format)
			}
		}
		refusedAs(t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{EventType: "NoSuch"}}, connect.CodeInvalidArgument, "")
		refusedAs(t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{Ip: "not an address"}}, connect.CodeInvalidArgument, "")
		refusedAs(t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{FromPosition: 9, ToPosition: 3}}, connect.CodeInvalidArgument, "")
		page := apiOK[*tenurev1.QueryAuditResponse](t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org, PageSize: 1})
		refusedAs(t, s.admin(), &tenurev1.QueryAuditRequest{OrgId: a.org, PageSize: 1, PageToken: page.NextPageToken, OldestFirst: true}, connect.CodeInvalidArgument, "")
		refusedAs(t, s.bearer(a.orgKey.secret), &tenurev1.QueryAuditRequest{}, connect.CodePermissionDenied, "")
	})
}

// Both organizations of a transfer see it, the project's history follows the project, and what is personal about the former
// organization's people stays behind, also from who searches for their address. Seen to fail without the filter behind the record.
func TestAuditSearchAfterATransfer(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, s *apiServer) {
		a, b := s.tenant(t), s.tenant(t)
		const ip = "203.0.113.9"
		apiOK[*tenurev1.UpdateProjectResponse](t, s.bearer(a.owner.key.secret).from(ip), &tenurev1.UpdateProjectRequest{ProjectId: a.project, Name: proto.String("renamed"), Reason: "at home"})
		apiOK[*tenurev1.TransferProjectResponse](t, s.admin(), &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: b.org})
		s.settled(t)
		types := func(c apiCaller, req *tenurev1.QueryAuditRequest) (list []string) {
			for _, r := range apiOK[*tenurev1.QueryAuditResponse](t, c, req).Records {
				list = append(list, r.EventType)
				if r.EventType == "ProjectUpdated" && (r.Ip != "") != (req.OrgId == a.org) {
					t.Errorf("%v shows the address %q", req, r.Ip)
				}
			}
			return list
		}
		source, target := s.bearer(a.owner.key.secret), s.bearer(b.owner.key.secret)
		for what, row := range map[string]struct {
			c    apiCaller
			req  *tenurev1.QueryAuditRequest
			want string
		}{
			"source's history":             {source, &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{EventType: "ProjectT"}}, "ProjectTransferred"},
			"target's history":             {target, &tenurev1.QueryAuditRequest{OrgId: b.org, Filter: &tenurev1.AuditFilter{EventType: "ProjectT"}}, "ProjectTransferred"},
			"project's history":            {target, &tenurev1.QueryAuditRequest{ProjectId: a.project, Filter: &tenurev1.AuditFilter{EventType: "Project"}}, "ProjectTransferred ProjectUpdated ProjectCreated"},
			"source keeps its own":         {source, &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{EventType: "ProjectU"}}, "ProjectUpdated"},
			"target's, before it was hers": {target, &tenurev1.QueryAuditRequest{OrgId: b.org, Filter: &tenurev1.AuditFilter{EventType: "ProjectU"}}, ""},
			"source by address":            {source, &tenurev1.QueryAuditRequest{OrgId: a.org, Filter: &tenurev1.AuditFilter{Ip: ip}}, "ProjectUpdated"},
			"project by foreign address":   {target, &tenurev1.QueryAuditRequest{ProjectId: a.project, Filter: &tenurev1.AuditFilter{Ip: ip}}, ""},
		} {
			if got := strings.Join(types(row.c, row.req), " "); got != row.want {
				t.Errorf("%s: %s, want %s", what, got, row.want)
			}
		}
		refusedAs(t, source, &tenurev1.QueryAuditRequest{ProjectId: a.project}, connect.CodeNotFound, "")
	})
}
