package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
)

// asService makes this program the other process: a service that verifies keys from memory. Its value is the Redis through which it
// hears of changes, or "tenure" if it hears of them from Tenure.
const asService, serviceURL = "TENURE_BENCH_SERVICE", "TENURE_BENCH_URL"

// serve reads what to watch for, a line each: a secret, what of its answer, and which value. It prints "watching" once it has the key in
// memory, and when the answer is so, in nanoseconds.
func serve(in io.Reader, out io.Writer) {
	cfg := keycache.Config{URL: os.Getenv(serviceURL), Key: adminKey, Logger: silent}
	if through := os.Getenv(asService); through != "tenure" {
		cfg.Source = redissource.New(rueidis.MustParseURL(through), "")
	}
	ctx := context.Background()
	cache := must(keycache.Open(ctx, cfg))
	defer cache.Close()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var secret, what, value string
		must(fmt.Sscan(lines.Text(), &secret, &what, &value))
		fits := func(a keycache.Answer) bool {
			switch what {
			case "reason":
				return a.Reason == value
			case "org":
				return a.OrgID == value
			case "lacks":
				return a.Valid && !slices.Contains(a.Permissions, value)
			default:
				return a.Valid && slices.Contains(a.Permissions, value)
			}
		}
		if a := must(cache.Verify(ctx, "", secret, "", netip.Addr{})); fits(a) {
			panic(fmt.Sprintf("nothing to watch for: %+v", a))
		}
		must(fmt.Fprintln(out, "watching"))
		for {
			if a, err := cache.Verify(ctx, "", secret, "", netip.Addr{}); err == nil && fits(a) {
				break
			}
			time.Sleep(20 * time.Microsecond)
		}
		must(fmt.Fprintln(out, time.Now().UnixNano()))
	}
}

// service is the other process, as the measurements see it.
type service struct {
	lines *bufio.Scanner
	in    io.WriteCloser
	wait  func() error
}

// startService starts the other process; redisURL is "" if it hears of changes from Tenure.
func startService(url, redisURL string) *service {
	cmd := exec.Command(must(os.Executable()))
	through := redisURL
	if through == "" {
		through = "tenure"
	}
	cmd.Env = append(os.Environ(), asService+"="+through, serviceURL+"="+url)
	cmd.Stderr = os.Stderr
	p := &service{in: must(cmd.StdinPipe()), lines: bufio.NewScanner(must(cmd.StdoutPipe())), wait: cmd.Wait}
	check(cmd.Start())
	return p
}

func (p *service) close() {
	check(p.in.Close())
	check(p.wait())
}

func (p *service) line() string {
	if !p.lines.Scan() {
		panic(fmt.Sprint("the other process ended: ", p.wait()))
	}
	return p.lines.Text()
}

// effect gives a command, and answers how many milliseconds after its answer the other process judged a secret otherwise.
func (p *service) effect(secret, what, value string, command func()) float64 {
	must(fmt.Fprintln(p.in, secret, what, value))
	if got := p.line(); got != "watching" {
		panic(got)
	}
	command()
	answered := time.Now()
	var at int64
	must(fmt.Sscan(p.line(), &at))
	return max(0, time.Unix(0, at).Sub(answered).Seconds()*1000)
}
