package tenancy

import (
	"context"
	"fmt"
	"slices"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// orgPlanner plans one organization of the file. What is to be made has a have that is empty.
type orgPlanner struct {
	*planner
	label      string
	place      string
	want, have *Org
	// fresh: the organization is made by this plan.
	fresh bool
}

// set notes what an organization gets by a call of its own; of one that is made it is a part of that.
func (p *orgPlanner) set(f fields, at step, do func(context.Context, *applier) error) {
	if p.fresh {
		p.add(Create, f[0].Name+" of the organization", fields{{"", "", f[0].New}}, at, do)
	} else {
		p.add(Update, "organization", f, at, do)
	}
}

// add notes a change in this organization.
func (p *orgPlanner) add(action Action, what string, f fields, at step, do func(context.Context, *applier) error) {
	p.planner.add(Change{action, p.label, what, f, at, do})
}

func (p *orgPlanner) mistake(wrong bool, format string, args ...any) {
	p.at(wrong, p.place, format, args...)
}

func (p *orgPlanner) note(format string, args ...any) {
	p.planner.note("%s: %s", p.place, fmt.Sprintf(format, args...))
}

// id is the organization's.
func (p *orgPlanner) id(a *applier) string { return a.id(ref{"organization", "", p.label}) }

func (p *planner) planOrg(o plannedOrg) {
	if o.want == nil {
		if p.Prune && p.PruneOrganizations && p.want.Organizations != nil {
			p.pruneOrganization(o.have)
		}
		return
	}
	q := &orgPlanner{planner: p, label: o.label, place: "organization " + o.label, want: o.want, have: o.have}
	if q.have == nil {
		q.have, q.fresh = q.create(), true
	} else {
		q.change()
	}
	q.planPlan()
	q.planPlacement()
	q.planSuspension()
	q.planRoles()
	q.planServiceAccounts()
	q.planMembers()
	q.planProjects()
	q.planGroups()
	q.planKeys("", "", q.want.Keys, q.have.Keys, func(a *applier, req *tenurev1.CreateKeyRequest) { req.OrgId = q.id(a) })
}

// emptyOrg is an organization that is to be made: every section is there, and nothing in it.
func emptyOrg() *Org {
	return &Org{
		Roles: Section[Role]{}, Members: Section[Member]{}, ServiceAccounts: Section[ServiceAccount]{}, Groups: Section[Group]{},
		Projects: Section[Project]{}, Keys: Section[Key]{},
	}
}

func (p *orgPlanner) create() *Org {
	w := p.want
	for _, h := range p.planner.have.Organizations {
		if h.Name == w.Name {
			p.note("another organization has this name and the id %s", h.ID)
		}
	}
	var f fields
	f.text("id", "", given(w.ID))
	f.pairs("metadata", nil, w.Metadata)
	f.text("residency", "", w.Residency)
	p.add(Create, "organization", f, stepOrg, func(ctx context.Context, a *applier) error {
		res, err := a.orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{
			Name: w.Name, Metadata: w.Metadata, OrgId: w.ID, Residency: value(w.Residency),
		})
		if err == nil {
			a.note(ref{"organization", "", p.label}, res.Org.Id)
		}
		return err
	})
	made := emptyOrg()
	made.Residency = w.Residency
	return made
}

func (p *orgPlanner) change() {
	w, h := p.want, p.have
	var f fields
	name := f.text("name", h.Name, &w.Name)
	metadata := f.pairs("metadata", h.Metadata, w.Metadata)
	if f == nil {
		return
	}
	p.add(Update, "organization", f, stepOrg, func(ctx context.Context, a *applier) error {
		req := &tenurev1.UpdateOrgRequest{OrgId: p.id(a)}
		if name {
			req.Name = &w.Name
		}
		if metadata {
			req.Metadata, req.ClearMetadata = w.Metadata, len(w.Metadata) == 0
		}
		_, err := a.orgs.UpdateOrg(ctx, req)
		return err
	})
}

