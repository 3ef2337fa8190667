package tests

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// faultProxy is a link to a server that can be cut, held up, or lose what the server says.
type faultProxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mode  linkMode
	moved chan struct{} // closed when the mode changes
	conns []net.Conn

	running sync.WaitGroup
}

type linkMode int

const (
	linkWorks linkMode = iota
	// linkCut: connections end at once, as does each new one.
	linkCut
	// linkHeld: nothing moves, and nothing is lost.
	linkHeld
	// linkDeaf: what clients say arrives, what servers say is lost.
	linkDeaf
)

func newFaultProxy(t *testing.T, url string) *faultProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{listener: l, target: url[strings.Index(url, "//")+2:], moved: make(chan struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.set(linkCut)
		p.running.Wait()
	})
	return p
}

func (p *faultProxy) url() string { return "nats://" + p.listener.Addr().String() }

// set changes the link. What was lost makes the rest unreadable, so connections end with linkDeaf.
func (p *faultProxy) set(mode linkMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mode == linkCut || p.mode == linkDeaf {
		for _, c := range p.conns {
			c.Close()
		}
		p.conns = nil
	}
	p.mode = mode
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *faultProxy) state() (linkMode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.moved
}

func (p *faultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if mode, _ := p.state(); mode == linkCut {
			client.Close()
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		if p.mode == linkCut {
			client.Close()
			server.Close()
		}
		p.mu.Unlock()
		p.running.Go(func() { p.pump(server, client, false) })
		p.running.Go(func() { p.pump(client, server, true) })
	}
}

// pump moves bytes until either side ends.
func (p *faultProxy) pump(to, from net.Conn, fromServer bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		mode, moved := p.state()
		for mode == linkHeld {
			<-moved
			mode, moved = p.state()
		}
		if n > 0 && !(fromServer && mode == linkDeaf) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
