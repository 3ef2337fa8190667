package directory

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/projectionstest"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/readmodel/readmodeltest"
)

// Whatever a query of an organization says, with no WHERE at all, it sees rows of that organization alone, in every table and view; of
// people those who are members. What is the instance's it does not see. Seen to fail for each table without its policy (PostgreSQL) and
// without its common table expression (SQLite).
func TestTenantBoundaryIsInTheDatabase(t *testing.T) {
	t.Parallel()
	for i, log := range projectionstest.Histories(t)[:2] {
		s := log[len(log)-1].After
		for _, d := range readmodeltest.Both(t) {
			m := generation(t, d, readmodel.Live)
			fill(t, m, log, len(log))
			for org, o := range s.Orgs().All() {
				seen := 0
				relations := map[string]bool{}
				for _, table := range Schema().Tables {
					relations[table.Name] = table.Tenant != ""
				}
				for _, view := range Schema().Views {
					relations[view.Name] = view.Tenant != ""
				}
				for name, visible := range relations {
					columns, rows, err := everything(t, m.InOrg(string(org)), name)
					if !visible {
						if err == nil && len(rows) > 0 {
							t.Errorf("log %d, %s: %s shows an organization %d rows", i, d.Engine(), name, len(rows))
						}
						continue
					}
					if err != nil {
						t.Fatalf("%s: %s: %v", d.Engine(), name, err)
					}
					at, person := slices.Index(columns, "org_id"), slices.Index(columns, "user_id")
					for _, row := range rows {
						seen++
						foreign := at >= 0 && row[at] != string(org) && !(row[at] == "" && (name == "roles" || name == "roles_history"))
						if at < 0 {
							foreign = !o.Members.Has(domain.UserID(row[person]))
						}
						if foreign {
							t.Errorf("log %d, %s: %s shows %s the row %v", i, d.Engine(), name, org, row)
						}
					}
				}
				if seen == 0 {
					t.Errorf("log %d, %s: %s sees nothing at all", i, d.Engine(), org)
				}
			}
			for _, query := range []string{"SELECT * FROM main.members_history", "SELECT * FROM tenure_directory_1.profiles; SELECT 1"} {
				err := m.InOrg("o0").Query(t.Context(), func(*sql.Rows) error { return fmt.Errorf("a row of %s", query) }, query)
				if err == nil {
					t.Errorf("%s: %s is answered", d.Engine(), query)
				}
			}
			for _, org := range []string{"", "o0' OR '1'='1", "o0\"", "o 0"} {
				if err := m.InOrg(org).Query(t.Context(), func(*sql.Rows) error { return nil }, "SELECT * FROM {}members"); err == nil {
					t.Errorf("%s: organization %q is taken", d.Engine(), org)
				}
			}
			if err := (readmodel.Scope{}).Query(t.Context(), nil, "SELECT 1"); err == nil {
				t.Error("a scope of nothing answers")
			}
		}
	}
}

// everything is what a query without any condition answers.
func everything(t *testing.T, s readmodel.Scope, relation string) (columns []string, list [][]string, err error) {
	t.Helper()
	err = s.Query(t.Context(), func(rows *sql.Rows) error {
		var err error
		if columns, err = rows.Columns(); err != nil {
			return err
		}
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		var row []string
		for _, v := range values {
			row = append(row, v.String)
		}
		list = append(list, row)
		return nil
	}, "SELECT * FROM {}"+relation)
	return columns, list, err
}

// A reader can change nothing, on either engine.
func TestQueriesCanNotWrite(t *testing.T) {
	t.Parallel()
	log := projectionstest.Histories(t)[0]
	for _, d := range readmodeltest.Both(t) {
		m := generation(t, d, readmodel.Live)
		fill(t, m, log, len(log))
		before := canonical(t, m)
		for _, statement := range []string{
			"DELETE FROM {}members_history", "UPDATE {}organizations_history SET name = 'x'", "DROP TABLE {}members_history", "CREATE TABLE {}x (y TEXT)",
		} {
			err := m.InOrg("o0").Query(t.Context(), func(*sql.Rows) error { return nil }, statement)
			if err == nil {
				t.Errorf("%s: %s is done", d.Engine(), statement)
			}
		}
		if canonical(t, m) != before {
			t.Errorf("%s: rows changed", d.Engine())
		}
	}
}
