package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPrivate is returned for an address that webhooks are not sent to.
var errPrivate = errors.New("the address is in a private network, which webhooks are not sent to")

// special are networks that are not of the public internet, besides those that package netip knows: each leads, or can lead, to
// something near the server.
var special = func() (list []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

// mayDial tells whether webhooks are sent to an address. Those of networks that are allowed always are.
func mayDial(address netip.Addr, allowed []netip.Prefix) bool {
	address = address.Unmap().WithZone("")
	for _, network := range allowed {
		if network.Contains(address) {
			return true
		}
	}
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return false
	}
	for _, network := range special {
		if network.Contains(address) {
			return false
		}
	}
	return true
}

// client sends to public addresses and to allowed networks alone. What is looked at is the address of each connection as it is made,
// so that a name which resolves to another address a moment later gains nothing. It uses no proxy, which would resolve by itself, and
// follows no redirect, which would lead a signed message to where nobody has allowed it.
func (c Config) client() *http.Client {
	dialer := &net.Dialer{Timeout: c.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !mayDial(to.Addr(), c.Networks) {
			return fmt.Errorf("%w (%s)", errPrivate, to.Addr())
		}
		return nil
	}}
	return &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: c.Timeout,
			MaxIdleConns: 100, MaxIdleConnsPerHost: concurrency, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}
