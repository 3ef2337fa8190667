package cli

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

func logVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the log's chain of hashes, byte for byte, without trusting the server",
		Long: `Check the log's chain of hashes, byte for byte, without trusting the server: every position is there, every commit names the
SHA-256 of the bytes before it, and time never goes back.

In the end it prints the newest position with its hash. Who keeps that line elsewhere can check later, with --expect, that
nothing up to it was changed: a log that was written anew has another hash there.`,
		Example: "  tenure log verify\n  tenure log verify --expect 120:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Args:    cobra.NoArgs,
	}
	from := cmd.Flags().Uint64("from", 1, "first position; what the commit there says about the one before it is not checked")
	expect := cmd.Flags().StringArray("expect", nil, "position:hash that must be in the log; can be given several times")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		format, err := outputOf(cmd)
		if err != nil {
			return err
		}
		expected, err := parseExpected(cmd, *expect, *from)
		if err != nil {
			return err
		}
		l, err := openLog(cmd)
		if err != nil {
			return err
		}
		end, err := l.newest(cmd.Context())
		if err != nil {
			return err
		}
		progress := startProgress(cmd.ErrOrStderr(), "Reading the log")
		c := &chain{next: max(*from, 1)}
		err = l.read(cmd.Context(), &tenurev1.ReadLogRequest{From: c.next}, func(s stored, told *tenurev1.ReadLogResponse) error {
			progress.set("Position %d of %d", s.position, max(end, s.position))
			return c.check(s, told, expected)
		})
		progress.end()
		if err == nil && c.next <= end {
			err = fmt.Errorf("%w: the log ends at position %d, and the server has told of %d", errChain, c.next-1, end)
		}
		if err != nil {
			return err
		}
		for position := range expected {
			return fmt.Errorf("%w: position %d was expected, and the log ends at %d", errChain, position, c.next-1)
		}
		return c.report(cmd, format, max(*from, 1))
	}
	return cmd
}

// check adds a message to the chain and compares what the server told about it with what its bytes say. What was expected
// and found is taken from expected.
func (c *chain) check(s stored, told *tenurev1.ReadLogResponse, expected map[uint64]string) error {
	if got := hex.EncodeToString(told.Hash); got != hex.EncodeToString(s.hash[:]) {
		return fmt.Errorf("%w: the server says that position %d has the hash %s; its bytes have %x", errChain, s.position, got, s.hash)
	}
	if told.Void != (s.commit == nil) {
		return fmt.Errorf("%w: the server and this program do not agree whether position %d is void", errChain, s.position)
	}
	if want, ok := expected[s.position]; ok {
		if want != hex.EncodeToString(s.hash[:]) {
			return fmt.Errorf("%w: position %d has the hash %x, expected was %s: the log is another one or was written anew", errChain, s.position, s.hash, want)
		}
		delete(expected, s.position)
	}
	return c.add(s)
}

func (c *chain) report(cmd *cobra.Command, format string, from uint64) error {
	last := c.next - 1
	if format != people {
		return printPlain(cmd.OutOrStdout(), format, map[string]any{
			"from": from, "to": last, "hash": hex.EncodeToString(c.parent[:]), "commits": c.commits, "events": c.events, "void_positions": c.voids,
		})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The chain is whole: %d commits with %d events, %d void positions, from %d to %d.\n", c.commits, c.events, c.voids, from, last)
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Newest: %d:%x\n", last, c.parent)
	return err
}

func parseExpected(cmd *cobra.Command, list []string, from uint64) (map[uint64]string, error) {
	expected := map[uint64]string{}
	for _, s := range list {
		left, hash, ok := strings.Cut(s, ":")
		position, err := strconv.ParseUint(left, 10, 64)
		b, hexErr := hex.DecodeString(hash)
		if !ok || err != nil || hexErr != nil || len(b) != 32 {
			return nil, usagef(cmd, "--expect takes position:hash, with 64 hexadecimal digits, not %q", s)
		}
		if position < from {
			return nil, usagef(cmd, "--expect %d is before --from %d", position, from)
		}
		expected[position] = strings.ToLower(hash)
	}
	return expected, nil
}
