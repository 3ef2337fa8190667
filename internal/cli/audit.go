package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// watchCommand is WatchAudit, the one stream beside the log.
func watchCommand() *cobra.Command {
	c := command{noun: "audit", verb: "watch", method: "AuditService.WatchAudit", example: "--org acme --after-position 0"}
	inputs, choices := c.inputs(methodOf(c.method).Input())
	cmd := &cobra.Command{
		Use: c.verb, Short: "Show the history of an organization or a project as it happens, until interrupted", Long: c.long(nil),
		Example: "  " + exampleLine(c.noun, c.verb, c.example), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := complete(cmd, inputs, choices); err != nil {
				return err
			}
			format, err := outputOf(cmd)
			if err != nil {
				return err
			}
			conn, err := Connect(cmd)
			if err != nil {
				return err
			}
			req := &tenurev1.WatchAuditRequest{}
			v := &values{names: newNames(conn), now: time.Now(), stdin: cmd.InOrStdin(), stderr: cmd.ErrOrStderr()}
			if err := v.fill(cmd.Context(), req.ProtoReflect(), inputs); err != nil {
				return conn.at(err)
			}
			if err := watch(cmd, conn, req, format); !interrupted(cmd.Context(), err) {
				return err
			}
			return nil
		},
	}
	addFlags(cmd, inputs)
	completeFlags(cmd, inputs)
	return cmd
}

func watch(cmd *cobra.Command, conn *Connection, req *tenurev1.WatchAuditRequest, format string) error {
	client := tenurev1connect.NewAuditServiceClient(conn.HTTP, conn.URL, conn.Options()...)
	stream, err := client.WatchAudit(cmd.Context(), req)
	if err != nil {
		return conn.at(err)
	}
	defer stream.Close()
	for stream.Receive() {
		r := stream.Msg().Record
		if format == people {
			err = tellRecord(cmd.OutOrStdout(), r)
		} else {
			var b []byte
			if b, err = marshal(r); err == nil {
				err = printLine(cmd.OutOrStdout(), format, b)
			}
		}
		if err != nil {
			return err
		}
	}
	return conn.at(stream.Err())
}

// tellRecord tells a record in a line: a table has no columns before it is complete.
func tellRecord(w io.Writer, r *tenurev1.AuditRecord) error {
	line := fmt.Sprintf("%-6d %s  %s by %s", r.Position, r.Time.AsTime().Local().Format(time.DateTime), visible(r.EventType), message(r.Actor.ProtoReflect(), brief))
	for _, id := range []string{strings.Join(r.OrgIds, " -> "), r.ProjectId, r.UserId, r.KeyId} {
		if id != "" {
			line += " " + visible(id)
		}
	}
	if changes := changesOf(r.Data); changes != "" {
		line += ": " + changes
	}
	if r.Reason != "" {
		line += " (" + visible(r.Reason) + ")"
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// printAudit prints records with the names that things have now.
func printAudit(w io.Writer, records []*tenurev1.AuditRecord, called map[string]string) error {
	name := func(id string) string { return visible(cmp.Or(called[id], id)) }
	t := &table{header: []string{"POSITION", "TIME", "EVENT", "BY", "ABOUT", "CHANGE", "REASON"}}
	for _, r := range records {
		var about, orgs []string
		for _, id := range []string{r.KeyId, r.UserId, r.ProjectId} {
			if id != "" {
				about = append(about, name(id))
			}
		}
		for _, id := range r.OrgIds {
			orgs = append(orgs, name(id))
		}
		if len(orgs) > 1 || len(about) == 0 {
			about = append(about, strings.Join(orgs, " -> "))
		}
		t.rows = append(t.rows, []string{
			fmt.Sprint(r.Position), r.Time.AsTime().Local().Format(time.DateTime), visible(r.EventType), actorName(r.Actor, name),
			strings.Join(about, " "), changesOf(r.Data), visible(r.Reason),
		})
	}
	return t.print(w)
}

// namesIn are the names of what records are about, as far as the caller can see them: a record holds ids, because names
// change and people are erased.
func (n *names) namesIn(ctx context.Context, res proto.Message) map[string]string {
	called := map[string]string{}
	add := func(orgs ...string) {
		for _, id := range orgs {
			if _, known := called[id]; !known && id != "" {
				called[id] = ""
				n.namesOf(ctx, id, called)
			}
		}
	}
	switch res := res.(type) {
	case *tenurev1.QueryAuditResponse:
		for _, r := range res.Records {
			add(r.OrgIds...)
		}
	case *tenurev1.QueryAccessLogResponse:
		for _, r := range res.Records {
			add(r.OrgId)
		}
	}
	return called
}

func (n *names) namesOf(ctx context.Context, org string, called map[string]string) {
	if res, err := n.orgs.GetOrg(ctx, &tenurev1.GetOrgRequest{OrgId: org}); err == nil {
		called[org] = res.Org.Name
	}
	if projects, err := n.allProjects(ctx, org, ""); err == nil {
		for _, p := range projects {
			called[p.id] = p.name
		}
	}
	if res, err := n.members.ListMembers(ctx, &tenurev1.ListMembersRequest{OrgId: org, PageSize: pageSize}); err == nil {
		for _, m := range res.Members {
			called[m.UserId] = cmp.Or(m.Email, m.Name)
		}
	}
}
