package tests

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/accesslog"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// While NATS does not answer, or is not to be reached, refusals and sensitive reads are answered as quickly as before, and kept when it
// is back. Seen to fail with records that are stored where they are made.
func TestFaultAccessLogWithoutNATS(t *testing.T) {
	t.Parallel()
	proxy := newFaultProxy(t, newFaultBroker(t).url)
	s := apiStart(t, func(cfg *app.Config) { cfg.NATSURL = proxy.url() })
	a, b := s.tenant(t), s.tenant(t)
	outsider, owner := s.bearer(b.owner.key.secret), s.bearer(a.owner.key.secret)
	ask := func(req *tenurev1.QueryAuditRequest, reason domain.Reason) (longest time.Duration) {
		for range 10 {
			began := time.Now()
			apiRefused(t, outsider, req, connect.CodeNotFound, reason)
			apiOK[*tenurev1.GetUserResponse](t, s.admin(), &tenurev1.GetUserRequest{UserId: a.owner.id})
			longest = max(longest, time.Since(began))
		}
		return longest
	}
	calls := func(req *tenurev1.QueryAccessLogRequest) (n int) {
		res, _, err := owner.call(t.Context(), req)
		if err != nil {
			return 0
		}
		for _, r := range res.(*tenurev1.QueryAccessLogResponse).Records {
			n += int(r.Count)
		}
		return n
	}
	with := ask(&tenurev1.QueryAuditRequest{OrgId: a.org}, domain.OrgNotFound)
	// Five of ten one by one; what is counted comes at the end of the minute.
	faultUntil(t, "the first to be kept", func() bool { return calls(apiDeniedIn(a.org)) == 5 })
	for _, mode := range []linkMode{linkHeld, linkCut} {
		project := s.project(t, a.org)
		proxy.set(mode)
		// Shorter than the contact gap.
		without := ask(&tenurev1.QueryAuditRequest{ProjectId: project}, domain.ProjectNotFound)
		proxy.set(linkWorks)
		if without > with+time.Second {
			t.Errorf("a refusal and a read take up to %s with NATS and up to %s without", with, without)
		}
		kept := &tenurev1.QueryAccessLogRequest{ProjectId: project, Kind: accessDenied}
		faultUntil(t, "the others to be kept", func() bool { return calls(kept) == 5 })
	}
	if warnings := apiOK[*tenurev1.GetInstanceResponse](t, s.admin(), &tenurev1.GetInstanceRequest{}).Warnings; strings.Contains(strings.Join(warnings, "\n"), "access log") {
		t.Errorf("nothing was lost, and %q", warnings)
	}
}

// What is lost is counted, in the metrics and in a warning to instance admins. Seen to fail without the count in Record.
func TestFaultAccessLogLosses(t *testing.T) {
	t.Parallel()
	s := apiStart(t, func(cfg *app.Config) { cfg.PrivateListen = "127.0.0.1:0" })
	a, p := s.tenant(t), s.person(t)
	apiOK[*tenurev1.GrantRoleResponse](t, s.admin(), &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: p.id, Role: "VIEWER"})
	// More different things than are kept of one caller in a minute.
	for range 103 {
		apiRefused(t, s.bearer(p.key.secret), &tenurev1.DeleteProjectRequest{ProjectId: s.project(t, a.org)}, connect.CodePermissionDenied, domain.PermissionDenied)
	}
	warnings := strings.Join(apiOK[*tenurev1.GetInstanceResponse](t, s.admin(), &tenurev1.GetInstanceRequest{}).Warnings, "\n")
	if !strings.Contains(warnings, "3 records of the access log were lost") {
		t.Errorf("warnings: %q", warnings)
	}
	res, err := http.Get(s.PrivateURL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(metrics), "\ntenure_access_log_dropped_total 3\n") || !strings.Contains(string(metrics), "\ntenure_access_log_recorded_total ") {
		t.Errorf("metrics, %v: %s", err, metrics)
	}
}

// A damaged access log keeps nobody from starting: what is in front of the damage is there, and it goes on. Seen to fail when it is no
// exception, and when the server is not made to cut the damage off.
func TestFaultAccessLogDamaged(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	deny := func(s *apiServer) apiPerson {
		p := s.person(t)
		apiRefused(t, s.bearer(p.key.secret), &tenurev1.UpdateOrgRequest{OrgId: a.org, Name: proto.String("renamed")}, connect.CodeNotFound, domain.OrgNotFound)
		return p
	}
	first := deny(s)
	for range 20 {
		deny(s)
	}
	s.stop(t)
	files, err := filepath.Glob(filepath.Join(s.dir, "log", "jetstream", "*", "streams", accesslog.StreamName, "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the access log: %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0xff
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := apiStart(t, func(c *app.Config) { c.DataDir = s.dir })
	last := deny(again)
	faultUntil(t, "a record of the last", func() bool {
		records := apiAccessLog(t, again.bearer(a.owner.key.secret), apiDeniedIn(a.org))
		n := len(records)
		return n > 1 && n < 20 && records[0].Actor.GetId() == last.id && records[n-1].Actor.GetId() == first.id
	})
}
