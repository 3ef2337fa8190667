package edge

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// secureHeaders keeps answers out of caches and browsers from guessing their type. A handler may set others.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// limitUnary bounds size and time of requests that are not streams. A body beyond the limit ends in an
// *http.MaxBytesError, one that comes too slowly in os.ErrDeadlineExceeded, where the handler reads it.
func limitUnary(limits Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limits.BodyBytes {
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close") // rather than read the body to its end
			}
			http.Error(w, "request body too large", http.StatusRequestEntityTooLarge)
			return
		}
		now := time.Now()
		rc := http.NewResponseController(w)
		// Writers without deadlines are those of tests.
		_ = rc.SetWriteDeadline(now.Add(limits.AnswerTimeout))
		if r.Body != nil && r.Body != http.NoBody {
			// It is over for a body that was read to its end: a handler that goes on working is not disturbed.
			_ = rc.SetReadDeadline(now.Add(limits.BodyTimeout))
			r.Body = http.MaxBytesReader(w, r.Body, limits.BodyBytes)
		}
		next.ServeHTTP(w, r)
	})
}

// limitStreams bounds the streams that one client has open at once, counted like failures: by address or /64.
func limitStreams(limit int, next http.Handler) http.Handler {
	var (
		mu   sync.Mutex
		open = make(map[netip.Addr]int)
	)
	acquire := func(client netip.Addr) bool {
		mu.Lock()
		defer mu.Unlock()
		if open[client] >= limit {
			return false
		}
		open[client]++
		return true
	}
	release := func(client netip.Addr) {
		mu.Lock()
		defer mu.Unlock()
		if open[client]--; open[client] == 0 {
			delete(open, client)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := Source(ClientIPFrom(r.Context()))
		if !acquire(client) {
			w.Header().Set("Retry-After", "10")
			http.Error(w, "too many streams from this address", http.StatusTooManyRequests)
			return
		}
		defer release(client)
		next.ServeHTTP(w, r)
	})
}
