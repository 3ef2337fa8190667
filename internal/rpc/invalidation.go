package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// heartbeat is how often a watcher hears how far it is, at least.
	heartbeat = 500 * time.Millisecond
	// watchInvalidationsMost is about how many invalidations one message holds.
	watchInvalidationsMost = 1000
)

// WatchInvalidations tells what changed, and how new that word is.
func (s *Server) WatchInvalidations(ctx context.Context, req *tenurev1.WatchInvalidationsRequest, stream *connect.ServerStream[tenurev1.WatchInvalidationsResponse]) error {
	began := time.Now()
	c := callFrom(ctx)
	s.Invalidations.Start(projections.Checkpoint{LogID: c.state.Instance.LogID, Position: c.state.Position, Hash: c.state.Hash})
	from, err := s.watchFrom(ctx, c.state, req.Token)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, engine.DefaultWait)
	at, known := s.Invalidations.At(waiting, from)
	cancel()
	reset := !known
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	var word claims
	for due := true; ; {
		// How new the word is, is found out first: what is told after it is at least as new.
		now := claim{elapsed: time.Since(began), age: s.Engine.SinceContact()}
		state := s.Engine.State()
		now.position = state.Position
		// The caller's rights are looked at anew each time: a watch must not outlive them.
		if err := state.Authorize(c.actor, domain.Rule{Requirement: domain.AnyInstanceKey}, nil, s.Engine.Now()); err != nil {
			return err
		}
		list, to, known, moved, err := s.Invalidations.Next(at.Position, watchInvalidationsMost)
		if err != nil {
			return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "this server stopped reading the log; watch again, from the last token you got").Because(err)
		}
		newest, current := word.of(now, to.Position)
		if reset = reset || !known; reset || len(list) > 0 || due && current {
			res := &tenurev1.WatchInvalidationsResponse{Reset_: reset, Invalidations: list, Position: uint64(to.Position), Token: tokenOf(to)}
			if current {
				res.Age, res.Elapsed, due = durationpb.New(newest.age), durationpb.New(newest.elapsed), false
			}
			if err := stream.Send(res); err != nil {
				return err
			}
			reset = false
		}
		if at = to; len(list) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Engine.Stopping():
			return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; watch again from the last token you got")
		case <-ticker.C:
			due = true
		case <-moved:
		}
	}
}

// claim says that a position was the newest of the log at most age before elapsed.
type claim struct {
	elapsed, age time.Duration
	position     domain.Position
}

// claims are what can be said of how new the told is: while commands come all the time, what is told never gets to the newest position,
// but to that of a moment ago.
type claims struct{ waiting *claim }

// of is the newest claim that holds of what is told up to a position, if one does.
func (c *claims) of(now claim, told domain.Position) (claim, bool) {
	if told >= now.position {
		c.waiting = nil
		return now, true
	}
	if c.waiting == nil {
		c.waiting = &now
		return claim{}, false
	}
	if told < c.waiting.position {
		return claim{}, false
	}
	held := *c.waiting
	c.waiting = &now
	return held, true
}

// watchFrom is the position of a token, or else of a state. A token that is not of this log's past has none: 0.
func (s *Server) watchFrom(ctx context.Context, state *domain.State, token string) (domain.Position, error) {
	if token == "" {
		return state.Position, nil
	}
	// This server may be behind the one that gave the token.
	_, err := s.Engine.Await(ctx, engine.Consistency{Level: engine.AtLeast, Token: token})
	var known *domain.Error
	if errors.As(err, &known) && (known.Reason == engine.OtherLogToken || known.Reason == engine.LostToken) {
		return 0, nil
	}
	position, _ := engine.TokenPosition(token)
	return position, err
}

func tokenOf(at projections.Checkpoint) string { return engine.Token(at.LogID, at.Position, at.Hash) }

// ResolveKey finds a secret's key, and all it is judged by.
func (s *Server) ResolveKey(ctx context.Context, req *tenurev1.ResolveKeyRequest) (*tenurev1.ResolveKeyResponse, error) {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return nil, err
	}
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	c := callFrom(ctx)
	res := &tenurev1.ResolveKeyResponse{Position: uint64(c.state.Position), Token: c.token}
	k, ok, err := s.findKey(ctx, c.state, req.PublicKey, req.Secret, req.PublicKey != "")
	if err != nil || !ok {
		return res, err
	}
	res.Key = invalidation.KeyEntry(c.state, k)
	if u, ok := c.state.User(k.User); ok {
		res.User = invalidation.UserEntry(c.state, u)
	}
	res.Projects, res.Orgs = invalidation.About(c.state, res.Key, res.User)
	return res, nil
}

// ResolveUser answers all that a person is judged by, at a place if one is named.
func (s *Server) ResolveUser(ctx context.Context, req *tenurev1.ResolveUserRequest) (*tenurev1.ResolveUserResponse, error) {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return nil, err
	}
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	c := callFrom(ctx)
	u, ok := c.state.User(domain.UserID(req.UserId))
	if !ok {
		_, err := c.state.UserTarget(domain.UserID(req.UserId))
		return nil, err
	}
	res := &tenurev1.ResolveUserResponse{Position: uint64(c.state.Position), Token: c.token, User: invalidation.UserEntry(c.state, u)}
	res.Projects, res.Orgs = invalidation.About(c.state, nil, res.User)
	if req.OrgId == "" && req.ProjectId == "" {
		return res, nil
	}
	at, err := c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	if err != nil {
		return nil, err
	}
	res.Orgs = append(res.Orgs, invalidation.OrgEntry(at[0].Place.Org))
	if p := at[0].Place.Project; p != nil {
		res.Projects = append(res.Projects, invalidation.ProjectEntry(p))
	}
	return res, nil
}
