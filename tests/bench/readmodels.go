package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/audit"
	"github.com/tenurehq/tenure/projections/directory"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/runner"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	"github.com/tenurehq/tenure/tests/pgtest"
)

// auditLog is a log of so many events, about a thousand of them in each organization, and an engine on it.
type auditLog struct {
	*engine.Engine
	events int
	close  func()
}

func newAuditLog(s sizes, events int) *auditLog {
	dir := tempDir()
	s.replayed, s.orgs = events, max(2, s.orgs*events/s.audited)
	l := &auditLog{events: writeLog(s, dir, 100)}
	embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: silent}))
	l.Engine = must(engine.Start(context.Background(), engine.Config{
		Log: must(eventstore.Open(context.Background(), eventstore.Config{Conn: embedded.Conn()})), Sole: true, Logger: silent,
	}))
	l.close = func() {
		l.Close()
		check(embedded.Close())
	}
	return l
}

func (l *auditLog) log() runner.Log {
	return runner.Log{ID: l.State().Instance.LogID, End: func() domain.Position { return l.State().Position }, Open: following(l.Engine)}
}

// readModels are the read models in SQL on both databases: building them, beside inserting the same rows, and reading pages of them.
func readModels(s sizes) (rows []row) {
	defer app.FewerCollections()()
	tenth, all := newAuditLog(s, s.audited/10), newAuditLog(s, s.audited)
	defer tenth.close()
	defer all.close()
	instance := must(pgtest.New())
	defer instance.Close()
	for _, db := range []*readmodel.Database{
		must(readmodel.OpenSQLite(context.Background(), tempDir())), must(readmodel.OpenPostgres(context.Background(), instance.URL("postgres"))),
	} {
		rows = append(rows, rebuilding(s, db, tenth)...)
		url := ""
		if db.Engine() == "postgres" {
			url = instance.URL("beside")
			check(instance.Exec("CREATE DATABASE beside"))
		}
		rows = append(rows, beside(s, url)...)
		rows = append(rows, paging(s, db, tenth, all)...)
		check(db.Close())
	}
	return rows
}

// beside is how many commands a server writes while its read models are kept current, beside one that has none.
func beside(s sizes, postgresURL string) (rows []row) {
	ctx := context.Background()
	var engines []*engine.Engine
	var worlds []*world
	var apps []*app.App
	for _, with := range []bool{true, false} {
		cfg := app.Config{DataDir: tempDir(), Listen: "127.0.0.1:0", AdminKey: adminKey, Logger: silent}
		if with {
			cfg.PostgresURL = postgresURL // of one log
		}
		a := must(app.Start(ctx, cfg))
		defer func() { check(a.Close()) }()
		if !with {
			for _, p := range a.ReadModels.All() {
				p.Close()
			}
		}
		w := newWorldInto(nil)
		do := func(c domain.Command) {
			must(a.Engine.Execute(ctx, engine.Request{Command: c, Rule: anyRule, Actor: instance, Info: &eventv1.RequestInfo{}}))
		}
		for i := range 20 {
			org, project, person := domain.OrgID(fmt.Sprintf("org%d", i)), domain.ProjectID(fmt.Sprintf("prj%d", i)), domain.UserID(fmt.Sprintf("usr%d", i))
			do(domain.CreateOrg{ID: org, OrgName: fmt.Sprintf("client-%d", i)})
			do(domain.CreateProject{ID: project, Org: org, ProjectName: "first"})
			do(domain.RegisterUser{ID: person, Email: &eventv1.Sealed{}, EmailDigest: []byte(person)})
			w.orgs, w.projects, w.people = append(w.orgs, org), append(w.projects, project), append(w.people, person)
		}
		engines, worlds, apps = append(engines, a.Engine), append(worlds, w), append(apps, a)
	}
	name := map[bool]string{true: "sqlite", false: "postgres"}[postgresURL == ""]
	settle := func() time.Duration {
		began := time.Now()
		for _, p := range apps[0].ReadModels.All() {
			must(p.Await(ctx, engines[0].State().Position))
		}
		return time.Since(began)
	}
	for _, callers := range []int{1, 64} {
		var loads [2][]float64
		var behind []float64
		for range s.rounds {
			for i := range engines {
				loads[i] = append(loads[i], closedLoop(callers, s.round, executing(engines[i], worlds[i])).perSecond)
				if i == 0 {
					// What is left to do must not be done while the other is measured.
					behind = append(behind, settle().Seconds())
				}
			}
		}
		rows = append(rows, atLeast(row{
			What: fmt.Sprintf("durable commands with live read models, %s, %d callers", name, callers), Figure: median(loads[0]), Unit: "/s", Floor: median(loads[1]),
			FloorIs: "without", Note: fmt.Sprintf("rows complete %.1f s after %s", median(behind), s.round),
		}, 0.9))
	}
	return rows
}

