package domain

import (
	"fmt"
	"time"
)

// Finding is what was found of one thing that an explanation looked at.
type Finding string

// Findings.
const (
	// Passes: it stands in nobody's way.
	Passes Finding = "passes"
	// Decides: it gives the role, or allows, or lacks the permission.
	Decides Finding = "decides"
	// Adds: it gives something besides what decides.
	Adds Finding = "adds"
	// Overruled: something more specific, or granted directly, comes before it.
	Overruled Finding = "overruled"
	// Over: it has expired and counts as absent.
	Over Finding = "expired"
	// Denies: it denies everything.
	Denies Finding = "denies"
	// Absent: there is none.
	Absent Finding = "absent"
)

// Step is one thing that an explanation looked at.
type Step struct {
	// Kind is what it is: "user", "key", "instance_admin", "organization", "project", "membership", "group", "override" or "role".
	Kind    string
	ID      string
	Finding Finding
	// Role is the one it gives, "" if it gives none, until ExpiresAt.
	Role      Role
	ExpiresAt time.Time
	// Text is all of it in a sentence.
	Text string
}

// explanation collects the steps.
type explanation struct{ steps []Step }

func (x *explanation) add(kind, id string, f Finding, format string, args ...any) *Step {
	x.steps = append(x.steps, Step{Kind: kind, ID: id, Finding: f, Text: fmt.Sprintf(format, args...)})
	return &x.steps[len(x.steps)-1]
}

// Explain answers as Check does, with the way there.
func (s *State) Explain(a Actor, p Permission, at Place, now time.Time) (Verdict, []Step) {
	x := &explanation{}
	v := s.Check(a, p, at, now)
	s.explainActor(x, a, p, at, now)
	s.explainPlace(x, a, at)
	if a.Kind == ActorUser {
		s.explainMember(x, a, at, now)
	}
	name, where := s.Catalog().name(p), at.name()
	switch {
	case v.Allowed && v.Reason == ByInstanceAdmin:
		x.add("instance_admin", a.ID(), Decides, "an instance admin holds everything, %s in %s too", name, where)
	case v.Allowed && v.Role != "":
		x.add("role", string(v.Role), Decides, "%s holds %s, so it is allowed in %s", v.Role, name, where).Role = v.Role
	case v.Allowed:
		x.add("key", string(a.Key), Decides, "the key holds %s, so it is allowed in %s", name, where)
	case v.Reason == RoleLacks || v.Reason == BlockedInProject:
		x.add("role", string(v.Role), Decides, "%s does not hold %s, so it is not allowed in %s", v.Role, name, where).Role = v.Role
	case v.Reason == KeyLacks:
		x.add("key", string(a.Key), Decides, "the key does not hold %s, so it is not allowed in %s", name, where)
	case v.Reason == KeyOfOtherTenant:
		x.add("key", string(a.Key), Denies, "the key belongs to %s and reaches nothing in %s", a, where)
	}
	return v, x.steps
}

func (at Place) name() string {
	if at.Project != nil {
		return "project " + string(at.Project.ID)
	}
	return "organization " + string(at.Org.ID)
}

func (s *State) explainActor(x *explanation, a Actor, p Permission, at Place, now time.Time) {
	if k, ok := s.keys.Get(a.Key); ok {
		switch k.state(now) {
		case KeyRevoked:
			x.add("key", string(k.ID), Denies, "the key was revoked")
		case KeyExpired:
			x.add("key", string(k.ID), Denies, "the key has expired").ExpiresAt = k.ExpiresAt
		default:
			word := "holds"
			if !k.Permissions.Has(p) {
				word = "does not hold"
			}
			x.add("key", string(k.ID), Passes, "the key is good, acts as %s and %s the permission", a, word).ExpiresAt = k.ExpiresAt
		}
	}
	if a.Kind != ActorUser {
		return
	}
	switch reason := s.userState(a.User); reason {
	case "":
		x.add("user", string(a.User), Passes, "the account of %s is active", a.User)
	case UserUnknown:
		x.add("user", string(a.User), Denies, "there is no account %s", a.User)
	default:
		x.add("user", string(a.User), Denies, "%s", stateMessages[reason])
	}
}

