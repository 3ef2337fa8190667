package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// errDeclined is returned when somebody was asked and did not say yes.
var errDeclined = errors.New("nothing was done")

// tell prints an error: what happened, the machine-readable reason, the request's id to look for in the server's log, and
// what to do.
func tell(w io.Writer, err error) {
	var wire *connect.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &wire) && wire.Code() == connect.CodeCanceled {
		fmt.Fprintln(w, "tenure: stopped")
		return
	}
	if !errors.As(err, &wire) {
		fmt.Fprintln(w, "tenure:", visible(err.Error()))
		return
	}
	// What stands before the error is which argument it is about.
	about, _, _ := strings.Cut(err.Error(), wire.Error())
	message := wire.Message()
	var notes []string
	if info := infoOf(wire); info != nil {
		if about != "" {
			message = strings.TrimPrefix(message, info.Metadata["field"]+": ")
		}
		notes = append(notes, info.Reason)
	} else {
		notes = append(notes, wire.Code().String())
	}
	if id := wire.Meta().Get("X-Request-Id"); id != "" {
		notes = append(notes, "request "+id)
	}
	fmt.Fprintf(w, "tenure: %s (%s)\n", visible(about+message), visible(strings.Join(notes, ", ")))
	if advice := advise(wire); advice != "" {
		fmt.Fprintln(w, advice)
	}
}

// aboutField names the argument or flag that an error of the server is about.
func aboutField(err error, inputs []*input) error {
	var wire *connect.Error
	if !errors.As(err, &wire) {
		return err
	}
	field := infoOf(wire).GetMetadata()["field"]
	for _, in := range inputs {
		if field != "" && dotted(in.path) == field {
			return fmt.Errorf("%s: %w", in.say(), err)
		}
	}
	return err
}

// infoOf is what the server says about an error for machines.
func infoOf(e *connect.Error) *errdetails.ErrorInfo {
	for _, d := range e.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*errdetails.ErrorInfo); ok {
				return info
			}
		}
	}
	return nil
}

// advise adds what to do here to what the server says.
func advise(e *connect.Error) string {
	if infoOf(e) == nil {
		switch e.Code() {
		case connect.CodeUnimplemented:
			return "The server does not know this: it is older than this program, or no Tenure server at all."
		case connect.CodeUnknown, connect.CodeInternal, connect.CodeInvalidArgument:
			return "Is there a Tenure server at this address?"
		}
		return ""
	}
	if e.Code() == connect.CodeUnauthenticated {
		return "Set the key with TENURE_KEY, or with `tenure context set NAME --server URL --key-stdin`."
	}
	return ""
}

// notReached tells whether an error says that no server was reached.
func notReached(err error) bool {
	var dial *net.OpError
	var name *net.DNSError
	return errors.As(err, &dial) && dial.Op == "dial" || errors.As(err, &name)
}

// at says of an error of the network which server it is about and how to name another.
func (c *Connection) at(err error) error {
	var wire *connect.Error
	if err == nil || !errors.As(err, &wire) || infoOf(wire) != nil {
		return err
	}
	if notReached(err) {
		return fmt.Errorf("no server answers at %s: %w; start one with `tenure serve`, or name another with --server, TENURE_SERVER or `tenure context set`", c.URL, cause(err))
	}
	if connect.CodeOf(err) == connect.CodeUnavailable {
		return fmt.Errorf("%s: %w", c.URL, cause(err))
	}
	return err
}

// cause is the innermost error of a failed connection.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		var dial *net.OpError
		if errors.As(err, &dial) {
			return dial.Err
		}
		err = next
	}
}
