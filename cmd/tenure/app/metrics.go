package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/rpc"
	"github.com/tenurehq/tenure/projections/runner"
)

// registerEngine shows what the engine does.
func registerEngine(r prometheus.Registerer, e *engine.Engine) {
	for _, m := range []struct {
		name, help string
		value      func(engine.Stats) uint64
	}{
		{"tenure_commands_total", "Commands written to the log by this server.", func(s engine.Stats) uint64 { return s.Commands }},
		{"tenure_commits_total", "Commits written to the log by this server.", func(s engine.Stats) uint64 { return s.Commits }},
		{"tenure_conflicts_total", "Groups of commands decided again because another server was quicker.", func(s engine.Stats) uint64 { return s.Conflicts }},
		{"tenure_append_retries_total", "Appends sent again because their outcome was unknown.", func(s engine.Stats) uint64 { return s.Retries }},
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help},
			func() float64 { return float64(m.value(e.Stats())) }))
	}
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_position", Help: "Position of this server's state in the log."},
			func() float64 { return float64(e.State().Position) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_void_positions", Help: "Positions of the log published by hand. More than 0 is an alarm."},
			func() float64 { return float64(e.State().Voids) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_snapshot_position", Help: "Position of the newest snapshot this server knows of."},
			func() float64 { return float64(e.Stats().Snapshot) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_contact_seconds", Help: "Time since this server's state was last known to be current."},
			func() float64 { return e.SinceContact().Seconds() }),
	)
}

// registerProjections shows how far the projections are.
func registerProjections(r prometheus.Registerer, models rpc.ReadModels, now func() time.Time) {
	for _, p := range models.Reporters() {
		for _, m := range []struct {
			name, help string
			value      func(runner.Report) float64
		}{
			{"tenure_projection_position", "Last position of the log that is in the read model.", func(r runner.Report) float64 { return float64(r.Status.Position) }},
			{"tenure_projection_lag", "Positions of the log that are not in the read model yet.", func(r runner.Report) float64 { return float64(r.Lag()) }},
			{"tenure_projection_lag_events", "Events that are not in the read model yet; those far back are estimated.", func(r runner.Report) float64 { return float64(r.LagEvents) }},
			{"tenure_projection_lag_seconds", "For how long what is not in the read model has been waiting.", func(r runner.Report) float64 { return r.LagTime(now()).Seconds() }},
			{"tenure_projection_rate", "Events applied to the read model per second, lately.", func(r runner.Report) float64 { return r.Status.Rate }},
			{"tenure_projection_stopped", "1 if the projection stopped and needs somebody. More than 0 is an alarm.", func(r runner.Report) float64 {
				if r.Status.Phase == runner.Stopped || r.Generation.Number == 0 && r.Err != nil {
					return 1
				}
				return 0
			}},
		} {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.name, Help: m.help, ConstLabels: prometheus.Labels{"projection": p.Name()}},
				func() float64 { return m.value(p.Report()) }))
		}
	}
	if redis := models.Redis; redis != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_redis_age_seconds", Help: "For how long nothing in Redis was told to be current; services whose bound that exceeds ask Tenure for every answer."},
			func() float64 { return redis.Age().Seconds() }))
	}
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tenure_usage_dropped_total", Help: "Uses of keys that were not counted."},
		func() float64 { return float64(models.Usage.Dropped()) }))
}
