package tenancy

import (
	"fmt"
	"io"
	"strings"
)

// Title is the change without its fields.
func (c Change) Title() string {
	where := ""
	if c.Org != "" {
		where = c.Org + ": "
	}
	return fmt.Sprintf("%s%c %s", where, c.Action, c.What)
}

// String is the change on one line.
func (c Change) String() string {
	var parts []string
	for _, f := range c.Fields {
		part := f.New
		if c.Action == Update && f.Old != "" {
			part = f.Old + " -> " + f.New
		}
		parts = append(parts, strings.TrimPrefix(f.Name+" "+part, " "))
	}
	text := fmt.Sprintf("%c %s", c.Action, c.What)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, "; ")
	}
	return text
}

// Nothing is what a plan without changes prints.
const Nothing = "Nothing to change."

// Print shows the plan to people: by organization, the installation's part before and behind, notes at the end.
func (c *Changes) Print(w io.Writer) error {
	var b strings.Builder
	var heads []string
	under := map[string][]string{}
	for _, e := range c.List {
		head := e.Org
		switch {
		case head == "" && e.step < stepOrg:
			head = "installation"
		case head == "":
			head = "installation, at the end"
		default:
			head = "organization " + head
		}
		if under[head] == nil {
			heads = append(heads, head)
		}
		under[head] = append(under[head], e.String())
	}
	for _, head := range heads {
		fmt.Fprintf(&b, "%s\n", head)
		for _, line := range under[head] {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	if len(c.List) == 0 {
		b.WriteString(Nothing + "\n")
	} else {
		b.WriteString(c.Summary() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary counts the changes.
func (c *Changes) Summary() string {
	add, change, remove := c.Count()
	return fmt.Sprintf("%d to add, %d to change, %d to remove.", add, change, remove)
}
