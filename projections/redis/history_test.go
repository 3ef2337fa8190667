package redis

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections/invalidation"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// random makes a log of so many commits, each of a few random commands that the state before allows, and now and then of many.
func random(t testing.TB, commits int) []eventstore.Folded {
	t.Helper()
	return randomOf(fmt.Sprintf("log%d", rand.Uint64()), commits)
}

// randomOf is random with an id, as of a log that was restored.
func randomOf(id string, commits int) []eventstore.Folded {
	h := &randomHistory{s: &domain.State{}, now: time.Now().UTC()}
	h.commit(domain.CreateInstance{LogID: id, Pepper: "p", SealingKey: "s", IdempotencyCapacity: 100})
	for len(h.list) < commits {
		many := 1 + rand.IntN(4)
		if rand.IntN(30) == 0 {
			many = 300
		}
		var list []domain.Command
		for range many {
			list = append(list, h.command())
		}
		h.commit(list...)
	}
	return h.list
}

type randomHistory struct {
	s    *domain.State
	now  time.Time
	n    int
	list []eventstore.Folded
}

func (h *randomHistory) commit(commands ...domain.Command) {
	h.now = h.now.Add(time.Second)
	c := &eventv1.Commit{Time: timestamppb.New(h.now)}
	before, after := h.s, h.s
	at := before.Position + 1
	for _, command := range commands {
		events, err := domain.Decide(after, command, domain.Rule{Requirement: domain.InstanceAdmin}, domain.Actor{Kind: domain.ActorInstance, Method: "admin_key"}, h.now)
		if err != nil || len(events) == 0 {
			continue // the state does not allow it
		}
		entry := &eventv1.Entry{CommandId: fmt.Sprint(h.n), Command: command.Name(), Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_INSTANCE}, Events: events, Request: &eventv1.RequestInfo{}}
		stored := &eventv1.Entry{}
		data, err := proto.Marshal(entry)
		if err == nil {
			err = proto.Unmarshal(data, stored)
		}
		if err == nil {
			after, err = domain.EvolveEntry(after, stored, len(c.Entries), at, h.now)
		}
		if err != nil {
			panic(err)
		}
		c.Entries = append(c.Entries, stored)
	}
	if len(c.Entries) == 0 {
		return
	}
	m := eventstore.Folded{Before: before}
	m.Position, m.Commit = at, c
	binary.BigEndian.PutUint64(m.Hash[:], rand.Uint64())
	after = after.Advanced(at, m.Hash)
	after.Time = h.now
	m.After, h.s = after, after
	h.list = append(h.list, m)
}

// command is any of those that change what caches keep. The more there is, the more often it is changed.
func (h *randomHistory) command() domain.Command {
	h.n++
	org, project := domain.OrgID(fmt.Sprint("org", rand.IntN(8))), domain.ProjectID(fmt.Sprint("prj", rand.IntN(12)))
	user := domain.UserID(fmt.Sprint("usr", rand.IntN(15)))
	key := domain.KeyID(fmt.Sprint("key", rand.IntN(1+h.n)))
	name := fmt.Sprint("name", h.n)
	roles := []domain.Role{domain.Admin, domain.RoleMember, domain.Viewer}
	_, isOrg := h.s.Org(org)
	p, isProject := h.s.Project(project)
	n := rand.IntN(17)
	if n == 9 && !(isOrg && isProject && p.Status != domain.Deleted) {
		n = 0 // the API asks for what a transfer is about before it is decided
	}
	switch n {
	case 0:
		return domain.CreateOrg{ID: org, OrgName: name}
	case 1:
		return domain.CreateProject{ID: project, Org: org, ProjectName: name}
	case 2:
		return domain.RegisterUser{ID: user, Email: &eventv1.Sealed{Subject: string(user)}, EmailDigest: []byte(user)}
	case 3, 4:
		return domain.GrantRole{Org: org, User: user, Role: roles[rand.IntN(3)]}
	case 5:
		return domain.GrantRole{Org: org, Project: project, User: user, Role: roles[rand.IntN(3)]}
	case 6:
		return domain.RevokeRole{Org: org, User: user}
	case 7:
		return domain.SuspendOrg{ID: org}
	case 8:
		return domain.ResumeOrg{ID: org}
	case 9:
		return domain.TransferProject{ID: project, Target: org, KeepOverrides: rand.IntN(2) == 0}
	case 10:
		return domain.DeleteProject{ID: project}
	case 11:
		return domain.RestoreProject{ID: project}
	case 12:
		return domain.RevokeKey{ID: key}
	case 13:
		if rand.IntN(20) > 0 {
			return domain.RevokeKey{ID: key}
		}
		own := domain.CatalogEntry{Level: domain.ProjectLevel, Name: fmt.Sprintf("reports:read%d", rand.IntN(4)), From: domain.Viewer}
		return domain.ExtendCatalog{Own: []domain.CatalogEntry{own}}
	case 14:
		return domain.CreateKey{Minted: h.minted(), Org: org, KeyName: name}
	case 15:
		return domain.CreateKey{Minted: h.minted(), User: user, KeyName: name}
	default:
		return domain.CreateKey{Minted: h.minted(), Project: project, KeyName: name}
	}
}

func (h *randomHistory) minted() domain.Minted {
	id := fmt.Sprint("key", h.n)
	return domain.Minted{
		ID: domain.KeyID(id), Public: "pk-" + id, Display: "sk-...", Verifier: &eventv1.Verifier{Scheme: "hmac", PepperId: "p", Hash: []byte(id)},
	}
}

// The histories have all kinds of changes in them.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	h := random(t, 200)
	kinds := map[string]int{}
	n := 0
	for _, m := range h {
		for _, c := range invalidation.Changes(m.Before, m.After) {
			n++
			kind := c.Scope.String()
			if c.Revoked() {
				kind += " revoked"
			}
			kinds[kind]++
		}
	}
	for _, kind := range []string{"SCOPE_INSTANCE", "SCOPE_ORG", "SCOPE_PROJECT", "SCOPE_USER", "SCOPE_KEY", "SCOPE_KEY revoked"} {
		if kinds[kind] == 0 {
			t.Errorf("none of %s in %v", kind, kinds)
		}
	}
	t.Logf("%d changes: %v", n, kinds)
}
