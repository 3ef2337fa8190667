package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	// The messages that commands send and get are looked up by name.
	_ "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// input is a field of a request as the command line takes it: an argument or a flag.
type input struct {
	// path leads from the request to the field.
	path []protoreflect.FieldDescriptor
	// name is the flag's name, or the argument's in the usage line.
	name string
	kind kind
	// argument tells that it stands behind the verb; required that there is no leaving it out.
	argument, required bool
	given
}

func (in *input) field() protoreflect.FieldDescriptor { return in.path[len(in.path)-1] }

// say is how a message calls it.
func (in *input) say() string {
	if in.argument {
		return strings.ToUpper(in.name)
	}
	return "--" + in.name
}

// choice is a group of inputs of which one at most may be given, or exactly one.
type choice struct {
	inputs   []*input
	required bool
}

// flagNames are names that do not follow from the field's; of a message inside a request, the prefix of its fields' names.
var flagNames = map[string]string{
	"CreateOrgRequest.owner_user_id":   "owner",
	"CreateGroupRequest.project_roles": "project-role",
	"UpdateGroupRequest.project_roles": "project-role",
	"BatchCheckRequest.checks":         "check",
	"ExplainRequest.check":             "",
	"DefinePlanRequest.quotas":         "quota",
	"SignUpPolicy.grants":              "",
	"QueryAuditRequest.filter":         "",
	"ExportAuditRequest.filter":        "",
	"WatchAuditRequest.filter":         "",
	"AuditFilter.command_id":           "command-id",
}

// inputs are all fields of the command's request but those that page through a list, which the program does itself.
func (c command) inputs(m protoreflect.MessageDescriptor) (list []*input, choices []choice) {
	arguments := strings.Fields(c.args)
	var walk func(m protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, prefix string)
	walk = func(m protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, prefix string) {
		first := len(list)
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Name() == "page_size" || f.Name() == "page_token" {
				continue
			}
			path, name := append(slices.Clone(path), f), flagName(f, prefix)
			if f.Message() != nil && !f.IsList() && !f.IsMap() && !wellKnown(f) {
				walk(f.Message(), path, name)
				continue
			}
			in := &input{path: path, name: name, kind: kindOf(f), required: isRequired(f)}
			if string(f.Name()) == c.chosen {
				in.name, in.kind = "id", text
			}
			in.given = given{many: f.IsList() || f.IsMap(), commas: f.IsList() && f.Message() == nil, help: in.kind.placeholder(f)}
			for _, a := range arguments {
				if strings.TrimRight(a, "?!") == dotted(path) {
					in.argument, in.required = true, !strings.HasSuffix(a, "?")
				}
			}
			list = append(list, in)
		}
		for _, rule := range messageRules(m).GetOneof() {
			var of choice
			of.required = rule.GetRequired()
			for _, in := range list[first:] {
				if slices.Contains(rule.GetFields(), string(in.field().Name())) {
					of.inputs = append(of.inputs, in)
				}
			}
			choices = append(choices, of)
		}
	}
	walk(m, nil, "")
	return list, choices
}

// arguments are the inputs that stand behind the verb, in the order of the command's row.
func (c command) arguments(list []*input) (arguments []*input) {
	for _, a := range strings.Fields(c.args) {
		for _, in := range list {
			if dotted(in.path) == strings.TrimRight(a, "?!") {
				arguments = append(arguments, in)
			}
		}
	}
	return arguments
}

func dotted(path []protoreflect.FieldDescriptor) string {
	var names []string
	for _, f := range path {
		names = append(names, string(f.Name()))
	}
	return strings.Join(names, ".")
}

// flagName is the field's name without what says that it holds ids or a time.
func flagName(f protoreflect.FieldDescriptor, prefix string) string {
	name, ours := flagNames[strings.TrimPrefix(string(f.FullName()), apiPackage)]
	if !ours {
		name = string(f.Name())
		if plural, ids := strings.CutSuffix(name, "_ids"); ids {
			name = plural + "s"
		} else {
			name = strings.TrimSuffix(strings.TrimSuffix(name, "_id"), "_at")
		}
	}
	name = strings.ReplaceAll(name, "_", "-")
	return strings.Trim(prefix+"-"+name, "-")
}

// distribute gives the arguments of a command line to the inputs. What may be left out is, from the left, as long as there
// are fewer arguments than inputs.
func distribute(cmd *cobra.Command, inputs []*input, args []string) error {
	if len(args) > len(inputs) {
		return usagef(cmd, "%q is one argument too many", args[len(inputs)])
	}
	missing := len(inputs) - len(args)
	for _, in := range inputs {
		if missing > 0 && !in.required {
			missing--
			continue
		}
		if len(args) == 0 {
			return usagef(cmd, "%s is missing", in.say())
		}
		in.values, in.set = args[:1], true
		args = args[1:]
	}
	return nil
}

