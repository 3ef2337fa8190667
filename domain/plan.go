package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Plans and quotas, in words:
//
//  1. A plan bounds the active projects, the members and the live keys of the organizations that have it. Keys of an
//     organization and of its active projects count, unless they are revoked or expired.
//  2. Quotas are enforced where something is let in: created, restored, granted, accepted, transferred, imported. What is there
//     beyond a quota stays. Rotating a key is always possible.

// Plan is a name for quotas.
type Plan struct {
	ID   PlanID
	Name string
	Quotas
}

// Quotas bound what an organization may have.
type Quotas struct{ Projects, Members, Keys Quota }

// Quota is a bound; the zero Quota is none.
type Quota struct {
	Bound bool
	Max   uint32
}

// room tells whether as many as n fit.
func (q Quota) room(n int) bool { return !q.Bound || n <= int(q.Max) }

// DefinePlan makes a plan, or changes the one of that id.
type DefinePlan struct {
	ID       PlanID
	PlanName string
	Quotas   Quotas
}

// SetPlan gives an organization a plan.
type SetPlan struct {
	Org  OrgID
	Plan PlanID // "" for none
}

// Name is the method's name.
func (DefinePlan) Name() string { return "DefinePlan" }
func (SetPlan) Name() string    { return "SetPlan" }

// Targets names the organization, or nothing.
func (DefinePlan) Targets(*State) ([]Target, error)  { return nil, nil }
func (c SetPlan) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }

func (c DefinePlan) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	old, ok := s.plans.Get(c.ID)
	next := &Plan{c.ID, c.PlanName, c.Quotas}
	if ok && *old == *next {
		return nil, nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_PlanDefined{PlanDefined: &eventv1.PlanDefined{
		PlanId: string(c.ID), Old: old.stored(), New: next.stored(),
	}}}), nil
}

func (c SetPlan) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if c.Plan != "" && !s.plans.Has(c.Plan) {
		return nil, Errorf(CodeNotFound, PlanNotFound, "there is no plan %q; define it with DefinePlan first", c.Plan)
	}
	change := stringChange(string(o.Plan), new(string(c.Plan)))
	if change == nil {
		return nil, nil
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_OrgPlanSet{OrgPlanSet: &eventv1.OrgPlanSet{PlanId: change}}})), nil
}

func (s *State) quotas(o *Org) Quotas {
	if p, ok := s.plans.Get(o.Plan); ok {
		return p.Quotas
	}
	return Quotas{}
}

func (s *State) roomForMembers(o *Org, more int) error {
	if q := s.quotas(o).Members; !q.room(o.Members.Len() + more) {
		return overQuota(o, q, "members")
	}
	return nil
}

func (s *State) roomForProject(o *Org) error {
	if q := s.quotas(o).Projects; !q.room(o.Names.Len() + 1) {
		return overQuota(o, q, "projects")
	}
	return nil
}

// roomForKeys tells whether the live ones among so many keys can be added. Keys are counted one by one only if it could be too
// many: the counts at hand include what has expired.
func (s *State) roomForKeys(o *Org, held int, live func() int, now time.Time) error {
	q := s.quotas(o).Keys
	if held == 0 || q.room(o.KeysHeld+held) {
		return nil
	}
	if more := live(); more == 0 || q.room(s.liveKeys(o, now)+more) {
		return nil
	}
	return overQuota(o, q, "keys")
}

func (s *State) roomForKey(o *Org, now time.Time) error {
	return s.roomForKeys(o, 1, func() int { return 1 }, now)
}

func (s *State) roomForKeysOf(o *Org, p *Project, now time.Time) error {
	return s.roomForKeys(o, p.KeysHeld, func() int { return s.liveIn(p.Keys, now) }, now)
}

func (s *State) liveKeys(o *Org, now time.Time) (n int) {
	n = s.liveIn(o.Keys, now)
	for id := range o.Projects.All() {
		if p, _ := s.projects.Get(id); p.Status == Active {
			n += s.liveIn(p.Keys, now)
		}
	}
	return n
}

func (s *State) liveIn(ids Table[KeyID, struct{}], now time.Time) (n int) {
	for id := range ids.All() {
		if k, _ := s.keys.Get(id); k.state(now) == "" {
			n++
		}
	}
	return n
}

func overQuota(o *Org, q Quota, what string) *Error {
	return Errorf(CodeExhausted, QuotaExceeded, "the plan %s of organization %s allows %d %s; take some away, or ask an instance admin for another plan", o.Plan, o.ID, q.Max, what)
}

func (p *Plan) stored() *eventv1.PlanDefined_Plan {
	if p == nil {
		return nil
	}
	quota := func(q Quota) *uint32 {
		if !q.Bound {
			return nil
		}
		return &q.Max
	}
	return &eventv1.PlanDefined_Plan{Name: p.Name, Quotas: &eventv1.Quotas{
		Projects: quota(p.Projects), Members: quota(p.Members), Keys: quota(p.Keys),
	}}
}

func (s *State) planDefined(body *eventv1.PlanDefined) {
	quota := func(q *uint32) Quota {
		if q == nil {
			return Quota{}
		}
		return Quota{true, *q}
	}
	q := body.New.GetQuotas()
	if q == nil {
		q = &eventv1.Quotas{}
	}
	id := PlanID(body.PlanId)
	s.plans = s.plans.With(id, &Plan{id, body.New.GetName(), Quotas{quota(q.Projects), quota(q.Members), quota(q.Keys)}})
}

func (s *State) orgPlanSet(e *eventv1.Event, body *eventv1.OrgPlanSet, at moment) {
	s.changeOrg(e, func(o *Org) { o.Plan, o.UpdatedAt = PlanID(body.PlanId.GetNew()), at.Time })
}
