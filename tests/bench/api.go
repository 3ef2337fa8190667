package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/internal/edge"
	"github.com/tenurehq/tenure/internal/rpc"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// apiCallers is how many callers call over the network at once.
const apiCallers = 64

// api is what goes over Connect, from a client in this process, beside methods of the same names that take the same requests
// over the same kind of server and do nothing.
func api(s sizes) (rows []row) {
	w := serving(s)
	url, stop := serveEmpty()
	defer stop()
	ours, empty := newClient(w.URL), newClient(url)
	// A server that shuts down waits for connections that were opened and never used.
	defer ours.close()
	defer empty.close()
	questions := w.questions(asked)
	for _, m := range []struct {
		what string
		call func(*client) func(caller, i int)
		bar  float64
	}{
		{"durable commands through the API", func(c *client) func(int, int) { return w.calling(c) }, 0.6},
		{"Check over Connect", func(c *client) func(int, int) {
			return func(int, int) {
				must(c.access.Check(context.Background(), checkRequest(&questions[rand.IntN(asked)])))
			}
		}, 0.85},
		{"VerifyKey over Connect", func(c *client) func(int, int) {
			return func(int, int) {
				k := &w.keys[rand.IntN(len(w.keys))]
				must(c.keys.VerifyKey(context.Background(), &tenurev1.VerifyKeyRequest{PublicKey: k.public, Secret: k.secret}))
			}
		}, 0.85},
	} {
		loads := loadsInTurns(s, apiCallers, m.call(ours), m.call(empty))
		rows = append(rows, atLeast(row{
			What: fmt.Sprintf("%s, %d callers", m.what, apiCallers), Figure: loads[0].perSecond, Unit: "/s", Floor: loads[1].perSecond, FloorIs: "empty method",
			Note: fmt.Sprintf("p50 %s p99 %s", rounded(loads[0].p50), rounded(loads[0].p99)),
		}, m.bar))
	}
	const each = 100
	loads := loadsInTurns(s, apiCallers, func(int, int) {
		req := &tenurev1.BatchCheckRequest{}
		for range each {
			req.Checks = append(req.Checks, checkRequest(&questions[rand.IntN(asked)]))
		}
		must(ours.access.BatchCheck(context.Background(), req))
	}, func(int, int) {
		must(ours.access.Check(context.Background(), checkRequest(&questions[rand.IntN(asked)])))
	})
	return append(rows, atLeast(row{
		What: "checks by BatchCheck of 100", Figure: loads[0].perSecond * each, Unit: "/s", Floor: loads[1].perSecond, FloorIs: "single Check",
	}, 20))
}

func checkRequest(q *question) *tenurev1.CheckRequest {
	return &tenurev1.CheckRequest{UserId: string(q.person), ProjectId: string(q.project), Permission: "project:read"}
}

// calling gives the mix of commands.
func (w *seeded) calling(c *client) func(caller, i int) {
	ctx := context.Background()
	return func(_, i int) {
		switch i % 3 {
		case 0:
			must(c.keys.CreateKey(ctx, &tenurev1.CreateKeyRequest{ProjectId: string(w.projects[rand.IntN(len(w.projects))]), Name: "ingest"}))
		case 1:
			must(c.members.GrantRole(ctx, &tenurev1.GrantRoleRequest{
				OrgId: string(w.orgs[rand.IntN(len(w.orgs))]), UserId: string(w.people[rand.IntN(len(w.people))]), Role: string(roles[rand.IntN(len(roles))]),
			}))
		default:
			must(c.projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{
				OrgId: string(w.orgs[rand.IntN(len(w.orgs))]), Name: fmt.Sprintf("new-%d", made.Add(1)),
			}))
		}
	}
}

type client struct {
	keys     tenurev1connect.KeyServiceClient
	members  tenurev1connect.MemberServiceClient
	projects tenurev1connect.ProjectServiceClient
	access   tenurev1connect.AccessServiceClient
	close    func()
}

func newClient(url string) *client {
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * apiCallers}}
	auth := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+adminKey)
			return next(ctx, req)
		}
	}))
	return &client{
		tenurev1connect.NewKeyServiceClient(h, url, auth), tenurev1connect.NewMemberServiceClient(h, url, auth),
		tenurev1connect.NewProjectServiceClient(h, url, auth), tenurev1connect.NewAccessServiceClient(h, url, auth),
		h.CloseIdleConnections,
	}
}

// nothing takes requests and does nothing.
type nothing struct {
	tenurev1connect.UnimplementedKeyServiceHandler
	tenurev1connect.UnimplementedMemberServiceHandler
	tenurev1connect.UnimplementedProjectServiceHandler
	tenurev1connect.UnimplementedAccessServiceHandler
}

func (nothing) CreateKey(context.Context, *tenurev1.CreateKeyRequest) (*tenurev1.CreateKeyResponse, error) {
	return &tenurev1.CreateKeyResponse{}, nil
}

func (nothing) GrantRole(context.Context, *tenurev1.GrantRoleRequest) (*tenurev1.GrantRoleResponse, error) {
	return &tenurev1.GrantRoleResponse{}, nil
}

func (nothing) CreateProject(context.Context, *tenurev1.CreateProjectRequest) (*tenurev1.CreateProjectResponse, error) {
	return &tenurev1.CreateProjectResponse{}, nil
}

func (nothing) Check(context.Context, *tenurev1.CheckRequest) (*tenurev1.CheckResponse, error) {
	return &tenurev1.CheckResponse{}, nil
}

func (nothing) VerifyKey(context.Context, *tenurev1.VerifyKeyRequest) (*tenurev1.VerifyKeyResponse, error) {
	return &tenurev1.VerifyKeyResponse{}, nil
}

func serveEmpty() (url string, stop func()) {
	// As the API does: by itself Connect compresses even an empty answer, which costs half as much again as all the rest of it, and
	// would make a floor that is easily met.
	small := connect.WithCompressMinBytes(rpc.CompressFrom)
	mux := http.NewServeMux()
	mux.Handle(tenurev1connect.NewKeyServiceHandler(nothing{}, small))
	mux.Handle(tenurev1connect.NewMemberServiceHandler(nothing{}, small))
	mux.Handle(tenurev1connect.NewProjectServiceHandler(nothing{}, small))
	mux.Handle(tenurev1connect.NewAccessServiceHandler(nothing{}, small))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	server := edge.NewServer(edge.Config{Handler: mux, Logger: silent})
	go func() { check(edge.Serve(server, listener)) }()
	return "http://" + listener.Addr().String(), func() { check(edge.Shutdown(server, 10*time.Second)) }
}
