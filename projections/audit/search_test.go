package audit

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/projectionstest"
	"github.com/tenurehq/tenure/projections/readmodel"
	"github.com/tenurehq/tenure/projections/readmodel/readmodeltest"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func TestMain(m *testing.M) { readmodeltest.Main(m) }

// longLog is all golden logs, one behind the other as if they were one: every event that was ever released.
func longLog(t *testing.T) (list []eventstore.Folded) {
	t.Helper()
	var latest *timestamppb.Timestamp
	for _, log := range projectionstest.Histories(t) {
		for _, old := range log {
			c := old.Commit
			if c.Time.AsTime().Before(latest.AsTime()) {
				c.Time = latest
			}
			latest = c.Time
			for i, entry := range c.Entries {
				// Golden logs do not say which commands they were, nor where those came from.
				entry.CommandId = fmt.Sprintf("command-%d-%d", len(list), i)
				entry.Command = fmt.Sprint("Command", len(list)%20)
				entry.Request = &eventv1.RequestInfo{Ip: &eventv1.Sealed{Subject: entry.Actor.GetId(), Data: fmt.Append(nil, "10.0.0.", i)}}
			}
			m := eventstore.Folded{}
			m.Position, m.Hash, m.Commit = domain.Position(len(list)+1), old.Hash, c
			list = append(list, m)
		}
	}
	return list
}

// openly reads what golden logs seal: it is not encrypted there.
var openly = Personal{
	Open:   func(_ context.Context, s *eventv1.Sealed, _ string) (string, error) { return string(s.GetData()), nil },
	Digest: func(content string) []byte { h := eventstore.HashOf([]byte(content)); return h[:8] },
}

func fill(t *testing.T, m *readmodel.Model, log []eventstore.Folded, size int) {
	t.Helper()
	p := Projection(openly)
	at, err := m.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for int(at.Position) < len(log) {
		part := log[at.Position:min(len(log), int(at.Position)+size)]
		last := part[len(part)-1]
		to := projections.Checkpoint{LogID: "log", Position: last.Position, Hash: last.Hash}
		if err := m.Apply(t.Context(), at, to, func(tx *readmodel.Tx) error { return p.Apply(t.Context(), tx, part) }); err != nil {
			t.Fatal(err)
		}
		at = to
	}
}

