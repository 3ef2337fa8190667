package cli

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// byHand are the methods that have no row, because their command is written out.
var byHand = map[string]string{
	"AuditService.WatchAudit":                "a stream: `tenure audit watch`",
	"InvalidationService.WatchInvalidations": "for services that keep answers, not for people",
	"InvalidationService.ResolveKey":         "for services that keep answers, not for people",
	"InvalidationService.ResolveUser":        "for services that keep answers, not for people",
	"KeyService.ReportUsage":                 "for services that verify keys, not for people",
	"LogService.ReadLog":                     "a stream: `tenure log`",
	"AuditService.ExportAudit":               "a stream: `tenure audit export`",
	"ProjectionService.RebuildProjection":    "a stream: `tenure projection rebuild`",
	"ProjectionService.VerifyProjection":     "a stream: `tenure projection verify`",
	"LogService.ReadPersonalKeys":            "a stream: `tenure backup`",
}

// apiMethods are all methods of the API, such as "OrgService.CreateOrg".
func apiMethods() (list []string) {
	protoregistry.GlobalFiles.RangeFilesByPackage("tenure.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				list = append(list, string(service.Name()+"."+service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	return list
}

// Everything that the API can do can be done from here. Fails if a method has no row, or two: tried without the row of
// `org suspend`.
func TestEveryMethodHasACommand(t *testing.T) {
	t.Parallel()
	rows := map[string]int{}
	for _, c := range commands {
		rows[c.method]++
		if !slices.ContainsFunc(nouns, func(n noun) bool { return n.name == c.noun }) {
			t.Errorf("%s %s: there is no noun %q", c.noun, c.verb, c.noun)
		}
	}
	methods := apiMethods()
	if len(methods) < 60 {
		t.Fatalf("only %d methods are found", len(methods))
	}
	for _, m := range methods {
		if _, ok := byHand[m]; ok != (rows[m] == 0) || rows[m] > 1 {
			t.Errorf("%s has %d rows, and written by hand is %t", m, rows[m], ok)
		}
	}
}

// Every field of every request can be given. Fails if one can't, or if two have the same name: tried with "reason" passed over,
// and with "project_id" and "target_org_id" both as --project.
func TestEveryFieldCanBeGiven(t *testing.T) {
	t.Parallel()
	for _, c := range append(slices.Clone(commands), command{noun: "audit", verb: "watch", method: "AuditService.WatchAudit"}) {
		method := methodOf(c.method)
		inputs, _ := c.inputs(method.Input())
		names := map[string]bool{}
		for _, in := range inputs {
			if in.name == "" || names[in.name] {
				t.Errorf("%s %s: two inputs are named %q", c.noun, c.verb, in.name)
			}
			names[in.name] = true
			if in.helpText() == "" {
				t.Errorf("%s %s: --%s has no help", c.noun, c.verb, in.name)
			}
			if !sendable(in.field()) {
				t.Errorf("%s %s: %s can't be given: it is a %s", c.noun, c.verb, in.say(), in.field().Kind())
			}
		}
		for i := range method.Input().Fields().Len() {
			f := method.Input().Fields().Get(i)
			paged := f.Name() == "page_size" || f.Name() == "page_token"
			given := slices.ContainsFunc(inputs, func(in *input) bool { return in.path[0] == f })
			if paged == given {
				t.Errorf("%s %s: %s is given by a flag is %t, and pages the list is %t", c.noun, c.verb, f.Name(), given, paged)
			}
		}
		if arguments := c.arguments(inputs); len(arguments) != len(strings.Fields(c.args)) {
			t.Errorf("%s %s: its arguments %q are not all fields of %s", c.noun, c.verb, c.args, method.Input().Name())
		}
		if f := c.chosen; f != "" && method.Input().Fields().ByName(protoreflect.Name(f)) == nil {
			t.Errorf("%s %s: %q is no field", c.noun, c.verb, f)
		}
	}
}

// sendable tells whether values.go can make a value of the field, or of what is in it, out of text.
func sendable(f protoreflect.FieldDescriptor) bool {
	if f.IsMap() {
		return f.MapKey().Kind() == protoreflect.StringKind && f.MapValue().Kind() == protoreflect.StringKind
	}
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return true
	case protoreflect.MessageKind:
		if name := f.Message().FullName(); name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration" {
			return true
		}
		for i := range f.Message().Fields().Len() {
			if inner := f.Message().Fields().Get(i); inner.IsList() || inner.IsMap() || inner.Message() != nil || !sendable(inner) {
				return false
			}
		}
		return f.IsList()
	}
	return false
}

