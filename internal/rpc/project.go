package rpc

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// CreateProject makes a project.
func (s *Server) CreateProject(ctx context.Context, req *tenurev1.CreateProjectRequest) (*tenurev1.CreateProjectResponse, error) {
	id, chosen := newID(req.ProjectId, "prj_")
	out, err := s.execute(ctx, req.Reason, domain.CreateProject{
		ID: domain.ProjectID(id), Chosen: chosen, Org: domain.OrgID(req.OrgId), ProjectName: req.Name,
		Metadata: req.Metadata, RetentionDays: req.RetentionDays, Environments: req.Environments,
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.CreateProjectResponse{Project: projectOf(out, out.Events[0].ProjectId), Token: token(out), Warnings: nameWarnings(out.State, domain.ProjectLevel, &req.Name)}, nil
}

// GetProject answers one project.
func (s *Server) GetProject(ctx context.Context, req *tenurev1.GetProjectRequest) (*tenurev1.GetProjectResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.ProjectTarget(domain.ProjectID(req.ProjectId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	return &tenurev1.GetProjectResponse{Project: projectView(targets[0].Place)}, nil
}

// ListProjects answers the projects of an organization that the caller may read.
func (s *Server) ListProjects(ctx context.Context, req *tenurev1.ListProjectsRequest) (*tenurev1.ListProjectsResponse, error) {
	c := callFrom(ctx)
	targets, err := c.state.OrgTarget(domain.OrgID(req.OrgId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	read := domain.ParsePermission(domain.ProjectLevel, "project:read")
	restore := domain.ParsePermission(domain.ProjectLevel, "project:delete")
	org := targets[0].Place.Org
	projects, next, err := page("projects", behind(org.Projects, c.state.Project), req.PageSize, req.PageToken,
		func(_ domain.ProjectID, p *domain.Project) (*tenurev1.Project, bool) {
			at := domain.Place{Org: org, Project: p}
			if p.Status == domain.Deleted {
				return projectView(at), req.IncludeDeleted && c.state.Holds(c.actor, restore, at, c.now)
			}
			return projectView(at), c.state.Holds(c.actor, read, at, c.now)
		})
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListProjectsResponse{Projects: projects, NextPageToken: next}, nil
}

// UpdateProject changes a project.
func (s *Server) UpdateProject(ctx context.Context, req *tenurev1.UpdateProjectRequest) (*tenurev1.UpdateProjectResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.UpdateProject{
		ID: domain.ProjectID(req.ProjectId), ProjectName: req.Name, Metadata: metadata(req.Metadata, req.ClearMetadata),
		RetentionDays: req.RetentionDays, Environments: ifGiven(req.Environments),
	})
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateProjectResponse{Project: projectOf(out, req.ProjectId), Token: token(out), Warnings: nameWarnings(out.State, domain.ProjectLevel, req.Name)}, nil
}

// DeleteProject takes a project out of use.
func (s *Server) DeleteProject(ctx context.Context, req *tenurev1.DeleteProjectRequest) (*tenurev1.DeleteProjectResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeleteProject{ID: domain.ProjectID(req.ProjectId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeleteProjectResponse{Project: projectOf(out, req.ProjectId), Token: token(out)}, nil
}

// RestoreProject brings a deleted project back.
func (s *Server) RestoreProject(ctx context.Context, req *tenurev1.RestoreProjectRequest) (*tenurev1.RestoreProjectResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.RestoreProject{ID: domain.ProjectID(req.ProjectId), NewName: req.NewName})
	if err != nil {
		return nil, err
	}
	return &tenurev1.RestoreProjectResponse{Project: projectOf(out, req.ProjectId), Token: token(out), Warnings: nameWarnings(out.State, domain.ProjectLevel, req.NewName)}, nil
}

func projectOf(out engine.Outcome, id string) *tenurev1.Project {
	at, _ := out.State.Place("", domain.ProjectID(id))
	return projectView(at)
}

func projectView(at domain.Place) *tenurev1.Project {
	p := at.Project
	view := &tenurev1.Project{
		Id: string(p.ID), OrgId: string(p.Org), Name: p.Name, Metadata: p.Metadata, RetentionDays: p.RetentionDays,
		Environments: append([]string{domain.DefaultEnvironment}, p.Environments...), Status: statusView(p.Status),
		CreatedAt: timestamppb.New(p.CreatedAt), UpdatedAt: timestamppb.New(p.UpdatedAt),
	}
	slices.Sort(view.Environments)
	// What happened to the organization happened to its projects.
	if at.Org.Status != domain.Active && p.Status == domain.Active {
		view.Status = statusView(at.Org.Status)
	}
	return view
}

// ifGiven is the list wanted, nil if it is to stay.
func ifGiven[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}
