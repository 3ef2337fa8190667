package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// demoServiceCommand is the story's other process: a service that verifies a key from its memory, all the time, until it is refused.
func demoServiceCommand() *cobra.Command {
	var url, redisURL, prefix string
	cmd := &cobra.Command{
		Use:    "demo-service",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := keycache.Config{URL: url, Key: os.Getenv("TENURE_KEY")}
			if redisURL != "" {
				option, err := rueidis.ParseURL(redisURL)
				if err != nil {
					return err
				}
				cfg.Source = redissource.New(option, prefix)
			}
			return demoService(cmd.Context(), cfg, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "")
	cmd.Flags().StringVar(&redisURL, "redis-url", "", "")
	cmd.Flags().StringVar(&prefix, "redis-prefix", "", "")
	return cmd
}

// demoService reads a key, prints a line once it has it in memory, and another when it is refused: when, in nanoseconds, how often the key
// was good until then, and the reason.
func demoService(ctx context.Context, cfg keycache.Config, in io.Reader, out io.Writer) error {
	cache, err := keycache.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer cache.Close()
	var public, secret string
	if _, err := fmt.Fscan(in, &public, &secret); err != nil {
		return err
	}
	for good := 0; ; good++ {
		a, err := cache.Verify(ctx, public, secret, "production", netip.Addr{})
		if err != nil {
			return err
		}
		if !a.Valid {
			_, err := fmt.Fprintln(out, time.Now().UnixNano(), good, a.Reason)
			return err
		}
		if good == 0 {
			fmt.Fprintln(out, "ready")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// service is the other process, as the story sees it.
type service struct {
	lines *bufio.Scanner
	wait  func() error
}

// startService answers when the process has the key in memory. It ends with ctx, or when it has refused the key.
func (s *story) startService(ctx context.Context, made *tenurev1.CreateKeyResponse) (*service, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "demo-service", "--url", s.url, "--redis-url", s.redisURL, "--redis-prefix", s.redisPrefix)
	cmd.Env = append(os.Environ(), "TENURE_KEY="+s.secret)
	cmd.Stdin = strings.NewReader(made.Key.PublicKey + " " + made.Secret + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &service{lines: bufio.NewScanner(out), wait: cmd.Wait}
	if !p.lines.Scan() {
		return nil, fmt.Errorf("the other process does not verify the key: %w", p.wait())
	}
	through := "from Tenure"
	if s.redisURL != "" {
		through = "through Redis"
	}
	fmt.Fprintf(s.out, "process %d verifies %s from its memory, and hears of changes %s\n", cmd.Process.Pid, made.Key.DisplaySecret, through)
	return p, nil
}

// refused waits until the process has refused the key, and says how long after Tenure's answer that was.
func (p *service) refused(out io.Writer, answered time.Time) error {
	var at int64
	var good int
	var reason string
	if p.lines.Scan() {
		_, _ = fmt.Sscan(p.lines.Text(), &at, &good, &reason)
	}
	if err := p.wait(); err != nil || reason != "KEY_REVOKED" {
		return fmt.Errorf("the other process: got %q, expected KEY_REVOKED: %w", reason, err)
	}
	after := max(0, time.Unix(0, at).Sub(answered))
	_, err := fmt.Fprintf(out, "it refused the key %.1f ms after Tenure had answered that it is revoked, having let it pass %d times (%s)\n",
		float64(after.Microseconds())/1000, good, reason)
	return err
}
