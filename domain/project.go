package domain

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Projects, in words:
//
//  1. A project belongs to exactly one organization at a time. Its name is unique among the active projects there,
//     whatever the case of its letters, and the policy has a say in new ones.
//  2. Every project has the environment "default" besides those it declares. One that a live key is bound to can't go.
//  3. A deleted project denies everything, its name is free, and it can be restored, under a new name if need be.

// DefaultEnvironment is what every project has.
const DefaultEnvironment = "default"

// CreateProject makes a project.
type CreateProject struct {
	ID            ProjectID
	Chosen        bool // the caller chose the id
	Org           OrgID
	ProjectName   string
	Metadata      map[string]string
	RetentionDays uint32
	Environments  []string
}

// UpdateProject changes what is not nil.
type UpdateProject struct {
	ID            ProjectID
	ProjectName   *string
	Metadata      *map[string]string
	RetentionDays *uint32
	Environments  *[]string
}

// DeleteProject takes a project out of use.
type DeleteProject struct{ ID ProjectID }

// RestoreProject brings a deleted project back.
type RestoreProject struct {
	ID      ProjectID
	NewName *string
}

// Name is the method's name.
func (CreateProject) Name() string  { return "CreateProject" }
func (UpdateProject) Name() string  { return "UpdateProject" }
func (DeleteProject) Name() string  { return "DeleteProject" }
func (RestoreProject) Name() string { return "RestoreProject" }

// Targets names the organization, or the project.
func (c CreateProject) Targets(s *State) ([]Target, error) { return s.OrgTarget(c.Org) }
func (c UpdateProject) Targets(s *State) ([]Target, error) { return s.ProjectTarget(c.ID) }
func (c DeleteProject) Targets(s *State) ([]Target, error) {
	return evenDeleted(s.ProjectTarget(c.ID))
}

func (c RestoreProject) Targets(s *State) ([]Target, error) {
	return evenDeleted(s.ProjectTarget(c.ID))
}

func evenDeleted(targets []Target, err error) ([]Target, error) {
	for i := range targets {
		targets[i].EvenDeleted = true
	}
	return targets, err
}

func (c CreateProject) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if err := s.chosenID(c.Chosen, by); err != nil {
		return nil, err
	}
	if s.projects.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	if err := s.named(ProjectLevel, "name", c.ProjectName); err != nil {
		return nil, err
	}
	if err := o.nameFree(c.ProjectName, c.ID); err != nil {
		return nil, err
	}
	if err := s.roomForProject(o); err != nil {
		return nil, err
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(c.Org)}, ProjectId: string(c.ID),
		Body: &eventv1.Event_ProjectCreated{ProjectCreated: &eventv1.ProjectCreated{
			Name: c.ProjectName, Metadata: c.Metadata, RetentionDays: c.RetentionDays, Environments: declared(c.Environments),
		}},
	}), nil
}

func (c UpdateProject) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.activeProject(c.ID)
	if err != nil {
		return nil, err
	}
	p := at.Project
	body := &eventv1.ProjectUpdated{Name: stringChange(p.Name, c.ProjectName), Metadata: mapChange(p.Metadata, c.Metadata)}
	if body.Name != nil {
		if err := s.named(ProjectLevel, "name", body.Name.New); err != nil {
			return nil, err
		}
		if err := at.Org.nameFree(body.Name.New, c.ID); err != nil {
			return nil, err
		}
	}
	if c.RetentionDays != nil && *c.RetentionDays != p.RetentionDays {
		body.RetentionDays = &eventv1.UintChange{Old: p.RetentionDays, New: *c.RetentionDays}
	}
	if c.Environments != nil {
		body.Environments = stringsChange(p.Environments, declared(*c.Environments))
		if err := s.environmentsFree(p, body.Environments, now); err != nil {
			return nil, err
		}
	}
	if body.Name == nil && body.Metadata == nil && body.RetentionDays == nil && body.Environments == nil {
		return nil, nil
	}
	return one(at.event(&eventv1.Event{Body: &eventv1.Event_ProjectUpdated{ProjectUpdated: body}})), nil
}

func (c DeleteProject) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	at, err := s.Place("", c.ID)
	if err != nil || at.Project.Status == Deleted {
		return nil, err
	}
	if at.Org.Status == Deleted {
		return nil, inState(OrgDeleted)
	}
	return one(at.event(&eventv1.Event{Body: &eventv1.Event_ProjectDeleted{ProjectDeleted: &eventv1.ProjectDeleted{Name: at.Project.Name}}})), nil
}

func (c RestoreProject) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.Place("", c.ID)
	if err != nil {
		return nil, err
	}
	if at.Org.Status == Deleted {
		return nil, inState(OrgDeleted)
	}
	if at.Project.Status == Active {
		return nil, nil
	}
	change := stringChange(at.Project.Name, c.NewName)
	name := at.Project.Name
	if change != nil {
		name = change.New
		if err := s.named(ProjectLevel, "new_name", name); err != nil {
			return nil, err
		}
	}
	if err := at.Org.nameFree(name, c.ID); err != nil {
		return nil, err
	}
	if err := s.roomForProject(at.Org); err != nil {
		return nil, err
	}
	if err := s.roomForKeysOf(at.Org, at.Project, now); err != nil {
		return nil, err
	}
	return one(at.event(&eventv1.Event{Body: &eventv1.Event_ProjectRestored{ProjectRestored: &eventv1.ProjectRestored{Name: change}}})), nil
}

