package keycache

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// A node is the place of an entry in a cache. Its value is replaced as a whole, and nil while it is not known.
type (
	keyNode struct {
		value atomic.Pointer[keyValue]
		// granted is what a user's key was found to hold.
		granted atomic.Pointer[granted]
		uses    uses
	}
	projectNode struct{ value atomic.Pointer[projectValue] }
	orgNode     struct{ value atomic.Pointer[orgValue] }
	userNode    struct{ value atomic.Pointer[userValue] }
)

type keyValue struct {
	position     uint64
	id           string
	reason       string
	project      *projectNode // nil if it is not a project's
	org          *orgNode     // nil if it is not an organization's
	user         *userNode    // nil if it is not a user's
	projectID    string
	userID       string
	permissions  levels
	names        []string // of both levels
	environments []string
	networks     []netip.Prefix
	expires      time.Time
}

// levels are permissions at each level, sorted.
type levels struct{ org, project []string }

type projectValue struct {
	position uint64
	reason   string
	org      *orgNode
}

type orgValue struct {
	position        uint64
	id, reason      string
	plan, dataPlane string
}

type userValue struct {
	position uint64
	reason   string
	admin    bool
	holdings []holding
}

type holding struct {
	orgID, projectID string
	org              *orgNode
	project          *projectNode // nil for what is held in the organization
	role, by         string
	permissions      levels
	expires          time.Time
}

// granted is what a user's key holds, as long as nothing of what it was found by is another one.
type granted struct {
	user  *userValue
	key   *keyValue
	orgs  []*orgValue
	names []string
	// project values in the order of the user's holdings in projects.
	projects []*projectValue
	// from when, and until when if a grant ends.
	from, until time.Time
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// judge answers what Tenure would, from entries alone; known is false if one of them is not known.
func (k *keyNode) judge(environment string, from netip.Addr, now time.Time) (a Answer, known bool) {
	v := k.value.Load()
	if v == nil {
		return a, false
	}
	a = Answer{KeyID: v.id, ProjectID: v.projectID, UserID: v.userID, ExpiresAt: v.expires, Environment: environment}
	if environment == "" {
		a.Environment = defaultEnvironment
	}
	reason := v.reason
	if reason == "" && expired(v.expires, now) {
		reason = KeyExpired
	}
	var user *userValue
	if v.user != nil {
		if user = v.user.value.Load(); user == nil {
			return a, false
		}
		if reason == "" {
			reason = user.reason
		}
	}
	org, project := v.org, (*projectValue)(nil)
	if v.project != nil {
		if project = v.project.value.Load(); project == nil {
			return a, false
		}
		org = project.org
	}
	if org != nil {
		o := org.value.Load()
		if o == nil {
			return a, false
		}
		if a.OrgID, a.PlanID, a.DataPlaneID = o.id, o.plan, o.dataPlane; reason == "" {
			reason = o.reason
		}
	}
	if reason == "" && project != nil {
		reason = project.reason
	}
	if reason == "" && len(v.networks) > 0 && !slices.ContainsFunc(v.networks, func(n netip.Prefix) bool { return n.Contains(from) }) {
		reason = NetworkNotAllowed
	}
	if reason == "" && len(v.environments) > 0 && !slices.Contains(v.environments, a.Environment) {
		reason = WrongEnvironment
	}
	if reason != "" {
		a.Reason = reason
		return a, true
	}
	a.Valid, a.Reason, a.Permissions = true, Valid, v.names
	if user != nil {
		a.Permissions, known = k.grantedTo(v, user, now)
		return a, known
	}
	return a, true
}

// grantedTo is what a user's key holds now.
func (k *keyNode) grantedTo(v *keyValue, user *userValue, now time.Time) ([]string, bool) {
	if user.admin {
		return v.names, true
	}
	if g := k.granted.Load(); g != nil && g.stands(v, user, now) {
		return g.names, true
	}
	g := &granted{user: user, key: v, from: now}
	set := map[string]struct{}{}
	add := func(held, within []string) {
		for _, p := range held {
			if _, ok := slices.BinarySearch(within, p); ok {
				set[p] = struct{}{}
			}
		}
	}
	for _, h := range user.holdings {
		o, p := h.org.value.Load(), (*projectValue)(nil)
		if h.project != nil {
			p = h.project.value.Load()
		}
		if o == nil || h.project != nil && p == nil {
			return nil, false
		}
		g.orgs = append(g.orgs, o)
		if h.project != nil {
			g.projects = append(g.projects, p)
		}
		if !h.expires.IsZero() && now.Before(h.expires) && (g.until.IsZero() || h.expires.Before(g.until)) {
			g.until = h.expires
		}
	}
	for h := range user.counting(now) {
		add(h.permissions.org, v.permissions.org)
		add(h.permissions.project, v.permissions.project)
	}
	for p := range set {
		g.names = append(g.names, p)
	}
	slices.Sort(g.names)
	k.granted.Store(g)
	return g.names, true
}

func (g *granted) stands(v *keyValue, user *userValue, now time.Time) bool {
	if g.key != v || g.user != user || now.Before(g.from) || expired(g.until, now) {
		return false
	}
	projects := 0
	for i, h := range user.holdings {
		if h.org.value.Load() != g.orgs[i] {
			return false
		}
		if h.project != nil {
			if h.project.value.Load() != g.projects[projects] {
				return false
			}
			projects++
		}
	}
	return true
}

// counting visits the holdings that count now: see tenure.v1.Holding. What they refer to must be known.
func (u *userValue) counting(now time.Time) func(yield func(*holding) bool) {
	return func(yield func(*holding) bool) {
		org, inOrg, project := "", false, ""
		for i := range u.holdings {
			h := &u.holdings[i]
			if h.orgID != org {
				org, inOrg, project = h.orgID, false, ""
			}
			if expired(h.expires, now) {
				continue
			}
			if h.projectID == "" {
				// The first of the organization counts.
				if !inOrg {
					if inOrg = true; h.org.value.Load().reason == "" && !yield(h) {
						return
					}
				}
				continue
			}
			if p := h.project.value.Load(); inOrg && h.projectID != project {
				project = h.projectID
				if h.org.value.Load().reason == "" && p.reason == "" && p.org == h.org && !yield(h) {
					return
				}
			}
		}
	}
}

// names are the permissions of both levels.
func names(l levels) []string {
	all := slices.Concat(l.org, l.project)
	slices.Sort(all)
	return slices.Compact(all)
}

// networks: one that can't be read stays, and holds no address, so that a key that is bound is never unbound.
func networks(texts []string) (list []netip.Prefix) {
	for _, text := range texts {
		n, _ := netip.ParsePrefix(text)
		list = append(list, n)
	}
	return list
}