func (s *State) explainPlace(x *explanation, a Actor, at Place) {
	finding := func(denies bool) Finding {
		switch {
		case !denies:
			return Passes
		case s.IsAdmin(a):
			return Overruled
		}
		return Denies
	}
	text := "is active"
	if reason := at.Org.state(); reason != "" {
		text = "is not: " + stateMessages[reason]
	}
	x.add("organization", string(at.Org.ID), finding(at.Org.Status != Active), "organization %s %s", at.Org.ID, text)
	if at.Project == nil {
		return
	}
	text = "is active"
	if at.Project.Status == Deleted {
		text = "was deleted"
	}
	x.add("project", string(at.Project.ID), finding(at.Project.Status != Active), "project %s %s", at.Project.ID, text)
}

func (s *State) explainMember(x *explanation, a Actor, at Place, now time.Time) {
	id := a.User
	m, ok := at.Org.Members.Get(id)
	if !ok {
		x.add("membership", string(at.Org.ID), Absent, "%s is not a member of organization %s", id, at.Org.ID)
		return
	}
	if m.Suspended {
		finding := Denies
		if s.IsAdmin(a) {
			finding = Overruled
		}
		x.add("membership", string(at.Org.ID), finding, "the membership in organization %s is suspended", at.Org.ID)
		return
	}
	e := s.roleOf(id, m, at, now)
	decides := func(by Reason) Finding {
		if e.By == by {
			return Decides
		}
		return Overruled
	}
	switch {
	case m.Role == "":
		x.add("membership", string(at.Org.ID), Absent, "no role in organization %s was granted to %s directly", at.Org.ID, id)
	case m.At(now) == "":
		x.add("membership", string(at.Org.ID), Over, "%s in organization %s has expired", m.Role, at.Org.ID).ExpiresAt = m.ExpiresAt
	default:
		step := x.add("membership", string(at.Org.ID), decides(ByOrgRole), "%s has %s in organization %s", id, m.Role, at.Org.ID)
		step.Role, step.ExpiresAt = m.Role, m.ExpiresAt
	}
	s.explainGroups(x, m, at, e)
	if at.Project == nil {
		return
	}
	switch g, ok := at.Project.Overrides.Get(id); {
	case !ok:
		x.add("override", string(at.Project.ID), Absent, "%s has no override in project %s", id, at.Project.ID)
	case g.At(now) == "":
		x.add("override", string(at.Project.ID), Over, "the override %s in project %s has expired", g.Role, at.Project.ID).ExpiresAt = g.ExpiresAt
	case e.Role == "":
		x.add("override", string(at.Project.ID), Overruled, "the override %s in project %s needs a membership in force", g.Role, at.Project.ID)
	default:
		step := x.add("override", string(at.Project.ID), decides(ByProjectOverride), "%s has the override %s in project %s", id, g.Role, at.Project.ID)
		step.Role, step.ExpiresAt = g.Role, g.ExpiresAt
	}
}

func (s *State) explainGroups(x *explanation, m Member, at Place, e Effective) {
	one := func(id GroupID, by Reason, role Role, where string) {
		f := Overruled
		switch {
		case e.By == by && e.Group == id:
			f = Decides
		case e.By == by:
			f = Adds
		}
		x.add("group", string(id), f, "group %s gives %s in %s", id, role, where).Role = role
	}
	for _, id := range m.Groups {
		g, _ := s.groups.Get(id)
		one(id, ByOrgGroup, g.Role, Place{Org: at.Org}.name())
		if at.Project == nil {
			continue
		}
		if role, ok := g.Projects.Get(at.Project.ID); ok {
			one(id, ByProjectGroup, role, at.name())
		}
	}
}
