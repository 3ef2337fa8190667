package edge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func get(t testing.TB, handler http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestPrivateHandler(t *testing.T) {
	t.Parallel()
	handler := PrivateHandler(NewMetrics(nil).Handler())
	for path, want := range map[string]string{
		"/metrics":                       "go_goroutines",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/cmdline":           "",
		"/debug/pprof/symbol":            "num_symbols",
	} {
		if code, body := get(t, handler, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %.100q", path, code, body)
		}
	}
	if code, _ := get(t, handler, "/"); code != http.StatusNotFound {
		t.Errorf("/: %d", code)
	}
}

// Seen to fail with labels passed through unchecked.
func TestMetricsLabelsAreBounded(t *testing.T) {
	t.Parallel()
	const check = "/tenure.v1.AccessService/Check"
	m := NewMetrics([]string{check})
	m.Observe(check, "ok", time.Millisecond)
	m.Observe(check, "not_found", time.Second)
	m.Observe("/made/up", "made_up", time.Second)
	m.Observe("/made/up/too", "ok", time.Second)
	m.AuthenticationFailed()
	m.Throttled()
	m.Throttled()
	_, body := get(t, m.Handler(), "/metrics")
	for _, line := range []string{
		`tenure_rpc_requests_total{code="ok",procedure="` + check + `"} 1`,
		`tenure_rpc_requests_total{code="not_found",procedure="` + check + `"} 1`,
		`tenure_rpc_requests_total{code="other",procedure="other"} 1`,
		`tenure_rpc_requests_total{code="ok",procedure="other"} 1`,
		`tenure_rpc_duration_seconds_bucket{procedure="` + check + `",le="0.001"} 1`,
		`tenure_rpc_duration_seconds_count{procedure="other"} 2`,
		"tenure_authentication_failures_total 1",
		"tenure_authentication_throttled_total 2",
		"process_start_time_seconds",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(body, "made") {
		t.Error("a made-up label is exposed")
	}
}
