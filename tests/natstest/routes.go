package natstest

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// routes are the links between servers in processes. A link that is cut carries nothing in either direction, like a network
// that drops everything; what was said meanwhile arrives when it is healed.
type routes struct {
	mu    sync.Mutex
	cut   int           // the server that is cut off; -1 for none
	moved chan struct{} // closed when cut changes
	ended bool
	all   []interface{ Close() error }

	running sync.WaitGroup
}

// listen is the address at which others reach server i, which itself listens at target.
func (r *routes) listen(t testing.TB, i int, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.keep(l)
	r.running.Go(func() {
		for {
			dialer, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				dialer.Close()
				continue
			}
			link := &link{routes: r, to: i, from: -1}
			if !r.keep(dialer) || !r.keep(server) {
				dialer.Close()
				server.Close()
				return
			}
			r.running.Go(func() { link.carry(server, dialer, true) })
			r.running.Go(func() { link.carry(dialer, server, false) })
		}
	})
	return l.Addr().String()
}

// keep tells whether the routes are still in use.
func (r *routes) keep(c interface{ Close() error }) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, c)
	return !r.ended
}

func (r *routes) set(cut int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	close(r.moved)
	r.moved = make(chan struct{})
}

func (r *routes) close() {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.ended = true
	for _, c := range r.all {
		c.Close()
	}
	r.mu.Unlock()
	r.set(-1)
	r.running.Wait()
}

// link is one connection between two servers. Who dialed is known when they said their name.
type link struct {
	*routes
	to int

	nameMu sync.Mutex
	from   int
}

// blocked is a channel to wait for while the link is cut.
func (l *link) blocked() (<-chan struct{}, bool) {
	l.nameMu.Lock()
	from := l.from
	l.nameMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved, l.cut >= 0 && (l.cut == l.to || l.cut == from)
}

func (l *link) carry(to, from net.Conn, fromDialer bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if fromDialer {
			l.learn(buffer[:n])
		}
		for moved, is := l.blocked(); is; moved, is = l.blocked() {
			<-moved
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) learn(said []byte) {
	l.nameMu.Lock()
	defer l.nameMu.Unlock()
	if l.from >= 0 {
		return
	}
	if m := sentName.FindSubmatch(said); m != nil {
		l.from, _ = strconv.Atoi(string(m[1]))
	}
}
