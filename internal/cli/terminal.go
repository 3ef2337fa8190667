package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// terminal tells whether a person reads, or types, there.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// confirm asks before something is destroyed. Without a terminal there is nobody to ask, and only --yes will do.
func confirm(ctx context.Context, cmd *cobra.Command, question string) error {
	if yes, _ := cmd.Flags().GetBool("yes"); yes {
		return nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(cmd.ErrOrStderr())
		return ctx.Err()
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return errDeclined
	}
}

// readSecret reads a line: one that was piped in, or one that a person types without seeing it.
func readSecret(r io.Reader, asking io.Writer, prompt string) (string, error) {
	var line string
	var err error
	if f, ok := r.(*os.File); ok && terminal(f) {
		fmt.Fprint(asking, prompt)
		var b []byte
		b, err = term.ReadPassword(int(f.Fd()))
		line = string(b)
		fmt.Fprintln(asking)
	} else {
		line, err = bufio.NewReader(r).ReadString('\n')
	}
	if line = strings.TrimSpace(line); line != "" {
		return line, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("an empty line")
	}
	return "", fmt.Errorf("standard input: %w", err)
}
