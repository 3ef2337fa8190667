package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenurehq/tenure/internal/engine"
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
