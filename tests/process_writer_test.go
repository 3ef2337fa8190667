package tests

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// killWriter gives one command after the other and keeps what it was answered: its own organizations, which nobody else
// changes, and what is in them.
type killWriter struct {
	id       int
	count    int
	users    []string
	orgs     map[string]string // name by id
	projects map[string]string // organization by id
	names    map[string]string // of projects, by id
	roles    map[[2]string]string
	keys     []killKey
	commands []*killCommand
	// open was sent and not answered: it is sent again before any other.
	open *killCommand
	// unanswered is told why a command has no answer yet, if it is set.
	unanswered func(error)
}

type killKey struct{ id, public, secret, project string }

// killCommand is one command, repeated with the same key until it is answered.
type killCommand struct {
	name, key string
	give      func(context.Context, *processAPI) (id string, err error)
	answered  bool
	answer    string // the id of what was made or changed
}

func newKillWriter(id int, users []string) *killWriter {
	return &killWriter{
		id: id, users: users, orgs: map[string]string{}, projects: map[string]string{}, names: map[string]string{},
		roles: map[[2]string]string{},
	}
}

// step gives the next command, or again the one without an answer, and tells whether it was answered.
func (w *killWriter) step(ctx context.Context, t *testing.T, api *processAPI) bool {
	if w.open == nil {
		w.open = w.next()
		w.commands = append(w.commands, w.open)
	}
	c := w.open
	id, err := c.give(processHeaders(ctx, "Idempotency-Key", c.key, "X-Request-Id", c.key), api)
	if err != nil && !killAnswered(err) {
		if w.unanswered != nil {
			w.unanswered(err)
		}
		return false
	}
	if err != nil && (c.name != "CreateKey" || processReason(err) != "SECRET_ALREADY_SHOWN") {
		t.Errorf("writer %d: %s: %v", w.id, c.name, err)
	}
	c.answered, c.answer, w.open = true, id, nil
	return true
}

// killAnswered tells an answer from the server, which may be a no, from none at all or the advice to try again.
func killAnswered(err error) bool {
	code := connect.CodeOf(err)
	return connect.IsWireError(err) && code != connect.CodeUnavailable && code != connect.CodeAborted
}

// next is any command that what was answered so far allows.
func (w *killWriter) next() *killCommand {
	w.count++
	key := fmt.Sprintf("writer-%d-command-%d", w.id, w.count)
	c := &killCommand{key: key}
	name := fmt.Sprintf("name %d of writer %d", w.count, w.id)
	switch n := rand.IntN(10); {
	case len(w.orgs) < 2 || n == 0:
		w.createOrg(c, name)
	case len(w.projects) == 0 || n < 4:
		w.createProject(c, name)
	case n < 6:
		w.grantRole(c)
	case n < 8:
		w.createKey(c)
	default:
		w.transferProject(c)
	}
	return c
}

func (w *killWriter) createOrg(c *killCommand, name string) {
	c.name = "CreateOrg"
	c.give = func(ctx context.Context, api *processAPI) (string, error) {
		res, err := api.orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: name})
		if err == nil {
			w.orgs[res.Org.Id] = name
		}
		return res.GetOrg().GetId(), err
	}
}

func (w *killWriter) createProject(c *killCommand, name string) {
	c.name = "CreateProject"
	org := anyOf(w.orgs)
	c.give = func(ctx context.Context, api *processAPI) (string, error) {
		res, err := api.projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{OrgId: org, Name: name})
		if err == nil {
			w.projects[res.Project.Id], w.names[res.Project.Id] = org, name
		}
		return res.GetProject().GetId(), err
	}
}

func (w *killWriter) grantRole(c *killCommand) {
	c.name = "GrantRole"
	org, user := anyOf(w.orgs), w.users[rand.IntN(len(w.users))]
	// Never an owner, who might be the last one.
	role := []string{"ADMIN", "MEMBER", "VIEWER"}[rand.IntN(3)]
	c.give = func(ctx context.Context, api *processAPI) (string, error) {
		res, err := api.members.GrantRole(ctx, &tenurev1.GrantRoleRequest{OrgId: org, UserId: user, Role: role})
		if err == nil {
			w.roles[[2]string{org, user}] = role
		}
		return res.GetMember().GetUserId(), err
	}
}

