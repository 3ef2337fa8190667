package projectionstest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Random is a log of so many commits in which much happens to few: four organizations, projects and people each, with grants that end,
// groups, roles of their own, transfers, keys of every kind that are bound to environments and networks. A commit holds up to three
// commands. The hashes are made up.
func Random(t testing.TB, commits int) (list []eventstore.Folded) {
	t.Helper()
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	s, now := &domain.State{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keys := 0
	for len(list) < commits {
		now = now.Add(time.Duration(r.IntN(3600)) * time.Second)
		commit := &eventv1.Commit{Time: timestamppb.New(now)}
		speculative := s
		for range 1 + r.IntN(3) {
			c := anything(r, speculative, now, &keys)
			rule := domain.Rule{Requirement: domain.Visible}
			if speculative.Position == 0 {
				rule.Requirement = domain.Anyone
			}
			events, err := domain.Decide(speculative, c, rule, domain.Actor{Kind: domain.ActorInstance}, now)
			if err != nil || len(events) == 0 {
				continue
			}
			entry := &eventv1.Entry{CommandId: fmt.Sprint(len(list)), Command: c.Name(), Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_INSTANCE}, Events: events}
			commit.Entries = append(commit.Entries, entry)
			if speculative, err = domain.Evolve(speculative, &eventv1.Commit{Time: commit.Time, Entries: []*eventv1.Entry{entry}}, s.Position+1, domain.Hash{}); err != nil {
				t.Fatal(err)
			}
		}
		if len(commit.Entries) == 0 {
			continue
		}
		m := eventstore.Folded{Before: s}
		m.Position, m.Commit = s.Position+1, commit
		binary.BigEndian.PutUint64(m.Hash[:], uint64(m.Position))
		var err error
		if s, err = domain.Evolve(s, commit, m.Position, m.Hash); err != nil {
			t.Fatal(err)
		}
		m.After = s
		list = append(list, m)
	}
	return list
}

// anything is some command; many are refused.
func anything(r *rand.Rand, s *domain.State, now time.Time, keys *int) domain.Command {
	some := func(prefix string) string { return fmt.Sprintf("%s%d", prefix, r.IntN(4)) }
	org, project, user, group := domain.OrgID(some("org")), domain.ProjectID(some("prj")), domain.UserID(some("usr")), domain.GroupID(some("grp"))
	role := []domain.Role{domain.Owner, domain.Admin, domain.RoleMember, domain.Viewer, domain.None, "Special"}[r.IntN(6)]
	maybe := func() bool { return r.IntN(2) == 0 }
	ends := func() time.Time {
		if maybe() {
			return time.Time{}
		}
		return now.Add(time.Duration(1+r.IntN(72)) * time.Hour)
	}
	at := domain.ProjectID("")
	if maybe() {
		at = project
	}
	permissions := []string{"project:read", "scores:CUD", "datasets:CUD", "prompts:read"}[:1+r.IntN(4)]
	switch n := r.IntN(100); {
	case s.Position == 0:
		return domain.CreateInstance{LogID: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Pepper: "pepper", SealingKey: "sealing", IdempotencyCapacity: 100}
	case n < 4:
		return domain.CreateOrg{ID: org, Chosen: true, OrgName: "Org " + string(org)}
	case n < 9:
		return domain.CreateProject{ID: project, Chosen: true, Org: org, ProjectName: "Project " + string(project), Environments: []string{"staging"}}
	case n < 12:
		return domain.RegisterUser{ID: user, Chosen: true, Email: &eventv1.Sealed{Subject: string(user), Data: []byte(user)}, EmailDigest: []byte(user)}
	case n < 30:
		c := domain.GrantRole{Org: org, User: user, Role: role, ExpiresAt: ends()}
		if at != "" {
			c.Org, c.Project = "", at
		}
		return c
	case n < 34:
		c := domain.RevokeRole{Org: org, User: user}
		if at != "" {
			c.Org, c.Project = "", at
		}
		return c
	case n < 37:
		return domain.SuspendMember{Org: org, User: user}
	case n < 41:
		return domain.ResumeMember{Org: org, User: user}
	case n < 45:
		return domain.CreateGroup{ID: group, Chosen: true, Org: org, GroupName: "Group " + string(group), Role: role, Users: []domain.UserID{user},
			ProjectRoles: []domain.ProjectRole{{Project: project, Role: role}}}
	case n < 50:
		return domain.UpdateGroup{ID: group, Role: role, Add: []domain.UserID{user}}
	case n < 53:
		return domain.UpdateGroup{ID: group, ProjectRoles: []domain.ProjectRole{{Project: project, Role: role}}}
	case n < 55:
		return domain.UpdateGroup{ID: group, Remove: []domain.UserID{user}, DropProjects: []domain.ProjectID{project}}
	case n < 56:
		return domain.DeleteGroup{ID: group}
	case n < 59:
		return domain.DefineRole{Org: org, Role: "Special", OrgPermissions: []string{"auditLogs:read"}, ProjectPermissions: permissions}
	case n < 62:
		return domain.UpdateRole{Org: org, Role: "Special", ProjectPermissions: &permissions}
	case n < 63:
		return domain.DeleteRole{Org: org, Role: "Special"}
	case n < 65:
		return domain.SuspendOrg{ID: org}
	case n < 69:
		return domain.ResumeOrg{ID: org}
	case n < 71:
		return domain.DeleteProject{ID: project}
	case n < 74:
		return domain.RestoreProject{ID: project}
	case n < 79:
		return domain.TransferProject{ID: project, Target: org, KeepOverrides: maybe()}
	case n < 80:
		return domain.DeactivateUser{ID: user}
	case n < 83:
		return domain.ReactivateUser{ID: user}
	case n < 84:
		return domain.GrantInstanceAdmin{User: user}
	case n < 86:
		return domain.RevokeInstanceAdmin{User: user}
	case n < 94:
		*keys++
		id := fmt.Sprintf("key%d", *keys)
		c := domain.CreateKey{Minted: domain.Minted{ID: domain.KeyID(id), Public: "pk-" + id, Verifier: &eventv1.Verifier{Scheme: "hmac", Hash: []byte(id)}}, ExpiresAt: ends()}
		switch r.IntN(4) {
		case 0:
			c.Org = org
		case 1:
			c.User = user
		default:
			c.Project = project
			if maybe() {
				c.Environments = []string{"staging"}
			}
		}
		if r.IntN(3) == 0 {
			c.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}
		if maybe() {
			c.Permissions = permissions
		}
		return c
	case n < 96:
		return domain.UpdateKey{ID: domain.KeyID(fmt.Sprintf("key%d", 1+r.IntN(*keys+1))), Permissions: &permissions}
	default:
		return domain.RevokeKey{ID: domain.KeyID(fmt.Sprintf("key%d", 1+r.IntN(*keys+1)))}
	}
}
