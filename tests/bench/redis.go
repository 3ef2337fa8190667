package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/projections/redis/layout"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	"github.com/tenurehq/tenure/tests/redistest"
)

// redisGroup is how quick Redis is kept current, beside writing the same to it without asking anything.
func redisGroup(s sizes) (rows []row) {
	defer app.FewerCollections()()
	server := must(redistest.New())
	defer server.Close()
	option := rueidis.MustParseURL(server.URL())
	option.DisableCache = true
	client := must(rueidis.NewClient(option))
	defer client.Close()
	return append(keepingRedis(s, server, client), hearing(s, server, client)...)
}

// keepingRedis is how many changes a second the projector writes: of commits as the engine hands them to it while it keeps up, and of a
// log that it reads and folds by itself.
func keepingRedis(s sizes, server *redistest.Server, client rueidis.Client) []row {
	ctx := context.Background()
	l := newAuditLog(s, max(3000, s.audited/10))
	defer l.close()
	var payloads []string
	var first *domain.State
	var all []eventstore.Folded
	next := must(l.log().Open(ctx, projections.Checkpoint{}, true))
	for at := domain.Position(0); at < l.State().Position; {
		for _, m := range must(next(ctx, 1000)) {
			if at = m.Position; first == nil {
				first = m.After
				continue
			}
			all = append(all, m)
			for _, c := range invalidation.Changes(m.Before, m.After) {
				if e := c.Entry(); e != nil {
					payloads = append(payloads, string(must(protojson.Marshal(e))))
				}
			}
		}
	}
	beside := l.log()
	beside.Open = func(_ context.Context, at projections.Checkpoint, _ bool) (projections.Next, error) {
		left := all[at.Position-first.Position:]
		return func(ctx context.Context, most int) ([]eventstore.Folded, error) {
			if len(left) == 0 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			some := left[:min(most, len(left))]
			left = left[len(some):]
			return some, nil
		}, nil
	}
	var plain, kept, read, built []float64
	for range s.rounds {
		must(server.Do("FLUSHALL"))
		plain = append(plain, seconds(func() {
			n := 0
			for some := range slices.Chunk(payloads, 1000) {
				var commands rueidis.Commands
				for _, p := range some {
					n++
					commands = append(commands, client.B().Xadd().Key("plain:"+strconv.Itoa(n%redis.DefaultPartitions)).Id("*").FieldValue().FieldValue("prev", "100000-1").
						FieldValue("scope", "key").FieldValue("id", "key_01J9ZQ6T8Y0123456789").FieldValue("entry", p).Build())
				}
				for _, res := range client.DoMulti(ctx, commands...) {
					check(res.Error())
				}
			}
		}))
		must(server.Do("FLUSHALL"))
		state := first // so that nearly all is applied, and little is built
		cfg := redis.Config{
			URL: server.URL(), Prefix: "bench", Partitions: redis.DefaultPartitions, Log: l.log(), Lost: func(error) bool { return false },
			State: func() *domain.State { return state }, SinceContact: l.SinceContact, Logger: silent,
		}
		run := func() float64 {
			return seconds(func() {
				p := must(redis.Start(cfg))
				check(p.Await(ctx, l.State().Position))
				p.Close()
			})
		}
		read = append(read, run())
		must(server.Do("FLUSHALL"))
		cfg.Log = beside
		kept = append(kept, run())
		must(server.Do("FLUSHALL"))
		cfg.State = l.State
		built = append(built, run())
	}
	n, entries := float64(len(payloads)), 0
	for range invalidation.All(l.State()) {
		entries++
	}
	return []row{
		atLeast(row{
			What: fmt.Sprintf("changes written to Redis, of %s", number(n)), Figure: n / median(kept), Unit: "/s", Floor: n / median(plain), FloorIs: "pipelined XADD of the same",
		}, 0.4),
		{What: "  log read and folded by itself", Figure: n / median(read), Unit: "/s", Floor: n / median(plain), FloorIs: "pipelined XADD of the same", Ratio: median(plain) / median(read)},
		{What: fmt.Sprintf("  all built anew, %s entries", number(float64(entries))), Figure: float64(entries) / median(built), Unit: "entries/s"},
	}
}

// hearing is how long after a command's answer a reader has its change, beside how long after XADD's a reader has that.
func hearing(s sizes, server *redistest.Server, client rueidis.Client) []row {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	must(server.Do("FLUSHALL"))
	a := must(app.Start(ctx, app.Config{DataDir: tempDir(), Listen: "127.0.0.1:0", AdminKey: adminKey, Logger: silent, RedisURL: server.URL()}))
	defer func() { check(a.Close()) }()
	do := func(c domain.Command) domain.Position {
		return must(a.Engine.Execute(ctx, engine.Request{Command: c, Rule: anyRule, Actor: instance, Info: &eventv1.RequestInfo{}})).Position
	}
	check(a.ReadModels.Redis.Await(ctx, a.Engine.State().Position))
	names := layout.Layout{Prefix: layout.DefaultPrefix, Partitions: redis.DefaultPartitions}
	heard := make(chan uint64, 1000)
	var reading sync.WaitGroup
	for p := range names.Partitions + 1 {
		name := "beside"
		if p < names.Partitions {
			name = names.Stream(p)
		}
		reading.Go(func() {
			for last := "0-0"; ctx.Err() == nil; {
				read, err := client.Do(ctx, client.B().Xread().Block(100).Streams().Key(name).Id(last).Build()).AsXRead()
				if err != nil && !rueidis.IsRedisNil(err) && !errors.Is(err, context.Canceled) {
					panic(err)
				}
				for _, e := range read[name] {
					last = e.ID
					heard <- must(layout.ParseID(e.ID)).Position
				}
			}
		})
	}
	defer reading.Wait()
	defer cancel()
	measure := func(write func(i int) uint64) (p50, p99 float64) {
		var took []float64
		for began, i := time.Now(), 0; time.Since(began) < s.round || i < 20; i++ {
			at := write(i)
			answered := time.Now()
			for <-heard != at {
			}
			took = append(took, time.Since(answered).Seconds()*1000)
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)*99/100]
	}
	p50, p99 := measure(func(i int) uint64 {
		return uint64(do(domain.CreateOrg{ID: domain.OrgID(fmt.Sprint("org", i)), OrgName: fmt.Sprint("client-", i)}))
	})
	plain50, plain99 := measure(func(i int) uint64 {
		id := strconv.Itoa(i+1) + "-0"
		check(client.Do(ctx, client.B().Xadd().Key("beside").Id(id).FieldValue().FieldValue("entry", `{"id":"org"}`).Build()).Error())
		return uint64(i + 1)
	})
	return []row{
		{What: "from a command's answer to its change read, p50", Figure: p50, Unit: "ms", Floor: plain50, FloorIs: "from XADD's answer", Ratio: p50 / plain50},
		{What: "  p99", Figure: p99, Unit: "ms", Floor: plain99, FloorIs: "from XADD's answer", Ratio: p99 / plain99},
	}
}
