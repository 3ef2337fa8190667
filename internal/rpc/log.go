package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// logWindow is how many positions are read at a time: beginning to read costs as much as some thousands of them.
	logWindow = 20_000
	// admittedFor is after how many messages or keys the caller's rights are looked at anew, and whether the server is stopping.
	admittedFor = 256
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
		to := s.Engine.State().Position
		if last != 0 {
			to = min(to, last)
		}
		if err := s.stillAdmitted(c); err != nil {
			return err
		}
		for next <= to {
			err := s.Engine.Messages(ctx, next, min(next+logWindow-1, to), func(m engine.Message) error {
				next = m.Position + 1
				if m.Position%admittedFor == 0 {
					if err := s.stillAdmitted(c); err != nil {
						return err
					}
				}
				return stream.Send(messageView(m))
			})
			if err != nil {
				return err
			}
		}
		if last != 0 && (next > last || !req.Follow) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Engine.Stopping():
			return s.stillAdmitted(c)
		case <-moved:
		}
	}
}

// stillAdmitted is an error if the caller of a stream has lost its rights, which a stream must not outlive, or the server is
// stopping.
func (s *Server) stillAdmitted(c *call) error {
	select {
	case <-s.Engine.Stopping():
		return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; go on elsewhere, behind what you got")
	default:
	}
	return s.Engine.State().Authorize(c.actor, c.rule, nil, s.Engine.Now())
}

func messageView(m engine.Message) *tenurev1.ReadLogResponse {
	return &tenurev1.ReadLogResponse{
		Position: uint64(m.Position), Data: m.Data, Hash: m.Hash[:], Void: m.Commit == nil, Time: m.Commit.GetTime(),
	}
}

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
		if n++; n%admittedFor == 0 {
			own = s.stillAdmitted(c)
		}
		if own == nil {
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
