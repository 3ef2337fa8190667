package rpc

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/edge"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Headers of requests and answers.
const (
	// HeaderIdempotencyKey: a command that is repeated with the same key is done once.
	HeaderIdempotencyKey = "Idempotency-Key"
	// HeaderConsistency is one of minimize_latency, at_least, leader_latest, linearizable.
	HeaderConsistency = "Tenure-Consistency"
	// HeaderToken of a request asks for a state at least that new; of an answer it is that of the state it reflects.
	HeaderToken = "Tenure-Token"
	// HeaderRequestID comes back as it was sent, or is made.
	HeaderRequestID = "X-Request-Id"
)

// gate is what every request passes before its method, and every error after it: authentication, validation, consistency,
// the wire form of errors. Authorization itself happens on the state that decides.
type gate struct{ *Server }

func (g *gate) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		c, err := g.admit(ctx, req.Spec(), req.Header(), req.Any().(proto.Message))
		var res connect.AnyResponse
		if err == nil {
			res, err = next(withCall(ctx, c), req)
		}
		if err != nil {
			g.keepRefusal(c, err)
			e := wire(g.log(req.Spec(), c, err))
			e.Meta().Set(HeaderRequestID, c.requestID)
			g.observe(req.Spec(), e.Code().String(), began)
			return nil, e
		}
		g.keepRead(c)
		res.Header().Set(HeaderRequestID, c.requestID)
		res.Header().Set(HeaderToken, c.token)
		g.observe(req.Spec(), "ok", began)
		return res, nil
	}
}

func (g *gate) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (g *gate) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		began := time.Now()
		c, err := g.admit(ctx, conn.Spec(), conn.RequestHeader(), nil)
		conn.ResponseHeader().Set(HeaderRequestID, c.requestID)
		if err == nil {
			err = next(withCall(ctx, c), &streamConn{StreamingHandlerConn: conn, gate: g, call: c})
		}
		if err != nil {
			g.keepRefusal(c, err)
			e := wire(g.log(conn.Spec(), c, err))
			g.observe(conn.Spec(), e.Code().String(), began)
			return e
		}
		g.observe(conn.Spec(), "ok", began)
		return nil
	}
}

// streamConn checks each message that comes, and keeps that something is read when the first one goes.
type streamConn struct {
	connect.StreamingHandlerConn
	gate   *gate
	call   *call
	opened bool
}

func (s *streamConn) Receive(m any) error {
	if err := s.StreamingHandlerConn.Receive(m); err != nil {
		return err
	}
	s.call.message = m.(proto.Message)
	return Validate(s.call.message)
}

func (s *streamConn) Send(m any) error {
	if !s.opened {
		s.opened = true
		s.gate.keepRead(s.call)
	}
	return s.StreamingHandlerConn.Send(m)
}

// admit takes a request in: it always answers a call, which an error may be logged with.
func (g *gate) admit(ctx context.Context, spec connect.Spec, h http.Header, m proto.Message) (*call, error) {
	c := &call{
		procedure: spec.Procedure, rule: g.rules[spec.Procedure], now: g.Engine.Now(), ip: edge.ClientIPFrom(ctx),
		userAgent: clip(h.Get("User-Agent"), 200), requestID: requestID(h), traceID: traceID(h),
		presented: h.Get("Authorization") != "",
	}
	if err := g.authenticate(ctx, c, h.Get("Authorization")); err != nil {
		return c, err
	}
	admitted := domain.Rule{Requirement: min(c.rule.Requirement, domain.Authenticated)}
	if err := g.Engine.State().Authorize(c.actor, admitted, nil, c.now); err != nil {
		return c, err
	}
	if m != nil {
		if err := Validate(m); err != nil {
			return c, err
		}
		var err error
		c.message = m
		if c.idempotency, err = g.fingerprints(h, c, m); err != nil {
			return c, err
		}
	}
	wanted, err := consistency(h)
	if err != nil {
		return c, err
	}
	if c.actor.Kind == 0 && wanted.Level > engine.AtLeast {
		// What costs a question to the leader, or a commit that stays for ever, is not for strangers.
		return c, unauthenticated("%s above at_least needs credentials", HeaderConsistency)
	}
	s, err := g.Engine.Await(ctx, wanted)
	if err != nil {
		return c, err
	}
	c.now = g.Engine.Now()
	c.read(s)
	if wanted.Level != engine.MinimizeLatency {
		c.wanted = s.Position
	}
	// The caller may have ended in what was waited for.
	return c, s.Authorize(c.actor, admitted, nil, c.now)
}

func (g *gate) observe(spec connect.Spec, code string, began time.Time) {
	g.Metrics.Observe(spec.Procedure, code, time.Since(began))
}

var levels = map[string]engine.Level{
	"minimize_latency": engine.MinimizeLatency, "at_least": engine.AtLeast,
	"leader_latest": engine.LeaderLatest, "linearizable": engine.Linearizable,
}

// consistency is what the headers ask for: a token alone means at_least.
func consistency(h http.Header) (engine.Consistency, error) {
	name, token := h.Get(HeaderConsistency), h.Get(HeaderToken)
	if name == "" && token != "" {
		name = "at_least"
	}
	level, ok := levels[name]
	switch {
	case name != "" && !ok:
		return engine.Consistency{}, domain.Errorf(domain.CodeInvalid, domain.InvalidField,
			"%s: %q is not a level; use minimize_latency, at_least, leader_latest or linearizable", HeaderConsistency, clip(name, 40))
	case level == engine.AtLeast && token == "":
		return engine.Consistency{}, domain.Errorf(domain.CodeInvalid, domain.InvalidField,
			"%s: at_least needs the token of an earlier answer in %s", HeaderConsistency, HeaderToken)
	}
	return engine.Consistency{Level: level, Token: token}, nil
}

// fingerprints digests the key the client sent, if any, with the actor, and the command.
func (g *gate) fingerprints(h http.Header, c *call, m proto.Message) (*eventv1.Idempotency, error) {
	key := h.Get(HeaderIdempotencyKey)
	if key == "" {
		return nil, nil
	}
	if len(key) > 128 {
		return nil, domain.Errorf(domain.CodeInvalid, domain.InvalidField, "%s: at most 128 characters", HeaderIdempotencyKey)
	}
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	// Keyed, because what is digested stays in the log for ever and may be somebody's name.
	return &eventv1.Idempotency{
		Key:     g.Vault.Fingerprint([]byte(c.actor.String()), []byte(key)),
		Command: g.Vault.Fingerprint([]byte(c.procedure), content),
	}, nil
}

var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func requestID(h http.Header) string {
	if id := h.Get(HeaderRequestID); safeID.MatchString(id) {
		return id
	}
	return ulid.Make().String()
}

var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}`)

// traceID is the trace id of a W3C traceparent header.
func traceID(h http.Header) string {
	if m := traceparent.FindStringSubmatch(h.Get("Traceparent")); m != nil {
		return m[1]
	}
	return ""
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
