package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

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

// readModels are the read models in SQL on both engines: building them, beside inserting the same rows, and reading pages of them.
func readModels(s sizes) (rows []row) {
	log, dir := s, tempDir()
	log.replayed = s.audited
	events := writeLog(log, dir, 100)
	embedded := must(eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: silent}))
	defer func() { check(embedded.Close()) }()
	e := must(engine.Start(context.Background(), engine.Config{Log: must(eventstore.Open(context.Background(), eventstore.Config{Conn: embedded.Conn()})), Sole: true, Logger: silent}))
	defer e.Close()
	instance := must(pgtest.New())
	defer instance.Close()
	for _, db := range []*readmodel.Database{
		must(readmodel.OpenSQLite(context.Background(), tempDir())), must(readmodel.OpenPostgres(context.Background(), instance.URL("postgres"))),
	} {
		rows = append(rows, onEngine(s, db, e, events)...)
		check(db.Close())
	}
	return rows
}

// plainly is for logs that have nothing to be opened.
var plainly = audit.Personal{
	Open:   func(context.Context, *eventv1.Sealed, string) (string, error) { return "", nil },
	Digest: func(string) []byte { return nil },
}

func onEngine(s sizes, db *readmodel.Database, e *engine.Engine, events int) (rows []row) {
	ctx := context.Background()
	small := domain.Position(max(1, e.State().Position/10))
	log := runner.Log{ID: e.State().Instance.LogID, End: func() domain.Position { return e.State().Position }, Open: following(e)}
	p := audit.Projection(plainly)

	// The same rows in the same transactions, made beforehand.
	var batches []*audit.Batch
	var ends []projections.Checkpoint
	next := must(log.Open(ctx, projections.Checkpoint{}, false))
	collected := 0
	for at := domain.Position(0); at < small; {
		list := must(next(ctx, int(min(50, small-at))))
		batches = append(batches, must(audit.Collect(ctx, plainly, list)))
		last := list[len(list)-1]
		at = last.Position
		ends = append(ends, projections.Checkpoint{LogID: log.ID, Position: last.Position, Hash: last.Hash})
		for _, m := range list {
			for _, entry := range m.Commit.GetEntries() {
				collected += len(entry.Events)
			}
		}
	}
	bulk := func() float64 {
		m := must(db.Make(ctx, p.Schema, readmodel.Scratch))
		defer func() { check(db.Drop(ctx, m.Name, func(g readmodel.Generation) bool { return g.Number == m.Number })) }()
		return seconds(func() {
			var at projections.Checkpoint
			for i, b := range batches {
				check(m.Apply(ctx, at, ends[i], b.Write))
				at = ends[i]
			}
		})
	}
	rebuild := func(to domain.Position) (*readmodel.Model, float64) {
		m := must(db.Make(ctx, p.Schema, readmodel.Scratch))
		r := &runner.Runner{Name: m.Name, Log: log, Sink: runner.SinkOf(p, m), Logger: silent}
		return m, seconds(func() { check(r.Run(ctx, to)) })
	}
	var inserted, rebuilt []float64
	var model *readmodel.Model
	for range s.rounds {
		inserted = append(inserted, bulk())
		if model != nil {
			check(db.Drop(ctx, model.Name, func(g readmodel.Generation) bool { return g.Number == model.Number }))
		}
		m, took := rebuild(small)
		model, rebuilt = m, append(rebuilt, took)
	}
	name := db.Engine()
	rows = append(rows, atLeast(row{
		What: fmt.Sprintf("rebuild of the audit log of %s events, %s", number(float64(collected)), name), Figure: float64(collected) / median(rebuilt), Unit: "events/s",
		Floor: float64(collected) / median(inserted), FloorIs: "bulk insert of the same rows",
	}, 0.5))

	// Pages at a tenth, then at all of it.
	tenth := pages(s, model, e)
	r := &runner.Runner{Name: model.Name, Log: log, Sink: runner.SinkOf(p, model), Logger: silent}
	check(r.Run(ctx, e.State().Position))
	all := pages(s, model, e)
	for i, q := range all {
		rows = append(rows,
			within(row{What: fmt.Sprintf("page of 100 by %s at %s events, %s, p99", q.what, number(float64(events)), name), Figure: q.p99.Seconds() * 1000, Unit: "ms"}, 20),
			atMost(row{What: "  p50", Figure: q.p50.Seconds() * 1000, Unit: "ms", Floor: tenth[i].p50.Seconds() * 1000, FloorIs: "at a tenth"}, 3))
	}
	check(db.Drop(ctx, model.Name, func(g readmodel.Generation) bool { return g.Number == model.Number }))

	// The directory wants states, and folds them.
	d := directory.Projection(plainly.Open)
	m := must(db.Make(ctx, d.Schema, readmodel.Scratch))
	took := seconds(func() {
		check((&runner.Runner{Name: m.Name, Log: log, Sink: runner.SinkOf(d, m), States: true, Logger: silent}).Run(ctx, small))
	})
	rows = append(rows, row{
		What: "rebuild of the directory, " + name, Figure: float64(collected) / took, Unit: "events/s", Floor: float64(collected) / median(inserted),
		FloorIs: "bulk insert of the audit log", Ratio: median(inserted) / took, Note: fmt.Sprintf("%s rows", number(float64(must(m.Count(ctx))))),
	})
	check(db.Drop(ctx, m.Name, func(g readmodel.Generation) bool { return g.Number == m.Number }))
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
	orgs, projects := state.Orgs().Keys(), state.Projects().Keys()
	types := []string{"KeyCreated", "RoleGranted", "UserRegistered", "ProjectCreated"}
	end := must(m.Checkpoint(ctx)).Position
	for _, q := range []struct {
		what   string
		search func() audit.Search
	}{
		{"organization", func() audit.Search { return audit.Search{Org: orgs[rand.IntN(len(orgs))]} }},
		{"project", func() audit.Search { return audit.Search{Project: projects[rand.IntN(len(projects))]} }},
		{"actor", func() audit.Search { return audit.Search{Org: orgs[rand.IntN(len(orgs))], Actor: "nobody"} }},
		{"type", func() audit.Search { return audit.Search{EventType: types[rand.IntN(len(types))], To: 1 + rand.N(end)} }},
		{"type and organization", func() audit.Search {
			return audit.Search{Org: orgs[rand.IntN(len(orgs))], EventType: types[rand.IntN(len(types))]}
		}},
		{"time", func() audit.Search {
			return audit.Search{Since: state.Time.Add(-time.Duration(rand.N(60)) * time.Second), Oldest: true}
		}},
	} {
		var took []time.Duration
		for began := time.Now(); time.Since(began) < s.round || len(took) < 20; {
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
