package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// received is a request that a receiver got.
type received struct {
	header http.Header
	body   []byte
	id     string
	Type   string
	data   map[string]any
	taken  bool // it was answered with 2xx
}

// receiver is somebody's HTTP server, which answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer http.HandlerFunc // 204 if nil
	came   chan struct{}    // has a value when something came
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{came: make(chan struct{}, 1)}
	r.Server = httptest.NewUnstartedServer(r)
	r.Start()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var content struct {
		Type string
		Data map[string]any
	}
	_ = json.Unmarshal(body, &content)
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		answer = answering(http.StatusNoContent)
	}
	answered := &answered{w, http.StatusOK}
	answer(answered, req)
	r.mu.Lock()
	r.got = append(r.got, received{req.Header.Clone(), body, req.Header.Get("Webhook-Id"), content.Type, content.Data, answered.status/100 == 2})
	r.mu.Unlock()
	select {
	case r.came <- struct{}{}:
	default:
	}
}

// answered remembers the status.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// until waits for a request.
func (r *receiver) until(t *testing.T, what string, is func(received) bool) received {
	t.Helper()
	for ctx := processContext(t); ; {
		for _, g := range r.all() {
			if is(g) {
				return g
			}
		}
		select {
		case <-r.came:
		case <-ctx.Done():
			t.Fatalf("%s did not come; there were %d requests", what, len(r.all()))
		}
	}
}

func (r *receiver) untilType(t *testing.T, eventType string) received {
	t.Helper()
	return r.until(t, eventType, func(g received) bool { return g.Type == eventType })
}

func answering(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hooks is a server that sends, with short waits, to this machine alone.
type hooks struct {
	*apiServer
	tenurev1connect.WebhookServiceClient
	api *processAPI
	org string
}

func startHooks(t *testing.T, change func(*app.Config)) hooks {
	t.Helper()
	s := apiStart(t, func(cfg *app.Config) {
		cfg.Feed, cfg.WebhookAllowHTTP, cfg.WebhookNetworks = true, true, []string{"127.0.0.0/8"}
		cfg.WebhookSchedule, cfg.WebhookTimeout = []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}, time.Second
		if change != nil {
			change(cfg)
		}
	})
	api := processClient(t, s.URL, apiAdminKey)
	return hooks{s, tenurev1connect.NewWebhookServiceClient(api.http, s.URL, connect.WithInterceptors(processSender(apiAdminKey))), api, s.org(t, "")}
}

