package cli

import (
	"fmt"
	"io"
	"time"
)

// Passage tells a person how far something is that goes through many things in order: how many, how quickly, and how long it
// will take. It is for one goroutine.
type Passage struct {
	*progress
	what     string
	from, to uint64
	began    time.Time
	told     time.Time
}

// tellEvery is how often the text changes; making it costs more than a position.
const tellEvery = 100 * time.Millisecond

// StartPassage begins to tell about what goes on behind from, up to to; 0 for an end that is not known.
func StartPassage(w io.Writer, what string, from, to uint64) *Passage {
	return &Passage{progress: startProgress(w, what), what: what, from: from, to: to, began: time.Now()}
}

// At tells that everything up to here is done.
func (p *Passage) At(at uint64) {
	now := time.Now()
	if now.Sub(p.told) < tellEvery {
		return
	}
	p.told = now
	p.set("%s", passed(p.what, p.from, at, p.to, now.Sub(p.began)))
}

// End takes the line away.
func (p *Passage) End() { p.end() }

// passed is what is told after some time.
func passed(what string, from, at, to uint64, took time.Duration) string {
	text := fmt.Sprintf("%s: %d", what, at)
	if to > 0 {
		text += fmt.Sprintf(" of %d", max(at, to))
	}
	rate := float64(at-min(at, from)) / max(took.Seconds(), 0.001)
	text += fmt.Sprintf(", %.0f/s", rate)
	if to > at && rate > 0 {
		left := time.Duration(float64(to-at) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s to go, so far", max(left.Round(time.Second), time.Second))
	}
	return text
}
