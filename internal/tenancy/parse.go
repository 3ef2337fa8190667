package tenancy

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a file. A field it does not know is an error with its line, because it is most likely a typing mistake. An error is
// Mistakes, all of them; names that only the installation can know are left to PlanChanges.
func Parse(text []byte) (*File, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var f File
	var unfit *yaml.TypeError
	switch err := d.Decode(&f); {
	case errors.Is(err, io.EOF):
		return nil, Mistakes{errors.New("the file is empty")}
	case errors.As(err, &unfit):
		var found Mistakes
		for _, text := range unfit.Errors {
			found = append(found, errors.New(unknownField.ReplaceAllString(text, "there is no field $1 here")))
		}
		return nil, found
	case err != nil:
		return nil, Mistakes{err}
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, Mistakes{errors.New("the file holds more than one document; put everything into the first")}
	}
	f.normalize()
	if found := f.mistakes(); len(found) > 0 {
		return nil, found
	}
	return &f, nil
}

// unknownField is how the YAML package speaks of a field that its caller does not know.
var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// normalize brings what can be written in several ways into the one that the server answers.
func (f *File) normalize() {
	for i := range f.Users {
		f.Users[i].Email = address(f.Users[i].Email)
	}
	for i := range f.InstanceAdmins {
		f.InstanceAdmins[i] = address(f.InstanceAdmins[i])
	}
	if f.Policy != nil {
		if c := f.Policy.OrgCreators; c != nil {
			for i := range c.Emails {
				c.Emails[i] = address(c.Emails[i])
			}
			slices.Sort(c.Emails)
		}
		for i := range f.Policy.SignUp {
			g := &f.Policy.SignUp[i]
			g.Role, g.ProjectRole = roleName(g.Role), roleName(g.ProjectRole)
		}
	}
	for i := range f.Organizations {
		f.Organizations[i].normalize()
	}
}

func (o *Org) normalize() {
	for i := range o.Roles {
		slices.Sort(o.Roles[i].OrganizationPermissions)
		slices.Sort(o.Roles[i].ProjectPermissions)
	}
	for i := range o.Members {
		m := &o.Members[i]
		m.Email, m.Role = address(m.Email), roleName(m.Role)
	}
	for i := range o.ServiceAccounts {
		a := &o.ServiceAccounts[i]
		a.Role = roleName(a.Role)
		normalizeKeys(a.Keys)
	}
	for i := range o.Groups {
		g := &o.Groups[i]
		g.Role = roleName(g.Role)
		for project, role := range g.ProjectRoles {
			g.ProjectRoles[project] = roleName(role)
		}
		for j, m := range g.Members {
			// Names of service accounts keep their letters.
			if !slices.ContainsFunc(o.ServiceAccounts, func(a ServiceAccount) bool { return a.Name == m }) && strings.Contains(m, "@") {
				g.Members[j] = address(m)
			}
		}
		slices.Sort(g.Members)
	}
	for i := range o.Projects {
		p := &o.Projects[i]
		if p.Environments != nil {
			p.Environments = declared(p.Environments)
		}
		for j := range p.Overrides {
			v := &p.Overrides[j]
			v.Email, v.Role = address(v.Email), roleName(v.Role)
		}
		normalizeKeys(p.Keys)
	}
	normalizeKeys(o.Keys)
}

func normalizeKeys(keys Section[Key]) {
	for i := range keys {
		k := &keys[i]
		slices.Sort(k.Permissions)
		slices.Sort(k.Environments)
		for j, n := range k.AllowedNetworks {
			if network, ok := parseNetwork(n); ok {
				k.AllowedNetworks[j] = network.String()
			}
		}
		slices.Sort(k.AllowedNetworks)
	}
}

func address(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

var builtInRoles = []string{"OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"}

func isBuiltIn(role string) bool { return slices.Contains(builtInRoles, strings.ToUpper(role)) }

// roleName is a role as the server spells it, if it is a built-in one.
func roleName(role string) string {
	if isBuiltIn(role) {
		return strings.ToUpper(role)
	}
	return role
}

// fold is the form in which names of projects, groups and roles are compared.
func fold(name string) string { return strings.ToLower(name) }

// declared are environments, sorted, without the one that every project has.
func declared(environments []string) Section[string] {
	list := Section[string]{}
	for _, e := range environments {
		if e != "default" {
			list = append(list, e)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func parseNetwork(text string) (netip.Prefix, bool) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err == nil
}
