package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// faultFigures are what became of the commands that were given around a fault.
type faultFigures struct {
	issued, acknowledged, lost, doubled int
	// recovery is the time from the end of the fault to the first command that was acknowledged behind it.
	recovery time.Duration
}

// report prints the figures, with the same words for every fault.
func (f faultFigures) report(t *testing.T, fault string, more ...any) {
	t.Helper()
	t.Logf("%s: %d commands issued, %d acknowledged, %d lost, %d doubled, recovered in %s; %s",
		fault, f.issued, f.acknowledged, f.lost, f.doubled, f.recovery.Round(time.Millisecond), fmt.Sprint(more...))
}

// faultLoad are writers that give commands all the while, each again with the same Idempotency-Key until it is answered.
type faultLoad struct {
	writers []*killWriter
	// answers counts commands that were answered.
	answers atomic.Int64

	mu      sync.Mutex
	reasons map[string]int // why commands had no answer yet
	newest  []time.Time    // answer of each writer

	done    atomic.Bool
	writing sync.WaitGroup
}

// startFaultLoad starts n writers; api is what the i-th of them talks to at the time.
func startFaultLoad(t *testing.T, n int, api func(i int) *processAPI) *faultLoad {
	t.Helper()
	l := &faultLoad{reasons: map[string]int{}, newest: make([]time.Time, n)}
	user, err := api(0).users.RegisterUser(processContext(t), &tenurev1.RegisterUserRequest{Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		w := newKillWriter(i, []string{user.User.Id})
		w.unanswered = l.unanswered
		l.writers = append(l.writers, w)
		l.writing.Go(func() {
			for (!l.done.Load() || w.open != nil) && !t.Failed() {
				l.step(t, w, api(i))
			}
		})
	}
	t.Cleanup(func() { l.done.Store(true); l.writing.Wait() })
	return l
}

func (l *faultLoad) step(t *testing.T, w *killWriter, api *processAPI) {
	ctx, cancel := context.WithTimeout(t.Context(), processWait)
	defer cancel()
	if !w.step(ctx, t, api) {
		time.Sleep(10 * time.Millisecond) // as a client does that was told to try again
		return
	}
	l.mu.Lock()
	l.newest[w.id] = time.Now()
	l.mu.Unlock()
	l.answers.Add(1)
}

func (l *faultLoad) unanswered(err error) {
	reason := processReason(err)
	if reason == "" {
		reason = connect.CodeOf(err).String()
	}
	if !connect.IsWireError(err) {
		reason = "NO_ANSWER"
	}
	if errors.Is(err, context.Canceled) {
		return // the test is over
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reasons[reason]++
}

// refused is why commands had no answer since the last call, and how often.
func (l *faultLoad) refused() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	reasons := l.reasons
	l.reasons = map[string]int{}
	return reasons
}

// only fails the test if commands had no answer for another reason than these. It answers all of them, for people.
func (l *faultLoad) only(t *testing.T, allowed ...string) string {
	t.Helper()
	var list []string
	reasons := l.refused()
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		list = append(list, fmt.Sprintf("%d %s", reasons[reason], reason))
		if !slices.Contains(allowed, reason) {
			t.Errorf("%d commands had no answer for %s, expected none or %v", reasons[reason], reason, allowed)
		}
	}
	return "without an answer: " + strings.Join(append(list, "no other"), ", ")
}

// more waits for n further answers.
func (l *faultLoad) more(t *testing.T, n int64, why string) {
	t.Helper()
	wanted := l.answers.Load() + n
	faultUntil(t, fmt.Sprintf("%d answers %s", n, why), func() bool { return l.answers.Load() >= wanted || t.Failed() })
}

// recovery waits for the first answer that one of some writers, or of all, had behind the end of a fault, and answers how
// long after it that was.
func (l *faultLoad) recovery(t *testing.T, end time.Time, writers ...int) (after time.Duration) {
	t.Helper()
	faultUntil(t, "an answer behind the fault", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, at := range l.newest {
			if at.After(end) && (len(writers) == 0 || slices.Contains(writers, i)) {
				after = at.Sub(end)
				return true
			}
		}
		return false
	})
	return after
}

// stop lets every writer have its last answer.
func (l *faultLoad) stop(t *testing.T) {
	t.Helper()
	l.done.Store(true)
	l.writing.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
