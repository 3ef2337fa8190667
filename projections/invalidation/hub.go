package invalidation

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/runner"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// hubKept is how many invalidations a hub keeps for who comes back after a broken connection.
const hubKept = 100_000

// Hub finds out what each commit changes, once for all who watch. It begins with the first of them.
type Hub struct {
	runner *runner.Runner
	begin  sync.Once
	stop   context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	steps []step // by position without a gap
	kept  int    // invalidations in them
	moved chan struct{}
	err   error
}

// step is what one position changed; the first of all is where the hub began.
type step struct {
	at   projections.Checkpoint
	list []*tenurev1.Invalidation
}

// NewHub makes a hub that reads a log.
func NewHub(log runner.Log, logger *slog.Logger) *Hub {
	h := &Hub{moved: make(chan struct{}), ended: make(chan struct{})}
	h.runner = &runner.Runner{Name: "invalidations", Log: log, Sink: steps{h}, States: true, Eager: true, Logger: logger}
	return h
}

// Start begins to read behind a checkpoint, if it is the first time. The checkpoint must be of the present log.
func (h *Hub) Start(at projections.Checkpoint) {
	h.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		h.steps = []step{{at: at}}
		go func() {
			defer close(h.ended)
			err := h.runner.Run(ctx, runner.Forever)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.err = err
			close(h.moved)
		}()
	})
}

// Close ends it; watchers are told.
func (h *Hub) Close() {
	h.begin.Do(func() { h.stop = func() {}; close(h.ended) })
	h.stop()
	<-h.ended
}

// steps is the hub as what the log is applied to.
type steps struct{ *Hub }

// Checkpoint is the last step.
func (h steps) Checkpoint(context.Context) (projections.Checkpoint, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Hub.steps[len(h.Hub.steps)-1].at, nil
}

// Apply adds steps. Nobody else does.
func (h steps) Apply(_ context.Context, from, _ projections.Checkpoint, messages []eventstore.Folded) error {
	var list []step
	for _, m := range messages {
		changes, err := Of(m)
		if err != nil {
			return err
		}
		s := step{at: projections.Checkpoint{LogID: from.LogID, Position: m.Position, Hash: m.Hash}}
		for _, c := range changes {
			s.list = append(s.list, c.Invalidation)
		}
		list = append(list, s)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range list {
		h.Hub.steps = append(h.Hub.steps, s)
		h.kept += len(s.list)
	}
	// The first says where the others begin; its own list is told to nobody, and does not count. So one stays in any case.
	for h.kept > hubKept || len(h.Hub.steps) > hubKept {
		h.Hub.steps = h.Hub.steps[1:]
		h.kept -= len(h.Hub.steps[0].list)
		h.Hub.steps[0].list = nil
	}
	close(h.moved)
	h.moved = make(chan struct{})
	return nil
}

// Next answers what changed behind a position, the checkpoint up to which that is all, and a channel that is closed when there is
// more. If what is behind the position is no longer kept it answers known false, and the newest checkpoint. It fails once the log
// can't be read.
func (h *Hub) Next(at domain.Position, most int) (list []*tenurev1.Invalidation, to projections.Checkpoint, known bool, moved <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, last := h.steps[0].at.Position, h.steps[len(h.steps)-1].at
	if at < first || at > last.Position {
		return nil, last, false, h.moved, h.err
	}
	for to = h.steps[at-first].at; to.Position < last.Position && len(list) < most; {
		s := h.steps[to.Position-first+1]
		list, to = append(list, s.list...), s.at
	}
	return list, to, true, h.moved, h.err
}

// At is the checkpoint at a position of the log, for which it waits. If what is behind it is not kept, or does not come in time, it
// answers the newest checkpoint and false.
func (h *Hub) At(ctx context.Context, at domain.Position) (projections.Checkpoint, bool) {
	h.runner.Await(ctx, at)
	h.mu.Lock()
	defer h.mu.Unlock()
	first, last := h.steps[0].at, h.steps[len(h.steps)-1].at
	if at < first.Position || at > last.Position {
		return last, false
	}
	return h.steps[at-first.Position].at, true
}
