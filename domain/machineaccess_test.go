package domain_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// checks holds what Check answers about every actor at every place against the model: one part of the questions out of several,
// because all of them take long.
func (m *machine) checks(t rapid.TB, part, of int) {
	actors := []domain.Actor{instance}
	for _, u := range sorted(m.model.users) {
		actors = append(actors, user(u))
	}
	for _, id := range sorted(m.model.keys) {
		k, _ := m.state.Key(id)
		actors = append(actors, domain.KeyActor(k, "basic"))
	}
	for i, q := range m.model.questions() {
		place := m.place(t, q.org, q.project)
		p := m.state.Catalog().Parse(q.level, q.name)
		for j, a := range actors {
			if (i+j)%of != part {
				continue
			}
			got := m.state.Check(a, p, place, m.now)
			if want := m.model.may(a, q.levelled, q.org, q.project, m.now); got.Allowed != want {
				t.Fatalf("%s with key %q asks for %s in %s %s: %+v, want %t", a, a.Key, q.name, q.org, q.project, got, want)
			}
		}
	}
}

func (m *machine) place(t rapid.TB, o domain.OrgID, p domain.ProjectID) domain.Place {
	place, err := m.state.Place(o, p)
	if err != nil || place.Org.ID != o {
		t.Fatalf("%s %s is at %v, %v", o, p, place.Org, err)
	}
	return place
}

// everywhere asks all that can be asked.
func (m *machine) everywhere(t rapid.TB) {
	m.checks(t, 0, 1)
	m.keySets(t, 0, 1)
	m.explanations(t)
	m.accessible(t)
	m.subjects(t)
	for u := range m.model.users {
		for _, q := range m.model.questions() {
			if got, want := m.state.EffectiveRole(u, m.place(t, q.org, q.project), m.now).Role, m.model.role(u, q.org, q.project, m.now); got != want {
				t.Fatalf("%s is %q in %s %s, want %q", u, got, q.org, q.project, want)
			}
		}
	}
}

// explanations: Explain answers as Check does, and some step says why.
func (m *machine) explanations(t rapid.TB) {
	for _, q := range m.model.questions() {
		place, p := m.place(t, q.org, q.project), m.state.Catalog().Parse(q.level, q.name)
		if p == 0 {
			continue
		}
		actors := []domain.Actor{instance}
		for u := range m.model.users {
			actors = append(actors, user(u))
		}
		for id := range m.model.keys {
			k, _ := m.state.Key(id)
			actors = append(actors, domain.KeyActor(k, "basic"))
		}
		for _, a := range actors {
			verdict, steps := m.state.Explain(a, p, place, m.now)
			if want := m.state.Check(a, p, place, m.now); verdict != want {
				t.Fatalf("%s asks for %s: explained as %+v, is %+v", a, q.name, verdict, want)
			}
			explained := slices.ContainsFunc(steps, func(s domain.Step) bool {
				return s.Finding == domain.Decides || !verdict.Allowed && slices.Contains([]domain.Finding{domain.Denies, domain.Absent, domain.Over}, s.Finding)
			})
			if !explained {
				t.Fatalf("%s asks for %s: %+v, and no step of %+v says why", a, q.name, verdict, steps)
			}
		}
	}
}

type reached struct {
	org     domain.OrgID
	project domain.ProjectID
	role    domain.Role
}

// accessible: AccessibleAfter is what brute force finds, from everywhere on.
func (m *machine) accessible(t rapid.TB) {
	for u, account := range m.model.users {
		var want []reached
		for _, o := range sorted(m.model.orgs) {
			role := m.model.role(u, o, "", m.now)
			if role == "" || m.model.orgs[o].status != domain.Active || m.model.orgs[o].suspended[u] || account.status != domain.UserActive {
				continue
			}
			want = append(want, reached{o, "", role})
			for _, p := range sorted(m.model.projects) {
				if m.model.projects[p].org == o && !m.model.projects[p].deleted && len(m.model.heldBy(u, o, p, m.now)) > 0 {
					want = append(want, reached{o, p, m.model.role(u, o, p, m.now)})
				}
			}
		}
		for i := range len(want) + 1 {
			var after, last reached
			if i > 0 {
				after = want[i-1]
				last = after
			}
			var got []reached
			for a := range m.state.AccessibleAfter(u, "", after.org, after.project, m.now) {
				next := reached{a.Org.ID, "", a.Role}
				if a.Project != nil {
					next.project = a.Project.ID
				}
				got = append(got, next)
			}
			if !slices.Equal(got, want[i:]) {
				t.Fatalf("behind %+v %s can reach %+v, want %+v", last, u, got, want[i:])
			}
		}
	}
}

// subjects: SubjectsAfter is what Check says of everybody, from everywhere on.
func (m *machine) subjects(t rapid.TB) {
	for _, q := range m.model.questions() {
		place, p := m.place(t, q.org, q.project), m.state.Catalog().Parse(q.level, q.name)
		for _, admins := range []bool{false, true} {
			var want []string
			for _, u := range sorted(m.model.users) {
				member := m.model.isMember(u, q.org) && m.model.byRole(u, q.levelled, q.org, q.project, m.now) && m.model.usable(q.org, q.project)
				if m.model.may(user(u), q.levelled, q.org, q.project, m.now) && (admins || member || !m.model.admins[u]) {
					want = append(want, "user "+string(u))
				}
			}
			for _, id := range sorted(m.model.keys) {
				k, _ := m.state.Key(id)
				if k.User == "" && (admins || k.Org != "" || k.Project != "") && m.model.may(domain.KeyActor(k, ""), q.levelled, q.org, q.project, m.now) {
					want = append(want, "key "+string(id))
				}
			}
			var all []domain.Subject
			for s := range m.state.SubjectsAfter(p, place, "", "", admins, m.now) {
				all = append(all, s)
			}
			if got := subjectNames(all); !slices.Equal(got, want) {
				t.Fatalf("%s in %s %s, admins %t: held by %q, want %q", q.name, q.org, q.project, admins, got, want)
			}
			for i, s := range all {
				if next := slices.Collect(m.state.SubjectsAfter(p, place, s.User, s.Key, admins, m.now)); !slices.Equal(subjectNames(next), want[i+1:]) {
					t.Fatalf("%s in %s %s behind %+v: %q, want %q", q.name, q.org, q.project, s, subjectNames(next), want[i+1:])
				}
			}
		}
	}
}

func subjectNames(list []domain.Subject) (names []string) {
	for _, s := range list {
		if s.User != "" {
			names = append(names, "user "+string(s.User))
		} else {
			names = append(names, "key "+string(s.Key))
		}
	}
	return names
}

// usable tells whether a place is in use.
func (m *model) usable(o domain.OrgID, p domain.ProjectID) bool {
	return m.orgs[o].status == domain.Active && (p == "" || !m.projects[p].deleted)
}
