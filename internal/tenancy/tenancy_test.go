package tenancy

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/examples"
)

// The example is what the demo and the documentation say it is.
func TestExample(t *testing.T) {
	t.Parallel()
	f, err := Parse(examples.Tenancy)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Users) != 40 || len(f.Organizations) != 12 {
		t.Errorf("%d people and %d organizations", len(f.Users), len(f.Organizations))
	}
	for _, o := range f.Organizations {
		owners := 0
		for _, m := range o.Members {
			if m.Role == "OWNER" {
				owners++
			}
		}
		if owners == 0 || len(o.Projects) == 0 {
			t.Errorf("%s has %d owners and %d projects", o.Name, owners, len(o.Projects))
		}
	}
}

// Mistakes are named. Fails without KnownFields: tried.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, says string }{
		"no YAML":          {"users: [", "yaml"},
		"a mistyped field": {"organisations: []", "organisations"},
		"a stranger":       {"organizations: [{name: acme, members: [{email: nobody@example.com, role: OWNER}]}]", "nobody@example.com"},
		"a stranger with an override": {
			"organizations: [{name: acme, projects: [{name: app, overrides: [{email: nobody@example.com, role: NONE}]}]}]", "nobody@example.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse([]byte(row.text)); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want an error that says %q", err, row.says)
			}
		})
	}
}
