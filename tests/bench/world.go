package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/keyring"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// world is a state of a given size, made the way the product makes one: each command is decided, and its entry is stored,
// read and folded.
type world struct {
	s    *domain.State
	ring *keyring.Ring
	now  time.Time

	// anonymous people have neither name nor address, whose keys a server would have to look for.
	anonymous bool
	// stored, if set, takes what is folded.
	stored func(*eventv1.Entry, time.Time)

	orgs     []domain.OrgID
	people   []domain.UserID
	projects []domain.ProjectID
	// keys are a sample, with their secrets.
	keys []worldKey
}

type worldKey struct {
	id             domain.KeyID
	public, secret string
}

var (
	instance = domain.Actor{Kind: domain.ActorInstance, Method: "admin_key"}
	anyRule  = domain.Rule{Requirement: domain.InstanceAdmin}
)

func newWorld() *world { return newWorldInto(nil) }

// newWorldInto is a world whose entries are stored as well.
func newWorldInto(stored func(*eventv1.Entry, time.Time)) *world {
	dir := must(os.MkdirTemp("", "bench"))
	defer os.RemoveAll(dir)
	peppers, _, err := keyring.LoadPeppers(filepath.Join(dir, "pepper"))
	check(err)
	w := &world{
		s: (&domain.State{}).Loading(), ring: must(keyring.New(keyring.Config{Brand: "tn", Peppers: peppers})),
		now: time.Now().UTC().Round(0), stored: stored,
	}
	w.do(domain.CreateInstance{LogID: ulid.Make().String(), Pepper: peppers[0].ID(), SealingKey: "s", IdempotencyCapacity: 1_000_000})
	return w
}

// built is a world of a size.
func built(s sizes) *world {
	w := newWorld()
	w.places(s)
	w.memberships(s)
	w.makeKeys(s)
	w.s = w.s.Loaded()
	return w
}

var sharedWorld *world

// shared is a world of full size for groups that do not change it, built once; forget ends it.
func shared(s sizes) *world {
	if sharedWorld == nil {
		share(built(s))
	}
	return sharedWorld
}

// share makes a world of full size the shared one.
func share(w *world) {
	sharedWorld = w
	app.UseHugePages(true) // as a server does when it has loaded its state
}

func forget() { sharedWorld = nil }

func (w *world) do(c domain.Command) {
	entry := w.decide(c)
	w.s = w.evolve(w.s, entry)
	if w.stored != nil {
		w.stored(entry, w.now)
	}
}

func (w *world) decide(c domain.Command) *eventv1.Entry {
	return entryOf(c, must(domain.Decide(w.s, c, anyRule, instance, w.now)))
}

func entryOf(c domain.Command, events []*eventv1.Event) *eventv1.Entry {
	return &eventv1.Entry{
		CommandId: ulid.Make().String(), Command: c.Name(), Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_INSTANCE, Method: "admin_key", Role: "INSTANCE_ADMIN"},
		Events: events, Request: &eventv1.RequestInfo{RequestId: ulid.Make().String()},
	}
}

func protoSize(m proto.Message) int { return proto.Size(m) }

// evolve folds an entry as it is read from a log, so that the state shares no memory with what decided it.
func (w *world) evolve(s *domain.State, entry *eventv1.Entry) *domain.State {
	stored := &eventv1.Entry{}
	check(proto.Unmarshal(must(proto.Marshal(entry)), stored))
	next := must(domain.EvolveEntry(s, stored, 0, s.Position+1, w.now))
	return next.Advanced(s.Position+1, s.Hash)
}

