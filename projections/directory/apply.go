package directory

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/runner"
)

// Projection is the directory.
func Projection(open projections.Opener) runner.Projection {
	return runner.Projection{Schema: Schema(), States: true, Apply: func(ctx context.Context, tx *readmodel.Tx, messages []eventstore.Folded) error {
		b := newBatch()
		for _, m := range messages {
			if m.Commit == nil {
				continue // a void position changes nothing
			}
			at := m.Commit.Time.AsTime().UnixMicro()
			changes(m.Before, m.After, func(n *noun, old, new row) { b.change(n, old, new, m.Position, at) })
			b.people(m.Before, m.After)
		}
		return b.write(ctx, tx, open)
	}}
}

// batch is versions that end and begin in a run of messages, each written once.
type batch struct {
	open  map[string]*version // by noun and key, of those that begin here and have not ended
	begin map[*noun][]*version
	end   map[*noun][][]any
	// changed people by id, as they are at the end; old are those among them who were there before.
	changed map[domain.UserID]*domain.User
	old     map[domain.UserID]bool
}

type version struct {
	row
	from, to         domain.Position
	fromTime, toTime int64
	void             bool // began and ended in one commit, which nobody ever saw
}

func newBatch() *batch {
	return &batch{
		open: map[string]*version{}, begin: map[*noun][]*version{}, end: map[*noun][][]any{}, changed: map[domain.UserID]*domain.User{},
		old: map[domain.UserID]bool{},
	}
}

// change ends the version of an old row and begins that of a new one.
func (b *batch) change(n *noun, old, new row, at domain.Position, time int64) {
	if slices.Equal(old, new) {
		return
	}
	either := new
	if new == nil {
		either = old
	}
	key := n.name
	for _, k := range either[:n.key] {
		key += "\x00" + k.(string)
	}
	if v := b.open[key]; v != nil {
		v.to, v.toTime, v.void = at, time, v.from == at
		delete(b.open, key)
	} else if old != nil {
		b.end[n] = append(b.end[n], append([]any{int64(at), time}, old[:n.key]...))
	}
	if new != nil {
		v := &version{row: new, from: at, fromTime: time}
		b.open[key] = v
		b.begin[n] = append(b.begin[n], v)
	}
}

// people notes whose personal data changed.
func (b *batch) people(before, after *domain.State) {
	for c := range before.Users().Changes(after.Users()) {
		if c.Old == c.New {
			continue
		}
		was, is := orZero(c.Old), orZero(c.New)
		if was.Email != is.Email || was.Name != is.Name || was.Status != is.Status {
			if _, known := b.changed[c.Key]; !known {
				b.old[c.Key] = c.Had
			}
			b.changed[c.Key] = c.New
		}
	}
}

func (b *batch) write(ctx context.Context, tx *readmodel.Tx, open projections.Opener) error {
	for _, n := range nouns {
		condition := ""
		for k, column := range n.keys() {
			condition += " AND " + column + " = $" + string(rune('3'+k))
		}
		if err := tx.Each("UPDATE {}"+n.name+"_history SET to_position = $1, to_time = $2 WHERE to_position IS NULL"+condition, b.end[n]); err != nil {
			return err
		}
		rows := make([][]any, 0, len(b.begin[n]))
		for _, v := range b.begin[n] {
			if v.void {
				continue
			}
			var to, toTime any
			if v.to > 0 {
				to, toTime = int64(v.to), v.toTime
			}
			rows = append(rows, append(slices.Clip(v.row), int64(v.from), v.fromTime, to, toTime))
		}
		if err := tx.Insert(n.table(), rows); err != nil {
			return err
		}
	}
	return b.writePeople(ctx, tx, open)
}

func (b *batch) writePeople(ctx context.Context, tx *readmodel.Tx, open projections.Opener) error {
	var gone, rows [][]any
	for id, u := range b.changed {
		if b.old[id] {
			gone = append(gone, []any{string(id)})
		}
		if u == nil || u.Status == domain.UserIsErased {
			tx.Forget(profiles)
			continue
		}
		email, err := open(ctx, u.Email.Stored(), "email")
		if err != nil {
			return err
		}
		name, err := open(ctx, u.Name.Stored(), "name")
		if err != nil {
			return err
		}
		if email == projections.Erased || name == projections.Erased {
			continue // the log goes on to say so
		}
		rows = append(rows, []any{string(id), email, name, fold(email, name)})
	}
	if err := tx.Each("DELETE FROM {}profiles WHERE user_id = $1", gone); err != nil {
		return err
	}
	return tx.Insert(profiles, rows)
}
