package tests

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/engine"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// clockOffs are how far the clock of a server is off.
var clockOffs = map[string]time.Duration{
	"10 s ahead": 10 * time.Second, "10 s behind": -10 * time.Second,
	"a year ahead": 365 * 24 * time.Hour, "a year behind": -365 * 24 * time.Hour,
}

// clockServers are two servers on one log: the clock of the second can be moved.
func clockServers(t *testing.T, off *atomic.Int64) *faultServers {
	t.Helper()
	url, dir := natstest.Single(t).ConnectedUrl(), t.TempDir()
	right := startFaultServers(t, dir, 1, nil, url)
	wrong := startFaultServers(t, dir, 1, func(c *app.Config) {
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	}, url)
	return &faultServers{apps: append(right.apps, wrong.apps...), apis: append(right.apis, wrong.apis...)}
}

// wantTimes wants every commit to be of about the time at which the broker stored it.
func wantTimes(t *testing.T, f *faultServers) {
	t.Helper()
	end := f.apps[0].Engine.State().Position
	err := f.apps[0].Engine.Messages(processContext(t), 1, end, func(m engine.Message) error {
		if off := m.Commit.GetTime().AsTime().Sub(m.Time); m.Commit != nil && off.Abs() > engine.MaxClockSkew+time.Second {
			t.Errorf("position %d, of the server %s, is %s off", m.Position, m.Commit.Node, off)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The clock of one of two servers is wrong from the start, or jumps while both are written to. That server refuses commands
// and says how much it is off, and goes on answering reads; the other one is not disturbed; no commit of the wrong time gets
// into the log. With the clock right again it takes commands as if nothing had been.
//
// Without clockSane nothing is refused; with clocks compared only once a second, commands of the second behind a jump ahead are
// in the log: both tried.
func TestFaultClockOff(t *testing.T) {
	t.Parallel()
	for name, off := range clockOffs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			ahead.Store(int64(off))
			f := clockServers(t, &ahead)
			load := startFaultLoad(t, 4, func(i int) *processAPI { return f.apis[i%2] })
			org, key := faultKey(t, f.apis[0])
			skewed := func(when string) {
				t.Helper()
				load.refused()
				faultUntil(t, "commands to be refused "+when, func() bool { return load.refused()["CLOCK_SKEW"] > 0 })
				load.more(t, 20, "of the other server")
				_, err := f.apis[1].orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "too early or too late"})
				if connect.CodeOf(err) != connect.CodeUnavailable || processReason(err) != string(engine.ClockSkew) || !strings.Contains(err.Error(), "s off the log's") {
					t.Errorf("%s: a command is answered %v", when, err)
				}
				check := &tenurev1.CheckRequest{KeyId: key.Key.Id, OrgId: org, Permission: "projects:create"}
				if res, err := f.apis[1].access.Check(processHeaders(processContext(t), "Tenure-Token", key.Token), check); err != nil || !res.Allowed {
					t.Errorf("%s: a check is answered %v, %v", when, res, err)
				}
			}
			skewed("from the start")
			var slowest time.Duration
			for range soak(1, 10) {
				ahead.Store(0)
				right := time.Now()
				slowest = max(slowest, load.recovery(t, right, 1, 3))
				load.more(t, 20, "with the clock right")
				ahead.Store(int64(off))
				skewed("behind a jump")
			}
			ahead.Store(0)
			slowest = max(slowest, load.recovery(t, time.Now(), 1, 3))
			load.stop(t)
			state, found := f.settled(t)
			wantTimes(t, f)
			figures := killJudge(t, state, found, load.writers)
			figures.recovery = slowest
			figures.report(t, "clock "+name, load.only(t, "CLOCK_SKEW"))
		})
	}
}

// A server whose clock is off begins no log, with the words that say why.
//
// Without clockSane it does: tried.
func TestFaultClockOffAtTheBeginning(t *testing.T) {
	t.Parallel()
	_, err := app.Start(processContext(t), app.Config{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", AdminKey: processAdmin, Clock: func() time.Time { return time.Now().Add(time.Hour) },
	})
	if err == nil || !strings.Contains(err.Error(), "clock is 1h0m0s off the log's") {
		t.Errorf("a server an hour ahead begins the log: %v", err)
	}
}
