package domain

import (
	"maps"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Organizations, in words:
//
//  1. The first owner is the user named, else the acting user. Only an instance admin may name somebody else, or nobody:
//     then the organization is unclaimed until somebody is granted OWNER. The policy says who may create one.
//  2. Names need not be unique.
//  3. A suspended organization denies everything until it is resumed; a deleted one for good.
//  4. An organization with active projects is deleted only with cascade; its projects, memberships and keys end with it.

// CreateOrg makes an organization.
type CreateOrg struct {
	ID       OrgID
	Chosen   bool // the caller chose the id
	OrgName  string
	Metadata map[string]string
	Owner    UserID
	// Residency is the region that its data must stay in; "" for any.
	Residency string
	// EmailDomain is that of the acting person's address, whose digest is EmailDigest, for the policy.
	EmailDomain string
	EmailDigest []byte
}

// UpdateOrg changes what is not nil.
type UpdateOrg struct {
	ID        OrgID
	OrgName   *string
	Metadata  *map[string]string
	Residency *string
}

// SuspendOrg denies everything in an organization.
type SuspendOrg struct{ ID OrgID }

// ResumeOrg ends a suspension.
type ResumeOrg struct{ ID OrgID }

// DeleteOrg ends an organization.
type DeleteOrg struct {
	ID      OrgID
	Cascade bool
}

// Name is the method's name.
func (CreateOrg) Name() string  { return "CreateOrg" }
func (UpdateOrg) Name() string  { return "UpdateOrg" }
func (SuspendOrg) Name() string { return "SuspendOrg" }
func (ResumeOrg) Name() string  { return "ResumeOrg" }
func (DeleteOrg) Name() string  { return "DeleteOrg" }

// Targets names the organization.
func (CreateOrg) Targets(*State) ([]Target, error)      { return nil, nil }
func (c UpdateOrg) Targets(s *State) ([]Target, error)  { return s.OrgTarget(c.ID) }
func (c SuspendOrg) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.ID) }
func (c ResumeOrg) Targets(s *State) ([]Target, error)  { return s.OrgTarget(c.ID) }
func (c DeleteOrg) Targets(s *State) ([]Target, error)  { return s.OrgTarget(c.ID) }

func (c CreateOrg) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	if err := s.chosenID(c.Chosen, by); err != nil {
		return nil, err
	}
	if s.orgs.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	// Whoever becomes the owner holds everything there, so nothing less may ask for it.
	if err := s.fullKey(by); err != nil {
		return nil, err
	}
	if err := s.mayCreateOrgs(by, c.EmailDomain, c.EmailDigest); err != nil {
		return nil, err
	}
	if err := s.named(OrgLevel, "name", c.OrgName); err != nil {
		return nil, err
	}
	owner := c.Owner
	if by.Kind == ActorUser && !s.IsAdmin(by) {
		if u, _ := s.users.Get(by.User); u.Home != "" {
			return nil, Errorf(CodeDenied, PermissionDenied, "a service account can't create organizations; a person can")
		}
		if owner == "" {
			owner = by.User
		}
		if owner != by.User {
			return nil, Errorf(CodeDenied, PermissionDenied, "only instance admins may make somebody else the owner; leave owner_user_id out")
		}
	}
	if owner != "" {
		if err := s.grantable(owner, c.ID); err != nil {
			return nil, err
		}
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(c.ID)}, UserId: string(owner),
		Body: &eventv1.Event_OrgCreated{OrgCreated: &eventv1.OrgCreated{Name: c.OrgName, Metadata: c.Metadata, Residency: c.Residency}},
	}), nil
}

func (c UpdateOrg) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.ID)
	if err != nil {
		return nil, err
	}
	body := &eventv1.OrgUpdated{
		Name: stringChange(o.Name, c.OrgName), Metadata: mapChange(o.Metadata, c.Metadata), Residency: stringChange(o.Residency, c.Residency),
	}
	if body.Name == nil && body.Metadata == nil && body.Residency == nil {
		return nil, nil
	}
	if body.Name != nil {
		if err := s.named(OrgLevel, "name", body.Name.New); err != nil {
			return nil, err
		}
	}
	if d, ok := s.dataPlanes.Get(o.DataPlane); ok && body.Residency != nil && !within(body.Residency.New, d.Region) {
		return nil, Errorf(CodePrecondition, ResidencyViolated, "the organization's data is in %s; an instance admin can place it on a data plane in %s first", d.Region, body.Residency.New)
	}
	return one(&eventv1.Event{OrgIds: []string{string(c.ID)}, Body: &eventv1.Event_OrgUpdated{OrgUpdated: body}}), nil
}

