package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/rpc"
	"github.com/tenurehq/tenure/internal/sealing"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/audit"
	"github.com/tenurehq/tenure/projections/directory"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/runner"
	"github.com/tenurehq/tenure/projections/usage"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// startReadModels opens the database of the read models, and keeps them current until Close.
func (a *App) startReadModels(ctx context.Context) (err error) {
	var db *readmodel.Database
	if a.cfg.PostgresURL != "" {
		db, err = readmodel.OpenPostgres(ctx, a.cfg.PostgresURL)
	} else {
		db, err = readmodel.OpenSQLite(ctx, filepath.Join(a.cfg.DataDir, "readmodels"))
	}
	if err != nil {
		return err
	}
	a.closers = append(a.closers, db.Close)
	recorder := usage.Start(db, a.cfg.now, a.cfg.Logger)
	a.closers = append(a.closers, recorder.Close)
	log := a.readLog()
	a.ReadModels = rpc.ReadModels{
		Audit:     runner.Start(audit.Projection(a.personal()), db, log, a.cfg.Logger),
		Directory: runner.Start(directory.Projection(a.open), db, log, a.cfg.Logger),
		Usage:     recorder, Database: db,
	}
	for _, p := range a.ReadModels.All() {
		a.closers = append(a.closers, func() error { p.Close(); return nil })
	}
	return nil
}

// readLog is the log that projections read.
func (a *App) readLog() runner.Log {
	return runner.Log{
		ID: a.Engine.State().Instance.LogID, Open: a.follow,
		End: func() domain.Position { return a.Engine.State().Position }, Behind: a.Engine.EventsBehind,
	}
}

// follow reads the log for a projection.
func (a *App) follow(ctx context.Context, at projections.Checkpoint, states bool) (projections.Next, error) {
	f, err := a.Engine.Follow(ctx, at.Position, at.Hash, states)
	if err != nil {
		return nil, transient(err)
	}
	return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
		list, err := f.Next(ctx, most)
		return list, transient(err)
	}, nil
}

// transient marks trouble with reading the log that passes by itself: all but what a reader must not go past.
func transient(err error) error {
	for _, lasting := range []error{
		nil, engine.ErrShorterLog, engine.ErrOtherLog, eventstore.ErrGap, eventstore.ErrChainBroken, eventstore.ErrUnknown, context.Canceled,
	} {
		if err == lasting || lasting != nil && errors.Is(err, lasting) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", projections.ErrTransient, err)
}

// personal is how what is personal is read and searched for.
func (a *App) personal() audit.Personal {
	return audit.Personal{Open: a.open, Digest: func(content string) []byte { return a.vault.Fingerprint([]byte(content)) }}
}

// open reads what is sealed. Trouble that passes by itself is transient.
func (a *App) open(ctx context.Context, sealed *eventv1.Sealed, field string) (string, error) {
	if sealed == nil {
		return "", nil
	}
	if a.Engine.State().Erased().Has(sealed.Subject) {
		// Its key may not be destroyed yet.
		return projections.Erased, nil
	}
	text, err := a.vault.Open(ctx, sealed, field)
	switch {
	case errors.Is(err, sealing.ErrErased):
		return projections.Erased, nil
	case errors.Is(err, sealing.ErrUnreadable), errors.Is(err, sealing.ErrSubject):
		return "", err
	case err != nil:
		return "", fmt.Errorf("%w: %w", projections.ErrTransient, err)
	}
	return text, nil
}