func (h hooks) create(t *testing.T, url string, types ...string) (id, secret string) {
	t.Helper()
	res, err := h.CreateWebhook(processContext(t), &tenurev1.CreateWebhookRequest{OrgId: h.org, Url: url, EventTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	return res.Webhook.Id, res.Secret
}

// happens makes a ProjectCreated.
func (h hooks) happens(t *testing.T) (project string) { t.Helper(); return h.project(t, h.org) }

// deliveries waits for deliveries that are as they are wanted.
func (h hooks) deliveries(t *testing.T, id, what string, are func([]*tenurev1.WebhookDelivery) bool) []*tenurev1.WebhookDelivery {
	t.Helper()
	for ctx := processContext(t); ; {
		res, err := h.ListWebhookDeliveries(ctx, &tenurev1.ListWebhookDeliveriesRequest{WebhookId: id})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if are(res.Deliveries) {
			return res.Deliveries
		}
	}
}

func anyDead(list []*tenurev1.WebhookDelivery) bool {
	return slices.ContainsFunc(list, func(d *tenurev1.WebhookDelivery) bool { return d.Dead })
}

// What is sent is verified by the reference implementation of Standard Webhooks, is of the wanted types and of one organization, and
// holds what the audit log does without anything personal. Fails without the timestamp in the signature, without the filter, and with
// another organization's events in it: tried.
func TestWebhookIsSignedAndFiltered(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), startReceiver(t)
	_, secret := h.create(t, r.URL, "ProjectCreated", "ProjectDeleted")
	other := h.apiServer.org(t, "")
	h.project(t, other)
	project := h.happens(t)
	if _, err := h.api.projects.UpdateProject(processContext(t), &tenurev1.UpdateProjectRequest{ProjectId: project, Metadata: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.api.projects.DeleteProject(processContext(t), &tenurev1.DeleteProjectRequest{ProjectId: project, Reason: "words of a person"}); err != nil {
		t.Fatal(err)
	}
	// Several are sent at once, in any order.
	r.untilType(t, "ProjectDeleted")
	r.untilType(t, "ProjectCreated")
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	all := r.all()
	if len(all) != 2 {
		t.Errorf("%d requests came, want 2", len(all))
	}
	for _, g := range all {
		if err := verifier.Verify(g.body, g.header); err != nil {
			t.Errorf("%s: %v", g.Type, err)
		}
		if g.data["project_id"] != project || g.data["event_type"] != g.Type || bytes.Contains(g.body, []byte("words of a person")) {
			t.Errorf("%s %s", g.Type, g.body)
		}
		tampered := bytes.Replace(g.body, []byte(project), []byte("prj_other"), 1)
		if err := verifier.Verify(tampered, g.header); err == nil {
			t.Error("a changed body is verified")
		}
	}
}

// After a rotation both secrets verify until the grace is over, and then the new one alone. Fails if OldUntil is not looked at: tried.
func TestWebhookSecretRotation(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), startReceiver(t)
	id, first := h.create(t, r.URL, "ProjectCreated")
	verified := func(secret string, g received) bool {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return verifier.Verify(g.body, g.header) == nil
	}
	sent := func() received {
		project := h.happens(t)
		return r.until(t, project, func(g received) bool { return g.data["project_id"] == project })
	}
	rotated, err := h.RotateWebhookSecret(processContext(t), &tenurev1.RotateWebhookSecretRequest{WebhookId: id, Grace: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if g := sent(); !verified(first, g) || !verified(rotated.Secret, g) || rotated.Webhook.OldSecretUntil == nil {
		t.Errorf("in the grace: %s", g.header)
	}
	third, err := h.RotateWebhookSecret(processContext(t), &tenurev1.RotateWebhookSecretRequest{WebhookId: id, Grace: durationpb.New(0)})
	if err != nil {
		t.Fatal(err)
	}
	if g := sent(); verified(first, g) || verified(rotated.Secret, g) || !verified(third.Secret, g) {
		t.Errorf("behind it: %s", g.header)
	}
}

// A receiver that is down for a while gets everything when it is back, each message at least once.
func TestFaultWebhookReceiverDown(t *testing.T) {
	t.Parallel()
	away := soak(2*time.Second, 30*time.Second)
	h, r := startHooks(t, func(cfg *app.Config) {
		cfg.WebhookSchedule = slices.Repeat([]time.Duration{200 * time.Millisecond}, int(2*away/(200*time.Millisecond)))
	}), startReceiver(t)
	id, _ := h.create(t, r.URL, "ProjectCreated")
	first := h.happens(t)
	r.until(t, first, func(g received) bool { return g.data["project_id"] == first })
	address := r.Listener.Addr().String()
	r.Listener.Close()
	r.CloseClientConnections()
	want := map[string]bool{}
	began := time.Now()
	for time.Since(began) < away {
		want[h.happens(t)] = true
	}
	h.deliveries(t, id, "a refused connection", func(list []*tenurev1.WebhookDelivery) bool {
		return slices.ContainsFunc(list, func(d *tenurev1.WebhookDelivery) bool {
			return d.Error == "the connection was refused" && d.NextAttempt != nil
		})
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	server := &http.Server{Handler: r}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	sent := len(want)
	for project := range maps.Clone(want) {
		r.until(t, project, func(g received) bool { return g.data["project_id"] == project })
	}
	ids := map[string]int{}
	for _, g := range r.all() {
		ids[g.id]++
	}
	t.Logf("receiver down for %s: %d messages, all there %s after it was back, %d came more than once",
		away, sent, time.Since(back).Round(time.Millisecond), len(r.all())-len(ids))
}

// A receiver that answers 500 gets each message four times with the waits between, and then it is a dead letter, which is sent again
// on demand, one or all of them, under the same id. Fails if a dead letter is kept without its body, or not removed when it is sent again: tried.
func TestFaultWebhookDeadLetters(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), startReceiver(t)
	id, secret := h.create(t, r.URL, "ProjectCreated")
	r.answers(answering(http.StatusInternalServerError))
	h.happens(t)
	list := h.deliveries(t, id, "a dead letter", anyDead)
	if len(list) != 5 || !list[0].Dead || list[0].Status != 500 {
		t.Errorf("deliveries: %v", list)
	}
	for i, d := range list[1:] {
		if want := uint32(4 - i); d.Attempt != want || d.Status != 500 || d.Error != "not accepted" || d.MessageId != list[0].MessageId || (d.NextAttempt == nil) != (want == 4) {
			t.Errorf("attempt %d: %v", want, d)
		}
	}
	h.happens(t)
	list = h.deliveries(t, id, "two dead letters", func(list []*tenurev1.WebhookDelivery) bool {
		return len(slices.DeleteFunc(slices.Clone(list), func(d *tenurev1.WebhookDelivery) bool { return !d.Dead })) == 2
	})
	r.answers(nil)
	before := len(r.all())
	one := list[len(list)-1].MessageId
	if res, err := h.RedeliverWebhook(processContext(t), &tenurev1.RedeliverWebhookRequest{WebhookId: id, MessageId: one}); err != nil || res.Messages != 1 {
		t.Fatal(res, err)
	}
	if res, err := h.RedeliverWebhook(processContext(t), &tenurev1.RedeliverWebhookRequest{WebhookId: id}); err != nil || res.Messages != 1 {
		t.Fatal(res, err)
	}
	_, err := h.RedeliverWebhook(processContext(t), &tenurev1.RedeliverWebhookRequest{WebhookId: id, MessageId: one})
	if processReason(err) != "DEAD_LETTER_NOT_FOUND" {
		t.Errorf("again: %v", err)
	}
	h.deliveries(t, id, "both taken", func(list []*tenurev1.WebhookDelivery) bool {
		return !anyDead(list) && len(list) >= 2 && list[0].Status == 204 && list[1].Status == 204
	})
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.all()[before:] {
		if err := verifier.Verify(g.body, g.header); err != nil || g.Type != "ProjectCreated" {
			t.Errorf("sent again: %v %s", err, g.body)
		}
	}
}

// A receiver that is slow, dead or redirects holds up itself and nobody else; a redirect is not followed. Fails if redirects are
// followed, and with one place for all webhooks: tried.
func TestFaultWebhookSlowAndRedirecting(t *testing.T) {
	t.Parallel()
	h := startHooks(t, nil)
	slow, redirecting, target, good := startReceiver(t), startReceiver(t), startReceiver(t), startReceiver(t)
	released := make(chan struct{})
	defer close(released)
	slow.answers(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-released:
		case <-req.Context().Done():
		}
	})
	redirecting.answers(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, target.URL, http.StatusTemporaryRedirect)
	})
	slowly, _ := h.create(t, slow.URL, "ProjectCreated")
	elsewhere, _ := h.create(t, redirecting.URL, "ProjectCreated")
	h.create(t, good.URL, "ProjectCreated")
	began := time.Now()
	const messages = 20
	for range messages {
		project := h.happens(t)
		good.until(t, project, func(g received) bool { return g.data["project_id"] == project })
	}
	t.Logf("%d messages beside a slow receiver took %s", messages, time.Since(began).Round(time.Millisecond))
	for id, want := range map[string]string{slowly: "no answer in time", elsewhere: "redirects are not followed"} {
		h.deliveries(t, id, want, func(list []*tenurev1.WebhookDelivery) bool {
			return slices.ContainsFunc(list, func(d *tenurev1.WebhookDelivery) bool { return d.Error == want })
		})
	}
	if got := target.all(); len(got) > 0 {
		t.Errorf("a redirect was followed: %v", got)
	}
}

// A receiver whose certificate nobody vouches for gets nothing. Fails if certificates are not verified: tried.
func TestWebhookVerifiesCertificates(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), &receiver{came: make(chan struct{}, 1)}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	t.Cleanup(r.Close)
	id, _ := h.create(t, r.URL, "ProjectCreated")
	h.happens(t)
	h.deliveries(t, id, "a refused certificate", func(list []*tenurev1.WebhookDelivery) bool {
		return slices.ContainsFunc(list, func(d *tenurev1.WebhookDelivery) bool { return d.Error == "the certificate is not good" })
	})
	if got := r.all(); len(got) > 0 {
		t.Errorf("%d requests came", len(got))
	}
}

