package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long something may take before it is told how it goes.
const patience = time.Second

// progress tells a person how something goes that takes longer than a moment; to a file or a pipe it tells nothing.
type progress struct {
	w     io.Writer
	mu    sync.Mutex
	text  string
	shown bool
	stop  chan struct{}
	ended sync.WaitGroup
}

func startProgress(w io.Writer, text string) *progress {
	p := &progress{w: w, text: text, stop: make(chan struct{})}
	if terminal(w) {
		p.start(patience)
	}
	return p
}

func (p *progress) start(patience time.Duration) {
	p.ended.Go(func() {
		wait := time.NewTimer(patience)
		defer wait.Stop()
		began := time.Now()
		for {
			select {
			case <-p.stop:
				return
			case <-wait.C:
				wait.Reset(patience / 4)
				p.mu.Lock()
				fmt.Fprintf(p.w, "\r\x1b[K%s %s", p.text, time.Since(began).Round(time.Second))
				p.shown = true
				p.mu.Unlock()
			}
		}
	})
}

// set changes the text.
func (p *progress) set(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

// end takes the line away.
func (p *progress) end() {
	close(p.stop)
	p.ended.Wait()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
