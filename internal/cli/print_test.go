package cli

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// Text from strangers can't move the cursor, hide or turn anything. Fails if an escape reaches the terminal: tried with the
// text printed as it is.
func TestVisible(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"plain äöü 日本":             "plain äöü 日本",
		"\x1b[2Jgone\a":            `\x1b[2Jgone\x07`,
		"two\nlines\tand\rback":    `two\nlines\tand\x0dback`,
		"right\u202eleft":          `right\u202eleft`,
		"zero\u200bwidth":          `zero\u200bwidth`,
		"bad \xff byte":            `bad \xff byte`,
		"the real \ufffd is shown": "the real \ufffd is shown",
	} {
		if got := visible(s); got != want {
			t.Errorf("visible(%q) = %q, want %q", s, got, want)
		}
	}
}

// Columns stand under each other whatever the characters, and empty ones are not there. Fails if a column moves: tried with
// characters counted instead of columns.
func TestTable(t *testing.T) {
	t.Parallel()
	table := &table{header: []string{"ID", "NAME", "EMPTY", "LAST"}, rows: [][]string{
		{"1", "日本", "", "a"}, {"2", "e\u0301a", "", "b"}, {"3", "long name", "", ""},
	}}
	var out bytes.Buffer
	if err := table.print(&out); err != nil {
		t.Fatal(err)
	}
	want := "ID  NAME       LAST\n1   日本       a\n2   e\u0301a         b\n3   long name\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// What an event changed reads old -> new, in each of the forms that events have. Fails if a form is not known: tried with
// each taken out.
func TestChangesOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ data, want string }{
		{`{"name": {"old": "a", "new": "b c"}}`, `name: a -> "b c"`},
		{`{"retention_days": {"new": 30}}`, `retention days: (none) -> 30`},
		{`{"old_pepper_id": "p", "new_pepper_id": "q"}`, `pepper id: p -> q`},
		{`{"new_pepper_id": "q"}`, `pepper id: (none) -> q`},
		{`{"metadata": {"old": {"a": "1", "b": "2"}, "new": {"a": "1", "c": "3"}}}`, `metadata b: 2 -> (none), metadata c: (none) -> 3`},
		{`{"grant": {"old": {"role": "ADMIN"}, "new": {"role": "VIEWER", "expires_at": "2031-01-31T12:00:00.000Z"}}}`,
			`grant: ADMIN -> VIEWER until TIME`},
		{`{"old": {"name": "x", "same": true}, "new": {"name": "y", "same": true}, "plan_id": "pro"}`, `name: x -> y, plan id: pro`},
		{`{"new": {"name": "y"}}`, `name: (none) -> y`},
		{`{"old": ["a"], "new": ["a", "b"]}`, `[a] -> [a b]`},
		{`{"name": "n", "environments": ["a", "b"], "active": false}`, `active: no, environments: [a b], name: n`},
		{`{"email": "<erased>"}`, `email: <erased>`},
		{`{}`, ``},
	} {
		s := &structpb.Struct{}
		if err := protojson.Unmarshal([]byte(test.data), s); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(test.want, "TIME", testNow.Local().Format(brief))
		if got := changesOf(s); got != want {
			t.Errorf("%s\n got %s\nwant %s", test.data, got, want)
		}
	}
}
