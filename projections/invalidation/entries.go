// Package invalidation says what caches of keys and roles keep, and what a commit changes of it. It is the one source of what goes to
// Redis and to WatchInvalidations.
package invalidation

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// KeyEntry is a key's entry.
func KeyEntry(s *domain.State, k *domain.Key) *tenurev1.KeyEntry {
	e := &tenurev1.KeyEntry{
		Id: string(k.ID), PublicKey: k.Public, ProjectId: string(k.Project), OrgId: string(k.Org), UserId: string(k.User),
		Environments: k.Environments, ExpiresAt: timestamp(k.ExpiresAt),
	}
	if !k.RevokedAt.IsZero() {
		// For good: nothing else is asked of it.
		e.Reason = string(domain.KeyRevoked)
		return e
	}
	held := k.Permissions.And(s.Catalog().All())
	e.OrgPermissions, e.ProjectPermissions = levels(s, held)
	for _, n := range k.Networks {
		e.AllowedNetworks = append(e.AllowedNetworks, n.String())
	}
	return e
}

// ProjectEntry is a project's entry.
func ProjectEntry(p *domain.Project) *tenurev1.ProjectEntry {
	e := &tenurev1.ProjectEntry{Id: string(p.ID), OrgId: string(p.Org)}
	if p.Status == domain.Deleted {
		e.Reason = string(domain.ProjectDeleted)
	}
	return e
}

// OrgEntry is an organization's entry.
func OrgEntry(o *domain.Org) *tenurev1.OrgEntry {
	e := &tenurev1.OrgEntry{Id: string(o.ID), PlanId: string(o.Plan), DataPlaneId: string(o.DataPlane)}
	switch o.Status {
	case domain.Suspended:
		e.Reason = string(domain.OrgSuspended)
	case domain.Deleted:
		e.Reason = string(domain.OrgDeleted)
	}
	return e
}

// UserEntry is a person's entry.
func UserEntry(s *domain.State, u *domain.User) *tenurev1.UserEntry {
	return userEntry(s, u, s.Holdings(u.ID))
}

func userEntry(s *domain.State, u *domain.User, holdings []domain.Holding) *tenurev1.UserEntry {
	e := &tenurev1.UserEntry{Id: string(u.ID), InstanceAdmin: s.Admins().Has(u.ID)}
	switch u.Status {
	case domain.UserIsDeactivated:
		e.Reason = string(domain.UserDeactivated)
	case domain.UserIsErased:
		e.Reason = string(domain.UserErased)
	}
	sets := map[domain.PermissionSet]uint32{{}: 0}
	for _, h := range holdings {
		set, known := sets[h.Set]
		if !known {
			held := &tenurev1.HeldPermissions{}
			held.OrgPermissions, held.ProjectPermissions = levels(s, h.Set)
			e.Sets = append(e.Sets, held)
			set = uint32(len(e.Sets))
			sets[h.Set] = set
		}
		e.Holdings = append(e.Holdings, &tenurev1.Holding{
			OrgId: string(h.Org), ProjectId: string(h.Project), Role: string(h.Role), Set: set, By: string(h.By), ExpiresAt: timestamp(h.ExpiresAt),
		})
	}
	return e
}

// About are the entries of the projects and organizations that a key and a person name: all that it takes to judge them.
func About(s *domain.State, key *tenurev1.KeyEntry, user *tenurev1.UserEntry) (projects []*tenurev1.ProjectEntry, orgs []*tenurev1.OrgEntry) {
	inProjects, inOrgs := map[domain.ProjectID]bool{}, map[domain.OrgID]bool{}
	inProjects[domain.ProjectID(key.GetProjectId())], inOrgs[domain.OrgID(key.GetOrgId())] = true, true
	for _, h := range user.GetHoldings() {
		inProjects[domain.ProjectID(h.ProjectId)], inOrgs[domain.OrgID(h.OrgId)] = true, true
	}
	for _, id := range slices.Sorted(maps.Keys(inProjects)) {
		if p, ok := s.Project(id); ok {
			projects = append(projects, ProjectEntry(p))
			inOrgs[p.Org] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(inOrgs)) {
		if o, ok := s.Org(id); ok {
			orgs = append(orgs, OrgEntry(o))
		}
	}
	return projects, orgs
}

func levels(s *domain.State, set domain.PermissionSet) (org, project []string) {
	return s.Catalog().NamesAt(domain.OrgLevel, set), s.Catalog().NamesAt(domain.ProjectLevel, set)
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
