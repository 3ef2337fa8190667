package readmodel

import (
	"fmt"
	"strings"
)

// Schema is the shape of a read model. Another shape is another version, which is built anew beside the old one.
type Schema struct {
	// Name of the read model, a word of lower-case letters.
	Name    string
	Version int
	// Tables in the order they are made.
	Tables []Table
	// Views come after them, in order.
	Views []View
}

// Table is a table and who may see what of it.
type Table struct {
	Name    string
	Columns []Column
	// Key are the columns that tell rows apart; the canonical hash goes through the rows in their order.
	Key []string
	// Indexes are lists of columns as CREATE INDEX takes them, perhaps with UNIQUE in front and a WHERE behind.
	Indexes []string
	// Searches are indexes that queries want and Apply does not: of a generation that is built beside another they are made at the end,
	// which is quicker than keeping them.
	Searches []string
	// Tenant is a condition on the rows that a reader of one organization sees, with {org} for its id; "" shows none.
	Tenant string
}

// Column is a column with its type as both engines take it: TEXT NOT NULL, BIGINT, BYTEA.
type Column struct{ Name, Type string }

// View is a query on tables and earlier views, with {} in front of their names and {now} for the time in microseconds.
type View struct {
	Name, Query string
	// Tenant is the condition that narrows the view to one organization, where the tables below can't do it by themselves.
	Tenant string
}

// Tenant is the usual condition.
const Tenant = "org_id = {org}"

// columnNames are the columns in order.
func (t Table) columnNames() (names []string) {
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return names
}

func (t Table) create() []string {
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, c.Name+" "+c.Type)
	}
	return append([]string{fmt.Sprintf("CREATE TABLE {}%s (%s)", t.Name, strings.Join(columns, ", "))}, t.indexes("i", t.Indexes)...)
}

// searches are the statements that make the indexes for queries, if they are not there.
func (t Table) searches() []string { return t.indexes("s", t.Searches) }

func (t Table) indexes(kind string, indexes []string) (statements []string) {
	for i, index := range indexes {
		rest, unique := strings.CutPrefix(index, "UNIQUE ")
		word := map[bool]string{true: "UNIQUE ", false: ""}[unique]
		statements = append(statements, fmt.Sprintf("CREATE %sINDEX IF NOT EXISTS {index}%s_%s%d ON {}%s %s", word, t.Name, kind, i+1, t.Name, rest))
	}
	return statements
}
