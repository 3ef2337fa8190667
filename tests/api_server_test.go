package tests

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/rpc"
)

const (
	apiAdminKey = "admin-key-of-the-api-tests-0123456789"
	// apiWait bounds every wait: whoever reaches it has failed.
	apiWait = 30 * time.Second
)

// apiServer is the real program, started in this process on a port of its own.
type apiServer struct {
	*app.App
	dir string
	// several tells that others may write to its log.
	several bool
	// ahead moves the server's clock; Tenure refuses to decide when it is 5 s off the log's.
	ahead atomic.Int64
}

// apiStart starts a server in an empty directory, unless change names one. It believes X-Forwarded-For, so that tests can
// call from any address.
func apiStart(t testing.TB, change func(*app.Config)) *apiServer {
	t.Helper()
	s := &apiServer{}
	cfg := app.Config{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", AdminKey: apiAdminKey, TrustedProxies: []string{"127.0.0.1"},
		Logger: slog.New(slog.DiscardHandler),
		Clock:  func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	}
	if change != nil {
		change(&cfg)
	}
	s.dir, s.several = cfg.DataDir, cfg.NATSURL != ""
	ctx, cancel := context.WithTimeout(t.Context(), apiWait)
	defer cancel()
	a, err := app.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.App = a
	t.Cleanup(func() { s.stop(t) })
	return s
}

// apiFed publishes events, so that there can be webhooks.
func apiFed(cfg *app.Config) { cfg.Feed = true }

func (s *apiServer) stop(t testing.TB) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// mark is what must stay the same when nothing happens.
type apiMark struct {
	position domain.Position
	digest   domain.Hash
}

func (s *apiServer) mark() apiMark {
	state := s.Engine.State()
	return apiMark{state.Position, state.Digest()}
}

// unchanged fails if anything was written since.
func (m apiMark) unchanged(t testing.TB, s *apiServer) {
	t.Helper()
	now := s.mark()
	if now == m {
		return
	}
	// With several servers a refusal is proven by a commit without entries; a sole one writes nothing.
	entries := 0
	err := s.Engine.Commits(context.WithoutCancel(t.Context()), m.position+1, now.position, func(c engine.Commit) error {
		entries += len(c.Entries)
		return nil
	})
	if err != nil || entries > 0 || now.position == m.position || !s.several {
		t.Errorf("the log went from %d to %d with %d entries (%v), digest %s to %s; nothing may change", m.position, now.position, entries, err, m.digest, now.digest)
	}
}

// apiCaller calls a server in one way: with these headers, over this protocol.
type apiCaller struct {
	url     string
	header  http.Header
	http    *http.Client
	options []connect.ClientOption
}

func (s *apiServer) anonymous() apiCaller {
	return apiCaller{url: s.URL, header: http.Header{}, http: http.DefaultClient}
}

func (s *apiServer) bearer(secret string) apiCaller {
	return s.anonymous().with("Authorization", "Bearer "+secret)
}

func (s *apiServer) basic(public, secret string) apiCaller {
	return s.anonymous().with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(public+":"+secret)))
}

func (s *apiServer) admin() apiCaller { return s.bearer(apiAdminKey) }

// with is the same caller with one more header.
func (c apiCaller) with(name, value string) apiCaller {
	c.header = c.header.Clone()
	c.header.Set(name, value)
	return c
}

// from is the same caller at another address.
func (c apiCaller) from(address string) apiCaller { return c.with("X-Forwarded-For", address) }

// over is the same caller over another protocol.
func (c apiCaller) over(client *http.Client, options ...connect.ClientOption) apiCaller {
	c.http, c.options = client, options
	return c
}

// apiMessage carries a message of any type through connect, which wants to know the type when it is compiled.
type apiMessage struct{ proto.Message }

type apiCodec struct{ output protoreflect.MessageType }

