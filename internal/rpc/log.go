package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

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
			until := min(next+auditWindow-1, to)
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

// keysBetween is after how many keys the caller's rights are looked at anew.
const keysBetween = 256

// ReadPersonalKeys streams the keys of what is personal, wrapped as they are stored.
func (s *Server) ReadPersonalKeys(ctx context.Context, _ *tenurev1.ReadPersonalKeysRequest, stream *connect.ServerStream[tenurev1.ReadPersonalKeysResponse]) error {
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return err
	}
	c := callFrom(ctx)
	// The headers tell the caller that the stream stands.
	if err := stream.Send(nil); err != nil {
		return err
	}
	n := 0
	var own error
	err := s.Vault.Keys(ctx, func(subject string, wrapped []byte) error {
		if n++; n%keysBetween == 0 {
			if own = s.Engine.State().Authorize(c.actor, c.rule, nil, s.Engine.Now()); own != nil {
				return own
			}
		}
		select {
		case <-s.Engine.Stopping():
			own = domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; read the keys again elsewhere, from the beginning")
		default:
			own = stream.Send(&tenurev1.ReadPersonalKeysResponse{Subject: subject, WrappedKey: wrapped})
		}
		return own
	})
	switch {
	case own != nil || err == nil:
		return own
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return domain.Errorf(domain.CodeUnavailable, engine.NoContact, "the personal keys can't be read now; try again").Because(err)
}
