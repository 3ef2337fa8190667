package rpc

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/directory"
	"github.com/tenurehq/tenure/projections/usage"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// usageDays are how many days a key is shown with.
	usageDays = 30
	// findKeysPages bounds how many pages of keys one call looks through for unused ones.
	findKeysPages = 20
	day           = 24 * time.Hour
)

// addUsage shows keys with their usage, as far as it can be read now.
func (s *Server) addUsage(ctx context.Context, keys ...*tenurev1.Key) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.Id
	}
	days, err := s.ReadModels.Usage.Days(ctx, ids, usage.DayOf(s.Engine.Now())-usage.KeptDays)
	if err != nil {
		s.Logger.Warn("usage of keys can't be read", "error", err)
		return
	}
	for _, k := range keys {
		list := days[k.Id]
		if len(list) == 0 {
			continue
		}
		k.Usage = &tenurev1.KeyUsage{LastUsedAt: timestamp(list[len(list)-1].LastUsed)}
		for _, u := range list[max(0, len(list)-usageDays):] {
			k.Usage.Days = append(k.Usage.Days, &tenurev1.DailyUses{Day: time.Unix(u.Day*86400, 0).UTC().Format(time.DateOnly), Uses: u.Uses})
		}
	}
}

// ReportUsage counts uses that happened elsewhere.
func (s *Server) ReportUsage(ctx context.Context, req *tenurev1.ReportUsageRequest) (*tenurev1.ReportUsageResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	now := s.Engine.Now()
	for _, u := range req.Uses {
		if _, ok := state.Key(domain.KeyID(u.KeyId)); !ok {
			continue
		}
		// A reporter's clock may be off; the future is not believed.
		at := timeOf(u.LastUsedAt)
		if at.After(now) {
			at = now
		}
		s.ReadModels.Usage.Used(u.KeyId, u.Uses, at)
	}
	return &tenurev1.ReportUsageResponse{}, nil
}

// FindKeys finds keys that end soon or are not used.
func (s *Server) FindKeys(ctx context.Context, req *tenurev1.FindKeysRequest) (*tenurev1.FindKeysResponse, error) {
	c := callFrom(ctx)
	if req.OrgId == "" {
		if err := c.state.Authorize(c.actor, domain.Rule{Requirement: domain.InstanceAdmin}, nil, c.now); err != nil {
			return nil, err
		}
	} else {
		targets, err := c.state.OrgTarget(domain.OrgID(req.OrgId))
		if _, err = s.authorize(ctx, targets, err); err != nil {
			return nil, err
		}
	}
	after, err := cursor("find-keys", req.PageToken)
	if err != nil {
		return nil, err
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	search := directory.KeySearch{Org: domain.OrgID(req.OrgId), Now: c.now, After: domain.KeyID(after), Limit: pageSize(req.PageSize)}
	if req.ExpiringWithinDays > 0 {
		search.ExpiresBefore = c.now.Add(time.Duration(req.ExpiringWithinDays) * day)
	}
	if req.UnusedForDays > 0 {
		search.CreatedBefore = c.now.Add(-time.Duration(req.UnusedForDays) * day)
	}
	res := &tenurev1.FindKeysResponse{}
	for range findKeysPages {
		ids, err := directory.FindKeys(ctx, m, search)
		if err != nil {
			return nil, readError(err)
		}
		if err := s.appendKeys(ctx, res, ids, req.UnusedForDays); err != nil {
			return nil, err
		}
		if len(ids) < search.Limit {
			return res, nil
		}
		search.After = ids[len(ids)-1]
		if len(res.Keys) >= pageSize(req.PageSize)/2 {
			break
		}
	}
	res.NextPageToken = pageToken("find-keys", string(search.After))
	return res, nil
}

// appendKeys shows keys, those left out that were used in the last days, if they are to be unused.
func (s *Server) appendKeys(ctx context.Context, res *tenurev1.FindKeysResponse, ids []domain.KeyID, unused uint32) error {
	state := callFrom(ctx).state
	var views []*tenurev1.Key
	for _, id := range ids {
		if _, ok := state.Key(id); ok {
			views = append(views, s.keyOf(state, id))
		}
	}
	s.addUsage(ctx, views...)
	since := s.Engine.Now().Add(-time.Duration(unused) * day)
	for _, k := range views {
		if unused > 0 && k.Usage != nil && k.Usage.LastUsedAt.AsTime().After(since) {
			continue
		}
		res.Keys = append(res.Keys, k)
	}
	return nil
}
