package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// What is quick tells nothing; what takes longer tells how far it is, and takes the line away in the end. What is no terminal
// is told nothing. Fails if a line is left, or comes too soon: tried with each.
func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var quick, long, file lockedBuffer
		p := &progress{w: &quick, text: "Reading", stop: make(chan struct{})}
		p.start(patience)
		time.Sleep(patience - time.Millisecond)
		p.end()
		if quick.String() != "" {
			t.Errorf("after less than a second it said %q", quick.String())
		}
		p = &progress{w: &long, text: "Reading", stop: make(chan struct{})}
		p.start(patience)
		p.set("%d of %d", 3, 4)
		time.Sleep(2*patience + time.Millisecond)
		p.end()
		if said := long.String(); !strings.Contains(said, "3 of 4 2s") || !strings.HasSuffix(said, "\r\x1b[K") {
			t.Errorf("after two seconds it said %q", said)
		}
		p = startProgress(&file, "Reading")
		time.Sleep(2 * patience)
		p.end()
		if file.String() != "" {
			t.Errorf("what is no terminal was told %q", file.String())
		}
	})
}
