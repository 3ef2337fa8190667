package domain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
)

// reachable is one line of a list: a place, or a subject, with what gives it.
type reachable struct {
	id string
	by domain.Reason
	of domain.GroupID
}

// accessible lists what a user can reach behind a place.
func accessible(s *domain.State, id domain.UserID, only, org domain.OrgID, project domain.ProjectID, now time.Time) (list []reachable) {
	for a := range s.AccessibleAfter(id, only, org, project, now) {
		line := string(a.Org.ID) + "/"
		if a.Project != nil {
			line += string(a.Project.ID)
		}
		list = append(list, reachable{line, a.By, a.Effective.Group})
	}
	return list
}

// isMember tells whether roles or groups give a user anything in an organization, however little.
func isMember(s *domain.State, id domain.UserID, o *domain.Org, now time.Time) bool {
	m, _ := o.Members.Get(id)
	return !m.Suspended && s.EffectiveRole(id, domain.Place{Org: o}, now).Role != ""
}

// accessibleByCheck is the same, by asking Check for everything everywhere, in a world without instance admins.
func accessibleByCheck(s *domain.State, id domain.UserID, now time.Time) (list []reachable) {
	if u, ok := s.User(id); !ok || u.Status != domain.UserActive {
		return nil
	}
	for _, oid := range s.Orgs().Keys() {
		o, _ := s.Org(oid)
		if o.Status != domain.Active || !isMember(s, id, o, now) {
			continue
		}
		e := s.EffectiveRole(id, domain.Place{Org: o}, now)
		list = append(list, reachable{string(oid) + "/", e.By, e.Group})
		for _, pid := range s.Projects().Keys() {
			p, _ := s.Project(pid)
			place := domain.Place{Org: o, Project: p}
			if p.Org == oid && p.Status == domain.Active && mayAnything(s, id, place, now) {
				e := s.EffectiveRole(id, place, now)
				list = append(list, reachable{string(oid) + "/" + string(pid), e.By, e.Group})
			}
		}
	}
	return list
}

func mayAnything(s *domain.State, id domain.UserID, place domain.Place, now time.Time) bool {
	return slices.ContainsFunc(s.Catalog().Entries(), func(e domain.CatalogEntry) bool {
		return e.Level == domain.ProjectLevel && s.Check(user(id), s.Catalog().Parse(e.Level, e.Name), place, now).Allowed
	})
}

func subjects(s *domain.State, p domain.Permission, place domain.Place, id domain.UserID, key domain.KeyID, admins bool, now time.Time) (list []reachable) {
	for x := range s.SubjectsAfter(p, place, id, key, admins, now) {
		line := "user " + string(x.User)
		if x.Key != "" {
			line = "key " + string(x.Key)
		}
		list = append(list, reachable{line, x.By, x.Effective.Group})
	}
	return list
}

// subjectsByCheck asks Check for everybody. Who holds a permission as an instance admin alone counts only if admins is set.
func subjectsByCheck(s, without *domain.State, p domain.Permission, place domain.Place, admins bool, now time.Time) (list []reachable) {
	asMember, err := without.Place(place.Org.ID, projectOf(place))
	if err != nil {
		panic(err)
	}
	for _, id := range s.Users().Keys() {
		e := s.EffectiveRole(id, place, now)
		switch v := s.Check(user(id), p, place, now); {
		case !v.Allowed:
		case admins && s.IsAdmin(user(id)):
			list = append(list, reachable{"user " + string(id), domain.ByInstanceAdmin, ""})
		case without.Check(user(id), p, asMember, now).Allowed:
			list = append(list, reachable{"user " + string(id), e.By, e.Group})
		}
	}
	for _, id := range s.Keys().Keys() {
		k, _ := s.Key(id)
		mine := k.Org == place.Org.ID || k.Project != "" && k.Project == projectOf(place) || admins && s.InstanceKeys().Has(id)
		if v := s.Check(domain.KeyActor(k, ""), p, place, now); mine && v.Allowed {
			list = append(list, reachable{"key " + string(id), v.Reason, ""})
		}
	}
	return list
}

func projectOf(place domain.Place) domain.ProjectID {
	if place.Project == nil {
		return ""
	}
	return place.Project.ID
}

