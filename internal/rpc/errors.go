package rpc

import (
	"context"
	"errors"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
)

// codes maps the domain's codes to the wire.
var codes = map[domain.Code]connect.Code{
	domain.CodeInvalid:         connect.CodeInvalidArgument,
	domain.CodeUnauthenticated: connect.CodeUnauthenticated,
	domain.CodeDenied:          connect.CodePermissionDenied,
	domain.CodeNotFound:        connect.CodeNotFound,
	domain.CodeExists:          connect.CodeAlreadyExists,
	domain.CodePrecondition:    connect.CodeFailedPrecondition,
	domain.CodeAborted:         connect.CodeAborted,
	domain.CodeExhausted:       connect.CodeResourceExhausted,
	domain.CodeUnavailable:     connect.CodeUnavailable,
	domain.CodeInternal:        connect.CodeInternal,
}

// ErrorDomain is the domain of the google.rpc.ErrorInfo that every error carries; its reason is the machine-readable one.
const ErrorDomain = "tenure"

// wire is an error as callers get it: code, message, ErrorInfo with the reason, and the field at fault if there is one.
// Causes stay inside.
func wire(err error) *connect.Error {
	var known *domain.Error
	var connected *connect.Error
	switch {
	case errors.As(err, &known):
	case errors.As(err, &connected):
		return connected
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, errors.New("the caller went away"))
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the caller's deadline passed"))
	default:
		known = domain.Errorf(domain.CodeInternal, "INTERNAL", "internal error; the server's log has more under this X-Request-Id")
	}
	e := connect.NewError(codes[known.Code], errors.New(known.Message))
	info := &errdetails.ErrorInfo{Reason: string(known.Reason), Domain: ErrorDomain}
	if known.Field != "" {
		info.Metadata = map[string]string{"field": known.Field}
	}
	if d, err := connect.NewErrorDetail(info); err == nil {
		e.AddDetail(d)
	}
	if known.Field != "" {
		d, err := connect.NewErrorDetail(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: known.Field, Description: known.Message, Reason: string(known.Reason)},
		}})
		if err == nil {
			e.AddDetail(d)
		}
	}
	return e
}

// log writes down, once, what is not the caller's doing, with its cause.
func (g *gate) log(spec connect.Spec, c *call, err error) error {
	var known *domain.Error
	if errors.As(err, &known) {
		if known.Code == domain.CodeInternal || errors.Unwrap(known) != nil {
			g.Logger.Error("request failed", "procedure", spec.Procedure, "request", c.requestID, "reason", known.Reason, "cause", errors.Unwrap(known))
		}
		return err
	}
	var connected *connect.Error
	if !errors.As(err, &connected) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		g.Logger.Error("request failed", "procedure", spec.Procedure, "request", c.requestID, "cause", err)
	}
	return err
}

// Validate checks a request against the limits declared in the proto, and names the first field at fault and its rule.
func Validate(m proto.Message) error {
	if plainlyValid(m) {
		return nil
	}
	err := protovalidate.Validate(m)
	var violations *protovalidate.ValidationError
	if !errors.As(err, &violations) || len(violations.Violations) == 0 {
		return err
	}
	v := violations.Violations[0].Proto
	field := protovalidate.FieldPathString(v.GetField())
	message := v.GetMessage()
	if message == "" {
		message = "breaks the rule " + v.GetRuleId()
	}
	if field == "" {
		return domain.Errorf(domain.CodeInvalid, domain.InvalidField, "%s", message)
	}
	return domain.Invalidf(field, domain.InvalidField, "%s", message)
}
