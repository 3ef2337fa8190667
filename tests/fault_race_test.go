package tests

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// faultAtOnce gives a command to every server at the same moment.
func faultAtOnce[R any](t *testing.T, f *faultServers, give func(ctx context.Context, server int) (R, error)) ([]R, []error) {
	t.Helper()
	results, errs := make([]R, len(f.apis)), make([]error, len(f.apis))
	start := make(chan struct{})
	var giving sync.WaitGroup
	for i := range f.apis {
		giving.Go(func() {
			<-start
			results[i], errs[i] = give(processContext(t), i)
		})
	}
	close(start)
	giving.Wait()
	return results, errs
}

// Commands that contradict each other come to three servers at the same moment. What the rules allow once happens once.
//
// Without the guard in Append, and with acknowledgements of any position taken for good ones, each of the three fails: tried.
func TestFaultRaces(t *testing.T) {
	t.Parallel()
	_, f := startFaultCluster(t)
	t.Run("one idempotency key", func(t *testing.T) { faultRaceDuplicates(t, f) })
	t.Run("one name", func(t *testing.T) { faultRaceNames(t, f) })
	t.Run("two owners", func(t *testing.T) { faultRaceOwners(t, f) })
	f.settled(t)
}

// The same command with the same key, sent to all servers at once, is done once and answered the same by all.
func faultRaceDuplicates(t *testing.T, f *faultServers) {
	for round := range 30 {
		name := fmt.Sprintf("asked for thrice %d", round)
		made, errs := faultAtOnce(t, f, func(ctx context.Context, server int) (*tenurev1.CreateOrgResponse, error) {
			ctx = processHeaders(ctx, "Idempotency-Key", name)
			return f.apis[server].orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: name})
		})
		for i := range made {
			if errs[i] != nil || made[i].Org.Id != made[0].GetOrg().GetId() || made[i].Token != made[0].GetToken() {
				t.Fatalf("round %d: server %d answered %v, %v; server 0 %v", round, i, made[i], errs[i], made[0])
			}
		}
	}
	list, err := f.apis[1].orgs.ListOrgs(processHeaders(processContext(t), "Tenure-Consistency", "linearizable"), &tenurev1.ListOrgsRequest{})
	if err != nil || len(list.Orgs) != 30 {
		t.Errorf("%d organizations, expected 30; %v", len(list.GetOrgs()), err)
	}
}

// Of projects with one name in one organization exactly one comes to be.
func faultRaceNames(t *testing.T, f *faultServers) {
	org, err := f.apis[0].orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "contested"})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 30 {
		name := fmt.Sprintf("contested %d", round)
		_, errs := faultAtOnce(t, f, func(ctx context.Context, server int) (*tenurev1.CreateProjectResponse, error) {
			return f.apis[server].projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{OrgId: org.Org.Id, Name: name})
		})
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case connect.CodeOf(err) != connect.CodeAlreadyExists || processReason(err) != "NAME_TAKEN":
				t.Errorf("round %d: %v, expected NAME_TAKEN", round, err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d projects were made, %v", round, won, errs)
		}
	}
	list, err := f.apis[2].projects.ListProjects(processHeaders(processContext(t), "Tenure-Consistency", "linearizable"), &tenurev1.ListProjectsRequest{OrgId: org.Org.Id})
	if err != nil || len(list.Projects) != 30 {
		t.Errorf("%d projects, expected 30; %v", len(list.GetProjects()), err)
	}
}

// The last two owners demote each other, or themselves, through different servers: one of them stays.
func faultRaceOwners(t *testing.T, f *faultServers) {
	admin := f.apis[0]
	people := make([]string, 2)
	own := make([]*processAPI, 2)
	var token string
	for i, name := range []string{"ada", "bea"} {
		user, err := admin.users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: name + "@example.com", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		key, err := admin.keys.CreateKey(processContext(t), &tenurev1.CreateKeyRequest{UserId: user.User.Id})
		if err != nil {
			t.Fatal(err)
		}
		people[i], own[i], token = user.User.Id, processClient(t, f.apps[i].URL, key.Secret), key.Token
	}
	// Each server knows both keys before they are used there.
	for _, api := range f.apis {
		if _, err := api.instance.GetInstance(processHeaders(processContext(t), "Tenure-Token", token), &tenurev1.GetInstanceRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 30 {
		org, err := admin.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: fmt.Sprintf("owned %d", round), OwnerUserId: people[0]})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.members.GrantRole(processContext(t), &tenurev1.GrantRoleRequest{OrgId: org.Org.Id, UserId: people[1], Role: "OWNER"}); err != nil {
			t.Fatal(err)
		}
		itself := round % 2
		_, errs := faultAtOnce(t, &faultServers{apis: own}, func(ctx context.Context, i int) (*tenurev1.GrantRoleResponse, error) {
			return own[i].members.GrantRole(ctx, &tenurev1.GrantRoleRequest{OrgId: org.Org.Id, UserId: people[(i+1+itself)%2], Role: "VIEWER"})
		})
		for _, err := range errs {
			// The one who came second is no owner any more, or would leave none.
			if err != nil && !slices.Contains([]string{"PERMISSION_DENIED", "GRANT_CEILING", "LAST_OWNER"}, processReason(err)) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		list, err := f.apis[2].members.ListMembers(processHeaders(processContext(t), "Tenure-Consistency", "linearizable"), &tenurev1.ListMembersRequest{OrgId: org.Org.Id})
		if err != nil {
			t.Fatal(err)
		}
		owners := 0
		for _, m := range list.Members {
			if m.OrgRole == "OWNER" {
				owners++
			}
		}
		if owners != 1 {
			t.Fatalf("round %d: %d owners remain; the two were answered %v", round, owners, errs)
		}
	}
}
