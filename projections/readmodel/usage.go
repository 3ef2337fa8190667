package readmodel

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Use is how often a key was used on a day, and when last.
type Use struct {
	Key string
	// Day counts from 1970 on, in UTC.
	Day      int64
	Uses     int64
	LastUsed time.Time
}

// AddUsage adds uses to those that are stored, all or none. Usage is no fact of the log: it is stored beside the read models and not
// made anew.
func (d *Database) AddUsage(ctx context.Context, uses []Use) error {
	h := d.control
	return d.wrap(inTx(ctx, h.write, func(tx *sql.Tx) error {
		for len(uses) > 0 {
			n := min(len(uses), 500)
			var args []any
			for _, u := range uses[:n] {
				args = append(args, u.Key, u.Day, u.Uses, micros(u.LastUsed))
			}
			uses = uses[n:]
			if _, err := tx.ExecContext(ctx, h.text("INSERT INTO {}key_usage AS k (key_id, day, uses, last_used) VALUES "+placeholders(n, 4)+
				` ON CONFLICT (key_id, day) DO UPDATE SET uses = k.uses + excluded.uses,
				last_used = CASE WHEN excluded.last_used > k.last_used THEN excluded.last_used ELSE k.last_used END`), args...); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Usage answers the stored uses of keys from a day on, by key and day.
func (d *Database) Usage(ctx context.Context, keys []string, from int64) ([]Use, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	h := d.control
	args := []any{from}
	var places []string
	for i, key := range keys {
		args = append(args, key)
		places = append(places, fmt.Sprintf("$%d", i+2))
	}
	var list []Use
	rows, err := h.read.QueryContext(ctx, h.text("SELECT key_id, day, uses, last_used FROM {}key_usage WHERE day >= $1 AND key_id IN ("+
		strings.Join(places, ", ")+") ORDER BY key_id, day"), args...)
	err = eachRow(rows, err, func(rows *sql.Rows) error {
		var u Use
		var last int64
		err := rows.Scan(&u.Key, &u.Day, &u.Uses, &last)
		u.LastUsed = time.UnixMicro(last).UTC()
		list = append(list, u)
		return err
	})
	return list, d.wrap(err)
}

// DropUsage forgets uses in front of a day.
func (d *Database) DropUsage(ctx context.Context, before int64) error {
	h := d.control
	_, err := h.write.ExecContext(ctx, h.text("DELETE FROM {}key_usage WHERE day < $1"), before)
	return d.wrap(err)
}
