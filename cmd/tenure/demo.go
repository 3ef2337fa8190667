package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/examples"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/rpc"
	"github.com/tenurehq/tenure/internal/tenancy"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

func demoCommand() *cobra.Command {
	var redisURL string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start everything in a temporary directory and play a story through the real API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), redisURL, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&redisURL, "redis-url", os.Getenv("TENURE_REDIS_URL"),
		"Redis through which the story's service hears of changes, such as redis://:password@host:6379; what is written there is removed at the end; also by TENURE_REDIS_URL (default none: it hears of them from Tenure)")
	return cmd
}

// demo plays the story. An error says what differed from what it should have been.
func demo(ctx context.Context, redisURL string, out, logs io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	began := time.Now()
	dir, err := os.MkdirTemp("", "tenure-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	admin := rand.Text() + rand.Text()
	prefix := "tenure-demo-" + rand.Text()
	if redisURL != "" {
		remove := func() error { return redis.Remove(context.WithoutCancel(ctx), redisURL, "", prefix) }
		if err := remove(); err != nil {
			return fmt.Errorf("the Redis of --redis-url can't be used: %w", err)
		}
		// Behind Close: no server writes there any more.
		defer func() { err = errors.Join(err, remove()) }()
	}
	a, err := app.Start(ctx, app.Config{
		DataDir: dir, Listen: "127.0.0.1:0", AdminKey: admin, RedisURL: redisURL, RedisPrefix: prefix,
		Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := a.Close(); err == nil {
			err = closeErr
		}
	}()
	fmt.Fprintf(out, "Tenure is at %s, its log in a temporary directory.\n", a.URL)

	file, err := tenancy.Parse(examples.Tenancy)
	if err != nil {
		return err
	}
	s := &story{out: out, url: a.URL, secret: admin, redisURL: redisURL, redisPrefix: prefix}
	s.admin = s.clients(admin)
	heading(out, "1. Taking in examples/tenancy.yaml")
	if s.made, err = tenancy.TakeIn(ctx, http.DefaultClient, a.URL, file, bearer(admin)); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d people, %d organizations, %d projects, %d keys.\n",
		len(s.made.Users), len(s.made.Orgs), len(s.made.Projects), len(s.made.Keys))
	if err := s.play(ctx); err != nil {
		return err
	}
	return finish(ctx, out, a, began)
}

// finish replays the log and prints the figures.
func finish(ctx context.Context, out io.Writer, a *app.App, began time.Time) error {
	heading(out, "14. Replaying the log from zero")
	live := a.Engine.State()
	replayBegan := time.Now()
	fresh, err := engine.Replay(ctx, a.Log, live.Position)
	if err != nil {
		return err
	}
	took := time.Since(replayBegan)
	fmt.Fprintf(out, "live     %s\nreplayed %s\n", live.Digest(), fresh.Digest())
	if live.Digest() != fresh.Digest() {
		return fmt.Errorf("the replayed state differs from the live one at position %d", live.Position)
	}
	var commands, events int
	err = a.Engine.Commits(ctx, 1, live.Position, func(c engine.Commit) error {
		for _, entry := range c.Entries {
			commands++
			events += len(entry.Events)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d commands, %d events in %d commits; replayed in %s; the whole demo took %s.\n",
		commands, events, live.Position, took.Round(100*time.Microsecond), time.Since(began).Round(10*time.Millisecond))
	return nil
}

func heading(w io.Writer, text string) { fmt.Fprintf(w, "\n%s\n", text) }

// bearer authenticates a client with a secret.
func bearer(secret string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+secret)
			// The story reads what it has just written, from read models too.
			req.Header().Set(rpc.HeaderConsistency, "linearizable")
			return next(ctx, req)
		}
	}))
}

// clients are the services the story uses, in one person's name.
type clients struct {
	orgs        tenurev1connect.OrgServiceClient
	projects    tenurev1connect.ProjectServiceClient
	keys        tenurev1connect.KeyServiceClient
	access      tenurev1connect.AccessServiceClient
	audit       tenurev1connect.AuditServiceClient
	users       tenurev1connect.UserServiceClient
	roles       tenurev1connect.RoleServiceClient
	invitations tenurev1connect.InvitationServiceClient
	transfers   tenurev1connect.TransferServiceClient
}

func (s *story) clients(secret string) clients {
	auth := bearer(secret)
	return clients{
		orgs:        tenurev1connect.NewOrgServiceClient(http.DefaultClient, s.url, auth),
		projects:    tenurev1connect.NewProjectServiceClient(http.DefaultClient, s.url, auth),
		keys:        tenurev1connect.NewKeyServiceClient(http.DefaultClient, s.url, auth),
		access:      tenurev1connect.NewAccessServiceClient(http.DefaultClient, s.url, auth),
		audit:       tenurev1connect.NewAuditServiceClient(http.DefaultClient, s.url, auth),
		users:       tenurev1connect.NewUserServiceClient(http.DefaultClient, s.url, auth),
		roles:       tenurev1connect.NewRoleServiceClient(http.DefaultClient, s.url, auth),
		invitations: tenurev1connect.NewInvitationServiceClient(http.DefaultClient, s.url, auth),
		transfers:   tenurev1connect.NewTransferServiceClient(http.DefaultClient, s.url, auth),
	}
}