// A receiver that answers 410 is not called any more, and what it missed is sent when the webhook is resumed. Fails without Disable:
// tried.
func TestFaultWebhookGone(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), startReceiver(t)
	id, _ := h.create(t, r.URL, "ProjectCreated")
	r.answers(answering(http.StatusGone))
	project := h.happens(t)
	faultUntil(t, "the webhook to be disabled", func() bool {
		res, err := h.GetWebhook(processContext(t), &tenurev1.GetWebhookRequest{WebhookId: id})
		return err == nil && res.Webhook.Disabled == "gone"
	})
	if _, err := h.TestWebhook(processContext(t), &tenurev1.TestWebhookRequest{WebhookId: id}); processReason(err) != "WEBHOOK_DISABLED" {
		t.Errorf("a test of one that is gone: %v", err)
	}
	before := len(r.all())
	r.answers(nil)
	h.happens(t)
	if _, err := h.UpdateWebhook(processContext(t), &tenurev1.UpdateWebhookRequest{WebhookId: id, Paused: new(false)}); err != nil {
		t.Fatal(err)
	}
	taken := func(g received) bool { return g.data["project_id"] == project }
	for ctx := processContext(t); !slices.ContainsFunc(r.all()[before:], taken); {
		select {
		case <-r.came:
		case <-ctx.Done():
			t.Fatal("what it missed did not come")
		}
	}
	if res, err := h.TestWebhook(processContext(t), &tenurev1.TestWebhookRequest{WebhookId: id}); err != nil {
		t.Error(err)
	} else {
		r.until(t, "the test", func(g received) bool { return g.id == res.MessageId && g.Type == "Test" })
	}
}

