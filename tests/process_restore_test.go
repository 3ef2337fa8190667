package tests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// restoreEvery is after how many events the servers of this test write a snapshot.
var restoreEvery = []string{"--snapshot-every", "5"}

// restored is a server that creates organizations, one commit each, and knows which it must have.
type restored struct {
	*processServer
	api   *processAPI
	names []string
}

func restoreServe(t *testing.T, dir string, names []string) *restored {
	t.Helper()
	p := processServe(t, dir, restoreEvery...)
	r := &restored{p, processClient(t, p.url, processAdmin), slices.Clone(names)}
	r.holds(t)
	return r
}

// create makes n organizations and answers the last one's token.
func (r *restored) create(t *testing.T, n int, what string) (token string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s %d", what, i)
		res, err := r.api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		r.names, token = append(r.names, name), res.Token
	}
	return token
}

// holds wants the organizations to be those that were created, and no others.
func (r *restored) holds(t *testing.T) {
	t.Helper()
	res, err := r.api.orgs.ListOrgs(processContext(t), &tenurev1.ListOrgsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range res.Orgs {
		names = append(names, o.Name)
	}
	want := slices.Sorted(slices.Values(r.names))
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("the organizations are %q, expected %q", names, want)
	}
}

// answers asks with a token, and answers why that was refused: 0 and "" if it was not.
func (r *restored) answers(t *testing.T, token string) (connect.Code, string) {
	t.Helper()
	ctx := processHeaders(processContext(t), "Tenure-Token", token)
	_, err := r.api.orgs.ListOrgs(ctx, &tenurev1.ListOrgsRequest{})
	if err == nil {
		return 0, ""
	}
	return connect.CodeOf(err), processReason(err)
}

var restoreWritten = regexp.MustCompile(`msg="snapshot written" position=(\d+)`)

// snapshot waits for the server to write one, and answers its position.
func (r *restored) snapshot(t *testing.T) (at domain.Position) {
	t.Helper()
	faultUntil(t, "a snapshot", func() bool {
		m := restoreWritten.FindStringSubmatch(r.stderr.String())
		if m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 64)
			at = domain.Position(n)
		}
		return m != nil
	})
	return at
}

// passedOver wants the log to say that a snapshot is not used, and why.
func (r *restored) passedOver(t *testing.T, at domain.Position, why string) {
	t.Helper()
	for line := range strings.Lines(r.stderr.String()) {
		if strings.Contains(line, "a snapshot is not used") && strings.Contains(line, fmt.Sprintf(" position=%d ", at)) && strings.Contains(line, why) {
			return
		}
	}
	t.Errorf("the log does not say that the snapshot at %d is not used because %q:\n%s", at, why, r.stderr.String())
}

// An older copy of the log is put back, as after the loss of a disk, with the snapshots of the time after it still there, or
// with everything from the copy. The state is that of the copy, whatever the snapshots say. A token of what is gone is never
// answered from another history: while the log is shorter it waits in vain, and then it is refused.
//
// Without ofThisLog the server starts with what is gone; without the comparison of hashes in awaitToken, the token of what is
// gone is answered: tried.
func TestProcessRestoredOlderCopy(t *testing.T) {
	t.Parallel()
	dir, older := t.TempDir(), t.TempDir()
	r := restoreServe(t, dir, nil)
	kept := r.create(t, 12, "kept")
	r.snapshot(t)
	end := killPosition(t, r.api)
	r.stop(t, syscall.SIGTERM)
	flipCopy(t, older, dir)
	names := r.names

	r = restoreServe(t, dir, names)
	lost := r.create(t, 10, "lost")
	r.stop(t, syscall.SIGTERM)
	// A server writes one snapshot a minute, but the first one soon.
	r = restoreServe(t, dir, r.names)
	newer := r.snapshot(t)
	r.stop(t, syscall.SIGTERM)
	if newer != end+10 {
		t.Fatalf("the snapshot is at %d, expected %d", newer, end+10)
	}

	for what, whole := range map[string]bool{"the log alone": false, "everything": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			back := t.TempDir()
			if whole {
				flipCopy(t, back, older)
			} else {
				flipCopy(t, back, dir)
				log := filepath.Join(back, "log")
				if err := os.RemoveAll(log); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(log, os.DirFS(filepath.Join(older, "log"))); err != nil {
					t.Fatal(err)
				}
			}
			r := restoreServe(t, back, names)
			if at := killPosition(t, r.api); at != end {
				t.Errorf("the server is at %d, expected %d", at, end)
			}
			if !whole {
				r.passedOver(t, newer, fmt.Sprintf("the log ends at %d, as after the restore of an older copy", end))
			}
			want := func(what, token string, code connect.Code, reason string) {
				t.Helper()
				if c, got := r.answers(t, token); c != code || got != reason {
					t.Errorf("the token of %s is answered %v %q, expected %v %q", what, c, got, code, reason)
				}
			}
			want("what was kept", kept, 0, "")
			want("what is beyond the end", lost, connect.CodeUnavailable, "NOT_CAUGHT_UP")
			token := r.create(t, 10, "other")
			r.create(t, 3, "more")
			r.holds(t)
			want("what is gone", lost, connect.CodeFailedPrecondition, "TOKEN_LOST")
			want("what came instead", token, 0, "")
			want("what was kept", kept, 0, "")
			r.stop(t, syscall.SIGTERM)

			// The newer snapshot was deleted. Put back as well, it is of a position that the log has again, with another commit there.
			if !whole {
				name := filepath.Join("snapshots", fmt.Sprintf("snapshot-%020d", newer))
				if _, err := os.Stat(filepath.Join(back, name)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the refused snapshot is still there: %v", err)
				}
				content, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(back, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r = restoreServe(t, back, r.names)
			if !whole {
				r.passedOver(t, newer, "it was made behind another commit than the log has there")
			}
			want("what is gone, again", lost, connect.CodeFailedPrecondition, "TOKEN_LOST")
			last := killPosition(t, r.api)
			r.stop(t, syscall.SIGTERM)
			state, _ := killReplay(t, back, last)
			if n := state.Orgs().Len(); n != len(r.names) || last != end+13 {
				t.Errorf("the log holds %d organizations at %d, expected %d at %d", n, last, len(r.names), end+13)
			}
			t.Logf("%s put back: 12 commands before the copy are all there, 10 after it are gone with the copy, 13 given since are all there; the log ends at %d",
				what, last)
		})
	}
}
