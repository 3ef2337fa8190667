package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/webhook"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// secretGrace is how long the secret before signs after a rotation, if nothing is said.
const secretGrace = 24 * time.Hour

// Reasons of errors about webhooks.
const (
	FeedOff               domain.Reason = "FEED_OFF"
	WebhookDisabled       domain.Reason = "WEBHOOK_DISABLED"
	DeadLetterNotFound    domain.Reason = "DEAD_LETTER_NOT_FOUND"
	DeliveriesUnavailable domain.Reason = "DELIVERIES_UNAVAILABLE"
)

// CreateWebhook begins to send events of an organization to a URL.
func (s *Server) CreateWebhook(ctx context.Context, req *tenurev1.CreateWebhookRequest) (*tenurev1.CreateWebhookResponse, error) {
	id, chosen := newID(req.WebhookId, "whk_")
	c := domain.CreateWebhook{
		ID: domain.WebhookID(id), Chosen: chosen, Org: domain.OrgID(req.OrgId), URL: req.Url, AllowHTTP: s.WebhookAllowHTTP,
		Description: req.Description, EventTypes: req.EventTypes,
	}
	secret, err := s.newSecret(ctx, c, id, &c.Secret)
	if err != nil {
		return nil, err
	}
	out, err := s.execute(ctx, req.Reason, c)
	if (out.Repeated || cameToNothing(err)) && !chosen {
		s.unseal(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, secretShown(out.Events[0].GetWebhookCreated().GetWebhookId())
	}
	return &tenurev1.CreateWebhookResponse{Webhook: webhookOf(out.State, c.ID), Secret: secret, Token: token(out)}, nil
}

// newSecret makes a secret and seals it under the webhook's id, for callers who may give the command.
func (s *Server) newSecret(ctx context.Context, c domain.Command, id string, into *[]byte) (secret string, err error) {
	targets, err := c.Targets(callFrom(ctx).state)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return "", err
	}
	if s.Webhooks == nil {
		return "", feedOff()
	}
	secret = webhook.NewSecret()
	sealed, err := s.seal(ctx, id, webhook.SecretField, secret)
	if err != nil {
		return "", err
	}
	*into = sealed.Data
	return secret, nil
}

func feedOff() error {
	return domain.Errorf(domain.CodePrecondition, FeedOff, "webhooks are sent from the event feed, which is off: start the servers with --feed")
}

func secretShown(id string) error {
	return domain.Errorf(domain.CodeExists, "SECRET_ALREADY_SHOWN",
		"this Idempotency-Key made a secret of webhook %s, which was shown then; if it is lost, rotate it with a new Idempotency-Key", id)
}

// GetWebhook answers one webhook.
func (s *Server) GetWebhook(ctx context.Context, req *tenurev1.GetWebhookRequest) (*tenurev1.GetWebhookResponse, error) {
	w, err := s.webhook(ctx, req.WebhookId)
	if err != nil {
		return nil, err
	}
	return &tenurev1.GetWebhookResponse{Webhook: webhookView(w)}, nil
}

// webhook finds a webhook for callers who may read it.
func (s *Server) webhook(ctx context.Context, id string) (*domain.Webhook, error) {
	state := callFrom(ctx).state
	targets, err := state.WebhookTarget(domain.WebhookID(id))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	w, _ := state.Webhook(domain.WebhookID(id))
	return w, nil
}

