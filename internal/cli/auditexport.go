package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// auditExportCommand is ExportAudit: the history as a file. A file that is there already is gone on with.
func auditExportCommand() *cobra.Command {
	c := command{noun: "audit", verb: "export", method: "AuditService.ExportAudit", example: "--org acme --format csv --out acme.csv"}
	inputs, choices := c.inputs(methodOf(c.method).Input())
	out := ""
	cmd := &cobra.Command{
		Use: c.verb, Short: "Write the history of an organization, a project or the instance to a file, oldest first", Long: c.long(nil) +
			"\n\nIt goes to standard output, or to the file that --out names; at the end it tells where a later export can go on.",
		Example: "  " + exampleLine(c.noun, c.verb, c.example) + "\n  tenure audit export --org acme --after-position 1200 --after-index 1 >> acme.ndjson", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := complete(cmd, inputs, choices); err != nil {
				return err
			}
			conn, err := Connect(cmd)
			if err != nil {
				return err
			}
			req := &tenurev1.ExportAuditRequest{}
			v := &values{names: newNames(conn), now: time.Now(), stdin: cmd.InOrStdin(), stderr: cmd.ErrOrStderr()}
			if err := v.fill(cmd.Context(), req.ProtoReflect(), inputs); err != nil {
				return conn.at(err)
			}
			to := cmd.OutOrStdout()
			if out != "" {
				flags := os.O_CREATE | os.O_WRONLY | os.O_EXCL
				if req.AfterPosition > 0 {
					flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
				}
				f, err := os.OpenFile(out, flags, 0o600)
				if err != nil {
					return fmt.Errorf("%w; name another file, or go on with this one by --after-position", err)
				}
				defer f.Close()
				to = f
			}
			return conn.at(exportAudit(cmd, conn, req, to))
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write, made anew; with --after-position it is gone on with")
	addFlags(cmd, inputs)
	completeFlags(cmd, inputs)
	return cmd
}

func exportAudit(cmd *cobra.Command, conn *Connection, req *tenurev1.ExportAuditRequest, to io.Writer) error {
	client := tenurev1connect.NewAuditServiceClient(conn.HTTP, conn.URL, conn.Options()...)
	stream, err := client.ExportAudit(cmd.Context(), req)
	if err != nil {
		return err
	}
	defer stream.Close()
	bar := startProgress(cmd.ErrOrStderr(), "exporting")
	records, last := 0, &tenurev1.ExportAuditResponse{Position: req.AfterPosition, Index: req.AfterIndex}
	for stream.Receive() {
		m := stream.Msg()
		if _, err := to.Write(m.Data); err != nil {
			bar.end()
			return err
		}
		records += int(m.Records)
		if m.Position > 0 {
			last.Position, last.Index = m.Position, m.Index
		}
		bar.set("exporting: %d records, up to position %d", records, last.Position)
	}
	bar.end()
	fmt.Fprintf(cmd.ErrOrStderr(), "%d records; a later export goes on with --after-position %d --after-index %d\n", records, last.Position, last.Index)
	return stream.Err()
}
