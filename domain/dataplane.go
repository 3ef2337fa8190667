package domain

import (
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Data planes and residency, in words:
//
//  1. An organization's data lives on the data plane it is placed on, if it was placed.
//  2. A residency is a region that an organization's data must stay in: "eu" allows "eu" and all that begins with "eu-". No
//     placement, change of a data plane, change of residency or transfer takes data out of it.
//  3. A dedicated data plane serves one organization alone.

// DataPlane is where tenants' data lives.
type DataPlane struct {
	ID        DataPlaneID
	BaseURL   string
	Region    string
	Dedicated bool
	// KeyScheme is how it stores keys.
	KeyScheme string
	Orgs      Table[OrgID, struct{}]
}

// RegisterDataPlane makes a data plane known, or changes the one of that id.
type RegisterDataPlane struct {
	ID        DataPlaneID
	BaseURL   string
	Region    string
	Dedicated bool
	KeyScheme string
}

// PlaceOrg puts an organization on a data plane.
type PlaceOrg struct {
	Org       OrgID
	DataPlane DataPlaneID // "" for none
}

// Name is the method's name.
func (RegisterDataPlane) Name() string { return "RegisterDataPlane" }
func (PlaceOrg) Name() string          { return "PlaceOrg" }

// Targets names the organization, or nothing.
func (RegisterDataPlane) Targets(*State) ([]Target, error) { return nil, nil }
func (c PlaceOrg) Targets(s *State) ([]Target, error)      { return s.OrgTarget(c.Org) }

func (c RegisterDataPlane) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	old, ok := s.dataPlanes.Get(c.ID)
	next := &DataPlane{ID: c.ID, BaseURL: c.BaseURL, Region: c.Region, Dedicated: c.Dedicated, KeyScheme: c.KeyScheme}
	if ok {
		next.Orgs = old.Orgs
		if *old == *next {
			return nil, nil
		}
		if c.Dedicated && old.Orgs.Len() > 1 {
			return nil, Errorf(CodePrecondition, DataPlaneShared, "data plane %s serves %d organizations; place all but one elsewhere first", c.ID, old.Orgs.Len())
		}
		for _, id := range old.Orgs.Keys() {
			if o, _ := s.orgs.Get(id); !within(o.Residency, c.Region) {
				return nil, outsideResidency(o, c.Region)
			}
		}
	}
	return one(&eventv1.Event{Body: &eventv1.Event_DataPlaneRegistered{DataPlaneRegistered: &eventv1.DataPlaneRegistered{
		DataPlaneId: string(c.ID), Old: old.stored(), New: next.stored(),
	}}}), nil
}

func (c PlaceOrg) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	change := stringChange(string(o.DataPlane), new(string(c.DataPlane)))
	if change == nil {
		return nil, nil
	}
	if c.DataPlane != "" {
		d, ok := s.dataPlanes.Get(c.DataPlane)
		switch {
		case !ok:
			return nil, Errorf(CodeNotFound, DataPlaneNotFound, "there is no data plane %q; register it with RegisterDataPlane first", c.DataPlane)
		case d.Dedicated && d.Orgs.Len() > 0:
			return nil, Errorf(CodePrecondition, DataPlaneDedicated, "data plane %s serves another organization alone", c.DataPlane)
		case !within(o.Residency, d.Region):
			return nil, outsideResidency(o, d.Region)
		}
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_OrgPlaced{OrgPlaced: &eventv1.OrgPlaced{DataPlaneId: change}}})), nil
}

// within tells whether a region is inside a residency.
func within(residency, region string) bool {
	return residency == "" || region == residency || strings.HasPrefix(region, residency+"-")
}

// region is where the organization's data is, or must be; not known of one that was not placed and may be anywhere.
func (s *State) region(o *Org) (region string, known bool) {
	if d, ok := s.dataPlanes.Get(o.DataPlane); ok {
		return d.Region, true
	}
	return o.Residency, o.Residency != ""
}

func outsideResidency(o *Org, region string) *Error {
	if region == "" {
		region = "no region"
	}
	return Errorf(CodePrecondition, ResidencyViolated, "data of organization %s must stay in %s, and that would be in %s", o.ID, o.Residency, region)
}

func (d *DataPlane) stored() *eventv1.DataPlaneRegistered_DataPlane {
	if d == nil {
		return nil
	}
	return &eventv1.DataPlaneRegistered_DataPlane{BaseUrl: d.BaseURL, Region: d.Region, Dedicated: d.Dedicated, KeyScheme: d.KeyScheme}
}

func (s *State) dataPlaneRegistered(body *eventv1.DataPlaneRegistered) {
	id := DataPlaneID(body.DataPlaneId)
	d := &DataPlane{
		ID: id, BaseURL: body.New.GetBaseUrl(), Region: body.New.GetRegion(), Dedicated: body.New.GetDedicated(), KeyScheme: body.New.GetKeyScheme(),
	}
	if old, ok := s.dataPlanes.Get(id); ok {
		d.Orgs = old.Orgs
	}
	s.dataPlanes = s.dataPlanes.With(id, d)
}

func (s *State) orgPlaced(e *eventv1.Event, body *eventv1.OrgPlaced, at moment) {
	org := OrgID(e.OrgIds[0])
	s.occupy(DataPlaneID(body.DataPlaneId.GetOld()), func(d *DataPlane) { d.Orgs = d.Orgs.Without(org) })
	s.occupy(DataPlaneID(body.DataPlaneId.GetNew()), func(d *DataPlane) { d.Orgs = d.Orgs.With(org, struct{}{}) })
	s.changeOrg(e, func(o *Org) { o.DataPlane, o.UpdatedAt = DataPlaneID(body.DataPlaneId.GetNew()), at.Time })
}

func (s *State) occupy(id DataPlaneID, change func(*DataPlane)) {
	if old, ok := s.dataPlanes.Get(id); ok {
		d := *old
		change(&d)
		s.dataPlanes = s.dataPlanes.With(id, &d)
	}
}
