package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure/projections"
)

// Database holds read models and what they are controlled by. Its methods are safe for concurrent use.
type Database struct {
	engine  engine
	control handle
}

// engine is what differs between PostgreSQL and SQLite.
type engine interface {
	// name is "postgres" or "sqlite".
	name() string
	// open gives access to a generation, or to what controls them if number is 0.
	open(ctx context.Context, name string, number int) (handle, error)
	// create makes the place for a generation; it does nothing if there is one.
	create(ctx context.Context, name string, number int) error
	// drop removes a generation with all of its rows.
	drop(ctx context.Context, name string, number int) error
	// lock lets no other server change what there is until the transaction ends.
	lock(ctx context.Context, tx *sql.Tx) error
	// made tells whether a generation's tables are there.
	made(ctx context.Context, tx *sql.Tx, h handle) (bool, error)
	// protect are the statements that set the boundary between organizations on a table.
	protect(h handle, table, tenant string) []string
	// view are the statements that make a view.
	view(h handle, v View) []string
	// publish makes the views of a live generation reachable under names that stay.
	publish(ctx context.Context, h handle, s Schema) error
	// scoped runs a query as a reader of one organization.
	scoped(ctx context.Context, h handle, s Schema, org, query string, args []any, read func(*sql.Rows) error) error
	// insert adds many rows.
	insert(ctx context.Context, t *Tx, table string, columns []string, rows [][]any) error
	// snapshot is the isolation that shows all tables at one moment.
	snapshot() sql.IsolationLevel
	// bytewise is what makes a column sort by its bytes.
	bytewise(t Table, column string) string
	// analyze counts the rows anew, so that queries are planned for what there is.
	analyze(ctx context.Context, h handle, s Schema) error
	// forget makes deleted rows of tables unreadable in the files.
	forget(ctx context.Context, h handle, tables []string) error
	// transient tells whether an error passes by itself.
	transient(err error) bool
	close() error
}

// handle is an open generation: one connection pool that writes, one that reads, and how its tables are called.
type handle struct {
	write, read *sql.DB
	prefix      string
	index       string // prefix of names of indexes
	where       string // for people
}

func (h handle) text(query string) string {
	return strings.NewReplacer("{}", h.prefix, "{index}", h.index).Replace(query)
}

// Engine is "postgres" or "sqlite".
func (d *Database) Engine() string { return d.engine.name() }

// Close closes all connections.
func (d *Database) Close() error { return d.engine.close() }

// wrap marks errors that pass by themselves.
func (d *Database) wrap(err error) error {
	switch {
	case err == nil || errors.Is(err, projections.ErrTransient) || errors.Is(err, projections.ErrCheckpointMoved):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), d.engine.transient(err):
		return fmt.Errorf("%w: %w", projections.ErrTransient, err)
	}
	return err
}

// migrations are what the control tables came by, in order; what was released is never changed.
var migrations = []string{
	`CREATE TABLE {}generations (name TEXT NOT NULL, number BIGINT NOT NULL, version BIGINT NOT NULL, status TEXT NOT NULL,
		changed_at BIGINT NOT NULL, PRIMARY KEY (name, number))`,
	`CREATE TABLE {}key_usage (key_id TEXT NOT NULL, day BIGINT NOT NULL, uses BIGINT NOT NULL, last_used BIGINT NOT NULL,
		PRIMARY KEY (key_id, day))`,
}

// migrate brings the control tables to this build's version.
func (d *Database) migrate(ctx context.Context) error {
	h := d.control
	return inTx(ctx, h.write, func(tx *sql.Tx) error {
		// Servers that start at once must not do it twice.
		if err := d.engine.lock(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, h.text("CREATE TABLE IF NOT EXISTS {}migrations (number BIGINT NOT NULL)")); err != nil {
			return err
		}
		var done int
		if err := tx.QueryRowContext(ctx, h.text("SELECT count(*) FROM {}migrations")).Scan(&done); err != nil {
			return err
		}
		if done > len(migrations) {
			return fmt.Errorf("the read models' database was made by a newer version of Tenure (%d migrations, this one knows %d)", done, len(migrations))
		}
		for i, m := range migrations[done:] {
			if _, err := tx.ExecContext(ctx, h.text(m)); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, h.text("INSERT INTO {}migrations (number) VALUES ($1)"), done+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// inTx commits what do does, unless it fails.
func inTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func micros(t time.Time) int64 { return t.UnixMicro() }
