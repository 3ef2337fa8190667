package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// apiHistory reads a whole history in pages of a size, calling between before each page.
func apiHistory(t testing.TB, c apiCaller, req *tenurev1.QueryAuditRequest, size int32, between func()) (records []*tenurev1.AuditRecord, pages int) {
	t.Helper()
	req.PageSize = size
	for {
		res := apiOK[*tenurev1.QueryAuditResponse](t, c, req)
		records, pages = append(records, res.Records...), pages+1
		if res.NextPageToken == "" {
			return records, pages
		}
		req.PageToken = res.NextPageToken
		between()
	}
}

func apiTypes(records []*tenurev1.AuditRecord) (types []string) {
	for _, r := range records {
		types = append(types, r.EventType)
	}
	return types
}

// Records say who did what to what, from what to what, and nothing that verifies a secret. Fails if Reader shows verifiers:
// tried.
func TestAPIAuditRecords(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret).from("203.0.113.5").with("User-Agent", "agent/2").with("X-Request-Id", "request-1")
	apiOK[*tenurev1.UpdateOrgResponse](t, owner, &tenurev1.UpdateOrgRequest{OrgId: a.org, Name: proto.String("the new name"), Reason: "because"})
	records, _ := apiHistory(t, owner, &tenurev1.QueryAuditRequest{OrgId: a.org}, 100, func() {})
	want := []string{"OrgUpdated", "KeyCreated", "KeyCreated", "ProjectCreated", "OrgCreated"}
	if got := apiTypes(records); !slices.Equal(got, want) {
		t.Fatalf("newest first: %v, want %v", got, want)
	}
	r := records[0]
	if r.Actor.Kind != "user" || r.Actor.Id != a.owner.id || r.Actor.KeyId != a.owner.key.id || r.Actor.Method != "bearer" || r.Actor.Role != "OWNER" {
		t.Errorf("actor: %v", r.Actor)
	}
	if r.Command != "UpdateOrg" || r.CommandId == "" || r.Reason != "because" || r.RequestId != "request-1" || r.Ip != "203.0.113.5" ||
		r.UserAgent != "agent/2" || !slices.Equal(r.OrgIds, []string{a.org}) || r.Position == 0 || r.Index != 1 || r.Time == nil {
		t.Errorf("record: %v", r)
	}
	change := r.Data.AsMap()["name"].(map[string]any)
	if change["new"] != "the new name" || !strings.HasPrefix(change["old"].(string), "org-") {
		t.Errorf("old and new name: %v", change)
	}
	for _, r := range records {
		text, err := protojson.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"verifier", "digest", "pepper", a.projectKey.secret} {
			if strings.Contains(strings.ToLower(string(text)), secret) {
				t.Errorf("%s is in a record: %s", secret, text)
			}
		}
		if r.Actor.Kind == "instance" && (r.Ip != "" || r.UserAgent != "") {
			t.Errorf("the tenant sees where the instance admin works from: %v", r)
		}
	}
}

// Pages stay what they were while events are appended, and a history that others' commits surround comes to an end, if
// need be through empty pages. Fails if the place of the next page is taken from the tip: tried.
func TestAPIAuditPaging(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.tenant(t), s.tenant(t)
	var want []string
	rename := func(org string, i int) {
		apiOK[*tenurev1.UpdateOrgResponse](t, s.admin(), &tenurev1.UpdateOrgRequest{OrgId: org, Name: proto.String(fmt.Sprintf("name number %d", i))})
	}
	for i := range 25 {
		rename(a.org, i)
		rename(b.org, i)
		want = append(want, fmt.Sprintf("name number %d", i))
	}
	slices.Reverse(want)
	n := 100
	records, pages := apiHistory(t, s.bearer(a.owner.key.secret), &tenurev1.QueryAuditRequest{OrgId: a.org}, 4, func() {
		rename(a.org, n)
		n++
	})
	var got []string
	for _, r := range records {
		if change, ok := r.Data.AsMap()["name"].(map[string]any); ok && r.EventType == "OrgUpdated" {
			got = append(got, change["new"].(string))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("in %d pages: %v\nwant %v", pages, got, want)
	}
	for i := 1; i < len(records); i++ {
		if records[i].Position > records[i-1].Position {
			t.Fatalf("position %d behind %d", records[i].Position, records[i-1].Position)
		}
	}
}

// A project's history follows it; what is personal about the former organization's people stays there. Fails if every
// record is taken for the reader's own: tried.
func TestAPIAuditFollowsTheProject(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.tenant(t), s.tenant(t)
	const address = "203.0.113.9"
	apiOK[*tenurev1.UpdateProjectResponse](t, s.bearer(a.owner.key.secret).from(address), &tenurev1.UpdateProjectRequest{
		ProjectId: a.project, Name: proto.String("before the move"),
	})
	apiOK[*tenurev1.TransferProjectResponse](t, s.admin(), &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: b.org})
	there, _ := apiHistory(t, s.bearer(b.owner.key.secret), &tenurev1.QueryAuditRequest{ProjectId: a.project}, 100, func() {})
	if got, want := apiTypes(there), []string{"ProjectTransferred", "ProjectUpdated", "KeyCreated", "ProjectCreated"}; !slices.Equal(got, want) {
		t.Errorf("the new organization sees %v, want %v", got, want)
	}
	for _, r := range there {
		if r.Ip != "" {
			t.Errorf("the new organization sees an address of the former one's people: %v", r)
		}
	}
	here, _ := apiHistory(t, s.bearer(a.owner.key.secret), &tenurev1.QueryAuditRequest{OrgId: a.org}, 100, func() {})
	if got, want := apiTypes(here)[:2], []string{"ProjectTransferred", "ProjectUpdated"}; !slices.Equal(got, want) || here[1].Ip != address {
		t.Errorf("the former organization sees %v from %q, want %v from %s", got, here[1].Ip, want, address)
	}
	_, _, err := s.bearer(a.owner.key.secret).call(t.Context(), &tenurev1.QueryAuditRequest{ProjectId: a.project})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("the former owner asks for the project: %v", err)
	}
}

// A watch delivers what happened and what happens, each once and in order, and ends with the watcher's rights. Fails if
// WatchAudit does not authorize anew: tried, it then never ends.
func TestAPIAuditWatch(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	client := tenurev1connect.NewAuditServiceClient(http.DefaultClient, s.URL)
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+a.orgKey.secret)
	stream, err := client.WatchAudit(ctx, &tenurev1.WatchAuditRequest{OrgId: a.org, AfterPosition: proto.Uint64(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	next := func() string {
		if !stream.Receive() {
			t.Fatalf("the watch ended: %v", stream.Err())
		}
		return stream.Msg().Record.EventType
	}
	for _, want := range []string{"OrgCreated", "ProjectCreated", "KeyCreated", "KeyCreated"} {
		if got := next(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for range 5 {
		s.project(t, a.org)
		if got := next(); got != "ProjectCreated" {
			t.Fatalf("got %s live", got)
		}
	}
	apiOK[*tenurev1.RevokeKeyResponse](t, s.admin(), &tenurev1.RevokeKeyRequest{KeyId: a.orgKey.id})
	if stream.Receive() {
		t.Errorf("the watch goes on without its key: %v", stream.Msg())
	}
	if connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("the watch ended with %v", stream.Err())
	}
}
