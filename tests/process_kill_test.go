package tests

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A real server process is killed (-9) at random moments while sixteen writers give commands, and started again on the same
// directory. Commands that got no answer are repeated with their Idempotency-Key. In the end every command is in the log
// exactly once, what was answered is what the log says, every key that was shown verifies, and the chain of hashes is whole.
//
// With answers given before the append, acknowledged commands are lost; with Recall forgetting everything, commands are
// doubled: both tried.
func TestProcessKilledUnderLoad(t *testing.T) {
	t.Parallel()
	rounds := soak(10, 100)
	dir := t.TempDir()
	users := killUsers(t, dir)
	writers := make([]*killWriter, 16)
	for i := range writers {
		writers[i] = newKillWriter(i, users)
	}
	var slowest time.Duration
	var repeated []killRepeat
	for range rounds {
		p := processServe(t, dir)
		api := processClient(t, p.url, processAdmin)
		before := killPosition(t, api)
		for _, w := range writers {
			if w.open != nil {
				repeated = append(repeated, killRepeat{w.open, before})
			}
		}
		slowest = max(slowest, p.took+killRound(t, p, api, writers))
	}

	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	before := killPosition(t, api)
	var last sync.WaitGroup
	for _, w := range writers {
		if w.open != nil {
			repeated = append(repeated, killRepeat{w.open, before})
			last.Go(func() {
				if !w.step(processContext(t), t, api) {
					t.Errorf("%s of writer %d was not answered by a server that was left alone", w.open.name, w.id)
				}
			})
		}
	}
	last.Wait()
	killVerifyKeys(t, api, writers)
	end := killPosition(t, api)
	// The projectors were killed as often, at whatever moment of a transaction.
	began := time.Now()
	for _, name := range []string{"audit", "directory"} {
		processVerify(t, p.url, name)
	}
	t.Logf("read models caught up and are what the log says, %s", time.Since(began).Round(time.Millisecond))
	p.stop(t, syscall.SIGTERM)

	state, found := killReplay(t, dir, end)
	figures := killJudge(t, state, found, writers)
	landed := 0
	for _, r := range repeated {
		if e := found[r.command.key]; len(e) > 0 && e[0].at <= r.before {
			landed++
		}
	}
	figures.recovery = slowest
	figures.report(t, fmt.Sprintf("kill -9 under load, %d rounds", rounds), len(repeated), " settled by repetition, ", landed, " of which had landed before the kill; ", end, " positions")
	if figures.acknowledged < rounds {
		t.Errorf("only %d commands were acknowledged: that was no load", figures.acknowledged)
	}
}

// killRepeat is a command that was repeated after a restart that found the log at a position.
type killRepeat struct {
	command *killCommand
	before  domain.Position
}

// killUsers starts the directory with some people.
func killUsers(t *testing.T, dir string) (ids []string) {
	t.Helper()
	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	for _, name := range []string{"ada", "bea", "cleo"} {
		res, err := api.users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: name + "@example.com", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, res.User.Id)
	}
	p.stop(t, syscall.SIGTERM)
	return ids
}

func killPosition(t *testing.T, api *processAPI) domain.Position {
	t.Helper()
	res, err := api.instance.GetInstance(processContext(t), &tenurev1.GetInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Position(res.Position)
}

// killRound lets all writers write, kills the server at a random moment after the first answer, and answers how long that
// was waited for.
func killRound(t *testing.T, p *processServer, api *processAPI, writers []*killWriter) (first time.Duration) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), processWait)
	defer cancel()
	var killed atomic.Bool
	answered := make(chan struct{}, 1)
	var writing sync.WaitGroup
	for _, w := range writers {
		writing.Go(func() {
			for !killed.Load() && w.step(ctx, t, api) {
				select {
				case answered <- struct{}{}:
				default:
				}
			}
			if !killed.Load() {
				t.Errorf("writer %d got no answer to %s from a living server", w.id, w.open.name)
			}
		})
	}
	select {
	case <-answered:
		first = time.Since(began)
	case <-ctx.Done():
		t.Fatal("no command was answered")
	}
	// The moment is what is random here; nothing is waited for.
	moment := time.NewTimer(time.Duration(50+rand.IntN(500)) * time.Millisecond)
	defer moment.Stop()
	<-moment.C
	killed.Store(true)
	p.kill()
	writing.Wait()
	return first
}

// killVerifyKeys verifies the secret of every key that was shown.
func killVerifyKeys(t *testing.T, api *processAPI, writers []*killWriter) {
	t.Helper()
	n := 0
	for _, w := range writers {
		for _, k := range w.keys {
			n++
			res, err := api.keys.VerifyKey(processContext(t), &tenurev1.VerifyKeyRequest{PublicKey: k.public, Secret: k.secret})
			if err != nil {
				t.Fatal(err)
			}
			if !res.Valid || res.KeyId != k.id || res.ProjectId != k.project || res.OrgId != w.projects[k.project] {
				t.Errorf("key %s: valid=%v (%s), key %s in %s of %s, expected %s of %s",
					k.id, res.Valid, res.Reason, res.KeyId, res.ProjectId, res.OrgId, k.project, w.projects[k.project])
			}
		}
	}
	if n == 0 {
		t.Error("no key was shown: that was no load")
	}
}

// killEntry is a command in the log.
type killEntry struct {
	at    domain.Position
	entry *eventv1.Entry
}

// killReplay reads the log of a stopped server from zero, twice, and finds the commands in it by idempotency key.
func killReplay(t *testing.T, dir string, end domain.Position) (*domain.State, map[string][]killEntry) {
	t.Helper()
	embedded, err := eventstore.StartEmbedded(eventstore.EmbeddedConfig{Dir: filepath.Join(dir, "log"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Close()
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: embedded.Conn()})
	if err != nil {
		t.Fatal(err)
	}
	tip, err := log.Tip(processContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if tip.Last != end {
		t.Errorf("the log ends at %d, the server was at %d", tip.Last, end)
	}
	return replayTwice(t, log, tip.Last)
}

// replayTwice replays a log up to a position, wants the same twice and a whole chain, and finds the commands in it by
// idempotency key.
func replayTwice(t *testing.T, log engine.Log, to domain.Position) (*domain.State, map[string][]killEntry) {
	t.Helper()
	state, err := engine.Replay(processContext(t), log, to)
	if err != nil {
		t.Fatal(err)
	}
	again, err := engine.Replay(processContext(t), log, to)
	if err != nil {
		t.Fatal(err)
	}
	if state.Digest() != again.Digest() {
		t.Errorf("replayed twice up to %d: %s, then %s", to, state.Digest(), again.Digest())
	}
	found := map[string][]killEntry{}
	err = eventstore.ReplayDecoded(processContext(t), log, 1, to, domain.Hash{}, func(d eventstore.Decoded) error {
		for _, e := range d.Commit.GetEntries() {
			if id := e.GetIdempotency(); id != nil {
				// By the client's name for the request, or without one by what its key became.
				name := cmp.Or(e.GetRequest().GetRequestId(), string(id.Key))
				found[name] = append(found[name], killEntry{d.Position, e})
			}
		}
		return nil // void positions are counted by the state
	})
	if err != nil {
		t.Error(err)
	}
	return state, found
}
