package tenancy

import (
	"context"
	"slices"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// grant is a role of somebody at a place, wanted or there.
type grant struct {
	// who is the person or service account, project the place; empty for the organization itself.
	who     ref
	project string
	role    string
	expires *Expiry
}

// planGrant gives a role, or changes it. What it says is compared as a whole, but an expiry that the file leaves out is kept.
func (p *orgPlanner) planGrant(what string, w, h grant) {
	if w.expires.passed(p.Now) {
		p.note("the role %s of %s has expired by the file; it is neither given nor taken away", w.role, w.who.name)
		return
	}
	var f fields
	role := fold(h.role) != fold(w.role) && f.text("role", h.role, &w.role)
	expires := f.expiry("expires_at", h.expires, w.expires)
	if !role && !expires {
		return
	}
	if w.expires == nil {
		w.expires = h.expires
	}
	action, at := Update, stepMembers
	if h.role == "" {
		action = Create
	}
	switch {
	case w.project != "":
		at = stepOverrides
	case w.role == "OWNER" && w.expires.equal(nil):
		at = stepOwners
	}
	p.add(action, what, f, at, func(ctx context.Context, a *applier) error {
		req := &tenurev1.GrantRoleRequest{UserId: a.id(w.who), Role: w.role, ExpiresAt: w.expires.wire()}
		if w.project != "" {
			req.ProjectId = a.id(ref{"project", p.label, fold(w.project)})
		} else {
			req.OrgId = p.id(a)
		}
		_, err := a.members.GrantRole(ctx, req)
		return err
	})
}

func (p *orgPlanner) planSuspended(what string, who ref, want, have *bool) {
	var f fields
	if !f.flag("suspended", have, want) {
		return
	}
	if *want {
		p.add(Update, what, f, stepSuspendMembers, func(ctx context.Context, a *applier) error {
			_, err := a.members.SuspendMember(ctx, &tenurev1.SuspendMemberRequest{OrgId: p.id(a), UserId: a.id(who)})
			return err
		})
		return
	}
	p.add(Update, what, f, stepMembers, func(ctx context.Context, a *applier) error {
		_, err := a.members.ResumeMember(ctx, &tenurev1.ResumeMemberRequest{OrgId: p.id(a), UserId: a.id(who)})
		return err
	})
}

// revoke ends a membership.
func (p *orgPlanner) revoke(what string, who ref, at step) {
	p.add(Remove, what, nil, at, func(ctx context.Context, a *applier) error {
		_, err := a.members.RevokeRole(ctx, &tenurev1.RevokeRoleRequest{OrgId: p.id(a), UserId: a.id(who)})
		return err
	})
}

func (p *orgPlanner) planMembers() {
	find := func(list []Member, email string) (Member, bool) {
		i := slices.IndexFunc(list, func(m Member) bool { return m.Email == email })
		if i < 0 {
			return Member{}, false
		}
		return list[i], true
	}
	for _, w := range p.want.Members {
		p.person(p.place+", members", w.Email)
		h, _ := find(p.have.Members, w.Email)
		who, what := ref{"user", "", w.Email}, "member "+w.Email
		if w.Role != "" {
			p.planGrant(what, grant{who, "", w.Role, w.ExpiresAt}, grant{who, "", h.Role, h.ExpiresAt})
		}
		p.planSuspended(what, who, w.Suspended, h.Suspended)
	}
	if !p.Prune || p.want.Members == nil {
		return
	}
	for _, h := range p.have.Members {
		if _, listed := find(p.want.Members, h.Email); listed || h.Role == "" {
			continue
		}
		// Whose place somebody else takes, as an owner or through a group, goes after that.
		at := stepDropMembers
		grouped := func(g Group) bool { return slices.Contains(g.Members, h.Email) }
		if h.Role == "OWNER" || slices.ContainsFunc(p.want.Groups, grouped) {
			at = stepDropOwners
		}
		p.revoke("member "+h.Email, ref{"user", "", h.Email}, at)
	}
}

func (p *orgPlanner) planServiceAccounts() {
	for _, w := range p.want.ServiceAccounts {
		who, what := ref{"service account", p.label, w.Name}, "service account "+w.Name
		i := slices.IndexFunc(p.have.ServiceAccounts, func(h ServiceAccount) bool { return h.Name == w.Name })
		h := ServiceAccount{Keys: Section[Key]{}}
		if i >= 0 {
			h = p.have.ServiceAccounts[i]
			p.mistake(h.twins, "several service accounts are named %s; rename one", w.Name)
			if w.Role != "" {
				p.planGrant(what, grant{who, "", w.Role, w.ExpiresAt}, grant{who, "", h.Role, h.ExpiresAt})
			}
		} else {
			p.createAccount(w, who, what)
		}
		p.planSuspended(what, who, w.Suspended, h.Suspended)
		p.planKeys("service account", w.Name, w.Keys, h.Keys, func(a *applier, req *tenurev1.CreateKeyRequest) { req.UserId = a.id(who) })
	}
	if !p.Prune || p.want.ServiceAccounts == nil {
		return
	}
	for _, h := range p.have.ServiceAccounts {
		listed := slices.ContainsFunc(p.want.ServiceAccounts, func(w ServiceAccount) bool { return w.Name == h.Name })
		switch {
		case listed || h.Role == "":
		case h.twins:
			p.note("service account %s (%s) is left alone: another has the same name", h.Name, h.id)
		default:
			p.revoke("service account "+h.Name, ref{"service account", p.label, h.Name}, stepDropOwners)
		}
	}
}

func (p *orgPlanner) createAccount(w ServiceAccount, who ref, what string) {
	var f fields
	f.text("role", "", given(w.Role))
	p.add(Create, what, f, stepServiceAccounts, func(ctx context.Context, a *applier) error {
		res, err := a.users.CreateServiceAccount(ctx, &tenurev1.CreateServiceAccountRequest{OrgId: p.id(a), Name: w.Name, Role: w.Role})
		if err == nil {
			a.note(who, res.User.Id)
		}
		return err
	})
	if w.ExpiresAt != nil && w.Role != "" {
		p.planGrant(what, grant{who, "", w.Role, w.ExpiresAt}, grant{who, "", w.Role, nil})
	}
}

func (p *orgPlanner) planOverrides(project string, want, have Section[Override]) {
	for _, w := range want {
		who := p.subjectRef(w)
		if w.Email != "" {
			p.person(p.place+", project "+project+", overrides", w.Email)
		} else {
			p.mistake(!p.hasAccount(w.ServiceAccount), "project %s overrides the service account %s, which is not there", project, w.ServiceAccount)
		}
		h := Override{}
		if i := slices.IndexFunc(have, func(e Override) bool { return e.Email == w.Email && e.ServiceAccount == w.ServiceAccount }); i >= 0 {
			h = have[i]
		}
		p.planGrant("override of "+w.subject()+" in project "+project, grant{who, project, w.Role, w.ExpiresAt}, grant{who, project, h.Role, h.ExpiresAt})
	}
	if !p.Prune || want == nil {
		return
	}
	for _, h := range have {
		if slices.ContainsFunc(want, func(w Override) bool { return w.Email == h.Email && w.ServiceAccount == h.ServiceAccount }) {
			continue
		}
		p.add(Remove, "override of "+h.subject()+" in project "+project, nil, stepDropOverrides, func(ctx context.Context, a *applier) error {
			_, err := a.members.RevokeRole(ctx, &tenurev1.RevokeRoleRequest{
				ProjectId: a.id(ref{"project", p.label, fold(project)}), UserId: a.id(p.subjectRef(h)),
			})
			return err
		})
	}
}

func (p *orgPlanner) subjectRef(v Override) ref {
	if v.Email != "" {
		return ref{"user", "", v.Email}
	}
	return ref{"service account", p.label, v.ServiceAccount}
}

func (p *orgPlanner) hasAccount(name string) bool {
	named := func(a ServiceAccount) bool { return a.Name == name }
	return slices.ContainsFunc(p.want.ServiceAccounts, named) || slices.ContainsFunc(p.have.ServiceAccounts, named)
}