// What is asked and said names fields that there are. Fails if a template or a list of columns names another: tried with
// {org.nam}.
func TestTemplatesNameFields(t *testing.T) {
	t.Parallel()
	braces := regexp.MustCompile(`\{([^}]*)\}`)
	for _, c := range commands {
		method := methodOf(c.method)
		inputs, _ := c.inputs(method.Input())
		for _, template := range []string{c.ask, c.say} {
			for _, m := range braces.FindAllStringSubmatch(template, -1) {
				for _, path := range strings.Split(m[1], "|") {
					ofRequest := slices.ContainsFunc(inputs, func(in *input) bool { return dotted(in.path) == path || in.name == path })
					if !strings.HasPrefix(path, "'") && !ofRequest && (template == c.ask || !hasPath(method.Output(), path)) {
						t.Errorf("%s %s: %q names no field: %q", c.noun, c.verb, path, template)
					}
				}
			}
		}
		for _, name := range []string{c.show, c.answer} {
			if name != "" && method.Output().Fields().ByName(protoreflect.Name(name)) == nil {
				t.Errorf("%s %s: the response has no field %q", c.noun, c.verb, name)
			}
		}
		if !noSideEffects(method) && c.say == "" && c.answer == "" {
			t.Errorf("%s %s changes something and says nothing", c.noun, c.verb)
		}
	}
	for name, spec := range columns {
		d := tenurev1.File_tenure_v1_org_proto.Package().Append(protoreflect.Name(name))
		m, err := protoregistry.GlobalTypes.FindMessageByName(d)
		if err != nil {
			t.Errorf("columns of %s: %v", name, err)
			continue
		}
		for _, f := range strings.Fields(spec) {
			if m.Descriptor().Fields().ByName(protoreflect.Name(strings.TrimPrefix(f, "#"))) == nil {
				t.Errorf("%s has no field %s", name, f)
			}
		}
	}
}

func hasPath(m protoreflect.MessageDescriptor, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	f := m.Fields().ByName(protoreflect.Name(name))
	return f != nil && (!deeper || hasPath(f.Message(), rest))
}

// What cannot be taken back is asked for. Fails if a command that ends something for good has no question: tried without that
// of `key revoke`.
func TestWhatDestroysAsks(t *testing.T) {
	t.Parallel()
	reversible := []string{"CancelTransfer", "RevokeInvitation", "RevokeInstanceAdmin", "DeclineTransfer", "DeclineInvitation"}
	for _, c := range commands {
		_, method, _ := strings.Cut(c.method, ".")
		ends := false
		for _, word := range []string{"Delete", "Revoke", "Erase", "Leave", "TransferProject", "AcceptTransfer"} {
			ends = ends || strings.HasPrefix(method, word)
		}
		if ends && c.ask == "" && !slices.Contains(reversible, method) {
			t.Errorf("%s %s does not ask", c.noun, c.verb)
		}
	}
}

// Every command has a line of help that fits a terminal, and an example that its own flags and arguments accept. Fails if an
// example names a flag that is not there, leaves out what is required, or gives what exclude each other: tried with each.
func TestExamplesAreRight(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "tenure", Short: "The program"}
	Add(root)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		if n := utf8.RuneCountInString(cmd.Short); n == 0 || n > 100 || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q is no line of help", cmd.CommandPath(), cmd.Short)
		}
		if !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
	for _, c := range commands {
		method := methodOf(c.method)
		inputs, choices := c.inputs(method.Input())
		cmd := &cobra.Command{Use: c.verb, SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs}
		addFlags(cmd, inputs)
		cmd.Flags().Bool("yes", false, "")
		cmd.Flags().Uint("limit", 0, "")
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := distribute(cmd, c.arguments(inputs), args); err != nil {
				return err
			}
			return complete(cmd, inputs, choices)
		}
		line, _, _ := strings.Cut(c.example, " < ")
		cmd.SetArgs(shellWords(line))
		cmd.SetOut(io.Discard)
		if err := cmd.Execute(); err != nil {
			t.Errorf("%s: %v", exampleLine(c.noun, c.verb, c.example), err)
		}
		if asks := strings.Contains(c.example, "--yes"); asks != (c.ask != "") {
			t.Errorf("%s %s: its example says --yes is %t, it asks is %t", c.noun, c.verb, asks, c.ask != "")
		}
	}
}

// shellWords splits a line at spaces outside double quotes.
func shellWords(line string) (words []string) {
	words = []string{}
	quoted := false
	for i, part := range strings.Split(line, `"`) {
		if quoted = i%2 == 1; quoted {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// What is called a secret is treated as one: shown when it is made, never taken from the command line, and never in a log. Fails with
// debug_redact taken from a field: tried with that of CreateWebhookResponse.
func TestSecretsAreMarked(t *testing.T) {
	t.Parallel()
	found := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("tenure.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			fields := file.Messages().Get(i).Fields()
			for j := range fields.Len() {
				f := fields.Get(j)
				if name := string(f.Name()); f.Kind() != protoreflect.StringKind || name != "secret" && name != "accept_token" {
					continue
				}
				if found++; !isSecret(f) {
					t.Errorf("%s is not marked debug_redact", f.FullName())
				}
			}
		}
		return true
	})
	if found < 6 {
		t.Errorf("only %d secrets found", found)
	}
}
