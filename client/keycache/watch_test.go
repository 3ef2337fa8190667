package keycache

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// late is a Tenure whose words are on their way for a while.
type late struct {
	tenurev1connect.UnimplementedInvalidationServiceHandler
	written chan time.Time // when each message was true
	arrive  chan struct{}
	over    chan struct{} // closed at the end
}

func (l late) WatchInvalidations(ctx context.Context, _ *tenurev1.WatchInvalidationsRequest, stream *connect.ServerStream[tenurev1.WatchInvalidationsResponse]) error {
	began := time.Now()
	const age = 3 * time.Millisecond
	for {
		now := time.Now()
		select {
		case l.written <- now.Add(-age):
		case <-l.over:
			return nil
		}
		<-l.arrive
		m := &tenurev1.WatchInvalidationsResponse{Position: 1, Token: "token", Age: durationpb.New(age), Elapsed: durationpb.New(now.Sub(began))}
		if err := stream.Send(m); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// What arrives late is known to be old, however late, without any two clocks that agree. Fails if the time of arrival counts: tried.
func TestWatchKnowsWhatIsOld(t *testing.T) {
	t.Parallel()
	l := late{written: make(chan time.Time), arrive: make(chan struct{}), over: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle(tenurev1connect.NewInvalidationServiceHandler(l))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := make(chan News), make(chan error, 1)
	go func() {
		ended <- Watch(server.Client(), server.URL, "key").Follow(ctx, "", func(n News) { told <- n })
	}()
	for i := range 5 {
		written := <-l.written
		timer := time.NewTimer(time.Duration(i) * 10 * time.Millisecond) // the way
		<-timer.C
		l.arrive <- struct{}{}
		if n := <-told; n.Current.After(written) || n.Token != "token" || written.Sub(n.Current) > time.Second {
			t.Errorf("message %d was true at %s and is believed to be so at %s", i, written, n.Current)
		}
	}
	close(l.over)
	cancel()
	<-ended
}
