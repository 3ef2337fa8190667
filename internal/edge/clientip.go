// Package edge is what stands between the internet and the handlers: who is calling, how fast and how much they may,
// certificates, the HTTP servers and their metrics. It knows nothing of what is served.
package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// TrustedProxies are the networks whose word about a client's address is taken. The zero value trusts nobody.
type TrustedProxies struct {
	networks []netip.Prefix
}

// ParseTrustedProxies reads networks in CIDR notation, or single addresses.
func ParseTrustedProxies(networks []string) (TrustedProxies, error) {
	var t TrustedProxies
	for _, text := range networks {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return TrustedProxies{}, fmt.Errorf("trusted proxy %q is neither a network such as 10.0.0.0/8 nor an address", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if addr := prefix.Addr(); addr.Is4In6() {
			if prefix.Bits() < 96 {
				return TrustedProxies{}, fmt.Errorf("trusted proxy %q spans all of IPv4", text)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
		}
		t.networks = append(t.networks, prefix.Masked())
	}
	return t, nil
}

func (t TrustedProxies) contains(addr netip.Addr) bool {
	for _, network := range t.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientIP is the address of who sent the request: the peer's, or if that is a trusted proxy, the right-most address of
// X-Forwarded-For that is not one. What stands further left was written by the client and means nothing. Where the
// header ends or makes no sense, the last proxy itself is the client. The zero Addr means that the peer has no IP
// address, as on a Unix socket.
func (t TrustedProxies) ClientIP(r *http.Request) netip.Addr {
	client, ok := parseAddr(r.RemoteAddr)
	if !ok {
		return netip.Addr{}
	}
	// Several headers are one list in the order in which they came.
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for forwarded != "" && t.contains(client) {
		comma := strings.LastIndexByte(forwarded, ',')
		addr, ok := parseAddr(strings.TrimSpace(forwarded[comma+1:]))
		if !ok {
			break
		}
		client = addr
		forwarded = forwarded[:max(comma, 0)]
	}
	return client
}

// parseAddr takes an address with or without a port, as some proxies add one.
func parseAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// Middleware puts the client's address into the context of each request, where ClientIPFrom finds it.
func (t TrustedProxies) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(WithClientIP(r.Context(), t.ClientIP(r))))
	})
}

type clientIPKey struct{}

// WithClientIP returns a context that carries the client's address.
func WithClientIP(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, clientIPKey{}, addr)
}

// ClientIPFrom returns the client's address, or the zero Addr if the context has none.
func ClientIPFrom(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(clientIPKey{}).(netip.Addr)
	return addr
}

// Source is what limits count by: an IPv6 client has a whole /64 to choose its address from.
func Source(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is6() {
		prefix, _ := addr.WithZone("").Prefix(64) // 64 is never too long
		return prefix.Addr()
	}
	return addr
}
