package tests

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// badCredentials is one way of not being let in.
type badCredentials struct {
	name   string
	caller apiCaller
	reason domain.Reason
	// open tells that VerifyKey, which needs no credentials, answers.
	open bool
}

// apiMistyped changes one character in the middle of a secret.
func apiMistyped(secret string) string {
	b := []byte(secret)
	if at := len(b) / 2; b[at] == 'x' {
		b[at] = 'y'
	} else {
		b[at] = 'x'
	}
	return string(b)
}

// apiBadCredentials prepares every way of not being let in, against one tenant.
func apiBadCredentials(t *testing.T, s *apiServer, a apiTenant) []badCredentials {
	admin := s.admin()
	// A secret of the right form that this server never gave away.
	stranger := apiStart(t, nil)
	foreign := stranger.key(t, stranger.admin(), &tenurev1.CreateKeyRequest{Instance: true})

	expired := s.key(t, admin, &tenurev1.CreateKeyRequest{OrgId: a.org, ExpiresAt: timestamppb.New(s.Engine.Now().Add(2 * time.Second))})
	s.ahead.Add(int64(2 * time.Second))
	revoked := s.key(t, admin, &tenurev1.CreateKeyRequest{OrgId: a.org})
	apiOK[*tenurev1.RevokeKeyResponse](t, admin, &tenurev1.RevokeKeyRequest{KeyId: revoked.id})
	suspended := s.tenant(t)
	apiOK[*tenurev1.SuspendOrgResponse](t, admin, &tenurev1.SuspendOrgRequest{OrgId: suspended.org})
	ended := s.tenant(t)
	apiOK[*tenurev1.DeleteProjectResponse](t, admin, &tenurev1.DeleteProjectRequest{ProjectId: ended.project})
	gone := s.tenant(t)
	apiOK[*tenurev1.DeleteOrgResponse](t, admin, &tenurev1.DeleteOrgRequest{OrgId: gone.org, Cascade: true})
	inactive, erased := s.person(t), s.person(t)
	apiOK[*tenurev1.DeactivateUserResponse](t, admin, &tenurev1.DeactivateUserRequest{UserId: inactive.id})
	apiOK[*tenurev1.EraseUserResponse](t, admin, &tenurev1.EraseUserRequest{UserId: erased.id})
	bound := s.key(t, admin, &tenurev1.CreateKeyRequest{OrgId: a.org, AllowedNetworks: []string{"10.9.0.0/16", "2001:db8::/32"}})

	header := func(value string) apiCaller { return s.anonymous().with("Authorization", value) }
	un := domain.Unauthenticated
	return []badCredentials{
		{"none", s.anonymous(), un, true},
		{"another server's secret", s.bearer(foreign.secret), un, false},
		{"another server's key", s.basic(foreign.public, foreign.secret), un, false},
		{"right public part, wrong secret", s.basic(a.orgKey.public, foreign.secret), un, false},
		{"right public part, another key's secret", s.basic(a.orgKey.public, a.projectKey.secret), un, false},
		{"wrong public part, right secret", s.basic(a.projectKey.public, a.orgKey.secret), un, false},
		{"no public part, right secret", s.basic("", a.orgKey.secret), un, false},
		{"unknown public part, right secret", s.basic("pk-tn-unknown", a.orgKey.secret), un, false},
		{"public part as bearer", s.bearer(a.orgKey.public), un, false},
		{"mistyped secret", s.bearer(apiMistyped(a.orgKey.secret)), un, false},
		{"mistyped secret, with public part", s.basic(a.orgKey.public, apiMistyped(a.orgKey.secret)), un, false},
		{"mistyped admin key", s.bearer(apiAdminKey + "0"), un, false},
		{"admin key as a public part's secret", s.basic("admin", apiAdminKey), un, false},
		{"empty bearer", header("Bearer "), un, false},
		{"scheme alone", header("Bearer"), un, false},
		{"no scheme", header(a.orgKey.secret), un, false},
		{"unknown scheme", header("Digest " + a.orgKey.secret), un, false},
		{"basic that is no base64", header("Basic %%%"), un, false},
		{"basic without a colon", header("Basic " + base64.StdEncoding.EncodeToString([]byte(a.orgKey.secret))), un, false},
		{"expired key", s.bearer(expired.secret), domain.KeyExpired, false},
		{"expired key, with public part", s.basic(expired.public, expired.secret), domain.KeyExpired, false},
		{"revoked key", s.bearer(revoked.secret), domain.KeyRevoked, false},
		{"key of a suspended organization", s.bearer(suspended.orgKey.secret), domain.OrgSuspended, false},
		{"key of a suspended organization's project", s.bearer(suspended.projectKey.secret), domain.OrgSuspended, false},
		{"key of a deleted project", s.bearer(ended.projectKey.secret), domain.ProjectDeleted, false},
		{"key of a deleted organization", s.bearer(gone.orgKey.secret), domain.OrgDeleted, false},
		{"key of a deleted organization's project", s.bearer(gone.projectKey.secret), domain.OrgDeleted, false},
		{"key of a deactivated user", s.bearer(inactive.key.secret), domain.UserDeactivated, false},
		{"key of an erased user", s.bearer(erased.key.secret), domain.KeyRevoked, false},
		{"key from a network that is not allowed", s.bearer(bound.secret), domain.NetworkNotAllowed, false},
	}
}

