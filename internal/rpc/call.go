package rpc

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// call is what is known about a request besides its message.
type call struct {
	procedure string
	rule      domain.Rule
	actor     domain.Actor
	// presented tells that there were credentials; refused is whom credentials belong to that are right and can't be used.
	presented bool
	refused   domain.Actor
	// message is the request, targets what it names, as far as the call got.
	message   proto.Message
	targets   []domain.Target
	now       time.Time
	ip        netip.Addr
	userAgent string
	requestID string
	traceID   string
	// idempotency is set if the client sent a key.
	idempotency *eventv1.Idempotency
	// state is what queries read: as new as the request wanted.
	state *domain.State
	// wanted is the position that the request asked for; 0 if it takes what is there.
	wanted domain.Position
	// token is that of the state the answer reflects.
	token string
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callFrom(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// read makes the call answer from a state.
func (c *call) read(s *domain.State) { c.answered(s, engine.StateToken(s)) }

// answered records what the answer reflects.
func (c *call) answered(s *domain.State, token string) { c.state, c.token = s, token }

// sealInfo seals what is personal about how a request came.
func (s *Server) sealInfo(ctx context.Context, c *call) (info *eventv1.RequestInfo, err error) {
	info = &eventv1.RequestInfo{RequestId: c.requestID, TraceId: c.traceID}
	if c.ip.IsValid() {
		if info.Ip, err = s.seal(ctx, c.actor.Subject(), "ip", c.ip.String()); err != nil {
			return nil, err
		}
	}
	info.UserAgent, err = s.seal(ctx, c.actor.Subject(), "user_agent", c.userAgent)
	return info, err
}

// seal encrypts a personal value under its subject's key.
func (s *Server) seal(ctx context.Context, subject, field, value string) (*eventv1.Sealed, error) {
	sealed, err := s.Vault.Seal(ctx, subject, field, value)
	if err != nil {
		return nil, domain.Errorf(domain.CodeUnavailable, "SEALING_UNAVAILABLE",
			"personal data can't be sealed now, so nothing was done; try again").Because(err)
	}
	return sealed, nil
}