// plainly is for logs that have nothing to be opened.
var plainly = audit.Personal{
	Open:   func(context.Context, *eventv1.Sealed, string) (string, error) { return "", nil },
	Digest: func(string) []byte { return nil },
}

// builtModel is a generation of a log, made as a rebuild makes it, and how long that took.
func builtModel(db *readmodel.Database, p runner.Projection, l *auditLog, to domain.Position) (*readmodel.Model, float64) {
	ctx := context.Background()
	m := must(db.Make(ctx, p.Schema, readmodel.Scratch))
	r := &runner.Runner{Name: m.Name, Log: l.log(), Sink: runner.SinkOf(p, m), States: p.States, Logger: silent}
	return m, seconds(func() {
		check(r.Run(ctx, to))
		check(m.Finish(ctx))
	})
}

func dropped(db *readmodel.Database, m *readmodel.Model) {
	check(db.Drop(context.Background(), m.Name, func(g readmodel.Generation) bool { return g.Number == m.Number }))
}

// rebuilding is how quick a rebuild and a live projection are, beside inserting the same rows in the same transactions, which were made
// beforehand, into the same tables.
func rebuilding(s sizes, db *readmodel.Database, l *auditLog) []row {
	ctx := context.Background()
	p := audit.Projection(plainly)
	var batches []*audit.Batch
	var ends []projections.Checkpoint
	next := must(l.log().Open(ctx, projections.Checkpoint{}, false))
	end, events := max(1, l.State().Position/2), 0
	for at := domain.Position(0); at < end; {
		list := must(next(ctx, int(min(50, end-at))))
		for _, m := range list {
			for _, entry := range m.Commit.GetEntries() {
				events += len(entry.Events)
			}
		}
		batches = append(batches, must(audit.Collect(ctx, plainly, list)))
		last := list[len(list)-1]
		at = last.Position
		ends = append(ends, projections.Checkpoint{LogID: l.log().ID, Position: last.Position, Hash: last.Hash})
	}
	var inserted, rebuilt, live, directories []float64
	directoryRows := int64(0)
	for round := range s.rounds {
		m := must(db.Make(ctx, p.Schema, readmodel.Scratch))
		inserted = append(inserted, seconds(func() {
			var at projections.Checkpoint
			for i, b := range batches {
				check(m.Apply(ctx, at, ends[i], b.Write))
				at = ends[i]
			}
			check(m.Finish(ctx))
		}))
		dropped(db, m)
		m, took := builtModel(db, p, l, end)
		rebuilt = append(rebuilt, took)
		dropped(db, m)
		if round > 0 {
			continue // no bar is about the rest
		}
		m = must(db.Make(ctx, p.Schema, readmodel.Scratch))
		check(m.Finish(ctx)) // with all indexes from the beginning
		r := &runner.Runner{Name: m.Name, Log: l.log(), Sink: runner.SinkOf(p, m), Logger: silent}
		live = append(live, seconds(func() { check(r.Run(ctx, end)) }))
		dropped(db, m)

		m, took = builtModel(db, directory.Projection(plainly.Open), l, end)
		directoryRows, directories = must(m.Count(ctx)), append(directories, took)
		dropped(db, m)
	}
	n, name := float64(events), db.Engine()
	floor := n / median(inserted)
	return []row{
		atLeast(row{
			What: fmt.Sprintf("rebuild of the audit log, %s events, %s", number(n), name), Figure: n / median(rebuilt), Unit: "events/s", Floor: floor,
			FloorIs: "bulk insert of the same rows",
		}, 0.5),
		{What: "  live, all indexes kept", Figure: n / median(live), Unit: "events/s", Floor: floor, FloorIs: "bulk insert of the same rows", Ratio: median(inserted) / median(live)},
		{
			What: "  rebuild of the directory", Figure: n / median(directories), Unit: "events/s", Floor: floor, FloorIs: "bulk insert of the audit log",
			Ratio: median(inserted) / median(directories), Note: number(float64(directoryRows)) + " rows",
		},
	}
}