// Every method refuses everybody without good credentials, whatever is wrong with them, and does nothing. Seen to fail
// when authenticate leaves out the call of Usable, and when the gate lets callers without credentials pass.
func TestAPICredentialsAreNeededEverywhere(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.furnished(t)
	bad := apiBadCredentials(t, s, a)
	before := s.mark()
	calls := 0
	for i, b := range bad {
		t.Run(b.name, func(t *testing.T) {
			apiEveryRequest(t, a.names(), func(method string, request proto.Message) {
				calls++
				// Each call from an address of its own, or the throttle would answer.
				from := b.caller.from(fmt.Sprintf("192.%d.%d.%d", i, calls/250%250, calls%250))
				if method == "VerifyKey" && b.open {
					if !apiOK[*tenurev1.VerifyKeyResponse](t, from, request).Valid {
						t.Error("VerifyKey is open to everybody, and the key is good")
					}
					return
				}
				e := apiRefused(t, from, request, connect.CodeUnauthenticated, b.reason)
				if e.message == "" {
					t.Errorf("%s: no message says what to do", method)
				}
			})
		})
	}
	before.unchanged(t, s)
}

// What was wrong with credentials that never were right is not told.
func TestAPICredentialsWrongOnesReadTheSame(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a, b := s.tenant(t), s.tenant(t)
	var first apiError
	for i, caller := range []apiCaller{
		s.basic(a.orgKey.public, b.orgKey.secret), s.basic("pk-tn-unknown", a.orgKey.secret), s.basic(a.orgKey.public, "short"),
		s.bearer(apiMistyped(a.orgKey.secret)), s.bearer("x"),
	} {
		e := apiRefused(t, caller.from(fmt.Sprintf("192.0.2.%d", i)), &tenurev1.WhoAmIRequest{}, connect.CodeUnauthenticated, domain.Unauthenticated)
		if i == 0 {
			first = e
		}
		if e != first {
			t.Errorf("case %d: %+v, another one %+v", i, e, first)
		}
	}
}

// Good credentials are let in both ways, and WhoAmI says whose they are.
func TestAPICredentialsOfEveryKind(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	instance := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{Instance: true})
	bound := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{OrgId: a.org, AllowedNetworks: []string{"10.9.0.0/16"}})
	for _, c := range []struct {
		name string
		key  apiKey
		from string
		want *tenurev1.WhoAmIResponse
		more int
	}{
		{"instance", instance, "", &tenurev1.WhoAmIResponse{Kind: "instance", InstanceAdmin: true}, 64},
		{"user", a.owner.key, "", &tenurev1.WhoAmIResponse{Kind: "user", UserId: a.owner.id}, 64},
		{"organization", a.orgKey, "", &tenurev1.WhoAmIResponse{Kind: "organization", OrgId: a.org}, 64},
		{"project", a.projectKey, "", &tenurev1.WhoAmIResponse{Kind: "project", OrgId: a.org, ProjectId: a.project}, 56},
		{"in its network", bound, "10.9.1.2", &tenurev1.WhoAmIResponse{Kind: "organization", OrgId: a.org}, 64},
	} {
		for method, caller := range map[string]apiCaller{
			"bearer": s.bearer(c.key.secret), "basic": s.basic(c.key.public, c.key.secret),
		} {
			got := apiOK[*tenurev1.WhoAmIResponse](t, caller.from(c.from), &tenurev1.WhoAmIRequest{})
			// auditLogs:read exists at both levels and is one name.
			if n := len(got.Permissions); n != c.more {
				t.Errorf("%s by %s: %d permissions, want %d", c.name, method, n, c.more)
			}
			got.Permissions = nil
			c.want.KeyId, c.want.Method = c.key.id, method
			if !proto.Equal(got, c.want) {
				t.Errorf("%s by %s: %v, want %v", c.name, method, got, c.want)
			}
		}
	}
	got := apiOK[*tenurev1.WhoAmIResponse](t, s.admin(), &tenurev1.WhoAmIRequest{})
	if want := (&tenurev1.WhoAmIResponse{Kind: "instance", Method: "admin_key", InstanceAdmin: true}); !proto.Equal(got, want) {
		t.Errorf("admin key: %v, want %v", got, want)
	}
}

