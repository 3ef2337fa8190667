package audit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/readmodel"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Search is what to look for; what is empty does not narrow it.
type Search struct {
	// Org and Project: the history of one organization, or of one project wherever it was, or of all if both are empty.
	Org     domain.OrgID
	Project domain.ProjectID

	// Actor is an id, EventType the begin of a name, Resource the id of anything an event is about.
	Actor, EventType, Command, CommandID, User, Key, Resource, IPDigest string

	// Since and Until bound the time, From and To the position; ends belong to it, Until excepted.
	Since, Until time.Time
	From, To     domain.Position

	// Oldest first, else newest first.
	Oldest bool
	// After is the record behind which the page begins; the zero Place begins at the end.
	After Place
	Limit int
}

// Place is where a record stands: position, and place among the events of the commit from 1 on.
type Place struct {
	Position domain.Position
	Index    int
}

// Found is an event as it was stored.
type Found struct {
	Place
	Time  time.Time
	Entry *eventv1.Entry // with this event alone
}

// Find answers the records that fit, at most Limit, in order. A page of an organization is chosen as a reader of that organization,
// so that the boundary does not depend on the words of the search.
func Find(ctx context.Context, m *readmodel.Model, s Search) ([]Found, error) {
	var where []string
	var args []any
	need := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	scope := m.All()
	switch {
	case s.Project != "":
		need("project_id = ? AND project_id <> '' AND org_nr = 0", string(s.Project))
	case s.Org != "":
		scope = m.InOrg(string(s.Org))
		need("org_id = ?", string(s.Org))
	default:
		where = append(where, "org_nr = 0")
	}
	for column, value := range map[string]string{
		"actor_id": s.Actor, "command": s.Command, "command_id": s.CommandID, "user_id": s.User, "key_id": s.Key, "ip_digest": s.IPDigest,
	} {
		if value != "" {
			need(column+" = ?", value)
			if column == "user_id" || column == "key_id" {
				where = append(where, column+" <> ''")
			}
		}
	}
	if s.Resource != "" {
		need("(org_id = ? OR project_id = ? OR user_id = ? OR key_id = ? OR group_id = ? OR invitation_id = ? OR offer_id = ?)", s.Resource)
	}
	if s.EventType != "" {
		// A range, so that an index serves it on both engines whatever their order of letters: names are of A-Z and a-z alone.
		types := typesWith(s.EventType)
		if len(types) == 0 {
			return nil, nil
		}
		var list []string
		for _, name := range types {
			args = append(args, name)
			list = append(list, fmt.Sprintf("$%d", len(args)))
		}
		where = append(where, "event_type IN ("+strings.Join(list, ", ")+")")
	}
	from, to := s.From, s.To
	if !s.Since.IsZero() {
		// Times follow positions, so a time is a position.
		at, err := edge(ctx, m, "SELECT MIN(position) FROM {}audit WHERE time = (SELECT MIN(time) FROM {}audit WHERE time >= $1)", s.Since)
		if at == 0 || err != nil {
			return nil, err
		}
		from = max(from, at)
	}
	if !s.Until.IsZero() {
		at, err := edge(ctx, m, "SELECT MAX(position) FROM {}audit WHERE time = (SELECT MAX(time) FROM {}audit WHERE time < $1)", s.Until)
		if at == 0 || err != nil {
			return nil, err
		}
		if to == 0 || at < to {
			to = at
		}
	}
	if from > 0 {
		need("position >= ?", int64(from))
	}
	if to > 0 {
		need("position <= ?", int64(to))
	}
	order, than := "DESC", "<"
	if s.Oldest {
		order, than = "ASC", ">"
	}
	if s.After != (Place{}) {
		args = append(args, int64(s.After.Position), int64(s.After.Index))
		where = append(where, fmt.Sprintf("(position, event_index) %s ($%d, $%d)", than, len(args)-1, len(args)))
	}
	query := fmt.Sprintf("SELECT position, event_index, time FROM {}audit WHERE %s ORDER BY position %s, event_index %s LIMIT %d",
		strings.Join(where, " AND "), order, order, s.Limit)
	var found []Found
	err := scope.Query(ctx, func(rows *sql.Rows) error {
		var position, index, at int64
		err := rows.Scan(&position, &index, &at)
		found = append(found, Found{Place: Place{domain.Position(position), int(index)}, Time: time.UnixMicro(at).UTC()})
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return found, load(ctx, m, found)
}

// Matches tells whether an event is one that is looked for; whose history it belongs to and the address aside.
func (s Search) Matches(at domain.Position, c *eventv1.Commit, entry *eventv1.Entry, e *eventv1.Event) bool {
	is := func(wanted string, got ...string) bool { return wanted == "" || slices.Contains(got, wanted) }
	time := c.Time.AsTime()
	about := append([]string{e.ProjectId, e.UserId, e.KeyId, e.GroupId, e.InvitationId, e.OfferId}, e.OrgIds...)
	return is(s.Actor, entry.Actor.GetId()) && strings.HasPrefix(EventType(e), s.EventType) && is(s.Command, entry.Command) &&
		is(s.CommandID, entry.CommandId) && is(s.User, e.UserId) && is(s.Key, e.KeyId) && is(s.Resource, about...) &&
		(s.Since.IsZero() || !time.Before(s.Since)) && (s.Until.IsZero() || time.Before(s.Until)) && at >= s.From && (s.To == 0 || at <= s.To)
}

// HasTypes tells whether there are types of events whose names begin so.
func HasTypes(prefix string) bool { return len(typesWith(prefix)) > 0 }

func edge(ctx context.Context, m *readmodel.Model, query string, at time.Time) (position domain.Position, err error) {
	err = m.All().Query(ctx, func(rows *sql.Rows) error {
		var p sql.NullInt64
		err := rows.Scan(&p)
		position = domain.Position(p.Int64)
		return err
	}, query, at.UnixMicro())
	return position, err
}

// typesWith are the types of events whose names begin so.
func typesWith(prefix string) (names []string) {
	fields := bodyOneof.Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Message().Name()); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// load reads the entries of what was found.
func load(ctx context.Context, m *readmodel.Model, found []Found) error {
	if len(found) == 0 {
		return nil
	}
	at := make(map[Place]*Found, len(found))
	var values []string
	for i := range found {
		at[found[i].Place] = &found[i]
		values = append(values, fmt.Sprintf("(%d, %d)", found[i].Position, found[i].Index))
	}
	return m.All().Query(ctx, func(rows *sql.Rows) error {
		var position, index int64
		var bytes []byte
		if err := rows.Scan(&position, &index, &bytes); err != nil {
			return err
		}
		f := at[Place{domain.Position(position), int(index)}]
		if f == nil {
			return nil
		}
		f.Entry = &eventv1.Entry{}
		return proto.Unmarshal(bytes, f.Entry)
	}, "SELECT position, event_index, entry FROM {}audit_entries WHERE (position, event_index) IN (VALUES "+strings.Join(values, ", ")+")")
}
