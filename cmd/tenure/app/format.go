package app

import (
	"context"
	"os"

	"github.com/tenurehq/tenure/eventstore"
)

// me is what this server says of itself.
func (a *App) me() eventstore.Server {
	return eventstore.Server{Node: a.node, PID: os.Getpid(), Version: Version, Format: eventstore.Format}
}

// older asks for servers that read less than the newest format of the log that any of them reads.
func (a *App) older(ctx context.Context) (newest uint32, older []string, err error) {
	servers := []eventstore.Server{a.me()}
	if a.cfg.NATSURL != "" {
		if servers, err = eventstore.AskServers(ctx, a.broker.conn(), a.me()); err != nil {
			return 0, nil, err
		}
	}
	newest, old := eventstore.Older(servers)
	for _, s := range old {
		older = append(older, s.String())
	}
	return newest, older, nil
}
