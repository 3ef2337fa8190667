package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/internal/tenancy"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// errChanges ends a dry run that was asked to say by its exit code that there is something to change.
var errChanges = errors.New("there is something to change")

// apply are the flags of `tenure apply`.
type apply struct {
	file, secretsOut              string
	prune, pruneOrganizations     bool
	dryRun, detailedExitcode, yes bool
}

func applyCommand() *cobra.Command {
	a := &apply{}
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Bring the installation to what a file says", GroupID: "client",
		Long: `Read a YAML file of organizations, projects, members, roles, groups, keys and policy, show what differs from the
installation, and change that after asking. A second run changes nothing.

What the file does not mention is left alone: a section that is absent is not looked at, and a field that is absent keeps its
value, or gets its default in something new. Within a section that is there, what the file does not list stays, unless --prune
is given: then memberships, overrides, keys, groups, roles and projects that are not listed end. Organizations only end with
--prune-organizations as well. Nobody's account is ever erased, and plans and data planes stay.

Organizations and projects are matched by their id if the file gives one, else by name. Keys are matched by their name among
the keys of the same project, organization or service account that are still good. A key's preset says what a new key may do and
is not compared later; permissions are. A key that the file lists under another project is a new key there.

The plan shows + for what is made, ~ for what changes and - for what ends. New keys have secrets, which are shown once, at the
end, or written to --secrets-out as they are made, a JSON object on each line. If something is refused on the way, the rest is not
begun; a second run goes on from there.`,
		Example: "  tenure apply -f examples/tenancy.yaml\n  tenure export | tenure apply -f - --prune --dry-run",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&a.file, "file", "f", "", "the file; - is standard input")
	f.BoolVar(&a.prune, "prune", false, "end what the file's sections do not list")
	f.BoolVar(&a.pruneOrganizations, "prune-organizations", false, "with --prune: delete organizations that the file does not list, for good, with all that is in them")
	f.BoolVar(&a.dryRun, "dry-run", false, "show the plan and stop")
	f.BoolVar(&a.detailedExitcode, "detailed-exitcode", false, "with --dry-run: exit with 2 if there is something to change")
	f.BoolVarP(&a.yes, "yes", "y", false, "do it without asking")
	f.StringVar(&a.secretsOut, "secrets-out", "", "write secrets of new keys to this file, which must not exist, instead of showing them")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

// connectionFlags are ConnectionFlags without those that say how new a state must be: a plan is always decided on the newest.
func connectionFlags(cmd *cobra.Command) {
	ConnectionFlags(cmd)
	for _, name := range []string{"consistency", "at-least"} {
		_ = cmd.PersistentFlags().MarkHidden(name)
	}
}

// tenancy is the server as internal/tenancy calls it.
func (c *Connection) tenancy() tenancy.Server {
	return tenancy.Server{HTTP: c.HTTP, URL: c.URL, Options: c.Options()}
}

func (a *apply) run(cmd *cobra.Command) error {
	switch {
	case a.file == "":
		return usagef(cmd, "say which file with -f FILE, or -f - for standard input")
	case a.pruneOrganizations && !a.prune:
		return usagef(cmd, "--prune-organizations goes with --prune")
	case a.detailedExitcode && !a.dryRun:
		return usagef(cmd, "--detailed-exitcode goes with --dry-run")
	case !a.dryRun && !a.yes && a.file == "-":
		return usagef(cmd, "the file comes from standard input, so nobody can be asked there: say --yes, or --dry-run")
	}
	file, err := a.read(cmd)
	if err != nil {
		return err
	}
	conn, err := Connect(cmd)
	if err != nil {
		return err
	}
	progress := startProgress(cmd.ErrOrStderr(), "Reading what is at "+conn.URL)
	have, err := tenancy.Read(cmd.Context(), conn.tenancy(), file)
	progress.end()
	if err != nil {
		return conn.at(err)
	}
	plan, err := tenancy.PlanChanges(file, have, tenancy.PlanOptions{
		Prune: a.prune, PruneOrganizations: a.pruneOrganizations, Now: time.Now(),
	})
	if err != nil {
		return a.told(cmd, err)
	}
	if err := plan.Print(cmd.OutOrStdout()); err != nil {
		return err
	}
	switch {
	case len(plan.List) == 0:
		return nil
	case a.dryRun && a.detailedExitcode:
		return errChanges
	case a.dryRun:
		return nil
	case !a.yes && !terminal(cmd.InOrStdin()):
		return usagef(cmd, "there is no terminal to ask on: say --yes, or --dry-run")
	}
	if err := confirm(cmd.Context(), cmd, "Make these changes?"); err != nil {
		return err
	}
	return a.make(cmd, conn, plan)
}

func (a *apply) read(cmd *cobra.Command) (*tenancy.File, error) {
	var text []byte
	var err error
	if a.file == "-" {
		text, err = io.ReadAll(cmd.InOrStdin())
	} else {
		text, err = os.ReadFile(a.file)
	}
	if err != nil {
		return nil, err
	}
	file, err := tenancy.Parse(text)
	return file, a.told(cmd, err)
}

// told prints mistakes in the file line by line, and answers what remains to be said.
func (a *apply) told(cmd *cobra.Command, err error) error {
	var list tenancy.Mistakes
	if !errors.As(err, &list) {
		return err
	}
	for _, m := range list {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", visible(a.file), visible(m.Error()))
	}
	return fmt.Errorf("nothing was done, because of %d mistakes in the file", len(list))
}

// made is a new key as --secrets-out has it.
type made struct {
	Name      string `json:"name"`
	KeyID     string `json:"key_id"`
	PublicKey string `json:"public_key"`
	Secret    string `json:"secret"`
}

// make changes what the plan says. Secrets are out of this program's hands before it goes on, or are shown even if something
// fails later.
func (a *apply) make(cmd *cobra.Command, conn *Connection, plan *tenancy.Changes) (err error) {
	var shown []made
	keep := func(m made) error {
		shown = append(shown, m)
		return nil
	}
	if a.secretsOut != "" && plan.MakesKeys() {
		secrets, openErr := os.OpenFile(a.secretsOut, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if openErr != nil {
			return fmt.Errorf("the file for secrets can't be made, so nothing was done: %w", openErr)
		}
		defer func() { err = errors.Join(err, secrets.Close()) }()
		keep = func(m made) error { return json.NewEncoder(secrets).Encode(m) }
	}
	progress := startProgress(cmd.ErrOrStderr(), "Changing what is at "+conn.URL)
	result, err := tenancy.Apply(cmd.Context(), conn.tenancy(), plan, tenancy.ApplyOptions{
		OnKey: func(name string, key *tenurev1.CreateKeyResponse) error {
			return keep(made{name, key.Key.Id, key.Key.PublicKey, key.Secret})
		},
	})
	progress.end()
	out := cmd.OutOrStdout()
	if err != nil {
		fmt.Fprintf(out, "\n%d of %d changes were made. Not made:\n", len(result.Done), len(plan.List))
		for _, c := range result.NotDone {
			fmt.Fprintf(out, "  %s\n", c.Title())
		}
		fmt.Fprintln(out, "Run it again to go on from there.")
	} else {
		fmt.Fprintf(out, "\n%d changes were made.\n", len(result.Done))
	}
	if len(shown) > 0 {
		fmt.Fprint(out, "\nNew keys, whose secrets are shown this once:\n")
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, m := range shown {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", m.Name, m.PublicKey, m.Secret)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	} else if len(result.Keys) > 0 {
		fmt.Fprintf(out, "Secrets of %d new keys are in %s.\n", len(result.Keys), a.secretsOut)
	}
	return conn.at(err)
}
