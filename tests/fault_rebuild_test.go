package tests

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// kill -9 of the server in the middle of a rebuild, again and again: the one that answers goes on answering, the build goes on where it
// was, and what comes of it is what a build without a crash makes. Fails if a build begins anew at each start: tried.
func TestFaultKillInARebuild(t *testing.T) {
	t.Parallel()
	dir, commits := t.TempDir(), soak(4000, 30_000)
	s := apiStart(t, func(cfg *app.Config) { cfg.DataDir = dir })
	var writing sync.WaitGroup
	const writers = 4 // few, so that commits hold little: what is applied at once is many commits
	for w := range writers {
		writing.Go(func() {
			for i := w; i < commits; i += writers {
				_, err := s.Engine.Execute(context.WithoutCancel(t.Context()), engine.Request{
					Command: domain.CreateOrg{ID: domain.OrgID(fmt.Sprint("org", i)), OrgName: fmt.Sprint("client-", i)},
					Rule:    domain.Rule{Requirement: domain.InstanceAdmin}, Actor: domain.Actor{Kind: domain.ActorInstance},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	s.stop(t)

	p := processServe(t, dir)
	client := func() tenurev1connect.ProjectionServiceClient {
		return tenurev1connect.NewProjectionServiceClient(processClient(t, p.url, processAdmin).http, p.url, connect.WithInterceptors(processSender(processAdmin)))
	}
	audit := func() *tenurev1.Projection { return processProjection(t, client(), "audit") }
	faultUntil(t, "the first one", func() bool { a := audit(); return a.Phase == "running" && a.Lag == 0 })
	stream, err := client().RebuildProjection(processContext(t), &tenurev1.RebuildProjectionRequest{Name: "audit"})
	if err != nil {
		t.Fatal(err)
	}
	var at []uint64
	for stream.Receive() {
		if b := stream.Msg().Progress; b.GetPosition() > 0 && b.Position < b.End {
			at = append(at, b.Position)
			break
		}
	}
	if len(at) == 0 {
		t.Fatalf("the build was over before it could be interrupted: %v", stream.Err())
	}
	kills, building := 0, regexp.MustCompile(`"building a read model" projection=audit generation=2 from=(\d+)`)
	for goesOn := true; goesOn; {
		p.kill()
		kills++
		p = processServe(t, dir)
		api := processClient(t, p.url, processAdmin)
		if res, err := api.audit.QueryAudit(processContext(t), &tenurev1.QueryAuditRequest{PageSize: 10}); err != nil || len(res.Records) != 10 {
			t.Fatalf("the one that answers: %d records, %v", len(res.GetRecords()), err)
		}
		faultUntil(t, "the build to go on", func() bool {
			a := audit()
			m := building.FindStringSubmatch(p.stderr.String())
			if m == nil {
				goesOn = a.Building != nil || a.Generation != 2 // it was done before the crash
				return !goesOn
			}
			if m[1] != fmt.Sprint(at[len(at)-1]) {
				t.Fatalf("behind a crash at %d: %s", at[len(at)-1], m[0])
			}
			if a.Building == nil {
				goesOn = a.Generation != 2
				return !goesOn
			}
			if a.Building.Position == at[len(at)-1] {
				return false
			}
			at = append(at, a.Building.Position)
			return true
		})
	}
	verified, err := client().VerifyProjection(processContext(t), &tenurev1.VerifyProjectionRequest{Name: "audit"})
	if err != nil {
		t.Fatal(err)
	}
	var result *tenurev1.BuildResult
	for verified.Receive() {
		if r := verified.Msg().Result; r != nil {
			result = r
		}
	}
	if err := verified.Err(); err != nil || result == nil {
		t.Fatalf("the rebuilt one: %v, %v", result, err)
	}
	t.Logf("killed %d times in a rebuild of %d commits, at positions %d; %v", kills, commits, at, result)
}

// processProjection is how a projection is.
func processProjection(t *testing.T, client tenurev1connect.ProjectionServiceClient, name string) *tenurev1.Projection {
	t.Helper()
	list, err := client.ListProjections(processContext(t), &tenurev1.ListProjectionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Projections {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("%s is not listed: %v", name, list)
	return nil
}
