package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// Result is what a file became: ids by name. Projects and keys are named "organization/project" and
// "organization/project/key", keys of organizations "organization/key".
type Result struct {
	Users, Orgs, Projects map[string]string
	Keys                  map[string]*tenurev1.CreateKeyResponse

	mu sync.Mutex
}

func (r *Result) note(to map[string]string, name, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to[name] = id
}

// TakeIn makes everything in the file through the API, several organizations at once. It is for an empty installation; an
// error leaves what was made.
func TakeIn(ctx context.Context, client *http.Client, url string, f *File, options ...connect.ClientOption) (*Result, error) {
	r := &Result{
		Users: map[string]string{}, Orgs: map[string]string{}, Projects: map[string]string{},
		Keys: map[string]*tenurev1.CreateKeyResponse{},
	}
	users := tenurev1connect.NewUserServiceClient(client, url, options...)
	people, peopleCtx := errgroup.WithContext(ctx)
	people.SetLimit(atOnce)
	for _, u := range f.Users {
		people.Go(func() error {
			res, err := users.RegisterUser(peopleCtx, &tenurev1.RegisterUserRequest{Email: u.Email, Name: u.Name})
			if err != nil {
				return fmt.Errorf("user %s: %w", u.Email, err)
			}
			r.note(r.Users, u.Email, res.User.Id)
			return nil
		})
	}
	if err := people.Wait(); err != nil {
		return nil, err
	}
	t := &taker{
		result:   r,
		orgs:     tenurev1connect.NewOrgServiceClient(client, url, options...),
		projects: tenurev1connect.NewProjectServiceClient(client, url, options...),
		members:  tenurev1connect.NewMemberServiceClient(client, url, options...),
		keys:     tenurev1connect.NewKeyServiceClient(client, url, options...),
	}
	orgs, orgsCtx := errgroup.WithContext(ctx)
	orgs.SetLimit(atOnce)
	for _, o := range f.Organizations {
		orgs.Go(func() error {
			if err := t.org(orgsCtx, o); err != nil {
				return fmt.Errorf("organization %s: %w", o.Name, err)
			}
			return nil
		})
	}
	return r, orgs.Wait()
}

// atOnce is how many calls are under way at a time.
const atOnce = 8

type taker struct {
	result   *Result
	orgs     tenurev1connect.OrgServiceClient
	projects tenurev1connect.ProjectServiceClient
	members  tenurev1connect.MemberServiceClient
	keys     tenurev1connect.KeyServiceClient
}

func (t *taker) org(ctx context.Context, o Org) error {
	res, err := t.orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: o.Name, Metadata: o.Metadata})
	if err != nil {
		return err
	}
	id := res.Org.Id
	t.result.note(t.result.Orgs, o.Name, id)
	for _, m := range o.Members {
		req := &tenurev1.GrantRoleRequest{OrgId: id, UserId: t.result.Users[m.Email], Role: m.Role}
		if _, err := t.members.GrantRole(ctx, req); err != nil {
			return fmt.Errorf("member %s: %w", m.Email, err)
		}
	}
	for _, p := range o.Projects {
		if err := t.project(ctx, o.Name, id, p); err != nil {
			return fmt.Errorf("project %s: %w", p.Name, err)
		}
	}
	for _, k := range o.Keys {
		if err := t.key(ctx, o.Name+"/"+k.Name, k, &tenurev1.CreateKeyRequest{OrgId: id}); err != nil {
			return err
		}
	}
	return nil
}

func (t *taker) project(ctx context.Context, orgName, org string, p Project) error {
	res, err := t.projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{
		OrgId: org, Name: p.Name, Metadata: p.Metadata, RetentionDays: p.RetentionDays, Environments: p.Environments,
	})
	if err != nil {
		return err
	}
	id, name := res.Project.Id, orgName+"/"+p.Name
	t.result.note(t.result.Projects, name, id)
	for _, m := range p.Overrides {
		req := &tenurev1.GrantRoleRequest{ProjectId: id, UserId: t.result.Users[m.Email], Role: m.Role}
		if _, err := t.members.GrantRole(ctx, req); err != nil {
			return fmt.Errorf("override of %s: %w", m.Email, err)
		}
	}
	for _, k := range p.Keys {
		if err := t.key(ctx, name+"/"+k.Name, k, &tenurev1.CreateKeyRequest{ProjectId: id}); err != nil {
			return err
		}
	}
	return nil
}

func (t *taker) key(ctx context.Context, name string, k Key, req *tenurev1.CreateKeyRequest) error {
	req.Name, req.Note, req.Preset, req.Environments = k.Name, k.Note, k.Preset, k.Environments
	res, err := t.keys.CreateKey(ctx, req)
	if err != nil {
		return fmt.Errorf("key %s: %w", k.Name, err)
	}
	t.result.mu.Lock()
	defer t.result.mu.Unlock()
	t.result.Keys[name] = res
	return nil
}
