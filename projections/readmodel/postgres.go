package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// reader is the role that queries of one organization run as. It can read and nothing else, and row-level security shows it the
// rows of the organization in the setting tenure.org_id; without one it sees none.
const reader = "tenure_reader"

// publicSchema holds what controls the read models, and views of the live generations under names that stay.
const publicSchema = "tenure"

// lockStatement lets one transaction of all servers at a time change what there is; the number is Tenure's own.
const lockStatement = "SELECT pg_advisory_xact_lock(8316292)"

type postgres struct{ db *sql.DB }

// OpenPostgres opens the read models in a database. The user must own the database, or be allowed to create schemas in it; to set
// the boundary between organizations it must be allowed to create the role tenure_reader, unless there is one that it is in.
func OpenPostgres(ctx context.Context, url string) (*Database, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("--postgres-url: %w", err)
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "tenure"
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	e := &postgres{db: db}
	d := &Database{engine: e}
	if err = e.prepare(ctx); err == nil {
		d.control, _ = e.open(ctx, publicSchema, 0)
		err = d.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read models in PostgreSQL: %w", err), db.Close())
	}
	return d, nil
}

// prepare makes the schema and the role.
func (e *postgres) prepare(ctx context.Context) error {
	return inTx(ctx, e.db, func(tx *sql.Tx) error {
		for _, statement := range []string{
			lockStatement,
			"CREATE SCHEMA IF NOT EXISTS " + publicSchema,
			`DO $$ BEGIN
				IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + reader + `') THEN CREATE ROLE ` + reader + ` NOLOGIN; END IF;
				IF NOT pg_has_role(current_user, '` + reader + `', 'MEMBER') THEN EXECUTE 'GRANT ` + reader + ` TO ' || quote_ident(current_user); END IF;
			END $$`,
			"GRANT USAGE ON SCHEMA " + publicSchema + " TO " + reader,
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *postgres) name() string { return "postgres" }

func schemaOf(name string, number int) string {
	if number == 0 {
		return name
	}
	return fmt.Sprintf("tenure_%s_%d", name, number)
}

func (e *postgres) open(_ context.Context, name string, number int) (handle, error) {
	schema := schemaOf(name, number)
	return handle{write: e.db, read: e.db, prefix: schema + ".", where: "schema " + schema}, nil
}

func (e *postgres) create(ctx context.Context, name string, number int) error {
	return inTx(ctx, e.db, func(tx *sql.Tx) error {
		if err := e.lock(ctx, tx); err != nil {
			return err
		}
		schema := schemaOf(name, number)
		_, err := tx.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema+"; GRANT USAGE ON SCHEMA "+schema+" TO "+reader)
		return err
	})
}

func (e *postgres) drop(ctx context.Context, name string, number int) error {
	_, err := e.db.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+schemaOf(name, number)+" CASCADE")
	return err
}

func (e *postgres) close() error { return e.db.Close() }

func (e *postgres) lock(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, lockStatement)
	return err
}

func (e *postgres) made(ctx context.Context, tx *sql.Tx, h handle) (made bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", h.prefix+"checkpoint").Scan(&made)
	return made, err
}

func (e *postgres) protect(_ handle, table, tenant string) []string {
	if tenant == "" {
		return nil // the reader has no right to it at all
	}
	tenant = strings.ReplaceAll(tenant, "{org}", "current_setting('tenure.org_id', true)")
	return []string{
		"ALTER TABLE {}" + table + " ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY tenant ON {}" + table + " FOR SELECT TO " + reader + " USING (" + tenant + ")",
		"GRANT SELECT ON {}" + table + " TO " + reader,
	}
}

// view: what a view shows is judged by who asks, not by who made it.
func (e *postgres) view(_ handle, v View) []string {
	statements := []string{
		"CREATE VIEW {}" + v.Name + " WITH (security_invoker = true) AS " +
			strings.ReplaceAll(v.Query, "{now}", "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"),
	}
	if v.Tenant != "" {
		statements = append(statements, "GRANT SELECT ON {}"+v.Name+" TO "+reader)
	}
	return statements
}

// publish makes views in the schema tenure: DROP and CREATE in one transaction, because another version may have other columns.
func (e *postgres) publish(ctx context.Context, h handle, s Schema) error {
	return inTx(ctx, e.db, func(tx *sql.Tx) error {
		if err := e.lock(ctx, tx); err != nil {
			return err
		}
		publish := func(name, tenant string) error {
			text := "DROP VIEW IF EXISTS " + publicSchema + "." + name + "; CREATE VIEW " + publicSchema + "." + name +
				" WITH (security_invoker = true) AS SELECT * FROM {}" + name
			if tenant != "" {
				text += "; GRANT SELECT ON " + publicSchema + "." + name + " TO " + reader
			}
			_, err := tx.ExecContext(ctx, h.text(text))
			return err
		}
		for _, t := range s.Tables {
			if err := publish(t.Name, t.Tenant); err != nil {
				return err
			}
		}
		for _, v := range s.Views {
			if err := publish(v.Name, v.Tenant); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *postgres) scoped(ctx context.Context, h handle, _ Schema, org, query string, args []any, read func(*sql.Rows) error) error {
	tx, err := e.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SET LOCAL ROLE "+reader+"; SET LOCAL tenure.org_id = '"+org+"'"); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, h.text(query), args...)
	return eachRow(rows, err, read)
}

// copyFrom is from how many rows on COPY is quicker than INSERT.
const copyFrom = 32

func (e *postgres) insert(ctx context.Context, t *Tx, table string, columns []string, rows [][]any) error {
	if len(rows) < copyFrom {
		return t.insertValues(table, columns, rows, copyFrom, placeholders)
	}
	schema := strings.TrimSuffix(t.m.handle.prefix, ".")
	return t.conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{schema, table}, columns, pgx.CopyFromRows(rows))
		return err
	})
}

// analyze also marks pages whose rows everybody sees, so that an index alone answers.
func (e *postgres) analyze(ctx context.Context, h handle, s Schema) error {
	for _, t := range s.Tables {
		if _, err := e.db.ExecContext(ctx, h.text("VACUUM (ANALYZE) {}"+t.Name)); err != nil {
			return err
		}
	}
	return nil
}

// forget takes the rows out of the pages. Bytes in their free space are written over by the next rows; to be rid of them at once the
// table would have to be written anew, which stops its readers. Write-ahead log and backups are the operator's.
func (e *postgres) forget(ctx context.Context, h handle, tables []string) error {
	for _, t := range tables {
		if _, err := e.db.ExecContext(ctx, h.text("VACUUM {}"+t)); err != nil {
			return err
		}
	}
	return nil
}

func (e *postgres) snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }

// bytewise makes text sort by its bytes, as SQLite does.
func (e *postgres) bytewise(t Table, column string) string {
	for _, c := range t.Columns {
		if c.Name == column && strings.HasPrefix(c.Type, "TEXT") {
			return ` COLLATE "C"`
		}
	}
	return ""
}

// transient: no connection, the server is starting or stopping or out of something, or two transactions were in each other's way.
func (e *postgres) transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "08", "53", "57", "40", "55":
			return true
		}
		return false
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "bad connection")
}
