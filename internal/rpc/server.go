// Package rpc is the API of tenure.v1: it authenticates, checks and translates, and leaves every decision to the engine.
// A method stands in the file of its noun, under the name it has in the proto.
package rpc

import (
	"context"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/internal/edge"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/internal/sealing"
	"github.com/tenurehq/tenure/projections/audit"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/webhook"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// Config is what the API stands on.
type Config struct {
	Engine *engine.Engine
	Vault  *sealing.Vault
	// Personal reads what is sealed, and digests what is searched for, as the projections do.
	Personal audit.Personal
	Ring     *keyring.Ring
	Admin    AdminKey
	// Throttle slows down addresses that fail to authenticate.
	Throttle *edge.Throttle
	Metrics  *edge.Metrics
	// AccessLog keeps who was refused and who read what is sensitive.
	AccessLog *accesslog.Recorder
	Logger    *slog.Logger
	// Version of this build.
	Version string
	// SyncAlways tells whether the log is flushed before an answer: "yes", "no" or "unknown".
	SyncAlways string
	// Warnings are what is wrong or risky, for instance admins.
	Warnings func() []string
	// ReadModels are what queries beside the state read.
	ReadModels ReadModels
	// Invalidations are told to who keeps answers.
	Invalidations *invalidation.Hub
	// Webhooks sends them, and is nil unless events are published; WebhookAllowHTTP takes URLs without TLS.
	Webhooks         *webhook.Sender
	WebhookAllowHTTP bool
	// Servers asks all servers that run for the newest format of the log that any of them reads, and for those that read less.
	Servers func(context.Context) (newest uint32, older []string, err error)
}

// Server implements every service of tenure.v1.
type Server struct {
	Config
	rules   map[string]domain.Rule
	watched map[string]watched
	slow    *slowVerifier
}

// CompressFrom is from how many bytes on an answer is compressed, if the client takes it: compressing a small one costs more than
// everything else about it.
const CompressFrom = 4 << 10

// maxMessage is how many bytes a request message may have.
const maxMessage = 1 << 20

// Services are the names of all services, as in the proto.
var Services = []string{
	tenurev1connect.OrgServiceName, tenurev1connect.ProjectServiceName, tenurev1connect.MemberServiceName,
	tenurev1connect.UserServiceName, tenurev1connect.KeyServiceName, tenurev1connect.AccessServiceName,
	tenurev1connect.InstanceServiceName, tenurev1connect.AuditServiceName, tenurev1connect.RoleServiceName,
	tenurev1connect.GroupServiceName, tenurev1connect.InvitationServiceName, tenurev1connect.TransferServiceName,
	tenurev1connect.PlanServiceName, tenurev1connect.DataPlaneServiceName, tenurev1connect.LogServiceName,
	tenurev1connect.ProjectionServiceName, tenurev1connect.InvalidationServiceName, tenurev1connect.WebhookServiceName,
}

// NewHandler serves the API over Connect, gRPC and gRPC-Web, with gRPC reflection and health.
func NewHandler(cfg Config) (http.Handler, error) {
	rules, err := methodRules()
	if err != nil {
		return nil, err
	}
	s := &Server{Config: cfg, rules: rules, watched: watchedMethods(), slow: newSlowVerifier(cfg.Ring)}
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessage),
		connect.WithCompressMinBytes(CompressFrom),
		connect.WithCodec(protoCodec{}),
		connect.WithInterceptors(&gate{s}),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			cfg.Logger.Error("panic", "procedure", spec.Procedure, "panic", p)
			return wire(domain.Errorf(domain.CodeInternal, "INTERNAL", "internal error"))
		}),
	}
	mux := http.NewServeMux()
	for _, mount := range []func() (string, http.Handler){
		func() (string, http.Handler) { return tenurev1connect.NewOrgServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewProjectServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewMemberServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewUserServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewKeyServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewAccessServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewInstanceServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewAuditServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewRoleServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewGroupServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewInvitationServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewTransferServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewPlanServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewDataPlaneServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewLogServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewProjectionServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewInvalidationServiceHandler(s, options...) },
		func() (string, http.Handler) { return tenurev1connect.NewWebhookServiceHandler(s, options...) },
		func() (string, http.Handler) { return grpchealth.NewHandler(healthOf{cfg.Engine}) },
		func() (string, http.Handler) {
			return grpcreflect.NewHandlerV1(grpcreflect.NewStaticReflector(Services...))
		},
		func() (string, http.Handler) {
			return grpcreflect.NewHandlerV1Alpha(grpcreflect.NewStaticReflector(Services...))
		},
	} {
		mux.Handle(mount())
	}
	return mux, nil
}

// healthOf is gRPC health: serving while the engine has contact to the log.
type healthOf struct{ engine *engine.Engine }

func (h healthOf) Check(_ context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	known := req.Service == ""
	for _, name := range Services {
		known = known || name == req.Service
	}
	if !known {
		return nil, connect.NewError(connect.CodeNotFound, nil)
	}
	if h.engine.Fresh() != nil {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

// execute gives a command to the engine in the name of the authenticated caller.
func (s *Server) execute(ctx context.Context, reason string, c domain.Command) (engine.Outcome, error) {
	call := callFrom(ctx)
	info, err := s.sealInfo(ctx, call)
	if err != nil {
		return engine.Outcome{}, err
	}
	out, err := s.Engine.Execute(ctx, engine.Request{
		Command: c, Rule: call.rule, Actor: call.actor, Reason: reason, Info: info, Idempotency: call.idempotency,
	})
	if err == nil {
		call.answered(out.State, token(out))
	} else {
		call.targets, _ = c.Targets(s.Engine.State())
	}
	return out, err
}

// authorize applies the method's rule to what a query names, on the state the query reads.
func (s *Server) authorize(ctx context.Context, targets []domain.Target, err error) (*domain.State, error) {
	call := callFrom(ctx)
	if err != nil {
		return nil, err
	}
	call.targets = targets
	return call.state, call.state.Authorize(call.actor, call.rule, targets, call.now)
}

func token(out engine.Outcome) string {
	return engine.Token(out.State.Instance.LogID, out.Position, out.Hash)
}

// newID is the id the caller chose, or a new one.
func newID(chosen, prefix string) (id string, isChosen bool) {
	if chosen != "" {
		return chosen, true
	}
	return prefix + ulid.Make().String(), false
}