// paging is how long pages take in a large audit log, beside one of a tenth.
func paging(s sizes, db *readmodel.Database, tenth, all *auditLog) (rows []row) {
	p := audit.Projection(plainly)
	few, _ := builtModel(db, p, tenth, tenth.State().Position)
	many, _ := builtModel(db, p, all, all.State().Position)
	small, large := pages(s, few, tenth.Engine), pages(s, many, all.Engine)
	for i, q := range large {
		rows = append(rows,
			within(row{What: fmt.Sprintf("page of 100 by %s, %s events, %s, p99", q.what, number(float64(all.events)), db.Engine()), Figure: q.p99.Seconds() * 1000, Unit: "ms"}, 20),
			atMost(row{What: "  p50", Figure: q.p50.Seconds() * 1000, Unit: "ms", Floor: small[i].p50.Seconds() * 1000, FloorIs: "at a tenth"}, 3))
	}
	dropped(db, few)
	dropped(db, many)
	return rows
}

func following(e *engine.Engine) projections.Open {
	return func(ctx context.Context, at projections.Checkpoint, states bool) (projections.Next, error) {
		f, err := e.Follow(ctx, at.Position, at.Hash, states)
		if err != nil {
			return nil, err
		}
		return f.Next, nil
	}
}

// page is how long reading a page takes.
type pageTimes struct {
	what     string
	p50, p99 time.Duration
}

// pages reads pages of 100 of places, people, types and times at random.
func pages(s sizes, m *readmodel.Model, e *engine.Engine) (list []pageTimes) {
	ctx, state := context.Background(), e.State()
	orgs, projects, people := state.Orgs().Keys(), state.Projects().Keys(), state.Users().Keys()
	types := []string{"KeyCreated", "RoleGranted", "UserRegistered", "ProjectCreated"}
	end := must(m.Checkpoint(ctx)).Position
	for _, q := range []struct {
		what   string
		search func() audit.Search
	}{
		{"organization", func() audit.Search { return audit.Search{Org: orgs[rand.IntN(len(orgs))]} }},
		{"project", func() audit.Search { return audit.Search{Project: projects[rand.IntN(len(projects))]} }},
		{"person", func() audit.Search { return audit.Search{User: string(people[rand.IntN(len(people))])} }},
		{"type", func() audit.Search { return audit.Search{EventType: types[rand.IntN(len(types))], To: 1 + rand.N(end)} }},
		{"type and organization", func() audit.Search {
			return audit.Search{Org: orgs[rand.IntN(len(orgs))], EventType: types[rand.IntN(len(types))]}
		}},
		{"time", func() audit.Search {
			return audit.Search{Since: state.Time.Add(-time.Duration(rand.N(60)) * time.Second), Oldest: true}
		}},
	} {
		var took []time.Duration
		for began := time.Now(); time.Since(began) < s.round/2 || len(took) < 20; {
			search := q.search()
			search.Limit = 100
			asked := time.Now()
			must(audit.Find(ctx, m, search))
			took = append(took, time.Since(asked))
		}
		slices.Sort(took)
		list = append(list, pageTimes{q.what, took[len(took)/2], took[len(took)*99/100]})
	}
	return list
}
