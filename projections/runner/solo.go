package runner

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
)

// Solo keeps one sink current that is no rows: it has no generations, and none is built beside it.
type Solo struct {
	*Runner
	engine, where string

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// StartSolo runs a sink until Close. engine and where say what it is kept in, for reports.
func StartSolo(name string, sink projections.Sink, engine, where string, log Log, logger *slog.Logger) *Solo {
	s := &Solo{Runner: &Runner{Name: name, Log: log, Sink: sink, Logger: logger}, engine: engine, where: where}
	s.set(func(s *Status) { s.Phase = Running })
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { _ = s.Run(ctx, Forever) })
	return s
}

// Close ends it.
func (s *Solo) Close() {
	s.cancel()
	s.done.Wait()
}

// Name is the projection's.
func (s *Solo) Name() string { return s.Runner.Name }

// Report tells how the projection is.
func (s *Solo) Report() Report {
	status, _ := s.Status()
	return Report{
		Name: s.Name(), Status: status, Generation: readmodel.Generation{Name: s.Name(), Number: 1, Version: 1, Status: readmodel.Live},
		Engine: s.engine, Where: s.where, End: s.Log.End(), LagEvents: s.Log.EventsBehind(status.Position), Err: status.Err,
	}
}
