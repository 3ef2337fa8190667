package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/tenurehq/tenure/"
	events = "proto/gen/tenure/event/v1"
	api    = "proto/gen/tenure/v1"
)

// Which of our packages each may import, and why. A package that is not named here fails the test.
var mayImport = map[string]struct {
	reason string
	ours   []string
}{
	"domain":                              {"the rules know nobody: no I/O, no clock", []string{events}},
	"eventstore":                          {"the log stores events and knows no use case", []string{"domain", events}},
	"projections":                         {"what a projection is: a reader of the log", []string{"domain", "eventstore", events}},
	"projections/readmodel":               {"SQL, and nothing of what is in it", []string{"domain", "projections"}},
	"projections/readmodel/readmodeltest": {"databases for tests of read models", []string{"projections/readmodel", "tests/pgtest"}},
	"projections/projectionstest":         {"logs for tests of projections", []string{"domain", "eventstore", events}},
	"projections/runner":                  {"applies the log to read models", []string{"domain", "eventstore", "projections", "projections/readmodel"}},
	"projections/usage":                   {"counts beside the log", []string{"projections/readmodel"}},
	"projections/directory": {"a projection folds states into rows", []string{
		"domain", "eventstore", "projections", "projections/readmodel", "projections/runner", events,
	}},
	"projections/audit": {"a projection reads the log's events", []string{
		"domain", "eventstore", "projections", "projections/readmodel", "projections/runner", events, api,
	}},
	"projections/invalidation": {"what a commit changes for caches", []string{"domain", "eventstore", "projections", "projections/runner", api}},
	"projections/feed": {"a projection publishes the audit's view of events", []string{
		"domain", "eventstore", "projections", "projections/audit", events, api,
	}},
	"projections/webhook": {"sends what the feed holds, as the state says", []string{
		"domain", "projections", "projections/audit", "projections/feed", events, api,
	}},
	"projections/redis": {"a projection folds states into Redis", []string{
		"domain", "eventstore", "projections", "projections/invalidation", "projections/readmodel", "projections/redis/layout", "projections/runner", api,
	}},
	"projections/redis/layout": {"names, also for clients", nil},
	"internal/engine":          {"decides with the domain, appends to the log", []string{"domain", "eventstore", events}},
	"internal/sealing":         {"seals values of events", []string{"internal/sealing/keyfile", events}},
	"internal/sealing/keyfile": {"files", nil},
	"internal/keyring":         {"makes verifiers of events", []string{"internal/sealing/keyfile", events}},
	"internal/edge":            {"HTTP, and no tenancy", nil},
	"internal/backup":          {"files, and what makes them whole", []string{"domain", "eventstore", "internal/keyring", "internal/sealing"}},
	"internal/accesslog":       {"stores records that it does not judge", []string{events}},
	"internal/rpc": {"the API translates for the engine and never touches the log", []string{
		"domain", "internal/accesslog", "internal/edge", "internal/engine", "internal/keyring", "internal/sealing", "projections", "projections/audit",
		"projections/directory", "projections/invalidation", "projections/readmodel", "projections/redis", "projections/runner", "projections/usage",
		"projections/webhook", events, api, api + "/tenurev1connect",
	}},
	"internal/cli": {"a client of the API, and of the log's public format", []string{
		"domain", "internal/backup", "internal/tenancy", events, api, api + "/tenurev1connect",
	}},
	"internal/cli/gen":                {"reads protos", nil},
	"client/keycache":                 {"a client of the API", []string{api, api + "/tenurev1connect"}},
	"client/keycache/keycachegrpc":    {"the key cache's rules for a gRPC server", []string{"client/keycache"}},
	"client/keycache/keycacheconnect": {"the key cache's rules for connect's handlers", []string{"client/keycache"}},
	"client/keycache/redissource":     {"a client of Redis", []string{"client/keycache", "projections/redis/layout", api}},
	"internal/tenancy":                {"a client of the API", []string{api, api + "/tenurev1connect"}},
	"examples":                        {"files", nil},
	"examples/keycache":               {"a service as a user would write it", []string{"client/keycache", "client/keycache/redissource"}},
	"tests/pgtest":                    {"servers of PostgreSQL for tests of every layer", nil},
	"tests/redistest":                 {"servers of Redis for tests of every layer", nil},
	"tests/natstest":                  {"servers of NATS for tests of every layer", nil},
}

// Only these wire things together, and may import anything but each other.
var wires = []string{"cmd/tenure", "cmd/tenure/app", "tests", "tests/bench"}

// Data flows one way. Fails if a package imports one above it: tried with internal/rpc in domain.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", path)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata" || rel == "third_party" || rel == filepath.FromSlash("proto/gen")) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		seen[pkg] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if slices.Contains(wires, pkg) {
			return nil
		}
		rule, ok := mayImport[pkg]
		if !ok {
			t.Errorf("package %s has no rule: say in mayImport what it may import, and why", pkg)
			return nil
		}
		for _, i := range file.Imports {
			if ours, is := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module); is && !slices.Contains(rule.ours, ours) {
				t.Errorf("%s imports %s; it may not: %s", rel, ours, rule.reason)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("mayImport names %s, which has no code", pkg)
		}
	}
}

// Every package says what it is.
func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, pkg := range append(slices.Clone(append(wires[:2:2], wires[3])), packages()...) {
		documented := false
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func packages() (list []string) {
	for pkg := range mayImport {
		list = append(list, pkg)
	}
	return list
}
