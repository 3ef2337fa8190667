package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/internal/tenancy"
)

func exportCommand() *cobra.Command {
	var organizations []string
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: "Write what the installation holds as a file that apply reads", GroupID: "client",
		Long: `Write organizations, projects, members, roles, groups, keys and policy as YAML. Applied to the same installation the file
changes nothing; applied to an empty one it makes the same organizations and projects, under the same ids, with the same people
and permissions. The same state gives the same bytes.

The file holds e-mails and names of people. It holds no secrets: where keys are missing, apply makes new ones with the same
permissions. Invitations, offers of transfer, personal keys and history are not in it. What a file can't say, such as two keys of
one name, is told in comments at the top.

With --org only these organizations are written, with their people, plans and data planes, and nothing of the installation itself.`,
		Example: "  tenure export -o tenancy.yaml\n  tenure export --org client-acme-corp",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := Connect(cmd)
			if err != nil {
				return err
			}
			progress := startProgress(cmd.ErrOrStderr(), "Reading what is at "+conn.URL)
			have, err := tenancy.Export(cmd.Context(), conn.tenancy(), organizations...)
			progress.end()
			if err != nil {
				return conn.at(err)
			}
			text, err := have.Encode()
			if err != nil {
				return err
			}
			if file == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			return replace(file, text)
		},
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&organizations, "org", nil, "only this organization, by id or name; may be given several times")
	f.StringVarP(&file, "out", "o", "", "write to this file, readable by you alone, instead of standard output")
	return cmd
}

// replace writes a file that is either the old or the new one, whatever happens.
func replace(path string, text []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