// complete checks that nothing is missing and that no two inputs exclude each other.
func complete(cmd *cobra.Command, inputs []*input, choices []choice) error {
	for _, in := range inputs {
		if in.required && !in.set {
			return usagef(cmd, "%s is missing", in.say())
		}
	}
	for _, of := range choices {
		var all, set []string
		for _, in := range of.inputs {
			all = append(all, in.say())
			if in.set {
				set = append(set, in.say())
			}
		}
		if len(set) > 1 {
			return usagef(cmd, "%s exclude each other", strings.Join(set, " and "))
		}
		if of.required && len(set) == 0 {
			return usagef(cmd, "one of %s is needed", strings.Join(all, ", "))
		}
	}
	return nil
}

// helpText is what --help says about an input.
func (in *input) helpText() string {
	f := in.field()
	help := strings.ReplaceAll(comments()[string(f.FullName())], "`", "'")
	if help == "" {
		help = in.kind.help(f)
	}
	if in.required && !in.argument {
		help += " (required)"
	}
	switch {
	case f.Enum() != nil:
		help += " (" + strings.Join(enumWords(f.Enum()), ", ") + ")"
	case f.Message() != nil && f.Message().Name() == "Timestamp" && looksBack(f):
		help += " (2031-01-31T12:00:00Z, 2031-01-31, or how long ago: 24h, 7d)"
	case f.Message() != nil && f.Message().Name() == "Timestamp":
		help += " (2031-01-31T12:00:00Z, 2031-01-31, or from now: 24h, 7d)"
	case f.Message() != nil && f.Message().Name() == "Duration":
		help += " (90m, 24h, 7d)"
	case in.kind == secret:
		help += " (- reads it from standard input)"
	}
	return strings.TrimSpace(help)
}

func messageRules(m protoreflect.MessageDescriptor) *validate.MessageRules {
	return proto.GetExtension(m.Options(), validate.E_Message).(*validate.MessageRules)
}

func fieldRules(f protoreflect.FieldDescriptor) *validate.FieldRules {
	return proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
}

// isRequired tells whether the server would refuse the field empty, as far as the declared limits say so.
func isRequired(f protoreflect.FieldDescriptor) bool {
	rules := fieldRules(f)
	if f.HasPresence() && !rules.GetRequired() || rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE {
		return false
	}
	for _, c := range rules.GetCel() {
		if c.GetId() == "name" {
			return true
		}
	}
	if f.IsList() {
		return rules.GetRepeated().GetMinItems() > 0
	}
	s := rules.GetString()
	if s == nil {
		return false
	}
	matches, err := regexp.MatchString(s.GetPattern(), "")
	return s.GetMinLen() > 0 || s.GetEmail() || s.GetUri() || err == nil && !matches || len(s.GetIn()) > 0 && !slices.Contains(s.GetIn(), "")
}

// given is what the command line gave a flag; it is a pflag.Value.
type given struct {
	values       []string
	set          bool
	many, commas bool
	help         string
}

func (g *given) Set(s string) error {
	switch {
	case g.commas && s != "":
		g.values = append(g.values, strings.Split(s, ",")...)
	case g.many && s == "":
	case g.many:
		g.values = append(g.values, s)
	default:
		g.values = []string{s}
	}
	g.set = true
	return nil
}

func (g *given) String() string { return strings.Join(g.values, ",") }

// Type stands in the usage behind the flag's name.
func (g *given) Type() string {
	if g.many {
		return g.help + ",..."
	}
	return g.help
}

// typed is what was typed, for messages.
func (g *given) typed() string { return strings.Join(g.values, ", ") }

// addFlags gives a command its flags.
func addFlags(cmd *cobra.Command, inputs []*input) {
	for _, in := range inputs {
		if in.argument {
			continue
		}
		f := cmd.Flags().VarPF(&in.given, in.name, "", in.helpText())
		if in.field().Kind() == protoreflect.BoolKind {
			f.NoOptDefVal = "true"
		}
	}
}

// use is the usage line behind the noun.
func (c command) use(arguments []*input) string {
	use := c.verb
	for _, in := range arguments {
		if in.required {
			use += " " + strings.ToUpper(in.name)
		} else {
			use += fmt.Sprintf(" [%s]", strings.ToUpper(in.name))
		}
	}
	return use
}
