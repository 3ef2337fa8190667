// Package cli is the command line: a client of the API and of nothing else.
//
// One table, commands.go, says which method of the API each command calls and what is special about it. Flags come from
// the request's descriptor (flags.go, values.go), help from the comments in the proto (help.go), what is printed from the
// response's descriptor (print.go, table.go). A new method needs a row and nothing else.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Add puts the commands of the client under the program's root command.
func Add(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: "client", Title: "Commands that call a server:"})
	for _, n := range nouns {
		cmd := n.command()
		for _, c := range commands {
			if c.noun == n.name {
				cmd.AddCommand(c.command())
			}
		}
		switch n.name {
		case "audit":
			cmd.AddCommand(watchCommand(), auditExportCommand())
			for _, sub := range cmd.Commands() {
				if sub.Name() == "denied" {
					readsFlag(sub)
				}
			}
		case "projection":
			cmd.AddCommand(projectionRebuildCommand(), projectionVerifyCommand())
		case "log":
			showLog(cmd)
		}
		root.AddCommand(cmd)
	}
	root.AddCommand(applyCommand(), exportCommand(), backupCommand(), contextCommand(), docsCommand())
}

// command is the noun alone: help, or an error for a verb that is not there.
func (n noun) command() *cobra.Command {
	cmd := &cobra.Command{
		Use: n.name, Short: n.short(), Long: n.long(), GroupID: "client",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	ConnectionFlags(cmd)
	outputFlag(cmd)
	return cmd
}

func unknownVerb(cmd *cobra.Command, verb string) error {
	said := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), verb)
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(verb); len(near) > 0 {
		said += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return usagef(cmd, "%s", said)
}

// Run runs the program and answers its exit code: 0, 1 after an error or an answer of no, 2 for a command line that is
// wrong or for changes that a dry run found and was asked to tell so. Errors go to stderr, with what to do.
func Run(ctx context.Context, root *cobra.Command) int {
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd, err := root.ExecuteContextC(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNo):
		return 1
	case errors.Is(err, errChanges):
		return 2
	case !began && !errors.As(err, &usage):
		// Whatever fails before a command begins is about its arguments.
		err = usagef(cmd, "%s", oneLine(err.Error()))
	}
	tell(root.ErrOrStderr(), err)
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// oneLine is an error of cobra's, which may suggest something in further lines.
func oneLine(said string) string {
	said, more, _ := strings.Cut(said, "\n")
	if _, near, ok := strings.Cut(more, "Did you mean this?"); ok && len(strings.Fields(near)) > 0 {
		said += fmt.Sprintf("; did you mean %q?", strings.Fields(near)[0])
	}
	return said
}

// errNo ends a command whose answer, already printed, is no.
var errNo = errors.New("the answer is no")

// usageError is a command line that is wrong.
type usageError struct {
	message, command string
}

func (e *usageError) Error() string {
	return e.message + "; see `" + e.command + " --help`"
}

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), cmd.CommandPath()}
}

// warn tells something that is no error.
func warn(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "tenure: warning: "+format+"\n", args...)
}
