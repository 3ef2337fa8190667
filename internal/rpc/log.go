package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// logWindow is how many positions are read at a time.
const logWindow = 500

// ReadLog streams the messages of the log as they are stored.
func (s *Server) ReadLog(ctx context.Context, req *tenurev1.ReadLogRequest, stream *connect.ServerStream[tenurev1.ReadLogResponse]) error {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return err
	}
	c := callFrom(ctx)
	next, last := domain.Position(max(1, req.From)), domain.Position(req.To)
	if last == 0 && !req.Follow {
		last = c.state.Position
	}
	// The headers tell the caller that the stream stands.
	if err := stream.Send(nil); err != nil {
		return err
	}
	for {
		moved := s.Engine.Moved()
		// The caller's rights are looked at anew each time: a stream must not outlive them.
		state := s.Engine.State()
		if err := state.Authorize(c.actor, c.rule, nil, s.Engine.Now()); err != nil {
			return err
		}
		to := state.Position
		if last != 0 {
			to = min(to, last)
		}
		for next <= to {
			until := min(next+logWindow-1, to)
			if err := s.Engine.Messages(ctx, next, until, func(m engine.Message) error { return stream.Send(messageView(m)) }); err != nil {
				return err
			}
			next = until + 1
		}
		if last != 0 && (next > last || !req.Follow) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Engine.Stopping():
			return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; go on from position %d elsewhere", next)
		case <-moved:
		}
	}
}

func messageView(m engine.Message) *tenurev1.ReadLogResponse {
	return &tenurev1.ReadLogResponse{
		Position: uint64(m.Position), Data: m.Data, Hash: m.Hash[:], Void: m.Commit == nil, Time: m.Commit.GetTime(),
	}
}
