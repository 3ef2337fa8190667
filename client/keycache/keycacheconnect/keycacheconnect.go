// Package keycacheconnect lets only calls with a good key of Tenure through to handlers of connectrpc.com/connect, which find the answer
// by keycache.FromContext.
package keycacheconnect

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/tenurehq/tenure/client/keycache"
)

// Interceptor is a connect.Interceptor for handlers; clients it leaves alone. Calls that are not let through end with Unauthenticated,
// PermissionDenied or Unavailable, with the reason in an ErrorInfo as Tenure's own errors have it. The key of a stream is verified when
// the stream begins.
type Interceptor struct {
	Cache *keycache.Cache
	// EnvironmentHeader is in which header callers report their environment; "": in none, all are in the default one.
	EnvironmentHeader string
	// Address finds a caller's address; the connection's, if not set. Behind a proxy it must be what that proxy says, and nobody else.
	Address func(connect.Peer, http.Header) netip.Addr
	// Permission is what a procedure, named "/package.Service/Method", takes; "" for a good key alone. If it is not set every one does.
	Permission func(procedure string) string
}

var _ connect.Interceptor = Interceptor{}

// WrapUnary implements connect.Interceptor.
func (i Interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		ctx, err := i.admit(ctx, req.Spec(), req.Peer(), req.Header())
		if err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i Interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (i Interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, err := i.admit(ctx, conn.Spec(), conn.Peer(), conn.RequestHeader())
		if err != nil {
			return err
		}
		return next(ctx, conn)
	}
}

func (i Interceptor) admit(ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
	var from netip.Addr
	if i.Address != nil {
		from = i.Address(peer, header)
	} else if at, err := netip.ParseAddrPort(peer.Addr); err == nil {
		from = at.Addr()
	}
	environment := ""
	if i.EnvironmentHeader != "" {
		environment = header.Get(i.EnvironmentHeader)
	}
	a, refusal := i.Cache.Admit(ctx, header.Get("Authorization"), environment, from)
	if refusal == nil {
		ctx = keycache.WithAnswer(ctx, a)
		if i.Permission != nil {
			if permission := i.Permission(spec.Procedure); permission != "" {
				refusal = keycache.Needs(ctx, permission)
			}
		}
	}
	if refusal == nil {
		return ctx, nil
	}
	err := connect.NewError(refusal.Code, errors.New(refusal.Message))
	if d, failed := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: refusal.Reason, Domain: "tenure"}); failed == nil {
		err.AddDetail(d)
	}
	return nil, err
}
