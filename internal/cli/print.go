package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// print prints a response. called has what people call some of the things in it, by id.
func (c command) print(w io.Writer, format string, res proto.Message, inputs []*input, called map[string]string) error {
	m := res.ProtoReflect()
	if format != people {
		return printMessage(w, format, res)
	}
	if c.say != "" {
		fmt.Fprintln(w, fillIn(c.say, m, inputs))
		return printSecrets(w, m)
	}
	f := subject(m.Descriptor(), c.show)
	if f == nil && m.Descriptor().Fields().Len() > 0 && m.Descriptor().Fields().Get(0).IsList() {
		f = m.Descriptor().Fields().Get(0)
	}
	switch {
	case f == nil:
		return printRecord(w, m)
	case f.IsList() && f.Message() == (*tenurev1.AuditRecord)(nil).ProtoReflect().Descriptor():
		return printAudit(w, res.(*tenurev1.QueryAuditResponse).Records, called)
	case f.IsList() && f.Message() == (*tenurev1.AccessLogRecord)(nil).ProtoReflect().Descriptor():
		return printAccess(w, res.(*tenurev1.QueryAccessLogResponse).Records, called)
	case f.IsList():
		return printList(w, f, m.Get(f).List())
	}
	return printRecord(w, m.Get(f).Message())
}

// printSecrets shows what is shown once.
func printSecrets(w io.Writer, m protoreflect.Message) error {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !isSecret(f) || !m.Has(f) {
			continue
		}
		lines := &table{header: []string{"", "", ""}}
		if key := subject(m.Descriptor(), ""); key != nil && key.Message().Fields().ByName("public_key") != nil {
			lines.rows = append(lines.rows, []string{"", "public key", get(m.Get(key).Message(), "public_key").String()})
		}
		name := strings.ReplaceAll(string(f.Name()), "_", " ")
		lines.rows = append(lines.rows, []string{"", name, m.Get(f).String()})
		if err := printLines(w, "  ", lines.rows); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "The %s is shown this once: keep it now.\n", name); err != nil {
			return err
		}
	}
	return nil
}

