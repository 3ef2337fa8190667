package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// readsFlag makes `tenure audit denied` show what was denied, or with --reads what was read: the two are asked for apart.
func readsFlag(cmd *cobra.Command) {
	reads := cmd.Flags().Bool("reads", false, "show reads of what is sensitive instead")
	cmd.Flags().Lookup("kind").Hidden = true
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		kind := "denied"
		if *reads {
			kind = "read"
		}
		if cmd.Flags().Changed("kind") {
			return nil
		}
		return cmd.Flags().Set("kind", kind)
	}
}

// printAccess prints records of the access log with the names that things have now.
func printAccess(w io.Writer, records []*tenurev1.AccessLogRecord, called map[string]string) error {
	name := func(id string) string { return visible(cmp.Or(called[id], id)) }
	t := &table{header: []string{"TIME", "CALL", "BY", "ABOUT", "ANSWER", "TIMES", "FROM", "REASON"}}
	for _, r := range records {
		var about []string
		for _, id := range []string{r.KeyId, r.GroupId, r.OfferId, r.InvitationId, r.UserId, r.ProjectId, r.OrgId} {
			if id != "" {
				about = append(about, name(id))
			}
		}
		answer, times := r.ErrorReason, ""
		if r.Kind == tenurev1.AccessLogKind_ACCESS_LOG_KIND_READ {
			answer = ""
		}
		if r.Count > 1 {
			times = fmt.Sprint(r.Count)
		}
		t.rows = append(t.rows, []string{
			r.Time.AsTime().Local().Format(time.DateTime), visible(r.Procedure), actorName(r.Actor, name), strings.Join(about, " "),
			visible(answer), times, visible(r.Ip), visible(r.Reason),
		})
	}
	return t.print(w)
}

// actorName is who did it, for people.
func actorName(a *tenurev1.AuditActor, name func(id string) string) string {
	switch {
	case a == nil:
		return "a stranger"
	case a.Kind == "user":
		return name(a.Id)
	case a.Id != "":
		return a.Kind + " " + name(a.Id)
	}
	return a.Kind
}