func (p *orgPlanner) planPlan() {
	var f fields
	if !f.text("plan", value(p.have.Plan), p.want.Plan) {
		return
	}
	id := *p.want.Plan
	known := func(list []QuotaPlan) bool {
		return slices.ContainsFunc(list, func(e QuotaPlan) bool { return e.ID == id })
	}
	p.mistake(id != "" && !known(p.planner.want.Plans) && !known(p.planner.have.Plans), "there is no plan %s", id)
	at := stepRoomier
	if tighter(p.quotas(value(p.have.Plan)), p.quotas(id)) {
		at = stepTighter
	}
	p.set(f, at, func(ctx context.Context, a *applier) error {
		_, err := a.orgs.SetPlan(ctx, &tenurev1.SetPlanRequest{OrgId: p.id(a), PlanId: id})
		return err
	})
}

// planPlacement moves an organization to another region in three steps: as long as the old residency holds, the new data
// plane would be refused, and as long as the old data plane does, the new residency.
func (p *orgPlanner) planPlacement() {
	var residency, placement fields
	moves := residency.text("residency", value(p.have.Residency), p.want.Residency)
	placed := placement.text("data plane", value(p.have.DataPlane), p.want.DataPlane)
	if moves && placed && value(p.have.Residency) != "" && value(p.have.DataPlane) != "" && *p.want.Residency != "" {
		lift := fields{{"residency", *p.have.Residency, `""`}}
		residency[0].Old = `""`
		p.add(Update, "organization", lift, stepOrg, func(ctx context.Context, a *applier) error {
			_, err := a.orgs.UpdateOrg(ctx, &tenurev1.UpdateOrgRequest{OrgId: p.id(a), AnyResidency: true})
			return err
		})
	}
	if placed {
		id := *p.want.DataPlane
		known := func(list []DataPlane) bool {
			return slices.ContainsFunc(list, func(e DataPlane) bool { return e.ID == id })
		}
		p.mistake(id != "" && !known(p.planner.want.DataPlanes) && !known(p.planner.have.DataPlanes), "there is no data plane %s", id)
		p.set(placement, stepPlace, func(ctx context.Context, a *applier) error {
			_, err := a.orgs.PlaceOrg(ctx, &tenurev1.PlaceOrgRequest{OrgId: p.id(a), DataPlaneId: id})
			return err
		})
	}
	if moves {
		region := *p.want.Residency
		at := stepResidency
		if region == "" {
			at = stepOrg
		}
		p.add(Update, "organization", residency, at, func(ctx context.Context, a *applier) error {
			_, err := a.orgs.UpdateOrg(ctx, &tenurev1.UpdateOrgRequest{OrgId: p.id(a), Residency: region, AnyResidency: region == ""})
			return err
		})
	}
}

func (p *orgPlanner) planSuspension() {
	var f fields
	if !f.flag("suspended", p.have.Suspended, p.want.Suspended) {
		return
	}
	if *p.want.Suspended {
		p.set(f, stepSuspendOrg, func(ctx context.Context, a *applier) error {
			_, err := a.orgs.SuspendOrg(ctx, &tenurev1.SuspendOrgRequest{OrgId: p.id(a)})
			return err
		})
		return
	}
	p.add(Update, "organization", f, stepOrg, func(ctx context.Context, a *applier) error {
		_, err := a.orgs.ResumeOrg(ctx, &tenurev1.ResumeOrgRequest{OrgId: p.id(a)})
		return err
	})
}

func (p *planner) pruneOrganization(h *Org) {
	label := fmt.Sprintf("%s (%s)", h.Name, h.ID)
	p.add(Change{Remove, label, "organization with all that is in it", nil, stepOrg, func(ctx context.Context, a *applier) error {
		_, err := a.orgs.DeleteOrg(ctx, &tenurev1.DeleteOrgRequest{OrgId: h.ID, Cascade: true})
		return err
	}})
}
