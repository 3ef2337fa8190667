package tests

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	"github.com/tenurehq/tenure/internal/engine"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
	"github.com/tenurehq/tenure/tests/natstest"
)

// upgradeBinary builds the version after this one: its log can have format 3, for which PlanDefined counts as new. See
// eventstore/format_next.go.
var upgradeBinary = sync.OnceValues(func() (string, error) { return processBuild("next", "-tags", "tenure_next") })

// nextFormat is the newest format of that version.
const nextFormat = eventstore.Format + 1

// upgradeServer is a server of either version on the log of the test.
type upgradeServer struct {
	*processServer
	api   *processAPI
	plans tenurev1connect.PlanServiceClient
}

// upgrade is a log and the files that its servers share.
type upgrade struct {
	url, dir string
}

func (u upgrade) args(more ...string) []string {
	return append([]string{
		"--nats-url", u.url, "--pepper-file", filepath.Join(u.dir, "pepper"), "--sealing-key-file", filepath.Join(u.dir, "sealing-key"),
	}, more...)
}

func (u upgrade) serve(t *testing.T, build func() (string, error), more ...string) *upgradeServer {
	t.Helper()
	p := processServeBuild(t, build, []string{"TENURE_ADMIN_KEY=" + processAdmin}, t.TempDir(), u.args(more...)...)
	api := processClient(t, p.url, processAdmin)
	return &upgradeServer{p, api, tenurev1connect.NewPlanServiceClient(api.http, p.url, connect.WithInterceptors(processSender(processAdmin)))}
}

// define gives the command whose event is new.
func (s *upgradeServer) define(t *testing.T) error {
	t.Helper()
	_, err := s.plans.DefinePlan(processContext(t), &tenurev1.DefinePlanRequest{PlanId: "pro"})
	return err
}

func (s *upgradeServer) raise(t *testing.T) (*tenurev1.RaiseFormatResponse, error) {
	t.Helper()
	return s.api.instance.RaiseFormat(processContext(t), &tenurev1.RaiseFormatRequest{Reason: "all are upgraded"})
}

// refusesTheNew wants the new command to be refused, and why.
func (s *upgradeServer) refusesTheNew(t *testing.T) {
	t.Helper()
	err := s.define(t)
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || processReason(err) != "FORMAT_TOO_OLD" || !strings.Contains(err.Error(), "tenure instance raise-format") {
		t.Errorf("what is new is answered %v, expected failed_precondition FORMAT_TOO_OLD and what to do", err)
	}
}

// refusesToRaise wants the format not to be raised, and the servers that stand in the way to be named, and no others.
func (s *upgradeServer) refusesToRaise(t *testing.T, old, others []*upgradeServer) {
	t.Helper()
	_, err := s.raise(t)
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || processReason(err) != "OLD_SERVERS" {
		t.Errorf("to raise the format is answered %v, expected failed_precondition OLD_SERVERS", err)
		return
	}
	for _, o := range slices.Concat(old, others) {
		name := fmt.Sprintf("process %d ", o.cmd.Process.Pid)
		if want := slices.Contains(old, o); strings.Contains(err.Error(), name) != want {
			t.Errorf("%s is named: %v, expected %v, in %v", name, !want, want, err)
		}
	}
}

