package rpc

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/projections/audit"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// QueryAccessLog answers who was refused and who read what is sensitive, newest first.
func (s *Server) QueryAccessLog(ctx context.Context, req *tenurev1.QueryAccessLogRequest) (*tenurev1.QueryAccessLogResponse, error) {
	c := callFrom(ctx)
	targets, err := accessLogTargets(c.state, req)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	q := accesslog.Query{
		Kind: eventv1.AccessRecord_Kind(req.Kind), Since: timeOf(req.Since), Until: timeOf(req.Until), Limit: pageSize(req.PageSize),
	}
	at := targets[0].Place
	if at.Org != nil {
		q.Org = string(at.Org.ID)
	}
	q.Match = func(a *eventv1.AccessRecord) bool {
		return (at.Project == nil || a.ProjectId == string(at.Project.ID)) &&
			(req.ById == "" || req.ById == a.Actor.GetId() || req.ById == a.Actor.GetKeyId()) &&
			(req.Procedure == "" || req.Procedure == a.Procedure) && (req.Code == "" || req.Code == a.Code)
	}
	key, err := cursor("access", req.PageToken)
	if err != nil {
		return nil, err
	}
	if key != "" {
		if q.Before, err = strconv.ParseUint(key, 10, 63); err != nil || q.Before == 0 {
			return nil, domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
		}
	}
	page, err := s.AccessLog.Read(ctx, q)
	if err != nil {
		return nil, domain.Errorf(domain.CodeUnavailable, "ACCESS_LOG_UNAVAILABLE", "the access log can't be read now; try again").Because(err)
	}
	res := &tenurev1.QueryAccessLogResponse{}
	for _, a := range page.Records {
		record, err := s.accessView(ctx, a, c.state.IsAdmin(c.actor))
		if err != nil {
			return nil, err
		}
		res.Records = append(res.Records, record)
	}
	if page.Next > 0 {
		res.NextPageToken = pageToken("access", strconv.FormatUint(page.Next, 10))
	}
	return res, nil
}

// accessLogTargets are those of QueryAudit; of a request that names nothing, the instance.
func accessLogTargets(state *domain.State, req *tenurev1.QueryAccessLogRequest) ([]domain.Target, error) {
	if req.OrgId == "" && req.ProjectId == "" {
		return state.PrincipalTarget("", "", "")
	}
	return auditTargets(state, req.OrgId, req.ProjectId)
}

// accessView shows a record. To the organization it belongs to, all that callers from elsewhere could have put into it is left out,
// and where they and instance admins work from.
func (s *Server) accessView(ctx context.Context, a *eventv1.AccessRecord, toInstance bool) (view *tenurev1.AccessLogRecord, err error) {
	view = &tenurev1.AccessLogRecord{
		Id: a.Id, Time: a.Time, Kind: tenurev1.AccessLogKind(a.Kind), Procedure: a.Procedure,
		OrgId: a.OrgId, ProjectId: a.ProjectId, UserId: a.UserId, KeyId: a.KeyId, GroupId: a.GroupId, OfferId: a.OfferId,
		InvitationId: a.InvitationId, Code: a.Code, ErrorReason: a.ErrorReason, Count: a.Count,
	}
	if a.Actor != nil {
		view.Actor = audit.Actor(a.Actor)
	}
	if !a.Own && !toInstance {
		return view, nil
	}
	view.Reason, view.RequestId, view.TraceId = a.Reason, a.Request.GetRequestId(), a.Request.GetTraceId()
	if a.Actor.GetRole() == string(domain.ByInstanceAdmin) && !toInstance {
		return view, nil
	}
	if view.Ip, err = s.openSealed(ctx, a.Request.GetIp(), "ip"); err != nil {
		return nil, err
	}
	view.UserAgent, err = s.openSealed(ctx, a.Request.GetUserAgent(), "user_agent")
	return view, err
}