// TestReach: in any world, what the lists say is what Check says, complete and without doubles, from any line on. Fails if one of
// the lists leaves out a state, a suspension or a group, or a cursor repeats or skips a line: tried, for each.
func TestReach(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := randomWorld(t)
		without := s
		for _, id := range s.Admins().Keys() {
			without = must(t, without, domain.RevokeInstanceAdmin{User: id})
		}
		now := in(rapid.SampledFrom([]time.Duration{0, hour}).Draw(t, "after"))
		for _, id := range s.Users().Keys() {
			all := accessible(s, id, "", "", "", now)
			if want := accessibleByCheck(without, id, now); !slices.Equal(all, want) {
				t.Fatalf("%s can reach %v, by Check %v", id, all, want)
			}
			for i, line := range all {
				org, project, _ := strings.Cut(line.id, "/")
				if rest := accessible(s, id, "", domain.OrgID(org), domain.ProjectID(project), now); !slices.Equal(rest, all[i+1:]) {
					t.Fatalf("behind %s %s can reach %v of %v", line.id, id, rest, all)
				}
				inOrg := slices.DeleteFunc(slices.Clone(all), func(r reachable) bool { return !strings.HasPrefix(r.id, org+"/") })
				if alone := accessible(s, id, domain.OrgID(org), "", "", now); !slices.Equal(alone, inOrg) {
					t.Fatalf("in %s alone %s can reach %v of %v", org, id, alone, all)
				}
			}
		}

		place := rapid.SampledFrom(places(s)).Draw(t, "place")
		level, admins := domain.OrgLevel, rapid.Bool().Draw(t, "admins")
		if place.Project != nil {
			level = domain.ProjectLevel
		}
		p := s.Catalog().Parse(level, rapid.SampledFrom(words("auditLogs:read members:CUD")).Draw(t, "permission"))
		list := subjects(s, p, place, "", "", admins, now)
		if want := subjectsByCheck(s, without, p, place, admins, now); !slices.Equal(list, want) {
			t.Fatalf("in %s listed %v, by Check %v", place.Org.ID, list, want)
		}
		for i, line := range list {
			kind, id, _ := strings.Cut(line.id, " ")
			after, key := domain.UserID(id), domain.KeyID("")
			if kind == "key" {
				after, key = "", domain.KeyID(id)
			}
			if rest := subjects(s, p, place, after, key, admins, now); !slices.Equal(rest, list[i+1:]) {
				t.Fatalf("behind %s listed %v of %v", line.id, rest, list)
			}
		}
	})
}

func places(s *domain.State) (list []domain.Place) {
	for _, id := range s.Orgs().Keys() {
		o, _ := s.Org(id)
		list = append(list, domain.Place{Org: o})
	}
	for _, id := range s.Projects().Keys() {
		p, _ := s.Project(id)
		o, _ := s.Org(p.Org)
		list = append(list, domain.Place{Org: o, Project: p})
	}
	return list
}

