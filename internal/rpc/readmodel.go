package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/projections/runner"
	"github.com/tenurehq/tenure/projections/usage"
)

// ReadModels are what queries beside the state read.
type ReadModels struct {
	Audit, Directory *runner.Projector
	Usage            *usage.Recorder
	Database         *readmodel.Database
	// Redis is nil if none is kept.
	Redis *redis.Projector
}

// Projection is anything that follows the log.
type Projection interface {
	Name() string
	Report() runner.Report
}

// Projections are all of them, Redis included.
func (r ReadModels) Projections() (list []Projection) {
	for _, p := range r.All() {
		list = append(list, p)
	}
	if r.Redis != nil {
		list = append(list, r.Redis)
	}
	return list
}

// Reports tell how all projections are.
func (r ReadModels) Reports() (list []runner.Report) {
	for _, p := range r.Projections() {
		list = append(list, p.Report())
	}
	return list
}

// All are the projections in SQL, by name.
func (r ReadModels) All() []*runner.Projector { return []*runner.Projector{r.Audit, r.Directory} }

// settle is how long a query that asks for nothing in particular waits for a read model to be where the state is: usually some
// milliseconds, so that who gave a command and then looks sees it. Then it takes what is there.
const settle = 2 * time.Second

// model is a read model as new as the request wants. The answer's token is that of what the model holds.
func (s *Server) model(ctx context.Context, p *runner.Projector) (*readmodel.Model, error) {
	c := callFrom(ctx)
	wait, at := engine.DefaultWait, c.wanted
	if at == 0 {
		wait, at = settle, c.state.Position
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m, err := p.Await(waiting, at)
	if err != nil && c.wanted == 0 && ctx.Err() == nil {
		soon, cancel := context.WithTimeout(ctx, settle)
		defer cancel()
		m, err = p.Await(soon, 0)
	}
	if err != nil {
		return nil, err
	}
	checkpoint, err := m.Checkpoint(ctx)
	if err != nil {
		return nil, readError(err)
	}
	if checkpoint.Position > 0 {
		c.token = engine.Token(checkpoint.LogID, checkpoint.Position, checkpoint.Hash)
	}
	return m, nil
}

// readError is what a caller is told when a read model can't be read.
func readError(err error) error {
	var known *domain.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, projections.ErrTransient) {
		return domain.Errorf(domain.CodeUnavailable, "READ_MODEL_UNAVAILABLE", "the read model can't be read now; try again").Because(err)
	}
	return err
}