func generation(t *testing.T, d *readmodel.Database, status readmodel.Status) *readmodel.Model {
	t.Helper()
	m, err := d.Make(t.Context(), Schema(), status)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// After every kind of event, an erasure among them, and on both engines: however the log is cut into batches, the rows are the same.
// Where the
// erased worked from can't be searched for any more. Fails if their digests are not taken away: tried.
func TestRebuiltEqualsLive(t *testing.T) {
	t.Parallel()
	log := longLog(t)
	erased := map[string]bool{}
	all := allOf(log)
	for i, r := range all {
		if r.event.GetUserErased() != nil && i > 0 {
			// Nobody in golden logs is erased who had done something just before.
			all[i-1].entry.Actor = &eventv1.Actor{Kind: eventv1.Actor_KIND_USER, Id: r.event.UserId}
			erased[r.event.UserId] = true
		}
	}
	hashes := map[string]bool{}
	for _, d := range readmodeltest.Both(t) {
		live, rebuilt := generation(t, d, readmodel.Live), generation(t, d, readmodel.Scratch)
		fill(t, live, log, 1)
		fill(t, rebuilt, log, 1+rand.IntN(len(log)))
		for _, m := range []*readmodel.Model{live, rebuilt} {
			_, hash, err := m.Canonical(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			hashes[hash] = true
			kept := 0
			err = m.All().Query(t.Context(), func(rows *sql.Rows) error {
				var actor, digest string
				err := rows.Scan(&actor, &digest)
				if erased[actor] && digest != "" {
					t.Errorf("%s: where %s worked from can be searched for", d.Engine(), actor)
				}
				if digest != "" {
					kept++
				}
				return err
			}, "SELECT actor_id, ip_digest FROM {}audit")
			if err != nil || kept == 0 || len(erased) == 0 {
				t.Errorf("%d digests, %d erased: %v", kept, len(erased), err)
			}
		}
	}
	if len(hashes) != 1 {
		t.Errorf("%d different ways to say the same", len(hashes))
	}
}

// one is a record by its place.
type one struct {
	Place
	commit *eventv1.Commit
	entry  *eventv1.Entry
	event  *eventv1.Event
}

func allOf(log []eventstore.Folded) (all []one) {
	for _, m := range log {
		index := 0
		for _, entry := range m.Commit.Entries {
			for _, e := range entry.Events {
				index++
				all = append(all, one{Place{m.Position, index}, m.Commit, entry, e})
			}
		}
	}
	return all
}

// Random searches with random filters, forwards and backwards, page by page, find on both engines exactly what looking at every event of
// the log finds. Fails with any filter left out of the query, and if
// the place of a page is ignored: tried.
func TestFindIsWhatTheLogSays(t *testing.T) {
	t.Parallel()
	log := longLog(t)
	all := allOf(log)
	pick := func() one { return all[rand.IntN(len(all))] }
	maybe := func(chance int) bool { return rand.IntN(chance) == 0 }
	for _, d := range readmodeltest.Both(t) {
		m := generation(t, d, readmodel.Live)
		fill(t, m, log, 40)
		found := 0
		// First each filter by itself, which no other hides; then all of them at random.
		alone := []func(*Search, one){
			func(s *Search, r one) { s.Actor = r.entry.Actor.GetId() }, func(s *Search, r one) { s.EventType = EventType(r.event) },
			func(s *Search, r one) { s.Command = r.entry.Command }, func(s *Search, r one) { s.CommandID = r.entry.CommandId },
			func(s *Search, r one) { s.User = r.event.UserId }, func(s *Search, r one) { s.Key = r.event.KeyId },
			func(s *Search, r one) { s.Resource = r.event.GroupId }, func(s *Search, r one) { s.Since = r.commit.Time.AsTime() },
			func(s *Search, r one) { s.Until = r.commit.Time.AsTime() }, func(s *Search, r one) { s.From = r.Position },
			func(s *Search, r one) { s.To = r.Position }, func(s *Search, r one) { s.Project = domain.ProjectID(r.event.ProjectId) },
		}
		for i := range len(alone) + 60 {
			s := Search{Oldest: maybe(2)}
			like := pick() // so that filters often fit together
			if i < len(alone) {
				for s == (Search{Oldest: s.Oldest}) {
					like = pick()
					alone[i](&s, like)
				}
				found += same(t, m, s, all)
				continue
			}
			switch rand.IntN(3) {
			case 0:
				if len(like.event.OrgIds) > 0 {
					s.Org = domain.OrgID(like.event.OrgIds[rand.IntN(len(like.event.OrgIds))])
				}
			case 1:
				s.Project = domain.ProjectID(like.event.ProjectId)
			}
			if maybe(3) {
				s.Actor = like.entry.Actor.GetId()
			}
			if maybe(3) {
				s.EventType = EventType(like.event)
				s.EventType = s.EventType[:1+rand.IntN(len(s.EventType))]
			}
			if maybe(5) {
				s.Command = like.entry.Command
			}
			if maybe(6) {
				s.CommandID = like.entry.CommandId
			}
			if maybe(5) {
				s.User = like.event.UserId
			}
			if maybe(5) {
				s.Key = like.event.KeyId
			}
			if maybe(5) {
				s.Resource = []string{like.event.UserId, like.event.ProjectId, like.event.KeyId, like.event.GroupId, like.event.InvitationId, like.event.OfferId}[rand.IntN(6)]
			}
			if maybe(4) {
				s.Since = pick().commit.Time.AsTime()
			}
			if maybe(4) {
				s.Until = pick().commit.Time.AsTime()
			}
			if maybe(5) {
				s.From = pick().Position
			}
			if maybe(5) {
				s.To = pick().Position
			}
			found += same(t, m, s, all)
		}
		if found < 200 {
			t.Errorf("%s: only %d records were found: the searches are too narrow to prove anything", d.Engine(), found)
		}
	}
}

// same compares what a search finds, page by page, with what every event of the log says, and answers how many fit.
func same(t *testing.T, m *readmodel.Model, s Search, all []one) int {
	t.Helper()
	var want []Place
	for _, r := range all {
		belongs := (s.Org == "" || slices.Contains(r.event.OrgIds, string(s.Org))) && (s.Project == "" || r.event.ProjectId == string(s.Project))
		if belongs && s.Matches(r.Position, r.commit, r.entry, r.event) {
			want = append(want, r.Place)
		}
	}
	if !s.Oldest {
		slices.Reverse(want)
	}
	var got []Place
	for s.Limit = 5 + rand.IntN(40); ; {
		page, err := Find(t.Context(), m, s)
		if err != nil {
			t.Fatalf("%s: %+v: %v", m.Where(), s, err)
		}
		for _, f := range page {
			got = append(got, f.Place)
			r := all[slices.IndexFunc(all, func(r one) bool { return r.Place == f.Place })]
			if !f.Time.Equal(r.commit.Time.AsTime().Truncate(time.Microsecond)) || f.Entry.CommandId != r.entry.CommandId ||
				EventType(f.Entry.Events[0]) != EventType(r.event) {
				t.Fatalf("%s: %v is another event", m.Where(), f.Place)
			}
		}
		if len(page) < s.Limit {
			break
		}
		s.After = page[len(page)-1].Place
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: %+v (-log +rows):\n%s", m.Where(), s, diff)
	}
	return len(got)
}

// Pages stay as they are while the history grows: newest first, what is new comes before the first page; oldest first, behind the last.
// Fails if the place is ignored: tried.
func TestPagesAreStableUnderAppends(t *testing.T) {
	t.Parallel()
	log := longLog(t)
	all := allOf(log[:60])
	for _, d := range readmodeltest.Both(t) {
		for _, oldest := range []bool{false, true} {
			m := generation(t, d, readmodel.Scratch)
			fill(t, m, log[:60], 60)
			s := Search{Oldest: oldest, Limit: 5}
			var got []Place
			for grown := 60; ; {
				page, err := Find(t.Context(), m, s)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range page {
					got = append(got, f.Place)
				}
				if len(page) < s.Limit || len(got) >= len(all) {
					break
				}
				s.After = page[len(page)-1].Place
				if grown < len(log)-1 {
					grown++
					fill(t, m, log[:grown], 60)
				}
			}
			var want []Place
			for _, r := range all {
				want = append(want, r.Place)
			}
			if !oldest {
				slices.Reverse(want)
			}
			if diff := cmp.Diff(want, got[:min(len(got), len(want))]); diff != "" {
				t.Errorf("%s, oldest first %t:\n%s", d.Engine(), oldest, diff)
			}
		}
	}
}

// No row holds what verifies a secret, a digest of a token or an address, or anything that is personal. Fails without
// withoutVerifiers, and with own in Reader.fields: tried.
func TestNothingSecretOrPersonalIsInTheRows(t *testing.T) {
	t.Parallel()
	log := longLog(t)
	var secret [][]byte
	var personal []string
	for _, m := range log {
		for _, entry := range m.Commit.Entries {
			for _, e := range entry.Events {
				for _, v := range []*eventv1.Verifier{e.GetKeyCreated().GetVerifier(), e.GetKeyRotated().GetSuccessor().GetVerifier(), e.GetKeyRehashed().GetVerifier(), e.GetKeyImported().GetKey().GetVerifier()} {
					secret = append(secret, v.GetHash())
				}
				secret = append(secret, e.GetInvitationSent().GetTokenHash())
				for _, s := range []*eventv1.Sealed{e.GetUserRegistered().GetEmail(), e.GetUserRegistered().GetName(), e.GetInvitationSent().GetEmail(), e.GetServiceAccountCreated().GetName()} {
					if len(s.GetData()) > 6 {
						personal = append(personal, string(s.GetData()))
					}
				}
			}
		}
	}
	secret = slices.DeleteFunc(secret, func(b []byte) bool { return len(b) < 8 })
	if len(secret) < 10 || len(personal) == 0 {
		t.Fatalf("%d secrets and %d personal values in the logs: nothing is proved", len(secret), len(personal))
	}
	b, err := Collect(t.Context(), openly, log)
	if err != nil {
		t.Fatal(err)
	}
	var stored strings.Builder
	for _, row := range b.entries {
		stored.Write(row[2].([]byte))
		entry := &eventv1.Entry{}
		if err := proto.Unmarshal(row[2].([]byte), entry); err != nil {
			t.Fatal(err)
		}
		// Digests of addresses look in golden logs like the sealed addresses.
		if e := entry.Events[0]; hasSecrets(body(e)) {
			t.Errorf("%s holds a digest: %v", EventType(e), e)
		}
	}
	for _, s := range secret {
		if strings.Contains(stored.String(), string(s)) {
			t.Errorf("%x is stored", s)
		}
	}
	for _, row := range b.records {
		for i, v := range row {
			text, _ := v.(string)
			for _, p := range personal {
				if strings.Contains(text, p) {
					t.Errorf("%s holds %q", records.Columns[i].Name, p)
				}
			}
		}
	}
	// What is left out of the entry is left in the log's.
	for _, m := range log {
		for _, entry := range m.Commit.Entries {
			for _, e := range entry.Events {
				before := proto.CloneOf(e)
				withoutVerifiers(e)
				if !proto.Equal(before, e) {
					t.Fatalf("%s was changed", EventType(e))
				}
			}
		}
	}
}
