package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections/projectionstest"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/readmodel/readmodeltest"
)

// What the rows say about any moment of the past is what the state said then: every person, key and permission of every organization and
// project, with the reason. Asked by position and by time. Seen to fail with the groups left out, and with the versions of now.
func TestThePastIsAsItWas(t *testing.T) {
	t.Parallel()
	both := readmodeltest.Both(t)
	for _, log := range projectionstest.Histories(t) {
		catalog := log[len(log)-1].After.Catalog()
		for _, d := range both {
			m := generation(t, d, readmodel.Scratch)
			fill(t, m, log, len(log))
			for range 2 {
				i := rand.IntN(len(log))
				then := log[i].After
				now := log[i].Commit.Time.AsTime()
				for _, at := range []At{{Position: then.Position}, {Time: now}} {
					if at.Position == 0 && i+1 < len(log) && log[i+1].Commit.Time.AsTime().Equal(now) {
						continue // the time is that of a later position too
					}
					for id := range then.Orgs().All() {
						past, err := Past(t.Context(), m, catalog, id, "", at)
						if err != nil {
							t.Fatal(err)
						}
						compareAccess(t, d.Engine(), log, catalog, then, past, domain.OrgID(id), now)
					}
				}
			}
			if _, err := Past(t.Context(), m, catalog, "nowhere", "", At{Position: 3}); !errors.Is(err, ErrNotThere) {
				t.Errorf("an organization that never was: %v", err)
			}
		}
	}
}

func compareAccess(t *testing.T, engine string, log []eventstore.Folded, catalog *domain.Catalog, then, past *domain.State, org domain.OrgID, now time.Time) {
	t.Helper()
	o, _ := then.Org(org)
	places := []domain.Place{{Org: o}}
	for id := range o.Projects.All() {
		p, _ := then.Project(id)
		places = append(places, domain.Place{Org: o, Project: p})
	}
	for _, at := range places {
		level, project := domain.OrgLevel, domain.ProjectID("")
		if at.Project != nil {
			level, project = domain.ProjectLevel, at.Project.ID
		}
		here, err := past.Place(org, project)
		if err != nil {
			t.Fatalf("%s: %s/%s at %d: %v", engine, org, project, then.Position, err)
		}
		for _, entry := range catalog.Entries() {
			p := catalog.Parse(level, entry.Name)
			if entry.Level != level || then.Catalog().Parse(level, entry.Name) != p {
				continue // was not there then
			}
			want, got := subjects(then, p, at, now), subjects(past, p, here, now)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: who holds %s in %s/%s at %d of %d (-state +rows):\n%s", engine, entry.Name, org, project, then.Position, len(log), diff)
			}
		}
		for user := range then.Users().All() {
			a := domain.Actor{Kind: domain.ActorUser, User: user}
			p := catalog.Parse(level, map[domain.Level]string{domain.OrgLevel: "organization:update", domain.ProjectLevel: "project:read"}[level])
			want, got := then.Check(a, p, at, now), past.Check(a, p, here, now)
			if !o.Members.Has(user) && !then.Admins().Has(user) {
				continue // strangers are not in the organization's rows
			}
			if want != got {
				t.Fatalf("%s: %s in %s/%s at %d: %+v, rows say %+v", engine, user, org, project, then.Position, want, got)
			}
		}
	}
}

func subjects(s *domain.State, p domain.Permission, at domain.Place, now time.Time) (list []string) {
	for subject := range s.SubjectsAfter(p, at, "", "", false, now) {
		list = append(list, fmt.Sprint(subject.User, " ", subject.Key, " ", subject.Role, " ", subject.By, " ", subject.Group, " ", subject.ExpiresAt.UnixMicro()))
	}
	return list
}
