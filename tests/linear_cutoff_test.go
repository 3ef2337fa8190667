package tests

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/tests/natstest"
)

// A leader that is cut off goes on answering for some seconds, and does not know better. The server that uses it may say what is
// old where that is documented, in reads by the weaker levels, and nowhere else: refusals, and commands that change nothing,
// must not be answered from it. And a read by leader_latest is no linearizable one: taken for it, the checker finds it.
//
// With the leader asked by process in place of an append before a refusal, both commands are answered, and the history is not
// linearizable; with an answer that names no leader taken for the leader's, the server goes on showing what is old for ever: both
// tried.
func TestLinearLeaderCutOff(t *testing.T) {
	t.Parallel()
	p, engines := linearCluster(t)
	// A slow election leaves no time in which the old leader still answers: then once more.
	const attempts = 5
	for attempt := range attempts {
		if linearCutOff(t, p, engines, attempt) {
			return
		}
		p.AwaitReady(t)
	}
	t.Errorf("the leader that was cut off was never asked behind another one in %d attempts", attempts)
}

// linearCutOff tells whether the old leader answered while there was a new one.
func linearCutOff(t *testing.T, p *natstest.P, engines []*engine.Engine, world int) bool {
	t.Helper()
	leader := p.Leader(t, eventstore.StreamName)
	const ahead, behind = 0, 1
	r := newLinearRun(t, world, 1, []engine.Level{engine.Linearizable}, []engine.Level{engine.MinimizeLatency, engine.LeaderLatest},
		engines[(leader+1)%3], engines[leader])
	defer p.Heal()
	p.Cut(leader)
	r.faced.Add(1)

	read := linearOp{kind: "read", world: world}
	for round := range 10 {
		r.write(processContext(t), ahead, ahead, linearOp{kind: "rename", world: world, to: 1 - round%2})
		r.read(linearSoon(t), behind, behind, read, engine.MinimizeLatency)
		r.read(linearSoon(t), behind, behind, read, engine.LeaderLatest)
	}
	taken := r.taken(engine.LeaderLatest)
	r.write(processContext(t), ahead, ahead, linearOp{kind: "rename", world: world, to: 1})
	r.write(processContext(t), ahead, ahead, linearOp{kind: "grant", world: world, role: domain.Owner})
	before := r.unknown + r.nothing
	asked := !r.knows(linearSoon(t), ahead, behind)
	// On what is old the first changes nothing, and the second is of somebody who is no member.
	r.write(linearSoon(t), behind, behind, linearOp{kind: "rename", world: world, to: 0})
	r.write(linearSoon(t), behind, behind, linearOp{kind: "revoke", world: world})
	r.read(linearSoon(t), behind, behind, read, engine.Linearizable)
	open := r.unknown + r.nothing - before
	if asked {
		linearGivesUp(t, r.engines[behind])
	}

	p.Heal()
	r.stale = append(r.stale, linearWindow{0, r.now()})
	for e := range r.engines {
		r.read(processContext(t), e, e, read, engine.Linearizable)
	}
	r.accepted(t)
	counts := r.judge(t)
	t.Logf("leader cut off: %s%s; %d of 3 that can't be answered were not", r, linearCounts(counts), open)
	if !asked || counts[engine.LeaderLatest].stale == 0 {
		return false
	}
	if open != 3 {
		t.Errorf("%d commands and linearizable reads were answered by the server that is behind", 3-open)
	}
	if porcupine.CheckOperations(linearModel, taken) {
		t.Error("reads that asked the leader pass for linearizable ones")
	}
	return true
}

// linearGivesUp waits until a server whose leader is cut off says so, to who asks for it, and wants it to go on saying that it
// can't answer for what it has, from when it did so first. A leader gives up when it has heard nothing for 10 to 20 seconds;
// what its server has is still there, and the server answers for it that there is no leader.
func linearGivesUp(t *testing.T, e *engine.Engine) {
	t.Helper()
	faultUntil(t, "the loss of contact", func() bool { return e.Fresh() != nil })
	faultUntil(t, "leader_latest to be refused", func() bool {
		if e.Fresh() == nil {
			t.Fatalf("the server takes what it has for new again, %s after it last was", e.SinceContact())
		}
		_, err := e.Await(linearSoon(t), engine.Consistency{Level: engine.LeaderLatest})
		return err != nil
	})
}

// linearSoon is the patience of one who asks a server that can't know.
func linearSoon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(processContext(t), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// knows tells whether one engine learns from the leader that it asks what another one has.
func (r *linearRun) knows(ctx context.Context, ahead, behind int) bool {
	s, err := r.engines[behind].Await(ctx, engine.Consistency{Level: engine.LeaderLatest})
	return err != nil || s.Position >= r.engines[ahead].State().Position
}

// taken is the history with reads by a weak level taken for linearizable ones.
func (r *linearRun) taken(level engine.Level) []porcupine.Operation {
	history := slices.Clone(r.history)
	for _, f := range r.facts {
		if f.read && f.level == level {
			history = append(history, porcupine.Operation{
				ClientId: f.engine, Input: linearOp{kind: "read", world: f.world}, Call: f.call, Output: linearAnswer{read: f.seen}, Return: f.returned,
			})
		}
	}
	return history
}
