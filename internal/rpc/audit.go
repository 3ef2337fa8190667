package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/audit"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// exportPage is how many records are read and sent at once.
	exportPage = 500
	// watchWindow is how many positions a watcher reads at a time: so few are read one after the other, and none ahead.
	watchWindow = 64
)

// QueryAudit searches the history of an organization, of a project, or of everything.
func (s *Server) QueryAudit(ctx context.Context, req *tenurev1.QueryAuditRequest) (*tenurev1.QueryAuditResponse, error) {
	c := callFrom(ctx)
	reader, err := s.auditReader(c, req.OrgId, req.ProjectId, c.state)
	if err != nil {
		return nil, err
	}
	search, err := s.auditSearch(req.OrgId, req.ProjectId, req.Filter)
	if err != nil {
		return nil, err
	}
	// A token is good for the same search alone.
	first := proto.CloneOf(req)
	first.PageSize, first.PageToken = 0, ""
	kind := "audit-" + fingerprint(first)
	if search.After, err = auditCursor(kind, req.PageToken); err != nil {
		return nil, err
	}
	search.Oldest, search.Limit = req.OldestFirst, pageSize(req.PageSize)+1
	m, err := s.model(ctx, s.ReadModels.Audit)
	if err != nil {
		return nil, err
	}
	found, err := audit.Find(ctx, m, search)
	if err != nil {
		return nil, readError(err)
	}
	res := &tenurev1.QueryAuditResponse{}
	if len(found) == search.Limit {
		found = found[:len(found)-1]
		last := found[len(found)-1]
		res.NextPageToken = pageToken(kind, strconv.FormatUint(uint64(last.Position), 10)+"."+strconv.Itoa(last.Index))
	}
	res.Records, err = auditRecords(ctx, reader, found, req.Filter)
	return res, err
}

