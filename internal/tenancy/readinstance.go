package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// erased stands where the server destroyed personal data.
const erased = "<erased>"

// readUsers reads everybody, or those who are named somewhere.
func (r *reader) readUsers(ctx context.Context) error {
	if r.everything() {
		list, err := all(ctx, r.users.ListUsers,
			func(token string) *tenurev1.ListUsersRequest {
				return &tenurev1.ListUsersRequest{PageSize: pageSize, PageToken: token}
			},
			func(res *tenurev1.ListUsersResponse) ([]*tenurev1.User, string) { return res.Users, res.NextPageToken })
		if err != nil {
			return err
		}
		r.present.Users = Section[User]{}
		for _, u := range list {
			if u.Email != "" && u.Email != erased {
				r.addUser(u)
			}
		}
		r.sortUsers()
		return nil
	}
	listed, others := r.named()
	if listed != nil {
		r.present.Users = Section[User]{}
	}
	users := make([]*tenurev1.User, len(listed)+len(others))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, email := range slices.Concat(listed, others) {
		group.Go(func() error {
			res, err := r.users.ListUsers(groupCtx, &tenurev1.ListUsersRequest{Email: email})
			switch {
			case i >= len(listed) && connect.CodeOf(err) == connect.CodePermissionDenied:
				// Who may not look people up can still name those who are members.
				return nil
			case err != nil:
				return fmt.Errorf("user %s: %w", email, err)
			}
			for _, u := range res.Users {
				users[i] = u
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, u := range users {
		switch {
		case u == nil:
		case i < len(listed):
			r.addUser(u)
		default:
			r.present.people[u.Email] = u.Id
		}
	}
	r.sortUsers()
	return nil
}

func (r *reader) addUser(u *tenurev1.User) {
	user := User{Email: u.Email, Name: u.Name, id: u.Id}
	if u.Status == tenurev1.UserStatus_USER_STATUS_DEACTIVATED {
		user.Deactivated = new(true)
	}
	r.present.Users = append(r.present.Users, user)
	r.present.people[u.Email] = u.Id
}

func (r *reader) sortUsers() {
	slices.SortFunc(r.present.Users, func(a, b User) int { return strings.Compare(a.Email, b.Email) })
}

// named are the people whose accounts are looked up in full, and those of whom the id is enough and not known yet.
func (r *reader) named() (listed, others []string) {
	if r.file == nil {
		for email := range r.present.people {
			listed = append(listed, email)
		}
		slices.Sort(listed)
		return listed, nil
	}
	if r.file.Users != nil {
		listed = []string{}
	}
	for _, u := range r.file.Users {
		listed = append(listed, u.Email)
	}
	for _, email := range r.file.emails() {
		if _, known := r.present.people[email]; !known && !slices.Contains(listed, email) {
			others = append(others, email)
		}
	}
	return listed, others
}

// emails are all those outside Users, each once.
func (f *File) emails() []string {
	list := slices.Clone([]string(f.InstanceAdmins))
	for _, o := range f.Organizations {
		for _, m := range o.Members {
			list = append(list, m.Email)
		}
		for _, g := range o.Groups {
			for _, m := range g.Members {
				if strings.Contains(m, "@") && !slices.ContainsFunc(o.ServiceAccounts, func(a ServiceAccount) bool { return a.Name == m }) {
					list = append(list, m)
				}
			}
		}
		for _, p := range o.Projects {
			for _, v := range p.Overrides {
				if v.Email != "" {
					list = append(list, v.Email)
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (r *reader) readPlans(ctx context.Context) error {
	if r.file != nil && r.file.Plans == nil && !r.uses(func(o Org) *string { return o.Plan }) {
		return nil
	}
	list, err := all(ctx, r.plans.ListPlans,
		func(token string) *tenurev1.ListPlansRequest {
			return &tenurev1.ListPlansRequest{PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListPlansResponse) ([]*tenurev1.Plan, string) { return res.Plans, res.NextPageToken })
	if err != nil {
		return err
	}
	r.present.Plans = Section[QuotaPlan]{}
	for _, p := range list {
		if len(r.only) > 0 && !slices.ContainsFunc(r.present.Organizations, func(o Org) bool { return o.Plan != nil && *o.Plan == p.Id }) {
			continue
		}
		q := &Quotas{}
		if p.Quotas != nil {
			q.Projects, q.Members, q.Keys = p.Quotas.Projects, p.Quotas.Members, p.Quotas.Keys
		}
		r.present.Plans = append(r.present.Plans, QuotaPlan{ID: p.Id, Name: p.Name, Quotas: q})
	}
	return nil
}

func (r *reader) readDataPlanes(ctx context.Context) error {
	if r.file != nil && r.file.DataPlanes == nil && !r.uses(func(o Org) *string { return o.DataPlane }) {
		return nil
	}
	list, err := all(ctx, r.dataPlanes.ListDataPlanes,
		func(token string) *tenurev1.ListDataPlanesRequest {
			return &tenurev1.ListDataPlanesRequest{PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListDataPlanesResponse) ([]*tenurev1.DataPlane, string) {
			return res.DataPlanes, res.NextPageToken
		})
	if err != nil {
		return err
	}
	r.present.DataPlanes = Section[DataPlane]{}
	for _, d := range list {
		if len(r.only) > 0 && !slices.ContainsFunc(r.present.Organizations, func(o Org) bool { return o.DataPlane != nil && *o.DataPlane == d.Id }) {
			continue
		}
		plane := DataPlane{ID: d.Id, BaseURL: d.BaseUrl, Region: given(d.Region), KeyScheme: d.KeyScheme}
		if d.Dedicated {
			plane.Dedicated = new(true)
		}
		r.present.DataPlanes = append(r.present.DataPlanes, plane)
	}
	return nil
}

func (r *reader) readAdmins(ctx context.Context) error {
	if !r.everything() && (r.file == nil || r.file.InstanceAdmins == nil) {
		return nil
	}
	ids, err := all(ctx, r.instance.ListInstanceAdmins,
		func(token string) *tenurev1.ListInstanceAdminsRequest {
			return &tenurev1.ListInstanceAdminsRequest{PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListInstanceAdminsResponse) ([]string, string) {
			return res.UserIds, res.NextPageToken
		})
	if err != nil {
		return err
	}
	r.present.InstanceAdmins = Section[string]{}
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range ids {
		group.Go(func() error {
			res, err := r.users.GetUser(groupCtx, &tenurev1.GetUserRequest{UserId: id})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if res.User.Email != erased {
				r.present.InstanceAdmins = append(r.present.InstanceAdmins, res.User.Email)
				r.present.people[res.User.Email] = id
			}
			return nil
		})
	}
	err = group.Wait()
	slices.Sort(r.present.InstanceAdmins)
	return err
}
