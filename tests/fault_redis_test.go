package tests

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/projections/runner"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
	"github.com/tenurehq/tenure/tests/redistest"
)

// inRedis waits until all that a server has is in Redis.
func (s *apiServer) inRedis(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), apiWait)
	defer cancel()
	if err := s.ReadModels.Redis.Await(ctx, s.Engine.State().Position); err != nil {
		t.Fatalf("%v: %+v", err, s.ReadModels.Redis.Report())
	}
	return time.Since(began)
}

// Redis is away for seconds, by a crash or by standing still, and when the server starts. Commands go on as before, the server stays ready,
// and when Redis is back, what caches need is there again by itself.
func TestFaultRedisAway(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name     string
		go_, end func(*redistest.Server) error
	}{
		{"killed", func(r *redistest.Server) error { r.Kill(); return nil }, (*redistest.Server).Start},
		{
			"standing still", func(r *redistest.Server) error { r.Signal(syscall.SIGSTOP); return nil },
			func(r *redistest.Server) error { r.Signal(syscall.SIGCONT); return nil },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			redis, dir := redistest.Start(t), t.TempDir()
			redis.Kill()
			s := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.RedisURL = dir, redis.URL() })
			if err := redis.Start(); err != nil {
				t.Fatal(err)
			}
			api := processClient(t, s.URL, apiAdminKey)
			load := startFaultLoad(t, 8, func(int) *processAPI { return api })
			load.more(t, 200, "before Redis goes")
			s.inRedis(t)
			with := load.commandsFor(2 * time.Second)
			if err := fault.go_(redis); err != nil {
				t.Fatal(err)
			}
			away := soak(6*time.Second, 30*time.Second)
			without := load.commandsFor(away)
			if r := s.ReadModels.Redis.Report(); r.Status.Phase != runner.Retrying || r.Err == nil || r.Lag() == 0 || r.LagEvents < uint64(r.Lag()) {
				t.Errorf("while Redis is away: %+v", r)
			}
			if code, body := processGet(t, api.http, s.URL+"/readyz"); code != 200 || !strings.Contains(body, "redis: retrying") {
				t.Errorf("/readyz while Redis is away: %d %s", code, body)
			}
			if err := fault.end(redis); err != nil {
				t.Fatal(err)
			}
			caughtUp := s.inRedis(t)
			// A noisy machine must not fail this; `make bench` measures it.
			if without < with/2 {
				t.Errorf("%.0f commands/s while Redis is away, %.0f before", without, with)
			}
			judged(t, s, load, dir, fmt.Sprintf("Redis %s for %s", fault.name, away), 0,
				fmt.Sprintf("%.0f commands/s with it, %.0f without; caught up %s after it was back", with, without, caughtUp.Round(time.Millisecond)))
		})
	}
}

// Two servers keep one Redis; when the one that does ends, the other takes over, and heartbeats never cease.
func TestFaultTwoServersOneRedis(t *testing.T) {
	t.Parallel()
	redis, conn := redistest.Start(t), apiBroker(t)
	first := apiStart(t, func(cfg *app.Config) { cfg.NATSURL, cfg.RedisURL = conn.ConnectedUrl(), redis.URL() })
	second := apiStart(t, func(cfg *app.Config) {
		cfg.NATSURL, cfg.RedisURL = conn.ConnectedUrl(), redis.URL()
		cfg.PepperFile, cfg.SealingKeyFile = first.dir+"/pepper", first.dir+"/sealing-key"
	})
	api := processClient(t, second.URL, apiAdminKey)
	load := startFaultLoad(t, 8, func(int) *processAPI { return api })
	load.more(t, 300, "with both")
	first.inRedis(t)
	second.inRedis(t)
	first.stop(t)
	began := time.Now()
	load.more(t, 50, "without the first")
	load.stop(t)
	second.inRedis(t)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the other took over after %s", took)
	} else {
		t.Logf("two servers on one Redis: the second was at the end %s after the first had gone", took.Round(time.Millisecond))
	}
	if n := redis.Must(t, "HGET", "tenure:layout", "generation"); n != "1" {
		t.Errorf("built %s times", n)
	}
}

// Redis is listed beside the read models, and rebuilt as they are.
func TestRedisAmongProjections(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "maxmemory-policy", "allkeys-lru")
	s := apiStart(t, func(cfg *app.Config) { cfg.RedisURL, cfg.PrivateListen = redis.URL(), "127.0.0.1:0" })
	api := processClient(t, s.URL, apiAdminKey)
	faultKey(t, api)
	s.inRedis(t)
	client := tenurev1connect.NewProjectionServiceClient(api.http, s.URL, connect.WithInterceptors(processSender(apiAdminKey)))
	find := func() *tenurev1.Projection { return processProjection(t, client, "redis") }
	if p := find(); p.Engine != "redis" || p.Phase != "running" || p.Lag != 0 || p.Generation != 1 || p.Error != "" {
		t.Errorf("listed as %v", p)
	}
	stream, err := client.RebuildProjection(processContext(t), &tenurev1.RebuildProjectionRequest{Name: "redis"})
	if err != nil {
		t.Fatal(err)
	}
	var result *tenurev1.BuildResult
	for stream.Receive() {
		result = stream.Msg().Result
	}
	if err := stream.Err(); err != nil || result == nil {
		t.Fatal(result, err)
	}
	if p := find(); p.Generation != 2 {
		t.Errorf("after a rebuild: %v", p)
	}
	if _, body := processGet(t, api.http, s.PrivateURL+"/metrics"); !strings.Contains(body, `tenure_projection_position{projection="redis"}`) {
		t.Error("no metrics of it")
	}
	faultUntil(t, "a warning", func() bool { return strings.Contains(strings.Join(s.ReadModels.Redis.Warnings(), ""), "noeviction") })
	got, err := api.instance.GetInstance(processContext(t), &tenurev1.GetInstanceRequest{})
	if err != nil || !strings.Contains(got.String(), "noeviction") {
		t.Error(got, err)
	}
}
