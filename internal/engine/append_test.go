package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Each row is a way in which the answer to an append says less than what happened. Whatever it is, the command is done
// once, and answered only then. Fails (lost or doubled commands, or a hang) if `append` takes an unknown outcome or a
// conflict for an answer: tried both.
func TestUncertainAppends(t *testing.T) {
	t.Parallel()
	unknown := fmt.Errorf("cut off: %w", eventstore.ErrOutcomeUnknown)
	conflict := fmt.Errorf("refused: %w", eventstore.ErrConflict)
	for _, row := range []struct {
		name string
		// fault answers the n-th append (from 1); real does it.
		fault func(n int, real func() error) error
	}{
		{"stored, not acknowledged", func(n int, real func() error) error {
			if n == 1 {
				return errors.Join(unknown, real())
			}
			return real()
		}},
		{"not stored, not acknowledged", func(n int, real func() error) error {
			if n <= 2 {
				return unknown
			}
			return real()
		}},
		{"refused because of a message that never came to be", func(n int, real func() error) error {
			if n <= 2 {
				return conflict
			}
			return real()
		}},
		{"stored after the retry was refused", func(n int, real func() error) error {
			switch n {
			case 1:
				return unknown
			case 2:
				return errors.Join(conflict, real())
			}
			return real()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			log := openLog(t)
			e := start(t, log, nil)
			n := 0
			log.set(func(f *faulty) {
				f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
					n++
					return row.fault(n, func() error { return log.Log.Append(ctx, expected, data, h) })
				}
			})
			out := must(t, e, createOrg("a"))
			if _, ok := out.State.Org("a"); !ok {
				t.Error("the answer's state lacks the organization")
			}
			must(t, e, createOrg("b"))
			createdOnce(t, e, log, "a", "b")
		})
	}
}

// Somebody else's commit takes the position: the command is decided again on what that left. Fails if a lost race is
// answered with the first decision: tried.
func TestLostRaceIsDecidedAgain(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, func(c *Config) { c.Sole = false })
	other := start(t, log.Log, func(c *Config) { c.Sole = false })
	must(t, e, createOrg("a"))
	once := sync.Once{}
	log.set(func(f *faulty) {
		f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
			once.Do(func() { must(t, other, createProject("a", "p1", "same name")) })
			return log.Log.Append(ctx, expected, data, h)
		}
	})
	refused(t, e, createProject("a", "p2", "Same Name"), domain.NameTaken)
	if e.Stats().Conflicts == 0 {
		t.Error("there was no race")
	}
}

// A rejection is only as good as the state it was decided on: behind a command of the same group it waits until that one
// landed. Fails if decide answers rejections at once: tried.
func TestRejectionWaitsForWhatItIsBasedOn(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	must(t, e, createOrg("a"))
	// The first command occupies the sequencer, so that the next two come as one group.
	entered, release := make(chan struct{}), make(chan struct{})
	enteredTwo, releaseTwo := make(chan struct{}), make(chan struct{})
	n := 0
	log.set(func(f *faulty) {
		f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
			switch n++; n {
			case 1:
				close(entered)
				<-release
			case 2:
				close(enteredTwo)
				<-releaseTwo
			}
			return log.Log.Append(ctx, expected, data, h)
		}
	})
	answers := make(chan error, 3)
	give := func(req Request) {
		go func() {
			_, err := e.Execute(context.Background(), req)
			answers <- err
		}()
	}
	give(createOrg("b"))
	<-entered
	give(createProject("a", "p1", "name"))
	eventually(t, "the first is queued", func() bool { return len(e.queue) == 1 })
	give(createProject("a", "p2", "name"))
	eventually(t, "both are queued", func() bool { return len(e.queue) == 2 })
	close(release)
	if err := <-answers; err != nil {
		t.Fatal(err)
	}
	<-enteredTwo
	if len(answers) != 0 {
		t.Fatal("an answer was given before the commit it depends on had landed")
	}
	close(releaseTwo)
	var reasons []error
	for range 2 {
		if err := <-answers; err != nil {
			reasons = append(reasons, err)
		}
	}
	if len(reasons) != 1 {
		t.Fatalf("got %v, want one refusal", reasons)
	}
	wantReason(t, reasons[0], domain.NameTaken)
}

// What is too large for one commit is split; a command that is too large alone is refused, and nobody with it. Fails if a
// definite refusal is taken for an unknown outcome: it then never ends. Tried.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	const limit = 4000
	log.set(func(f *faulty) {
		// The engine believes in more than the server takes.
		f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
			if len(data) > limit {
				return eventstore.ErrTooLarge
			}
			return log.Log.Append(ctx, expected, data, h)
		}
	})
	var wg sync.WaitGroup
	ids := names(100)
	for _, id := range ids {
		wg.Go(func() { must(t, e, createOrg(id)) })
	}
	big := createOrg("big")
	big.Reason = string(make([]byte, 2*limit))
	wg.Go(func() {
		_, err := e.Execute(context.Background(), big)
		known := &domain.Error{}
		if !errors.As(err, &known) || known.Reason != TooLarge || known.Code != domain.CodeExhausted {
			t.Errorf("got %v, want %s", err, TooLarge)
		}
	})
	wg.Wait()
	createdOnce(t, e, log, ids...)
}