// event fills in where the event happened.
func (at Place) event(e *eventv1.Event) *eventv1.Event {
	e.OrgIds = []string{string(at.Org.ID)}
	if at.Project != nil {
		e.ProjectId = string(at.Project.ID)
	}
	return e
}

// activeProject finds a project that is not deleted, in an organization that is not.
func (s *State) activeProject(id ProjectID) (Place, error) {
	at, err := s.Place("", id)
	switch {
	case err != nil:
		return Place{}, err
	case at.Org.Status == Deleted:
		return Place{}, inState(OrgDeleted)
	case at.Project.Status == Deleted:
		return Place{}, inState(ProjectDeleted)
	}
	return at, nil
}

// foldName is the form in which names of projects are compared.
func foldName(name string) string { return strings.ToLower(name) }

func (o *Org) nameFree(name string, id ProjectID) error {
	if holder, taken := o.Names.Get(foldName(name)); taken && holder != id {
		return Errorf(CodeExists, NameTaken, "a project of the organization is already named %q; choose another name", name)
	}
	return nil
}

// declared is the sorted list of environments without "default".
func declared(environments []string) []string {
	list := slices.Clone(environments)
	list = slices.DeleteFunc(list, func(e string) bool { return e == DefaultEnvironment })
	slices.Sort(list)
	return slices.Compact(list)
}

func stringsChange(old, wanted []string) *eventv1.StringsChange {
	if slices.Equal(old, wanted) {
		return nil
	}
	return &eventv1.StringsChange{Old: old, New: wanted}
}

func (s *State) environmentsFree(p *Project, change *eventv1.StringsChange, now time.Time) error {
	if change == nil {
		return nil
	}
	for id := range p.Keys.All() {
		k, _ := s.keys.Get(id)
		if k.state(now) != "" {
			continue
		}
		for _, e := range k.Environments {
			if e != DefaultEnvironment && !slices.Contains(change.New, e) {
				return Errorf(CodePrecondition, EnvironmentInUse, "key %s is bound to the environment %q; change or revoke it first", id, e)
			}
		}
	}
	return nil
}

func (s *State) projectCreated(e *eventv1.Event, body *eventv1.ProjectCreated, at moment) {
	p := &Project{
		ID: ProjectID(e.ProjectId), Org: OrgID(e.OrgIds[0]), Name: body.Name, Metadata: body.Metadata,
		RetentionDays: body.RetentionDays, Environments: body.Environments, Status: Active,
		CreatedAt: at.Time, UpdatedAt: at.Time, CreatedIn: at.Position,
	}
	s.projects = s.projects.With(p.ID, p)
	s.editOrg(p.Org, func(o *Org) {
		o.Projects = o.Projects.With(p.ID, struct{}{})
		o.Names = o.Names.With(foldName(p.Name), p.ID)
	})
}

func (s *State) projectUpdated(e *eventv1.Event, body *eventv1.ProjectUpdated, at moment) {
	if body.Name != nil {
		s.rename(e, body.Name)
	}
	s.editProject(ProjectID(e.ProjectId), func(p *Project) {
		p.UpdatedAt = at.Time
		if body.Metadata != nil {
			p.Metadata = body.Metadata.New
		}
		if body.RetentionDays != nil {
			p.RetentionDays = body.RetentionDays.New
		}
		if body.Environments != nil {
			p.Environments = body.Environments.New
		}
	})
}

// rename moves the name of an active project.
func (s *State) rename(e *eventv1.Event, change *eventv1.StringChange) {
	id := ProjectID(e.ProjectId)
	s.editProject(id, func(p *Project) { p.Name = change.New })
	s.changeOrg(e, func(o *Org) {
		o.Names = o.Names.Without(foldName(change.Old)).With(foldName(change.New), id)
	})
}

func (s *State) projectDeleted(e *eventv1.Event, at moment) {
	s.editProject(ProjectID(e.ProjectId), func(p *Project) {
		p.Status, p.UpdatedAt = Deleted, at.Time
		s.changeOrg(e, func(o *Org) { o.Names = o.Names.Without(foldName(p.Name)) })
	})
}

func (s *State) projectRestored(e *eventv1.Event, body *eventv1.ProjectRestored, at moment) {
	id := ProjectID(e.ProjectId)
	s.editProject(id, func(p *Project) {
		p.Status, p.UpdatedAt = Active, at.Time
		if body.Name != nil {
			p.Name = body.Name.New
		}
		s.changeOrg(e, func(o *Org) { o.Names = o.Names.With(foldName(p.Name), id) })
	})
}

func (s *State) editProject(id ProjectID, change func(*Project)) {
	old, ok := s.projects.Get(id)
	if !ok {
		panic(misfit("project " + string(id)))
	}
	p := *old
	change(&p)
	s.projects = s.projects.With(id, &p)
}
