package readmodel

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure/projections"
)

// Model is an open generation.
type Model struct {
	Generation
	Schema Schema

	db     *Database
	handle handle
}

// Where names the schema or file, for people.
func (m *Model) Where() string { return m.handle.where }

// Checkpoint is where the generation stands.
func (m *Model) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	c, err := scanCheckpoint(m.handle.read.QueryRowContext(ctx, m.handle.text("SELECT log_id, position, hash FROM {}checkpoint")))
	return c, m.db.wrap(err)
}

// Finish makes what a generation needs to answer queries: the indexes that were not kept while it was built, and counts of its rows, so
// that queries are planned for as many as there are.
func (m *Model) Finish(ctx context.Context) error {
	for _, t := range m.Schema.Tables {
		for _, statement := range t.searches() {
			if _, err := m.handle.write.ExecContext(ctx, m.handle.text(statement)); err != nil {
				return m.db.wrap(fmt.Errorf("%s: %w", statement, err))
			}
		}
	}
	return m.db.wrap(m.db.engine.analyze(ctx, m.handle, m.Schema))
}

// Apply moves the checkpoint and lets do write, in one transaction. It answers projections.ErrCheckpointMoved, and writes nothing,
// if the checkpoint is not where it should be.
func (m *Model) Apply(ctx context.Context, from, to projections.Checkpoint, do func(*Tx) error) error {
	conn, err := m.handle.write.Conn(ctx)
	if err != nil {
		return m.db.wrap(err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return m.db.wrap(err)
	}
	t := &Tx{ctx: ctx, tx: tx, conn: conn, m: m}
	err = func() error {
		// First, so that whoever comes second waits here and then writes nothing.
		res, err := tx.ExecContext(ctx, m.handle.text("UPDATE {}checkpoint SET log_id = $1, position = $2, hash = $3 WHERE position = $4 AND hash = $5"),
			to.LogID, int64(to.Position), to.Hash.String(), int64(from.Position), storedHash(from))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%w: %s is not at %d", projections.ErrCheckpointMoved, m.Name, from.Position)
		}
		return do(t)
	}()
	if err != nil {
		_ = tx.Rollback()
		return m.db.wrap(err)
	}
	if err = tx.Commit(); err == nil && len(t.forget) > 0 {
		_ = conn.Close() // SQLite has one that writes
		err = m.db.engine.forget(ctx, m.handle, t.forget)
	}
	return m.db.wrap(err)
}

func storedHash(c projections.Checkpoint) string {
	if c.Position == 0 {
		return ""
	}
	return c.Hash.String()
}

// Tx is a transaction on a generation. Its queries have {} in front of names of tables.
type Tx struct {
	ctx  context.Context
	tx   *sql.Tx
	conn *sql.Conn
	m    *Model
	// forget are tables of which rows must be gone, not only deleted.
	forget []string
}

// Forget makes what is deleted from a table in this transaction unreadable in the database's files too, as far as the database can, when
// the transaction is done.
func (t *Tx) Forget(table Table) { t.forget = append(t.forget, table.Name) }

// Exec runs a statement.
func (t *Tx) Exec(query string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, t.m.handle.text(query), args...)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// Insert adds rows to a table; each has a value for every column.
func (t *Tx) Insert(table Table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if err := t.m.db.engine.insert(t.ctx, t, table.Name, table.columnNames(), rows); err != nil {
		return fmt.Errorf("insert into %s: %w", table.Name, err)
	}
	return nil
}

// Each runs a statement once for each list of arguments.
func (t *Tx) Each(query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	stmt, err := t.tx.PrepareContext(t.ctx, t.m.handle.text(query))
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer stmt.Close()
	for _, a := range args {
		if _, err := stmt.ExecContext(t.ctx, a...); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return nil
}

// insertValues adds rows by statements of at most so many rows each, with placeholders as the engine reads them quickest.
func (t *Tx) insertValues(table string, columns []string, rows [][]any, most int, placeholders func(rows, columns int) string) error {
	per := min(len(rows), most)
	var stmt *sql.Stmt
	for len(rows) > 0 {
		n := min(per, len(rows))
		args := make([]any, 0, n*len(columns))
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		rows = rows[n:]
		query := t.m.handle.text("INSERT INTO {}" + table + " (" + strings.Join(columns, ", ") + ") VALUES " + placeholders(n, len(columns)))
		if n < per {
			if _, err := t.tx.ExecContext(t.ctx, query, args...); err != nil {
				return err
			}
			continue
		}
		if stmt == nil {
			var err error
			if stmt, err = t.tx.PrepareContext(t.ctx, query); err != nil {
				return err
			}
			defer stmt.Close()
		}
		if _, err := stmt.ExecContext(t.ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// placeholders are rows of $1, $2 ...
func placeholders(rows, columns int) string {
	var b strings.Builder
	for i := range rows {
		for c := range columns {
			switch {
			case c > 0:
				b.WriteString(", ")
			case i > 0:
				b.WriteString("), (")
			default:
				b.WriteString("(")
			}
			fmt.Fprintf(&b, "$%d", i*columns+c+1)
		}
	}
	b.WriteString(")")
	return b.String()
}
