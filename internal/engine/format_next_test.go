//go:build tenure_next

package engine

import (
	"context"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// Here format 3 is the newest, and plans are new with it: see eventstore/format_next.go. `make test` runs it.

func byAdmin(c domain.Command) Request {
	return Request{Command: c, Rule: domain.Rule{Requirement: domain.InstanceAdmin}, Actor: domain.Actor{Kind: domain.ActorInstance}}
}

// What is new is refused until the log is raised, and each commit says the format that it was decided in. Fails without
// writable, and if commits always say the newest format: tried.
func TestFormatIsRaisedFirst(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	refused(t, e, byAdmin(domain.DefinePlan{ID: "pro"}), domain.FormatTooOld)
	must(t, e, createOrg("a"))
	raised := must(t, e, byAdmin(domain.RaiseFormat{To: Format}))
	if again := must(t, e, byAdmin(domain.RaiseFormat{To: Format})); len(again.Events) > 0 {
		t.Errorf("raised again: %v", again.Events)
	}
	defined := must(t, e, byAdmin(domain.DefinePlan{ID: "pro"}))
	var formats []uint32
	err := e.Commits(t.Context(), raised.Position-1, defined.Position, func(c Commit) error {
		formats = append(formats, c.Format)
		return nil
	})
	if err != nil || !slices.Equal(formats, []uint32{1, 1, Format}) {
		t.Errorf("formats of the commits: %d, %v", formats, err)
	}
	restarted(t, log, e.State(), nil)
}

// A log that this version begins has its format from the start: no older server can be there.
func TestFormatOfANewLog(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, func(c *Config) { c.Genesis.Format = Format })
	must(t, e, byAdmin(domain.DefinePlan{ID: "pro"}))
	restarted(t, log, e.State(), nil)
}

// Whatever comes behind RaiseFormat in a group has a commit of its own, which says the new format. Fails if decide goes on: tried.
func TestFormatRaisedEndsACommit(t *testing.T) {
	t.Parallel()
	e := start(t, openLog(t), nil)
	for _, before := range []int{0, 8} {
		var group []*waiting
		for i := range before {
			group = append(group, waitingFor(t.Context(), createOrg("o"+string(rune('a'+i)))))
		}
		for _, c := range []domain.Command{domain.RaiseFormat{To: Format}, domain.DefinePlan{ID: "pro"}} {
			group = append(group, waitingFor(t.Context(), byAdmin(c)))
		}
		d, err := e.decide(e.State(), group, 1<<20)
		if err != nil || len(d.commit.Entries) != before+1 || len(d.rest) != 1 || d.commit.Format != 1 {
			t.Fatalf("%d entries of format %d, %d of the group left, %v", len(d.commit.GetEntries()), d.commit.GetFormat(), len(d.rest), err)
		}
		if d, err = e.decide(d.next, d.rest, 1<<20); err != nil || len(d.commit.GetEntries()) != 1 || d.commit.Format != Format {
			t.Fatalf("the rest: %d entries of format %d, %v", len(d.commit.GetEntries()), d.commit.GetFormat(), err)
		}
	}
}

func waitingFor(ctx context.Context, req Request) *waiting {
	return &waiting{ctx: ctx, req: req, answer: make(chan answered, 1)}
}
