package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Transfers, in words:
//
//  1. The actor holds projects:transfer_org in both organizations, or is an instance admin; or one side offers and the other
//     accepts.
//  2. Refused: the same organization, an organization that is not active, a deleted project, a name that is taken in the
//     target (a new one can be given) or against the policy, a quota of the target, a data plane of the target outside the
//     source's residency.
//  3. Overrides end; if asked, those of users who are members of both organizations in force are kept, unless they, or the
//     role in the target that they come before, hold more than the actor does there, or they are roles of the source's own.
//     Roles that the source's groups have in the project end, and its pending invitations lose their part in it. A pending
//     offer of the project ends.
//  4. Keys are not touched: they belong to the project, and are in whichever organization it is in.

// TransferProject moves a project to another organization.
type TransferProject struct {
	ID            ProjectID
	Target        OrgID
	NewName       *string
	KeepOverrides bool
}

// Name is the method's name.
func (TransferProject) Name() string { return "TransferProject" }

// Targets names the project and the target organization.
func (c TransferProject) Targets(s *State) ([]Target, error) {
	project, err := s.ProjectTarget(c.ID)
	if err != nil {
		return nil, err
	}
	org, err := s.OrgTarget(c.Target)
	if err != nil {
		// In turn behind the project: who may not see that must not learn whether the target exists.
		return append(project, Target{Missing: err, Absent: true}), nil
	}
	return append(project, org...), nil
}

func (c TransferProject) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	return s.move(c, "", by, now)
}

// move is the event of a transfer, which accepts an offer if one is named.
func (s *State) move(c TransferProject, offer OfferID, by Actor, now time.Time) ([]*eventv1.Event, error) {
	if obstacles := s.transferObstacles(c, now); len(obstacles) > 0 {
		return nil, obstacles[0].Error
	}
	at, _ := s.Place("", c.ID)
	body := &eventv1.ProjectTransferred{Name: stringChange(at.Project.Name, c.NewName)}
	for _, id := range s.droppedOverrides(c, by, now) {
		grant, _ := at.Project.Overrides.Get(id)
		body.DroppedOverrides = append(body.DroppedOverrides,
			&eventv1.ProjectTransferred_DroppedOverride{UserId: string(id), Grant: grant.stored()})
	}
	for _, id := range s.droppedGroups(at) {
		g, _ := s.groups.Get(id)
		role, _ := g.Projects.Get(c.ID)
		body.DroppedGroupRoles = append(body.DroppedGroupRoles,
			&eventv1.ProjectTransferred_DroppedGroupRole{GroupId: string(id), Role: string(role)})
	}
	for _, id := range at.Project.Invitations.Keys() {
		body.ChangedInvitationIds = append(body.ChangedInvitationIds, string(id))
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(at.Org.ID), string(c.Target)}, ProjectId: string(c.ID), OfferId: string(offer),
		Body: &eventv1.Event_ProjectTransferred{ProjectTransferred: body},
	}), nil
}

// Obstacle is a reason to refuse a transfer, and whose business it is.
type Obstacle struct {
	*Error
	OfSource, OfTarget bool
}

func sameOrg() *Error {
	return Errorf(CodePrecondition, SameOrg, "the project is in that organization already")
}

// transferObstacles are all reasons to refuse the transfer, in the order in which they would be given.
func (s *State) transferObstacles(c TransferProject, now time.Time) (obstacles []Obstacle) {
	at, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	if at.Org.ID == target.ID {
		return []Obstacle{{sameOrg(), true, true}}
	}
	add := func(err error, ofSource, ofTarget bool) {
		if e, ok := err.(*Error); ok && e != nil {
			obstacles = append(obstacles, Obstacle{e, ofSource, ofTarget})
		}
	}
	if reason := at.Org.state(); reason != "" {
		add(inState(reason), true, false)
	}
	if reason := target.state(); reason != "" {
		add(inState(reason), false, true)
	}
	if at.Project.Status == Deleted {
		add(inState(ProjectDeleted), true, true)
	}
	name := at.Project.Name
	if c.NewName != nil && *c.NewName != name {
		name = *c.NewName
		add(s.named(ProjectLevel, "new_name", name), false, true)
	}
	if holder, taken := target.Names.Get(foldName(name)); taken && holder != c.ID {
		add(Errorf(CodeExists, NameTaken, "the target organization has a project named %q; give new_name", name), false, true)
	}
	add(s.roomForProject(target), false, true)
	add(s.roomForKeysOf(target, at.Project, now), false, true)
	if region, known := s.region(target); known && !within(at.Org.Residency, region) {
		// The other side must not learn where this one's data lives.
		add(outsideResidency(at.Org, region), false, true)
	}
	return obstacles
}