func (w *killWriter) createKey(c *killCommand) {
	c.name = "CreateKey"
	project := anyOf(w.projects)
	c.give = func(ctx context.Context, api *processAPI) (string, error) {
		res, err := api.keys.CreateKey(ctx, &tenurev1.CreateKeyRequest{ProjectId: project})
		if err == nil {
			w.keys = append(w.keys, killKey{res.Key.Id, res.Key.PublicKey, res.Secret, project})
		}
		return res.GetKey().GetId(), err
	}
}

func (w *killWriter) transferProject(c *killCommand) {
	c.name = "TransferProject"
	project := anyOf(w.projects)
	target := anyOf(w.orgs)
	for target == w.projects[project] {
		target = anyOf(w.orgs)
	}
	c.give = func(ctx context.Context, api *processAPI) (string, error) {
		res, err := api.projects.TransferProject(ctx, &tenurev1.TransferProjectRequest{ProjectId: project, TargetOrgId: target})
		if err == nil {
			w.projects[project] = target
		}
		return res.GetProject().GetId(), err
	}
}

func anyOf(m map[string]string) string {
	keys := slices.Collect(maps.Keys(m))
	return keys[rand.IntN(len(keys))]
}

// killJudge compares what the writers were answered with what the log says.
func killJudge(t *testing.T, s *domain.State, found map[string][]killEntry, writers []*killWriter) (f faultFigures) {
	t.Helper()
	if s.Voids != 0 {
		t.Errorf("%d void positions", s.Voids)
	}
	for _, w := range writers {
		for _, c := range w.commands {
			f.issued++
			entries := found[c.key]
			if c.answered {
				f.acknowledged++
			}
			switch {
			case len(entries) == 0 && c.answered:
				f.lost++
				t.Errorf("%s %s was acknowledged and is lost", c.name, c.key)
			case len(entries) > 1:
				f.doubled++
				t.Errorf("%s %s is in the log %d times", c.name, c.key, len(entries))
			case len(entries) == 1:
				killSame(t, c, entries[0])
			}
		}
		w.holds(t, s)
	}
	return f
}

// killSame wants the log to say what was answered.
func killSame(t *testing.T, c *killCommand, e killEntry) {
	t.Helper()
	if e.entry.Command != c.name {
		t.Errorf("%s %s is a %s in the log", c.name, c.key, e.entry.Command)
	}
	if c.answer == "" || len(e.entry.Events) == 0 {
		return
	}
	event := e.entry.Events[0]
	id := map[string]string{
		"CreateProject": event.ProjectId, "TransferProject": event.ProjectId, "GrantRole": event.UserId, "CreateKey": event.KeyId,
	}[c.name]
	if c.name == "CreateOrg" {
		id = event.OrgIds[0]
	}
	if id != c.answer {
		t.Errorf("%s %s was answered %s, the log says %s", c.name, c.key, c.answer, id)
	}
}

// holds wants the state to be what the answers said: each thing there once, by id and by name.
func (w *killWriter) holds(t *testing.T, s *domain.State) {
	t.Helper()
	for id, name := range w.orgs {
		if o, ok := s.Org(domain.OrgID(id)); !ok || o.Name != name {
			t.Errorf("organization %s (%s) is missing", id, name)
		}
		n := 0
		for _, o := range s.Orgs().All() {
			if o.Name == name {
				n++
			}
		}
		if n != 1 {
			t.Errorf("organization %q is there %d times", name, n)
		}
	}
	for id, org := range w.projects {
		p, ok := s.Project(domain.ProjectID(id))
		if !ok || p.Name != w.names[id] || string(p.Org) != org {
			t.Errorf("project %s: %+v, expected %q in %s", id, p, w.names[id], org)
		}
	}
	names := map[string]int{}
	for _, p := range s.Projects().All() {
		names[p.Name]++
	}
	for _, name := range w.names {
		if names[name] != 1 {
			t.Errorf("project %q is there %d times", name, names[name])
		}
	}
	for at, role := range w.roles {
		o, ok := s.Org(domain.OrgID(at[0]))
		if !ok {
			continue // reported above
		}
		if g, _ := o.Members.Get(domain.UserID(at[1])); string(g.Role) != role {
			t.Errorf("%s has %q in %s, expected %s", at[1], g.Role, at[0], role)
		}
	}
}
