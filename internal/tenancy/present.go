package tenancy

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Present is what an installation holds, as far as it was read.
type Present struct {
	File
	// people are ids by e-mail, also of those who are not in Users.
	people map[string]string
	// deleted are names of organizations that were deleted, by id.
	deleted map[string]string
	// notes are what a file can't say about it.
	notes []string
}

// Read answers all that a file is about, and no more. Call it with the file that is to be planned.
func Read(ctx context.Context, s Server, f *File) (*Present, error) {
	return readSteady(ctx, s, scope{file: f})
}

// Export answers everything, or what concerns some organizations, given by name or id.
func Export(ctx context.Context, s Server, organizations ...string) (*Present, error) {
	return readSteady(ctx, s, scope{only: organizations})
}

// attempts is how often reading begins again because the installation changed meanwhile. The last one is taken as it is: every
// change is decided by the server anyway, on the state it then has.
const attempts = 3

func readSteady(ctx context.Context, s Server, sc scope) (*Present, error) {
	for attempt := 1; ; attempt++ {
		v := &view{}
		r := &reader{clients: s.clients(v.intercept), scope: sc, present: &Present{people: map[string]string{}, deleted: map[string]string{}}}
		if err := r.read(ctx); err != nil {
			return nil, err
		}
		if !v.moved || attempt == attempts {
			return r.present, nil
		}
	}
}

// scope is what is wanted: what a file is about, else some organizations, else everything.
type scope struct {
	file *File
	only []string
}

func (s scope) everything() bool { return s.file == nil && len(s.only) == 0 }

// uses tells whether an organization in the file names something by this field.
func (s scope) uses(field func(Org) *string) bool {
	return s.file == nil || slices.ContainsFunc(s.file.Organizations, func(o Org) bool { return field(o) != nil && *field(o) != "" })
}

type reader struct {
	clients
	scope
	present *Present
	// orgs are all organizations that are there.
	orgs []*tenurev1.Org
}

// read makes one call after another where the next depends on it, and several at once over organizations and people.
func (r *reader) read(ctx context.Context) error {
	// The first answer sets the state that the others are not older than.
	if _, err := r.instance.GetInstance(ctx, &tenurev1.GetInstanceRequest{}); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{r.readOrgs, r.readUsers, r.readPlans, r.readDataPlanes, r.readAdmins, r.readPolicy} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readOrgs(ctx context.Context) error {
	list, err := all(ctx, r.clients.orgs.ListOrgs,
		func(token string) *tenurev1.ListOrgsRequest {
			return &tenurev1.ListOrgsRequest{PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListOrgsResponse) ([]*tenurev1.Org, string) { return res.Orgs, res.NextPageToken })
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.Status == tenurev1.Status_STATUS_DELETED {
			r.present.deleted[o.Id] = o.Name
		} else {
			r.orgs = append(r.orgs, o)
		}
	}
	if err := r.found(); err != nil {
		return err
	}
	read := make([]*orgReader, len(r.orgs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, o := range r.orgs {
		want, ok := r.wanted(o)
		read[i] = &orgReader{reader: r, want: want, org: orgFields(o), people: map[string]User{}}
		if ok {
			group.Go(func() error { return read[i].read(groupCtx, o.Name) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.present.Organizations = Section[Org]{}
	for i, o := range read {
		if _, ok := r.wanted(r.orgs[i]); !ok && r.file == nil {
			continue
		}
		r.present.Organizations = append(r.present.Organizations, o.org)
		for email, u := range o.people {
			r.present.people[email] = u.id
		}
	}
	slices.SortFunc(r.present.Organizations, func(a, b Org) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return nil
}

// wanted tells whether an organization is to be read, and what of it; nil is everything.
func (r *reader) wanted(o *tenurev1.Org) (*Org, bool) {
	if r.file == nil {
		return nil, len(r.only) == 0 || slices.Contains(r.only, o.Id) || slices.Contains(r.only, o.Name)
	}
	for _, same := range []func(Org) bool{
		func(w Org) bool { return w.ID == o.Id },
		func(w Org) bool { return w.ID == "" && w.Name == o.Name },
	} {
		if i := slices.IndexFunc(r.file.Organizations, same); i >= 0 {
			return &r.file.Organizations[i], true
		}
	}
	if r.file.Policy != nil {
		for _, g := range r.file.Policy.SignUp {
			if g.Organization == o.Id || g.Organization == o.Name {
				// Only its projects are asked for.
				return &Org{}, true
			}
		}
	}
	return nil, false
}

// found refuses names of organizations that are not there.
func (r *reader) found() error {
	var m mistakes
	for _, name := range r.only {
		m.at(!slices.ContainsFunc(r.orgs, func(o *tenurev1.Org) bool { return o.Id == name || o.Name == name }),
			"organization "+name, "there is none of this name or id that you can see")
	}
	if len(m.list) > 0 {
		return m.list
	}
	return nil
}

func orgFields(o *tenurev1.Org) Org {
	org := Org{
		ID: o.Id, Name: o.Name, Metadata: o.Metadata,
		Plan: given(o.PlanId), Residency: given(o.Residency), DataPlane: given(o.DataPlaneId),
	}
	if o.Status == tenurev1.Status_STATUS_SUSPENDED {
		org.Suspended = new(true)
	}
	return org
}

// given is nil for what is empty.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// pageSize is the most that a list answers at once.
const pageSize = 1000

// all reads every page of a list.
func all[Req, Res, T any](ctx context.Context, call func(context.Context, *Req) (*Res, error), page func(token string) *Req, items func(*Res) ([]T, string)) (list []T, err error) {
	for token := ""; ; {
		res, err := call(ctx, page(token))
		if err != nil {
			return nil, err
		}
		var some []T
		some, token = items(res)
		list = append(list, some...)
		if token == "" {
			return list, nil
		}
	}
}
