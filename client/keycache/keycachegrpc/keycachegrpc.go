// Package keycachegrpc lets only calls with a good key of Tenure through to a gRPC server. Handlers find the answer by
// keycache.FromContext.
package keycachegrpc

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenurehq/tenure/client/keycache"
)

// Interceptor has the interceptors of a server: Unary and Stream. Calls that are not let through end with Unauthenticated,
// PermissionDenied or Unavailable, with the reason in an ErrorInfo as Tenure's own errors have it. The key of a stream is verified when
// the stream begins.
type Interceptor struct {
	Cache *keycache.Cache
	// EnvironmentKey is in which metadata callers report their environment; "": in none, all are in the default one.
	EnvironmentKey string
	// Address finds a caller's address; the connection's, if not set. Behind a proxy it must be what that proxy says, and nobody else.
	Address func(context.Context) netip.Addr
	// Permission is what a method, named "/package.Service/Method", takes; "" for a good key alone. If it is not set every method does.
	Permission func(method string) string
	// Open tells which methods need no key, such as health checks; none, if not set.
	Open func(method string) bool
}

// Unary is for calls with one answer.
func (i Interceptor) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// Stream is for all other calls.
func (i Interceptor) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := i.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(srv, admitted{stream, ctx})
}

type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a admitted) Context() context.Context { return a.ctx }

func (i Interceptor) admit(ctx context.Context, method string) (context.Context, error) {
	if i.Open != nil && i.Open(method) {
		return ctx, nil
	}
	address := i.Address
	if address == nil {
		address = peerAddress
	}
	environment := ""
	if i.EnvironmentKey != "" {
		environment = first(ctx, i.EnvironmentKey)
	}
	a, refusal := i.Cache.Admit(ctx, first(ctx, "authorization"), environment, address(ctx))
	if refusal == nil {
		ctx = keycache.WithAnswer(ctx, a)
		if i.Permission != nil {
			if permission := i.Permission(method); permission != "" {
				refusal = keycache.Needs(ctx, permission)
			}
		}
	}
	if refusal != nil {
		return nil, wire(refusal)
	}
	return ctx, nil
}

func first(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func peerAddress(ctx context.Context) netip.Addr {
	if p, ok := peer.FromContext(ctx); ok {
		at, _ := netip.ParseAddrPort(p.Addr.String())
		return at.Addr()
	}
	return netip.Addr{}
}

func wire(refusal *keycache.Refusal) error {
	s := status.New(codes.Code(refusal.Code), refusal.Message)
	info := &errdetails.ErrorInfo{Reason: refusal.Reason, Domain: "tenure"}
	var more *status.Status
	var err error
	if s.Code() == codes.Unavailable {
		more, err = s.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	} else {
		more, err = s.WithDetails(info)
	}
	if err != nil {
		return s.Err()
	}
	return more.Err()
}