// ListWebhooks answers the webhooks of an organization.
func (s *Server) ListWebhooks(ctx context.Context, req *tenurev1.ListWebhooksRequest) (*tenurev1.ListWebhooksResponse, error) {
	state := callFrom(ctx).state
	targets, err := state.OrgTarget(domain.OrgID(req.OrgId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	list, next, err := page("webhooks", behind(targets[0].Place.Org.Webhooks, state.Webhook), req.PageSize, req.PageToken,
		func(_ domain.WebhookID, w *domain.Webhook) (*tenurev1.Webhook, bool) { return webhookView(w), true })
	if err != nil {
		return nil, err
	}
	return &tenurev1.ListWebhooksResponse{Webhooks: list, NextPageToken: next}, nil
}

// UpdateWebhook changes a webhook.
func (s *Server) UpdateWebhook(ctx context.Context, req *tenurev1.UpdateWebhookRequest) (*tenurev1.UpdateWebhookResponse, error) {
	c := domain.UpdateWebhook{
		ID: domain.WebhookID(req.WebhookId), URL: req.Url, AllowHTTP: s.WebhookAllowHTTP, Description: req.Description,
		EventTypes: ifGiven(req.EventTypes), Paused: req.Paused,
	}
	if req.AllEventTypes {
		if c.EventTypes != nil {
			return nil, domain.Invalidf("all_event_types", domain.InvalidField, "must not be given together with event_types")
		}
		c.EventTypes = &[]string{}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateWebhookResponse{Webhook: webhookOf(out.State, c.ID), Token: token(out)}, nil
}

// DeleteWebhook ends a webhook.
func (s *Server) DeleteWebhook(ctx context.Context, req *tenurev1.DeleteWebhookRequest) (*tenurev1.DeleteWebhookResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeleteWebhook{ID: domain.WebhookID(req.WebhookId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.DeleteWebhookResponse{Token: token(out)}, nil
}

// RotateWebhookSecret makes another secret the one that signs.
func (s *Server) RotateWebhookSecret(ctx context.Context, req *tenurev1.RotateWebhookSecretRequest) (*tenurev1.RotateWebhookSecretResponse, error) {
	c := domain.RotateWebhookSecret{ID: domain.WebhookID(req.WebhookId), Grace: secretGrace}
	if req.Grace != nil {
		c.Grace = req.Grace.AsDuration()
	}
	secret, err := s.newSecret(ctx, c, req.WebhookId, &c.Secret)
	if err != nil {
		return nil, err
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, secretShown(req.WebhookId)
	}
	return &tenurev1.RotateWebhookSecretResponse{Webhook: webhookOf(out.State, c.ID), Secret: secret, Token: token(out)}, nil
}

// ListWebhookDeliveries answers what became of messages.
func (s *Server) ListWebhookDeliveries(ctx context.Context, req *tenurev1.ListWebhookDeliveriesRequest) (*tenurev1.ListWebhookDeliveriesResponse, error) {
	w, err := s.sentFrom(ctx, req.WebhookId)
	if err != nil {
		return nil, err
	}
	key, err := cursor("deliveries", req.PageToken)
	if err != nil {
		return nil, err
	}
	before := uint64(0)
	if key != "" {
		if before, err = strconv.ParseUint(key, 10, 63); err != nil || before == 0 {
			return nil, domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
		}
	}
	list, err := s.Webhooks.Deliveries(ctx, w.ID, req.Dead)
	if err != nil {
		return nil, deliveryError(err)
	}
	res := &tenurev1.ListWebhookDeliveriesResponse{}
	last := uint64(0)
	for _, d := range list {
		if before > 0 && d.Sequence >= before {
			continue
		}
		if len(res.Deliveries) == pageSize(req.PageSize) {
			res.NextPageToken = pageToken("deliveries", strconv.FormatUint(last, 10))
			break
		}
		res.Deliveries, last = append(res.Deliveries, deliveryView(d)), d.Sequence
	}
	return res, nil
}

// RedeliverWebhook has dead letters sent again.
func (s *Server) RedeliverWebhook(ctx context.Context, req *tenurev1.RedeliverWebhookRequest) (*tenurev1.RedeliverWebhookResponse, error) {
	w, err := s.sentFrom(ctx, req.WebhookId)
	if err != nil {
		return nil, err
	}
	n, err := s.Webhooks.Redeliver(ctx, w.ID, req.MessageId)
	if err != nil {
		return nil, deliveryError(err)
	}
	return &tenurev1.RedeliverWebhookResponse{Messages: uint32(n)}, nil
}

// TestWebhook has a message sent that stands for nothing.
func (s *Server) TestWebhook(ctx context.Context, req *tenurev1.TestWebhookRequest) (*tenurev1.TestWebhookResponse, error) {
	w, err := s.sentFrom(ctx, req.WebhookId)
	if err != nil {
		return nil, err
	}
	if w.Disabled != "" {
		return nil, domain.Errorf(domain.CodePrecondition, WebhookDisabled, "the webhook sends nothing (%s); resume it with UpdateWebhook first", w.Disabled)
	}
	id, err := s.Webhooks.Test(ctx, w)
	if err != nil {
		return nil, deliveryError(err)
	}
	return &tenurev1.TestWebhookResponse{MessageId: id}, nil
}

// sentFrom finds a webhook on a server that sends.
func (s *Server) sentFrom(ctx context.Context, id string) (*domain.Webhook, error) {
	w, err := s.webhook(ctx, id)
	if err == nil && s.Webhooks == nil {
		err = feedOff()
	}
	return w, err
}

func deliveryError(err error) error {
	switch {
	case errors.Is(err, webhook.ErrNoDeadLetter):
		return domain.Errorf(domain.CodeNotFound, DeadLetterNotFound, "there is no dead letter of that id; it was sent again, or is not kept any more")
	case errors.Is(err, webhook.ErrUnreachable):
		return domain.Errorf(domain.CodeUnavailable, DeliveriesUnavailable, "%v; try again", webhook.ErrUnreachable).Because(err)
	}
	return err
}

func webhookOf(s *domain.State, id domain.WebhookID) *tenurev1.Webhook {
	w, ok := s.Webhook(id)
	if !ok {
		return nil
	}
	return webhookView(w)
}

func webhookView(w *domain.Webhook) *tenurev1.Webhook {
	view := &tenurev1.Webhook{
		Id: string(w.ID), OrgId: string(w.Org), Url: w.URL, Description: w.Description, EventTypes: w.EventTypes, Disabled: w.Disabled,
		CreatedAt: timestamppb.New(w.CreatedAt), UpdatedAt: timestamppb.New(w.UpdatedAt),
	}
	if w.OldSecret != "" {
		view.OldSecretUntil = timestamp(w.OldUntil)
	}
	return view
}

func deliveryView(d webhook.Delivery) *tenurev1.WebhookDelivery {
	return &tenurev1.WebhookDelivery{
		MessageId: d.MessageID, EventType: d.EventType, Time: timestamppb.New(d.Time), Attempt: d.Attempt, Status: uint32(d.Status), Error: d.Error,
		Took: durationpb.New(d.Took), NextAttempt: timestamp(d.Next), Dead: d.Dead,
	}
}
