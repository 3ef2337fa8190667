package tests

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
)

// What the levels short of linearizable may answer is said in docs/ARCHITECTURE.md: a state that this server has, that is not
// older than a token, or than what the stream's leader knows. judge holds every read by one of them to it.

// linearJudged counts what a level's reads were.
type linearJudged struct {
	reads int
	// stale missed a change that somebody had been told or shown before they began: no linearizable read does.
	stale int
}

// linearPast is every change of a world, in order; before the first it is not there.
type linearPast []linearChange

type linearChange struct {
	at    domain.Position
	world linearWorld
}

func (p linearPast) at(at domain.Position) (w linearWorld) {
	for _, c := range p {
		if c.at > at {
			break
		}
		w = c.world
	}
	return w
}

// changed tells whether there is a change behind from, up to to.
func (p linearPast) changed(from, to domain.Position) bool {
	return slices.ContainsFunc(p, func(c linearChange) bool { return c.at > from && c.at <= to })
}

// past folds the log, and so is a second opinion about every state that was ever shown.
func (r *linearRun) past(t *testing.T) map[int]linearPast {
	t.Helper()
	s, past, e := &domain.State{}, map[int]linearPast{}, r.engines[0]
	if err := e.Messages(processContext(t), 1, e.State().Position, func(m engine.Message) (err error) {
		if m.Commit == nil {
			s = s.Void(m.Position, m.Hash)
		} else if s, err = domain.Evolve(s, m.Commit, m.Position, m.Hash); err != nil {
			return err
		}
		for w := r.first; w < r.first+r.worlds; w++ {
			if now := linearSeen(s, w); now != past[w].at(m.Position) {
				past[w] = append(past[w], linearChange{m.Position, now})
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return past
}

// judge wants of every read by a weak level that it saw a state that once was, that its server did not go back behind anything
// that it had answered before, and what its level promises; and counts the rest: reads that miss what others know.
func (r *linearRun) judge(t *testing.T) map[engine.Level]linearJudged {
	t.Helper()
	past := r.past(t)
	byReturn := slices.SortedFunc(slices.Values(r.facts), func(a, b linearFact) int { return cmp.Compare(a.returned, b.returned) })
	byCall := slices.SortedFunc(slices.Values(r.facts), func(a, b linearFact) int { return cmp.Compare(a.call, b.call) })
	// What was known before the read began: of its world, to anybody, and to its server.
	known, own := map[int]domain.Position{}, make([]domain.Position, len(r.engines))
	counts := map[engine.Level]linearJudged{}
	for _, read := range byCall {
		for len(byReturn) > 0 && byReturn[0].returned < read.call {
			f := byReturn[0]
			byReturn = byReturn[1:]
			known[f.world] = max(known[f.world], f.at)
			own[f.engine] = max(own[f.engine], f.at)
		}
		if !read.read {
			continue
		}
		if was := past[read.world].at(read.at); was != read.seen {
			t.Errorf("a read at %d saw %+v, which was %+v", read.at, read.seen, was)
		}
		if read.at < own[read.engine] {
			t.Errorf("server %d answered from %d after it had answered from %d", read.engine, read.at, own[read.engine])
		}
		if read.at < read.wanted {
			t.Errorf("a read that wanted %d was answered from %d", read.wanted, read.at)
		}
		c := counts[read.level]
		c.reads++
		if past[read.world].changed(read.at, known[read.world]) {
			c.stale++
			if read.level == engine.LeaderLatest && !r.mayBeStale(read) {
				t.Errorf("a read by leader_latest missed a change behind %d while no leader was cut off", read.at)
			}
		}
		counts[read.level] = c
	}
	return counts
}

func linearCounts(counts map[engine.Level]linearJudged) (text string) {
	names := map[engine.Level]string{engine.MinimizeLatency: "minimize_latency", engine.AtLeast: "at_least", engine.LeaderLatest: "leader_latest"}
	for _, level := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf("; %s: %d reads, of which %d missed what others knew", names[level], counts[level].reads, counts[level].stale)
	}
	return text
}

// mayBeStale tells whether a leader was cut off or paused while a read ran.
func (r *linearRun) mayBeStale(read linearFact) bool {
	return slices.ContainsFunc(r.stale, func(w linearWindow) bool { return read.returned >= w.from && read.call <= w.to })
}
