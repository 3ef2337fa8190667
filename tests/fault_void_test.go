package tests

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/tests/natstest"
)

// voidHand publishes to the log past Tenure.
type voidHand struct {
	js  jetstream.JetStream
	log *eventstore.Log
}

func newVoidHand(t *testing.T, conn *nats.Conn) *voidHand {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventstore.Open(processContext(t), eventstore.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	return &voidHand{js, log}
}

// publish puts bytes at the end of the log, wherever that is, and returns their position.
func (h *voidHand) publish(t *testing.T, data []byte, header nats.Header) domain.Position {
	t.Helper()
	ack, err := h.js.PublishMsg(processContext(t), &nats.Msg{Subject: eventstore.Subject, Data: data, Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Position(ack.Sequence)
}

func (h *voidHand) read(t *testing.T, at domain.Position) []byte {
	t.Helper()
	m, err := h.log.Read(processContext(t), at)
	if err != nil {
		t.Fatal(err)
	}
	return m.Data
}

// voidCommit is a commit of the present format without entries.
func voidCommit(t *testing.T, parent domain.Position, hash domain.Hash) []byte {
	t.Helper()
	data, err := eventstore.Encode(&eventv1.Commit{
		CommitId: ulid.Make().String(), Parent: uint64(parent), ParentHash: hash[:], Time: timestamppb.Now(),
		Node: "by hand", Format: eventstore.Format,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// voidLog is a log handler's writer that many may use.
type voidLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *voidLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *voidLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Somebody with permission publishes whatever comes to mind to the log while two servers work on it. Nobody is stopped,
// nothing is lost, every reader skips the same positions, and operators are told.
//
// With Decode refusing foreign bytes as an error of their own, the servers stop; with Read believing the first Nats-Sequence
// header, one of the positions can't be read: both tried.
func TestFaultVoidPositions(t *testing.T) {
	t.Parallel()
	conn := natstest.Single(t)
	logged := &voidLog{}
	f := startFaultServers(t, t.TempDir(), 1, func(c *app.Config) { c.Logger = slog.New(slog.NewTextHandler(logged, nil)) }, conn.ConnectedUrl(), conn.ConnectedUrl())
	hand := newVoidHand(t, conn)
	load := startFaultLoad(t, 6, func(i int) *processAPI { return f.apis[i%2] })
	load.more(t, 15, "at first")
	var slowest time.Duration

	genesis, early := hand.read(t, 1), hand.read(t, 5)
	positions := map[domain.Position]string{}
	for _, m := range []struct {
		name   string
		data   []byte
		header nats.Header
	}{
		{"nothing", nil, nil},
		{"garbage", []byte("who reads this?"), nil},
		{"the magic alone", early[:4], nil},
		{"the magic and garbage", append(bytes.Clone(early[:4]), 0xff, 0xff, 0xff), nil},
		{"the magic and an unknown field", protowire.AppendVarint(protowire.AppendTag(bytes.Clone(early[:4]), 1000, protowire.VarintType), 1), nil},
		{"a commit cut in the middle", early[:len(early)/2], nil},
		{"a commit without its last byte", early[:len(early)-1], nil},
		{"the beginning of the log", genesis, nil},
		{"a copy of an earlier commit", early, nil},
		{"a commit for another place", voidCommit(t, 1<<40, eventstore.HashOf(early)), nil},
		{"a megabyte", bytes.Repeat([]byte("x"), 1<<20), nil},
		{"status 503", []byte("x"), nats.Header{"Status": {"503"}}},
		{"status 404", []byte("x"), nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}},
		{"status 100", nil, nats.Header{"Status": {"100"}, "Description": {"Idle Heartbeat"}}},
		{"status 409", nil, nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}}},
		{"another sequence", []byte("x"), nats.Header{"Nats-Sequence": {"1"}, "Nats-Time-Stamp": {"never"}, "Nats-Stream": {"OTHER"}}},
		{"Tenure's own headers", []byte("x"), nats.Header{"Tenure-Commit-Id": {"01K00000000000000000000000"}, "Tenure-Entries": {"-1"}}},
	} {
		positions[hand.publish(t, m.data, m.header)] = m.name
		slowest = max(slowest, load.recovery(t, time.Now()))
		load.more(t, 15, "behind "+m.name)
	}
	load.stop(t)

	state, found := f.settled(t)
	if state.Voids != uint64(len(positions)) {
		t.Errorf("%d void positions, expected %d", state.Voids, len(positions))
	}
	state.Voids = 0 // killJudge wants none
	figures := killJudge(t, state, found, load.writers)
	for at, name := range positions {
		hand.read(t, at) // as a server does that catches up
		if n := strings.Count(logged.String(), fmt.Sprintf("position=%d\n", at)); n != len(f.apps) {
			t.Errorf("%s at %d: %d alarms, expected one on each server", name, at, n)
		}
	}
	if !strings.Contains(logged.String(), "level=ERROR msg=\"ALARM:") {
		t.Error("the alarm is not an error in the log")
	}
	for i, api := range f.apis {
		res, err := api.instance.GetInstance(processContext(t), &tenurev1.GetInstanceRequest{})
		if err != nil {
			t.Fatal(err)
		}
		want := strconv.Itoa(len(positions)) + " positions of the log were published by hand"
		if res.Counts.VoidPositions != uint64(len(positions)) || !strings.Contains(strings.Join(res.Warnings, "\n"), want) {
			t.Errorf("server %d counts %d and warns %q, expected %q", i, res.Counts.VoidPositions, res.Warnings, want)
		}
	}
	figures.recovery = slowest
	figures.report(t, "messages published by hand, whole and cut short", len(positions), " of them among ", state.Position, " positions")
}

func voidUser(t *testing.T, f *faultServers) string {
	t.Helper()
	res, err := f.apis[0].users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return res.User.Id
}

// What claims to be a commit in the right place but can't be, or can't be understood, stops every reader, loudly: going past
// it would make states differ.
//
// With ErrChainBroken or unknown events taken for void, the servers go on: both tried.
func TestFaultUnreadableCommitsStopServers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		// data is what to publish behind the end of the log.
		data  func(t *testing.T, end domain.Position, hash domain.Hash) []byte
		words string
	}{
		{"another parent hash", func(t *testing.T, end domain.Position, _ domain.Hash) []byte {
			return voidCommit(t, end, eventstore.HashOf([]byte("another history")))
		}, "the chain of hashes is broken"},
		{"a newer version's field", func(t *testing.T, end domain.Position, hash domain.Hash) []byte {
			return protowire.AppendVarint(protowire.AppendTag(voidCommit(t, end, hash), 1000, protowire.VarintType), 1)
		}, "written by a newer version of Tenure"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			conn := natstest.Single(t)
			logged := &voidLog{}
			f := startFaultServers(t, t.TempDir(), 1, func(c *app.Config) { c.Logger = slog.New(slog.NewTextHandler(logged, nil)) }, conn.ConnectedUrl(), conn.ConnectedUrl())
			voidUser(t, f)
			before, _ := f.settled(t)
			hand := newVoidHand(t, conn)
			bad := before.Position + 1
			if at := hand.publish(t, row.data(t, before.Position, before.Hash), nil); at != bad {
				t.Fatalf("published at %d, expected %d", at, bad)
			}
			position := fmt.Sprintf("position %d", bad)
			for i, a := range f.apps {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				err := a.Wait(ctx)
				cancel()
				if err == nil || !strings.Contains(err.Error(), position) || !strings.Contains(err.Error(), row.words) {
					t.Errorf("server %d ends with %v, expected %q at %s", i, err, row.words, position)
				}
				if s := a.Engine.State(); s.Position != before.Position || s.Digest() != before.Digest() {
					t.Errorf("server %d went on to %d", i, s.Position)
				}
				for _, path := range []string{"/healthz", "/readyz"} {
					if code, body := processGet(t, f.apis[i].http, a.URL+path); code != http.StatusServiceUnavailable {
						t.Errorf("server %d: %s: %d %s", i, path, code, body)
					}
				}
				_, err = f.apis[i].orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "too late"})
				if processReason(err) != "STOPPED" {
					t.Errorf("server %d answers a command with %v", i, err)
				}
			}
			if n := strings.Count(logged.String(), "stopped reading the log"); n != len(f.apps) {
				t.Errorf("%d servers logged that they stopped, expected %d", n, len(f.apps))
			}
		})
	}
}
