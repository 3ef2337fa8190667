package eventstore

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tenurehq/tenure/tests/natstest"
)

// All that run are named, and of them those that read less. Fails if AskServers takes the first answer for all, or if it does
// not miss its own: tried.
func TestAskServers(t *testing.T) {
	t.Parallel()
	url := natstest.Single(t).ConnectedUrl()
	connect := func() *nats.Conn {
		x, err := Connect(t.Context(), ConnectConfig{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Conn.Close)
		return x.Conn
	}
	me := Server{"a", 1, "0.2.0", 2}
	asking := connect()
	all := []Server{me, {"b", 1, "0.1.0", 1}, {"b", 2, "0.2.0", 2}}
	conns := []*nats.Conn{asking, connect(), connect()}
	for i, s := range slices.Backward(all) {
		if got, err := AskServers(t.Context(), asking, me); err == nil {
			t.Errorf("its own answer does not come, and %v are taken for all", got)
		}
		if err := AnswerServers(t.Context(), conns[i], s); err != nil {
			t.Fatal(err)
		}
	}
	got, err := AskServers(t.Context(), asking, me)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b Server) int { return strings.Compare(a.String(), b.String()) })
	if !slices.Equal(got, all) {
		t.Errorf("got %v, want %v", got, all)
	}
	newest, older := Older(got)
	if newest != 2 || len(older) != 1 || older[0].String() != "b, process 1 (version 0.1.0, format 1)" {
		t.Errorf("the newest format is %d, and %v read less", newest, older)
	}

	// One that ended is not asked.
	conns[1].Close()
	if got, err = AskServers(t.Context(), asking, me); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v, want the two that run", got, err)
	}
	// Who answers something else may be a server as well.
	if _, err := conns[2].Subscribe(ServersSubject, func(m *nats.Msg) { _ = m.Respond([]byte("me too")) }); err != nil {
		t.Fatal(err)
	}
	if err := conns[2].Flush(); err != nil {
		t.Fatal(err)
	}
	if got, err = AskServers(t.Context(), asking, me); err == nil {
		t.Errorf("an answer that can't be read is passed over: %v", got)
	}
}
