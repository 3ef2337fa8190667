package tests

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// staleServers are two servers on one log, the second behind a link, and a key that both know.
func staleServers(t *testing.T) (link *faultProxy, f *faultServers, org string, key *tenurev1.CreateKeyResponse) {
	t.Helper()
	direct := natstest.Single(t).ConnectedUrl()
	link = newFaultProxy(t, direct)
	f = startFaultServers(t, t.TempDir(), 1, nil, direct, link.url())
	made, err := f.apis[0].orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "keyholders"})
	if err != nil {
		t.Fatal(err)
	}
	if key, err = f.apis[0].keys.CreateKey(processContext(t), &tenurev1.CreateKeyRequest{OrgId: made.Org.Id}); err != nil {
		t.Fatal(err)
	}
	ctx := processHeaders(processContext(t), "Tenure-Token", key.Token)
	if _, err := f.apis[1].orgs.ListOrgs(ctx, &tenurev1.ListOrgsRequest{}); err != nil {
		t.Fatal(err)
	}
	return link, f, made.Org.Id, key
}

// A server that lost the log does not go on granting what was revoked meanwhile: some seconds later it says that it can't
// answer, and is not ready; with the log back it refuses the key.
//
// With Fresh answering nil, the key is good there for ever: tried.
func TestFaultLinkStaleServerStopsAnswering(t *testing.T) {
	t.Parallel()
	link, f, org, key := staleServers(t)
	api := f.apis[1]
	verify := &tenurev1.VerifyKeyRequest{PublicKey: key.Key.PublicKey, Secret: key.Secret}
	check := &tenurev1.CheckRequest{KeyId: key.Key.Id, OrgId: org, Permission: "projects:create"}
	if res, err := api.access.Check(processContext(t), check); err != nil || !res.Allowed {
		t.Fatalf("the key is answered %v, %v", res, err)
	}

	link.set(linkHeld)
	cut := time.Now()
	if _, err := f.apis[0].keys.RevokeKey(processContext(t), &tenurev1.RevokeKeyRequest{KeyId: key.Key.Id}); err != nil {
		t.Fatal(err)
	}
	// The gap is five seconds; the rest is for busy machines.
	const within = 10 * time.Second
	unavailable := func(err error) bool {
		return connect.CodeOf(err) == connect.CodeUnavailable && processReason(err) == "NO_CONTACT"
	}
	faultUntil(t, "VerifyKey to be unavailable", func() bool {
		_, err := api.keys.VerifyKey(processContext(t), verify)
		return unavailable(err)
	})
	if took := time.Since(cut); took > within {
		t.Errorf("a revoked key was good for %s without contact", took)
	}
	if _, err := api.access.Check(processContext(t), check); !unavailable(err) {
		t.Errorf("Check is answered %v", err)
	}
	if _, err := api.access.BatchCheck(processContext(t), &tenurev1.BatchCheckRequest{Checks: []*tenurev1.CheckRequest{check}}); !unavailable(err) {
		t.Errorf("BatchCheck is answered %v", err)
	}
	if _, err := processClient(t, f.apps[1].URL, key.Secret).instance.WhoAmI(processContext(t), &tenurev1.WhoAmIRequest{}); !unavailable(err) {
		t.Errorf("who calls with the key is answered %v", err)
	}
	if code, body := processGet(t, api.http, f.apps[1].URL+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no contact to the log") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, body := processGet(t, api.http, f.apps[1].URL+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s; a restart would not help", code, body)
	}

	link.set(linkWorks)
	faultUntil(t, "VerifyKey to be answered again", func() bool {
		res, err := api.keys.VerifyKey(processContext(t), verify)
		if err == nil && res.Valid {
			t.Fatal("the revoked key is good again")
		}
		return err == nil
	})
	if res, err := api.access.Check(processContext(t), check); err != nil || res.Allowed || res.Reason != "KEY_REVOKED" {
		t.Errorf("Check is answered %v, %v", res, err)
	}
	if code, body := processGet(t, api.http, f.apps[1].URL+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
}

// Who calls with a key that ends in what the request waits for is refused, by every method: the server that was behind let
// the caller in, and must look again.
//
// Without the second look at the caller in admit, WhoAmI answers: tried.
func TestFaultLinkCallerEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	link, f, _, key := staleServers(t)
	holder := processClient(t, f.apps[1].URL, key.Secret)
	link.set(linkHeld)
	revoked, err := f.apis[0].keys.RevokeKey(processContext(t), &tenurev1.RevokeKeyRequest{KeyId: key.Key.Id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.instance.WhoAmI(processContext(t), &tenurev1.WhoAmIRequest{}); err != nil {
		t.Fatalf("the second server is not behind: %v", err)
	}
	asked := processHeaders(processContext(t), "Tenure-Token", revoked.Token)
	answer := make(chan error, 1)
	go func() {
		_, err := holder.instance.WhoAmI(asked, &tenurev1.WhoAmIRequest{})
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Fatalf("answered before the server could know: %v", err)
	case <-time.After(500 * time.Millisecond): // long enough to be let in
	}
	link.set(linkWorks)
	if err := <-answer; connect.CodeOf(err) != connect.CodeUnauthenticated || processReason(err) != "KEY_REVOKED" {
		t.Errorf("who calls with a revoked key is answered %v", err)
	}
}
