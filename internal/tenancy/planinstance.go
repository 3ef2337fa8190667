package tenancy

import (
	"context"
	"fmt"
	"slices"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

func (p *planner) planPlans() {
	for _, w := range p.want.Plans {
		var have *QuotaPlan
		for i := range p.have.Plans {
			if p.have.Plans[i].ID == w.ID {
				have = &p.have.Plans[i]
			}
		}
		action, at := Update, stepPlans
		if have == nil {
			action, have = Create, &QuotaPlan{Quotas: &Quotas{}}
		} else if tighter(have.Quotas, w.Quotas) {
			at = stepTighterPlans
		}
		name, quotas := w.Name, w.Quotas
		if name == "" {
			name = have.Name
		}
		if quotas == nil {
			quotas = new(value(have.Quotas))
		}
		var f fields
		f.text("name", have.Name, &name)
		f.text("quotas", have.Quotas.String(), new(quotas.String()))
		if action == Update && f == nil {
			continue
		}
		p.add(Change{action, "", "plan " + w.ID, f, at, func(ctx context.Context, a *applier) error {
			_, err := a.plans.DefinePlan(ctx, &tenurev1.DefinePlanRequest{
				PlanId: w.ID, Name: name,
				Quotas: &tenurev1.Quotas{Projects: quotas.Projects, Members: quotas.Members, Keys: quotas.Keys},
			})
			return err
		}})
	}
}

// String lists the bounds.
func (q *Quotas) String() string {
	bounds, text := value(q), ""
	for _, e := range []struct {
		name string
		max  *uint32
	}{{"projects", bounds.Projects}, {"members", bounds.Members}, {"keys", bounds.Keys}} {
		if e.max != nil {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%s %d", e.name, *e.max)
		}
	}
	if text == "" {
		return "none"
	}
	return text
}

// tighter tells whether new quotas bound anything more than the old ones; absent quotas bound nothing.
func tighter(old, wanted *Quotas) bool {
	a, b := value(old), value(wanted)
	for _, e := range [][2]*uint32{{a.Projects, b.Projects}, {a.Members, b.Members}, {a.Keys, b.Keys}} {
		if e[1] != nil && (e[0] == nil || *e[1] < *e[0]) {
			return true
		}
	}
	return false
}

// quotas are those of a plan as it will be; none for an unknown one.
func (p *planner) quotas(plan string) *Quotas {
	for _, list := range [][]QuotaPlan{p.want.Plans, p.have.Plans} {
		for _, e := range list {
			if e.ID == plan && e.Quotas != nil {
				return e.Quotas
			}
		}
	}
	return nil
}

func (p *planner) planDataPlanes() {
	for _, w := range p.want.DataPlanes {
		action, have := Create, DataPlane{KeyScheme: "hmac"}
		for _, h := range p.have.DataPlanes {
			if h.ID == w.ID {
				action, have = Update, h
			}
		}
		var f fields
		f.text("base_url", have.BaseURL, &w.BaseURL)
		f.text("region", value(have.Region), w.Region)
		f.flag("dedicated", have.Dedicated, w.Dedicated)
		f.text("key_scheme", have.KeyScheme, given(w.KeyScheme))
		if action == Update && f == nil {
			continue
		}
		if w.Region == nil {
			w.Region = have.Region
		}
		if w.Dedicated == nil {
			w.Dedicated = have.Dedicated
		}
		if w.KeyScheme == "" {
			w.KeyScheme = have.KeyScheme
		}
		p.add(Change{action, "", "data plane " + w.ID, f, stepDataPlanes, func(ctx context.Context, a *applier) error {
			_, err := a.dataPlanes.RegisterDataPlane(ctx, &tenurev1.RegisterDataPlaneRequest{
				DataPlaneId: w.ID, BaseUrl: w.BaseURL, Region: value(w.Region), Dedicated: isTrue(w.Dedicated), KeyScheme: w.KeyScheme,
			})
			return err
		}})
	}
}

func (p *planner) planUsers() {
	for _, w := range p.want.Users {
		action, have := Create, User{}
		for _, h := range p.have.Users {
			if h.Email == w.Email {
				action, have = Update, h
			}
		}
		var f fields
		renamed := f.text("name", have.Name, given(w.Name))
		what := "user " + w.Email
		switch {
		case action == Create:
			p.add(Change{Create, "", what, f, stepUsers, func(ctx context.Context, a *applier) error {
				res, err := a.users.RegisterUser(ctx, &tenurev1.RegisterUserRequest{Email: w.Email, Name: w.Name})
				if err == nil {
					a.note(ref{"user", "", w.Email}, res.User.Id)
				}
				return err
			}})
		case renamed:
			p.add(Change{Update, "", what, f, stepUsers, func(ctx context.Context, a *applier) error {
				_, err := a.users.UpdateUser(ctx, &tenurev1.UpdateUserRequest{UserId: a.id(ref{"user", "", w.Email}), Name: &w.Name})
				return err
			}})
		}
		var activity fields
		if !activity.flag("deactivated", have.Deactivated, w.Deactivated) {
			continue
		}
		if *w.Deactivated {
			p.add(Change{Update, "", what, activity, stepDeactivate, func(ctx context.Context, a *applier) error {
				_, err := a.users.DeactivateUser(ctx, &tenurev1.DeactivateUserRequest{UserId: a.id(ref{"user", "", w.Email})})
				return err
			}})
		} else {
			p.add(Change{Update, "", what, activity, stepUsers, func(ctx context.Context, a *applier) error {
				_, err := a.users.ReactivateUser(ctx, &tenurev1.ReactivateUserRequest{UserId: a.id(ref{"user", "", w.Email})})
				return err
			}})
		}
	}
}

func (p *planner) planAdmins() {
	for _, email := range p.want.InstanceAdmins {
		p.person("instance_admins", email)
		if slices.Contains(p.have.InstanceAdmins, email) {
			continue
		}
		p.add(Change{Create, "", "instance admin " + email, nil, stepAdmins, func(ctx context.Context, a *applier) error {
			_, err := a.instance.GrantInstanceAdmin(ctx, &tenurev1.GrantInstanceAdminRequest{UserId: a.id(ref{"user", "", email})})
			return err
		}})
	}
	if !p.Prune || p.want.InstanceAdmins == nil {
		return
	}
	for _, email := range p.have.InstanceAdmins {
		if slices.Contains(p.want.InstanceAdmins, email) {
			continue
		}
		p.add(Change{Remove, "", "instance admin " + email, nil, stepAdmins, func(ctx context.Context, a *applier) error {
			_, err := a.instance.RevokeInstanceAdmin(ctx, &tenurev1.RevokeInstanceAdminRequest{UserId: a.id(ref{"user", "", email})})
			return err
		}})
	}
}
