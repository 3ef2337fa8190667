package directory

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/projectionstest"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/readmodel/readmodeltest"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func TestMain(m *testing.M) { readmodeltest.Main(m) }

// openly reads what golden logs seal: it is not encrypted there.
func openly(_ context.Context, s *eventv1.Sealed, _ string) (string, error) {
	return string(s.GetData()), nil
}

// fill applies a log in batches of these sizes, taken in turn.
func fill(t *testing.T, m *readmodel.Model, log []eventstore.Folded, sizes ...int) {
	t.Helper()
	p := Projection(openly)
	at, err := m.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; int(at.Position) < len(log); i++ {
		part := log[at.Position:min(len(log), int(at.Position)+sizes[i%len(sizes)])]
		last := part[len(part)-1]
		to := projections.Checkpoint{LogID: "log", Position: last.Position, Hash: last.Hash}
		if err := m.Apply(t.Context(), at, to, func(tx *readmodel.Tx) error { return p.Apply(t.Context(), tx, part) }); err != nil {
			t.Fatal(err)
		}
		at = to
	}
}

func generation(t *testing.T, d *readmodel.Database, status readmodel.Status) *readmodel.Model {
	t.Helper()
	m, err := d.Make(t.Context(), Schema(), status)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func canonical(t *testing.T, m *readmodel.Model) string {
	t.Helper()
	_, hash, err := m.Canonical(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// After every kind of command, on both engines: however the log is cut into batches, the rows are the same. Fails if a version that
// begins and ends in one batch is not ended, or if the end of an earlier one is lost: both tried.
func TestRebuiltEqualsLive(t *testing.T) {
	t.Parallel()
	both := readmodeltest.Both(t)
	for i, log := range projectionstest.Histories(t) {
		hashes := map[string][]string{}
		for _, d := range both {
			live := generation(t, d, readmodel.Scratch)
			fill(t, live, log[:rand.IntN(len(log))+1], 1)
			fill(t, live, log, 1, 2, 7)
			rebuilt := generation(t, d, readmodel.Scratch)
			fill(t, rebuilt, log, 1+rand.IntN(len(log)))
			for _, m := range []*readmodel.Model{live, rebuilt} {
				hash := canonical(t, m)
				hashes[hash] = append(hashes[hash], d.Engine()+" "+string(m.Status))
			}
		}
		if len(hashes) != 1 {
			t.Errorf("log %d: %d messages became different rows: %v", i, len(log), hashes)
		}
	}
}

// rowsOf are the rows of a query as text.
func rowsOf(t *testing.T, s readmodel.Scope, columns int, query string, args ...any) (list []string) {
	t.Helper()
	err := s.Query(t.Context(), func(rows *sql.Rows) error {
		values, into := make([]sql.NullString, columns), make([]any, columns)
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		var text []string
		for _, v := range values {
			text = append(text, v.String)
		}
		list = append(list, strings.Join(text, "|"))
		return nil
	}, query, args...)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// stateRows are the rows that a state makes, all of them, by noun.
func stateRows(s *domain.State) map[string][]string {
	all := map[string][]string{}
	changes(&domain.State{}, s, func(n *noun, _, new row) {
		if new == nil {
			return
		}
		var text []string
		for _, v := range new {
			if v == nil {
				v = ""
			}
			text = append(text, fmt.Sprint(v))
		}
		all[n.name] = append(all[n.name], strings.Join(text, "|"))
	})
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// At random positions the present is what the state says, and the past what the state said then. Effective access, which SQL works
// out by itself, is that of the domain. Fails if an override does not count in the view, or a suspension, or the status of a project: tried.
func TestRowsAreTheState(t *testing.T) {
	t.Parallel()
	both := readmodeltest.Both(t)
	for _, log := range projectionstest.Histories(t) {
		for _, d := range both {
			m := generation(t, d, readmodel.Scratch)
			for at := 0; at < len(log); {
				at = min(len(log), at+1+rand.IntN(len(log)/2))
				fill(t, m, log[:at], 5)
				s := log[at-1].After
				want := stateRows(s)
				for _, n := range nouns {
					got := rowsOf(t, m.All(), len(n.columns), "SELECT "+strings.Join(n.columns, ", ")+" FROM {}"+n.name)
					if diff := cmp.Diff(want[n.name], got); diff != "" {
						t.Fatalf("%s: %s at %d (-state +rows):\n%s", d.Engine(), n.name, at, diff)
					}
				}
				if diff := cmp.Diff(accessOf(s), rowsOf(t, m.All(), 5, "SELECT org_id, project_id, user_id, role, source FROM {}effective_access")); diff != "" {
					t.Fatalf("%s: effective access at %d (-state +rows):\n%s", d.Engine(), at, diff)
				}
			}
			for range 3 {
				then := log[rand.IntN(len(log))].After
				want := stateRows(then)
				for _, n := range nouns {
					got := rowsOf(t, m.All(), len(n.columns), "SELECT "+strings.Join(n.columns, ", ")+" FROM {}"+n.name+
						"_history WHERE from_position <= $1 AND (to_position IS NULL OR to_position > $1)", int64(then.Position))
					if diff := cmp.Diff(want[n.name], got); diff != "" {
						t.Fatalf("%s: %s as of %d (-state +rows):\n%s", d.Engine(), n.name, then.Position, diff)
					}
				}
			}
		}
	}
}

var sources = map[domain.Reason]string{
	domain.ByOrgRole: "ORGANIZATION_ROLE", domain.ByOrgGroup: "ORGANIZATION_GROUP", domain.ByProjectOverride: "PROJECT_OVERRIDE",
	domain.ByProjectGroup: "PROJECT_GROUP",
}

// accessOf is who has which role in which project now, worked out by the domain.
func accessOf(s *domain.State) (list []string) {
	for id, p := range s.Projects().All() {
		at, err := s.Place("", id)
		if err != nil {
			panic(err)
		}
		if p.Status != domain.Active || at.Org.Status != domain.Active {
			continue
		}
		for user := range at.Org.Members.All() {
			u, _ := s.User(user)
			e := s.EffectiveRole(user, at, time.Now())
			if u.Status == domain.UserActive && e.Role != "" && e.Role != domain.None {
				list = append(list, strings.Join([]string{string(at.Org.ID), string(id), string(user), string(e.Role), sources[e.By]}, "|"))
			}
		}
	}
	slices.Sort(list)
	return list
}
