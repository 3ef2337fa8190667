package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/cli"
)

func restoreCommand() *cobra.Command {
	cfg := app.RestoreConfig{}
	to := uint64(0)
	cmd := &cobra.Command{
		Use:   "restore --from DIR",
		Short: "Put a backup back, into a new data directory or an empty NATS",
		Long: `Put back what ` + "`tenure backup`" + ` copied: the log, byte for byte and at the same positions, the personal keys, and the settings if they
were taken in. No server may run there. With --nats-url it goes into that NATS, else into a log inside the data directory, which
must have none; settings go into the data directory.

Before anything is written the whole backup is read and checked, and pepper and sealing key by their ids, where they are at hand.
Before the log can be used it is read back and compared. A restore that was interrupted leaves nothing that a server would take
for a log: servers refuse to start there until the command was given again and came to its end.

With --to-position what came later is left out, as if it had never been; tokens of it are refused. Personal keys are those of the
newest run: who was erased behind that position stays erased.`,
		Example: "  tenure restore --from /backup/tenure --data-dir /var/lib/tenure\n  tenure restore --from /backup/tenure --data-dir /var/lib/tenure --nats-url nats://host1:4222,nats://host2:4222 --replicas 3",
		Args: func(cmd *cobra.Command, args []string) error {
			if cfg.From == "" {
				return errors.New("--from is missing: the directory of the backup")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.To = domain.Position(to)
			cfg.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			stages := &stages{w: cmd.ErrOrStderr()}
			cfg.Progress = stages.at
			began := time.Now()
			done, err := app.Restore(cmd.Context(), cfg)
			stages.end()
			if err != nil {
				return err
			}
			return tellRestored(cmd.OutOrStdout(), cfg, done, time.Since(began))
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.From, "from", "", "`directory` of the backup")
	f.Uint64Var(&to, "to-position", 0, "last `position` to put back (default the backup's last)")
	f.BoolVar(&cfg.DryRun, "dry-run", false, "check the backup and write nothing")
	f.StringVar(&cfg.DataDir, "data-dir", defaultDataDir(), "data `directory` to make, as that of `tenure serve`")
	f.StringVar(&cfg.NATSURL, "nats-url", "", "an external NATS server or cluster, such as nats://host1:4222,nats://host2:4222")
	f.StringVar(&cfg.NATSCredentials, "nats-credentials", "", "credentials file for the external NATS")
	f.StringVar(&cfg.NATSCA, "nats-ca", "", "certificate authority of the external NATS")
	f.IntVar(&cfg.Replicas, "replicas", 1, "copies of the log on an external cluster: 1 or 3")
	f.StringVar(&cfg.PepperFile, "pepper-file", "", "pepper to check (default DATA-DIR/pepper, if it is there)")
	f.StringVar(&cfg.SealingKeyFile, "sealing-key-file", "", "sealing key to check (default DATA-DIR/sealing-key, if it is there)")
	_ = cmd.MarkFlagDirname("from")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}

// stages shows the progress of one thing after the other.
type stages struct {
	w       io.Writer
	what    string
	passage *cli.Passage
}

func (s *stages) at(what string, at, of uint64) {
	if what != s.what {
		s.end()
		s.what, s.passage = what, cli.StartPassage(s.w, what, at-1, of)
	}
	s.passage.At(at)
}

func (s *stages) end() {
	if s.passage != nil {
		s.passage.End()
	}
}

func tellRestored(w io.Writer, cfg app.RestoreConfig, r *app.Restored, took time.Duration) error {
	if cfg.DryRun {
		fmt.Fprintf(w, "The backup is whole: log %s, %d messages and %d personal keys, read in %s.\n", r.LogID, r.At.Position, r.Keys, took.Round(time.Millisecond))
	} else {
		fmt.Fprintf(w, "Restored log %s: %d messages (%.0f/s written) and %d personal keys in %s.\n",
			r.LogID, r.At.Position, float64(r.At.Position)/max(r.Wrote.Seconds(), 0.001), r.Keys, took.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "Newest: %d:%s\n", r.At.Position, r.At.Hash)
	if r.State != nil {
		fmt.Fprintf(w, "State:  %s\n", r.State.Digest())
	}
	if r.Keyless > 0 {
		fmt.Fprintf(w, "Of %d people the personal data can't be read: they were erased behind this position, or their keys are lost.\n", r.Keyless)
	}
	for _, file := range r.Missing {
		fmt.Fprintf(w, "Before a server starts put there: %s\n", file)
	}
	return nil
}
