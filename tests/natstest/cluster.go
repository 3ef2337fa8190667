package natstest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// C is a cluster of servers. Its methods are for the test's own goroutine, except Connect, URL and StepDown.
type C struct {
	opts    []*server.Options
	servers []*server.Server
}

// Cluster starts n servers that form one JetStream cluster, and returns when they have a leader and all of them are
// current. They end with the test.
func Cluster(t testing.TB, n int) *C {
	t.Helper()
	c := &C{servers: make([]*server.Server, n)}
	ports := freePorts(t, n)
	var routes []*url.URL
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	for i, port := range ports {
		opts := options(t.TempDir(), fmt.Sprintf("n%d", i))
		opts.Cluster = server.ClusterOpts{Name: "natstest", Host: "127.0.0.1", Port: port}
		opts.Routes = routes
		c.opts = append(c.opts, opts)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Stop(i)
		}
	})
	for i := range c.servers {
		c.start(t, i)
	}
	c.awaitCurrent(t)
	return c
}

// URL is the address of server i, the same after a restart.
func (c *C) URL(i int) string {
	return fmt.Sprintf("nats://127.0.0.1:%d", c.opts[i].Port)
}

// Connect returns a connection to server i that knows the others too, and reconnects. It ends with the test.
func (c *C) Connect(t testing.TB, i int) *nats.Conn {
	t.Helper()
	return connect(t, c.URL(i))
}

// StepDown makes the leader of a stream give up, and returns when the stream has a leader again, which may be the same.
func (c *C) StepDown(t testing.TB, stream string) {
	t.Helper()
	var all []string
	for i := range c.opts {
		all = append(all, c.URL(i))
	}
	conn := connect(t, strings.Join(all, ","))
	defer conn.Close()
	until(t, "the leader of "+stream+" to step down", func() bool {
		return succeeded(conn, "$JS.API.STREAM.LEADER.STEPDOWN."+stream)
	})
	until(t, "a leader of "+stream, func() bool {
		return succeeded(conn, "$JS.API.STREAM.INFO."+stream)
	})
}

// Leader is the index of the server that leads a stream.
func (c *C) Leader(t testing.TB, stream string) int {
	t.Helper()
	leader := -1
	until(t, "a leader of "+stream, func() bool {
		for i, s := range c.servers {
			if s != nil && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// Stop ends server i in an orderly way; its data stay.
func (c *C) Stop(i int) {
	if s := c.servers[i]; s != nil {
		stop(s)
		c.servers[i] = nil
	}
}

// Restart starts server i again on its data and address, and returns when all running servers are current.
func (c *C) Restart(t testing.TB, i int) {
	t.Helper()
	c.Stop(i)
	c.start(t, i)
	c.awaitCurrent(t)
}

func (c *C) start(t testing.TB, i int) {
	t.Helper()
	c.servers[i] = start(t, c.opts[i].Clone())
	c.opts[i].Port = c.servers[i].Addr().(*net.TCPAddr).Port
}

func (c *C) awaitCurrent(t testing.TB) {
	t.Helper()
	until(t, "a leader of the cluster that all servers follow", func() bool {
		var leaders, running int
		for _, s := range c.servers {
			if s == nil {
				continue
			}
			running++
			if !s.JetStreamIsCurrent() || s.Healthz(nil).Error != "" {
				return false
			}
			if s.JetStreamIsLeader() {
				leaders++
				if len(s.JetStreamClusterPeers()) != len(c.servers) {
					return false
				}
			}
		}
		return leaders == 1 && running > 0
	})
}

// succeeded sends a request to the JetStream API and tells whether the answer is not an error.
func succeeded(conn *nats.Conn, subject string) bool {
	reply, err := conn.Request(subject, nil, 2*time.Second)
	if err != nil {
		return false
	}
	var answer struct {
		Error *json.RawMessage `json:"error"`
	}
	return json.Unmarshal(reply.Data, &answer) == nil && answer.Error == nil
}

// freePorts returns ports nobody listens on. The servers of a cluster must know each other's before they start.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
