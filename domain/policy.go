package domain

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// The policy, in words:
//
//  1. New names of organizations and projects match the pattern for them, or pass with a warning if the policy only warns.
//     Names that are there already stay.
//  2. Organizations are created by everyone, by those whose e-mail is listed (itself or its domain), or by instance admins
//     alone. Instance admins always may.
//  3. A new person gets the roles that the policy names, as far as organization, project and role are still there and there is
//     room. It never keeps anybody from registering.

// Policy is what the installation demands and gives by itself.
type Policy struct {
	OrgNamePattern, ProjectNamePattern string // RE2; "" for any
	OrgNameForm, ProjectNameForm       string // in words
	WarnOnly                           bool
	OrgCreators                        OrgCreators
	CreatorDomains                     []string // lower case
	CreatorEmails                      []string // keyed digests
	SignUp                             []SignUpGrant
}

// OrgCreators is who may create organizations.
type OrgCreators uint8

const (
	// CreatorsEveryone: every person.
	CreatorsEveryone OrgCreators = iota
	// CreatorsListed: whose e-mail is listed.
	CreatorsListed
	// CreatorsAdmins: instance admins alone.
	CreatorsAdmins
)

// SignUpGrant is what a new person gets.
type SignUpGrant struct {
	Org         OrgID
	Role        Role
	Project     ProjectID // "" for none
	ProjectRole Role
}

// Naming is the part of the policy about names.
type Naming struct {
	OrgPattern, ProjectPattern, OrgForm, ProjectForm string
	WarnOnly                                         bool
}

// Creators is the part of the policy about who may create organizations.
type Creators struct {
	Who     OrgCreators
	Domains []string
	// Emails are keyed digests.
	Emails [][]byte
}

// UpdatePolicy replaces the parts that are not nil.
type UpdatePolicy struct {
	Naming   *Naming
	Creators *Creators
	SignUp   *[]SignUpGrant
}

// Name is the method's name.
func (UpdatePolicy) Name() string { return "UpdatePolicy" }

// Targets names nothing.
func (UpdatePolicy) Targets(*State) ([]Target, error) { return nil, nil }

func (c UpdatePolicy) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	next := s.Instance.Policy
	if n := c.Naming; n != nil {
		for _, p := range []struct{ field, pattern string }{{"naming.org_pattern", n.OrgPattern}, {"naming.project_pattern", n.ProjectPattern}} {
			if _, err := regexp.Compile(p.pattern); err != nil {
				return nil, Invalidf(p.field, BadPattern, "is not a regular expression in RE2 syntax: %v", err)
			}
		}
		next.OrgNamePattern, next.ProjectNamePattern = n.OrgPattern, n.ProjectPattern
		next.OrgNameForm, next.ProjectNameForm, next.WarnOnly = n.OrgForm, n.ProjectForm, n.WarnOnly
	}
	if w := c.Creators; w != nil {
		next.OrgCreators, next.CreatorDomains, next.CreatorEmails = w.Who, nil, nil
		if w.Who == CreatorsListed {
			for _, domain := range w.Domains {
				next.CreatorDomains = append(next.CreatorDomains, strings.ToLower(domain))
			}
			for _, digest := range w.Emails {
				next.CreatorEmails = append(next.CreatorEmails, string(digest))
			}
			slices.Sort(next.CreatorDomains)
			slices.Sort(next.CreatorEmails)
		}
	}
	if c.SignUp != nil {
		next.SignUp = nil
		for _, g := range *c.SignUp {
			known, err := s.signUpGrant(g)
			if err != nil {
				return nil, err
			}
			next.SignUp = append(next.SignUp, known)
		}
	}
	old, wanted := s.Instance.Policy.stored(), next.stored()
	if proto.Equal(old, wanted) {
		return nil, nil
	}
	return one(&eventv1.Event{Body: &eventv1.Event_PolicyUpdated{PolicyUpdated: &eventv1.PolicyUpdated{Old: old, New: wanted}}}), nil
}

// signUpGrant checks that what a new person is to get is there.
func (s *State) signUpGrant(g SignUpGrant) (SignUpGrant, error) {
	o, err := s.undeleted(g.Org)
	if err != nil {
		return g, err
	}
	if g.Role, err = s.knownRole(o, "sign_up.role", g.Role); err != nil {
		return g, err
	}
	if g.Project == "" {
		if g.ProjectRole != "" {
			return g, Invalidf("sign_up.project_id", InvalidField, "must be given with a project_role")
		}
		return g, nil
	}
	p, ok := s.projects.Get(g.Project)
	if !ok || p.Org != g.Org {
		return g, projectNotFound(g.Project)
	}
	g.ProjectRole, err = s.knownRole(o, "sign_up.project_role", g.ProjectRole)
	return g, err
}