func (apiCodec) Name() string                  { return "proto" }
func (apiCodec) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(*apiMessage).Message) }
func (c apiCodec) Unmarshal(b []byte, v any) error {
	// The status of a gRPC error comes by the same codec.
	if status, ok := v.(proto.Message); ok {
		if _, ours := v.(*apiMessage); !ours {
			return proto.Unmarshal(b, status)
		}
	}
	m := c.output.New().Interface()
	v.(*apiMessage).Message = m
	return proto.Unmarshal(b, m)
}

// apiMethods are all methods of all services, by name: no two share one.
var apiMethods = func() map[string]protoreflect.MethodDescriptor {
	methods := map[string]protoreflect.MethodDescriptor{}
	for _, name := range rpc.Services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			panic(err)
		}
		list := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range list.Len() {
			if methods[string(list.Get(i).Name())] != nil {
				panic("two methods are named " + string(list.Get(i).Name()))
			}
			methods[string(list.Get(i).Name())] = list.Get(i)
		}
	}
	return methods
}()

// apiMethodOf is the method that takes a request, which is named after it.
func apiMethodOf(request proto.Message) protoreflect.MethodDescriptor {
	name := strings.TrimSuffix(string(request.ProtoReflect().Descriptor().Name()), "Request")
	return apiMethods[name]
}

func apiProcedure(m protoreflect.MethodDescriptor) string {
	return "/" + path.Join(string(m.Parent().FullName()), string(m.Name()))
}

// call calls the method that takes this request, and answers its response, of a stream the first, with the headers.
func (c apiCaller) call(ctx context.Context, request proto.Message) (proto.Message, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	method := apiMethodOf(request)
	output, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return nil, nil, err
	}
	options := append([]connect.ClientOption{connect.WithCodec(apiCodec{output})}, c.options...)
	client := connect.NewClient[apiMessage, apiMessage](c.http, c.url+apiProcedure(method), options...)
	req := connect.NewRequest(&apiMessage{request})
	for name, values := range c.header {
		req.Header()[name] = values
	}
	if !method.IsStreamingServer() {
		res, err := client.CallUnary(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		return res.Msg.Message, res.Header(), nil
	}
	stream, err := client.CallServerStream(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	defer stream.Close()
	if !stream.Receive() {
		return nil, stream.ResponseHeader(), errors.Join(stream.Err(), errors.New("the stream ended"))
	}
	return stream.Msg().Message, stream.ResponseHeader(), nil
}

// apiOK calls, and fails the test unless that works.
func apiOK[Response proto.Message](t testing.TB, c apiCaller, request proto.Message) Response {
	t.Helper()
	res, _, err := c.call(t.Context(), request)
	if err != nil {
		t.Fatalf("%s: %v", request.ProtoReflect().Descriptor().Name(), err)
	}
	return res.(Response)
}

// apiError is an error as a caller sees it.
type apiError struct {
	code                   connect.Code
	reason, message, field string
}

func apiErrorOf(err error) (e apiError) {
	var wire *connect.Error
	if !errors.As(err, &wire) {
		return e
	}
	e.code, e.message = wire.Code(), wire.Message()
	for _, d := range wire.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*errdetails.ErrorInfo); ok {
				e.reason, e.field = info.Reason, info.Metadata["field"]
			}
		}
	}
	return e
}

// apiRefused calls, and fails the test unless the answer is an error of this code and reason.
func apiRefused(t testing.TB, c apiCaller, request proto.Message, code connect.Code, reason domain.Reason) apiError {
	t.Helper()
	res, _, err := c.call(t.Context(), request)
	if err == nil {
		t.Errorf("%s answered %v, want %s %s", request.ProtoReflect().Descriptor().Name(), res, code, reason)
		return apiError{}
	}
	e := apiErrorOf(err)
	if e.code != code || e.reason != string(reason) {
		t.Errorf("%s: %s %s (%v), want %s %s", request.ProtoReflect().Descriptor().Name(), e.code, e.reason, err, code, reason)
	}
	return e
}

// apiHas tells whether a message has a field of this name, and a value in it.
func apiHas(m proto.Message, name string) bool {
	f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	return f != nil && m.ProtoReflect().Has(f)
}
