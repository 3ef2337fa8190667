package tenancy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Encode writes what an installation holds as a file that Parse reads. The same state gives the same bytes. Secrets of keys
// are not in it, and what a file can't say is told in comments at the top.
func (p *Present) Encode() ([]byte, error) {
	f := p.File
	notes := slices.Clone(p.notes)
	if f.Policy != nil && f.Policy.OrgCreators != nil && f.Policy.OrgCreators.hidden > 0 {
		policy := *f.Policy
		notes = append(notes, fmt.Sprintf("policy: org_creators is left out, because %d of its addresses have no account and are kept as digests alone", policy.OrgCreators.hidden))
		policy.OrgCreators = nil
		f.Policy = &policy
	}
	f.Organizations = slices.Clone(f.Organizations)
	for i := range f.Organizations {
		var more []string
		f.Organizations[i], more = f.Organizations[i].listed()
		notes = append(notes, more...)
	}
	var n yaml.Node
	if err := n.Encode(f); err != nil {
		return nil, err
	}
	flow(&n, false)
	var b bytes.Buffer
	b.WriteString("# Read with: tenure apply -f FILE. It holds e-mails; it holds no secrets: where a key is missing, apply makes a new one.\n")
	for _, note := range notes {
		fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(shown(note), "\n", " "))
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// listed is the organization without what a file can't say, and what that is.
func (o Org) listed() (Org, []string) {
	var notes []string
	keys := func(holder string, all Section[Key]) Section[Key] {
		if all == nil {
			return nil
		}
		kept := Section[Key]{}
		for _, k := range all {
			if k.unclear != "" {
				notes = append(notes, k.unlisted(holder))
				continue
			}
			kept = append(kept, k)
		}
		return kept
	}
	o.Keys = keys(o.Name, o.Keys)
	o.Projects = slices.Clone(o.Projects)
	for i := range o.Projects {
		p := &o.Projects[i]
		p.Keys = keys(o.Name+"/"+p.Name, p.Keys)
		if len(p.Environments) == 0 {
			p.Environments = nil
		}
	}
	if o.ServiceAccounts != nil {
		accounts := Section[ServiceAccount]{}
		for _, a := range o.ServiceAccounts {
			if a.twins {
				notes = append(notes, fmt.Sprintf("service account %s of %s (%s) is left out: another has the same name", a.Name, o.Name, a.id))
				continue
			}
			a.Keys = keys(o.Name+"/"+a.Name, a.Keys)
			accounts = append(accounts, a)
		}
		o.ServiceAccounts = accounts
	}
	return o, notes
}

// flowWidth is how long a thing may be to be written on one line.
const flowWidth = 130

// flow writes lists of plain values, and what holds nothing deeper, on one line each. inside is false for the whole file.
func flow(n *yaml.Node, inside bool) {
	plain, width := true, 0
	for _, c := range n.Content {
		leaf := c.Kind == yaml.ScalarNode
		if c.Kind == yaml.SequenceNode && n.Kind == yaml.MappingNode {
			leaf = !slices.ContainsFunc(c.Content, func(e *yaml.Node) bool { return e.Kind != yaml.ScalarNode })
			for _, e := range c.Content {
				width += len(e.Value) + 2
			}
		}
		plain = plain && leaf
		width += len(c.Value) + 2
	}
	if inside && plain && width <= flowWidth && n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		flow(c, true)
	}
}
