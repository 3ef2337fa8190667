package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Result is what a file became: ids by name, of what was made and of what was there. Projects are named
// "organization/project", keys that were made "organization/project/key", those of organizations "organization/key", those of
// service accounts "organization/account/key".
type Result struct {
	Users, Orgs, Projects map[string]string
	Keys                  map[string]*tenurev1.CreateKeyResponse
	// Done and NotDone are the changes of the plan; what failed is among NotDone.
	Done, NotDone []Change
}

// ApplyOptions say what happens meanwhile.
type ApplyOptions struct {
	// OnKey is told of every new key at once, because its secret is shown this once, of one after the other. An error stops
	// everything.
	OnKey func(name string, made *tenurev1.CreateKeyResponse) error
}

// TakeIn brings an installation to a file, as far as the file goes beyond what is there. An error leaves what was done.
func TakeIn(ctx context.Context, client *http.Client, url string, f *File, options ...connect.ClientOption) (*Result, error) {
	s := Server{HTTP: client, URL: url, Options: options}
	have, err := Read(ctx, s, f)
	if err != nil {
		return nil, err
	}
	plan, err := PlanChanges(f, have, PlanOptions{Now: time.Now()})
	if err != nil {
		return nil, err
	}
	return Apply(ctx, s, plan, ApplyOptions{})
}

// Apply gives the changes of a plan, several organizations at once. After the first that is refused, or when ctx ends, no other
// is begun: the error says which it was, the Result, which is never nil, what was done and what was not. Another run with a
// new plan goes on from there.
func Apply(ctx context.Context, s Server, c *Changes, o ApplyOptions) (*Result, error) {
	a := &applier{
		clients: s.clients(newSender().intercept), ApplyOptions: o, ids: map[ref]string{},
		fresh: map[string]*tenurev1.CreateKeyResponse{}, done: make([]bool, len(c.List)),
	}
	for name, id := range c.ids {
		a.ids[name] = id
	}
	for begin := 0; begin < len(c.List); {
		end := begin
		lanes := map[string][]int{}
		for phase := c.List[begin].phase(); end < len(c.List) && c.List[end].phase() == phase; end++ {
			lane := c.List[end].lane()
			lanes[lane] = append(lanes[lane], end)
		}
		var group errgroup.Group
		group.SetLimit(atOnce)
		for _, lane := range sortedKeys(lanes) {
			group.Go(func() error {
				a.run(ctx, c.List, lanes[lane])
				return nil
			})
		}
		_ = group.Wait()
		begin = end
	}
	return a.result(c), a.err
}

// phase tells what can be done at once: one phase is over before the next begins.
func (c Change) phase() int {
	switch {
	case c.step < stepUsers:
		return 0
	case c.step == stepUsers:
		return 1
	case c.step <= stepSuspendOrg:
		return 2
	}
	return 3
}

// lane is what must be done one after the other within a phase.
func (c Change) lane() string {
	if c.step == stepUsers {
		return c.What
	}
	return c.Org
}

type applier struct {
	clients
	ApplyOptions

	mu    sync.Mutex
	ids   map[ref]string
	fresh map[string]*tenurev1.CreateKeyResponse
	done  []bool
	err   error
}

// run gives some changes until one fails, here or elsewhere.
func (a *applier) run(ctx context.Context, list []Change, lane []int) {
	for _, i := range lane {
		if a.stopped(ctx) {
			return
		}
		err := list[i].do(ctx, a)
		if list[i].Action == Remove && connect.CodeOf(err) == connect.CodeNotFound {
			// It went with something else, or somebody else was quicker.
			err = nil
		}
		a.mu.Lock()
		a.done[i] = err == nil
		if err != nil && a.err == nil {
			a.err = fmt.Errorf("%s: %w", list[i].Title(), err)
		}
		a.mu.Unlock()
	}
}

func (a *applier) stopped(ctx context.Context) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = ctx.Err()
	}
	return a.err != nil
}

// id is that of something that is there or was made before; empty, which the server refuses, if neither.
func (a *applier) id(name ref) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[name]
}

func (a *applier) note(name ref, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[name] = id
}

func (a *applier) made(name string, key *tenurev1.CreateKeyResponse) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fresh[name] = key
	if a.OnKey == nil {
		return nil
	}
	return a.OnKey(name, key)
}

func (a *applier) result(c *Changes) *Result {
	r := &Result{Users: map[string]string{}, Orgs: map[string]string{}, Projects: map[string]string{}, Keys: a.fresh}
	put := func(into map[string]string, name string, of ref) {
		if id := a.ids[of]; id != "" {
			into[name] = id
		}
	}
	for name, id := range a.ids {
		if name.kind == "user" {
			r.Users[name.name] = id
		}
	}
	for i, o := range c.want.Organizations {
		label := labelOf(c.want.Organizations, i)
		put(r.Orgs, label, ref{"organization", "", label})
		for _, p := range o.Projects {
			put(r.Projects, label+"/"+p.Name, ref{"project", label, fold(p.Name)})
		}
	}
	for i, e := range c.List {
		if a.done[i] {
			r.Done = append(r.Done, e)
		} else {
			r.NotDone = append(r.NotDone, e)
		}
	}
	return r
}
