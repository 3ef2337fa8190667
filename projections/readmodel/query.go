package readmodel

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure/projections"
)

// Scope is what a query may see. Its zero value sees nothing; get one from Model.All or Model.InOrg.
type Scope struct {
	m   *Model
	org string
	all bool
}

// All sees every row: for instance admins, and for what decides visibility itself.
func (m *Model) All() Scope { return Scope{m: m, all: true} }

// InOrg sees the rows of one organization and no other, whatever a query says: on PostgreSQL by row-level security and a role that
// can only read, on SQLite because the names of tables and views mean that organization's part of them.
func (m *Model) InOrg(org string) Scope { return Scope{m: m, org: org} }

// Query runs a query, with {} in front of names of tables, and hands each row to read.
func (s Scope) Query(ctx context.Context, read func(*sql.Rows) error, query string, args ...any) error {
	switch {
	case s.m == nil:
		return fmt.Errorf("a query without a scope sees nothing")
	case s.all:
		rows, err := s.m.handle.read.QueryContext(ctx, s.m.handle.text(query), args...)
		return s.m.db.wrap(eachRow(rows, err, read))
	case !validOrg(s.org):
		return fmt.Errorf("%q is not the id of an organization", s.org)
	}
	return s.m.db.wrap(s.m.db.engine.scoped(ctx, s.m.handle, s.m.Schema, s.org, query, args, read))
}

// validOrg: ids are written into the text of conditions.
func validOrg(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func eachRow(rows *sql.Rows, err error, read func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Canonical is the hash of every row of every table, and the checkpoint that the rows belong to. Generations of one version that
// stand at the same position have the same, on both engines.
func (m *Model) Canonical(ctx context.Context) (at projections.Checkpoint, hash string, err error) {
	tx, err := m.handle.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: m.db.engine.snapshot()})
	if err != nil {
		return at, "", m.db.wrap(err)
	}
	defer tx.Rollback()
	if at, err = scanCheckpoint(tx.QueryRowContext(ctx, m.handle.text("SELECT log_id, position, hash FROM {}checkpoint"))); err != nil {
		return at, "", m.db.wrap(err)
	}
	h := sha256.New()
	for _, t := range m.Schema.Tables {
		columns := t.columnNames()
		fmt.Fprintf(h, "%s\n", t.Name)
		var order []string
		for _, k := range t.Key {
			order = append(order, k+m.db.engine.bytewise(t, k))
		}
		rows, err := tx.QueryContext(ctx, m.handle.text("SELECT "+strings.Join(columns, ", ")+" FROM {}"+t.Name+" ORDER BY "+strings.Join(order, ", ")))
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		out := json.NewEncoder(h)
		err = eachRow(rows, err, func(rows *sql.Rows) error {
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for i, v := range values {
				// The drivers differ in what they read text into.
				if b, ok := v.([]byte); ok && t.Columns[i].Type != Bytes {
					values[i] = string(b)
				}
			}
			return out.Encode(values)
		})
		if err != nil {
			return at, "", m.db.wrap(err)
		}
	}
	return at, hex.EncodeToString(h.Sum(nil)), nil
}

// Bytes is the type of columns that hold bytes.
const Bytes = "BYTEA"

// Count is the number of rows of all tables.
func (m *Model) Count(ctx context.Context) (n int64, err error) {
	for _, t := range m.Schema.Tables {
		var rows int64
		if err := m.handle.read.QueryRowContext(ctx, m.handle.text("SELECT count(*) FROM {}"+t.Name)).Scan(&rows); err != nil {
			return 0, m.db.wrap(err)
		}
		n += rows
	}
	return n, nil
}