// printLines prints names and values.
func printLines(w io.Writer, indent string, rows [][]string) error {
	longest := 0
	for _, row := range rows {
		longest = max(longest, columnsOf(row[len(row)-2]))
	}
	for _, row := range rows {
		name, value := row[len(row)-2], row[len(row)-1]
		line := indent + name + strings.Repeat(" ", longest-columnsOf(name)+2) + value
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// printRecord prints one thing: a line for each field that is there, and a table for each list in it.
func printRecord(w io.Writer, m protoreflect.Message) error {
	var rows [][]string
	var lists []protoreflect.FieldDescriptor
	var walk func(m protoreflect.Message, prefix string)
	walk = func(m protoreflect.Message, prefix string) {
		for i := range m.Descriptor().Fields().Len() {
			f := m.Descriptor().Fields().Get(i)
			name := prefix + header(f)
			old := pairOf(f)
			switch {
			case f.Name() == "token" || f.HasPresence() && !m.Has(f):
			case old != nil:
				rows = append(rows, pairRow(m, old, f)...)
			case strings.HasPrefix(string(f.Name()), "old_") && m.Descriptor().Fields().ByName("new_"+f.Name()[4:]) != nil:
			case f.IsList() && f.Message() != nil && prefix == "" && f.Message().Name() != "ProjectRole":
				if m.Get(f).List().Len() > 0 {
					lists = append(lists, f)
				} else {
					rows = append(rows, []string{name, "none"})
				}
			case f.IsList():
				rows = append(rows, listRows(name, f, m.Get(f).List())...)
			case f.Message() != nil && !f.IsMap() && !wellKnown(f):
				walk(m.Get(f).Message(), name+" ")
			default:
				if text := cell(f, m.Get(f), exact); text != "" {
					rows = append(rows, []string{name, text})
				}
			}
		}
	}
	walk(m, "")
	if err := printLines(w, "", rows); err != nil {
		return err
	}
	for _, f := range lists {
		if _, err := fmt.Fprintf(w, "\n%s:\n", header(f)); err != nil {
			return err
		}
		if err := printList(w, f, m.Get(f).List()); err != nil {
			return err
		}
	}
	return nil
}

// pairOf is the field old_x of a field new_x.
func pairOf(f protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	name, isNew := strings.CutPrefix(string(f.Name()), "new_")
	if !isNew {
		return nil
	}
	return f.ContainingMessage().Fields().ByName(protoreflect.Name("old_" + name))
}

// pairRow tells what changes, if it does.
func pairRow(m protoreflect.Message, old, now protoreflect.FieldDescriptor) [][]string {
	from, to := cell(old, m.Get(old), exact), cell(now, m.Get(now), exact)
	if from == to {
		return nil
	}
	return [][]string{{strings.TrimPrefix(header(now), "new "), cmp.Or(from, "none") + " -> " + cmp.Or(to, "none")}}
}

// listRows are a few values in one line, many in a line each.
func listRows(name string, f protoreflect.FieldDescriptor, list protoreflect.List) (rows [][]string) {
	var cells []string
	for i := range list.Len() {
		cells = append(cells, single(f, list.Get(i), exact))
	}
	if len(cells) == 0 {
		return nil
	}
	if len(cells) <= 3 {
		return [][]string{{name, strings.Join(cells, ", ")}}
	}
	for i, c := range cells {
		if i > 0 {
			name = ""
		}
		rows = append(rows, []string{name, c})
	}
	return rows
}

// printList prints a table.
func printList(w io.Writer, of protoreflect.FieldDescriptor, list protoreflect.List) error {
	t := &table{}
	if of.Message() == nil {
		t.header = []string{strings.ToUpper(strings.TrimSuffix(header(of), "s"))}
		for i := range list.Len() {
			t.rows = append(t.rows, []string{single(of, list.Get(i), brief)})
		}
		return t.print(w)
	}
	fields, counted := columnsOfType(of.Message())
	for _, f := range fields {
		t.header = append(t.header, strings.ToUpper(header(f)))
	}
	for i := range list.Len() {
		t.rows = append(t.rows, rowOf(list.Get(i).Message(), fields, counted))
	}
	return t.print(w)
}

func columnsOfType(m protoreflect.MessageDescriptor) (fields []protoreflect.FieldDescriptor, counted map[protoreflect.Name]bool) {
	counted = map[protoreflect.Name]bool{}
	spec, ok := columns[string(m.Name())]
	if !ok {
		for i := range m.Fields().Len() {
			fields = append(fields, m.Fields().Get(i))
		}
		return fields, counted
	}
	for _, name := range strings.Fields(spec) {
		name, count := strings.CutPrefix(name, "#")
		counted[protoreflect.Name(name)] = count
		fields = append(fields, m.Fields().ByName(protoreflect.Name(name)))
	}
	return fields, counted
}

func rowOf(m protoreflect.Message, fields []protoreflect.FieldDescriptor, counted map[protoreflect.Name]bool) (row []string) {
	for _, f := range fields {
		switch {
		case counted[f.Name()]:
			row = append(row, fmt.Sprint(m.Get(f).List().Len()))
		case f.HasPresence() && !m.Has(f):
			row = append(row, "")
		case f.Kind() == protoreflect.BoolKind && !f.IsList() && !m.Get(f).Bool() && !decides(f):
			row = append(row, "")
		default:
			row = append(row, cell(f, m.Get(f), brief))
		}
	}
	return row
}

// decides tells whether a no is worth as much as a yes.
func decides(f protoreflect.FieldDescriptor) bool {
	return f.Name() == "allowed" || f.Name() == "valid"
}

// header is what people call a field.
func header(f protoreflect.FieldDescriptor) string {
	name := string(f.Name())
	if plural, ids := strings.CutSuffix(name, "_ids"); ids {
		name = plural + "s"
	} else if name != "id" {
		name = strings.TrimSuffix(strings.TrimSuffix(name, "_id"), "_at")
	}
	return strings.ReplaceAll(name, "_", " ")
}

// fillIn puts values into a row's text.
func fillIn(template string, res protoreflect.Message, inputs []*input) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		paths, after, _ := strings.Cut(rest, "}")
		for _, path := range strings.Split(paths, "|") {
			if text := filling(path, res, inputs); text != "" {
				b.WriteString(text)
				break
			}
		}
		template = after
	}
}

func filling(path string, res protoreflect.Message, inputs []*input) string {
	if word, literal := strings.CutPrefix(path, "'"); literal {
		return strings.TrimSuffix(word, "'")
	}
	for m := res; m != nil; {
		name, rest, deeper := strings.Cut(path, ".")
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if f == nil {
			break
		}
		if !deeper {
			return cell(f, m.Get(f), brief)
		}
		m, path = m.Get(f).Message(), rest
	}
	for _, in := range inputs {
		if dotted(in.path) == path {
			return visible(in.typed())
		}
	}
	return ""
}
