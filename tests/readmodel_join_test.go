package tests

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/tests/pgtest"
)

// A platform team's own session joins the views in the schema tenure, as docs/OPERATIONS.md says: as tenure_reader it sees the
// organization it names and none before, it can write nothing, and a rebuild changes nothing of that. Seen to fail without
// security_invoker, and without the grants of publish.
func TestReadModelsAreJoined(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.PostgresURL = url })
	a, b := s.furnished(t), s.furnished(t)
	s.settled(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	look := func() {
		t.Helper()
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		do := func(statement string) error {
			_, err := conn.ExecContext(t.Context(), statement)
			return err
		}
		defer func() { _, _ = conn.ExecContext(context.WithoutCancel(t.Context()), "RESET ROLE; RESET tenure.org_id") }()
		if err := do("SET ROLE tenure_reader"); err != nil {
			t.Fatal(err)
		}
		if rows := columnOf(t, conn, "SELECT org_id FROM tenure.members"); len(rows) > 0 {
			t.Errorf("without an organization %d members are seen", len(rows))
		}
		for _, org := range []string{a.org, b.org} {
			if err := do("SET tenure.org_id = '" + org + "'"); err != nil {
				t.Fatal(err)
			}
			for _, query := range []string{
				"SELECT org_id FROM tenure.effective_access", "SELECT org_id FROM tenure.members_history", "SELECT org_id FROM tenure.api_keys",
				"SELECT org_id FROM tenure.audit", "SELECT m.org_id FROM tenure.members m JOIN tenure.profiles p ON p.user_id = m.user_id",
				"SELECT org_id FROM tenure.organizations",
			} {
				rows := columnOf(t, conn, query)
				if len(rows) == 0 || slices.ContainsFunc(rows, func(id string) bool { return id != org }) {
					t.Errorf("%s as %s: %v", query, org, rows)
				}
			}
		}
		for _, statement := range []string{
			"DELETE FROM tenure.members_history", "UPDATE tenure.organizations SET name = 'x'", "SELECT * FROM tenure.audit_entries",
			"SELECT * FROM tenure.instance_admins", "SELECT * FROM tenure.key_usage", "SELECT * FROM tenure.generations",
			fmt.Sprintf("INSERT INTO tenure.members_history (org_id) VALUES ('%s')", a.org),
		} {
			if do(statement) == nil {
				t.Errorf("a reader may: %s", statement)
			}
		}
	}
	look()
	for _, p := range s.ReadModels.All() {
		build, err := p.Rebuild(true)
		if err != nil {
			t.Fatal(err)
		}
		<-build.Done()
		if _, err := build.Result(); err != nil {
			t.Fatal(err)
		}
	}
	look()
}

func columnOf(t *testing.T, conn *sql.Conn, query string) (list []string) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return list
}
