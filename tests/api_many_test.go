package tests

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiMany is how many entries the lists of a tenant must be complete with: more than two pages.
var apiMany = soak(2_100, 10_000)

// bulk gives n commands to the engine, many at a time, so that they share commits.
func (s *apiServer) bulk(t testing.TB, n int, command func(i int) domain.Command) {
	t.Helper()
	next := make(chan int)
	var callers sync.WaitGroup
	for range 500 {
		callers.Go(func() {
			for i := range next {
				_, err := s.Engine.Execute(context.WithoutCancel(t.Context()), engine.Request{
					Command: command(i), Rule: domain.Rule{Requirement: domain.InstanceAdmin}, Actor: domain.Actor{Kind: domain.ActorInstance},
				})
				if err != nil {
					t.Errorf("%s %d: %v", command(i).Name(), i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	callers.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// holds fails the test unless the list has exactly these entries in this order, in pages of whatever size.
func (l apiList) holds(t testing.TB, want []string) {
	t.Helper()
	for _, size := range []int32{1000, 997} {
		got := l.read(t, size, func() {})
		if slices.Equal(got, want) {
			continue
		}
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%T in pages of %d: %d entries, want %d; the first that differs is number %d: %.2v, want %.2v", l.request, size, len(got), len(want), i, got[i:], want[i:])
	}
}

// Every list of a tenant is complete and exact at some thousand entries. Fails if ListMembers stops behind 2,000: tried.
func TestAPIManyEntries(t *testing.T) {
	t.Parallel()
	conn := apiBroker(t)
	s := apiStart(t, func(cfg *app.Config) { cfg.NATSURL = conn.ConnectedUrl() })
	p := s.person(t)
	admin, owner := s.admin(), s.bearer(p.key.secret)
	org, quiet := s.org(t, p.id), s.org(t, p.id)
	project := s.project(t, org)
	id := func(prefix string) func(int) string {
		return func(i int) string { return fmt.Sprintf("%s%05d", prefix, i) }
	}
	upTo := func(n int, of func(int) string, more ...string) []string {
		for i := range n {
			more = append(more, of(i))
		}
		slices.Sort(more)
		return more
	}
	all := func(of func(int) string, more ...string) []string { return upTo(apiMany, of, more...) }
	list := func(request apiList, want []string) { t.Helper(); request.holds(t, want) }

	user, group := id("account-"), id("group-")
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.CreateServiceAccount{ID: domain.UserID(user(i)), Chosen: true, Org: domain.OrgID(org), Role: "VIEWER"}
	})
	list(apiList{owner, &tenurev1.ListMembersRequest{OrgId: org}, "user_id"}, all(user, p.id))
	list(apiList{owner, &tenurev1.ListMembersRequest{ProjectId: project}, "user_id"}, all(user, p.id))
	list(apiList{admin, &tenurev1.ListUsersRequest{}, "id"}, all(user, p.id))
	list(apiList{owner, &tenurev1.ListSubjectsRequest{ProjectId: project, Permission: "project:read"}, "user_id"}, all(user, p.id))
	s.bulk(t, apiMany, func(i int) domain.Command {
		c := domain.CreateGroup{ID: domain.GroupID(group(i)), Chosen: true, Org: domain.OrgID(org), GroupName: "named " + group(i)}
		if i == 0 {
			for _, member := range all(user) {
				c.Users = append(c.Users, domain.UserID(member))
			}
		}
		return c
	})
	list(apiList{owner, &tenurev1.ListGroupsRequest{OrgId: org}, "id"}, all(group))
	list(apiList{owner, &tenurev1.ListGroupMembersRequest{GroupId: group(0)}, "user_id"}, all(user))

	invitation, key := id("inv_"), id("key_")
	s.bulk(t, apiMany, func(i int) domain.Command {
		of := []byte(invitation(i))
		return domain.Invite{ID: domain.InvitationID(invitation(i)), Org: domain.OrgID(quiet), Role: "VIEWER", EmailDigest: of, TokenHash: of}
	})
	list(apiList{owner, &tenurev1.ListInvitationsRequest{OrgId: quiet}, "id"}, all(invitation))
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.CreateKey{Org: domain.OrgID(quiet), Minted: domain.Minted{
			ID: domain.KeyID(key(i)), Public: "pk-" + key(i), Verifier: &eventv1.Verifier{Scheme: "hmac", Hash: []byte(key(i))},
		}}
	})
	list(apiList{owner, &tenurev1.ListKeysRequest{OrgId: quiet}, "id"}, all(key))
	subjects := append([]string{p.id}, all(key)...)
	list(apiList{owner, &tenurev1.ListSubjectsRequest{OrgId: quiet, Permission: "organization:delete"}, "user_id key_id"}, subjects)

	moved, offer := id("project-"), id("xfr_")
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.CreateProject{ID: domain.ProjectID(moved(i)), Chosen: true, Org: domain.OrgID(quiet), ProjectName: "named " + moved(i)}
	})
	list(apiList{owner, &tenurev1.ListProjectsRequest{OrgId: quiet}, "id"}, all(moved))
	reached := []string{org, org + project, quiet}
	for _, name := range all(moved) {
		reached = append(reached, quiet+name)
	}
	list(apiList{owner, &tenurev1.ListAccessibleRequest{}, "org_id project_id"}, reached)
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.OfferTransfer{ID: domain.OfferID(offer(i)), Project: domain.ProjectID(moved(i)), Target: domain.OrgID(org)}
	})
	list(apiList{owner, &tenurev1.ListTransferOffersRequest{OrgId: org}, "id"}, all(offer))

	place, plan, plane := id("place-"), id("plan-"), id("plane-")
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.CreateOrg{ID: domain.OrgID(place(i)), Chosen: true, OrgName: "named " + place(i), Owner: domain.UserID(p.id)}
	})
	list(apiList{owner, &tenurev1.ListOrgsRequest{}, "id"}, all(place, org, quiet))
	list(apiList{admin, &tenurev1.ListOrgsRequest{}, "id"}, all(place, org, quiet))
	s.bulk(t, apiMany, func(i int) domain.Command { return domain.DefinePlan{ID: domain.PlanID(plan(i))} })
	list(apiList{admin, &tenurev1.ListPlansRequest{}, "id"}, all(plan))
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.RegisterDataPlane{ID: domain.DataPlaneID(plane(i)), KeyScheme: "hmac"}
	})
	list(apiList{admin, &tenurev1.ListDataPlanesRequest{}, "id"}, all(plane))
	role := id("role-")
	s.bulk(t, apiMany, func(i int) domain.Command {
		return domain.DefineRole{Org: domain.OrgID(org), Role: domain.Role(role(i))}
	})
	list(apiList{owner, &tenurev1.ListRolesRequest{OrgId: org}, "name"}, append([]string{"OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"}, all(role)...))

	person := id("person-")
	s.bulk(t, apiMany, func(i int) domain.Command {
		name := person(i)
		return domain.RegisterUser{ID: domain.UserID(name), Chosen: true, EmailDigest: []byte(name), Email: &eventv1.Sealed{Subject: name, Data: []byte(name)}}
	})
	s.bulk(t, apiMany, func(i int) domain.Command { return domain.GrantInstanceAdmin{User: domain.UserID(person(i))} })
	list(apiList{admin, &tenurev1.ListInstanceAdminsRequest{}, ""}, all(person))
}
