package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Transfers, in words:
//
//  1. The actor holds projects:transfer_org in both organizations, or is an instance admin.
//  2. Refused: the same organization, an organization that is not active, a deleted project, a name that is taken in the
//     target (a new one can be given).
//  3. Overrides end; if asked, those of users who are members of both organizations in force are kept, unless they hold
//     more than the actor does in the target.
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
	if obstacles := s.transferObstacles(c); len(obstacles) > 0 {
		return nil, obstacles[0]
	}
	at, _ := s.Place("", c.ID)
	body := &eventv1.ProjectTransferred{Name: stringChange(at.Project.Name, c.NewName)}
	for _, id := range s.droppedOverrides(c, by, now) {
		grant, _ := at.Project.Overrides.Get(id)
		body.DroppedOverrides = append(body.DroppedOverrides,
			&eventv1.ProjectTransferred_DroppedOverride{UserId: string(id), Grant: grant.stored()})
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(at.Org.ID), string(c.Target)}, ProjectId: string(c.ID),
		Body: &eventv1.Event_ProjectTransferred{ProjectTransferred: body},
	}), nil
}

// transferObstacles are all reasons to refuse the transfer, in the order in which they would be given.
func (s *State) transferObstacles(c TransferProject) (obstacles []*Error) {
	at, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	if at.Org.ID == target.ID {
		obstacles = append(obstacles, Errorf(CodePrecondition, SameOrg, "the project is in that organization already"))
	}
	for _, reason := range []Reason{at.Org.state(), target.state()} {
		if reason != "" {
			obstacles = append(obstacles, inState(reason))
		}
	}
	if at.Project.Status == Deleted {
		obstacles = append(obstacles, inState(ProjectDeleted))
	}
	name := at.Project.Name
	if c.NewName != nil {
		name = *c.NewName
	}
	if holder, taken := target.Names.Get(foldName(name)); taken && holder != c.ID {
		obstacles = append(obstacles, Errorf(CodeExists, NameTaken,
			"the target organization has a project named %q; give new_name", name))
	}
	return obstacles
}

// droppedOverrides are the users whose override would end, by id.
func (s *State) droppedOverrides(c TransferProject, by Actor, now time.Time) (dropped []UserID) {
	at, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	ceiling := s.held(by, Place{Org: target}, now).set
	for id, grant := range at.Project.Overrides.All() {
		tooMuch := !grant.Role.Permissions().And(allProject).Within(ceiling)
		here, _ := at.Org.Members.Get(id)
		there, _ := target.Members.Get(id)
		if !c.KeepOverrides || tooMuch || here.At(now) == "" || there.At(now) == "" {
			dropped = append(dropped, id)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// TransferPreview is what a transfer would do.
type TransferPreview struct {
	Obstacles []Reason
	Changes   []AccessChange
	Dropped   []UserID
	KeysKept  int
}

// AccessChange is one user's effective role before and after; "" is no access.
type AccessChange struct {
	User     UserID
	Old, New Role
}

// PreviewTransfer tells what the command would do, given by the actor at a time.
func (s *State) PreviewTransfer(c TransferProject, by Actor, now time.Time) TransferPreview {
	var preview TransferPreview
	for _, o := range s.transferObstacles(c) {
		preview.Obstacles = append(preview.Obstacles, o.Reason)
	}
	before, _ := s.Place("", c.ID)
	target, _ := s.orgs.Get(c.Target)
	preview.Dropped = s.droppedOverrides(c, by, now)
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
		change := AccessChange{User: id, Old: s.usableRole(id, before, now), New: s.usableRole(id, after, now)}
		if change.Old != change.New {
			preview.Changes = append(preview.Changes, change)
		}
	}
	slices.SortFunc(preview.Changes, func(a, b AccessChange) int { return strings.Compare(string(a.User), string(b.User)) })
	for id := range before.Project.Keys.All() {
		if k, _ := s.keys.Get(id); k.state(now) == "" {
			preview.KeysKept++
		}
	}
	return preview
}

// usableRole is the effective role of a user who may act; a role that holds nothing is no access.
func (s *State) usableRole(id UserID, at Place, now time.Time) Role {
	if s.userState(id) != "" {
		return ""
	}
	if role := s.EffectiveRole(id, at, now).Role; role != None {
		return role
	}
	return ""
}

func (s *State) projectTransferred(e *eventv1.Event, body *eventv1.ProjectTransferred, at moment) {
	id, source, target := ProjectID(e.ProjectId), OrgID(e.OrgIds[0]), OrgID(e.OrgIds[1])
	s.editProject(id, func(p *Project) {
		s.editOrg(source, func(o *Org) {
			o.Projects = o.Projects.Without(id)
			o.Names = o.Names.Without(foldName(p.Name))
		})
		p.Org, p.UpdatedAt = target, at.Time
		if body.Name != nil {
			p.Name = body.Name.New
		}
		for _, d := range body.DroppedOverrides {
			p.Overrides = p.Overrides.Without(UserID(d.UserId))
		}
		s.editOrg(target, func(o *Org) {
			o.Projects = o.Projects.With(id, struct{}{})
			o.Names = o.Names.With(foldName(p.Name), id)
		})
	})
}
