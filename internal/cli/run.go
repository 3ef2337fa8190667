package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// pageSize is how many things a list asks for at a time.
const pageSize = 1000

// command makes a row into a command.
func (c command) command() *cobra.Command {
	method := methodOf(c.method)
	inputs, choices := c.inputs(method.Input())
	arguments := c.arguments(inputs)
	cmd := &cobra.Command{
		Use: c.use(arguments), Short: c.short(), Long: c.long(arguments),
		Example:           "  " + exampleLine(c.noun, c.verb, c.example),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: c.completeArguments(arguments),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := distribute(cmd, arguments, args); err != nil {
				return err
			}
			if err := complete(cmd, inputs, choices); err != nil {
				return err
			}
			return c.run(cmd, method, inputs)
		},
	}
	addFlags(cmd, inputs)
	if isList(method) {
		cmd.Flags().Uint("limit", 0, "stop after this many (default all)")
	}
	if c.ask != "" {
		cmd.Flags().BoolP("yes", "y", false, "do it without asking")
	}
	completeFlags(cmd, inputs)
	return cmd
}

func exampleLine(noun, verb, arguments string) string {
	line := "tenure " + noun + " " + verb
	if arguments != "" {
		line += " " + arguments
	}
	return line
}

func (c command) run(cmd *cobra.Command, method protoreflect.MethodDescriptor, inputs []*input) error {
	format, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if yes, _ := cmd.Flags().GetBool("yes"); c.ask != "" && !yes && !terminal(cmd.InOrStdin()) {
		return usagef(cmd, "%s There is no terminal to ask on: say --yes", fillIn(c.ask, nil, inputs))
	}
	conn, err := Connect(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	progress := startProgress(cmd.ErrOrStderr(), "Waiting for "+conn.URL)
	defer func() {
		if progress != nil {
			progress.end()
		}
	}()
	req := newMessage(method.Input())
	v := &values{names: newNames(conn), now: time.Now(), stdin: cmd.InOrStdin(), stderr: cmd.ErrOrStderr(), unseen: c.unseen}
	v.names.deleted = c.deleted
	if err := v.fill(ctx, req, inputs); err != nil {
		return conn.at(err)
	}
	if c.method == "InstanceService.UpdatePolicy" {
		if err := conn.keepRest(ctx, req, inputs); err != nil {
			return conn.at(err)
		}
	}
	if c.ask != "" {
		progress.end()
		progress = nil
		if err := confirm(ctx, cmd, fillIn(c.ask, nil, inputs)); err != nil {
			return err
		}
		progress = startProgress(cmd.ErrOrStderr(), "Waiting for "+conn.URL)
	}
	var res proto.Message
	if isList(method) {
		limit, _ := cmd.Flags().GetUint("limit")
		res, err = conn.all(ctx, method, req, int(limit), progress)
	} else {
		res, err = conn.call(ctx, method, req.Interface())
	}
	if err != nil {
		return conn.at(aboutField(err, inputs))
	}
	var called map[string]string
	if format == people {
		called = v.names.namesIn(ctx, res)
	}
	progress.end()
	progress = nil
	warnings(cmd.ErrOrStderr(), res)
	if err := c.print(cmd.OutOrStdout(), format, res, inputs, called); err != nil {
		return err
	}
	if next := res.ProtoReflect().Descriptor().Fields().ByName("next_page_token"); format == people && next != nil && res.ProtoReflect().Has(next) {
		fmt.Fprintln(cmd.ErrOrStderr(), "There are more: say a larger --limit, or none.")
	}
	if c.answer != "" && !get(res.ProtoReflect(), c.answer).Bool() {
		return errNo
	}
	return nil
}

// warnings are what the server did but would like otherwise.
func warnings(w io.Writer, res proto.Message) {
	m := res.ProtoReflect()
	f := m.Descriptor().Fields().ByName("warnings")
	// Those of GetInstance are about the installation and part of what was asked for.
	if f == nil || m.Descriptor().Name() == "GetInstanceResponse" {
		return
	}
	for i := range m.Get(f).List().Len() {
		warn(w, "%s", visible(m.Get(f).List().Get(i).String()))
	}
}

// call calls a method of any type.
func (c *Connection) call(ctx context.Context, method protoreflect.MethodDescriptor, req proto.Message) (proto.Message, error) {
	options := append(c.Options(), connect.WithCodec(codec{method.Output()}))
	if noSideEffects(method) {
		options = append(options, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	}
	url := fmt.Sprintf("%s/%s/%s", c.URL, method.Parent().FullName(), method.Name())
	res, err := connect.NewClient[envelope, envelope](c.HTTP, url, options...).CallUnary(ctx, connect.NewRequest(&envelope{req}))
	if err != nil {
		return nil, err
	}
	return res.Msg.Message, nil
}

// all reads a list to its end, or until there are limit things, into one response.
func (c *Connection) all(ctx context.Context, method protoreflect.MethodDescriptor, req protoreflect.Message, limit int, p *progress) (proto.Message, error) {
	var whole protoreflect.Message
	size, token := req.Descriptor().Fields().ByName("page_size"), req.Descriptor().Fields().ByName("page_token")
	for {
		wanted := pageSize
		if limit > 0 {
			wanted = min(wanted, limit-length(whole))
		}
		req.Set(size, protoreflect.ValueOfInt32(int32(wanted)))
		res, err := c.call(ctx, method, req.Interface())
		if err != nil {
			return nil, err
		}
		page := res.ProtoReflect()
		next := get(page, "next_page_token").String()
		if whole == nil {
			whole = page
		} else {
			f := listField(page.Descriptor())
			into := whole.Mutable(f).List()
			for i := range page.Get(f).List().Len() {
				into.Append(page.Get(f).List().Get(i))
			}
			whole.Set(page.Descriptor().Fields().ByName("next_page_token"), protoreflect.ValueOfString(next))
		}
		if next == "" || limit > 0 && length(whole) >= limit {
			return whole.Interface(), nil
		}
		p.set("%d so far from %s", length(whole), c.URL)
		req.Set(token, protoreflect.ValueOfString(next))
	}
}

func length(res protoreflect.Message) int {
	if res == nil {
		return 0
	}
	return res.Get(listField(res.Descriptor())).List().Len()
}

// envelope carries a message of any type through connect, which wants to know the type when it is compiled.
type envelope struct{ proto.Message }

type codec struct {
	output protoreflect.MessageDescriptor
}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(*envelope).Message) }

func (c codec) Unmarshal(b []byte, v any) error {
	m := newMessage(c.output).Interface()
	v.(*envelope).Message = m
	return proto.Unmarshal(b, m)
}

// methodOf finds a method such as "OrgService.CreateOrg". That it is there is tested.
func methodOf(name string) protoreflect.MethodDescriptor {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(apiPackage + name))
	if err != nil {
		panic(err)
	}
	return d.(protoreflect.MethodDescriptor)
}

func newMessage(d protoreflect.MessageDescriptor) protoreflect.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic(err)
	}
	return t.New()
}