// A command that is too large alone is told so whatever waits beside it. Fails if it is known by being the only one decided
// instead of the only one written: tried, it then never ends.
func TestTooLargeBesideARejection(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	must(t, e, createOrg("taken"))
	entered, release := make(chan struct{}), make(chan struct{})
	once := sync.Once{}
	log.set(func(f *faulty) {
		f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
			once.Do(func() {
				close(entered)
				<-release
			})
			if len(data) > 4000 {
				return eventstore.ErrTooLarge
			}
			return log.Log.Append(ctx, expected, data, h)
		}
	})
	answers := make(chan error, 4)
	give := func(req Request) {
		go func() {
			_, err := e.Execute(context.Background(), req)
			answers <- err
		}()
	}
	give(createOrg("first"))
	<-entered
	big := createOrg("big")
	big.Reason = string(make([]byte, 8000))
	for i, req := range []Request{createOrg("taken"), big, createOrg("small")} {
		give(req)
		eventually(t, "it is queued", func() bool { return len(e.queue) == i+1 })
	}
	close(release)
	reasons := map[domain.Reason]int{}
	for range 4 {
		var known *domain.Error
		if errors.As(<-answers, &known) {
			reasons[known.Reason]++
		} else {
			reasons[""]++
		}
	}
	if reasons[""] != 2 || reasons[TooLarge] != 1 || reasons[domain.IDTaken] != 1 {
		t.Errorf("answers by reason: %v", reasons)
	}
	createdOnce(t, e, log, "first", "small")
}

func TestGroupsShareCommits(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	ids := names(500)
	var wg sync.WaitGroup
	next := make(chan string)
	for range 64 {
		wg.Go(func() {
			for id := range next {
				must(t, e, createOrg(id))
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	wg.Wait()
	if s := e.Stats(); s.Commits*4 > s.Commands {
		t.Errorf("%d commands in %d commits: hardly any were grouped", s.Commands, s.Commits)
	}
	createdOnce(t, e, log, ids...)
}

// Without an answer from the log a caller is told that the outcome is unknown, and learns it by repeating with the same
// key. Fails if the repetition is decided anew: tried.
func TestUnknownOutcomeIsLearntByRepeating(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	log.set(func(f *faulty) {
		f.append = func(ctx context.Context, expected domain.Position, data []byte, h eventstore.Header) error {
			entered <- struct{}{}
			<-release
			return log.Log.Append(ctx, expected, data, h)
		}
	})
	req := createOrg("a")
	req.Idempotency = &eventv1.Idempotency{Key: []byte("key"), Command: []byte("command")}
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := e.Execute(ctx, req)
		answer <- err
	}()
	<-entered
	cancel()
	wantReason(t, <-answer, OutcomeUnknown)
	log.set(func(f *faulty) { f.append = nil })
	close(release)
	again := req
	again.Command = domain.CreateOrg{ID: "b", Chosen: true, OrgName: "org a"} // a new id, as the edge makes one
	out := must(t, e, again)
	if !out.Repeated || out.Events[0].OrgIds[0] != "a" {
		t.Errorf("got %v repeated=%v, want the first outcome", out.Events, out.Repeated)
	}
	other := req
	other.Idempotency = &eventv1.Idempotency{Key: []byte("key"), Command: []byte("other command")}
	refused(t, e, other, domain.IdempotencyReuse)
	createdOnce(t, e, log, "a")
}

// What a reader must not go past stops it, and with it the engine, loudly. Fails if the error of Decode is taken for a
// void position: tried.
func TestUnreadableCommitStops(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*eventv1.Commit){
		"newer format":      func(c *eventv1.Commit) { c.Format = 99 },
		"other parent hash": func(c *eventv1.Commit) { c.ParentHash[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := openLog(t)
			e := start(t, log, nil)
			out := must(t, e, createOrg("a"))
			c := &eventv1.Commit{
				CommitId: ulid.Make().String(), Parent: uint64(out.Position), ParentHash: out.Hash[:], Format: eventstore.Format,
				Time: timestamppb.Now(), End: 1,
			}
			change(c)
			data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte("TNR\x01"), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Log.Append(t.Context(), out.Position, data, eventstore.Header{}); err != nil {
				t.Fatal(err)
			}
			<-e.Failed()
			refused(t, e, createOrg("b"), Stopped)
			wantReason(t, e.Fresh(), Stopped)
			if e.State().Position != out.Position {
				t.Errorf("the state went on to %d", e.State().Position)
			}
		})
	}
}

func TestVoidPositionsAreSkipped(t *testing.T) {
	t.Parallel()
	log := openLog(t)
	e := start(t, log, nil)
	out := must(t, e, createOrg("a"))
	if err := log.Log.Append(t.Context(), out.Position, []byte("by hand"), eventstore.Header{}); err != nil {
		t.Fatal(err)
	}
	must(t, e, createOrg("b"))
	if v := e.State().Voids; v != 1 {
		t.Errorf("%d void positions counted, want 1", v)
	}
	createdOnce(t, e, log, "a", "b")
}