// droppedOverrides are the users whose override would end, by id.
func (s *State) droppedOverrides(c TransferProject, by Actor, now time.Time) (dropped []UserID) {
	at, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	ceiling := s.held(by, Place{Org: target}, now).set
	inForce := func(o *Org, id UserID) bool {
		m, _ := o.Members.Get(id)
		return s.orgRole(m, o, now).Role != ""
	}
	for id, grant := range at.Project.Overrides.All() {
		m, _ := target.Members.Get(id)
		// What it stands in front of would be taken by keeping it.
		counts := s.permissions(target, grant.Role).Or(s.orgRole(m, target, now).set).And(s.Catalog().allProject)
		tooMuch := !isBuiltIn(grant.Role) || !counts.Within(ceiling)
		if !c.KeepOverrides || tooMuch || !inForce(at.Org, id) || !inForce(target, id) {
			dropped = append(dropped, id)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// droppedGroups are the groups that have a role in the project, by id.
func (s *State) droppedGroups(at Place) (ids []GroupID) {
	for id := range at.Org.Groups.All() {
		if g, _ := s.groups.Get(id); g.Projects.Has(at.Project.ID) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// TransferPreview is what a transfer would do.
type TransferPreview struct {
	Obstacles          []Obstacle
	Changes            []AccessChange
	Dropped            []UserID
	DroppedGroups      []GroupID
	ChangedInvitations []InvitationID
	KeysKept           int
	// Source and Target are the organizations, for plan and placement before and after; nil for a half that is not told.
	Source, Target *Org

	// access is everybody's role before and after, unchanged ones too.
	access []AccessChange
}

// AccessChange is one user's effective role before and after; the zero Effective is no access.
type AccessChange struct {
	User     UserID
	Old, New Effective
}

// PreviewTransfer tells what the command would do, given by the actor at a time.
func (s *State) PreviewTransfer(c TransferProject, by Actor, now time.Time) TransferPreview {
	before, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	preview := TransferPreview{
		Obstacles: s.transferObstacles(c, now), Dropped: s.droppedOverrides(c, by, now), DroppedGroups: s.droppedGroups(before),
		ChangedInvitations: before.Project.Invitations.Keys(), KeysKept: s.liveIn(before.Project.Keys, now),
		Source: before.Org, Target: target,
	}
	moved := *before.Project
	moved.Org = c.Target
	for _, id := range preview.Dropped {
		moved.Overrides = moved.Overrides.Without(id)
	}
	after := Place{Org: target, Project: &moved}
	users := map[UserID]struct{}{}
	for id := range before.Org.Members.All() {
		users[id] = struct{}{}
	}
	for id := range target.Members.All() {
		users[id] = struct{}{}
	}
	for id := range users {
		preview.access = append(preview.access, AccessChange{id, s.usable(id, before, now), s.usable(id, after, now)})
	}
	slices.SortFunc(preview.access, func(a, b AccessChange) int { return strings.Compare(string(a.User), string(b.User)) })
	for _, change := range preview.access {
		if change.Old.Role != change.New.Role {
			preview.Changes = append(preview.Changes, change)
		}
	}
	return preview
}

// Half is the part of a preview that one side of an offer is told: what it loses or gains itself, not what the other does.
func (p TransferPreview) Half(source bool) TransferPreview {
	half := TransferPreview{KeysKept: p.KeysKept}
	for _, o := range p.Obstacles {
		if source && o.OfSource || !source && o.OfTarget {
			half.Obstacles = append(half.Obstacles, o)
		}
	}
	// Of who is in both, each side is told as if the other gave nothing.
	for _, c := range p.access {
		if source {
			c.New = Effective{}
		} else {
			c.Old = Effective{}
		}
		if c.Old.Role != c.New.Role {
			half.Changes = append(half.Changes, c)
		}
	}
	if source {
		half.Dropped, half.DroppedGroups, half.ChangedInvitations, half.Source = p.Dropped, p.DroppedGroups, p.ChangedInvitations, p.Source
	} else {
		half.Target = p.Target
	}
	return half
}

// usable is the effective role of a user who may act; one that holds nothing is no access.
func (s *State) usable(id UserID, at Place, now time.Time) Effective {
	e := s.EffectiveRole(id, at, now)
	if s.userState(id) != "" || e.set.And(s.Catalog().allProject).IsEmpty() {
		return Effective{}
	}
	return e
}

func (s *State) projectTransferred(e *eventv1.Event, body *eventv1.ProjectTransferred, at moment) {
	id, source, target := ProjectID(e.ProjectId), OrgID(e.OrgIds[0]), OrgID(e.OrgIds[1])
	if p, ok := s.projects.Get(id); ok && p.Offer != "" {
		status := OfferCancelled
		if p.Offer == OfferID(e.OfferId) {
			status = OfferAccepted
		}
		s.endOffer(p.Offer, status)
	}
	for _, d := range body.DroppedGroupRoles {
		s.editGroup(GroupID(d.GroupId), func(g *Group) { g.Projects = g.Projects.Without(id) })
	}
	for _, i := range body.ChangedInvitationIds {
		s.editInvitation(InvitationID(i), func(i *Invitation) { i.Project, i.ProjectRole = "", "" })
	}
	s.editProject(id, func(p *Project) {
		s.editOrg(source, func(o *Org) {
			o.Projects = o.Projects.Without(id)
			o.Names = o.Names.Without(foldName(p.Name))
			o.KeysHeld -= p.KeysHeld
		})
		p.Org, p.UpdatedAt = target, at.Time
		p.Invitations = Table[InvitationID, struct{}]{}
		if body.Name != nil {
			p.Name = body.Name.New
		}
		for _, d := range body.DroppedOverrides {
			p.Overrides = p.Overrides.Without(UserID(d.UserId))
		}
		s.editOrg(target, func(o *Org) {
			o.Projects = o.Projects.With(id, struct{}{})
			o.Names = o.Names.With(foldName(p.Name), id)
			o.KeysHeld += p.KeysHeld
		})
	})
}
