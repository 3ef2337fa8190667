package keycache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

const (
	// watchAnew is how long one call lasts: two clocks that run at different speeds must not get far apart.
	watchAnew = 10 * time.Minute
	// watchSlow is how long the first message may take. How old messages are is counted from the call on, so that a slow one would make
	// all look old.
	watchSlow = time.Second
)

// Watch is Tenure itself as a source, by WatchInvalidations with a key of the instance.
func Watch(client *http.Client, url, key string) Source {
	return watch{tenurev1connect.NewInvalidationServiceClient(client, url), key}
}

type watch struct {
	client tenurev1connect.InvalidationServiceClient
	key    string
}

func (w watch) Follow(ctx context.Context, token string, told func(News)) error {
	called := time.Now()
	call, _ := withKey(ctx, w.key)
	stream, err := w.client.WatchInvalidations(call, &tenurev1.WatchInvalidationsRequest{Token: token})
	if err != nil {
		return err
	}
	defer stream.Close()
	for first := true; stream.Receive(); first = false {
		m := stream.Msg()
		n := News{Reset: m.Reset_, Invalidations: m.Invalidations, Position: m.Position, Token: m.Token}
		if m.Age != nil {
			// The server took the call after it was made.
			n.Current = called.Add(m.Elapsed.AsDuration() - m.Age.AsDuration())
		}
		now := time.Now()
		// A machine that was suspended lags behind the server, and one whose clock was set is in front of itself.
		steady, wall := now.Sub(called), now.Round(0).Sub(called.Round(0))
		jumped := n.Current.After(now) || (wall-steady).Abs() > watchSlow
		if jumped {
			n.Current = time.Time{}
		}
		told(n)
		if first && steady > watchSlow || steady > watchAnew || jumped {
			return nil
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return fmt.Errorf("the watch ended: %w", connect.NewError(connect.CodeUnavailable, errors.New("no more messages")))
}
