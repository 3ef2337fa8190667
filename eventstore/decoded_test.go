package eventstore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

// stored is a log in memory.
type stored []Message

func (s stored) Replay(ctx context.Context, from, to domain.Position, fn func(Message) error) error {
	for _, m := range s[from-1 : to] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

// storedLog has n positions, every tenth of them void.
func storedLog(t testing.TB, n int) (log stored) {
	t.Helper()
	var parent domain.Hash
	for at := domain.Position(1); at <= domain.Position(n); at++ {
		data := fmt.Appendf(nil, "by hand %d", at)
		if at%10 != 0 {
			data = mustEncode(t, sample(at-1, parent))
		}
		parent = HashOf(data)
		log = append(log, Message{Position: at, Data: data})
	}
	return log
}

// What is decoded beside comes in order, each position once, with the verdict that Decode gives; short ranges and long ones
// alike. Fails if a batch is handed on before it is decoded, or the hash of a void position is left out of the chain: tried.
func TestReplayDecoded(t *testing.T) {
	t.Parallel()
	log := storedLog(t, 2000)
	for _, r := range [][2]domain.Position{{1, 2000}, {1, 10}, {501, 1999}, {128, 256}, {2000, 2000}, {11, 10}} {
		var parent domain.Hash
		if r[0] > 1 {
			parent = HashOf(log[r[0]-2].Data)
		}
		next := r[0]
		err := ReplayDecoded(t.Context(), log, r[0], r[1], parent, func(d Decoded) error {
			if d.Position != next || d.Hash != HashOf(log[next-1].Data) {
				t.Fatalf("position %d with hash %s, expected %d", d.Position, d.Hash, next)
			}
			if void := next%10 == 0; void != (d.Commit == nil) || !void && d.Commit.Parent != uint64(next-1) {
				t.Fatalf("position %d: commit %v", next, d.Commit)
			}
			next++
			return nil
		})
		if err != nil || next != r[1]+1 {
			t.Errorf("%d..%d: %v, ended before %d", r[0], r[1], err, next)
		}
	}
}

// Everything before the trouble is handed out, nothing behind it, and nothing is left running.
func TestReplayDecodedStops(t *testing.T) {
	t.Parallel()
	const at = 1234
	broken, unknown := storedLog(t, 2000), storedLog(t, 2000)
	c := sample(at-1, HashOf([]byte("another message")))
	broken[at-1].Data = mustEncode(t, c)
	c = sample(at-1, HashOf(unknown[at-2].Data))
	data := mustEncode(t, c)
	unknown[at-1].Data = append(data, 0xf8, 0x7f, 1) // field 2047
	own := errors.New("own")
	for name, run := range map[string]struct {
		log  stored
		fn   func(Decoded) error
		want error
	}{
		"broken chain": {broken, nil, ErrChainBroken},
		"unknown":      {unknown, nil, ErrUnknown},
		"own error": {storedLog(t, 2000), func(d Decoded) error {
			if d.Position == at {
				return own
			}
			return nil
		}, own},
	} {
		var last domain.Position
		err := ReplayDecoded(t.Context(), run.log, 1, 2000, domain.Hash{}, func(d Decoded) error {
			if run.fn != nil {
				if err := run.fn(d); err != nil {
					return err
				}
			}
			last = d.Position
			return nil
		})
		if !errors.Is(err, run.want) || last != at-1 {
			t.Errorf("%s: %v behind %d, expected %v behind %d", name, err, last, run.want, at-1)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := ReplayDecoded(ctx, storedLog(t, 2000), 1, 2000, domain.Hash{}, func(d Decoded) error {
		if d.Position == at {
			cancel()
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
