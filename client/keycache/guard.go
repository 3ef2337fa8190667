package keycache

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"
)

// Reasons of refusals that are not reasons of answers.
const (
	// Unauthenticated: there are no credentials, or they can't be read.
	Unauthenticated = "UNAUTHENTICATED"
	// LacksPermission: the key is good, but not for this.
	LacksPermission = "KEY_LACKS_PERMISSION"
	// Unavailable: it can't be known now.
	Unavailable = "UNAVAILABLE"
)

// Longer credentials are nobody's: Tenure does not look at them.
const publicMost, secretMost = 128, 256

// Refusal is why a call is not let through, as callers may read it.
type Refusal struct {
	// Code is connect.CodeUnauthenticated, CodePermissionDenied or CodeUnavailable; the numbers are those of gRPC.
	Code            connect.Code
	Reason, Message string
	// cause is not for callers.
	cause error
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Message }

// Unwrap is why it can't be known now.
func (r *Refusal) Unwrap() error { return r.cause }

// Admit verifies the credentials of a call, as an Authorization header holds them: "Basic", with the public part and the secret, or
// "Bearer", with the secret. The refusal is nil if they are good.
func (c *Cache) Admit(ctx context.Context, authorization, environment string, from netip.Addr) (Answer, *Refusal) {
	public, secret, message := credentials(authorization)
	if message != "" {
		return Answer{}, &Refusal{Code: connect.CodeUnauthenticated, Reason: Unauthenticated, Message: message}
	}
	a, err := c.Verify(ctx, public, secret, environment, from)
	switch {
	case err != nil:
		return a, &Refusal{Code: connect.CodeUnavailable, Reason: Unavailable, Message: "whether the key is good can't be known now; try again", cause: err}
	case a.Valid:
		return a, nil
	}
	r := &Refusal{Code: connect.CodeUnauthenticated, Reason: a.Reason, Message: "the key is right but can't be used (" + a.Reason + ")"}
	switch a.Reason {
	case KeyUnknown:
		r.Message = "the credentials are not good; check the key and the address you call"
	case NetworkNotAllowed:
		r.Code, r.Message = connect.CodePermissionDenied, "the key may not be used from this address; call from one of its networks"
	case WrongEnvironment:
		r.Code, r.Message = connect.CodePermissionDenied, "the key may not be used in this environment; use one that is for it"
	}
	return a, r
}

// credentials reads an Authorization header; message is what is wrong with it. A public part that is given must not be empty: else the
// secret alone would do.
func credentials(header string) (public, secret, message string) {
	const want = "send Authorization: Basic <public:secret> or Bearer <secret>"
	scheme, rest, _ := strings.Cut(header, " ")
	secret = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer":
	case "basic":
		decoded, err := base64.StdEncoding.DecodeString(secret)
		ok := false
		if public, secret, ok = strings.Cut(string(decoded), ":"); err != nil || !ok || public == "" {
			return "", "", "Authorization: Basic takes base64 of public:secret"
		}
	default:
		return "", "", want
	}
	if secret == "" || len(secret) > secretMost || len(public) > publicMost || !utf8.ValidString(public) || !utf8.ValidString(secret) {
		return "", "", want
	}
	return public, secret, ""
}

// Needs refuses a key that lacks a permission. The answer is that of FromContext.
func Needs(ctx context.Context, permission string) *Refusal {
	a, ok := FromContext(ctx)
	switch {
	case !ok:
		return &Refusal{Code: connect.CodeUnauthenticated, Reason: Unauthenticated, Message: "no key was verified for this call"}
	case !a.Holds(permission):
		return &Refusal{Code: connect.CodePermissionDenied, Reason: LacksPermission, Message: "the key lacks the permission " + permission}
	}
	return nil
}

type answerKey struct{}

// WithAnswer is a context that FromContext reads.
func WithAnswer(ctx context.Context, a Answer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

// FromContext is what the key of a call was found good for; not ok if none was verified.
func FromContext(ctx context.Context) (a Answer, ok bool) {
	a, ok = ctx.Value(answerKey{}).(Answer)
	return a, ok
}
