package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenurehq/tenure/internal/accesslog"
)

// keepAccessLog begins to record who is refused and who reads what is sensitive.
func (a *App) keepAccessLog(ctx context.Context) (err error) {
	a.access, err = accesslog.Start(ctx, accesslog.Config{
		Conn: a.broker.conn(), Replicas: a.cfg.Replicas, MaxAge: a.cfg.AccessLogRetention, MaxBytes: a.cfg.AccessLogBytes,
		Seal: a.vault.Seal, Erased: func(subject string) bool { return a.Engine.State().Erased().Has(subject) }, Logger: a.cfg.Logger,
	})
	if err == nil {
		a.closers = append(a.closers, a.access.Close)
	}
	return err
}

// lostAccess is the warning that records were lost within the last hour; "" if none were.
func (a *App) lostAccess() string {
	stats := a.access.Stats()
	if stats.Dropped == 0 || time.Since(stats.LastDrop) > time.Hour {
		return ""
	}
	return fmt.Sprintf("%d records of the access log were lost since this server's start, the last one %s ago: NATS was away, or there were too many at once",
		stats.Dropped, time.Since(stats.LastDrop).Round(time.Second))
}

// registerAccessLog shows what becomes of records.
func registerAccessLog(r prometheus.Registerer, access *accesslog.Recorder) {
	for _, m := range []struct {
		name, help string
		value      func(accesslog.Stats) uint64
	}{
		{"tenure_access_log_recorded_total", "Records of refused calls and sensitive reads stored by this server.", func(s accesslog.Stats) uint64 { return s.Recorded }},
		{"tenure_access_log_counted_total", "Refused calls and sensitive reads that are in the count of a record of calls like them.", func(s accesslog.Stats) uint64 { return s.Counted }},
		{"tenure_access_log_dropped_total", "Records of refused calls and sensitive reads that were lost.", func(s accesslog.Stats) uint64 { return s.Dropped }},
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help},
			func() float64 { return float64(m.value(access.Stats())) }))
	}
}
