package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

func (p *planner) planPolicy() {
	if p.want.Policy == nil {
		return
	}
	want, have := p.want.Policy, &Policy{}
	if p.have.Policy != nil {
		have = p.have.Policy
	}
	p.planNaming(want.Naming, have.Naming)
	p.planCreators(want.OrgCreators, have.OrgCreators)
	p.planSignUp(want.SignUp, have.SignUp)
}

// planNaming puts the new policy behind the organizations: names that a file brings from elsewhere may be older than it. But
// if the present one would refuse the file's names, the new one comes first.
func (p *planner) planNaming(w, h *Naming) {
	if w == nil {
		return
	}
	have := value(h)
	var f fields
	f.text("org_pattern", have.OrgPattern, &w.OrgPattern)
	f.text("org_form", have.OrgForm, &w.OrgForm)
	f.text("project_pattern", have.ProjectPattern, &w.ProjectPattern)
	f.text("project_form", have.ProjectForm, &w.ProjectForm)
	f.flag("warn_only", &have.WarnOnly, &w.WarnOnly)
	if f == nil {
		return
	}
	at := stepPolicy
	if p.refusedNow() {
		at = stepNaming
	}
	p.add(Change{Update, "", "policy for names", f, at, func(ctx context.Context, a *applier) error {
		_, err := a.instance.UpdatePolicy(ctx, &tenurev1.UpdatePolicyRequest{Naming: &tenurev1.NamingPolicy{
			OrgPattern: w.OrgPattern, OrgForm: w.OrgForm, ProjectPattern: w.ProjectPattern, ProjectForm: w.ProjectForm, WarnOnly: w.WarnOnly,
		}})
		return err
	}})
}

func (p *planner) planCreators(w, h *OrgCreators) {
	if w == nil {
		return
	}
	have := value(h)
	if have.hidden > 0 && w.Who == "listed" {
		// Of who has no account the server keeps a digest; as many as that may be the same.
		unseen := slices.DeleteFunc(slices.Clone(w.Emails), func(e string) bool {
			return slices.Contains(have.Emails, e) || strings.HasPrefix(e, "*@") || p.knows(e)
		})
		if len(unseen) == have.hidden {
			have.Emails = slices.Sorted(slices.Values(append(slices.Clone(have.Emails), unseen...)))
			p.note("policy for creators of organizations: %d addresses without an account can't be compared and are taken to be the same", have.hidden)
		}
	}
	var f fields
	f.text("who", have.Who, &w.Who)
	f.list("emails", have.Emails, append(Section[string]{}, w.Emails...))
	if f == nil {
		return
	}
	p.add(Change{Update, "", "policy for creators of organizations", f, stepPolicy, func(ctx context.Context, a *applier) error {
		_, err := a.instance.UpdatePolicy(ctx, &tenurev1.UpdatePolicyRequest{
			OrgCreators: &tenurev1.OrgCreatorsPolicy{Who: creators[w.Who], Emails: w.Emails},
		})
		return err
	}})
}

func (p *planner) planSignUp(want, have Section[SignUp]) {
	if want == nil {
		return
	}
	var wanted, present []SignUp
	for _, g := range want {
		o := p.referred(g)
		wanted = append(wanted, SignUp{o.label, g.Role, fold(g.Project), g.ProjectRole})
	}
	for _, g := range have {
		if i := p.present(g); i >= 0 {
			g.Organization = p.orgs[i].label
			g.Project = p.projectName(g.Organization, g.Project)
		}
		present = append(present, SignUp{g.Organization, g.Role, fold(g.Project), g.ProjectRole})
	}
	if slices.Equal(wanted, present) {
		return
	}
	f := fields{{"grants", signUpShown(have), signUpShown(want)}}
	p.add(Change{Update, "", "policy for sign-up", f, stepPolicy, func(ctx context.Context, a *applier) error {
		grants := []*tenurev1.SignUpGrant{}
		for _, g := range wanted {
			grant := &tenurev1.SignUpGrant{OrgId: a.id(ref{"organization", "", g.Organization}), Role: g.Role, ProjectRole: g.ProjectRole}
			if g.Project != "" {
				grant.ProjectId = a.id(ref{"project", g.Organization, g.Project})
			}
			grants = append(grants, grant)
		}
		_, err := a.instance.UpdatePolicy(ctx, &tenurev1.UpdatePolicyRequest{SignUp: &tenurev1.SignUpPolicy{Grants: grants}})
		return err
	}})
}

// referred finds the organization that a sign-up grant means, and checks the project.
func (p *planner) referred(g SignUp) plannedOrg {
	found := p.named(g.Organization)
	switch {
	case len(found) == 0:
		p.at(true, "policy, sign_up", "there is no organization %s", g.Organization)
		return plannedOrg{}
	case len(found) > 1:
		p.at(true, "policy, sign_up", "%d organizations are named %s; give the id", len(found), g.Organization)
	}
	o := found[0]
	p.at(g.Project != "" && !o.hasProject(g.Project), "policy, sign_up", "organization %s has no project %s", g.Organization, g.Project)
	return o
}

// present finds the organization that a present sign-up grant means; -1 if it is gone.
func (p *planner) present(g SignUp) int {
	by := func(field func(*Org) string) int {
		return slices.IndexFunc(p.orgs, func(o plannedOrg) bool { return o.have != nil && field(o.have) == g.Organization })
	}
	if i := by(func(o *Org) string { return o.ID }); i >= 0 {
		return i
	}
	return by(func(o *Org) string { return o.Name })
}

// signUp counts as there what the present policy gives those who are going to be registered.
func (p *planner) signUp() {
	if p.have.Policy == nil {
		return
	}
	for _, g := range p.have.Policy.SignUp {
		at := p.present(g)
		if at < 0 || isTrue(p.orgs[at].have.Suspended) {
			continue
		}
		org := *p.orgs[at].have
		org.Members, org.Projects = slices.Clone(org.Members), slices.Clone(org.Projects)
		for _, u := range p.want.Users {
			if slices.ContainsFunc(p.have.Users, func(h User) bool { return h.Email == u.Email }) {
				continue
			}
			org.Members = append(org.Members, Member{Email: u.Email, Role: g.Role})
			for i := range org.Projects {
				if e := &org.Projects[i]; g.Project != "" && fold(e.Name) == fold(g.Project) {
					e.Overrides = append(slices.Clone(e.Overrides), Override{Email: u.Email, Role: g.ProjectRole})
				}
			}
		}
		p.orgs[at].have = &org
	}
}

func signUpShown(list []SignUp) string {
	var text []string
	for _, g := range list {
		one := fmt.Sprintf("%s in %s", g.Role, g.Organization)
		if g.Project != "" {
			one += fmt.Sprintf(" and %s in its %s", g.ProjectRole, g.Project)
		}
		text = append(text, one)
	}
	return shown(strings.Join(text, "; "))
}
