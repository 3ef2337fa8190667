package edge

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// otherLabel stands for every value outside a label's known set: a label that callers could choose would be a way to
// fill the memory of this process and of who scrapes it.
const otherLabel = "other"

// rpcCodes are the codes of Connect and gRPC, and "ok".
var rpcCodes = []string{
	"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
	"permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented",
	"internal", "unavailable", "data_loss", "unauthenticated",
}

// Metrics counts what happens at the edge. Its methods are safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	procedures map[string]bool
	codes      map[string]bool

	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	authFailed  prometheus.Counter
	authBlocked prometheus.Counter
}

// NewMetrics returns metrics of their own registry, with those of the Go runtime and the process. procedures are the names
// that requests are told apart by; every other one is counted as "other".
func NewMetrics(procedures []string) *Metrics {
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		procedures: set(procedures),
		codes:      set(rpcCodes),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenure_rpc_requests_total",
			Help: "Requests answered, by procedure and code.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenure_rpc_duration_seconds",
			Help: "Time from a request's header to its answer, by procedure.",
			// From a check answered from memory to a wait for a read model.
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"procedure"}),
		authFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenure_authentication_failures_total",
			Help: "Requests with credentials that are not right.",
		}),
		authBlocked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenure_authentication_throttled_total",
			Help: "Requests refused unseen because their address failed too often.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.seconds, m.authFailed, m.authBlocked,
	)
	return m
}

// Observe counts one answered request. code is "ok" or the error's code in its wire form, such as "not_found".
func (m *Metrics) Observe(procedure, code string, took time.Duration) {
	if !m.procedures[procedure] {
		procedure = otherLabel
	}
	if !m.codes[code] {
		code = otherLabel
	}
	m.requests.WithLabelValues(procedure, code).Inc()
	m.seconds.WithLabelValues(procedure).Observe(took.Seconds())
}

// AuthenticationFailed counts credentials that are not right.
func (m *Metrics) AuthenticationFailed() { m.authFailed.Inc() }

// Throttled counts a request that was refused because its address failed too often.
func (m *Metrics) Throttled() { m.authBlocked.Inc() }

// Registerer takes the metrics of other packages.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Handler serves all of them to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func set(values []string) map[string]bool {
	s := make(map[string]bool, len(values))
	for _, v := range values {
		s[v] = true
	}
	return s
}
