package tests

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/projections/feed"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// documentedNATS starts a server with the configuration in docs/FEED.md, changed by pairs of old and new.
func documentedNATS(t *testing.T, changes ...string) (url func(user, password string) string) {
	t.Helper()
	page, err := os.ReadFile("../docs/FEED.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```conf\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/FEED.md has no configuration")
	}
	dir := t.TempDir()
	text := strings.NewReplacer(append(changes, `"nats-data"`, `"`+filepath.ToSlash(dir)+`"`)...).Replace(string(block[1]))
	path := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(processWait) {
		t.Fatal("NATS does not start")
	}
	return func(user, password string) string { return "nats://" + user + ":" + password + "@" + s.Addr().String() }
}

func feedConn(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// feedServer is a server that publishes, with the organizations org_acme and org_other.
func feedServer(t *testing.T, url string) (*apiServer, *processAPI) {
	t.Helper()
	s := apiStart(t, func(cfg *app.Config) { cfg.NATSURL, cfg.Feed = url, true })
	api := processClient(t, s.URL, apiAdminKey)
	for _, id := range []string{"org_acme", "org_other"} {
		if _, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{OrgId: id, Name: id}); err != nil {
			t.Fatal(err)
		}
	}
	return s, api
}

func (s *apiServer) fed(t *testing.T) {
	t.Helper()
	if at, ok := s.ReadModels.Feed.Await(processContext(t), s.Engine.State().Position); !ok {
		t.Fatalf("the feed is at %d", at)
	}
}

