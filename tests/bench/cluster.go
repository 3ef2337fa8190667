package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/tests/natstest"
)

// cluster is what a log of three replicas on this one host takes, by one server and by three.
func cluster(s sizes) (rows []row) {
	t := &standIn{}
	defer t.end()
	c := natstest.Cluster(t, 3)
	var engines []*engine.Engine
	for i := range 3 {
		log := must(eventstore.Open(context.Background(), eventstore.Config{Conn: c.Connect(t, i), Replicas: 3}))
		engines = append(engines, must(engine.Start(context.Background(), engine.Config{
			Log: log, Node: fmt.Sprint(i), Logger: silent,
			Genesis: domain.CreateInstance{LogID: ulid.Make().String(), Pepper: "p", SealingKey: "s", IdempotencyCapacity: 1000},
		})))
	}
	defer func() {
		for _, e := range engines {
			e.Close()
		}
	}()
	w := fill(s, engines[0])
	w.s = engines[0].State()
	share := w.share()
	var publishers []func(caller, i int)
	for i := range engines {
		publishers = append(publishers, barePublish(c.Connect(t, i), "BARE", share, 3))
	}
	for _, servers := range []int{1, 3} {
		before := stats(engines)
		execute := func(caller, i int) { executing(engines[caller%servers], w)(caller, i) }
		publish := func(caller, i int) { publishers[caller%servers](caller, i) }
		loads := loadsInTurns(s, 64*servers, execute, publish)
		after := stats(engines)
		rows = append(rows, row{
			What:   fmt.Sprintf("R3, %d servers writing, 64 callers each", servers),
			Figure: loads[0].perSecond, Unit: "/s", Floor: loads[1].perSecond, FloorIs: "js.Publish, as many", Ratio: loads[0].perSecond / loads[1].perSecond,
			Note: fmt.Sprintf("p50 %s p99 %s (floor %s, %s), %.2f conflicts a commit",
				rounded(loads[0].p50), rounded(loads[0].p99), rounded(loads[1].p50), rounded(loads[1].p99),
				float64(after.Conflicts-before.Conflicts)/float64(after.Commits-before.Commits)),
		})
	}
	return rows
}

func stats(engines []*engine.Engine) (sum engine.Stats) {
	for _, e := range engines {
		s := e.Stats()
		sum.Commits += s.Commits
		sum.Conflicts += s.Conflicts
	}
	return sum
}

// fill gives an engine some organizations and people to write about.
func fill(s sizes, e *engine.Engine) *world {
	w := newWorld()
	give := func(c domain.Command) {
		must(e.Execute(context.Background(), engine.Request{Command: c, Rule: anyRule, Actor: instance}))
	}
	for i := range min(s.orgs, 100) {
		org, project, person := domain.OrgID("org_"+ulid.Make().String()), domain.ProjectID("prj_"+ulid.Make().String()), "usr_"+ulid.Make().String()
		give(domain.CreateOrg{ID: org, OrgName: fmt.Sprintf("client-%d", i)})
		give(domain.CreateProject{ID: project, Org: org, ProjectName: "project"})
		give(domain.RegisterUser{ID: domain.UserID(person), Email: sealed(person), EmailDigest: []byte(person + fmt.Sprint(rand.Int())), FullName: sealed(person)})
		w.orgs, w.projects, w.people = append(w.orgs, org), append(w.projects, project), append(w.people, domain.UserID(person))
	}
	return w
}
