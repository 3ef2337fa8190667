package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// growth is what a hundred times as much of everything costs.
func growth(s sizes) (rows []row) {
	defer forget()
	small, big := built(s.small()), shared(s)
	for _, m := range []struct {
		what string
		op   func(*world) func(int)
	}{
		{"Check", func(w *world) func(int) {
			return w.checking(w.questions(asked), domain.ParsePermission(domain.ProjectLevel, "project:read"), time.Now())
		}},
		{"VerifyKey", func(w *world) func(int) { return w.verifying(rand.Perm(len(w.keys)), time.Now()) }},
		{"CreateKey, decided and folded", (*world).creating},
		{"TransferProject, decided and folded", (*world).transferring},
	} {
		times := inTurns(s, m.op(big), m.op(small))
		rows = append(rows, atMost(row{
			What: m.what + ", at " + number(float64(big.s.Keys().Len())) + " keys", Figure: times[0] / 1000, Unit: "us", Floor: times[1] / 1000,
			FloorIs: "at " + number(float64(small.s.Keys().Len())),
		}, 2))
	}
	return append(rows, transferOfMany(s))
}

// creating makes keys on a state that keeps them, in projects at random.
func (w *world) creating() func(int) {
	commands := make([]domain.CreateKey, 1<<12)
	for i := range commands {
		commands[i], _ = w.newKey(w.projects[rand.IntN(len(w.projects))])
	}
	s := w.s
	return func(i int) {
		if i%len(commands) == 0 {
			s = w.s
		}
		s = w.step(s, commands[i%len(commands)])
	}
}

// transferring moves projects to other organizations, and on.
func (w *world) transferring() func(int) {
	s := w.s
	names := 0
	return func(i int) {
		project := w.projects[rand.IntN(len(w.projects))]
		p, _ := s.Project(project)
		target := p.Org
		for target == p.Org {
			target = w.orgs[rand.IntN(len(w.orgs))]
		}
		names++
		s = w.step(s, domain.TransferProject{ID: project, Target: target, NewName: new(fmt.Sprintf("moved-%d", names))})
	}
}

// step decides and folds, in memory alone.
func (w *world) step(s *domain.State, c domain.Command) *domain.State {
	events := must(domain.Decide(s, c, anyRule, instance, w.now))
	next := must(domain.EvolveEntry(s, entryOf(c, events), 0, s.Position+1, w.now))
	return next.Advanced(s.Position+1, s.Hash)
}

// transferOfMany moves a project with many keys back and forth, beside one with a single key.
func transferOfMany(s sizes) row {
	w := newWorld()
	s.orgs, s.projectsPerOrg = 2, 2
	w.places(s)
	many := 100 * s.keysPerProject
	for range many {
		c, _ := w.newKey(w.projects[0])
		w.do(c)
	}
	c, _ := w.newKey(w.projects[2])
	w.do(c)
	w.s = w.s.Loaded()
	back := func(project domain.ProjectID) func(int) {
		state := w.s
		return func(i int) {
			p, _ := state.Project(project)
			target := w.orgs[0]
			if p.Org == target {
				target = w.orgs[1]
			}
			state = w.step(state, domain.TransferProject{ID: project, Target: target, NewName: new(fmt.Sprintf("moved-%d", i))})
		}
	}
	times := inTurns(s, back(w.projects[0]), back(w.projects[2]))
	return atMost(row{
		What: "transfer of a project with " + number(float64(many)) + " keys", Figure: times[0] / 1000, Unit: "us", Floor: times[1] / 1000, FloorIs: "with 1 key",
	}, 1.5)
}
