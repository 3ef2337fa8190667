package keycache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/invalidation"
)

// placeAnswer is what ResolveUser answers about a person and a place.
func placeAnswer(s *domain.State, u *domain.User, at domain.Place) answer {
	a := answer{position: uint64(s.Position), user: invalidation.UserEntry(s, u)}
	a.projects, a.orgs = invalidation.About(s, nil, a.user)
	a.orgs = append(a.orgs, invalidation.OrgEntry(at.Org))
	if at.Project != nil {
		a.projects = append(a.projects, invalidation.ProjectEntry(at.Project))
	}
	return a
}

// places are organizations and projects to ask about.
func places(s *domain.State) (list []domain.Place) {
	for _, o := range s.Orgs().All() {
		list = append(list, domain.Place{Org: o})
	}
	for _, p := range s.Projects().All() {
		if o, ok := s.Org(p.Org); ok {
			list = append(list, domain.Place{Org: o, Project: p})
		}
	}
	return list
}

// What is judged of people from entries is what Check answers, with the reason and the role, for people and places of every state of
// the logs at all times around which something ends; fresh, and kept current by the stream alone for as long as it says it is known. Fails
// with any one of: an ended grant that counts, an organization's state left out, an override that counts without a membership in force, a
// suspended membership that is none: tried each.
func TestChecksLikeTenure(t *testing.T) {
	t.Parallel()
	seen, stood := map[string]int{}, 0
	for _, states := range histories(t) {
		kept, nodes := newTable(0), map[string]*place{}
		for i, s := range states[1:] {
			if !kept.take(news(states[i], s)) {
				kept, nodes = newTable(uint64(s.Position)), map[string]*place{}
			}
			times, all := moments(s), places(s)
			people := 0
			for id, u := range s.Users().All() {
				if people++; people > 6 || len(all) == 0 {
					break
				}
				for range 6 {
					at, now := all[rand.IntN(len(all))], times[rand.IntN(len(times))]
					level, names, orgID, projectID := domain.OrgLevel, []string{"projects:create", "auditLogs:read", "organizationMembers:read"}, string(at.Org.ID), ""
					if at.Project != nil {
						level, names, orgID, projectID = domain.ProjectLevel, []string{"project:read", "auditLogs:read", "scores:CUD"}, "", string(at.Project.ID)
					}
					permission := names[rand.IntN(len(names))]
					d := s.Check(domain.Actor{Kind: domain.ActorUser, User: id}, s.Catalog().Parse(level, permission), at, now)
					want := Verdict{Allowed: d.Allowed, Reason: string(d.Reason), Role: string(d.Role)}
					name := fmt.Sprintf("position %d, %s of %s in %q%q at %s", s.Position, permission, id, orgID, projectID, now)
					if got, known := newTable(0).place(placeAnswer(s, u, at), orgID, projectID).judge(permission, now); !known || got != want {
						t.Fatalf("%s: %+v, known %t; Tenure: %+v", name, got, known, want)
					}
					seen[want.Reason]++
					key := fmt.Sprint(id, " ", orgID, " ", projectID)
					if nodes[key] != nil {
						if got, known := nodes[key].judge(permission, now); known {
							if stood++; got != want {
								t.Fatalf("kept, %s: %+v; Tenure: %+v", name, got, want)
							}
							continue
						}
					}
					nodes[key] = kept.place(placeAnswer(s, u, at), orgID, projectID)
				}
			}
		}
	}
	t.Logf("%v, %d of kept entries", seen, stood)
	for _, reason := range []domain.Reason{
		domain.ByOrgRole, domain.ByOrgGroup, domain.ByProjectOverride, domain.ByProjectGroup, domain.ByInstanceAdmin, domain.RoleLacks,
		domain.BlockedInProject, domain.NotAMember, domain.MemberSuspended, domain.GrantExpired, domain.UserDeactivated, domain.OrgSuspended,
		domain.ProjectDeleted,
	} {
		if seen[string(reason)] == 0 {
			t.Errorf("nobody was answered %s: the logs prove nothing about it", reason)
		}
	}
	if stood < 1000 {
		t.Errorf("only %d answers were of kept entries", stood)
	}
}