// apiFailUntilThrottled guesses until the address is throttled, and fails if that takes more than a burst.
func apiFailUntilThrottled(t *testing.T, guess func(i int) error) {
	t.Helper()
	const burst = 10
	for i := range burst + 1 {
		switch e := apiErrorOf(guess(i)); {
		case e.code == connect.CodeResourceExhausted && e.reason == "THROTTLED":
			if i < burst {
				t.Errorf("throttled after %d failures, want %d", i, burst)
			}
			return
		case e.code != connect.CodeUnauthenticated:
			t.Fatalf("guess %d: %+v", i, e)
		}
	}
	t.Errorf("%d failures from one address, and it is not throttled", burst+1)
}

// Guesses are slowed down by address: the credentials of an address that failed too often are not looked at, good or not.
// Seen to fail when authenticate counts nothing.
func TestAPICredentialsThrottlePerAddress(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	good := s.bearer(a.orgKey.secret)
	whoami := &tenurev1.WhoAmIRequest{}
	apiFailUntilThrottled(t, func(int) error {
		_, _, err := s.bearer(apiMistyped(a.orgKey.secret)).from("203.0.113.7").call(t.Context(), whoami)
		return err
	})
	apiRefused(t, good.from("203.0.113.7"), whoami, connect.CodeResourceExhausted, "THROTTLED")
	apiRefused(t, s.admin().from("203.0.113.7"), whoami, connect.CodeResourceExhausted, "THROTTLED")
	apiRefused(t, s.anonymous().from("203.0.113.7"), &tenurev1.VerifyKeyRequest{Secret: a.orgKey.secret}, connect.CodeResourceExhausted, "THROTTLED")
	// Whatever a client claims further left, the proxy's own word counts.
	apiRefused(t, good.from("198.51.100.1, 203.0.113.7"), whoami, connect.CodeResourceExhausted, "THROTTLED")
	apiOK[*tenurev1.WhoAmIResponse](t, good.from("203.0.113.8"), whoami)
	apiOK[*tenurev1.WhoAmIResponse](t, good.from("203.0.113.7, 203.0.113.8"), whoami)

	// VerifyKey without credentials counts as well; a caller with credentials vouches for its own requests.
	unknown := &tenurev1.VerifyKeyRequest{PublicKey: a.orgKey.public, Secret: a.projectKey.secret}
	apiFailUntilThrottled(t, func(int) error {
		_, _, err := s.anonymous().from("203.0.113.9").call(t.Context(), unknown)
		if err == nil {
			return connect.NewError(connect.CodeUnauthenticated, nil)
		}
		return err
	})
	for range 15 {
		if res := apiOK[*tenurev1.VerifyKeyResponse](t, good.from("203.0.113.10"), unknown); res.Reason != string(domain.KeyUnknown) {
			t.Fatalf("wrong secret: %v", res)
		}
	}
}

// A server without trusted proxies believes nobody about addresses. Seen to fail with TrustedProxies 127.0.0.1.
func TestAPICredentialsForwardedForIsIgnoredFromStrangers(t *testing.T) {
	t.Parallel()
	s := apiStart(t, func(cfg *app.Config) { cfg.TrustedProxies = nil })
	a := s.tenant(t)
	bound := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{OrgId: a.org, AllowedNetworks: []string{"10.9.0.0/16"}})
	here := s.key(t, s.admin(), &tenurev1.CreateKeyRequest{OrgId: a.org, AllowedNetworks: []string{"127.0.0.0/8"}})
	apiRefused(t, s.bearer(bound.secret).from("10.9.1.2"), &tenurev1.WhoAmIRequest{}, connect.CodeUnauthenticated, domain.NetworkNotAllowed)
	apiOK[*tenurev1.WhoAmIResponse](t, s.bearer(here.secret).from("10.9.1.2"), &tenurev1.WhoAmIRequest{})
	apiFailUntilThrottled(t, func(i int) error {
		guess := s.bearer(apiMistyped(a.orgKey.secret)).from(fmt.Sprintf("10.9.1.%d", i))
		_, _, err := guess.call(t.Context(), &tenurev1.WhoAmIRequest{})
		return err
	})
}
