package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// ServersSubject is where the servers of one log are asked who they are. They need permission to publish and to subscribe to it.
	ServersSubject = "tenure.servers"
	// askWait is how long servers have to answer. Nobody knows how many there are.
	askWait = time.Second
)

// Server is what a running server says of itself.
type Server struct {
	// Node is the host's name, PID the process there.
	Node    string `json:"node"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// Format is the newest format of the log that it reads.
	Format uint32 `json:"format"`
}

func (s Server) String() string {
	return fmt.Sprintf("%s, process %d (version %s, format %d)", s.Node, s.PID, s.Version, s.Format)
}

// AnswerServers makes a server answer AskServers for as long as its connection lives. It is called before the log is read, so
// that a server that has read anything can be asked.
func AnswerServers(ctx context.Context, conn *nats.Conn, me Server) error {
	answer, err := json.Marshal(me)
	if err != nil {
		return err
	}
	_, err = conn.Subscribe(ServersSubject, func(m *nats.Msg) {
		// Who asks notices if there is no answer.
		_ = m.Respond(answer)
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", ServersSubject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("subscribe to %s: %w", ServersSubject, err)
	}
	return nil
}

// AskServers asks all servers that run, and waits a second for their answers. The asking server, me, is one of them: if even its
// own answer does not come, that is an error.
//
// A server that is stopped, paused or cut off does not answer. Nothing is lost by it: it stops where the log was raised, or
// refuses to start, before it writes anything.
func AskServers(ctx context.Context, conn *nats.Conn, me Server) ([]Server, error) {
	answers, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return nil, fmt.Errorf("ask the servers: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := conn.PublishRequest(ServersSubject, answers.Subject, nil); err != nil {
		return nil, fmt.Errorf("ask the servers: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	var servers []Server
	for {
		m, err := answers.NextMsgWithContext(wait)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			if !slices.Contains(servers, me) {
				return nil, fmt.Errorf("ask the servers: no answer on %s, not even from this one", ServersSubject)
			}
			return servers, nil
		case err != nil:
			return nil, fmt.Errorf("ask the servers: %w", err)
		}
		var s Server
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return nil, fmt.Errorf("ask the servers: an answer that can't be read: %w", err)
		}
		servers = append(servers, s)
	}
}

// Older are the servers that read less than the newest format of them all.
func Older(servers []Server) (newest uint32, older []Server) {
	for _, s := range servers {
		newest = max(newest, s.Format)
	}
	for _, s := range servers {
		if s.Format < newest {
			older = append(older, s)
		}
	}
	return newest, older
}
