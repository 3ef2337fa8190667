package tests

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/projections/runner"
	"github.com/tenurehq/tenure/tests/pgtest"
)

// commandsFor is how many commands a second a load has answered over a time.
func (l *faultLoad) commandsFor(d time.Duration) float64 {
	before, began := l.answers.Load(), time.Now()
	time.Sleep(d) // the measurement itself
	return float64(l.answers.Load()-before) / time.Since(began).Seconds()
}

// judged ends a load on a server and checks every command, and every row.
func judged(t *testing.T, s *apiServer, load *faultLoad, dir, fault string, recovery time.Duration, more ...any) {
	t.Helper()
	load.stop(t)
	reasons := load.only(t)
	s.verified(t)
	end := s.Engine.State().Position
	s.stop(t)
	state, found := killReplay(t, dir, end)
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = recovery
	figures.report(t, fault, append(more, "; ", reasons)...)
}

// PostgreSQL is away for seconds. Commands and everything that reads the state go on as before; when it is back, the read models catch up
// by themselves, and no row is missing or there twice. Seen to fail when the loss of a connection is not transient.
func TestFaultPostgresAway(t *testing.T) {
	t.Parallel()
	postgres, dir := pgtest.Own(t), t.TempDir()
	s := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.PostgresURL = dir, postgres.URL("postgres") })
	api := processClient(t, s.URL, apiAdminKey)
	load := startFaultLoad(t, 8, func(int) *processAPI { return api })
	load.more(t, 200, "before the database goes")
	with := load.commandsFor(2 * time.Second)
	postgres.Stop()
	away := soak(3*time.Second, 30*time.Second)
	without := load.commandsFor(away)
	at := s.Engine.State().Position
	if r := s.ReadModels.Audit.Report(); r.Status.Phase != runner.Retrying || r.Err == nil || r.Lag() == 0 || r.LagEvents < uint64(r.Lag()) {
		t.Errorf("while the database is away: %+v", r)
	}
	if err := postgres.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, p := range s.ReadModels.All() {
		if _, err := p.Await(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp := time.Since(began)
	// A noisy machine must not fail this; `make bench` measures it.
	if without < with/2 {
		t.Errorf("%.0f commands/s while the database is away, %.0f before", without, with)
	}
	judged(t, s, load, dir, fmt.Sprintf("PostgreSQL away for %s", away), 0,
		fmt.Sprintf("%.0f commands/s with it, %.0f without; read models caught up %s after it was back", with, without, caughtUp.Round(time.Millisecond)))
}

// PostgreSQL crashes again and again in the middle of transactions.
func TestFaultPostgresCrashes(t *testing.T) {
	t.Parallel()
	postgres, dir := pgtest.Own(t), t.TempDir()
	s := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.PostgresURL = dir, postgres.URL("postgres") })
	api := processClient(t, s.URL, apiAdminKey)
	load := startFaultLoad(t, 8, func(int) *processAPI { return api })
	rounds := soak(3, 100)
	var slowest time.Duration
	for range rounds {
		load.more(t, 50, "between crashes")
		time.Sleep(rand.N(300 * time.Millisecond)) // wherever a transaction is by then
		postgres.Kill()
		at := s.Engine.State().Position
		if err := postgres.Start(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, p := range s.ReadModels.All() {
			if _, err := p.Await(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		slowest = max(slowest, time.Since(began))
	}
	judged(t, s, load, dir, fmt.Sprintf("PostgreSQL killed %d times", rounds), slowest)
}

// Two servers keep one database current. One makes progress at a time; when it ends, the other takes over within seconds.
func TestFaultTwoServersOneReadModel(t *testing.T) {
	t.Parallel()
	database, conn := pgtest.Database(t), apiBroker(t)
	first := apiStart(t, func(cfg *app.Config) { cfg.NATSURL, cfg.PostgresURL = conn.ConnectedUrl(), database })
	second := apiStart(t, func(cfg *app.Config) {
		cfg.NATSURL, cfg.PostgresURL = conn.ConnectedUrl(), database
		cfg.PepperFile, cfg.SealingKeyFile = filepath.Join(first.dir, "pepper"), filepath.Join(first.dir, "sealing-key")
	})
	api := processClient(t, second.URL, apiAdminKey)
	load := startFaultLoad(t, 8, func(int) *processAPI { return api })
	load.more(t, 300, "with both")
	first.settled(t)
	second.settled(t)
	before := second.ReadModels.Audit.Report().Status.Phase
	first.stop(t)
	at := second.Engine.State().Position
	began := time.Now()
	load.more(t, 50, "without the first")
	second.settled(t)
	took := time.Since(began)
	if took > 30*time.Second {
		t.Errorf("the other took over after %s", took)
	}
	load.stop(t)
	second.verified(t)
	t.Logf("two servers on one read model: the second, %s before, was at the end %s after the first had gone (%d positions)",
		before, took.Round(time.Millisecond), second.Engine.State().Position-at)
}