// Nothing is sent into private networks, by whatever name, unless they are allowed; the name is resolved when the connection is made.
// Fails without Control of the dialer: tried.
func TestWebhookPrivateNetworks(t *testing.T) {
	t.Parallel()
	h := startHooks(t, func(cfg *app.Config) { cfg.WebhookNetworks = nil })
	r := startReceiver(t)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	var ids []string
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[::1]", "2130706433"} {
		id, _ := h.create(t, "http://"+host+":"+port, "ProjectCreated")
		ids = append(ids, id)
	}
	h.happens(t)
	for _, id := range ids {
		h.deliveries(t, id, "a refusal", func(list []*tenurev1.WebhookDelivery) bool {
			return slices.ContainsFunc(list, func(d *tenurev1.WebhookDelivery) bool {
				return strings.Contains(d.Error, "private network") || d.Error == "the name does not resolve"
			})
		})
	}
	if got := r.all(); len(got) > 0 {
		t.Errorf("%d requests came", len(got))
	}
}

// Neither the secret nor anything it could be made from is in the log, the audit log or the feed. Fails if the secret is stored as it
// is: tried.
func TestWebhookSecretIsNowhere(t *testing.T) {
	t.Parallel()
	h, r := startHooks(t, nil), startReceiver(t)
	id, secret := h.create(t, r.URL)
	rotated, err := h.RotateWebhookSecret(processContext(t), &tenurev1.RotateWebhookSecretRequest{WebhookId: id})
	if err != nil {
		t.Fatal(err)
	}
	h.settled(t)
	texts := map[string]string{}
	res, err := h.api.audit.QueryAudit(context.Background(), &tenurev1.QueryAuditRequest{OrgId: h.org})
	if err != nil {
		t.Fatal(err)
	}
	texts["the audit log"] = fmt.Sprint(res)
	r.untilType(t, "WebhookSecretRotated")
	for _, g := range r.all() {
		texts["webhook "+g.Type] = string(g.body)
	}
	for i, e := range h.entries(t) {
		texts[fmt.Sprint("entry ", i)] = fmt.Sprint(e)
	}
	for where, text := range texts {
		for _, secret := range []string{secret, rotated.Secret} {
			if strings.Contains(text, strings.TrimPrefix(secret, "whsec_")[:20]) {
				t.Errorf("the secret is in %s", where)
			}
		}
	}
	if !strings.Contains(texts["the audit log"], "WebhookSecretRotated") {
		t.Errorf("the audit log does not tell of it: %s", texts["the audit log"])
	}
}

// entries are all of the log.
func (s *apiServer) entries(t *testing.T) (list []fmt.Stringer) {
	t.Helper()
	for at := range s.Engine.State().Position {
		err := s.Engine.Commits(t.Context(), at+1, at+1, func(c engine.Commit) error {
			for _, e := range c.Entries {
				list = append(list, e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}
