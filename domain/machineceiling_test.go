package domain_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// asked is a permission of the sample, at a place.
type asked struct {
	levelled
	org     domain.OrgID
	project domain.ProjectID
}

// The sample of permissions: of every role, and two of the operator's own, one of which is at both levels.
var (
	orgSample     = words("organization:delete organization:update organizationMembers:CUD organizationMembers:read auditLogs:read own:both own:org")
	projectSample = words("project:delete project:update projectMembers:CUD auditLogs:read scores:CUD project:read own:both")
)

// questions are the sample of permissions at every place.
func (m *model) questions() (list []asked) {
	for o := range m.orgs {
		for _, name := range orgSample {
			list = append(list, asked{levelled{domain.OrgLevel, name}, o, ""})
		}
	}
	for id, p := range m.projects {
		for _, name := range projectSample {
			list = append(list, asked{levelled{domain.ProjectLevel, name}, p.org, id})
		}
	}
	return list
}

// withinGrantCeiling holds what users gain and lose by a command against what its actor holds, now and whenever a grant ends:
// of a command that gives or takes rights. Who leaves loses, an invitation gives what is in it.
func (m *machine) withinGrantCeiling(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	may := func(_ domain.UserID, q asked, _ bool) bool {
		return old.mayGive(by, q.levelled, q.org, q.project, m.now)
	}
	switch c := c.(type) {
	case domain.GrantRole, domain.RevokeRole, domain.SuspendMember, domain.ResumeMember, domain.CreateServiceAccount,
		domain.CreateGroup, domain.UpdateGroup, domain.DeleteGroup, domain.DefineRole, domain.UpdateRole, domain.DeleteRole:
	case domain.Invite, domain.ResendInvitation, domain.RevokeInvitation, domain.DeclineInvitation:
		may = func(domain.UserID, asked, bool) bool { return false }
	case domain.LeaveOrg:
		may = func(u domain.UserID, q asked, had bool) bool { return had && u == by.User && q.org == c.Org }
	case domain.AcceptInvitation:
		i := old.invitation(c.TokenHash, c.ID)
		may = func(u domain.UserID, q asked, had bool) bool {
			inProject := q.project != "" && q.project == i.project && old.gives(i.org, i.projectRole, q.levelled)
			return !had && (c.User == u || c.User == "" && by.User == u) && q.org == i.org && (inProject || old.gives(i.org, i.role, q.levelled))
		}
	default:
		return
	}
	m.holdsContent(t, old, by, c)
	for _, when := range m.moments(old) {
		for _, q := range old.questions() {
			for u := range m.model.users {
				had := old.byRole(u, q.levelled, q.org, q.project, when)
				if m.model.byRole(u, q.levelled, q.org, q.project, when) != had && !may(u, q, had) {
					t.Fatalf("%s: %T %+v: at %s %s holds %+v: %t, and then not so; the actor must not do that", by, c, c, when, u, q, had)
				}
			}
		}
	}
}

