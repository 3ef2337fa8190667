package tenancy

import (
	"os"
	"testing"
)

// A file from anywhere is read or refused, in words, and what has been read can be planned for.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../examples/tenancy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("orgs:\n- name: acme\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("policy: {naming: {org_pattern: '('}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if (file == nil) == (err == nil) {
			t.Errorf("%v beside %v", file, err)
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