// shows wants a server to tell both formats, and to warn exactly if they differ.
func (s *upgradeServer) shows(t *testing.T, token string, format, server uint32) {
	t.Helper()
	res, err := s.api.instance.GetInstance(processHeaders(processContext(t), "Tenure-Token", token), &tenurev1.GetInstanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	warned := strings.Contains(strings.Join(res.Warnings, "\n"), "raise it when all servers are upgraded: tenure instance raise-format")
	if res.Format != format || res.ServerFormat != server || warned != (server > format) {
		t.Errorf("format %d, the server's %d, warned %v; expected %d, %d, %v", res.Format, res.ServerFormat, warned, format, server, server > format)
	}
}

// Three servers of this version, under load, are replaced one by one by the next version. While one of the old ones runs they all
// serve, what is new is refused, and so is to raise the log's format. When the last one is gone the format is raised and what is
// new works, still under load; a server of this version then refuses to start. Nothing is lost or doubled.
//
// Without writable what is new is written while old servers run; with Older answering nothing the format is raised under them, and
// they stop; without authorize in RaiseFormat a tenant is told of them; with load of snapshots not looking at the format, the old
// server gets past the position in the end, and without the question in unknownIn by one: all tried.
func TestProcessRollingUpgrade(t *testing.T) {
	t.Parallel()
	if _, err := upgradeBinary(); err != nil { // it takes long
		t.Fatal(err)
	}
	conn := natstest.Single(t)
	u := upgrade{conn.ConnectedUrl(), t.TempDir()}
	var servers [3]*upgradeServer
	var at [3]atomic.Pointer[processAPI]
	for i := range servers {
		servers[i] = u.serve(t, processBinary)
		at[i].Store(servers[i].api)
	}
	load := startFaultLoad(t, 6, func(i int) *processAPI { return at[i%3].Load() })
	phase := soak[int64](50, 2000)
	load.more(t, phase, "of the old version")
	servers[0].shows(t, "", eventstore.Format, eventstore.Format)
	tenant := processClient(t, servers[1].url, processKey(t, servers[0].api).Secret)

	var slowest time.Duration
	for i := range servers {
		// As with a balancer: nobody is sent any more to a server that is about to end.
		at[i].Store(servers[(i+1)%3].api)
		servers[i].stop(t, syscall.SIGTERM)
		slowest = max(slowest, load.recovery(t, time.Now(), i, i+3))
		servers[i] = u.serve(t, upgradeBinary)
		at[i].Store(servers[i].api)
		load.more(t, phase, fmt.Sprintf("with %d servers of the next version", i+1))

		servers[i].refusesTheNew(t)
		servers[i].shows(t, "", eventstore.Format, nextFormat)
		if upgraded, old := servers[:i+1], servers[i+1:]; len(old) > 0 {
			servers[i].refusesToRaise(t, old, upgraded)
			// Asked at an old one it is the same: it knows that there is more than it knows.
			old[0].refusesToRaise(t, old, upgraded)
		}
		if i == 0 {
			if _, err := tenant.instance.RaiseFormat(processContext(t), &tenurev1.RaiseFormatRequest{}); connect.CodeOf(err) != connect.CodePermissionDenied {
				t.Errorf("a tenant is answered %v, expected permission_denied and nothing of the servers", err)
			}
		}
		for _, s := range servers {
			if code, body := processGet(t, s.api.http, s.url+"/readyz"); code != 200 {
				t.Errorf("%s: %d %s", s.url, code, body)
			}
		}
	}

	raised, err := servers[0].raise(t)
	if err != nil || raised.Format != nextFormat {
		t.Fatalf("raised to %d, %v", raised.GetFormat(), err)
	}
	if again, err := servers[1].raise(t); err != nil || again.Format != nextFormat {
		t.Errorf("raised again to %d, %v", again.GetFormat(), err)
	}
	for _, s := range servers {
		s.shows(t, raised.Token, nextFormat, nextFormat)
		if err := s.define(t); err != nil {
			t.Error(err)
		}
	}
	load.more(t, phase, "with what is new")
	// A snapshot behind the position where it was raised must not help an old server over it.
	fourth := u.serve(t, upgradeBinary, "--snapshot-every", "1")
	faultUntil(t, "a snapshot", func() bool { return restoreWritten.MatchString(fourth.stderr.String()) })
	load.more(t, phase, "with a fourth server")
	load.stop(t)
	reasons := load.only(t, "NO_ANSWER", "STOPPED")

	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	tip, err := log.Tip(processContext(t))
	if err != nil {
		t.Fatal(err)
	}
	state, found, where := upgradeReplay(t, log, tip.Last)
	old := processRunBuild(t, processBinary, []string{"TENURE_ADMIN_KEY=" + processAdmin}, append([]string{
		"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, u.args()...)...)
	old.refused(t, fmt.Sprintf("position %d: written by a newer version of Tenure: format %d; run a version that knows it", where, nextFormat))
	if !strings.Contains(old.stderr.String(), "a snapshot is not used") {
		t.Errorf("there was no snapshot to be refused:\n%s", processTail(old.stderr.String()))
	}
	if now, err := log.Tip(processContext(t)); err != nil || now.Last != tip.Last {
		t.Errorf("the log ends at %d, %v, expected %d as before the old server's start", now.Last, err, tip.Last)
	}
	for _, s := range append(servers[:], fourth) {
		s.shows(t, raised.Token, nextFormat, nextFormat)
	}
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = slowest
	figures.report(t, "rolling upgrade of three servers", reasons, fmt.Sprintf("; the log was raised at %d of %d positions", where, tip.Last))
}

// upgradeReplay folds a log that this build can't read to its end, because it was raised: the events are known to it all the same.
// It wants a whole chain, and each commit to say the format of the log where it was decided; where is the position at which it was
// raised.
func upgradeReplay(t *testing.T, log *eventstore.Log, to domain.Position) (s *domain.State, found map[string][]killEntry, where domain.Position) {
	t.Helper()
	s, found = &domain.State{}, map[string][]killEntry{}
	plans := 0
	err := log.Replay(processContext(t), 1, to, func(m eventstore.Message) (err error) {
		c := &eventv1.Commit{}
		body, _ := bytes.CutPrefix(m.Data, []byte("TNR\x01"))
		if err := proto.Unmarshal(body, c); err != nil {
			return err
		}
		if s.Position > 0 && !bytes.Equal(c.ParentHash, s.Hash[:]) {
			return fmt.Errorf("position %d names another parent", m.Position)
		}
		if c.Format != s.Instance.LogFormat() {
			t.Errorf("position %d says format %d, the log has %d", m.Position, c.Format, s.Instance.LogFormat())
		}
		for _, e := range c.Entries {
			for _, event := range e.Events {
				if event.GetFormatRaised().GetNew() == nextFormat {
					where = m.Position
				}
				if event.GetPlanDefined() != nil && where == 0 {
					t.Errorf("position %d holds what is new, before the log was raised", m.Position)
				}
				if event.GetPlanDefined() != nil {
					plans++
				}
			}
			if id := e.GetIdempotency(); id != nil {
				name := cmp.Or(e.GetRequest().GetRequestId(), string(id.Key))
				found[name] = append(found[name], killEntry{m.Position, e})
			}
		}
		s, err = domain.Evolve(s, c, m.Position, eventstore.HashOf(m.Data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if plans != 1 {
		t.Errorf("the plan was defined %d times, expected once", plans)
	}
	// Up to there this version reads it, and not one position more.
	if _, err := engine.Replay(processContext(t), log, where-1); err != nil {
		t.Error(err)
	}
	var unknown *eventstore.UnknownError
	if _, err := engine.Replay(processContext(t), log, to); !errors.As(err, &unknown) || unknown.Position != where {
		t.Errorf("this version reads the log: %v, expected it to stop at %d", err, where)
	}
	return s, found, where
}
