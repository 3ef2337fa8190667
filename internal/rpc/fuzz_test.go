package rpc

import "testing"

// A page token is one that this list gave, or refused.
func FuzzPageToken(f *testing.F) {
	f.Add("keys", pageToken("keys", "key_1"))
	f.Add("keys", pageToken("orgs", "org_1"))
	f.Add("keys", "")
	f.Fuzz(func(t *testing.T, kind, token string) {
		key, err := cursor(kind, token)
		if err == nil && token != "" && pageToken(kind, key) != token {
			t.Errorf("%q is taken for the token of %q", token, key)
		}
	})
}

// A network is refused, or one that reads back as itself and names no host in it.
func FuzzNetworks(f *testing.F) {
	for _, text := range []string{"10.0.0.0/8", "10.1.2.3/8", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "::ffff:1.2.3.4/100", "1.2.3.4/33", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := parseNetworks([]string{text})
		if err != nil {
			return
		}
		n := networks[0]
		again, err := parseNetworks([]string{n.String()})
		if !n.IsValid() || n.Masked() != n || err != nil || again[0] != n {
			t.Errorf("%q is taken for %v, which is taken for %v, %v", text, n, again, err)
		}
	})
}
