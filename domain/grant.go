package domain

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Role is a named set of permissions: a built-in one, or one that an organization defined. "" is no role at all; None is a role
// that holds nothing.
type Role string

// The built-in roles, strongest first.
const (
	Owner      Role = "OWNER"
	Admin      Role = "ADMIN"
	RoleMember Role = "MEMBER"
	Viewer     Role = "VIEWER"
	None       Role = "NONE"
)

// strength orders the built-in roles; each holds all that the weaker ones hold.
var strength = map[Role]int{Owner: 4, Admin: 3, RoleMember: 2, Viewer: 1, None: 0}

// BuiltInRoles are all built-in roles, strongest first.
var BuiltInRoles = []Role{Owner, Admin, RoleMember, Viewer, None}

// ParseRole finds a built-in role; the answer shares no memory with its argument.
func ParseRole(name string) (Role, bool) {
	for _, r := range BuiltInRoles {
		if string(r) == name {
			return r, true
		}
	}
	return "", false
}

// Grant is a role until ExpiresAt; the zero time means for ever. The zero Grant is no grant.
type Grant struct {
	Role      Role
	ExpiresAt time.Time
}

// At is the role the grant gives at a time; "" once it has expired.
func (g Grant) At(now time.Time) Role {
	if expired(g.ExpiresAt, now) {
		return ""
	}
	return g.Role
}

// permanentOwner tells whether the grant counts as owning: an owner with an expiry may be gone tomorrow.
func (g Grant) permanentOwner() bool { return g.Role == Owner && g.ExpiresAt.IsZero() }

func (g Grant) equal(o Grant) bool { return g.Role == o.Role && g.ExpiresAt.Equal(o.ExpiresAt) }

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (g Grant) stored() *eventv1.Grant {
	if g.Role == "" {
		return nil
	}
	return &eventv1.Grant{Role: string(g.Role), ExpiresAt: storedTime(g.ExpiresAt)}
}

func grantOf(g *eventv1.Grant) Grant {
	role, ok := ParseRole(g.GetRole())
	if !ok {
		role = Role(g.GetRole())
	}
	return Grant{Role: role, ExpiresAt: timeOf(g.GetExpiresAt())}
}

func storedTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
