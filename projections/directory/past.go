package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/readmodel"
)

// ErrNotThere is returned when an organization or project was not there at a time.
var ErrNotThere = errors.New("it was not there then")

// At is a moment of the past: behind a position, or by a time if the position is 0.
type At struct {
	Position domain.Position
	Time     time.Time
}

// condition chooses the versions that were valid at the moment.
func (at At) condition() (text string, arg any) {
	if at.Position > 0 {
		return "from_position <= $1 AND (to_position IS NULL OR to_position > $1)", int64(at.Position)
	}
	return "from_time <= $1 AND (to_time IS NULL OR to_time > $1)", at.Time.UnixMicro()
}

// OrgOf is the organization that a project was in.
func OrgOf(ctx context.Context, m *readmodel.Model, project domain.ProjectID, at At) (org domain.OrgID, err error) {
	condition, arg := at.condition()
	err = m.All().Query(ctx, func(rows *sql.Rows) error { return rows.Scan(&org) },
		"SELECT org_id FROM {}projects_history WHERE project_id = $2 AND "+condition, arg, string(project))
	if err == nil && org == "" {
		err = ErrNotThere
	}
	return org, err
}

// Past puts an organization together as it was, from the rows of that organization alone. With a project, only that one is in it.
func Past(ctx context.Context, m *readmodel.Model, catalog *domain.Catalog, org domain.OrgID, project domain.ProjectID, at At) (*domain.State, error) {
	p := domain.Past{Catalog: catalog}
	condition, arg := at.condition()
	scope := m.InOrg(string(org))
	// each reads rows of a noun; the columns must be text or numbers that may be NULL.
	each := func(n noun, more string, read func(r past) error, args ...any) error {
		return scope.Query(ctx, func(rows *sql.Rows) error {
			r := past{n: n, values: make([]sql.NullString, len(n.columns))}
			into := make([]any, len(n.columns))
			for i := range into {
				into[i] = &r.values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			return read(r)
		}, "SELECT "+strings.Join(n.columns, ", ")+" FROM {}"+n.name+"_history WHERE "+condition+more, append([]any{arg}, args...)...)
	}
	err := each(organizations, "", func(r past) error {
		p.Org = &domain.Org{ID: domain.OrgID(r.text("org_id")), Name: r.text("name"), Status: statusOf(r.text("status")), CreatedAt: r.time("created_at")}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.Org == nil {
		return nil, ErrNotThere
	}
	projectsByID := map[domain.ProjectID]*domain.Project{}
	one, oneArgs := "", []any(nil)
	if project != "" {
		one, oneArgs = " AND project_id = $2", []any{string(project)}
	}
	people := map[domain.UserID]bool{}
	steps := []func() error{
		func() error {
			return each(projects, one, func(r past) error {
				id := domain.ProjectID(r.text("project_id"))
				projectsByID[id] = &domain.Project{ID: id, Org: org, Name: r.text("name"), Status: statusOf(r.text("status"))}
				p.Projects = append(p.Projects, projectsByID[id])
				return nil
			}, oneArgs...)
		},
		func() error {
			return each(roles, "", func(r past) error {
				if r.text("org_id") == "" {
					return nil // built in
				}
				name := domain.Role(r.text("role"))
				p.Org.Roles = p.Org.Roles.With(name, &domain.CustomRole{
					Name: name, Permissions: catalog.Set(strings.Fields(r.text("organization_permissions")), strings.Fields(r.text("project_permissions"))),
				})
				return nil
			})
		},
		func() error {
			return each(members, "", func(r past) error {
				id := domain.UserID(r.text("user_id"))
				people[id] = true
				p.Org.Members = p.Org.Members.With(id, domain.Member{
					Grant: domain.Grant{Role: domain.Role(r.text("role")), ExpiresAt: r.time("expires_at")}, Suspended: r.text("suspended") == "1",
				})
				return nil
			})
		},
		func() error {
			byID := map[domain.GroupID]*domain.Group{}
			if err := each(groups, "", func(r past) error {
				id := domain.GroupID(r.text("group_id"))
				byID[id] = &domain.Group{ID: id, Org: org, Name: r.text("name"), Role: domain.Role(r.text("role"))}
				p.Groups = append(p.Groups, byID[id])
				return nil
			}); err != nil {
				return err
			}
			if err := each(groupProjects, one, func(r past) error {
				if g := byID[domain.GroupID(r.text("group_id"))]; g != nil {
					g.Projects = g.Projects.With(domain.ProjectID(r.text("project_id")), domain.Role(r.text("role")))
				}
				return nil
			}, oneArgs...); err != nil {
				return err
			}
			return each(groupMembers, " ORDER BY group_id", func(r past) error {
				id, user := domain.GroupID(r.text("group_id")), domain.UserID(r.text("user_id"))
				if g := byID[id]; g != nil {
					g.Members = g.Members.With(user, struct{}{})
					held, _ := p.Org.Members.Get(user)
					held.Groups = append(held.Groups, id)
					p.Org.Members = p.Org.Members.With(user, held)
				}
				return nil
			})
		},
		func() error {
			return each(projectRoles, one, func(r past) error {
				if project := projectsByID[domain.ProjectID(r.text("project_id"))]; project != nil {
					project.Overrides = project.Overrides.With(domain.UserID(r.text("user_id")), domain.Grant{Role: domain.Role(r.text("role")), ExpiresAt: r.time("expires_at")})
				}
				return nil
			}, oneArgs...)
		},
		func() error {
			return each(apiKeys, "", func(r past) error {
				k := &domain.Key{
					ID: domain.KeyID(r.text("key_id")), Public: r.text("public_key"), Name: r.text("name"), Project: domain.ProjectID(r.text("project_id")),
					User:        domain.UserID(r.text("user_id")),
					Permissions: catalog.Set(strings.Fields(r.text("organization_permissions")), strings.Fields(r.text("project_permissions"))),
					ExpiresAt:   r.time("expires_at"), RevokedAt: r.time("revoked_at"),
				}
				if k.Project == "" && k.User == "" {
					k.Org = org
				}
				for _, text := range strings.Fields(r.text("networks")) {
					if n, err := netip.ParsePrefix(text); err == nil {
						k.Networks = append(k.Networks, n)
					}
				}
				p.Keys = append(p.Keys, k)
				return nil
			})
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	// Who was a member then may not be one now: a reader of the organization does not see them, and there is nothing personal in the rows.
	err = m.All().Query(ctx, func(rows *sql.Rows) error {
		var id, status string
		err := rows.Scan(&id, &status)
		p.Users = append(p.Users, &domain.User{ID: domain.UserID(id), Status: userStatusOf(status)})
		return err
	}, fmt.Sprintf("SELECT user_id, status FROM {}users_history WHERE %s AND (user_id IN (SELECT user_id FROM {}members_history WHERE org_id = $2) OR user_id IN (SELECT user_id FROM {}instance_admins_history))", condition), arg, string(org))
	if err != nil {
		return nil, err
	}
	err = m.All().Query(ctx, func(rows *sql.Rows) error {
		var id domain.UserID
		err := rows.Scan(&id)
		p.Admins = append(p.Admins, id)
		return err
	}, "SELECT user_id FROM {}instance_admins_history WHERE "+condition, arg)
	if err != nil {
		return nil, err
	}
	if project != "" && projectsByID[project] == nil {
		return nil, ErrNotThere
	}
	return p.State(), nil
}

// past is a row of the past.
type past struct {
	n      noun
	values []sql.NullString
}

func (r past) text(column string) string {
	for i, c := range r.n.columns {
		if c == column {
			return r.values[i].String
		}
	}
	panic("no column " + column)
}

func (r past) time(column string) time.Time {
	var micros int64
	if text := r.text(column); text == "" {
		return time.Time{}
	} else if _, err := fmt.Sscan(text, &micros); err != nil {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func statusOf(text string) domain.Status {
	for s, name := range statuses {
		if name == text {
			return s
		}
	}
	return domain.Deleted
}

func userStatusOf(text string) domain.UserStatus {
	for s, name := range userStatuses {
		if name == text {
			return s
		}
	}
	return domain.UserIsErased
}

// GrantedIn is where the version of a row began that gave somebody something at a moment.
type GrantedIn struct {
	Position domain.Position
	Time     time.Time
}

// Granted answers, for each person of an organization, since when what gives them their role had been so at a moment: the override in
// the project, the membership, or the place in the group.
func Granted(ctx context.Context, m *readmodel.Model, org domain.OrgID, project domain.ProjectID, at At) (func(user domain.UserID, by domain.Reason, group domain.GroupID) GrantedIn, error) {
	condition, arg := at.condition()
	known := map[string]GrantedIn{}
	for kind, query := range map[string]string{
		"member":   "SELECT user_id, '', from_position, from_time FROM {}members_history WHERE org_id = $2 AND " + condition,
		"override": "SELECT user_id, '', from_position, from_time FROM {}project_roles_history WHERE org_id = $2 AND project_id = $3 AND " + condition,
		"group":    "SELECT user_id, group_id, from_position, from_time FROM {}group_members_history WHERE org_id = $2 AND " + condition,
	} {
		args := []any{arg, string(org)}
		if kind == "override" {
			args = append(args, string(project))
		}
		err := m.InOrg(string(org)).Query(ctx, func(rows *sql.Rows) error {
			var user, group string
			var position, began int64
			err := rows.Scan(&user, &group, &position, &began)
			known[kind+"/"+user+"/"+group] = GrantedIn{domain.Position(position), time.UnixMicro(began).UTC()}
			return err
		}, query, args...)
		if err != nil {
			return nil, err
		}
	}
	return func(user domain.UserID, by domain.Reason, group domain.GroupID) GrantedIn {
		switch by {
		case domain.ByProjectOverride:
			return known["override/"+string(user)+"/"]
		case domain.ByOrgGroup, domain.ByProjectGroup:
			return known["group/"+string(user)+"/"+string(group)]
		case domain.ByOrgRole:
			return known["member/"+string(user)+"/"]
		}
		return GrantedIn{}
	}, nil
}
