package runner

import (
	"context"
	"log/slog"
	"sync"
	"time"

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
	s.done.Go(func() { s.keep(ctx) })
	return s
}

// anewEvery is how often one that stopped looks whether what it keeps was deleted.
const anewEvery = 2 * time.Second

// keep runs until ctx ends. When it has stopped, it begins anew once somebody has deleted what it keeps, or put it elsewhere.
func (s *Solo) keep(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.Run(ctx, Forever)
		stopped, unknown := s.Sink.Checkpoint(ctx)
		for projections.Pause(ctx, anewEvery) {
			at, err := s.Sink.Checkpoint(ctx)
			if err == nil && unknown == nil && at != stopped {
				break
			}
			if err == nil {
				stopped, unknown = at, nil
			}
		}
	}
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
