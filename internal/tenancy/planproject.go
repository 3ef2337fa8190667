package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// plannedProject is a project of the file, with the one that is there.
type plannedProject struct{ want, have *Project }

func (p *orgPlanner) planProjects() {
	matched := p.matchProjects()
	var renamed []plannedProject
	for _, m := range matched {
		w, h := m.want, m.have
		p.nameFree(m, matched)
		switch {
		case h == nil:
			h = p.createProject(w)
		default:
			p.ids[ref{"project", p.label, fold(w.Name)}] = h.ID
			if h.Name != w.Name {
				renamed = append(renamed, m)
				p.renamed[ref{"project", p.label, fold(h.Name)}] = w.Name
			}
			p.changeProject(w, h)
		}
		if p.isDeleted(h) && (w.Overrides != nil || w.Keys != nil) {
			p.note("project %s is restored with the overrides and keys it had; run it again to compare those", w.Name)
			continue
		}
		p.planOverrides(w.Name, w.Overrides, h.Overrides)
		p.planKeys("project", w.Name, w.Keys, h.Keys, func(a *applier, req *tenurev1.CreateKeyRequest) {
			req.ProjectId = a.id(ref{"project", p.label, fold(w.Name)})
		})
	}
	p.renameProjects(renamed)
	if !p.Prune || p.want.Projects == nil {
		return
	}
	for i := range p.have.Projects {
		h := &p.have.Projects[i]
		if slices.ContainsFunc(matched, func(m plannedProject) bool { return m.have == h }) {
			continue
		}
		p.add(Remove, "project "+h.Name, nil, stepDropProjects, func(ctx context.Context, a *applier) error {
			_, err := a.projects.DeleteProject(ctx, &tenurev1.DeleteProjectRequest{ProjectId: h.ID})
			return err
		})
	}
}

// matchProjects finds by id, and else by name whatever the case of its letters.
func (p *orgPlanner) matchProjects() []plannedProject {
	matched := make([]plannedProject, len(p.want.Projects))
	taken := map[string]bool{}
	for i := range p.want.Projects {
		w := &p.want.Projects[i]
		matched[i].want = w
		if w.ID == "" {
			continue
		}
		for _, list := range [][]Project{p.have.Projects, p.have.deleted} {
			for j := range list {
				if list[j].ID == w.ID {
					matched[i].have, taken[w.ID] = &list[j], true
				}
			}
		}
		for _, other := range p.orgs {
			p.mistake(other.have != nil && other.have != p.have && slices.ContainsFunc(other.have.Projects, func(e Project) bool { return e.ID == w.ID }),
				"project %s (%s) is in organization %s; move it with TransferProject, which keeps its keys", w.Name, w.ID, other.label)
		}
	}
	for i := range matched {
		w := matched[i].want
		if w.ID != "" {
			continue
		}
		for j := range p.have.Projects {
			if h := &p.have.Projects[j]; fold(h.Name) == fold(w.Name) && !taken[h.ID] {
				matched[i].have, taken[h.ID] = h, true
			}
		}
	}
	return matched
}

// nameFree notes a mistake if the project would take the name of one that stays and is not in the file.
func (p *orgPlanner) nameFree(m plannedProject, matched []plannedProject) {
	for i := range p.have.Projects {
		h := &p.have.Projects[i]
		listed := slices.ContainsFunc(matched, func(other plannedProject) bool { return other.have == h })
		p.mistake(!listed && !p.Prune && fold(h.Name) == fold(m.want.Name),
			"project %s can't have its name: project %s has it, which the file does not list", m.want.Name, h.ID)
	}
}

func (p *orgPlanner) createProject(w *Project) *Project {
	var f fields
	f.text("id", "", given(w.ID))
	f.pairs("metadata", nil, w.Metadata)
	retention(&f, nil, w.RetentionDays)
	f.list("environments", Section[string]{}, w.Environments)
	p.add(Create, "project "+w.Name, f, stepProjects, func(ctx context.Context, a *applier) error {
		res, err := a.projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{
			OrgId: p.id(a), Name: w.Name, Metadata: w.Metadata, RetentionDays: value(w.RetentionDays),
			Environments: w.Environments, ProjectId: w.ID,
		})
		if err == nil {
			a.note(ref{"project", p.label, fold(w.Name)}, res.Project.Id)
		}
		return err
	})
	return &Project{Overrides: Section[Override]{}, Keys: Section[Key]{}}
}

