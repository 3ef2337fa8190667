package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// search finds what happened to keys anywhere, and who asked for it.
func (s *story) search(ctx context.Context) error {
	heading(s.out, "11. Searching the history of the whole instance: keys that were revoked, and where")
	res, err := s.admin.audit.QueryAudit(ctx, &tenurev1.QueryAuditRequest{Filter: &tenurev1.AuditFilter{EventType: "KeyRevoked"}})
	if err != nil {
		return err
	}
	orgs := invert(s.made.Orgs)
	for _, r := range res.Records {
		fmt.Fprintf(s.out, "position %d: %s of %s in %s, by %s from %s: %s\n", r.Position, r.EventType, r.KeyId, orgs[r.OrgIds[0]], r.Actor.Kind, r.Ip, r.Reason)
	}
	if len(res.Records) != 1 || res.Records[0].KeyId != s.made.Keys[ingestKey].Key.Id {
		return fmt.Errorf("the search found %d revoked keys, expected the one", len(res.Records))
	}
	return nil
}

// past asks who could read the project before it was transferred, and right after.
func (s *story) past(ctx context.Context) error {
	heading(s.out, "12. Who could read the project then, and by which grant")
	moved, err := s.admin.audit.QueryAudit(ctx, &tenurev1.QueryAuditRequest{
		ProjectId: s.made.Projects[chatbot], Filter: &tenurev1.AuditFilter{EventType: "ProjectTransferred"},
	})
	if err != nil {
		return err
	}
	if len(moved.Records) != 1 {
		return fmt.Errorf("the project was transferred %d times, expected once", len(moved.Records))
	}
	at := moved.Records[0].Position
	for _, moment := range []struct {
		words    string
		position uint64
		org      string
		reads    bool
	}{{"before the transfer", at - 1, source, true}, {"behind it", at, target, false}} {
		res, err := s.admin.access.AccessAt(ctx, &tenurev1.AccessAtRequest{ProjectId: s.made.Projects[chatbot], Permission: "project:read", Position: moment.position})
		if err != nil {
			return err
		}
		people := invert(s.made.Users)
		var list []string
		for _, who := range res.Subjects {
			if who.UserId != "" {
				list = append(list, fmt.Sprintf("%s (%s by %s of position %d)", people[who.UserId], who.Role, who.By, who.GrantedIn))
			}
		}
		fmt.Fprintf(s.out, "At position %d, %s, in %s:\n  %s\n", moment.position, moment.words, moment.org, strings.Join(list, "\n  "))
		could := slices.ContainsFunc(res.Subjects, func(who *tenurev1.PastSubject) bool { return who.UserId == s.made.Users[colleague] })
		if res.OrgId != s.made.Orgs[moment.org] || could != moment.reads {
			return fmt.Errorf("at position %d: in %s, and %s could read it: %t", moment.position, res.OrgId, colleague, could)
		}
	}
	return nil
}

// rebuild makes a read model anew from the log while the one that is there goes on answering.
func (s *story) rebuild(ctx context.Context) error {
	heading(s.out, "13. Making the directory anew from the log, beside the live one")
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+s.secret)
	stream, err := tenurev1connect.NewProjectionServiceClient(http.DefaultClient, s.url).RebuildProjection(ctx,
		&tenurev1.RebuildProjectionRequest{Name: "directory", Verify: true})
	if err != nil {
		return err
	}
	defer stream.Close()
	var result *tenurev1.BuildResult
	for stream.Receive() {
		m := stream.Msg()
		result = m.Result
		fmt.Fprintf(s.out, "generation %d: position %d of %d, %s\n", m.Progress.Generation, m.Progress.Position, m.Progress.End, m.Progress.Elapsed.AsDuration().Round(time.Millisecond))
	}
	if stream.Err() != nil {
		return stream.Err()
	}
	fmt.Fprintf(s.out, "%d rows, the same as those of the live one (%s): it took its place.\n", result.GetRows(), result.GetHash())
	return nil
}