// With the configuration in the documentation an organization's program gets that organization's events, and has no way to another's:
// by subscription, by a consumer of its own making, by number, or by having answers sent where it may not publish. Fails if
// it imports tenure.feed.>, or $JS.API.>: tried.
func TestFeedShowsAnOrganizationItsOwn(t *testing.T) {
	t.Parallel()
	url := documentedNATS(t)
	s, api := feedServer(t, url("tenure", "the-operators"))
	s.fed(t)
	operator := feedConn(t, url("tenure", "the-operators"))
	js, err := jetstream.New(operator)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateConsumer(t.Context(), feed.StreamName, jetstream.ConsumerConfig{
		Durable: "org_acme", FilterSubject: "tenure.feed.org_acme.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	tenant := feedConn(t, url("acme", "the-tenants"))
	all, err := tenant.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	others, err := tenant.SubscribeSync("tenure.feed.org_other.>")
	if err == nil {
		err = tenant.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, org := range []string{"org_other", "org_acme"} {
		if _, err := api.projects.CreateProject(processContext(t), &tenurev1.CreateProjectRequest{OrgId: org, Name: "site", ProjectId: "prj_of_" + org}); err != nil {
			t.Fatal(err)
		}
	}
	s.fed(t)
	live, err := all.NextMsg(processWait)
	if err != nil || live.Subject != "tenure.feed.org_acme.prj_of_org_acme.ProjectCreated" {
		t.Fatalf("live: %+v, %v", live, err)
	}
	theirs, err := jetstream.NewWithAPIPrefix(tenant, "tenure.api")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := theirs.Consumer(processContext(t), feed.StreamName, "org_acme")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(10, jetstream.FetchMaxWait(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for m := range batch.Messages() {
		got = append(got, m.Subject())
		if err := m.DoubleAck(processContext(t)); err != nil {
			t.Errorf("acknowledge %s: %v", m.Subject(), err)
		}
	}
	if want := "tenure.feed.org_acme._.OrgCreated tenure.feed.org_acme.prj_of_org_acme.ProjectCreated"; strings.Join(got, " ") != want {
		t.Errorf("the consumer brought %q, want %s", got, want)
	}

	for _, prefix := range []string{"$JS.API", "tenure.api"} {
		for _, request := range []struct{ subject, body string }{
			{"CONSUMER.CREATE.TENURE_FEED.mine.tenure.feed.org_other.>", `{"stream_name":"TENURE_FEED","config":{"name":"mine","filter_subject":"tenure.feed.org_other.>","ack_policy":"none"}}`},
			{"CONSUMER.CREATE.TENURE_FEED.org_acme", `{"stream_name":"TENURE_FEED","config":{"name":"org_acme","durable_name":"org_acme","filter_subject":"tenure.feed.>","ack_policy":"explicit"}}`},
			{"CONSUMER.DURABLE.CREATE.TENURE_FEED.mine", `{"stream_name":"TENURE_FEED","config":{"durable_name":"mine","filter_subject":"tenure.feed.org_other.>","ack_policy":"none"}}`},
			{"DIRECT.GET.TENURE_FEED", `{"seq":1,"next_by_subj":"tenure.feed.org_other.>"}`},
			{"DIRECT.GET.TENURE_FEED.tenure.feed.org_other._.OrgCreated", ""},
			{"STREAM.MSG.GET.TENURE_FEED", `{"last_by_subj":"tenure.feed.org_other.>"}`},
			{"STREAM.INFO.TENURE_FEED", `{"subjects_filter":">"}`},
			{"STREAM.CREATE.mine", `{"name":"mine","mirror":{"name":"TENURE_FEED"}}`},
			{"STREAM.MSG.GET.TENURE_LOG", `{"seq":1}`},
		} {
			answer, err := tenant.Request(prefix+"."+request.subject, []byte(request.body), 300*time.Millisecond)
			if err == nil && !strings.Contains(string(answer.Data), `"error"`) && answer.Header.Get("Status") == "" {
				t.Errorf("%s.%s was answered: %s", prefix, request.subject, answer.Data)
			} else if err != nil && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
				t.Errorf("%s.%s: %v", prefix, request.subject, err)
			}
		}
	}

	// What answers are sent to is of the tenant's own account.
	before := feedEnds(t, js)
	for _, reply := range []string{"tenure.log", "tenure.feed.org_other._.Forged", "tenure.servers"} {
		if _, err := api.projects.UpdateProject(processContext(t), &tenurev1.UpdateProjectRequest{ProjectId: "prj_of_org_acme", Metadata: map[string]string{"about": reply[len("tenure."):]}}); err != nil {
			t.Fatal(err)
		}
		s.fed(t)
		sub, err := tenant.SubscribeSync(reply)
		if err == nil {
			err = tenant.PublishRequest("tenure.api.CONSUMER.MSG.NEXT.TENURE_FEED.org_acme", reply, []byte("1"))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sub.NextMsg(processWait); err != nil {
			t.Errorf("the answer on %s: %v", reply, err)
		}
	}
	s.fed(t)
	// Three commands, three events of one organization, and nothing else.
	after := feedEnds(t, js)
	if after != [2]uint64{before[0] + 3, before[1] + 3} || s.Engine.State().Voids > 0 {
		t.Errorf("log and feed went from %v to %v, %d void positions", before, after, s.Engine.State().Voids)
	}
	if n, _, err := others.Pending(); n > 0 || err != nil {
		// Its own forgery, in its own account, aside.
		for m, err := others.NextMsg(time.Second); err == nil; m, err = others.NextMsg(10 * time.Millisecond) {
			if m.Header.Get("ce-subject") != "projects/prj_of_org_acme" {
				t.Errorf("the tenant heard of another's %s: %s", m.Subject, m.Data)
			}
		}
	}
	for m, err := all.NextMsg(10 * time.Millisecond); err == nil; m, err = all.NextMsg(10 * time.Millisecond) {
		if strings.Contains(string(m.Data), "prj_of_org_other") {
			t.Errorf("the tenant heard %s: %s", m.Subject, m.Data)
		}
	}
}

// feedEnds are the last sequences of the log and of the feed.
func feedEnds(t *testing.T, js jetstream.JetStream) (ends [2]uint64) {
	t.Helper()
	for i, name := range []string{"TENURE_LOG", feed.StreamName} {
		ctx, cancel := context.WithTimeout(t.Context(), processWait)
		stream, err := js.Stream(ctx, name)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = stream.CachedInfo().State.LastSeq
	}
	return ends
}

// Why not by permissions in Tenure's own account: who may ask for the next message of one consumer has it written wherever they like.
// If this fails, NATS asks whether a sender may publish where answers are to go, and docs/FEED.md can be simpler.
func TestFeedUserInTenuresAccountWouldWrite(t *testing.T) {
	t.Parallel()
	user := `{ user: "guest", password: "guest", permissions: { publish: ["$JS.API.CONSUMER.MSG.NEXT.TENURE_FEED.org_acme"], subscribe: ["_INBOX.>"] } }`
	url := documentedNATS(t, `password: "the-operators" }`, `password: "the-operators" }, `+user)
	s, _ := feedServer(t, url("tenure", "the-operators"))
	s.fed(t)
	js, err := jetstream.New(feedConn(t, url("tenure", "the-operators")))
	if err == nil {
		_, err = js.CreateConsumer(t.Context(), feed.StreamName, jetstream.ConsumerConfig{Durable: "org_acme", FilterSubject: "tenure.feed.org_acme.>", AckPolicy: jetstream.AckExplicitPolicy})
	}
	if err != nil {
		t.Fatal(err)
	}
	before := feedEnds(t, js)
	guest := feedConn(t, url("guest", "guest"))
	if err := guest.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.TENURE_FEED.org_acme", "tenure.log", []byte(`{"batch":10,"no_wait":true}`)); err != nil {
		t.Fatal(err)
	}
	// The event itself is refused by the guards in its headers, the word that there are no more is not.
	for ctx := processContext(t); feedEnds(t, js) == before; {
		if ctx.Err() != nil {
			t.Fatal("nothing was written")
		}
	}
}