// places are organizations, people without memberships, and projects.
func (w *world) places(s sizes) {
	for i := range s.orgs {
		id := domain.OrgID("org_" + ulid.Make().String())
		w.do(domain.CreateOrg{ID: id, OrgName: fmt.Sprintf("client-%d", i)})
		w.orgs = append(w.orgs, id)
	}
	for range s.orgs * s.membersPerOrg / s.orgsPerPerson {
		id := "usr_" + ulid.Make().String()
		digest := sha256.Sum256([]byte(id))
		c := domain.RegisterUser{ID: domain.UserID(id), Email: &eventv1.Sealed{}, EmailDigest: digest[:]}
		if !w.anonymous {
			c.Email, c.FullName = sealed(id), sealed(id)
		}
		w.do(c)
		w.people = append(w.people, domain.UserID(id))
	}
	for i := range s.orgs * s.projectsPerOrg {
		id := domain.ProjectID("prj_" + ulid.Make().String())
		w.do(domain.CreateProject{ID: id, Org: w.orgs[i%s.orgs], ProjectName: fmt.Sprintf("project-%d", i/s.orgs)})
		w.projects = append(w.projects, id)
	}
}

func sealed(subject string) *eventv1.Sealed {
	data := make([]byte, 52)
	rand.Read(data)
	return &eventv1.Sealed{Subject: subject, Data: data}
}

var roles = []domain.Role{domain.Admin, domain.RoleMember, domain.RoleMember, domain.RoleMember, domain.Viewer}

// memberships are people in organizations, person i in those that follow organization i; every hundredth has an override.
func (w *world) memberships(s sizes) {
	for i, person := range w.people {
		for j := range s.orgsPerPerson {
			n := (i + j*s.orgs/s.orgsPerPerson) % s.orgs
			w.do(domain.GrantRole{Org: w.orgs[n], User: person, Role: roles[(i+j)%len(roles)]})
			if (i+j)%100 == 0 {
				w.do(domain.GrantRole{Org: w.orgs[n], Project: w.projects[n], User: person, Role: domain.Admin})
			}
		}
	}
	w.groups(s)
}

// groups are one in every third organization, of some who are members anyway, with a role in one of its projects.
func (w *world) groups(s sizes) {
	for n := 0; n < s.orgs; n += 3 {
		var users []domain.UserID
		for i := n; i < len(w.people) && len(users) < 5; i += s.orgs {
			users = append(users, w.people[i])
		}
		w.do(domain.CreateGroup{
			ID: domain.GroupID("grp_" + ulid.Make().String()), Org: w.orgs[n], GroupName: "operators", Role: domain.Viewer,
			ProjectRoles: []domain.ProjectRole{{Project: w.projects[n], Role: domain.RoleMember}}, Users: users,
		})
	}
}

func (w *world) makeKeys(s sizes) {
	total := len(w.projects) * s.keysPerProject
	sample := max(1, total/asked)
	for i := range total {
		c, secret := w.newKey(w.projects[i%len(w.projects)])
		w.do(c)
		if i%sample == 0 {
			w.keys = append(w.keys, worldKey{c.ID, c.Public, secret})
		}
	}
}

func (w *world) newKey(project domain.ProjectID) (domain.CreateKey, string) {
	id := ulid.Make().String()
	public, secret, err := w.ring.Generate(id)
	check(err)
	return domain.CreateKey{
		Minted: domain.Minted{
			ID: domain.KeyID("key_" + id), Public: public, Display: keyring.Mask(secret), Verifier: w.ring.NewVerifier(secret),
		},
		Project: project, KeyName: "ingest",
	}, secret
}

// question is who is asked about where.
type question struct {
	person  domain.UserID
	project domain.ProjectID
	org     domain.OrgID
}

// questions are about people and projects of organizations they are in, at random; the ids are copies, as requests bring them.
func (w *world) questions(n int) (list []question) {
	for range n {
		person := w.people[mathrand.IntN(len(w.people))]
		u, _ := w.s.User(person)
		orgs := u.Orgs.Keys()
		o, _ := w.s.Org(orgs[mathrand.IntN(len(orgs))])
		projects := o.Projects.Keys()
		list = append(list, question{
			domain.UserID(fresh(string(person))), domain.ProjectID(fresh(string(projects[mathrand.IntN(len(projects))]))), domain.OrgID(fresh(string(o.ID))),
		})
	}
	return list
}

func fresh(s string) string { return string([]byte(s)) }
