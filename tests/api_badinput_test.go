package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiBadRow is a request that is refused whatever the state, with the field at fault and a word of what is wrong with it.
type apiBadRow struct {
	name    string
	request proto.Message
	field   string
	says    string
}

// apiBadRows sends each as an instance admin, whom nothing else stops.
func apiBadRows(t *testing.T, s *apiServer, rows []apiBadRow) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, _, err := s.admin().call(t.Context(), row.request)
			e := apiErrorOf(err)
			if e.code != connect.CodeInvalidArgument || e.field != row.field || !strings.Contains(e.message, row.says) || !strings.Contains(e.message, row.field) {
				t.Errorf("%s, field %q: %q; want invalid_argument, field %q, saying %q", e.code, e.field, e.message, row.field, row.says)
			}
		})
	}
}

// Each limit that the proto declares is enforced, and the error names the field and what is wrong with it. Fails if the
// gate does not validate: tried.
func TestAPIBadFields(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	past := timestamppb.New(time.Now().Add(-time.Hour))
	name := func(n string) proto.Message { return &tenurev1.CreateOrgRequest{Name: n} }
	project := func(change func(*tenurev1.CreateProjectRequest)) proto.Message {
		req := &tenurev1.CreateProjectRequest{OrgId: a.org, Name: apiUnique("project")}
		change(req)
		return req
	}
	key := func(change func(*tenurev1.CreateKeyRequest)) proto.Message {
		req := &tenurev1.CreateKeyRequest{ProjectId: a.project}
		change(req)
		return req
	}
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = "x"
	}
	before := s.mark()
	apiBadRows(t, s, []apiBadRow{
		{"name too short", name("ab"), "name", "3-60"},
		{"name too long", name(strings.Repeat("x", 61)), "name", "3-60"},
		{"name with markup", name("a <b> c"), "name", "markup"},
		{"name with a control character", name("a\x07bc"), "name", "control"},
		{"name with a line break", name("abc\ndef"), "name", "control"},
		{"name that begins with a space", name(" abc"), "name", "space"},
		{"name that ends with a space", name("abc "), "name", "space"},
		{"too much metadata", &tenurev1.CreateOrgRequest{Name: "abc", Metadata: many}, "metadata", "50"},
		{"metadata too long", &tenurev1.CreateOrgRequest{Name: "abc", Metadata: map[string]string{"a": strings.Repeat("x", 1001)}}, `metadata["a"]`, "1000"},
		{"metadata without a key", &tenurev1.CreateOrgRequest{Name: "abc", Metadata: map[string]string{"": "x"}}, `metadata[""]`, "1"},
		{"id with a dot", &tenurev1.GetOrgRequest{OrgId: "a.b"}, "org_id", "pattern"},
		{"no id", &tenurev1.GetOrgRequest{}, "org_id", "pattern"},
		{"id too long", &tenurev1.GetOrgRequest{OrgId: strings.Repeat("x", 65)}, "org_id", "pattern"},
		{"both places", &tenurev1.ListMembersRequest{OrgId: a.org, ProjectId: a.project}, "", "only one of org_id, project_id"},
		{"no place", &tenurev1.ListMembersRequest{}, "", "one of org_id, project_id"},
		{"two principals", &tenurev1.CreateKeyRequest{OrgId: a.org, Instance: true}, "", "only one of"},
		{"unknown role", &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.owner.id, Role: "BOSS"}, "role", "OWNER"},
		{"expiry in the past", &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: a.owner.id, Role: "VIEWER", ExpiresAt: past}, "expires_at", "future"},
		{"retention of two days", project(func(r *tenurev1.CreateProjectRequest) { r.RetentionDays = 2 }), "retention_days", "at least 3"},
		{"environment in capitals", project(func(r *tenurev1.CreateProjectRequest) { r.Environments = []string{"Prod"} }), "environments[0]", "pattern"},
		{"environment of Langfuse's own", project(func(r *tenurev1.CreateProjectRequest) { r.Environments = []string{"langfuse-x"} }), "environments[0]", "langfuse"},
		{"bad e-mail", &tenurev1.RegisterUserRequest{Email: "not one"}, "email", "email"},
		{"bad network", key(func(r *tenurev1.CreateKeyRequest) { r.AllowedNetworks = []string{"10.0.0.0/33"} }), "allowed_networks[0]", "CIDR"},
		{"undeclared environment", key(func(r *tenurev1.CreateKeyRequest) { r.Environments = []string{"nowhere"} }), "environments", "declare"},
		{"unknown permission", key(func(r *tenurev1.CreateKeyRequest) { r.Permissions = []string{"all:things"} }), "permissions", "all:things"},
		{"key that expired", key(func(r *tenurev1.CreateKeyRequest) { r.ExpiresAt = past }), "expires_at", "future"},
		{"unknown preset", key(func(r *tenurev1.CreateKeyRequest) { r.Preset = "root" }), "preset", "full"},
		{"grace of eight days", &tenurev1.RotateKeyRequest{KeyId: a.projectKey.id, Grace: durationpb.New(8 * 24 * time.Hour)}, "grace", "604800"},
		{"negative page", &tenurev1.ListOrgsRequest{PageSize: -1}, "page_size", "1000"},
		{"page too large", &tenurev1.ListOrgsRequest{PageSize: 1001}, "page_size", "1000"},
		{"garbage for a page", &tenurev1.ListOrgsRequest{PageToken: "?"}, "page_token", "next_page_token"},
		{"page of another list", &tenurev1.ListOrgsRequest{PageToken: "dXNlcnM6eA"}, "page_token", "next_page_token"},
		{"no page of an access log", &tenurev1.QueryAccessLogRequest{OrgId: a.org, PageToken: "YWNjZXNzOjA"}, "page_token", "next_page_token"},
		{"access log of two places", &tenurev1.QueryAccessLogRequest{OrgId: a.org, ProjectId: a.project}, "", "org_id, project_id"},
		{"no kind of access", &tenurev1.QueryAccessLogRequest{OrgId: a.org, Kind: 7}, "kind", "defined"},
		{"no code", &tenurev1.QueryAccessLogRequest{OrgId: a.org, Code: "NOT_FOUND"}, "code", "pattern"},
		{"no page of a history", &tenurev1.QueryAuditRequest{OrgId: a.org, PageToken: "YXVkaXQ6eA"}, "page_token", "next_page_token"},
		{"permission of the other level", &tenurev1.CheckRequest{OrgId: a.org, Permission: "prompts:CUD"}, "permission", "level"},
		{"no checks", &tenurev1.BatchCheckRequest{}, "checks", "1"},
		{"reason too long", &tenurev1.DeleteOrgRequest{OrgId: a.org, Reason: strings.Repeat("x", 501)}, "reason", "500"},
		{"secret too long", &tenurev1.VerifyKeyRequest{Secret: strings.Repeat("x", 257)}, "secret", "256"},
		{"no address", &tenurev1.VerifyKeyRequest{Secret: "x", Ip: "here"}, "ip", "IP"},
	})
	for name, row := range map[string]struct {
		caller apiCaller
		reason domain.Reason
	}{
		"unknown level":             {s.admin().with("Tenure-Consistency", "eventual"), domain.InvalidField},
		"at_least without a token":  {s.admin().with("Tenure-Consistency", "at_least"), domain.InvalidField},
		"garbage for a token":       {s.admin().with("Tenure-Token", "garbage"), "BAD_TOKEN"},
		"an idempotency key's size": {s.admin().with("Idempotency-Key", strings.Repeat("x", 129)), domain.InvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			apiRefused(t, row.caller, &tenurev1.ListOrgsRequest{}, connect.CodeInvalidArgument, row.reason)
		})
	}
	before.unchanged(t, s)
}

