package tenancy

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// PlanOptions say how far a plan goes.
type PlanOptions struct {
	// Prune removes what a section of the file does not list: memberships, overrides, keys, groups, roles, projects.
	Prune bool
	// PruneOrganizations deletes, with Prune, organizations that the file does not list, with their projects and keys.
	PruneOrganizations bool
	// Now is the time at which expiries are judged.
	Now time.Time
}

// PlanChanges decides what leads from the present state to the file, and in which order. It is a pure function: it reads
// nothing, and the same input gives the same plan. An error is Mistakes: every reference of the file that leads nowhere;
// then there is no plan.
func PlanChanges(want *File, have *Present, o PlanOptions) (*Changes, error) {
	p := &planner{PlanOptions: o, want: want, have: have, ids: map[ref]string{}, renamed: map[ref]string{}}
	for email, id := range have.people {
		p.ids[ref{"user", "", email}] = id
	}
	p.match()
	p.planPlans()
	p.planDataPlanes()
	p.planUsers()
	p.signUp()
	for _, matched := range p.orgs {
		p.planOrg(matched)
	}
	p.planPolicy()
	p.planAdmins()
	if len(p.list) > 0 {
		return nil, p.list
	}
	slices.SortStableFunc(p.changes, func(a, b Change) int { return int(a.step) - int(b.step) })
	return &Changes{List: p.changes, Notes: p.notes, ids: p.ids, want: want}, nil
}

type planner struct {
	PlanOptions
	mistakes
	want    *File
	have    *Present
	orgs    []plannedOrg
	changes []Change
	notes   []string
	// ids are those of what is there.
	ids map[ref]string
	// renamed are new names of projects by their present ones.
	renamed map[ref]string
}

// projectName is what a project that is there will be named.
func (p *planner) projectName(org, present string) string {
	if name, ok := p.renamed[ref{"project", org, fold(present)}]; ok {
		return name
	}
	return present
}

// ref names something that has an id: its kind, the organization it is in, its name there.
type ref struct{ kind, org, name string }

// plannedOrg is an organization that the file names, that is there, or both.
type plannedOrg struct {
	// label names it in the plan; it is the id of one that is not in the file.
	label      string
	want, have *Org
}

func (o plannedOrg) hasProject(name string) bool {
	return slices.ContainsFunc([]*Org{o.want, o.have}, func(side *Org) bool {
		return side != nil && slices.ContainsFunc(side.Projects, func(e Project) bool { return fold(e.Name) == fold(name) })
	})
}

// named are the organizations of this id, else of this name.
func (p *planner) named(name string) []plannedOrg {
	by := func(field func(*Org) string) (found []plannedOrg) {
		for _, o := range p.orgs {
			side := o.want
			if side == nil || field(side) == "" {
				side = o.have
			}
			if side != nil && field(side) == name {
				found = append(found, o)
			}
		}
		return found
	}
	if found := by(func(o *Org) string { return o.ID }); len(found) > 0 {
		return found
	}
	return by(func(o *Org) string { return o.Name })
}

func (p *planner) add(c Change) { p.changes = append(p.changes, c) }

func (p *planner) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// match finds for every organization of the file the one that is there, if there is one.
func (p *planner) match() {
	taken := map[string]bool{}
	for i := range p.want.Organizations {
		o := plannedOrg{label: labelOf(p.want.Organizations, i), want: &p.want.Organizations[i]}
		if id := o.want.ID; id != "" {
			name, gone := p.have.deleted[id]
			p.at(gone, "organization "+o.want.Name, "the id %s was that of %s, which was deleted for good; choose another id", id, name)
			for j := range p.have.Organizations {
				if h := &p.have.Organizations[j]; h.ID == id {
					o.have, taken[id] = h, true
				}
			}
		}
		p.orgs = append(p.orgs, o)
	}
	for i := range p.orgs {
		o := &p.orgs[i]
		if o.want.ID != "" {
			continue
		}
		var ids []string
		for j := range p.have.Organizations {
			if h := &p.have.Organizations[j]; h.Name == o.want.Name && !taken[h.ID] {
				o.have, ids = h, append(ids, h.ID)
			}
		}
		p.at(len(ids) > 1, "organization "+o.label, "%d organizations have this name (%v); give the id of the one that is meant", len(ids), ids)
		for _, id := range ids {
			taken[id] = true
		}
	}
	for j := range p.have.Organizations {
		if h := &p.have.Organizations[j]; !taken[h.ID] {
			p.orgs = append(p.orgs, plannedOrg{label: h.ID, have: h})
		}
	}
	for _, o := range p.orgs {
		if o.have != nil {
			p.seed(o.label, o.have)
		}
	}
}

// seed notes the ids in an organization that is there.
func (p *planner) seed(label string, h *Org) {
	p.ids[ref{"organization", "", label}] = h.ID
	for _, e := range h.ServiceAccounts {
		p.ids[ref{"service account", label, e.Name}] = e.id
	}
	for _, e := range h.Groups {
		p.ids[ref{"group", label, fold(e.Name)}] = e.id
	}
	for _, e := range h.Projects {
		p.ids[ref{"project", label, fold(e.Name)}] = e.ID
	}
}

// knows tells whether somebody has an account, or gets one.
func (p *planner) knows(email string) bool {
	_, known := p.have.people[email]
	return known || slices.ContainsFunc(p.want.Users, func(u User) bool { return u.Email == email })
}

// person notes a mistake about somebody whom nobody knows.
func (p *planner) person(place, email string) {
	p.at(!p.knows(email), place, "%s is neither among the users of the file nor known to the server", email)
}

// refusedNow tells whether a naming policy that is in force would refuse a name in the file.
func (p *planner) refusedNow() bool {
	if p.have.Policy == nil || p.have.Policy.Naming == nil || p.have.Policy.Naming.WarnOnly {
		return false
	}
	n := p.have.Policy.Naming
	orgs, err := regexp.Compile(n.OrgPattern)
	projects, projectsErr := regexp.Compile(n.ProjectPattern)
	if err != nil || projectsErr != nil {
		return false
	}
	for _, o := range p.want.Organizations {
		if !orgs.MatchString(o.Name) || slices.ContainsFunc(o.Projects, func(q Project) bool { return !projects.MatchString(q.Name) }) {
			return true
		}
	}
	return false
}
