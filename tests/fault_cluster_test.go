package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/sealing"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// Three servers write to one log of three replicas while its leader steps down again and again. Each writer gives each
// command to any of the servers, so that nearly every command is decided on something another server wrote. Nothing
// acknowledged is lost, nothing happens twice, all servers come to the same state, and so does a replay.
//
// Without the guard in Append, and with acknowledgements of any position taken for good ones, what was acknowledged is not
// there when the next command needs it: tried.
func TestFaultClusterThreeServersOverStepDowns(t *testing.T) {
	t.Parallel()
	const stepDowns, between = 6, 60
	cluster, f := startFaultCluster(t)
	var users []string
	for _, name := range []string{"ada", "bea", "cleo"} {
		res, err := f.apis[0].users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: name + "@example.com", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, res.User.Id)
	}
	var done atomic.Bool
	var answers, again, newest atomic.Int64
	var writing sync.WaitGroup
	var slowest time.Duration
	begun := time.Now()
	writers := make([]*killWriter, 12)
	for i := range writers {
		w := newKillWriter(i, users)
		writers[i] = w
		writing.Go(func() {
			for (!done.Load() || w.open != nil) && !t.Failed() {
				if w.step(processContext(t), t, f.apis[rand.IntN(3)]) {
					newest.Store(int64(time.Since(begun)))
					answers.Add(1)
				} else {
					again.Add(1)
				}
			}
		})
	}
	for range stepDowns {
		wanted := answers.Load() + between
		faultUntil(t, "answers after a change of leader", func() bool { return answers.Load() >= wanted })
		cluster.StepDown(t, eventstore.StreamName)
		down := time.Since(begun)
		faultUntil(t, "an answer behind a change of leader", func() bool { return newest.Load() > int64(down) })
		slowest = max(slowest, time.Duration(newest.Load())-down)
	}
	wanted := answers.Load() + between
	faultUntil(t, "answers after the last change of leader", func() bool { return answers.Load() >= wanted })
	done.Store(true)
	writing.Wait()

	state, found := f.settled(t)
	figures := killJudge(t, state, found, writers)
	var stats engine.Stats
	for _, a := range f.apps {
		s := a.Engine.Stats()
		stats.Commits += s.Commits
		stats.Conflicts += s.Conflicts
		stats.Retries += s.Retries
	}
	figures.recovery = slowest
	figures.report(t, fmt.Sprintf("%d changes of leader", stepDowns), fmt.Sprintf("%d given again; %d commits, %.2f conflicts per commit, %d appends repeated",
		again.Load(), stats.Commits, float64(stats.Conflicts)/float64(stats.Commits), stats.Retries))
	if stats.Conflicts == 0 {
		t.Error("no conflicts: the servers did not write at the same time")
	}
}

// Servers that start at once on an empty cluster begin one log, with one id, on one set of secrets.
//
// With CreateInstance not looking whether there is one already, the log has several beginnings; with the vault not waiting
// for the key of another server, first commands are refused: both tried.
func TestFaultClusterRacingGenesis(t *testing.T) {
	t.Parallel()
	cluster := natstest.Cluster(t, 3)
	js, err := jetstream.New(cluster.Connect(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		f := startFaultServers(t, t.TempDir(), 3, nil, cluster.URL(0), cluster.URL(1), cluster.URL(2))
		state, _ := f.settled(t)
		begun := 0
		err := f.apps[0].Engine.Commits(processContext(t), 1, state.Position, func(c engine.Commit) error {
			for _, entry := range c.Entries {
				for _, e := range entry.Events {
					if e.GetInstanceCreated() != nil {
						begun++
					}
				}
			}
			return nil
		})
		if err != nil || begun != 1 {
			t.Errorf("round %d: the log was begun %d times, %v", round, begun, err)
		}
		ids := map[string]int{}
		for _, api := range f.apis {
			res, err := api.instance.GetInstance(processContext(t), &tenurev1.GetInstanceRequest{})
			if err != nil {
				t.Fatal(err)
			}
			ids[res.LogId]++
		}
		if len(ids) != 1 {
			t.Errorf("round %d: log ids %v", round, ids)
		}
		// The first commands of all make the same personal key at the same moment.
		_, errs := faultAtOnce(t, f, func(ctx context.Context, server int) (*tenurev1.CreateOrgResponse, error) {
			return f.apis[server].orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: "first"})
		})
		if err := errors.Join(errs...); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		// What one server seals the others can open: they have the same key.
		user, err := f.apis[1].users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: "ada@example.com", Name: "Ada"})
		if err != nil {
			t.Fatal(err)
		}
		for i, api := range f.apis {
			got, err := api.users.GetUser(processHeaders(processContext(t), "Tenure-Token", user.Token), &tenurev1.GetUserRequest{UserId: user.User.Id})
			if err != nil || got.User.Email != "ada@example.com" {
				t.Errorf("round %d: server %d reads %v, %v", round, i, got, err)
			}
		}
		f.close()
		for _, stream := range []string{eventstore.StreamName, "KV_" + sealing.BucketName} {
			if err := js.DeleteStream(processContext(t), stream); err != nil {
				t.Fatal(err)
			}
		}
	}
}
