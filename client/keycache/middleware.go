package keycache

import (
	"encoding/json"
	"net/http"
	"net/netip"

	"connectrpc.com/connect"
)

// Middleware lets only requests with a good key through to a handler, which finds the answer by FromContext. Others are answered with
// 401, 403 or 503 and a body as Tenure's own errors have it: {"code":...,"reason":...,"message":...}.
type Middleware struct {
	Cache *Cache
	// EnvironmentHeader is in which header callers report their environment; "": in none, all are in the default one. Who may send what is
	// theirs to say: a key that is bound to an environment is good for whoever reports that one.
	EnvironmentHeader string
	// Address finds a caller's address; RemoteAddress, if not set. Behind a proxy it must be what that proxy says, and nobody else: keys can
	// be bound to networks. The zero address is in none.
	Address func(*http.Request) netip.Addr
	// Refused is told of each refusal, if set: for logs and counts. The request is a copy without Authorization and Cookie: a key that is
	// refused may be a real one.
	Refused func(*http.Request, *Refusal)
}

// RemoteAddress is the address that a request's connection comes from.
func RemoteAddress(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr()
}

// Handler is a handler behind the middleware.
func (m Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := m.Address
		if address == nil {
			address = RemoteAddress
		}
		environment := ""
		if m.EnvironmentHeader != "" {
			environment = r.Header.Get(m.EnvironmentHeader)
		}
		a, refusal := m.Cache.Admit(r.Context(), r.Header.Get("Authorization"), environment, address(r))
		if refusal != nil {
			m.refuse(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithAnswer(r.Context(), a)))
	})
}

// Require is a handler for keys that hold a permission. It must be behind Handler.
func (m Middleware) Require(permission string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := Needs(r.Context(), permission); refusal != nil {
			m.refuse(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (m Middleware) refuse(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	if m.Refused != nil {
		told := r.Clone(r.Context())
		told.Header.Del("Authorization")
		told.Header.Del("Cookie")
		m.Refused(told, refusal)
	}
	status := http.StatusServiceUnavailable
	switch refusal.Code {
	case connect.CodeUnauthenticated:
		status = http.StatusUnauthorized
		w.Header().Add("WWW-Authenticate", `Basic realm="api", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", `Bearer realm="api"`)
	case connect.CodePermissionDenied:
		status = http.StatusForbidden
	default:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    string `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}{refusal.Code.String(), refusal.Reason, refusal.Message})
}
