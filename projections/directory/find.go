package directory

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/readmodel"
)

// fold is text as it is searched: whatever the case of its letters.
func fold(parts ...string) string { return strings.ToLower(strings.Join(parts, "\n")) }

// like is a pattern that finds text anywhere.
func like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(fold(text)) + "%"
}

func ids[K ~string](ctx context.Context, s readmodel.Scope, query string, args ...any) (list []K, err error) {
	err = s.Query(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		list = append(list, K(id))
		return err
	}, query, args...)
	return list, err
}

// SearchUsers finds people by a part of their e-mail or name, by id.
func SearchUsers(ctx context.Context, m *readmodel.Model, text string, after domain.UserID, limit int) ([]domain.UserID, error) {
	return ids[domain.UserID](ctx, m.All(), fmt.Sprintf(`SELECT user_id FROM {}profiles WHERE sought LIKE $1 ESCAPE '\' AND user_id > $2 ORDER BY user_id LIMIT %d`, limit),
		like(text), string(after))
}

// SearchOrgs finds organizations that are not deleted by a part of their name or of a value of their metadata, by id.
func SearchOrgs(ctx context.Context, m *readmodel.Model, text string, after domain.OrgID, limit int) ([]domain.OrgID, error) {
	return ids[domain.OrgID](ctx, m.All(), fmt.Sprintf(`SELECT org_id FROM {}organizations WHERE sought LIKE $1 ESCAPE '\' AND status <> 'deleted' AND org_id > $2 ORDER BY org_id LIMIT %d`, limit),
		like(text), string(after))
}

// KeySearch is which keys to look for.
type KeySearch struct {
	// Org is whose keys, its projects' among them; all if it is empty.
	Org domain.OrgID
	// Now is when keys must be active, ExpiresBefore until when they must end, if given, CreatedBefore before when they were made, if
	// given.
	Now, ExpiresBefore, CreatedBefore time.Time
	After                             domain.KeyID
	Limit                             int
}

// FindKeys finds active keys of active organizations and projects, by id.
func FindKeys(ctx context.Context, m *readmodel.Model, s KeySearch) ([]domain.KeyID, error) {
	scope, args := m.All(), []any{s.Now.UnixMicro(), string(s.After)}
	query := `SELECT k.key_id FROM {}api_keys k LEFT JOIN {}organizations o ON o.org_id = k.org_id LEFT JOIN {}projects p ON p.project_id = k.project_id
		WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $1) AND (o.status IS NULL OR o.status = 'active')
			AND (p.status IS NULL OR p.status = 'active') AND k.key_id > $2`
	need := func(condition string, arg any) {
		args = append(args, arg)
		query += fmt.Sprintf(" AND "+condition, len(args))
	}
	if s.Org != "" {
		scope = m.InOrg(string(s.Org))
		need("k.org_id = $%d", string(s.Org))
	}
	if !s.ExpiresBefore.IsZero() {
		need("k.expires_at <= $%d", s.ExpiresBefore.UnixMicro())
	}
	if !s.CreatedBefore.IsZero() {
		need("k.created_at < $%d", s.CreatedBefore.UnixMicro())
	}
	return ids[domain.KeyID](ctx, scope, query+fmt.Sprintf(" ORDER BY k.key_id LIMIT %d", s.Limit), args...)
}

// Holder is somebody with a role in a project.
type Holder struct {
	Org       domain.OrgID
	Project   domain.ProjectID
	User      domain.UserID
	Role      domain.Role
	By        domain.Reason
	Group     domain.GroupID
	ExpiresAt time.Time
}

// FindHolders finds who holds a role, or else a permission, in any project, behind one of them. Who holds a permission by several
// groups is found once, by the first of them. It looks at one organization after the other, so that a page costs what is near it and
// not what there is.
func FindHolders(ctx context.Context, m *readmodel.Model, role domain.Role, permission string, after Holder, limit int) (list []Holder, err error) {
	holding, arg := "role = $1", string(role)
	if role == "" {
		holding = `role IN (SELECT r.role FROM {}roles r WHERE r.org_id IN ('', o.org_id) AND ' ' || r.project_permissions || ' ' LIKE $1 ESCAPE '\')`
		arg = "% " + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(permission) + " %"
	}
	var given []string
	for _, table := range []string{"members", "groups", "project_roles", "group_project_roles"} {
		given = append(given, fmt.Sprintf("EXISTS (SELECT 1 FROM {}%s x WHERE x.org_id = o.org_id AND x.%s)", table, holding))
	}
	near := fmt.Sprintf(`SELECT o.org_id FROM {}organizations o WHERE o.status = 'active' AND o.org_id >= $2 AND (%s) ORDER BY o.org_id LIMIT 100`,
		strings.Join(given, " OR "))
	for from := after.Org; ; {
		orgs, err := ids[domain.OrgID](ctx, m.All(), near, arg, string(from))
		if err != nil {
			return nil, err
		}
		for _, org := range orgs {
			if from = org; org > after.Org {
				after = Holder{Org: org}
			}
			if err := holdersIn(ctx, m, role, arg, after, limit-len(list), &list); err != nil || len(list) == limit {
				return list, err
			}
		}
		if len(orgs) < 100 {
			return list, nil
		}
		// The next organization is behind this one: no id has a blank.
		from += " "
	}
}

// holdersIn finds those of one organization.
func holdersIn(ctx context.Context, m *readmodel.Model, role domain.Role, arg string, after Holder, limit int, list *[]Holder) error {
	from, condition := "{}effective_access e", "e.role = $3"
	if role == "" {
		from = `(SELECT g.org_id, g.project_id, g.user_id, g.role, g.source, g.group_id, g.expires_at,
				ROW_NUMBER() OVER (PARTITION BY g.org_id, g.project_id, g.user_id ORDER BY g.group_id, g.role) AS nr
			FROM {}effective_grants g JOIN {}roles r ON r.role = g.role AND r.org_id IN ('', g.org_id)
			WHERE ' ' || r.project_permissions || ' ' LIKE $3 ESCAPE '\') e`
		condition = "e.nr = 1"
	}
	return m.InOrg(string(after.Org)).Query(ctx, func(rows *sql.Rows) error {
		var h Holder
		var source string
		var expires sql.NullInt64
		err := rows.Scan(&h.Org, &h.Project, &h.User, &h.Role, &source, &h.Group, &expires)
		h.By = by[source]
		if expires.Valid {
			h.ExpiresAt = time.UnixMicro(expires.Int64).UTC()
		}
		*list = append(*list, h)
		return err
	}, fmt.Sprintf(`SELECT e.org_id, e.project_id, e.user_id, e.role, e.source, e.group_id, e.expires_at FROM %s
		WHERE %s AND (e.project_id, e.user_id) > ($1, $2) ORDER BY e.project_id, e.user_id LIMIT %d`, from, condition, limit),
		string(after.Project), string(after.User), arg)
}

// by are the domain's words for what the view calls a source.
var by = map[string]domain.Reason{
	"ORGANIZATION_ROLE": domain.ByOrgRole, "ORGANIZATION_GROUP": domain.ByOrgGroup, "PROJECT_OVERRIDE": domain.ByProjectOverride,
	"PROJECT_GROUP": domain.ByProjectGroup,
}
