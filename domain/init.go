package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Headless init, in words:
//
//  1. It makes what it names if that is not there, all in one commit, and changes nothing that is there: differences are told,
//     see Drift.
//  2. What it gives (the owner's role, the key, the policy's parts) it gives once. Who was demoted or removed since is not
//     promoted again, a key that was revoked is not made again.
//  3. Several servers that start at once with the same settings give one result: they are decided one after the other.

// Init is what an installation begins with, from the settings of its servers. Only Tenure itself gives it, at start.
type Init struct {
	Org     OrgID // "" for none, and then there is no project, person or key either
	OrgName string

	Project       ProjectID // "" for none
	ProjectName   string
	RetentionDays uint32

	User        UserID // for a new account; "" for nobody
	Email       *eventv1.Sealed
	EmailDigest []byte
	FullName    *eventv1.Sealed

	// Key is made for the project if its public part is not empty.
	Key Minted

	// SignUp and Creators are the policy's parts; nil to leave them.
	SignUp   *[]SignUpGrant
	Creators *Creators
}

// Name is the command's name.
func (Init) Name() string { return "Init" }

// Targets names nothing.
func (Init) Targets(*State) ([]Target, error) { return nil, nil }

// maker collects events and the state that they leave.
type maker struct {
	state  *State
	events []*eventv1.Event
	given  []string
	now    time.Time
}

func (m *maker) make(e *eventv1.Event) {
	next := *m.state
	next.evolve(e, &eventv1.Actor{Kind: eventv1.Actor_KIND_SYSTEM}, moment{Time: m.now})
	m.state, m.events = &next, append(m.events, e)
}

// once tells whether something was not given before, and notes that it is now.
func (m *maker) once(what string) bool {
	if m.state.inits.Has(what) {
		return false
	}
	m.given = append(m.given, what)
	return true
}

func (c Init) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	m := &maker{state: s, now: now}
	if c.Org != "" {
		if err := c.tenancy(m); err != nil {
			return nil, err
		}
	}
	if err := c.policy(m); err != nil {
		return nil, err
	}
	if len(m.given) > 0 {
		m.make(&eventv1.Event{Body: &eventv1.Event_InitApplied{InitApplied: &eventv1.InitApplied{Given: m.given}}})
	}
	return m.events, nil
}

func (c Init) tenancy(m *maker) error {
	if !m.state.orgs.Has(c.Org) {
		m.make(&eventv1.Event{
			OrgIds: []string{string(c.Org)}, Body: &eventv1.Event_OrgCreated{OrgCreated: &eventv1.OrgCreated{Name: c.OrgName}},
		})
	}
	o, _ := m.state.orgs.Get(c.Org)
	if o.Status == Deleted {
		return nil
	}
	if c.User != "" {
		c.owner(m, o)
	}
	if c.Project == "" {
		return nil
	}
	if !m.state.projects.Has(c.Project) && o.nameFree(c.ProjectName, c.Project) == nil {
		m.make(Place{Org: o}.event(&eventv1.Event{
			ProjectId: string(c.Project),
			Body: &eventv1.Event_ProjectCreated{ProjectCreated: &eventv1.ProjectCreated{
				Name: c.ProjectName, RetentionDays: c.RetentionDays,
			}},
		}))
	}
	p, ok := m.state.projects.Get(c.Project)
	if !ok || p.Org != c.Org || p.Status == Deleted || c.Key.Public == "" || m.state.taken(c.Key) || !m.once("key/"+c.Key.Public) {
		return nil
	}
	at, _ := m.state.Place("", c.Project)
	m.make(at.keyEvent("", c.Key.ID, &eventv1.Event{Body: &eventv1.Event_KeyCreated{KeyCreated: c.Key.event(&eventv1.KeyAttributes{
		Name: "init", Permissions: m.state.Catalog().Names(m.state.Catalog().allProject),
	})}}))
	return nil
}

