package invalidation

import (
	"context"
	"sync"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// hubKept is how many invalidations a hub keeps for who comes back after a broken connection.
const hubKept = 100_000

// Hub finds out what each commit changes, once for all who watch. It begins with the first of them.
type Hub struct {
	open projections.Open
	// run starts what runs for as long as the server does.
	begin sync.Once
	stop  context.CancelFunc
	ended chan struct{}

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
func NewHub(open projections.Open) *Hub {
	return &Hub{open: open, moved: make(chan struct{}), ended: make(chan struct{})}
}

// Start begins to read behind a checkpoint, if it is the first time. The checkpoint must be of the present log.
func (h *Hub) Start(at projections.Checkpoint) {
	h.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		h.steps = []step{{at: at}}
		go func() {
			defer close(h.ended)
			h.follow(ctx, at)
		}()
	})
}

// Close ends it; watchers are told.
func (h *Hub) Close() {
	h.begin.Do(func() { h.stop = func() {}; close(h.ended) })
	h.stop()
	<-h.ended
}

func (h *Hub) follow(ctx context.Context, at projections.Checkpoint) {
	next, err := h.open(ctx, at, true)
	for err == nil {
		messages, failed := next(ctx, 256)
		err = failed
		for _, m := range messages {
			s := step{at: projections.Checkpoint{LogID: at.LogID, Position: m.Position, Hash: m.Hash}}
			for _, c := range Changes(m.Before, m.After) {
				s.list = append(s.list, c.Invalidation)
			}
			h.add(s)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	close(h.moved)
}

func (h *Hub) add(s step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps = append(h.steps, s)
	for h.kept += len(s.list); h.kept > hubKept || len(h.steps) > hubKept; h.steps = h.steps[1:] {
		h.kept -= len(h.steps[0].list)
	}
	close(h.moved)
	h.moved = make(chan struct{})
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

// At is the checkpoint at a position, if what is behind it is kept.
func (h *Hub) At(at domain.Position) (projections.Checkpoint, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, last := h.steps[0].at, h.steps[len(h.steps)-1].at
	if at < first.Position || at > last.Position {
		return last, false
	}
	return h.steps[at-first.Position].at, true
}