func (c SuspendOrg) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.ID)
	if err != nil || o.Status == Suspended {
		return nil, err
	}
	return one(&eventv1.Event{OrgIds: []string{string(c.ID)}, Body: &eventv1.Event_OrgSuspended{OrgSuspended: &eventv1.OrgSuspended{}}}), nil
}

func (c ResumeOrg) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.ID)
	if err != nil || o.Status == Active {
		return nil, err
	}
	return one(&eventv1.Event{OrgIds: []string{string(c.ID)}, Body: &eventv1.Event_OrgResumed{OrgResumed: &eventv1.OrgResumed{}}}), nil
}

func (c DeleteOrg) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, _ := s.orgs.Get(c.ID)
	if o.Status == Deleted {
		return nil, nil
	}
	if n := o.Names.Len(); n > 0 && !c.Cascade {
		return nil, Errorf(CodePrecondition, OrgHasProjects, "the organization has %d active projects; delete or transfer them first, or set cascade", n)
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(c.ID)},
		Body:   &eventv1.Event_OrgDeleted{OrgDeleted: &eventv1.OrgDeleted{Name: o.Name, Projects: uint32(o.Names.Len())}},
	}), nil
}

// undeleted finds an organization that was not deleted.
func (s *State) undeleted(id OrgID) (*Org, error) {
	o, ok := s.orgs.Get(id)
	if !ok {
		return nil, orgNotFound(id)
	}
	if o.Status == Deleted {
		return nil, inState(OrgDeleted)
	}
	return o, nil
}

func (s *State) orgCreated(e *eventv1.Event, body *eventv1.OrgCreated, at moment) {
	o := &Org{
		ID: OrgID(e.OrgIds[0]), Name: body.Name, Metadata: body.Metadata, Residency: body.Residency, Status: Active,
		CreatedAt: at.Time, UpdatedAt: at.Time, CreatedIn: at.Position,
	}
	s.orgs = s.orgs.With(o.ID, o)
	if e.UserId != "" {
		s.setMember(o.ID, UserID(e.UserId), func(m *Member) { m.Grant = Grant{Role: Owner} })
	}
}

func (s *State) orgUpdated(e *eventv1.Event, body *eventv1.OrgUpdated, at moment) {
	s.changeOrg(e, func(o *Org) {
		o.UpdatedAt = at.Time
		if body.Name != nil {
			o.Name = body.Name.New
		}
		if body.Metadata != nil {
			o.Metadata = body.Metadata.New
		}
		if body.Residency != nil {
			o.Residency = body.Residency.New
		}
	})
}

func (s *State) orgStatus(e *eventv1.Event, status Status, at moment) {
	if status == Deleted {
		// It leaves room for another one.
		o, _ := s.orgs.Get(OrgID(e.OrgIds[0]))
		s.occupy(o.DataPlane, func(d *DataPlane) { d.Orgs = d.Orgs.Without(o.ID) })
		for id := range o.Webhooks.All() {
			s.webhooks = s.webhooks.Without(id)
		}
		s.changeOrg(e, func(o *Org) { o.Webhooks = Table[WebhookID, struct{}]{} })
	}
	s.changeOrg(e, func(o *Org) { o.Status, o.UpdatedAt = status, at.Time })
}

func (s *State) changeOrg(e *eventv1.Event, change func(*Org)) {
	s.editOrg(OrgID(e.OrgIds[0]), change)
}

func (s *State) editOrg(id OrgID, change func(*Org)) {
	old, ok := s.orgs.Get(id)
	if !ok {
		panic(misfit("organization " + string(id)))
	}
	o := *old
	change(&o)
	s.orgs = s.orgs.With(id, &o)
}

// stringChange is nil if nothing is wanted or nothing would change.
func stringChange(old string, wanted *string) *eventv1.StringChange {
	if wanted == nil || *wanted == old {
		return nil
	}
	return &eventv1.StringChange{Old: old, New: *wanted}
}

func mapChange(old map[string]string, wanted *map[string]string) *eventv1.MapChange {
	if wanted == nil || maps.Equal(*wanted, old) {
		return nil
	}
	return &eventv1.MapChange{Old: old, New: *wanted}
}
