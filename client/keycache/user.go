package keycache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Verdict is whether a person holds a permission at a place: what AccessService.Check answers.
type Verdict struct {
	Allowed bool
	// Reason is what decided.
	Reason string
	// Role is the effective one, "" if there is none.
	Role string
}

// Reasons of verdicts; those of holdings and states are as Tenure tells them.
const (
	byInstanceAdmin  = "INSTANCE_ADMIN"
	roleLacks        = "ROLE_LACKS_PERMISSION"
	blockedInProject = "BLOCKED_IN_PROJECT"
	notAMember       = "NOT_A_MEMBER"
	memberSuspended  = "MEMBER_SUSPENDED"
	grantExpired     = "GRANT_EXPIRED"

	projectOverride = "PROJECT_OVERRIDE"
	projectGroup    = "PROJECT_GROUP"
	roleNone        = "NONE"
)

// place is what a person is judged by at a place.
type place struct {
	user    *userNode
	org     *orgNode     // nil in a project
	project *projectNode // nil in an organization
}

// Check tells whether a person holds a permission, such as "prompts:CUD", in an organization or in a project: one of both is named. It is
// kept like keys, current by the same source, and counts among them. An instance admin holds every permission, whatever its name. An error
// of connect.CodeNotFound says that Tenure has no such person or place, any other that it can't be known now.
func (c *Cache) Check(ctx context.Context, userID, orgID, projectID, permission string) (Verdict, error) {
	if (orgID == "") == (projectID == "") {
		return Verdict{}, errors.New("keycache: name an organization or a project to check a permission in")
	}
	now := time.Now()
	id := placeID(userID, orgID, projectID)
	fresh, err := c.fresh(now)
	if err != nil {
		return Verdict{}, err
	}
	if fresh {
		if p := c.table.Load().get(id); p != nil && p.place != nil {
			if v, known := p.place.judge(permission, now); known {
				c.counters.hits.Add(1)
				return v, nil
			}
		}
		c.counters.misses.Add(1)
	}
	return ask(ctx, c, id, func(ctx context.Context) (*place, error) { return c.resolvePlace(ctx, id, userID, orgID, projectID) },
		func(p *place) (Verdict, bool) { return p.judge(permission, time.Now()) })
}

func (c *Cache) resolvePlace(ctx context.Context, id pairID, userID, orgID, projectID string) (p *place, err error) {
	err = c.settle(ctx, "", func(ctx context.Context) (answer, error) {
		res, err := c.invalidations.ResolveUser(ctx, &tenurev1.ResolveUserRequest{UserId: userID, OrgId: orgID, ProjectId: projectID})
		if err != nil {
			return answer{}, err
		}
		return answer{position: res.Position, user: res.User, projects: res.Projects, orgs: res.Orgs}, nil
	}, func(t *table, a answer, kept bool) {
		if p = t.place(a, orgID, projectID); kept {
			c.hold(t, &pair{id: id, place: p})
		}
	})
	return p, err
}

// place loads an answer about a person. The caller holds mu.
func (t *table) place(a answer, orgID, projectID string) *place {
	p := &place{}
	_, p.user = t.load(a)
	if projectID != "" {
		p.project = t.project(projectID)
	} else {
		p.org = t.org(orgID)
	}
	return p
}

// placeID is no idOf: no public part is that long.
func placeID(userID, orgID, projectID string) pairID {
	return sha256.Sum256(fmt.Appendf([]byte{0xff, 0xff}, "%q%q%q", userID, orgID, projectID))
}

func (p *place) needs(needed map[any]bool) {
	p.user.needs(needed)
	if p.project != nil {
		p.project.needs(needed)
	} else {
		needed[p.org] = true
	}
}

// judge answers what Tenure would, from entries alone; known is false if one of them is not known.
func (p *place) judge(permission string, now time.Time) (v Verdict, known bool) {
	user, org, project := p.user.value.Load(), p.org, (*projectValue)(nil)
	if p.project != nil {
		if project = p.project.value.Load(); project == nil {
			return v, false
		}
		org = project.org
	}
	o := org.value.Load()
	if user == nil || o == nil {
		return v, false
	}
	var inOrg, at *holding
	state, member := user.reason, false
	for i := range user.holdings {
		h := &user.holdings[i]
		if h.org != org {
			continue
		}
		// Those in the organization come first, then by project: the first that has not ended counts.
		member = true
		switch {
		case expired(h.expires, now):
		case h.projectID == "":
			if inOrg == nil {
				inOrg = h
			}
		case p.project != nil && h.project == p.project && at == nil:
			at = h
		}
	}
	held := inOrg
	if inOrg != nil && at != nil {
		held = at
	}
	if held != nil {
		v.Role = held.role
	}
	if state == "" && user.admin {
		return Verdict{Allowed: true, Reason: byInstanceAdmin, Role: v.Role}, true
	}
	if state == "" {
		state = o.reason
	}
	if state == "" && project != nil {
		state = project.reason
	}
	switch {
	case state != "":
		v.Reason = state
		return v, true
	case !member:
		v.Reason = notAMember
		return v, true
	case held == nil:
		v.Reason = grantExpired
		return v, true
	case held.by == memberSuspended:
		v.Reason = memberSuspended
		return v, true
	}
	within := held.permissions.org
	if project != nil {
		within = held.permissions.project
	}
	switch _, ok := slices.BinarySearch(within, permission); {
	case ok:
		v.Allowed, v.Reason = true, held.by
	case held.role == roleNone && (held.by == projectOverride || held.by == projectGroup):
		v.Reason = blockedInProject
	default:
		v.Reason = roleLacks
	}
	return v, true
}
