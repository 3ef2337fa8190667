package directory

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/domain"
)

// row is the values of a noun's columns; nil for none.
type row []any

// changes calls told for everything that is another row of a noun in one state than in another, which came from it. A row that
// did not change may be told too.
func changes(before, after *domain.State, told func(n *noun, old, new row)) {
	catalog := before.Catalog() != after.Catalog() || before.Position == 0
	for c := range before.Orgs().Changes(after.Orgs()) {
		if c.Old == c.New {
			continue
		}
		told(&organizations, orgRow(c.Old), orgRow(c.New))
		was, is := orZero(c.Old), orZero(c.New)
		for m := range was.Members.Changes(is.Members) {
			told(&members, when(m.Had, memberRow(c.Key, m.Key, m.Old)), when(m.Has, memberRow(c.Key, m.Key, m.New)))
		}
		if !catalog {
			for r := range was.Roles.Changes(is.Roles) {
				told(&roles, roleRow(before, c.Key, r.Old), roleRow(after, c.Key, r.New))
			}
		}
	}
	for c := range before.Projects().Changes(after.Projects()) {
		if c.Old == c.New {
			continue
		}
		told(&projects, projectRow(c.Old), projectRow(c.New))
		was, is := orZero(c.Old), orZero(c.New)
		if was.Org == is.Org || c.Old == nil {
			for o := range was.Overrides.Changes(is.Overrides) {
				told(&projectRoles, when(o.Had, overrideRow(was, o.Key, o.Old)), when(o.Has, overrideRow(is, o.Key, o.New)))
			}
			continue
		}
		// What lies in the project is in another organization from here on.
		for user, g := range was.Overrides.All() {
			now, kept := is.Overrides.Get(user)
			told(&projectRoles, overrideRow(was, user, g), when(kept, overrideRow(is, user, now)))
		}
		for id := range is.Keys.All() {
			old, _ := before.Key(id)
			now, _ := after.Key(id)
			told(&apiKeys, keyRow(before, old), keyRow(after, now))
		}
	}
	for c := range before.Users().Changes(after.Users()) {
		if c.Old != c.New {
			told(&users, userRow(c.Old), userRow(c.New))
		}
	}
	for c := range before.Groups().Changes(after.Groups()) {
		if c.Old == c.New {
			continue
		}
		told(&groups, groupRow(c.Old), groupRow(c.New))
		was, is := orZero(c.Old), orZero(c.New)
		for m := range was.Members.Changes(is.Members) {
			told(&groupMembers, when(m.Had, row{string(c.Key), string(m.Key), string(was.Org)}), when(m.Has, row{string(c.Key), string(m.Key), string(is.Org)}))
		}
		for p := range was.Projects.Changes(is.Projects) {
			told(&groupProjects, when(p.Had, row{string(c.Key), string(p.Key), string(was.Org), string(p.Old)}),
				when(p.Has, row{string(c.Key), string(p.Key), string(is.Org), string(p.New)}))
		}
	}
	for c := range before.Keys().Changes(after.Keys()) {
		if c.Old != c.New {
			told(&apiKeys, keyRow(before, c.Old), keyRow(after, c.New))
		}
	}
	for c := range before.Invitations().Changes(after.Invitations()) {
		if c.Old != c.New {
			told(&invitations, invitationRow(c.Old), invitationRow(c.New))
		}
	}
	for c := range before.Admins().Changes(after.Admins()) {
		told(&admins, when(c.Had, row{string(c.Key)}), when(c.Has, row{string(c.Key)}))
	}
	if catalog {
		catalogChanges(before, after, told)
	}
}

// catalogChanges: what roles hold depends on what can be held.
func catalogChanges(before, after *domain.State, told func(n *noun, old, new row)) {
	for _, r := range domain.BuiltInRoles {
		was := row(nil)
		if before.Position > 0 {
			was = builtInRow(before, r)
		}
		told(&roles, was, builtInRow(after, r))
	}
	for id, o := range after.Orgs().All() {
		was := &domain.Org{}
		if old, ok := before.Org(id); ok {
			was = old
		}
		for _, r := range o.Roles.Keys() {
			old, _ := was.Roles.Get(r)
			now, _ := o.Roles.Get(r)
			told(&roles, roleRow(before, id, old), roleRow(after, id, now))
		}
		for r, old := range was.Roles.All() {
			if !o.Roles.Has(r) {
				told(&roles, roleRow(before, id, old), nil)
			}
		}
	}
}

