package rpc

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/audit"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// auditScan is how many positions one call of QueryAudit reads at most, auditWindow how many at a time.
	auditScan   = 20_000
	auditWindow = 500
	// watchWindow is how many positions a watcher reads at a time: so few are read one after the other, and none ahead.
	watchWindow = 64
)

// QueryAudit answers the history of an organization or project, newest first.
func (s *Server) QueryAudit(ctx context.Context, req *tenurev1.QueryAuditRequest) (*tenurev1.QueryAuditResponse, error) {
	c := callFrom(ctx)
	targets, err := auditTargets(c.state, req.OrgId, req.ProjectId)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	key, err := cursor("audit", req.PageToken)
	if err != nil {
		return nil, err
	}
	before, err := parseRecordKey(key, c.state.Position)
	if err != nil {
		return nil, err
	}
	reader, oldest := s.auditReader(c.actor, targets[0].Place), createdIn(targets[0].Place)
	res := &tenurev1.QueryAuditResponse{}
	for scanned := 0; ; scanned += auditWindow {
		last := before.at
		if before.index <= 1 {
			last--
		}
		if last < oldest {
			return res, nil
		}
		if scanned >= auditScan {
			res.NextPageToken = pageToken("audit", before.String())
			return res, nil
		}
		first := oldest
		if last-oldest >= auditWindow {
			first = last - auditWindow + 1
		}
		records, err := s.auditWindow(ctx, reader, first, last)
		if err != nil {
			return nil, err
		}
		for _, r := range slices.Backward(records) {
			here := recordKey{domain.Position(r.Position), int(r.Index)}
			if here.at == before.at && here.index >= before.index {
				continue
			}
			if len(res.Records) == pageSize(req.PageSize) {
				res.NextPageToken = pageToken("audit", before.String())
				return res, nil
			}
			res.Records = append(res.Records, r)
			before = here
		}
		before = recordKey{first, 0}
	}
}

// recordKey is a place among the records; a page holds those in front of it. Records of a position count from 1.
type recordKey struct {
	at    domain.Position
	index int
}

func (k recordKey) String() string {
	return strconv.FormatUint(uint64(k.at), 10) + "." + strconv.Itoa(k.index)
}

// parseRecordKey reads what String wrote; "" is behind everything up to newest.
func parseRecordKey(key string, newest domain.Position) (recordKey, error) {
	if key == "" {
		return recordKey{newest + 1, 0}, nil
	}
	left, right, _ := strings.Cut(key, ".")
	at, err1 := strconv.ParseUint(left, 10, 63)
	index, err2 := strconv.ParseUint(right, 10, 31)
	if err1 != nil || err2 != nil || at == 0 || domain.Position(at) > newest+1 {
		return recordKey{}, domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
	}
	return recordKey{domain.Position(at), int(index)}, nil
}

// WatchAudit streams the history of an organization or project as it grows.
func (s *Server) WatchAudit(ctx context.Context, req *tenurev1.WatchAuditRequest, stream *connect.ServerStream[tenurev1.WatchAuditResponse]) error {
	c := callFrom(ctx)
	last := c.state.Position
	if req.AfterPosition != nil {
		last = domain.Position(*req.AfterPosition)
	}
	for opened := false; ; {
		moved := s.Engine.Moved()
		// The caller's rights are looked at anew each time: a watch must not outlive them.
		state, now := s.Engine.State(), s.Engine.Now()
		targets, err := auditTargets(state, req.OrgId, req.ProjectId)
		if err != nil {
			return err
		}
		c.targets = targets
		if err := state.Authorize(c.actor, c.rule, targets, now); err != nil {
			return err
		}
		if !opened {
			// The headers tell the caller that the watch stands.
			if err := stream.Send(nil); err != nil {
				return err
			}
			opened = true
		}
		reader := s.auditReader(c.actor, targets[0].Place)
		for last < state.Position {
			to := min(last+watchWindow, state.Position)
			// Sent one by one as they are read: the server must not hold what a slow watcher does not take.
			err := s.Engine.Commits(ctx, last+1, to, func(c engine.Commit) error {
				records, err := reader.Records(ctx, c.Position, c.Commit)
				for _, r := range records {
					if err == nil {
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

// auditTargets: the history of a deleted project stays readable to those who could read it.
func auditTargets(state *domain.State, org, project string) ([]domain.Target, error) {
	targets, err := state.PlaceTarget(domain.OrgID(org), domain.ProjectID(project))
	for i := range targets {
		targets[i].EvenDeleted = true
	}
	return targets, err
}

func (s *Server) auditReader(by domain.Actor, at domain.Place) audit.Reader {
	return audit.Reader{Place: at, Instance: s.Engine.State().IsAdmin(by), Open: s.openSealed}
}

// auditWindow reads the records of a range of positions that the reader may see, oldest first.
func (s *Server) auditWindow(ctx context.Context, reader audit.Reader, from, to domain.Position) (records []*tenurev1.AuditRecord, err error) {
	err = s.Engine.Commits(ctx, from, to, func(c engine.Commit) error {
		list, err := reader.Records(ctx, c.Position, c.Commit)
		records = append(records, list...)
		return err
	})
	return records, err
}

func createdIn(at domain.Place) domain.Position {
	if at.Project != nil {
		return at.Project.CreatedIn
	}
	return at.Org.CreatedIn
}
