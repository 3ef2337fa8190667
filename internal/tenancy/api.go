package tenancy

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// Server says where the API is and how to call it. Options carry the credentials.
type Server struct {
	HTTP    connect.HTTPClient
	URL     string
	Options []connect.ClientOption
}

// clients are the services that a file is about.
type clients struct {
	instance   tenurev1connect.InstanceServiceClient
	users      tenurev1connect.UserServiceClient
	plans      tenurev1connect.PlanServiceClient
	dataPlanes tenurev1connect.DataPlaneServiceClient
	orgs       tenurev1connect.OrgServiceClient
	roles      tenurev1connect.RoleServiceClient
	members    tenurev1connect.MemberServiceClient
	groups     tenurev1connect.GroupServiceClient
	projects   tenurev1connect.ProjectServiceClient
	keys       tenurev1connect.KeyServiceClient
}

func (s Server) clients(each connect.UnaryInterceptorFunc) clients {
	// What it repeats passes through the others each time.
	o := append([]connect.ClientOption{connect.WithInterceptors(each)}, s.Options...)
	return clients{
		instance:   tenurev1connect.NewInstanceServiceClient(s.HTTP, s.URL, o...),
		users:      tenurev1connect.NewUserServiceClient(s.HTTP, s.URL, o...),
		plans:      tenurev1connect.NewPlanServiceClient(s.HTTP, s.URL, o...),
		dataPlanes: tenurev1connect.NewDataPlaneServiceClient(s.HTTP, s.URL, o...),
		orgs:       tenurev1connect.NewOrgServiceClient(s.HTTP, s.URL, o...),
		roles:      tenurev1connect.NewRoleServiceClient(s.HTTP, s.URL, o...),
		members:    tenurev1connect.NewMemberServiceClient(s.HTTP, s.URL, o...),
		groups:     tenurev1connect.NewGroupServiceClient(s.HTTP, s.URL, o...),
		projects:   tenurev1connect.NewProjectServiceClient(s.HTTP, s.URL, o...),
		keys:       tenurev1connect.NewKeyServiceClient(s.HTTP, s.URL, o...),
	}
}

// atOnce is how many calls are under way at a time.
const atOnce = 8

// view makes all reads see a state at least as new as the first did, which asked for the newest.
type view struct {
	mu    sync.Mutex
	token string
	// moved: the installation changed in between.
	moved bool
}

func (v *view) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		v.mu.Lock()
		token := v.token
		v.mu.Unlock()
		if token == "" {
			req.Header().Set("Tenure-Consistency", "leader_latest")
		} else {
			req.Header().Set("Tenure-Token", token)
		}
		res, err := next(ctx, req)
		if err == nil {
			v.seen(res.Header().Get("Tenure-Token"))
		}
		return res, err
	}
}

func (v *view) seen(token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.moved = v.moved || v.token != "" && v.token != token
	if v.token == "" {
		v.token = token
	}
}

const (
	// firstWait and lastWait bound the pauses between attempts of one command.
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
	// callLimit bounds one attempt; the server itself gives up on an uncertain outcome after 15 s.
	callLimit = time.Minute
)

// sender gives every command an Idempotency-Key of its own, so that one whose answer was lost can be repeated and is done
// once. The keys of two runs differ: a later run may have to do the same again.
type sender struct {
	run   string
	calls atomic.Uint64
}

func newSender() *sender { return &sender{run: rand.Text()} }

func (s *sender) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Idempotency-Key", fmt.Sprintf("apply-%s-%d", s.run, s.calls.Add(1)))
		for wait := firstWait; ; wait *= 2 {
			res, err := attempt(ctx, next, req)
			code := connect.CodeOf(err)
			if err == nil || code != connect.CodeUnavailable && code != connect.CodeAborted || wait > lastWait {
				return res, err
			}
			select {
			case <-ctx.Done():
				return res, err
			case <-time.After(wait):
			}
		}
	}
}

// attempt gives a command. Whoever stops waiting for all of them still waits for this one, to know what became of it.
func attempt(ctx context.Context, next connect.UnaryFunc, req connect.AnyRequest) (connect.AnyResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	return next(ctx, req)
}
