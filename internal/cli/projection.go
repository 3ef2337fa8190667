package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// building is what both streams of builds have.
type building interface {
	Receive() bool
	Err() error
	Close() error
}

func projectionRebuildCommand() *cobra.Command {
	verify := false
	cmd := buildCommand("rebuild", "ProjectionService.RebuildProjection", "Make a read model anew from the log and put it in the place of the live one",
		func(ctx context.Context, conn *Connection, name string) (building, func() (*tenurev1.BuildProgress, *tenurev1.BuildResult), error) {
			stream, err := tenurev1connect.NewProjectionServiceClient(conn.HTTP, conn.URL, conn.Options()...).RebuildProjection(ctx,
				&tenurev1.RebuildProjectionRequest{Name: name, Verify: verify})
			return opened(stream, err, func(m *tenurev1.RebuildProjectionResponse) (*tenurev1.BuildProgress, *tenurev1.BuildResult) {
				return m.Progress, m.Result
			})
		})
	cmd.Flags().BoolVar(&verify, "verify", false, "compare both by a hash of all rows, and switch only if they are the same")
	return cmd
}

func projectionVerifyCommand() *cobra.Command {
	return buildCommand("verify", "ProjectionService.VerifyProjection", "Make a read model anew from the log, compare all rows with the live one, and drop it",
		func(ctx context.Context, conn *Connection, name string) (building, func() (*tenurev1.BuildProgress, *tenurev1.BuildResult), error) {
			stream, err := tenurev1connect.NewProjectionServiceClient(conn.HTTP, conn.URL, conn.Options()...).VerifyProjection(ctx,
				&tenurev1.VerifyProjectionRequest{Name: name})
			return opened(stream, err, func(m *tenurev1.VerifyProjectionResponse) (*tenurev1.BuildProgress, *tenurev1.BuildResult) {
				return m.Progress, m.Result
			})
		})
}

func opened[M any](s *connect.ServerStreamForClient[M], err error, parts func(*M) (*tenurev1.BuildProgress, *tenurev1.BuildResult)) (building, func() (*tenurev1.BuildProgress, *tenurev1.BuildResult), error) {
	if err != nil {
		return nil, nil, err
	}
	return s, func() (*tenurev1.BuildProgress, *tenurev1.BuildResult) { return parts(s.Msg()) }, nil
}

func buildCommand(verb, method, about string, begin func(context.Context, *Connection, string) (building, func() (*tenurev1.BuildProgress, *tenurev1.BuildResult), error)) *cobra.Command {
	c := command{noun: "projection", verb: verb, method: method}
	return &cobra.Command{
		Use: verb + " NAME", Short: about, Long: about + ".\n\n" + wrap(comments()["tenure.v1."+method]), Example: "  tenure projection " + verb + " audit",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := Connect(cmd)
			if err != nil {
				return err
			}
			stream, message, err := begin(cmd.Context(), conn, args[0])
			if err != nil {
				return conn.at(err)
			}
			defer stream.Close()
			return conn.at(tellBuild(cmd.OutOrStdout(), cmd.ErrOrStderr(), c.verb, args[0], stream, message))
		},
	}
}

// tellBuild shows how a build goes: on a terminal a line that changes, elsewhere the result alone.
func tellBuild(out, live io.Writer, verb, name string, stream building, message func() (*tenurev1.BuildProgress, *tenurev1.BuildResult)) error {
	shown := false
	for stream.Receive() {
		p, result := message()
		if shown {
			fmt.Fprint(live, "\r\x1b[K")
		}
		if result != nil {
			text := fmt.Sprintf("%s rebuilt: generation %d, %d rows, position %d, %s", name, p.Generation, result.Rows, result.Position, brisk(result.Elapsed.AsDuration()))
			if verb == "verify" {
				text = fmt.Sprintf("%s is what the log says: %d rows at position %d, %s", name, result.Rows, result.Position, brisk(result.Elapsed.AsDuration()))
			}
			if result.Hash != "" {
				text += ", hash " + result.Hash
			}
			fmt.Fprintln(out, text)
			continue
		}
		if shown = terminal(live); shown {
			fmt.Fprint(live, progressBar(p))
		}
	}
	return stream.Err()
}

// barWidth is how many characters a bar has.
const barWidth = 30

func progressBar(p *tenurev1.BuildProgress) string {
	done := 1.0
	if p.End > 0 {
		done = min(1, float64(p.Position)/float64(p.End))
	}
	full := int(done * barWidth)
	text := fmt.Sprintf("[%s%s] %3.0f %%  position %d of %d, %.0f/s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done, p.Position, p.End, p.Rate)
	if p.Left != nil {
		text += ", " + brisk(p.Left.AsDuration()) + " left"
	}
	if p.Error != "" {
		text += ", waiting: " + visible(p.Error)
	}
	return text
}

// brisk is a duration as people say it.
func brisk(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
