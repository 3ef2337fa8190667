package tests

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// linearWorld is a small part of a State that operations fight for: two projects, which may be in either of two organizations
// and have either of two names, no organization holding both under one; and the role of a person in the first.
type linearWorld struct {
	org, name [2]int
	role      domain.Role // "" for no member
}

var linearBegin = linearWorld{org: [2]int{0, 1}}

// linearOp is one operation on a world.
type linearOp struct {
	kind    string // rename, transfer, grant, revoke, read
	world   int
	project int
	to      int
	role    domain.Role
}

func (o linearOp) String() string {
	switch o.kind {
	case "rename", "transfer":
		return fmt.Sprintf("%s project %d to %d", o.kind, o.project, o.to)
	case "grant":
		return fmt.Sprintf("grant %s", o.role)
	}
	return o.kind
}

// linearAnswer is what became of it.
type linearAnswer struct {
	// reason of a refusal; "" for none.
	reason domain.Reason
	// unknown tells that nobody knows whether it happened.
	unknown bool
	// read is the world that was seen.
	read linearWorld
}

// apply is what an operation does to a world, by the rules in domain.
func (o linearOp) apply(w linearWorld) (linearWorld, domain.Reason) {
	p, other := o.project, 1-o.project
	switch o.kind {
	case "rename":
		if w.org[other] == w.org[p] && w.name[other] == o.to {
			return w, domain.NameTaken
		}
		w.name[p] = o.to
	case "transfer":
		if w.org[p] == o.to {
			return w, domain.SameOrg
		}
		if w.org[other] == o.to && w.name[other] == w.name[p] {
			return w, domain.NameTaken
		}
		w.org[p] = o.to
	case "grant":
		w.role = o.role
	case "revoke":
		if w.role == "" {
			return w, domain.MemberNotFound
		}
		w.role = ""
	}
	return w, ""
}

// linearModel accepts what could have been answered by one that does one thing after the other.
var linearModel = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byWorld := map[int][]porcupine.Operation{}
		for _, op := range history {
			n := op.Input.(linearOp).world
			byWorld[n] = append(byWorld[n], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byWorld {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{linearBegin} },
	Step: func(state, input, output any) []any {
		w, op, answer := state.(linearWorld), input.(linearOp), output.(linearAnswer)
		next, reason := op.apply(w)
		switch {
		case op.kind == "read":
			if answer.read != w {
				return nil
			}
			return []any{w}
		case answer.unknown:
			return []any{w, next}
		case answer.reason != reason:
			return nil
		}
		return []any{next}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v: %+v", input, output) },
}).ToModel()

func linearOrg(world, n int) domain.OrgID {
	return domain.OrgID(fmt.Sprintf("world-%d-org-%d", world, n))
}
func linearProject(world, n int) domain.ProjectID {
	return domain.ProjectID(fmt.Sprintf("world-%d-project-%d", world, n))
}
func linearUser(world int) domain.UserID { return domain.UserID(fmt.Sprintf("world-%d-user", world)) }

func linearName(n int) string { return fmt.Sprintf("name %d", n) }

// linearSetup makes the worlds.
func linearSetup(worlds int) (commands []domain.Command) {
	for w := range worlds {
		for n := range 2 {
			commands = append(commands,
				domain.CreateOrg{ID: linearOrg(w, n), Chosen: true, OrgName: fmt.Sprintf("org %d of %d", n, w)},
				domain.CreateProject{ID: linearProject(w, n), Chosen: true, Org: linearOrg(w, n), ProjectName: linearName(0)})
		}
		commands = append(commands, domain.RegisterUser{ID: linearUser(w), Chosen: true, Email: &eventv1.Sealed{}, EmailDigest: fmt.Append(nil, "digest ", w)})
	}
	return commands
}

// command is the operation as the engine takes it.
func (o linearOp) command() domain.Command {
	switch o.kind {
	case "rename":
		return domain.UpdateProject{ID: linearProject(o.world, o.project), ProjectName: new(linearName(o.to))}
	case "transfer":
		return domain.TransferProject{ID: linearProject(o.world, o.project), Target: linearOrg(o.world, o.to)}
	case "grant":
		return domain.GrantRole{Org: linearOrg(o.world, 0), User: linearUser(o.world), Role: o.role}
	}
	return domain.RevokeRole{Org: linearOrg(o.world, 0), User: linearUser(o.world)}
}

// linearSeen is the world in a state.
func linearSeen(s *domain.State, world int) (w linearWorld) {
	for n := range 2 {
		p, ok := s.Project(linearProject(world, n))
		if !ok {
			return linearWorld{}
		}
		if p.Org == linearOrg(world, 1) {
			w.org[n] = 1
		}
		if p.Name == linearName(1) {
			w.name[n] = 1
		}
	}
	if o, ok := s.Org(linearOrg(world, 0)); ok {
		m, _ := o.Members.Get(linearUser(world))
		w.role = m.Role
	}
	return w
}

// linearNothingHappened are the refusals that promise it.
var linearNothingHappened = map[domain.Reason]bool{
	engine.NotCaughtUp: true, engine.NoContact: true, engine.Stopped: true, engine.Contention: true, engine.ClockSkew: true,
}