func retention(f *fields, old, want *uint32) bool {
	if want == nil || *want == value(old) {
		return false
	}
	days := func(n *uint32) string {
		if value(n) == 0 {
			return "for ever"
		}
		return fmt.Sprint(*n) + " days"
	}
	*f = append(*f, Field{"retention", days(old), days(want)})
	return true
}

// changeProject restores and changes. Its name is changed by renameProjects.
func (p *orgPlanner) changeProject(w, h *Project) {
	what := "project " + w.Name
	if p.isDeleted(h) {
		p.add(Create, what, fields{{"restored", "", h.ID}}, stepProjects, func(ctx context.Context, a *applier) error {
			_, err := a.projects.RestoreProject(ctx, &tenurev1.RestoreProjectRequest{ProjectId: h.ID, NewName: &w.Name})
			return err
		})
	}
	var f fields
	metadata := f.pairs("metadata", h.Metadata, w.Metadata)
	days := retention(&f, h.RetentionDays, w.RetentionDays)
	first, last := w.Environments, Section[string](nil)
	if used := p.environmentsInUse(w, h); used {
		// What a key is still bound to can't go, and what it is to be bound to must be there.
		first, last = declared(slices.Concat(h.Environments, w.Environments)), w.Environments
	}
	environments := f.list("environments", h.Environments, first)
	if f != nil {
		p.add(Update, what, f, stepProjects, func(ctx context.Context, a *applier) error {
			req := &tenurev1.UpdateProjectRequest{ProjectId: h.ID}
			if metadata {
				req.Metadata, req.ClearMetadata = w.Metadata, len(w.Metadata) == 0
			}
			if days {
				req.RetentionDays = w.RetentionDays
			}
			if environments {
				req.Environments = orDefault(first)
			}
			_, err := a.projects.UpdateProject(ctx, req)
			return err
		})
	}
	var late fields
	if last != nil && late.list("environments", first, last) {
		p.add(Update, what, late, stepEnvironments, func(ctx context.Context, a *applier) error {
			_, err := a.projects.UpdateProject(ctx, &tenurev1.UpdateProjectRequest{ProjectId: h.ID, Environments: orDefault(last)})
			return err
		})
	}
}

func (p *orgPlanner) isDeleted(h *Project) bool {
	return slices.ContainsFunc(p.have.deleted, func(e Project) bool { return h.ID != "" && e.ID == h.ID })
}

// environmentsInUse tells whether a key that is there is bound to an environment that goes.
func (p *orgPlanner) environmentsInUse(w, h *Project) bool {
	return w.Environments != nil && slices.ContainsFunc(h.Keys, func(k Key) bool {
		return slices.ContainsFunc(k.Environments, func(e string) bool {
			return slices.Contains(h.Environments, e) && !slices.Contains(w.Environments, e)
		})
	})
}

// orDefault is what the API wants for none but the one that every project has.
func orDefault(environments []string) []string {
	if len(environments) == 0 {
		return []string{"default"}
	}
	return environments
}

// renameProjects renames in an order in which every new name is free when its turn comes.
func (p *orgPlanner) renameProjects(list []plannedProject) {
	for len(list) > 0 {
		i := slices.IndexFunc(list, func(m plannedProject) bool {
			return !slices.ContainsFunc(list, func(other plannedProject) bool {
				return other.have != m.have && fold(other.have.Name) == fold(m.want.Name)
			})
		})
		if i < 0 {
			var names []string
			for _, m := range list {
				names = append(names, m.have.Name)
			}
			p.mistake(true, "the projects %s take each other's names; rename one to another name first", strings.Join(names, ", "))
			return
		}
		m := list[i]
		list = slices.Delete(slices.Clone(list), i, i+1)
		if p.isDeleted(m.have) {
			// It is restored under its new name.
			continue
		}
		p.add(Update, "project "+m.want.Name, fields{{"name", shown(m.have.Name), shown(m.want.Name)}}, stepRenames, func(ctx context.Context, a *applier) error {
			_, err := a.projects.UpdateProject(ctx, &tenurev1.UpdateProjectRequest{ProjectId: m.have.ID, Name: &m.want.Name})
			return err
		})
	}
}
