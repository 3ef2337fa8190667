package tests

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// linearWorld is a small part of a State that operations fight for: two projects, which may be in either of two organizations
// and have either of two names, no organization holding both under one; the roles of two people in the first organization,
// which keeps an owner once it has one; and some keys of it, each made once and revoked for good.
type linearWorld struct {
	org, name [2]int
	role      [2]domain.Role // "" for no member
	keys      [linearKeys]linearKey
}

const linearKeys = 6

type linearKey uint8

const (
	linearKeyNone linearKey = iota
	linearKeyLive
	linearKeyRevoked
)

var linearBegin = linearWorld{org: [2]int{0, 1}}

// linearOp is one operation on a world.
type linearOp struct {
	kind  string // rename, transfer, grant, revoke, create key, revoke key, read
	world int
	// which project, person or key.
	which int
	to    int
	role  domain.Role
}

func (o linearOp) String() string {
	switch o.kind {
	case "rename", "transfer":
		return fmt.Sprintf("%s project %d to %d", o.kind, o.which, o.to)
	case "grant":
		return fmt.Sprintf("grant %s to %d", o.role, o.which)
	case "read":
		return o.kind
	}
	return fmt.Sprintf("%s %d", o.kind, o.which)
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
	i, other := o.which, 1-o.which
	switch o.kind {
	case "rename":
		if w.org[other] == w.org[i] && w.name[other] == o.to {
			return w, domain.NameTaken
		}
		w.name[i] = o.to
	case "transfer":
		if w.org[i] == o.to {
			return w, domain.SameOrg
		}
		if w.org[other] == o.to && w.name[other] == w.name[i] {
			return w, domain.NameTaken
		}
		w.org[i] = o.to
	case "grant":
		if w.lastOwner(i) && o.role != domain.Owner {
			return w, domain.LastOwner
		}
		w.role[i] = o.role
	case "revoke":
		if w.role[i] == "" {
			return w, domain.MemberNotFound
		}
		if w.lastOwner(i) {
			return w, domain.LastOwner
		}
		w.role[i] = ""
	case "create key":
		if w.keys[i] != linearKeyNone {
			return w, domain.IDTaken
		}
		w.keys[i] = linearKeyLive
	case "revoke key":
		if w.keys[i] == linearKeyNone {
			return w, domain.KeyNotFound
		}
		w.keys[i] = linearKeyRevoked
	}
	return w, ""
}

func (w linearWorld) lastOwner(person int) bool {
	return w.role[person] == domain.Owner && w.role[1-person] != domain.Owner
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
func linearUser(world, n int) domain.UserID {
	return domain.UserID(fmt.Sprintf("world-%d-user-%d", world, n))
}
func linearKeyID(world, n int) domain.KeyID {
	return domain.KeyID(fmt.Sprintf("world-%d-key-%d", world, n))
}

func linearName(n int) string { return fmt.Sprintf("name %d", n) }

// linearSetup makes a world.
func linearSetup(world int) (commands []domain.Command) {
	for n := range 2 {
		commands = append(commands,
			domain.CreateOrg{ID: linearOrg(world, n), Chosen: true, OrgName: fmt.Sprintf("org %d of %d", n, world)},
			domain.CreateProject{ID: linearProject(world, n), Chosen: true, Org: linearOrg(world, n), ProjectName: linearName(0)},
			domain.RegisterUser{ID: linearUser(world, n), Chosen: true, Email: &eventv1.Sealed{}, EmailDigest: fmt.Appendf(nil, "digest %d of %d", n, world)})
	}
	return commands
}

// command is the operation as the engine takes it.
func (o linearOp) command() domain.Command {
	key := linearKeyID(o.world, o.which)
	switch o.kind {
	case "rename":
		return domain.UpdateProject{ID: linearProject(o.world, o.which), ProjectName: new(linearName(o.to))}
	case "transfer":
		return domain.TransferProject{ID: linearProject(o.world, o.which), Target: linearOrg(o.world, o.to)}
	case "grant":
		return domain.GrantRole{Org: linearOrg(o.world, 0), User: linearUser(o.world, o.which), Role: o.role}
	case "revoke":
		return domain.RevokeRole{Org: linearOrg(o.world, 0), User: linearUser(o.world, o.which)}
	case "create key":
		return domain.CreateKey{Org: linearOrg(o.world, 0), Minted: domain.Minted{
			ID: key, Public: "pk-" + string(key), Verifier: &eventv1.Verifier{Scheme: "hmac", PepperId: "p", Hash: []byte(key)},
		}}
	}
	return domain.RevokeKey{ID: key}
}

// linearSeen is the world in a state.
func linearSeen(s *domain.State, world int) (w linearWorld) {
	o, _ := s.Org(linearOrg(world, 0))
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
		m, _ := o.Members.Get(linearUser(world, n))
		w.role[n] = m.Role
	}
	for n := range w.keys {
		if k, ok := s.Key(linearKeyID(world, n)); ok {
			w.keys[n] = linearKeyLive
			if !k.RevokedAt.IsZero() {
				w.keys[n] = linearKeyRevoked
			}
		}
	}
	return w
}

// linearNothingHappened are the refusals that promise it.
var linearNothingHappened = map[domain.Reason]bool{
	engine.NotCaughtUp: true, engine.NoContact: true, engine.Stopped: true, engine.Contention: true, engine.ClockSkew: true,
}
