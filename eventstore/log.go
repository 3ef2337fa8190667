package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

const (
	// attemptTimeout bounds one request to the servers. An answer that takes longer is worth asking for again.
	attemptTimeout = 2 * time.Second
	// openWait is how long Open waits for a cluster that is choosing its leaders.
	openWait = 15 * time.Second
	// headerRoom is kept free of a message's size limit for the headers that Append adds.
	headerRoom = 1024
)

// Config says where the log is.
type Config struct {
	// Conn belongs to the caller, who closes it after the Log is no longer used.
	Conn *nats.Conn
	// Replicas is the number of copies to create the stream with: 1 for one server, 3 for a cluster. An existing stream
	// keeps its own number.
	Replicas int
}

// Log appends commits to the one stream, and reads them. It is safe for concurrent use and holds nothing to be closed.
type Log struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

// Message is what is stored at one position.
type Message struct {
	Position domain.Position
	// Data is the reader's own: nobody else writes to it.
	Data []byte
	// Time is when the broker stored the message, by the broker's clock.
	Time time.Time
}

// Tip is the end of the log.
type Tip struct {
	// Last is the newest position, 0 for an empty log.
	Last domain.Position
	// Time is when the answer was given, by the clock of the stream's leader.
	Time time.Time
	// Heard is how long before that the leader last heard from so many replicas that no other could have led by then. The log
	// ended at Last that long ago, whatever has happened to the leader since.
	Heard time.Duration
}

// Open makes the log ready for use: it creates the stream if there is none, or checks that the existing one keeps what
// the log promises. Several servers may do so at once. It waits some seconds for a cluster that is choosing its leaders.
//
// It returns an error wrapping ErrStreamSettings that names what differs, ErrRestoring if a restore did not come to its end, an
// error naming the version if the server is older than MinServerVersion, and otherwise what the servers answered.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := checkServerVersion(cfg.Conn); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := &Log{conn: cfg.Conn, js: js}
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	for {
		err := l.ensureStream(ctx, max(cfg.Replicas, 1))
		if err == nil {
			return l, nil
		}
		if !transient(err) || !sleep(ctx, 200*time.Millisecond) {
			return nil, fmt.Errorf("open the log: %w", err)
		}
	}
}

// ensureStream creates the stream or checks the one that is there.
func (l *Log) ensureStream(ctx context.Context, replicas int) error {
	info, err := l.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		attempt, cancel := context.WithTimeout(ctx, 2*attemptTimeout)
		defer cancel()
		_, err = l.js.CreateStream(attempt, streamConfig(replicas))
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		// Ours, or that of another server which came first with another number of replicas.
		info, err = l.info(ctx)
	}
	if err != nil {
		return err
	}
	if v := info.Config.Metadata["_nats.ver"]; v != "" {
		if err := checkVersion(v); err != nil {
			return fmt.Errorf("leader of the stream: %w", err)
		}
	}
	if info.Config.Metadata[restoringKey] != "" {
		return ErrRestoring
	}
	return checkStream(info.Config)
}

// transient tells whether a cluster may answer otherwise in a moment.
func transient(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503 || api.Code == 408 || errors.Is(err, jetstream.ErrStreamNotFound)
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// Tip asks the stream's leader for the end of the log. A leader that was cut off from the others goes on answering for
// some seconds with what it had, and Heard grows: the log is at least this long, and may be longer. Any error means that nobody
// answered.
func (l *Log) Tip(ctx context.Context) (Tip, error) {
	info, err := l.info(ctx)
	if err != nil {
		return Tip{}, fmt.Errorf("ask for the end of the log: %w", err)
	}
	if info.Cluster != nil && info.Cluster.Leader == "" {
		// A replica that knows no leader answers for itself: it knows neither the end of the log nor who is there.
		return Tip{}, errors.New("ask for the end of the log: the stream has no leader")
	}
	return Tip{Last: domain.Position(info.State.LastSeq), Time: info.TimeStamp, Heard: heard(info.Cluster)}, nil
}

// heard is how long ago a leader heard from so many of its followers that they and itself are more than half.
func heard(c *jetstream.ClusterInfo) time.Duration {
	if c == nil || len(c.Replicas) == 0 {
		return 0 // the only one
	}
	var ago []time.Duration
	for _, r := range c.Replicas {
		ago = append(ago, r.Active)
	}
	slices.Sort(ago)
	return ago[(len(ago)+1)/2-1]
}

// MaxBytes is the size of the biggest commit that Append takes. It is the connected server's setting and may change with
// a reconnect.
func (l *Log) MaxBytes() int { return int(l.conn.MaxPayload()) - headerRoom }

func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stream, err := l.js.Stream(ctx, StreamName)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// sleep waits for d and tells whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