// when is the row if there is one.
func when(is bool, r row) row {
	if !is {
		return nil
	}
	return r
}

func orZero[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

func orgRow(o *domain.Org) row {
	if o == nil {
		return nil
	}
	return row{string(o.ID), o.Name, statuses[o.Status], string(o.Plan), o.Residency, string(o.DataPlane), object(o.Metadata), moment(o.CreatedAt), soughtIn(o)}
}

func soughtIn(o *domain.Org) string {
	parts := []string{o.Name}
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		parts = append(parts, o.Metadata[key])
	}
	return fold(parts...)
}

func projectRow(p *domain.Project) row {
	if p == nil {
		return nil
	}
	return row{
		string(p.ID), string(p.Org), p.Name, statuses[p.Status], int64(p.RetentionDays), strings.Join(p.Environments, " "), object(p.Metadata),
		moment(p.CreatedAt),
	}
}

func userRow(u *domain.User) row {
	if u == nil {
		return nil
	}
	return row{string(u.ID), userStatuses[u.Status], string(u.Home), moment(u.CreatedAt)}
}

func memberRow(org domain.OrgID, user domain.UserID, m domain.Member) row {
	suspended := int64(0)
	if m.Suspended {
		suspended = 1
	}
	return row{string(org), string(user), string(m.Role), moment(m.ExpiresAt), suspended}
}

func overrideRow(p *domain.Project, user domain.UserID, g domain.Grant) row {
	return row{string(p.ID), string(user), string(p.Org), string(g.Role), moment(g.ExpiresAt)}
}

func roleRow(s *domain.State, org domain.OrgID, r *domain.CustomRole) row {
	if r == nil {
		return nil
	}
	return roleColumns(s, org, r.Name, r.Description, r.Permissions)
}

func builtInRow(s *domain.State, r domain.Role) row {
	return roleColumns(s, "", r, "", s.RolePermissions(nil, r))
}

func roleColumns(s *domain.State, org domain.OrgID, r domain.Role, description string, set domain.PermissionSet) row {
	return row{
		string(org), string(r), description, strings.Join(s.Catalog().NamesAt(domain.OrgLevel, set), " "),
		strings.Join(s.Catalog().NamesAt(domain.ProjectLevel, set), " "), int64(set.And(s.Catalog().All()).Len()),
	}
}

func groupRow(g *domain.Group) row {
	if g == nil {
		return nil
	}
	return row{string(g.ID), string(g.Org), g.Name, string(g.Role)}
}

func keyRow(s *domain.State, k *domain.Key) row {
	if k == nil {
		return nil
	}
	org := k.Org
	if k.Project != "" {
		if p, ok := s.Project(k.Project); ok {
			org = p.Org
		}
	}
	var networks []string
	for _, n := range k.Networks {
		networks = append(networks, n.String())
	}
	return row{
		string(k.ID), string(org), string(k.Project), string(k.User), k.Public, k.Display, k.Name, k.Note,
		strings.Join(s.Catalog().NamesAt(domain.OrgLevel, k.Permissions), " "), strings.Join(s.Catalog().NamesAt(domain.ProjectLevel, k.Permissions), " "),
		strings.Join(k.Environments, " "), strings.Join(networks, " "), moment(k.CreatedAt), k.CreatedBy, moment(k.ExpiresAt), moment(k.RevokedAt),
		string(k.Successor),
	}
}

func invitationRow(i *domain.Invitation) row {
	if i == nil {
		return nil
	}
	return row{
		string(i.ID), string(i.Org), string(i.Project), string(i.Role), string(i.ProjectRole), invitationStatuses[i.Status], i.InvitedBy,
		string(i.User), moment(i.CreatedAt), moment(i.ExpiresAt),
	}
}

var (
	statuses     = map[domain.Status]string{domain.Active: "active", domain.Suspended: "suspended", domain.Deleted: "deleted"}
	userStatuses = map[domain.UserStatus]string{
		domain.UserActive: "active", domain.UserIsDeactivated: "deactivated", domain.UserIsErased: "erased",
	}
	invitationStatuses = map[domain.InvitationStatus]string{
		domain.InvitationPending: "pending", domain.InvitationAccepted: "accepted", domain.InvitationDeclined: "declined",
		domain.InvitationRevoked: "revoked",
	}
)

// moment is a time in microseconds; NULL for none.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// object is a JSON object with sorted names.
func object(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	b, _ := json.Marshal(m)
	return string(b)
}
