package audit

import "github.com/tenurehq/tenure/projections/readmodel"

// Version of the read model's shape. Raise it with every change of Schema or of what Apply writes.
const Version = 1

// records are the events by what they are searched for: one row for each organization that an event affects, or one without an
// organization. Nothing personal is in it: data leaves out what is sealed, and an address is a keyed digest that goes when the
// person does.
var records = readmodel.Table{
	Name: "audit", Key: []string{"position", "event_index", "org_nr"}, Tenant: readmodel.Tenant,
	Columns: []readmodel.Column{
		{Name: "position", Type: "BIGINT NOT NULL"},
		// The event's place in its commit, from 1 on.
		{Name: "event_index", Type: "BIGINT NOT NULL"},
		// The organization's place among those affected, from 0 on: rows with 0 are every event once.
		{Name: "org_nr", Type: "BIGINT NOT NULL"},
		{Name: "org_id", Type: "TEXT NOT NULL"},
		// In microseconds since 1970.
		{Name: "time", Type: "BIGINT NOT NULL"},
		{Name: "event_type", Type: "TEXT NOT NULL"},
		{Name: "command", Type: "TEXT NOT NULL"},
		{Name: "command_id", Type: "TEXT NOT NULL"},
		{Name: "actor_kind", Type: "TEXT NOT NULL"},
		{Name: "actor_id", Type: "TEXT NOT NULL"},
		{Name: "actor_key_id", Type: "TEXT NOT NULL"},
		{Name: "project_id", Type: "TEXT NOT NULL"},
		{Name: "user_id", Type: "TEXT NOT NULL"},
		{Name: "key_id", Type: "TEXT NOT NULL"},
		{Name: "group_id", Type: "TEXT NOT NULL"},
		{Name: "invitation_id", Type: "TEXT NOT NULL"},
		{Name: "offer_id", Type: "TEXT NOT NULL"},
		{Name: "reason", Type: "TEXT NOT NULL"},
		{Name: "request_id", Type: "TEXT NOT NULL"},
		{Name: "trace_id", Type: "TEXT NOT NULL"},
		{Name: "ip_digest", Type: "TEXT NOT NULL"},
		// A JSON object of old and new values.
		{Name: "data", Type: "TEXT NOT NULL"},
	},
	Indexes: []string{
		"UNIQUE (position, event_index, org_nr)",
		"(actor_id, position, event_index)",
	},
	// With the time behind, an index alone says what stands on a page.
	Searches: []string{
		"(org_id, position, event_index, time)",
		"(org_id, event_type, position, event_index, time)",
		"(org_id, actor_id, position, event_index, time)",
		"(project_id, position, event_index, time) WHERE project_id <> '' AND org_nr = 0",
		"(event_type, position, event_index, time) WHERE org_nr = 0",
		"(user_id, position, event_index, time) WHERE user_id <> '' AND org_nr = 0",
		"(key_id, position, event_index, time) WHERE key_id <> '' AND org_nr = 0",
		"(command_id)",
		"(time, position)",
	},
}

// entries are the events as they are stored, sealed values included and what verifies secrets left out, to be shown to who may see
// them. A reader of one organization has no right to them: an event about a person names other organizations of theirs.
var entries = readmodel.Table{
	Name: "audit_entries", Key: []string{"position", "event_index"},
	Columns: []readmodel.Column{
		{Name: "position", Type: "BIGINT NOT NULL"}, {Name: "event_index", Type: "BIGINT NOT NULL"}, {Name: "entry", Type: readmodel.Bytes + " NOT NULL"},
	},
	Indexes: []string{"UNIQUE (position, event_index)"},
}

// Schema is the read model's.
func Schema() readmodel.Schema {
	return readmodel.Schema{Name: "audit", Version: Version, Tables: []readmodel.Table{records, entries}}
}
