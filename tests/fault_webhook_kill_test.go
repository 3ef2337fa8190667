package tests

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// The process that sends is killed (-9) at random moments, with a receiver that fails now and then. In the end every event was taken,
// some more than once. Fails if a message is acknowledged before it is sent: tried.
func TestFaultWebhookSenderKilled(t *testing.T) {
	t.Parallel()
	rounds := soak(3, 20)
	dir, r := t.TempDir(), startReceiver(t)
	args := []string{
		"--feed", "--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8", "--webhook-timeout", "500ms",
		"--webhook-schedule", "100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms",
	}
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		if rand.IntN(5) == 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	hooksOf := func(p *processServer) (*processAPI, tenurev1connect.WebhookServiceClient) {
		api := processClient(t, p.url, processAdmin)
		return api, tenurev1connect.NewWebhookServiceClient(api.http, p.url, connect.WithInterceptors(processSender(processAdmin)))
	}
	p := processServe(t, dir, args...)
	api, hooks := hooksOf(p)
	org, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "killed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hooks.CreateWebhook(processContext(t), &tenurev1.CreateWebhookRequest{OrgId: org.Org.Id, Url: r.URL, EventTypes: []string{"ProjectCreated"}}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	want := map[string]bool{}
	for range rounds {
		var writing sync.WaitGroup
		killed := time.Now().Add(300*time.Millisecond + rand.N(500*time.Millisecond))
		for range 4 {
			writing.Go(func() {
				for time.Now().Before(killed) {
					res, err := api.projects.CreateProject(processContext(t), &tenurev1.CreateProjectRequest{OrgId: org.Org.Id, Name: apiUnique("project")})
					if err == nil {
						mu.Lock()
						want[res.Project.Id] = true
						mu.Unlock()
					}
				}
			})
		}
		writing.Wait()
		p.kill()
		p = processServe(t, dir, args...)
		api, _ = hooksOf(p)
	}
	began := time.Now()
	for project := range want {
		r.until(t, project, func(g received) bool { return g.taken && g.data["project_id"] == project })
	}
	ids := map[string]bool{}
	for _, g := range r.all() {
		ids[g.id] = true
	}
	t.Logf("kill -9 of the sender, %d rounds: %d events, all came, the last %s after the last start; %d requests for %d messages",
		rounds, len(want), time.Since(began).Round(time.Millisecond), len(r.all()), len(ids))
	p.stop(t, syscall.SIGTERM)
}
