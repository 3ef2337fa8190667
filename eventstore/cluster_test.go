package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/tests/natstest"
)

// Three servers append to one log while its leader is made to step down again and again, and one of its servers is lost.
// Every acknowledged position has exactly one owner, and every reader sees all of them in order, each once.
//
// With the guard taken out of Append, positions are not what their writers think: tried.
func TestThreeWritersOverChangesOfLeader(t *testing.T) {
	t.Parallel()
	const each = 150
	cluster := natstest.Cluster(t, 3)
	logs := make([]*Log, 3)
	var opening sync.WaitGroup
	for i := range logs {
		conn := cluster.Connect(t, i)
		opening.Go(func() {
			l, err := Open(t.Context(), Config{Conn: conn, Replicas: 3})
			if err != nil {
				t.Error(err)
				return
			}
			logs[i] = l
		})
	}
	opening.Wait()
	if t.Failed() {
		return
	}
	ctx := soon(t)

	// A writer knows that a commit is its own when it sees it at the position, acknowledged or not.
	var writing sync.WaitGroup
	acked := make([]map[domain.Position]string, 3)
	for w, l := range logs {
		acked[w] = map[domain.Position]string{}
		writing.Go(func() {
			var last domain.Position
			for i := range each {
				data := fmt.Sprintf("writer %d, commit %d", w, i)
				at, err := appendUntilSeen(ctx, l, last, data)
				if err != nil {
					t.Errorf("%s: %v", data, err)
					return
				}
				acked[w][at], last = data, at
			}
		})
	}
	var reading sync.WaitGroup
	seen := make([][]string, 3)
	for r, l := range logs {
		reading.Go(func() {
			err := l.Tail(ctx, 0, func(m Message) error {
				if int(m.Position) != len(seen[r])+1 {
					return fmt.Errorf("position %d after %d", m.Position, len(seen[r]))
				}
				if seen[r] = append(seen[r], string(m.Data)); len(seen[r]) == 3*each {
					return errDone
				}
				return nil
			})
			if !errors.Is(err, errDone) {
				t.Errorf("reader %d: %v after %d", r, err, len(seen[r]))
			}
		})
	}
	for range 3 {
		cluster.StepDown(t, StreamName)
	}
	cluster.Stop(cluster.Leader(t, StreamName))
	writing.Wait()
	reading.Wait()
	if t.Failed() {
		return
	}

	owners := map[domain.Position]int{}
	for w := range acked {
		for at, data := range acked[w] {
			owners[at]++
			for r := range seen {
				if int(at) > len(seen[r]) || seen[r][at-1] != data {
					t.Errorf("position %d is %q for its writer, not for reader %d", at, data, r)
				}
			}
		}
	}
	for at := range domain.Position(3 * each) {
		if owners[at+1] != 1 {
			t.Errorf("position %d has %d owners", at+1, owners[at+1])
		}
	}
	var bulk int
	if err := logs[0].Replay(ctx, 1, 3*each, func(Message) error { bulk++; return nil }); err != nil || bulk != 3*each {
		t.Errorf("replay: %d messages, %v", bulk, err)
	}
}

// Whoever comes first decides on the number of replicas; the others take the stream as it is. Without the look at
// ErrStreamNameAlreadyInUse in Open some fail: tried.
func TestOpenOnAClusterByManyServersAtOnce(t *testing.T) {
	t.Parallel()
	cluster := natstest.Cluster(t, 3)
	var opening sync.WaitGroup
	for i := range 9 {
		conn := cluster.Connect(t, i%3)
		opening.Go(func() {
			if _, err := Open(t.Context(), Config{Conn: conn, Replicas: 1 + 2*(i%2)}); err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
}

// appendUntilSeen appends data behind the end of the log, which is at last or later, and returns its position: the rules
// by which a server gives an answer, in their smallest form.
func appendUntilSeen(ctx context.Context, l *Log, last domain.Position, data string) (domain.Position, error) {
	for ctx.Err() == nil {
		// What is not ours moves the end; what is ours may have landed without an acknowledgement.
		m, err := l.Read(ctx, last+1)
		if err == nil {
			last = m.Position
			if string(m.Data) == data {
				return last, nil
			}
			continue
		}
		if err := l.Append(ctx, last, []byte(data), Header{}); err == nil {
			return last + 1, nil
		} else if errors.Is(err, ErrTooLarge) {
			return 0, err
		}
	}
	return 0, ctx.Err()
}
