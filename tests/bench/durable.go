package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// durable is how many commands the engine writes, beside bare publishes by as many goroutines, each flushed as well.
func durable(s sizes) (rows []row) {
	w := serving(s)
	share := w.share()
	embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: tempDir(), Logger: silent}))
	defer embedded.Close()
	publish := barePublish(embedded.Conn(), "BARE", share, 1)
	execute := executing(w.Engine, w.world)
	for _, callers := range []int{64, 256} {
		loads := loadsInTurns(s, callers, execute, publish)
		commands, bare := loads[0], loads[1]
		bar := map[int]float64{64: 4, 256: 6}[callers]
		what := fmt.Sprintf("durable commands, engine alone, %d callers", callers)
		rows = append(rows,
			atLeast(row{
				What: what, Figure: commands.perSecond, Unit: "/s", Floor: bare.perSecond, FloorIs: fmt.Sprintf("js.Publish of %d bytes", share),
				Note: fmt.Sprintf("p50 %s p99 %s", rounded(commands.p50), rounded(commands.p99)),
			}, bar),
			row{What: "  processor time of a command", Figure: us(commands.cpu), Unit: "us", Floor: us(bare.cpu), FloorIs: "js.Publish"},
		)
	}
	return rows
}

func us(d time.Duration) float64            { return float64(d) / 1000 }
func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// share is how many bytes of the log a command takes in the mix.
func (w *world) share() int {
	size := 0
	const n = 300
	for i := range n {
		entry := w.decide(w.command(i))
		size += protoSize(entry)
	}
	return size / n
}

var made atomic.Int64

// command is the mix of what is written.
func (w *world) command(i int) domain.Command {
	org := rand.IntN(len(w.orgs))
	switch i % 3 {
	case 0:
		c, _ := w.newKey(w.projects[rand.IntN(len(w.projects))])
		return c
	case 1:
		return domain.GrantRole{Org: w.orgs[org], User: w.people[rand.IntN(len(w.people))], Role: roles[rand.IntN(len(roles))]}
	}
	return domain.CreateProject{
		ID: domain.ProjectID("prj_" + ulid.Make().String()), Org: w.orgs[org], ProjectName: fmt.Sprintf("new-%d", made.Add(1)),
	}
}

// executing gives commands to an engine.
func executing(e *engine.Engine, w *world) func(caller, i int) {
	return func(_, i int) {
		must(e.Execute(context.Background(), engine.Request{
			Command: w.command(i), Rule: anyRule, Actor: instance, Info: &eventv1.RequestInfo{RequestId: ulid.Make().String()},
		}))
	}
}

// barePublish publishes messages of a size to a stream of their own, and waits for each.
func barePublish(conn *nats.Conn, stream string, size, replicas int) func(caller, i int) {
	js := must(jetstream.New(conn))
	must(js.CreateStream(context.Background(), jetstream.StreamConfig{
		Name: stream, Subjects: []string{stream}, Storage: jetstream.FileStorage, Replicas: replicas,
	}))
	data := make([]byte, size)
	return func(int, int) { must(js.Publish(context.Background(), stream, data)) }
}