// fingerprint tells one request from another.
func fingerprint(m proto.Message) string {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// auditCursor reads the place behind which a page begins.
func auditCursor(kind, token string) (audit.Place, error) {
	key, err := cursor(kind, token)
	if err != nil || key == "" {
		return audit.Place{}, err
	}
	left, right, _ := strings.Cut(key, ".")
	at, err1 := strconv.ParseUint(left, 10, 63)
	index, err2 := strconv.ParseUint(right, 10, 31)
	if err1 != nil || err2 != nil || at == 0 {
		return audit.Place{}, domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
	}
	return audit.Place{Position: domain.Position(at), Index: int(index)}, nil
}

// auditSearch is the search that a filter asks for.
func (s *Server) auditSearch(org, project string, f *tenurev1.AuditFilter) (audit.Search, error) {
	search := audit.Search{
		Org: domain.OrgID(org), Project: domain.ProjectID(project),
		Actor: f.GetActorId(), EventType: f.GetEventType(), Command: f.GetCommand(), CommandID: f.GetCommandId(), User: f.GetUserId(), Key: f.GetKeyId(),
		Resource: f.GetResourceId(), IPDigest: s.Personal.IPDigest(f.GetIp()), Since: timeOf(f.GetSince()), Until: timeOf(f.GetUntil()),
		From: domain.Position(f.GetFromPosition()), To: domain.Position(f.GetToPosition()),
	}
	switch {
	case !search.Since.IsZero() && !search.Until.IsZero() && !search.Since.Before(search.Until):
		return search, domain.Invalidf("filter.until", domain.InvalidField, "must be after since")
	case search.To > 0 && search.From > search.To:
		return search, domain.Invalidf("filter.to_position", domain.InvalidField, "must not be before from_position")
	case search.EventType != "" && !audit.HasTypes(search.EventType):
		return search, domain.Invalidf("filter.event_type", domain.InvalidField, "no type of event begins with %q; types are such as ProjectTransferred and KeyRevoked", search.EventType)
	}
	return search, nil
}

// auditReader is who reads, and what of, after asking whether they may.
func (s *Server) auditReader(c *call, org, project string, state *domain.State) (audit.Reader, error) {
	reader := audit.Reader{Instance: state.IsAdmin(c.actor), Open: s.openSealed}
	if org == "" && project == "" {
		return reader, state.Authorize(c.actor, domain.Rule{Requirement: domain.InstanceAdmin}, nil, c.now)
	}
	targets, err := auditTargets(state, org, project)
	if err != nil {
		return reader, err
	}
	c.targets, reader.Place = targets, targets[0].Place
	return reader, state.Authorize(c.actor, c.rule, targets, s.Engine.Now())
}

// auditTargets: the history of a deleted project stays readable to those who could read it.
func auditTargets(state *domain.State, org, project string) ([]domain.Target, error) {
	targets, err := state.PlaceTarget(domain.OrgID(org), domain.ProjectID(project))
	for i := range targets {
		targets[i].EvenDeleted = true
	}
	return targets, err
}

// auditRecords are what was found, as the reader may see it.
func auditRecords(ctx context.Context, reader audit.Reader, found []audit.Found, f *tenurev1.AuditFilter) ([]*tenurev1.AuditRecord, error) {
	records := make([]*tenurev1.AuditRecord, 0, len(found))
	for _, row := range found {
		r, err := reader.Record(ctx, row)
		if err != nil {
			return nil, err
		}
		// Who may not see an address must not find it by guessing either.
		if f.GetIp() == "" || r.Ip == f.GetIp() {
			records = append(records, r)
		}
	}
	return records, nil
}

// ExportAudit streams the history as a file.
func (s *Server) ExportAudit(ctx context.Context, req *tenurev1.ExportAuditRequest, stream *connect.ServerStream[tenurev1.ExportAuditResponse]) error {
	c := callFrom(ctx)
	if _, err := s.auditReader(c, req.OrgId, req.ProjectId, c.state); err != nil {
		return err
	}
	search, err := s.auditSearch(req.OrgId, req.ProjectId, req.Filter)
	if err != nil {
		return err
	}
	m, err := s.model(ctx, s.ReadModels.Audit)
	if err != nil {
		return err
	}
	end, err := m.Checkpoint(ctx)
	if err != nil {
		return readError(err)
	}
	if search.To == 0 || search.To > end.Position {
		search.To = end.Position
	}
	search.Oldest, search.Limit = true, exportPage
	search.After = audit.Place{Position: domain.Position(req.AfterPosition), Index: int(req.AfterIndex)}
	format := audit.Formats[req.Format]
	res := &tenurev1.ExportAuditResponse{Position: req.AfterPosition, Index: req.AfterIndex}
	if req.AfterPosition == 0 && format.Head != "" {
		res.Data = []byte(format.Head)
	}
	for {
		// The caller's rights are looked at anew each time: an export must not outlive them.
		reader, err := s.auditReader(c, req.OrgId, req.ProjectId, s.Engine.State())
		if err != nil {
			return err
		}
		// A rebuild may have taken the place of what was read so far, and that is soon no more.
		if m, err = s.ReadModels.Audit.Await(ctx, end.Position); err != nil {
			return err
		}
		found, err := audit.Find(ctx, m, search)
		if err != nil {
			return readError(err)
		}
		records, err := auditRecords(ctx, reader, found, req.Filter)
		if err != nil {
			return err
		}
		for _, r := range records {
			line, err := format.Line(c.state.Instance.LogID, r)
			if err != nil {
				return err
			}
			res.Data = append(res.Data, line...)
		}
		res.Records = uint32(len(records))
		if len(found) > 0 {
			search.After = found[len(found)-1].Place
			res.Position, res.Index = uint64(search.After.Position), uint32(search.After.Index)
		}
		if err := stream.Send(res); err != nil {
			return err
		}
		if len(found) < exportPage {
			return nil
		}
		res = &tenurev1.ExportAuditResponse{}
	}
}

// WatchAudit streams the history as it grows.
func (s *Server) WatchAudit(ctx context.Context, req *tenurev1.WatchAuditRequest, stream *connect.ServerStream[tenurev1.WatchAuditResponse]) error {
	c := callFrom(ctx)
	last := c.state.Position
	if req.AfterPosition != nil {
		last = domain.Position(*req.AfterPosition)
	}
	search, err := s.auditSearch(req.OrgId, req.ProjectId, req.Filter)
	if err != nil {
		return err
	}
	for opened := false; ; {
		moved := s.Engine.Moved()
		// The caller's rights are looked at anew each time: a watch must not outlive them.
		state := s.Engine.State()
		reader, err := s.auditReader(c, req.OrgId, req.ProjectId, state)
		if err != nil {
			return err
		}
		if !opened {
			// The headers tell the caller that the watch stands.
			if err := stream.Send(nil); err != nil {
				return err
			}
			opened = true
		}
		for last < state.Position {
			to := min(last+watchWindow, state.Position)
			// Sent one by one as they are read: the server must not hold what a slow watcher does not take.
			err := s.Engine.Commits(ctx, last+1, to, func(c engine.Commit) error {
				records, err := reader.Records(ctx, c.Position, c.Commit, search.Matches)
				for _, r := range records {
					if err == nil && (req.Filter.GetIp() == "" || r.Ip == req.Filter.GetIp()) {
						err = stream.Send(&tenurev1.WatchAuditResponse{Record: r})
					}
				}
				return err
			})
			if err != nil {
				return err
			}
			last = to
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Engine.Stopping():
			return domain.Errorf(domain.CodeUnavailable, engine.Stopped, "the server is stopping; watch again from the last position you got")
		case <-moved:
		}
	}
}
