package tests

import (
	"regexp"
	"testing"
	"time"

	"github.com/tenurehq/tenure/tests/redistest"
)

// The demo is what people run first: it ends well, says what it did, and shows no secret, not even of its own.
//
// With VerifyKey's secret printed instead of its mask, it fails: tried.
func TestProcessDemo(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	p := processRun(t, nil, "demo", "--redis-url", redis.URL())
	select {
	case <-p.ended:
	case <-time.After(processWait):
		t.Fatal("still running")
	}
	if p.err != nil {
		t.Fatalf("%v\n%s", p.err, p.stderr.String())
	}
	out := p.stdout.String()
	if !regexp.MustCompile(`hears of changes through Redis\nit refused the key \d+\.\d ms after Tenure had answered`).MatchString(out) {
		t.Errorf("no other process:\n%s", out)
	}
	if left := redis.Must(t, "DBSIZE"); left != "0" {
		t.Errorf("%s names are left in Redis", left)
	}
	figures := regexp.MustCompile(`\n([1-9]\d*) commands, ([1-9]\d*) events in ([1-9]\d*) commits; replayed in \S+; the whole demo took \S+\.\n$`)
	m := figures.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no figures at the end:\n%s", out)
	}
	hashes := regexp.MustCompile(`live     ([0-9a-f]{64})\nreplayed ([0-9a-f]{64})\n`).FindStringSubmatch(out)
	if hashes == nil || hashes[1] != hashes[2] {
		t.Errorf("the hashes of the live and the replayed state are %q", hashes)
	}
	all := out + p.stderr.String()
	for what, secret := range map[string]*regexp.Regexp{
		"an API key":           regexp.MustCompile(`sk-[a-z0-9]+-[0-9A-Za-z]{20,}`),
		"an admin key":         processAdminKey,
		"something long":       regexp.MustCompile(`\b[A-Z2-7]{40,}\b`),
		"a password hash":      regexp.MustCompile(`\$2[aby]\$`),
		"a pepper or the like": regexp.MustCompile(`(?i)pepper|sealing`),
	} {
		if found := secret.FindString(all); found != "" {
			t.Errorf("%s is printed: %q", what, found)
		}
	}
	t.Logf("%s commands, %s events, %s commits", m[1], m[2], m[3])
}