// owner registers the person, if the address has no account, and makes them an owner, once.
func (c Init) owner(m *maker, o *Org) {
	u, known := m.state.UserByEmail(c.EmailDigest)
	if !known {
		if c.Email == nil {
			return
		}
		m.make(&eventv1.Event{
			UserId: string(c.User),
			Body: &eventv1.Event_UserRegistered{UserRegistered: &eventv1.UserRegistered{
				Email: c.Email, EmailDigest: c.EmailDigest, Name: c.FullName,
			}},
		})
		u, _ = m.state.users.Get(c.User)
	}
	if first := m.once("member/" + string(o.ID) + "/" + string(u.ID)); !first || o.Members.Has(u.ID) || u.Status != UserActive {
		return
	}
	m.make(Place{Org: o}.granted(u.ID, Grant{}, Grant{Role: Owner}))
}

func (c Init) policy(m *maker) error {
	update := UpdatePolicy{}
	if grants := c.signUp(m.state); len(grants) > 0 && m.once("policy/sign_up") {
		update.SignUp = &grants
	}
	if c.Creators != nil && m.once("policy/org_creators") {
		update.Creators = c.Creators
	}
	events, err := update.decide(m.state, Actor{Kind: ActorSystem}, m.now)
	for _, e := range events {
		m.make(e)
	}
	return err
}

// signUp is what new people get of what is there to be given. What is not is left out, because a server must start without it.
func (c Init) signUp(s *State) (grants []SignUpGrant) {
	if c.SignUp == nil {
		return nil
	}
	for _, g := range *c.SignUp {
		if known, err := s.signUpGrant(g); err == nil {
			grants = append(grants, known)
		}
	}
	return grants
}

// Drift tells, in words, where the state is not what the settings say, after Init was decided on it.
func (c Init) Drift(s *State, now time.Time) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if c.SignUp != nil {
		if grants := c.signUp(s); len(grants) < len(*c.SignUp) {
			add("some of what new people are to get is not there: check DEFAULT_ORG_ID, DEFAULT_PROJECT_ID and the roles")
		} else if !slices.Equal(grants, s.Instance.Policy.SignUp) {
			add("what new people get was changed since")
		}
	}
	if c.Creators != nil {
		if changes, err := (UpdatePolicy{Creators: c.Creators}).decide(s, Actor{Kind: ActorSystem}, now); err != nil || len(changes) > 0 {
			add("who may create organizations was changed since")
		}
	}
	o, ok := s.orgs.Get(c.Org)
	if !ok {
		return list
	}
	if o.Status != Active {
		add("organization %s is %s", c.Org, strings.ToLower(strings.TrimPrefix(string(o.state()), "ORG_")))
	}
	if o.Name != c.OrgName {
		add("organization %s is named %q, not %q", c.Org, o.Name, c.OrgName)
	}
	if u, ok := s.UserByEmail(c.EmailDigest); ok && c.User != "" {
		at := Place{Org: o}
		if role := s.EffectiveRole(u.ID, at, now).Role; role != Owner {
			add("user %s of the settings' e-mail has the role %q in organization %s, not OWNER, and is not promoted again", u.ID, role, c.Org)
		}
	}
	if c.Project == "" {
		return list
	}
	p, ok := s.projects.Get(c.Project)
	if !ok {
		add("project %s could not be made: its name %q is taken in organization %s", c.Project, c.ProjectName, c.Org)
		return list
	}
	if p.Org != c.Org {
		add("project %s is in organization %s, not %s", c.Project, p.Org, c.Org)
	}
	if p.Status == Deleted {
		add("project %s is deleted", c.Project)
	}
	if p.Name != c.ProjectName {
		add("project %s is named %q, not %q", c.Project, p.Name, c.ProjectName)
	}
	if p.RetentionDays != c.RetentionDays {
		add("project %s keeps data for %d days, not %d", c.Project, p.RetentionDays, c.RetentionDays)
	}
	if c.Key.Public == "" {
		return list
	}
	k, ok := s.KeyByPublic(c.Key.Public)
	switch {
	case !ok:
		add("the key %s is not there: its secret belongs to another key, or the project was deleted or moved", c.Key.Public)
	case k.Project != c.Project:
		add("the key %s is not of project %s", c.Key.Public, c.Project)
	case k.state(now) != "":
		add("the key %s can't be used (%s), and is not made again", c.Key.Public, k.state(now))
	case k.Verifier != string(c.Key.Verifier.GetHash()):
		add("the key %s has another secret than the settings say", c.Key.Public)
	}
	return list
}

func (s *State) initApplied(body *eventv1.InitApplied) {
	for _, what := range body.Given {
		s.inits = s.inits.With(what, struct{}{})
	}
}
