package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// diskSmall mounts a file system of some megabytes, which ends with the test. It needs the right to mount.
func diskSmall(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tenure-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("mount a small file system: %v; run the tests as root, or in a namespace of their own: unshare -rm go test ./tests", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// diskFill takes what room a file system has, but some bytes.
func diskFill(t *testing.T, dir string, leave int64) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for err == nil {
		_, err = f.Write(chunk)
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(max(0, info.Size()-leave))
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// The disk of a real server is filled, first by somebody else and then by its own log. Commands are not acknowledged any
// more, and what was acknowledged is kept; what is in memory is answered all the while; health says what is wrong. When there
// is room again the same process goes on by itself, within seconds. That happens twice, and in the end a kill and a start
// find everything.
//
// Without the watch for a full disk the server never writes again; with the embedded server's own limit in place of maxStore,
// which is three quarters of what was free when it started, commands are not answered although there is room: both tried.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	dir := diskSmall(t, 48)
	// What is free when the server starts is no limit for later.
	early := diskFill(t, dir, 2<<20)
	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	if err := os.Remove(early); err != nil {
		t.Fatal(err)
	}
	big := map[string]string{}
	for i := range 50 {
		big[fmt.Sprint(i)] = strings.Repeat("x", 1000)
	}
	for i := range 60 {
		if _, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: fmt.Sprintf("big %d", i), Metadata: big}); err != nil {
			t.Fatalf("after %d organizations of 50 kB: %v", i, err)
		}
	}
	load := startFaultLoad(t, 8, func(int) *processAPI { return api })
	load.more(t, 50, "before the disk is full")
	org, err := api.orgs.CreateOrg(processContext(t), &tenurev1.CreateOrgRequest{Name: "keyholders"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := api.keys.CreateKey(processContext(t), &tenurev1.CreateKeyRequest{OrgId: org.Org.Id})
	if err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	var reasons []string
	for round, leave := range []int64{0, 1 << 20} {
		filler := diskFill(t, dir, leave)
		faultUntil(t, "health to say that the disk is full", func() bool {
			code, body := processGet(t, api.http, p.url+"/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, "no space left on device")
		})
		stopped := load.answers.Load()
		verify, err := api.keys.VerifyKey(processContext(t), &tenurev1.VerifyKeyRequest{PublicKey: key.Key.PublicKey, Secret: key.Secret})
		if err != nil || !verify.Valid {
			t.Errorf("round %d: while the disk is full a key is answered %v, %v", round, verify, err)
		}
		warned, err := api.instance.GetInstance(processContext(t), &tenurev1.GetInstanceRequest{})
		if err != nil || !strings.Contains(strings.Join(warned.GetWarnings(), "\n"), "no space left on device") {
			t.Errorf("round %d: while the disk is full GetInstance warns of %q, %v", round, warned.GetWarnings(), err)
		}
		if round == 0 {
			// Callers are told after the time that a command may take.
			faultUntil(t, "commands that are not answered", func() bool { return len(load.refused()) > 0 })
		}
		if now := load.answers.Load(); now > stopped+int64(len(load.writers)) {
			t.Errorf("round %d: %d commands were answered while the disk was full", round, now-stopped)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		freed := time.Now()
		slowest = max(slowest, load.recovery(t, freed))
		load.more(t, 50, "with room again")
		if code, body := processGet(t, api.http, p.url+"/readyz"); code != http.StatusOK {
			t.Errorf("round %d: with room again /readyz says %d %s", round, code, body)
		}
		reasons = append(reasons, load.only(t, "OUTCOME_UNKNOWN"))
	}
	load.stop(t)
	end := killPosition(t, api)

	for _, line := range []string{"the disk is full", "the disk has room again"} {
		if n := strings.Count(p.stderr.String(), line); n < 2 {
			t.Errorf("the server's log says %q %d times, expected each time", line, n)
		}
	}

	// Whoever restarts the server because its disk is full has one that answers what it knows.
	diskFill(t, dir, 0)
	p.kill()
	p = processServe(t, dir)
	verify, err := processClient(t, p.url, processAdmin).keys.VerifyKey(processContext(t), &tenurev1.VerifyKeyRequest{PublicKey: key.Key.PublicKey, Secret: key.Secret})
	if err != nil || !verify.Valid {
		t.Errorf("started while the disk is full, the server answers a key with %v, %v", verify, err)
	}
	p.kill()
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}

	state, found := killReplay(t, dir, end)
	figures := killJudge(t, state, found, load.writers)
	figures.recovery = slowest
	figures.report(t, "disk full and back, twice", strings.Join(reasons, "; "))
}