func must(t *rapid.T, s *domain.State, c domain.Command) *domain.State {
	next, err := fold(s, []domain.Command{c})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// randomWorld is the world after some commands of the instance, those that are refused left out.
func randomWorld(t *rapid.T) *domain.State {
	s, err := fold(world(), with(customRoles, accounts...))
	if err != nil {
		t.Fatal(err)
	}
	people := []domain.UserID{"olga", "adam", "ivan", "mia", "vic", "nora", "sam", "gary", "bot"}
	who := func() domain.UserID { return rapid.SampledFrom(people).Draw(t, "who") }
	org := func() domain.OrgID {
		return rapid.SampledFrom([]domain.OrgID{"acme", "acme", "globex", "empty"}).Draw(t, "org")
	}
	role := func() domain.Role {
		return rapid.SampledFrom([]domain.Role{domain.Owner, domain.Admin, domain.Viewer, domain.None, "Editor", "Reaper"}).Draw(t, "role")
	}
	ends := func() time.Time { return rapid.SampledFrom([]time.Time{never, never, in(hour)}).Draw(t, "until") }
	project := func() domain.ProjectID { return rapid.SampledFrom(s.Projects().Keys()).Draw(t, "project") }
	for range rapid.IntRange(0, 25).Draw(t, "commands") {
		fresh := rapid.StringMatching(`[a-z]{3}`).Draw(t, "id")
		var c domain.Command
		switch rapid.IntRange(0, 13).Draw(t, "what") {
		case 0, 1:
			c = domain.GrantRole{Org: org(), User: who(), Role: role(), ExpiresAt: ends()}
		case 2, 3:
			c = domain.GrantRole{Project: project(), User: who(), Role: role(), ExpiresAt: ends()}
		case 4:
			c = domain.RevokeRole{Org: org(), User: who()}
		case 5, 6, 7:
			g := domain.CreateGroup{ID: domain.GroupID(fresh), Org: org(), GroupName: fresh, Role: role(), Users: []domain.UserID{who(), who()}}
			if rapid.Bool().Draw(t, "in project") {
				g.ProjectRoles = []domain.ProjectRole{{Project: project(), Role: role()}}
			}
			c = g
		case 8:
			c = domain.SuspendMember{Org: org(), User: who()}
		case 9:
			c = domain.GrantInstanceAdmin{User: who()}
		case 10:
			c = domain.CreateProject{ID: domain.ProjectID(fresh), Org: org(), ProjectName: fresh}
		case 11:
			c = rapid.SampledFrom([]domain.Command{
				domain.SuspendOrg{ID: org()}, domain.DeleteOrg{ID: org(), Cascade: true}, domain.DeleteProject{ID: project()}, domain.DeactivateUser{ID: who()},
				domain.TransferProject{ID: project(), Target: org(), KeepOverrides: true},
			}).Draw(t, "ends")
		case 12:
			c = domain.CreateKey{Minted: minted(domain.KeyID("k_" + fresh)), Project: project(), ExpiresAt: ends(), Preset: domain.PresetReadOnly}
		case 13:
			c = domain.CreateKey{Minted: minted(domain.KeyID("k_" + fresh)), Org: org(), ExpiresAt: ends()}
		}
		if next, err := fold(s, []domain.Command{c}); err == nil {
			s = next
		} else if refusal(err) == nil {
			t.Fatal(err)
		}
	}
	return s
}

// A list in one world, by hand: groups, blocks, what is not active, and instance admins who are members as well.
func TestReachByHand(t *testing.T) {
	t.Parallel()
	s := given(t, with(confused, domain.GrantInstanceAdmin{User: "sam"}, domain.GrantRole{Org: "globex", User: "sam", Role: domain.None})...)
	// Of the groups a and b VIEWER holds more than Editor does.
	want := []reachable{
		{"acme/", domain.ByOrgGroup, "a"}, {"acme/old", domain.ByOrgGroup, "a"}, {"acme/web", domain.ByProjectOverride, ""}, {"globex/", domain.ByOrgRole, ""},
	}
	if got := accessible(s, "sam", "", "", "", began); !slices.Equal(got, want) {
		t.Errorf("sam can reach %v, want %v", got, want)
	}
	web := at(t, s, "project web")
	read := asks(t, s, web, "project:read")
	members := []reachable{
		{"user bot", domain.ByOrgRole, ""}, {"user gary", domain.ByProjectOverride, ""}, {"user mia", domain.ByOrgRole, ""}, {"user nora", domain.ByProjectGroup, "team"},
		{"user olga", domain.ByProjectGroup, "team"}, {"user sam", domain.ByProjectOverride, ""},
		{"key k_acme", domain.ByKeyPermission, ""}, {"key k_late", domain.ByKeyPermission, ""}, {"key k_web", domain.ByKeyPermission, ""},
	}
	if got := subjects(s, read, web, "", "", false, began); !slices.Equal(got, members) {
		t.Errorf("of web's readers listed %v, want %v", got, members)
	}
	all := subjects(s, read, web, "", "", true, began)
	for _, line := range []reachable{{"user ivan", domain.ByInstanceAdmin, ""}, {"user sam", domain.ByInstanceAdmin, ""}, {"key k_root", domain.ByInstanceAdmin, ""}} {
		if !slices.Contains(all, line) {
			t.Errorf("with instance admins listed %v, without %v", all, line)
		}
	}
}
