package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/directory"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// NotThereThen is the reason for questions about a time at which there was nothing to ask about.
const NotThereThen domain.Reason = "NOT_THERE_THEN"

// AccessAt answers who could do something in the past, or what somebody could do.
func (s *Server) AccessAt(ctx context.Context, req *tenurev1.AccessAtRequest) (*tenurev1.AccessAtResponse, error) {
	c := callFrom(ctx)
	org, project := domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId)
	// Who names the organization asks with rights in it, about what was in it; else with rights in the project, wherever it was.
	named := project
	if org != "" {
		named = ""
	}
	targets, err := auditTargets(c.state, string(org), string(named))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	at := directory.At{Position: domain.Position(req.Position), Time: timeOf(req.Time)}
	switch {
	case at.Position > c.state.Position:
		return nil, domain.Invalidf("position", domain.InvalidField, "the log ends at %d", c.state.Position)
	case at.Position == 0 && at.Time.After(c.now):
		return nil, domain.Invalidf("time", domain.InvalidField, "is in the future; Check and ListSubjects answer about now")
	}
	level := domain.OrgLevel
	if project != "" {
		level = domain.ProjectLevel
	}
	p := c.state.Catalog().Parse(level, req.Permission)
	if p == 0 && req.Permission != "" {
		return nil, domain.Invalidf("permission", domain.UnknownPermission, "%q is not a permission at the level of what is named", clip(req.Permission, 100))
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	if org == "" {
		if org, err = directory.OrgOf(ctx, m, project, at); err != nil {
			return nil, pastError(err)
		}
	}
	then, err := directory.Past(ctx, m, c.state.Catalog(), org, project, at)
	if err != nil {
		return nil, pastError(err)
	}
	place, err := then.Place(org, project)
	if err != nil {
		return nil, err
	}
	// Expiry is judged at that time; behind a position, at the time of its commit.
	now := at.Time
	if at.Position > 0 {
		if now, err = s.timeAt(ctx, at.Position); err != nil {
			return nil, err
		}
	}
	res := &tenurev1.AccessAtResponse{OrgId: string(org)}
	admin := c.state.IsAdmin(c.actor)
	if user := domain.UserID(req.UserId); user != "" {
		for a := range then.AccessibleAfter(user, org, "", "", now) {
			view := &tenurev1.PastAccess{Role: string(a.Role), By: string(a.By), GroupId: string(a.Group), ExpiresAt: timestamp(a.ExpiresAt)}
			set := a.Permissions()
			if a.Project != nil {
				if project != "" && a.Project.ID != project {
					continue
				}
				view.ProjectId, view.ProjectName = string(a.Project.ID), a.Project.Name
				view.Permissions = c.state.Catalog().NamesAt(domain.ProjectLevel, set)
			} else {
				view.Permissions = c.state.Catalog().NamesAt(domain.OrgLevel, set)
			}
			res.Access = append(res.Access, view)
		}
		if p == 0 {
			return res, nil
		}
		verdict, steps := then.Explain(domain.Actor{Kind: domain.ActorUser, User: user}, p, place, now)
		res.Verdict = &tenurev1.PastVerdict{Allowed: verdict.Allowed, Reason: string(verdict.Reason), Role: string(verdict.Role), Steps: stepViews(steps)}
		return res, nil
	}
	granted, err := directory.Granted(ctx, m, org, project, at)
	if err != nil {
		return nil, readError(err)
	}
	for subject := range then.SubjectsAfter(p, place, "", "", admin, now) {
		since := granted(subject.User, subject.By, subject.Group)
		res.Subjects = append(res.Subjects, &tenurev1.PastSubject{
			UserId: string(subject.User), KeyId: string(subject.Key), Role: string(subject.Role), By: string(subject.By), GroupId: string(subject.Group),
			ExpiresAt: timestamp(subject.ExpiresAt), GrantedIn: uint64(since.Position), GrantedAt: timestamp(since.Time),
		})
	}
	return res, nil
}

// timeAt is the time of the commit at a position, or of the last one in front of it if somebody else published there.
func (s *Server) timeAt(ctx context.Context, at domain.Position) (t time.Time, err error) {
	for ; at > 0 && t.IsZero() && err == nil; at-- {
		err = s.Engine.Commits(ctx, at, at, func(c engine.Commit) error {
			t = c.Time.AsTime()
			return nil
		})
	}
	return t, err
}

func pastError(err error) error {
	if errors.Is(err, directory.ErrNotThere) {
		return domain.Errorf(domain.CodePrecondition, NotThereThen, "what is named was not there then; its history says since when it is: tenure audit query")
	}
	return readError(err)
}
