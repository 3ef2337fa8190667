package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// newest is how many positions `tenure log` shows unless told otherwise.
const newest = 20

// showLog makes the noun itself show the log.
func showLog(cmd *cobra.Command) {
	cmd.Short = "Show the log, newest 20 positions; follow it; verify its chain"
	cmd.Long = cmd.Short + ".\n\n" + wrap(cmd.Long) + "\n\nWith --output json there is a document a line for each position."
	cmd.Example = "  tenure log --from 100 --to 120\n  tenure log --follow"
	cmd.Use = "log"
	from := cmd.Flags().Uint64("from", 0, "first position (default 20 before the last)")
	to := cmd.Flags().Uint64("to", 0, "last position (default the newest)")
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with new commits as they come, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownVerb(cmd, args[0])
		}
		format, err := outputOf(cmd)
		if err != nil {
			return err
		}
		if *follow && *to > 0 {
			return usagef(cmd, "--to and --follow exclude each other")
		}
		l, err := openLog(cmd)
		if err != nil {
			return err
		}
		if *from == 0 {
			end := *to
			if end == 0 {
				if end, err = l.newest(cmd.Context()); err != nil {
					return err
				}
			}
			*from = end - min(end, newest) + 1
		}
		err = l.read(cmd.Context(), &tenurev1.ReadLogRequest{From: *from, To: *to, Follow: *follow}, func(s stored, _ *tenurev1.ReadLogResponse) error {
			if format != people {
				return printStored(cmd.OutOrStdout(), format, s)
			}
			return tellStored(cmd.OutOrStdout(), s)
		})
		if *follow && interrupted(cmd.Context(), err) {
			return nil
		}
		return err
	}
	cmd.AddCommand(logShowCommand(), logVerifyCommand())
}

// interrupted tells whether a command that goes on until somebody ends it was ended so.
func interrupted(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }

func logShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show POSITION", Short: "Show everything that stands at a position",
		Long:    "Show everything that stands at a position: the commit, its entries and events, as they are stored. What is personal is sealed.",
		Example: "  tenure log show 42", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := outputOf(cmd)
			if err != nil {
				return err
			}
			position, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || position == 0 {
				return usagef(cmd, "%q is no position; they count from 1", args[0])
			}
			l, err := openLog(cmd)
			if err != nil {
				return err
			}
			found := false
			err = l.read(cmd.Context(), &tenurev1.ReadLogRequest{From: position, To: position}, func(s stored, _ *tenurev1.ReadLogResponse) error {
				found = true
				if format != people {
					return printStored(cmd.OutOrStdout(), format, s)
				}
				return explainStored(cmd.OutOrStdout(), s)
			})
			if err == nil && !found {
				err = fmt.Errorf("nothing stands at position %d yet", position)
			}
			return err
		},
	}
}

// reader reads the log through the API.
type reader struct {
	conn     *Connection
	client   tenurev1connect.LogServiceClient
	instance tenurev1connect.InstanceServiceClient
}

func openLog(cmd *cobra.Command) (*reader, error) {
	conn, err := Connect(cmd)
	if err != nil {
		return nil, err
	}
	return &reader{
		conn:     conn,
		client:   tenurev1connect.NewLogServiceClient(conn.HTTP, conn.URL, conn.Options()...),
		instance: tenurev1connect.NewInstanceServiceClient(conn.HTTP, conn.URL, conn.Options()...),
	}, nil
}

func (r *reader) newest(ctx context.Context) (uint64, error) {
	res, err := r.instance.GetInstance(ctx, &tenurev1.GetInstanceRequest{})
	if err != nil {
		return 0, r.conn.at(err)
	}
	return res.Position, nil
}

// read calls each for each message of a part of the log.
func (r *reader) read(ctx context.Context, req *tenurev1.ReadLogRequest, each func(stored, *tenurev1.ReadLogResponse) error) error {
	return r.conn.at(r.receive(ctx, req, func(m *tenurev1.ReadLogResponse) error { return each(readStored(m.Position, m.Data), m) }))
}

// receive is read for whoever wants the bytes, and the errors as they come.
func (r *reader) receive(ctx context.Context, req *tenurev1.ReadLogRequest, each func(*tenurev1.ReadLogResponse) error) error {
	stream, err := r.client.ReadLog(ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		if err := each(stream.Msg()); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// printStored prints a position for programs: JSON a line each, YAML a document each.
func printStored(w io.Writer, format string, s stored) error {
	document := fmt.Sprintf(`{"position":"%d","hash":"%x"`, s.position, s.hash)
	if s.commit == nil {
		document += fmt.Sprintf(`,"void":%q,"size":%d}`, s.void, s.size)
	} else {
		b, err := protojson.Marshal(s.commit)
		if err != nil {
			return err
		}
		document += `,"commit":` + string(b) + "}"
	}
	return printLine(w, format, []byte(document))
}
