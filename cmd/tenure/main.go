// Command tenure is the server and its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, root())
	stop()
	os.Exit(code)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "tenure",
		Short:         "An event-sourced tenancy control plane: organizations, projects, people, roles and API keys",
		Version:       app.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(serveCommand(), restoreCommand(), demoCommand(), demoServiceCommand())
	cli.Add(cmd)
	return cmd
}
