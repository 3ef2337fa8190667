package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// The feed is listed beside the read models, and is not built beside itself. Without --feed there is none, and webhooks are refused.
// Fails if the feed is left out of Reporters, or CreateWebhook does not ask for it: tried.
func TestFeedIsListed(t *testing.T) {
	t.Parallel()
	with, without := apiStart(t, apiFed), apiStart(t, nil)
	with.fed(t)
	names := func(s *apiServer) (names []string) {
		for _, p := range apiOK[*tenurev1.ListProjectionsResponse](t, s.admin(), &tenurev1.ListProjectionsRequest{}).Projections {
			names = append(names, p.Name+" in "+p.Engine+" "+p.Phase)
		}
		return names
	}
	if got := names(with); !slices.Contains(got, "feed in JetStream running") || len(got) != 3 {
		t.Errorf("with it: %q", got)
	}
	if got := names(without); len(got) != 2 {
		t.Errorf("without it: %q", got)
	}
	apiRefused(t, with.admin(), &tenurev1.RebuildProjectionRequest{Name: "feed"}, connect.CodeFailedPrecondition, "NOT_REBUILT")
	_, err := app.Start(t.Context(), app.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", AdminKey: apiAdminKey, WebhookNetworks: []string{"nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "--webhook-allow-networks") {
		t.Errorf("networks that are none, without a feed: %v", err)
	}
	apiRefused(t, without.admin(), &tenurev1.CreateWebhookRequest{OrgId: without.org(t, ""), Url: apiHook}, connect.CodeFailedPrecondition, "FEED_OFF")
	_, body := processGet(t, with.admin().http, with.URL+"/readyz")
	if !strings.Contains(body, "read model feed: running") {
		t.Errorf("/readyz: %s", body)
	}
}

// Two servers publish and send together: every event is in the feed once, and comes to a receiver, also when one of them ends.
func TestFeedOfTwoServers(t *testing.T) {
	t.Parallel()
	conn, r := apiBroker(t), startReceiver(t)
	change := func(cfg *app.Config) {
		cfg.NATSURL, cfg.Feed, cfg.WebhookAllowHTTP, cfg.WebhookNetworks = conn.ConnectedUrl(), true, true, []string{"127.0.0.0/8"}
	}
	first := apiStart(t, change)
	second := apiStart(t, func(cfg *app.Config) {
		change(cfg)
		cfg.PepperFile, cfg.SealingKeyFile = filepath.Join(first.dir, "pepper"), filepath.Join(first.dir, "sealing-key")
	})
	org := second.org(t, "")
	apiOK[*tenurev1.CreateWebhookResponse](t, second.admin(), &tenurev1.CreateWebhookRequest{OrgId: org, Url: r.URL, EventTypes: []string{"ProjectCreated"}})
	var want []string
	for range 30 {
		want = append(want, first.project(t, org), second.project(t, org))
	}
	first.stop(t)
	began := time.Now()
	for range 10 {
		want = append(want, second.project(t, org))
	}
	for _, project := range want {
		r.until(t, project, func(g received) bool { return g.data["project_id"] == project })
	}
	took := time.Since(began)
	second.fed(t)
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	messages, _ := feedIsTheLog(t, log, js, domain.Position(second.Engine.State().Position))
	t.Logf("two servers: %d messages once, %d requests for %d events, the last %s after the first server ended", messages, len(r.all()), len(want), took.Round(time.Millisecond))
}
