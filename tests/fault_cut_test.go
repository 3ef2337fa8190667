package tests

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// One server of three is cut off from the log, without a word, while all of them are written to. A key is revoked on another
// one right then. The server that was cut off may still take it for good until the contact gap is over; from then on Check and
// VerifyKey are unavailable, and not once is the key good again, also not while the server catches up. The other two go on
// all the while, and in the end all three are the same.
//
// With Fresh answering nil the key is good as long as the server is cut off: tried.
func TestFaultServerCutOff(t *testing.T) {
	t.Parallel()
	cluster := natstest.Cluster(t, 3)
	link := newFaultProxy(t, cluster.URL(0))
	f := startFaultServers(t, t.TempDir(), 3, nil, link.url(), cluster.URL(1), cluster.URL(2))
	load := startFaultLoad(t, 6, func(i int) *processAPI { return f.apis[i%3] })
	org, key := faultKey(t, f.apis[1])
	load.more(t, 60, "before the cut")
	probe := startFaultProbe(t, f.apis[0], key, org)
	faultUntil(t, "the key to be good", func() bool { good, _, _, _ := probe.times(t); return !good.IsZero() })

	link.set(linkHeld)
	cut := time.Now()
	if _, err := f.apis[1].keys.RevokeKey(processContext(t), &tenurev1.RevokeKeyRequest{KeyId: key.Key.Id}); err != nil {
		t.Fatal(err)
	}
	others := load.answers.Load()
	time.Sleep(soak(10*time.Second, 40*time.Second)) // the fault itself
	good, bad, unavailable, since := probe.times(t)
	if good.Sub(cut) > engine.DefaultContactGap+gapMargin {
		t.Errorf("a revoked key was good %s after the cut, expected %s at most", good.Sub(cut), engine.DefaultContactGap)
	}
	if since.IsZero() || bad.After(cut) {
		t.Errorf("cut off, the server answers: unavailable since %s, another answer at %s", since, bad)
	}
	if now := load.answers.Load(); now < others+60 {
		t.Errorf("only %d commands were answered by the others", now-others)
	}
	stale := good

	link.set(linkWorks)
	healed := time.Now()
	recovery := load.recovery(t, healed, 0, 3) // who writes to the server that was cut off
	faultUntil(t, "checks to be answered again", func() bool { _, bad, _, _ := probe.times(t); return bad.After(healed) })
	load.more(t, 60, "behind the cut")
	probe.stop()
	if good, bad, _, _ = probe.times(t); good.After(stale) {
		t.Errorf("the revoked key was good again %s after the cut", good.Sub(cut))
	}
	load.stop(t)
	state, found := f.settled(t)
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = recovery
	figures.report(t, "one server of three cut off", load.only(t, "OUTCOME_UNKNOWN", "NO_CONTACT"),
		"; its last stale answer came ", stale.Sub(cut).Round(time.Millisecond), " after the cut, it was unavailable for ",
		unavailable.Sub(since).Round(time.Millisecond), " and right again ", bad.Sub(healed).Round(time.Millisecond), " after the end")
}
