package tests

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// slowWatcher holds streams and reads none of them. Its connection takes so little ahead that the server soon has to wait.
func slowWatcher(t *testing.T, url string) (tenurev1connect.AuditServiceClient, tenurev1connect.LogServiceClient) {
	t.Helper()
	transport := &http.Transport{
		Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10},
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	client, auth := &http.Client{Transport: transport}, connect.WithInterceptors(processSender(processAdmin))
	return tenurev1connect.NewAuditServiceClient(client, url, auth), tenurev1connect.NewLogServiceClient(client, url, auth)
}

var heapAlloc = regexp.MustCompile(`# HeapAlloc = (\d+)`)

// slowHeap is what the server holds in memory, when all that it does not hold is gone.
func slowHeap(t *testing.T, api *processAPI, private string) int {
	t.Helper()
	_, body := processGet(t, api.http, private+"/debug/pprof/heap?gc=1&debug=1")
	m := heapAlloc.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no heap in the profile: %.300s", body)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// slowWrite gives commands from many writers at once, and answers how long that took and what was made.
func slowWrite(t *testing.T, api *processAPI, org string, n int, name string) (took time.Duration, made []string) {
	t.Helper()
	var mu sync.Mutex
	var writing sync.WaitGroup
	work := make(chan int)
	began := time.Now()
	for range 32 {
		writing.Go(func() {
			for i := range work {
				ctx, cancel := context.WithTimeout(t.Context(), processWait)
				res, err := api.projects.CreateProject(ctx, &tenurev1.CreateProjectRequest{
					OrgId: org, Name: fmt.Sprintf("%s %d", name, i), Reason: string(slices.Repeat([]byte("why not? "), 50)),
				})
				cancel()
				if err != nil {
					t.Errorf("%s %d: %v", name, i, err)
					continue
				}
				mu.Lock()
				made = append(made, res.Project.Id)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	writing.Wait()
	return time.Since(began), made
}

// Many clients watch an organization's history, and take nothing of it while thousands of commands are given. Writers are as
// quick as without them, and the server holds next to nothing for each: what a watcher has not taken is in the log. When a
// watcher reads again it gets everything, once and in order. So does somebody who reads the log itself, for whom the server
// holds what it has read ahead, up to 500 positions.
//
// With the records of 500 positions collected for each watcher before the first is sent, the server holds too much; with the
// first position of each window left out, records are missing: both tried.
func TestFaultSlowWatcher(t *testing.T) {
	t.Parallel()
	commands, watchers := soak(1000, 20_000), 20
	p := processServe(t, t.TempDir(), "--private-listen", "127.0.0.1:0")
	api := processClient(t, p.url, processAdmin)
	private := regexp.MustCompile(`Metrics are at (\S+)/metrics\.`)
	faultUntil(t, "the private address", func() bool { return private.MatchString(p.stdout.String()) })
	privateURL := private.FindStringSubmatch(p.stdout.String())[1]
	org, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "watched"})
	if err != nil {
		t.Fatal(err)
	}
	alone, issued := slowWrite(t, api, org.Org.Id, commands, "alone")

	ctx, cancel := context.WithTimeout(t.Context(), soak(processWait, 10*processWait))
	defer cancel()
	from := uint64(0)
	watchAll, readAll := slowWatcher(t, p.url)
	var watching []*connect.ServerStreamForClient[tenurev1.WatchAuditResponse]
	for range watchers {
		w, err := watchAll.WatchAudit(ctx, &tenurev1.WatchAuditRequest{OrgId: org.Org.Id, AfterPosition: &from})
		if err != nil {
			t.Fatal(err)
		}
		watching = append(watching, w)
		watchAll, _ = slowWatcher(t, p.url)
	}
	_, more := slowWrite(t, api, org.Org.Id, commands, "until they are full")
	issued = append(issued, more...)
	watched, more := slowWrite(t, api, org.Org.Id, commands, "watched")
	issued = append(issued, more...)
	held := slowHeap(t, api, privateURL)
	for _, w := range watching[1:] {
		w.Close()
	}
	faultUntil(t, "the watchers to be gone", func() bool {
		_, stacks := processGet(t, api.http, privateURL+"/debug/pprof/goroutine?debug=2")
		return strings.Count(stacks, "rpc.(*Server).WatchAudit(") <= 1
	})
	left := slowHeap(t, api, privateURL)
	if each := (held - left) / (watchers - 1); each > 512<<10 {
		t.Errorf("the server held %d bytes for each watcher", each)
	}
	if watched > 2*alone+time.Second {
		t.Errorf("beside watchers that take nothing, writing took %s, without them %s", watched, alone)
	}
	reading, err := readAll.ReadLog(ctx, &tenurev1.ReadLogRequest{From: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}

	// One reads again.
	began := time.Now()
	doubled, lost := 0, 0
	seen := map[string]int{}
	var last [2]uint64
	for len(seen) < len(issued) && watching[0].Receive() {
		r := watching[0].Msg().Record
		if at := [2]uint64{r.Position, uint64(r.Index)}; at[0] < last[0] || at[0] == last[0] && at[1] <= last[1] {
			t.Errorf("record %v came behind %v", at, last)
		} else {
			last = at
		}
		if r.EventType == "ProjectCreated" {
			seen[r.ProjectId]++
		}
	}
	recovery := time.Since(began)
	for _, id := range issued {
		switch {
		case seen[id] == 0:
			lost++
		case seen[id] > 1:
			doubled++
		}
	}
	if lost+doubled > 0 {
		t.Fatalf("the watcher missed %d of %d, got %d twice; %v", lost, len(issued), doubled, watching[0].Err())
	}
	end := killPosition(t, api)
	for at := uint64(1); at <= uint64(end); at++ {
		if !reading.Receive() || reading.Msg().Position != at {
			t.Fatalf("reading the log on: %v, %v, expected position %d", reading.Msg().GetPosition(), reading.Err(), at)
		}
	}
	cancel()
	faultFigures{issued: len(issued), acknowledged: len(issued), lost: lost, doubled: doubled, recovery: recovery}.report(t,
		fmt.Sprintf("%d watchers that take nothing", watchers), "writing took ", watched.Round(time.Millisecond), ", without them ", alone.Round(time.Millisecond),
		fmt.Sprintf("; the server held %.1f MB with them, %.1f MB without", float64(held)/1e6, float64(left)/1e6))
	p.stop(t, syscall.SIGTERM)
}