// signUp are the events that give a new person what the policy says.
func (s *State) signUp(user UserID) (events []*eventv1.Event) {
	given := map[Place]int{}
	give := func(at Place, role Role) {
		e := at.granted(user, Grant{}, Grant{Role: role})
		// Of several roles in one place the last counts; an organization is not claimed by those before.
		if i, twice := given[at]; twice {
			events[i] = e
			return
		}
		given[at] = len(events)
		events = append(events, e)
	}
	for _, g := range s.Instance.Policy.SignUp {
		o, ok := s.orgs.Get(g.Org)
		if !ok || o.Status != Active || s.roomForMembers(o, 1) != nil {
			continue
		}
		if _, err := s.knownRole(o, "", g.Role); err != nil {
			continue
		}
		give(Place{Org: o}, g.Role)
		p, ok := s.projects.Get(g.Project)
		if !ok || p.Org != o.ID || p.Status != Active {
			continue
		}
		if _, err := s.knownRole(o, "", g.ProjectRole); err == nil {
			give(Place{o, p}, g.ProjectRole)
		}
	}
	return events
}

// mayCreateOrgs refuses who may not create organizations. Of a person the edge gives the address's domain, and its digest to
// show that it is the address of this state.
func (s *State) mayCreateOrgs(by Actor, domain string, digest []byte) error {
	p := s.Instance.Policy
	if s.IsAdmin(by) || by.Kind == ActorSystem || p.OrgCreators == CreatorsEveryone {
		return nil
	}
	if p.OrgCreators == CreatorsListed {
		u, _ := s.users.Get(by.User)
		if slices.Contains(p.CreatorEmails, u.EmailDigest) {
			return nil
		}
		if !bytes.Equal(digest, []byte(u.EmailDigest)) {
			return Errorf(CodeAborted, "CONTENTION", "your e-mail changed at the same time; try again")
		}
		if slices.Contains(p.CreatorDomains, strings.ToLower(domain)) {
			return nil
		}
	}
	return Errorf(CodeDenied, OrgCreatorsOnly, "the policy of this installation lets only some create organizations; ask an instance admin")
}

// NameWarning is what the policy would like otherwise about a name, "" if nothing; at the project level of a project's name.
func (s *State) NameWarning(level Level, name string) string {
	p := s.Instance.Policy
	pattern, form := p.OrgNamePattern, p.OrgNameForm
	if level == ProjectLevel {
		pattern, form = p.ProjectNamePattern, p.ProjectNameForm
	}
	if pattern == "" {
		return ""
	}
	if matched, err := regexp.MatchString(pattern, name); err == nil && matched {
		return ""
	}
	if form == "" {
		form = "a name that matches " + pattern
	}
	return "the naming policy wants " + form + "; got \"" + name + "\""
}

// named refuses a new name that the policy does not allow.
func (s *State) named(level Level, field, name string) error {
	if s.Instance.Policy.WarnOnly {
		return nil
	}
	if warning := s.NameWarning(level, name); warning != "" {
		return Invalidf(field, NamingPolicy, "%s", warning)
	}
	return nil
}

func (p Policy) stored() *eventv1.Policy {
	stored := &eventv1.Policy{
		OrgNamePattern: p.OrgNamePattern, ProjectNamePattern: p.ProjectNamePattern, OrgNameForm: p.OrgNameForm,
		ProjectNameForm: p.ProjectNameForm, WarnOnly: p.WarnOnly, OrgCreators: eventv1.Policy_OrgCreators(p.OrgCreators),
		CreatorDomains: p.CreatorDomains,
	}
	for _, digest := range p.CreatorEmails {
		stored.CreatorEmails = append(stored.CreatorEmails, []byte(digest))
	}
	for _, g := range p.SignUp {
		stored.SignUp = append(stored.SignUp, &eventv1.Policy_SignUpGrant{
			OrgId: string(g.Org), Role: string(g.Role), ProjectId: string(g.Project), ProjectRole: string(g.ProjectRole),
		})
	}
	return stored
}

func (s *State) policyUpdated(body *eventv1.PolicyUpdated) {
	p := body.New
	next := Policy{
		OrgNamePattern: p.GetOrgNamePattern(), ProjectNamePattern: p.GetProjectNamePattern(), OrgNameForm: p.GetOrgNameForm(),
		ProjectNameForm: p.GetProjectNameForm(), WarnOnly: p.GetWarnOnly(), OrgCreators: OrgCreators(p.GetOrgCreators()),
		CreatorDomains: p.GetCreatorDomains(),
	}
	for _, digest := range p.GetCreatorEmails() {
		next.CreatorEmails = append(next.CreatorEmails, string(digest))
	}
	for _, g := range p.GetSignUp() {
		next.SignUp = append(next.SignUp, SignUpGrant{OrgID(g.OrgId), Role(g.Role), ProjectID(g.ProjectId), Role(g.ProjectRole)})
	}
	s.Instance.Policy = next
}