// What is not even a request is refused with words, and hurts nobody. Fails without the limit of a message's size: tried.
func TestAPIBadBodies(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	before := s.mark()
	deep := strings.Repeat(`{"metadata":`, 20_000) + strings.Repeat("}", 20_000)
	for _, row := range []struct {
		name, contentType, body string
		status                  int
		says                    string
	}{
		{"no JSON", "application/json", "{", 400, "unexpected EOF"},
		{"wrong type", "application/json", `{"name":5}`, 400, "name"},
		{"deep JSON", "application/json", deep, 400, "unmarshal"},
		{"deep unknown field", "application/json", `{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, 400, "unmarshal"},
		{"bad UTF-8 in JSON", "application/json", "{\"name\":\"a\xffbc\"}", 400, "UTF-8"},
		{"bad UTF-8 in protobuf", "application/proto", "\x0a\x04a\xffbc", 400, "name: must be valid UTF-8"},
		{"bad UTF-8 inside", "application/proto", "\x12\x07\x0a\x01k\x12\x02\xff\xff", 400, "metadata.value: must be valid UTF-8"},
		{"garbage for protobuf", "application/proto", "\xff\xff\xff", 400, "unmarshal"},
		{"too large", "application/json", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 429, "larger than"},
		{"far too large", "application/json", `{"name":"` + strings.Repeat("x", 5<<20) + `"}`, 413, "too large"},
		{"other content", "text/plain", "hello", 415, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/tenure.v1.OrgService/CreateOrg", bytes.NewReader([]byte(row.body)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+apiAdminKey)
			req.Header.Set("Content-Type", row.contentType)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != row.status || !bytes.Contains(text, []byte(row.says)) {
				t.Errorf("%d %.300s; want %d, saying %q", res.StatusCode, text, row.status, row.says)
			}
		})
	}
	big, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/tenure.v1.OrgService/ListOrgs", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	big.Header.Set("X-Big", strings.Repeat("x", 100<<10))
	res, err := http.DefaultClient.Do(big)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 100 KiB: %d", res.StatusCode)
	}
	before.unchanged(t, s)
	apiOK[*tenurev1.WhoAmIResponse](t, s.admin(), &tenurev1.WhoAmIRequest{})
}

// Lists are complete whatever the size of a page, each entry once, also while others are added. Fails if a page begins at
// the last one's end instead of behind it: tried.
func TestAPIListsAreComplete(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	want := map[string]bool{a.project: true}
	for range 60 {
		want[s.project(t, a.org)] = true
	}
	got := map[string]int{}
	req := &tenurev1.ListProjectsRequest{OrgId: a.org, PageSize: 7}
	for {
		res := apiOK[*tenurev1.ListProjectsResponse](t, s.bearer(a.owner.key.secret), req)
		for _, p := range res.Projects {
			got[p.Id]++
		}
		if res.NextPageToken == "" {
			break
		}
		if len(res.Projects) != 7 {
			t.Errorf("a page of %d", len(res.Projects))
		}
		req.PageToken = res.NextPageToken
		s.project(t, a.org)
	}
	for id := range want {
		if got[id] != 1 {
			t.Errorf("project %s is listed %d times", id, got[id])
		}
	}
}
