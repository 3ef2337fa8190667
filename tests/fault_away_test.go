package tests

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// faultBroker is a NATS server that can be stopped, and started again on its store and port.
type faultBroker struct {
	url    string
	opts   *server.Options
	server *server.Server
}

func newFaultBroker(t *testing.T) *faultBroker {
	t.Helper()
	b := &faultBroker{opts: &server.Options{
		ServerName: "broker", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		DisableJetStreamBanner: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
	}}
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *faultBroker) start(t *testing.T) {
	t.Helper()
	var err error
	if b.server, err = server.NewServer(b.opts.Clone()); err != nil {
		t.Fatal(err)
	}
	b.server.Start()
	if !b.server.ReadyForConnections(processWait) {
		t.Fatal("the NATS server does not start")
	}
	b.url, b.opts.Port = b.server.ClientURL(), b.server.Addr().(*net.TCPAddr).Port
}

func (b *faultBroker) stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// faultProbe asks one server all the while whether a key is good and what it may do.
type faultProbe struct {
	mu sync.Mutex
	// good, bad and unavailable are when the latest such answer came, and since when unavailable was the only one.
	good, bad, unavailable, since time.Time
	wrong                         error

	done    atomic.Bool
	probing sync.WaitGroup
}

// startFaultProbe asks every few milliseconds, for VerifyKey and Check by turns, until stop.
func startFaultProbe(t *testing.T, api *processAPI, key *tenurev1.CreateKeyResponse, org string) *faultProbe {
	p := &faultProbe{}
	ctx := t.Context()
	p.probing.Go(func() {
		for n := 0; !p.done.Load(); n++ {
			var good bool
			var err error
			asked := time.Now()
			if n%2 == 0 {
				var res *tenurev1.VerifyKeyResponse
				res, err = api.keys.VerifyKey(ctx, &tenurev1.VerifyKeyRequest{PublicKey: key.Key.PublicKey, Secret: key.Secret})
				good = res.GetValid()
			} else {
				var res *tenurev1.CheckResponse
				res, err = api.access.Check(ctx, &tenurev1.CheckRequest{KeyId: key.Key.Id, OrgId: org, Permission: "projects:create"})
				good = res.GetAllowed()
			}
			if ctx.Err() == nil {
				p.saw(asked, good, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *faultProbe) saw(asked time.Time, good bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && good:
		p.good, p.since = asked, time.Time{}
	case err == nil:
		p.bad, p.since = asked, time.Time{}
	case connect.CodeOf(err) == connect.CodeUnavailable && processReason(err) == string(engine.NoContact):
		p.unavailable = asked
		if p.since.IsZero() {
			p.since = asked
		}
	default:
		p.wrong = errors.Join(p.wrong, err)
	}
}

func (p *faultProbe) stop() { p.done.Store(true); p.probing.Wait() }

// times are a copy of what the probe saw.
func (p *faultProbe) times(t *testing.T) (good, bad, unavailable, since time.Time) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrong != nil {
		t.Errorf("asked whether a key is good, the server answered %v", p.wrong)
	}
	return p.good, p.bad, p.unavailable, p.since
}

// faultKey makes an organization and a key in it that may do everything.
func faultKey(t *testing.T, api *processAPI) (org string, key *tenurev1.CreateKeyResponse) {
	t.Helper()
	made, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "keyholders"})
	if err != nil {
		t.Fatal(err)
	}
	if key, err = api.keys.CreateKey(processContext(t), &tenurev1.CreateKeyRequest{OrgId: made.Org.Id}); err != nil {
		t.Fatal(err)
	}
	return made.Org.Id, key
}

// gapMargin is for busy machines: how much later than the contact gap a server may still say what it knows.
const gapMargin = 3 * time.Second

// The log's server is stopped under load, and started again on its store and port. Commands have no answer meanwhile, for the
// reasons that the documentation names, and are done once each when it is back. Access checks go on from memory for the
// contact gap, then are unavailable, and are answered again when it is back.
//
// With Fresh answering nil they are never unavailable; without the guard in Append the log is full of void positions: both
// tried.
func TestFaultLogServerAway(t *testing.T) {
	t.Parallel()
	for _, away := range soak([]time.Duration{3 * time.Second, 8 * time.Second}, []time.Duration{3 * time.Second, 30 * time.Second}) {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			broker := newFaultBroker(t)
			f := startFaultServers(t, t.TempDir(), 1, nil, broker.url, broker.url)
			load := startFaultLoad(t, 8, func(i int) *processAPI { return f.apis[i%2] })
			org, key := faultKey(t, f.apis[0])
			load.more(t, 100, "before the log is away")
			probe := startFaultProbe(t, f.apis[0], key, org)
			faultUntil(t, "a first check", func() bool { good, _, _, _ := probe.times(t); return !good.IsZero() })

			broker.stop()
			stopped := time.Now()
			time.Sleep(away) // the fault itself
			good, bad, unavailable, since := probe.times(t)
			switch {
			case !bad.IsZero():
				t.Error("a good key was answered otherwise")
			case away < engine.DefaultContactGap && !unavailable.IsZero():
				t.Errorf("unavailable %s after the log went away, expected answers for %s", unavailable.Sub(stopped), engine.DefaultContactGap)
			case away > engine.DefaultContactGap && since.Sub(stopped) < engine.DefaultContactGap-2*time.Second:
				t.Errorf("unavailable as soon as %s after the log went away", since.Sub(stopped))
			case away > engine.DefaultContactGap && (since.IsZero() || good.Sub(stopped) > engine.DefaultContactGap+gapMargin):
				t.Errorf("the last answer came %s after the log went away, expected none after %s", good.Sub(stopped), engine.DefaultContactGap)
			}
			if code, body := processGet(t, f.apis[0].http, f.apps[0].URL+"/readyz"); away > engine.DefaultContactGap && code != http.StatusServiceUnavailable {
				t.Errorf("/readyz: %d %s", code, body)
			}
			broker.start(t)
			back := time.Now()
			recovery := load.recovery(t, back)
			faultUntil(t, "checks to be answered again", func() bool { good, _, _, _ := probe.times(t); return good.After(back) })
			load.more(t, 100, "with the log back")
			probe.stop()
			load.stop(t)
			state, found := f.settled(t)
			figures := killJudge(t, state, found, load.writers)
			figures.recovery = recovery
			figures.report(t, fmt.Sprintf("log server away for %s", away), load.only(t, "OUTCOME_UNKNOWN", "NO_CONTACT"))
		})
	}
}
