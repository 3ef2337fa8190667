package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/projections/runner"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Reasons of errors about read models.
const (
	ProjectionNotFound domain.Reason = "PROJECTION_NOT_FOUND"
	BuildUnderWay      domain.Reason = "BUILD_UNDER_WAY"
	ProjectionDiffers  domain.Reason = "PROJECTION_DIFFERS"
	NotRebuilt         domain.Reason = "NOT_REBUILT"
)

// progressEvery is how often a caller is told how a build goes.
const progressEvery = 250 * time.Millisecond

// ListProjections tells how the read models are.
func (s *Server) ListProjections(ctx context.Context, _ *tenurev1.ListProjectionsRequest) (*tenurev1.ListProjectionsResponse, error) {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return nil, err
	}
	res := &tenurev1.ListProjectionsResponse{}
	for _, p := range s.ReadModels.Reporters() {
		res.Projections = append(res.Projections, s.projectionView(p.Report()))
	}
	return res, nil
}

func (s *Server) projectionView(r runner.Report) *tenurev1.Projection {
	view := &tenurev1.Projection{
		Name: r.Name, Version: uint32(r.Generation.Version), Generation: uint32(r.Generation.Number), Phase: string(r.Status.Phase),
		Position: uint64(r.Status.Position), End: uint64(r.End), Rate: r.Status.Rate, Engine: r.Engine, Location: r.Where,
		Time: timestamp(r.Status.Time), Lag: uint64(r.Lag()), LagEvents: r.LagEvents, LagTime: durationpb.New(r.LagTime(s.Engine.Now())),
	}
	if r.Generation.Number == 0 {
		view.Phase = "none"
	}
	if r.Err != nil {
		view.Error = r.Err.Error()
	}
	if r.Building != nil {
		view.Building = progressView(*r.Building)
	}
	return view
}

func progressView(p runner.Progress) *tenurev1.BuildProgress {
	view := &tenurev1.BuildProgress{
		Generation: uint32(p.Generation), Position: uint64(p.Position), End: uint64(p.End), Rate: p.Rate, Elapsed: durationpb.New(p.Elapsed),
	}
	if p.Left > 0 {
		view.Left = durationpb.New(p.Left)
	}
	if p.Retrying != nil {
		view.Error = p.Retrying.Error()
	}
	return view
}

func (s *Server) projector(name string) (*runner.Projector, error) {
	if s.ReadModels.Feed != nil && name == s.ReadModels.Feed.Name() {
		return nil, domain.Errorf(domain.CodePrecondition, NotRebuilt, "%q is not built beside itself; to have it made anew, delete its stream and bucket in NATS, see docs/FEED.md", name)
	}
	known := ""
	if s.ReadModels.Redis != nil {
		known = " " + redis.Name
	}
	for _, p := range s.ReadModels.All() {
		if p.Name() == name {
			return p, nil
		}
		known += " " + p.Name()
	}
	return nil, domain.Errorf(domain.CodeNotFound, ProjectionNotFound, "there is no projection %q; there are:%s", clip(name, 40), known)
}

// RebuildProjection makes a read model anew and puts it in the place of the live one.
func (s *Server) RebuildProjection(ctx context.Context, req *tenurev1.RebuildProjectionRequest, stream *connect.ServerStream[tenurev1.RebuildProjectionResponse]) error {
	if s.ReadModels.Redis != nil && req.Name == redis.Name {
		return s.rebuildRedis(ctx, req, stream)
	}
	return s.build(ctx, req.Name, func(p *runner.Projector) (*runner.Build, error) {
		b, err := p.Rebuild(req.Verify)
		if errors.Is(err, runner.ErrBuilding) && !req.Verify {
			// Begun before, perhaps by a caller that went away, or at start: this one watches it.
			return p.Building(), nil
		}
		return b, err
	}, func(progress *tenurev1.BuildProgress, result *tenurev1.BuildResult) error {
		return stream.Send(&tenurev1.RebuildProjectionResponse{Progress: progress, Result: result})
	})
}

// rebuildRedis makes what is in Redis anew. It is made from the state in one go, so there is nothing to show of its progress, and no other
// of it to compare with.
func (s *Server) rebuildRedis(ctx context.Context, req *tenurev1.RebuildProjectionRequest, stream *connect.ServerStream[tenurev1.RebuildProjectionResponse]) error {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return err
	}
	if req.Verify {
		return domain.Invalidf("verify", domain.InvalidField, "is for read models in a database; leave it out for %q", redis.Name)
	}
	began := time.Now()
	if err := stream.Send(&tenurev1.RebuildProjectionResponse{Progress: progressView(runner.Progress{End: s.Engine.State().Position})}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	built := make(chan error, 1)
	go func() { built <- s.ReadModels.Redis.Rebuild(ctx) }()
	select {
	case <-s.Engine.Stopping():
		return buildError(redis.Name, context.Canceled)
	case err := <-built:
		if err != nil {
			return readError(err)
		}
	}
	r, elapsed := s.ReadModels.Redis.Report(), time.Since(began)
	return stream.Send(&tenurev1.RebuildProjectionResponse{
		Progress: progressView(runner.Progress{Generation: r.Generation.Number, Position: r.Status.Position, End: r.End, Elapsed: elapsed}),
		Result:   &tenurev1.BuildResult{Position: uint64(r.Status.Position), Elapsed: durationpb.New(elapsed)},
	})
}

// VerifyProjection makes a read model anew and compares it with the live one.
func (s *Server) VerifyProjection(ctx context.Context, req *tenurev1.VerifyProjectionRequest, stream *connect.ServerStream[tenurev1.VerifyProjectionResponse]) error {
	return s.build(ctx, req.Name, (*runner.Projector).Verify, func(progress *tenurev1.BuildProgress, result *tenurev1.BuildResult) error {
		return stream.Send(&tenurev1.VerifyProjectionResponse{Progress: progress, Result: result})
	})
}

func (s *Server) build(ctx context.Context, name string, begin func(*runner.Projector) (*runner.Build, error), send func(*tenurev1.BuildProgress, *tenurev1.BuildResult) error) error {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return err
	}
	p, err := s.projector(name)
	if err != nil {
		return err
	}
	b, err := begin(p)
	if err != nil {
		return buildError(name, err)
	}
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		if err := send(progressView(b.Progress()), nil); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Engine.Stopping():
			return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; the build goes on at its next start")
		case <-b.Done():
			v, err := b.Result()
			if err != nil {
				return buildError(name, err)
			}
			return send(progressView(b.Progress()), &tenurev1.BuildResult{
				Position: uint64(v.Position), Rows: v.Rows, Hash: v.Built, Elapsed: durationpb.New(b.Progress().Elapsed),
			})
		case <-ticker.C:
		}
	}
}

func buildError(name string, err error) error {
	switch {
	case errors.Is(err, runner.ErrBuilding):
		return domain.Errorf(domain.CodePrecondition, BuildUnderWay, "%q is being built already; wait for it: tenure projection list", name)
	case errors.Is(err, runner.ErrDiffers):
		return domain.Errorf(domain.CodeAborted, ProjectionDiffers, "%q is not what the log says: %v", name, err)
	case errors.Is(err, context.Canceled):
		return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; the build goes on at its next start")
	}
	return readError(err)
}
