package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
)

// Status is what a generation is for.
type Status string

const (
	// Live is the generation that answers queries.
	Live Status = "live"
	// Building is one that is to take the place of the live one.
	Building Status = "building"
	// Scratch is one that is compared and then dropped.
	Scratch Status = "scratch"
	// Retired is one that was live, and is dropped after a grace.
	Retired Status = "retired"
)

// Generation is one build of a read model.
type Generation struct {
	Name    string
	Number  int
	Version int
	Status  Status
	// Changed is when it got its status.
	Changed time.Time
}

// ErrNone is returned when there is no such generation.
var ErrNone = errors.New("there is no such read model")

// Generations are those of a name, in order of their numbers.
func (d *Database) Generations(ctx context.Context, name string) ([]Generation, error) {
	h := d.control
	var list []Generation
	rows, err := h.read.QueryContext(ctx, h.text("SELECT number, version, status, changed_at FROM {}generations WHERE name = $1 ORDER BY number"), name)
	if err != nil {
		return nil, d.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		g := Generation{Name: name}
		var changed int64
		if err := rows.Scan(&g.Number, &g.Version, &g.Status, &changed); err != nil {
			return nil, err
		}
		g.Changed = time.UnixMicro(changed)
		list = append(list, g)
	}
	return list, d.wrap(rows.Err())
}

// Live opens the live generation of a name; ErrNone if there is none.
func (d *Database) Live(ctx context.Context, s Schema) (*Model, error) {
	list, err := d.Generations(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		if g.Status == Live {
			return d.openModel(ctx, s, g)
		}
	}
	return nil, ErrNone
}

func (d *Database) openModel(ctx context.Context, s Schema, g Generation) (*Model, error) {
	h, err := d.engine.open(ctx, g.Name, g.Number)
	if err != nil {
		return nil, d.wrap(err)
	}
	return &Model{Generation: g, Schema: s, db: d, handle: h}, nil
}

// Make makes an empty generation, or opens the one of the same version and status that was begun before.
func (d *Database) Make(ctx context.Context, s Schema, status Status) (*Model, error) {
	list, err := d.Generations(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	next := 1
	for _, g := range list {
		if g.Status == status && g.Version == s.Version && status != Scratch {
			return d.openModel(ctx, s, g)
		}
		next = max(next, g.Number+1)
	}
	g := Generation{Name: s.Name, Number: next, Version: s.Version, Status: status}
	if err := d.engine.create(ctx, g.Name, g.Number); err != nil {
		return nil, d.wrap(err)
	}
	m, err := d.openModel(ctx, s, g)
	if err != nil {
		return nil, err
	}
	if err := inTx(ctx, m.handle.write, func(tx *sql.Tx) error { return d.fill(ctx, tx, m) }); err != nil {
		return nil, d.wrap(err)
	}
	if err := d.setStatus(ctx, g); err != nil {
		return nil, err
	}
	if status == Live {
		return m, d.wrap(d.engine.publish(ctx, m.handle, s))
	}
	return m, nil
}

// fill makes the tables of a generation, unless another server has just done so.
func (d *Database) fill(ctx context.Context, tx *sql.Tx, m *Model) error {
	if err := d.engine.lock(ctx, tx); err != nil {
		return err
	}
	if made, err := d.engine.made(ctx, tx, m.handle); made || err != nil {
		return err
	}
	statements := []string{
		"CREATE TABLE {}checkpoint (log_id TEXT NOT NULL, position BIGINT NOT NULL, hash TEXT NOT NULL)",
		"INSERT INTO {}checkpoint (log_id, position, hash) VALUES ('', 0, '')",
	}
	for _, t := range m.Schema.Tables {
		statements = append(statements, t.create()...)
	}
	for _, t := range m.Schema.Tables {
		// Behind all tables, because a condition may look into others.
		statements = append(statements, d.engine.protect(m.handle, t.Name, t.Tenant)...)
	}
	if m.Status == Live {
		for _, t := range m.Schema.Tables {
			statements = append(statements, t.searches()...)
		}
	}
	for _, v := range m.Schema.Views {
		statements = append(statements, d.engine.view(m.handle, v)...)
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, m.handle.text(statement)); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// setStatus records a generation's status.
func (d *Database) setStatus(ctx context.Context, g Generation) error {
	h := d.control
	_, err := h.write.ExecContext(ctx, h.text(`INSERT INTO {}generations (name, number, version, status, changed_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name, number) DO UPDATE SET status = excluded.status, changed_at = excluded.changed_at`),
		g.Name, g.Number, g.Version, string(g.Status), micros(time.Now()))
	return d.wrap(err)
}

// Keep makes a scratch generation one that is to take the place of the live one.
func (d *Database) Keep(ctx context.Context, m *Model) error {
	g := m.Generation
	g.Status = Building
	if err := d.setStatus(ctx, g); err != nil {
		return err
	}
	m.Status = Building
	return nil
}

// Switch makes a generation the live one in one step, and retires the one before.
func (d *Database) Switch(ctx context.Context, m *Model) error {
	h := d.control
	err := inTx(ctx, h.write, func(tx *sql.Tx) error {
		now := micros(time.Now())
		if _, err := tx.ExecContext(ctx, h.text("UPDATE {}generations SET status = $1, changed_at = $2 WHERE name = $3 AND status = $4 AND number <> $5"),
			string(Retired), now, m.Name, string(Live), m.Number); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, h.text("UPDATE {}generations SET status = $1, changed_at = $2 WHERE name = $3 AND number = $4"),
			string(Live), now, m.Name, m.Number)
		return err
	})
	if err == nil {
		m.Status = Live
		err = d.engine.publish(ctx, m.handle, m.Schema)
	}
	return d.wrap(err)
}

// Drop removes generations of a name that are not live and that unwanted names.
func (d *Database) Drop(ctx context.Context, name string, unwanted func(Generation) bool) error {
	list, err := d.Generations(ctx, name)
	if err != nil {
		return err
	}
	h := d.control
	for _, g := range slices.DeleteFunc(list, func(g Generation) bool { return g.Status == Live || !unwanted(g) }) {
		if err := d.engine.drop(ctx, g.Name, g.Number); err != nil {
			return d.wrap(err)
		}
		if _, err := h.write.ExecContext(ctx, h.text("DELETE FROM {}generations WHERE name = $1 AND number = $2"), g.Name, g.Number); err != nil {
			return d.wrap(err)
		}
	}
	return nil
}

// scanCheckpoint reads the row of a checkpoint.
func scanCheckpoint(row *sql.Row) (c projections.Checkpoint, err error) {
	var position int64
	var hash string
	if err = row.Scan(&c.LogID, &position, &hash); err != nil {
		return c, err
	}
	c.Position = domain.Position(position)
	if c.Position > 0 {
		c.Hash, err = domain.ParseHash(hash)
	}
	return c, err
}
