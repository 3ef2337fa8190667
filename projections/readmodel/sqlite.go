package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteFiles are read models as files of one directory.
type sqliteFiles struct {
	dir   string
	mu    sync.Mutex
	files map[string]handle
}

// OpenSQLite opens the read models in a directory, which it makes if there is none. One process at a time.
func OpenSQLite(ctx context.Context, dir string) (*Database, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	e := &sqliteFiles{dir: dir, files: map[string]handle{}}
	d := &Database{engine: e}
	var err error
	if d.control, err = e.open(ctx, "control", 0); err == nil {
		err = d.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read models in %s: %w", dir, err), e.close())
	}
	return d, nil
}

func (e *sqliteFiles) name() string { return "sqlite" }

func (e *sqliteFiles) file(name string, number int) string {
	if number > 0 {
		name = fmt.Sprintf("%s-%d", name, number)
	}
	return filepath.Join(e.dir, name+".db")
}

// open: one connection writes, so that writers wait here and not in SQLite; readers never wait for it.
func (e *sqliteFiles) open(_ context.Context, name string, number int) (handle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	file := e.file(name, number)
	if h, ok := e.files[file]; ok {
		return h, nil
	}
	pragmas := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)",
		// What a power loss takes back is applied again: the checkpoint goes with it.
		"synchronous(NORMAL)",
		// What is deleted must be gone, not only unreachable.
		"secure_delete(ON)", "cache_size(-65536)", "temp_store(MEMORY)",
	}}
	source := func(more url.Values) string {
		q := url.Values{}
		for _, v := range []url.Values{pragmas, more} {
			for key, values := range v {
				q[key] = append(q[key], values...)
			}
		}
		return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode()
	}
	write, err := sql.Open("sqlite", source(url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return handle{}, err
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", source(url.Values{"_pragma": {"query_only(ON)"}}))
	if err != nil {
		return handle{}, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(4)
	h := handle{write: write, read: read, where: file}
	if number == 0 {
		// Small and asked often: one connection is enough, and sees what it wrote.
		h.read = write
		_ = read.Close()
	}
	e.files[file] = h
	return h, nil
}

func (e *sqliteFiles) create(context.Context, string, int) error { return nil }

func (e *sqliteFiles) drop(_ context.Context, name string, number int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	file := e.file(name, number)
	var errs []error
	if h, ok := e.files[file]; ok {
		delete(e.files, file)
		errs = append(errs, h.read.Close(), h.write.Close())
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (e *sqliteFiles) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for file, h := range e.files {
		errs = append(errs, h.read.Close())
		if h.read != h.write {
			errs = append(errs, h.write.Close())
		}
		delete(e.files, file)
	}
	return errors.Join(errs...)
}

// lock: the files have one writer.
func (e *sqliteFiles) lock(context.Context, *sql.Tx) error { return nil }

func (e *sqliteFiles) made(ctx context.Context, tx *sql.Tx, _ handle) (made bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'checkpoint'").Scan(&made)
	return made, err
}

// protect: the boundary is in scoped.
func (e *sqliteFiles) protect(handle, string, string) []string { return nil }

func (e *sqliteFiles) view(_ handle, v View) []string {
	return []string{"CREATE VIEW {}" + v.Name + " AS " + strings.ReplaceAll(v.Query, "{now}", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")}
}

func (e *sqliteFiles) publish(context.Context, handle, Schema) error { return nil }

// scoped puts in front of the query, for every table and view, a common table expression of the same name that holds the
// organization's rows of it. Names in the query mean those; what they are made of is named with its schema, which a query must not do.
func (e *sqliteFiles) scoped(ctx context.Context, h handle, s Schema, org, query string, args []any, read func(*sql.Rows) error) error {
	if strings.Contains(strings.ToLower(query), "main.") {
		return errors.New("a query of one organization must not name a schema")
	}
	var parts []string
	part := func(name, tenant string) {
		if tenant == "" {
			tenant = "0 = 1"
		}
		tenant = strings.NewReplacer("{org}", "'"+org+"'", "{}", "main.").Replace(tenant)
		parts = append(parts, name+" AS (SELECT * FROM main."+name+" WHERE "+tenant+")")
	}
	for _, t := range s.Tables {
		part(t.Name, t.Tenant)
	}
	for _, v := range s.Views {
		part(v.Name, v.Tenant)
	}
	rows, err := h.read.QueryContext(ctx, "WITH "+strings.Join(parts, ", ")+" SELECT * FROM ("+h.text(query)+")", args...)
	return eachRow(rows, err, read)
}

// unnamed: $1 is a name to SQLite, which the driver looks up for each value.
func unnamed(rows, columns int) string {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return row + strings.Repeat(", "+row, rows-1)
}

// insert: more rows at once gain nothing.
func (e *sqliteFiles) insert(_ context.Context, t *Tx, table string, columns []string, rows [][]any) error {
	return t.insertValues(table, columns, rows, 64, unnamed)
}

func (e *sqliteFiles) analyze(ctx context.Context, h handle, _ Schema) error {
	// A part of each index is enough (sqlite.org/lang_analyze.html).
	_, err := h.write.ExecContext(ctx, "PRAGMA analysis_limit = 1000; ANALYZE")
	return err
}

// forget: pages are overwritten by secure_delete, and what the write-ahead log still holds of them goes with it.
func (e *sqliteFiles) forget(ctx context.Context, h handle, _ []string) error {
	_, err := h.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (e *sqliteFiles) snapshot() sql.IsolationLevel { return sql.LevelDefault }

func (e *sqliteFiles) bytewise(Table, string) string { return "" }

func (e *sqliteFiles) transient(err error) bool {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return false
	}
	switch s.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM:
		return true
	}
	return false
}