// moments are now, and when grants end: two of them, the first and the last.
func (m *machine) moments(old *model) []time.Time {
	ends := []time.Time{m.now}
	add := func(grants map[domain.UserID]domain.Grant) {
		for _, g := range grants {
			if g.ExpiresAt.After(m.now) {
				ends = append(ends, g.ExpiresAt)
			}
		}
	}
	for _, from := range []*model{old, m.model} {
		for _, o := range from.orgs {
			add(o.members)
		}
		for _, p := range from.projects {
			add(p.overrides)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	if len(ends) > 3 {
		ends = []time.Time{ends[0], ends[1], ends[len(ends)-1]}
	}
	return slices.CompactFunc(ends, time.Time.Equal)
}

// holdsContent: what a role, a group or an invitation holds the actor holds as well, whether or not anybody has it.
func (m *machine) holdsContent(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	within := func(set permissions, o domain.OrgID, p domain.ProjectID) {
		if !old.mayGiveAll(by, set, o, p, m.now) {
			t.Fatalf("%s: %T %+v: holds %q in %s %s, which the actor does not", by, c, c, set.names(), o, p)
		}
	}
	role := func(o domain.OrgID, p domain.ProjectID, r domain.Role) {
		if r != "" && r != domain.None {
			within(old.givenBy(o, r), o, p)
		}
	}
	invitation := func(i *modelInvitation) {
		role(i.org, "", i.role)
		role(i.org, i.project, i.projectRole)
	}
	group := func(id domain.GroupID) {
		was, is := old.groups[id], m.model.groups[id]
		if was == nil {
			was = &modelGroup{}
		}
		if is == nil {
			is = &modelGroup{org: was.org}
		}
		if was.role != is.role {
			role(is.org, "", was.role)
			role(is.org, "", is.role)
		}
		for p := range old.projects {
			if was.projects[p] != is.projects[p] {
				role(is.org, p, was.projects[p])
				role(is.org, p, is.projects[p])
			}
		}
	}
	switch c := c.(type) {
	case domain.DefineRole:
		within(m.model.givenBy(c.Org, c.Role), c.Org, "")
	case domain.UpdateRole:
		r, _ := old.spelled(c.Org, c.Role)
		if was, is := old.givenBy(c.Org, r), m.model.givenBy(c.Org, r); !maps.Equal(was, is) {
			within(was.with(is), c.Org, "")
		}
	case domain.DeleteRole:
		r, _ := old.spelled(c.Org, c.Role)
		within(old.givenBy(c.Org, r), c.Org, "")
	case domain.Invite:
		invitation(m.model.invitations[c.ID])
	case domain.ResendInvitation:
		invitation(m.model.invitations[c.ID])
	case domain.RevokeInvitation:
		invitation(m.model.invitations[c.ID])
	case domain.CreateGroup:
		group(c.ID)
	case domain.UpdateGroup:
		group(c.ID)
	case domain.DeleteGroup:
		group(c.ID)
	}
}

// withinKeyCeiling holds the permissions of an accepted key command against what the actor holds.
func (m *machine) withinKeyCeiling(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	var id domain.KeyID
	had := permissions{}
	switch c := c.(type) {
	case domain.CreateKey:
		id = c.Minted.ID
	case domain.RotateKey:
		id, had = c.Successor.ID, old.live(old.keys[c.ID])
		if !m.model.keys[id].holds.within(had) {
			t.Fatalf("%s: %+v: the successor holds more", by, c)
		}
	case domain.UpdateKey:
		if id = c.ID; maps.Equal(old.keys[id].holds, m.model.keys[id].holds) {
			return
		}
		had = old.live(old.keys[id])
	default:
		return
	}
	k := m.model.keys[id]
	for l := range had.with(k.holds) {
		if !old.mayPutInKey(by, l, k.project, k.org, k.user, m.now) {
			t.Fatalf("%s: %T %+v: a key got or had %+v, which the actor does not hold", by, c, c, l)
		}
	}
}

// withinCaller: what is done with a key makes no key live longer than that one does, and with a person's only if it holds
// everything.
func (m *machine) withinCaller(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	caller := old.keys[by.Key]
	if caller == nil {
		return
	}
	expires, of := time.Time{}, domain.UserID("")
	switch c := c.(type) {
	case domain.CreateKey:
		expires, of = c.ExpiresAt, c.User
	case domain.RotateKey:
		expires, of = old.keys[c.ID].expires, old.keys[c.ID].user
	case domain.UpdateKey:
		if expires, of = old.keys[c.ID].expires, old.keys[c.ID].user; c.ExpiresAt == nil || c.ExpiresAt.Equal(expires) {
			expires = caller.expires
		} else {
			expires = *c.ExpiresAt
		}
	default:
		return
	}
	if !caller.expires.IsZero() && (expires.IsZero() || expires.After(caller.expires)) {
		t.Fatalf("%s: %+v: a key that ends %s made one live until %s", by, c, caller.expires, expires)
	}
	if of != "" && old.users[of].home == "" && !tenures()[domain.Owner].within(caller.holds) {
		t.Fatalf("%s: %+v: a narrow key changed one of a person", by, c)
	}
}

// withinQuotas: no command lets in more than a plan has room for. Rotation always may, and so may Init.
func (m *machine) withinQuotas(t rapid.TB, old *model, c domain.Command) {
	switch c.(type) {
	case domain.RotateKey, domain.Init:
		return
	}
	for id := range old.orgs {
		was, is := old.count(id, m.now), m.model.count(id, m.now)
		for _, q := range []struct {
			was, is int
			of      func(domain.Quotas) domain.Quota
		}{{was.projects, is.projects, quotaOfProjects}, {was.members, is.members, quotaOfMembers}, {was.keys, is.keys, quotaOfKeys}} {
			if q.is > q.was && !m.model.room(id, q.is, q.of) {
				t.Fatalf("%T %+v: organization %s had %+v, has %+v, and its plan allows %+v", c, c, id, was, is, m.model.plans[m.model.orgs[id].plan])
			}
		}
	}
}

// withinTime: only what waits and has not expired is answered, an invitation by or for the person it is for.
func (m *machine) withinTime(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	invitation := func(i *modelInvitation, u domain.UserID) {
		if u == "" {
			u = by.User
		}
		if i.status != domain.InvitationPending || over(i.expires, m.now) || old.users[u].email != i.email || old.users[u].status != domain.UserActive {
			t.Fatalf("%s: %T %+v: answers %+v", by, c, c, i)
		}
	}
	offer := func(o *modelOffer) {
		if o.status != domain.OfferPending || over(o.expires, m.now) {
			t.Fatalf("%s: %T %+v: answers %+v", by, c, c, o)
		}
	}
	switch c := c.(type) {
	case domain.AcceptInvitation:
		invitation(old.invitation(c.TokenHash, c.ID), c.User)
	case domain.DeclineInvitation:
		invitation(old.invitation(c.TokenHash, c.ID), c.User)
	case domain.AcceptTransfer:
		offer(old.offers[c.ID])
	case domain.DeclineTransfer:
		offer(old.offers[c.ID])
	}
}

// withinPolicy holds new names and new organizations against the policy.
func (m *machine) withinPolicy(t rapid.TB, old *model, by domain.Actor, c domain.Command) {
	match := func(pattern, name string) {
		if !old.policy.naming.WarnOnly && !regexp.MustCompile(pattern).MatchString(name) {
			t.Fatalf("%s: %T %+v: the policy wants %q", by, c, c, pattern)
		}
	}
	if _, ok := c.(domain.Init); ok {
		return
	}
	for id, o := range m.model.orgs {
		if was := old.orgs[id]; was == nil || was.name != o.name {
			match(old.policy.naming.OrgPattern, o.name)
		}
	}
	for id, p := range m.model.projects {
		if was := old.projects[id]; was == nil || was.name != p.name {
			match(old.policy.naming.ProjectPattern, p.name)
		}
	}
	if create, ok := c.(domain.CreateOrg); ok && !old.isAdmin(by) {
		email, creators := old.users[by.User].email, old.policy.creators
		listed := slices.Contains(creators.Domains, strings.ToUpper(create.EmailDomain)) && email == string(create.EmailDigest) ||
			slices.ContainsFunc(creators.Emails, func(digest []byte) bool { return string(digest) == email })
		if creators.Who == domain.CreatorsAdmins || creators.Who == domain.CreatorsListed && !listed {
			t.Fatalf("%s: %+v: the policy is %+v", by, c, creators)
		}
	}
}
