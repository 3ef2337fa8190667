package edge

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func proxies(t testing.TB, networks ...string) TrustedProxies {
	t.Helper()
	p, err := ParseTrustedProxies(networks)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Seen to fail with a peer that is always believed, with the left-most address taken, and with a malformed one skipped.
func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := proxies(t, "10.0.0.0/8", "2001:db8::/32", "192.0.2.1")
	for name, tc := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                           {"203.0.113.9:1", nil, "203.0.113.9"},
		"spoof from an untrusted peer":       {"203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9"},
		"trusted peer":                       {"10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"trusted single address":             {"192.0.2.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"neighbour of a trusted address":     {"192.0.2.2:1", []string{"203.0.113.9"}, "192.0.2.2"},
		"spoof in front of the real address": {"10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		"spoof of a trusted address":         {"10.0.0.1:1", []string{"10.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		"chain of proxies":                   {"10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9, 10.2.2.2,10.3.3.3"}, "203.0.113.9"},
		"several headers are one list":       {"10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9", "10.2.2.2"}, "203.0.113.9"},
		"only proxies":                       {"10.0.0.1:1", []string{"10.9.9.9, 10.2.2.2"}, "10.9.9.9"},
		"no header":                          {"10.0.0.1:1", nil, "10.0.0.1"},
		"empty header":                       {"10.0.0.1:1", []string{""}, "10.0.0.1"},
		"malformed":                          {"10.0.0.1:1", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		"malformed behind a proxy":           {"10.0.0.1:1", []string{"203.0.113.9, unknown, 10.2.2.2"}, "10.2.2.2"},
		"empty element":                      {"10.0.0.1:1", []string{"203.0.113.9,,10.2.2.2"}, "10.2.2.2"},
		"with ports":                         {"10.0.0.1:1", []string{"203.0.113.9:4711, 10.2.2.2:80"}, "203.0.113.9"},
		"IPv6":                               {"[2001:db8::1]:1", []string{"[2001:db9::9]:80"}, "2001:db9::9"},
		"mapped peer":                        {"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"zone":                               {"[fe80::1%eth0]:1", nil, "fe80::1"},
		"peer without address":               {"@", []string{"203.0.113.9"}, "invalid IP"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.peer
		r.Header["X-Forwarded-For"] = tc.forwarded
		if got := trusted.ClientIP(r).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if len(tc.forwarded) > 0 && strings.HasPrefix(tc.peer, "10.") {
			if got := (TrustedProxies{}).ClientIP(r).String(); got != "10.0.0.1" {
				t.Errorf("%s: the zero TrustedProxies believed %s", name, got)
			}
		}
	}
}

func TestParseTrustedProxies(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy", "10.0.0.0/33", "10.0.0.0/8,", "fe80::1%eth0", "::ffff:0:0/90"} {
		if got, err := ParseTrustedProxies([]string{text}); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	mapped := proxies(t, "::ffff:10.0.0.0/104", "::ffff:192.0.2.1")
	if !mapped.contains(netip.MustParseAddr("10.1.2.3")) || !mapped.contains(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("%v does not contain what it spells", mapped)
	}
	unaligned := proxies(t, "10.1.2.3/8")
	if !unaligned.contains(netip.MustParseAddr("10.200.0.1")) {
		t.Errorf("%v is not masked", unaligned)
	}
}

func TestClientIPTravelsInTheContext(t *testing.T) {
	t.Parallel()
	var got netip.Addr
	handler := proxies(t, "10.0.0.0/8").Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = ClientIPFrom(r.Context())
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if got.String() != "203.0.113.9" {
		t.Errorf("context has %v", got)
	}
	if addr := ClientIPFrom(t.Context()); addr.IsValid() {
		t.Errorf("an empty context has %v", addr)
	}
}

// Whatever a client writes, it never passes for an address that its proxy did not see.
func FuzzForwardedFor(f *testing.F) {
	f.Add("1.1.1.1, 10.0.0.1")
	f.Add(",,unknown,[::1]:80")
	trusted := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, written string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Add("X-Forwarded-For", written)
		r.Header.Add("X-Forwarded-For", "203.0.113.9")
		if got := trusted.ClientIP(r).String(); got != "203.0.113.9" {
			t.Errorf("%q passed for %s", written, got)
		}
	})
}
