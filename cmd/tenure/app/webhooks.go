package app

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/webhook"
)

// startWebhooks sends webhooks from the feed until Close, if there is a feed.
func (a *App) startWebhooks(ctx context.Context) (err error) {
	var networks []netip.Prefix
	for _, text := range a.cfg.WebhookNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--webhook-allow-networks: %w; networks are such as 10.0.0.0/8", err)
		}
		networks = append(networks, network.Masked())
	}
	if !a.cfg.Feed {
		return nil
	}
	a.webhooks, err = webhook.Start(ctx, webhook.Config{
		Conn: a.broker.conn(), Replicas: a.cfg.Replicas, State: a.Engine.State, Moved: a.Engine.Moved, Open: a.open,
		Disable: a.disableWebhook, Networks: networks, Schedule: a.cfg.WebhookSchedule, Timeout: a.cfg.WebhookTimeout, Logger: a.cfg.Logger,
	})
	if err == nil {
		a.closers = append(a.closers, func() error { a.webhooks.Close(); return nil })
	}
	return err
}

// disableWebhook ends sending to a receiver that is gone.
func (a *App) disableWebhook(ctx context.Context, id domain.WebhookID, url string) error {
	_, err := a.Engine.Execute(ctx, engine.Request{
		Command: domain.DisableWebhook{ID: id, URL: url}, Rule: domain.Rule{Requirement: domain.Anyone}, Actor: domain.Actor{Kind: domain.ActorSystem},
	})
	return err
}

// registerWebhooks shows what becomes of messages to receivers.
func registerWebhooks(r prometheus.Registerer, sender *webhook.Sender) {
	if sender == nil {
		return
	}
	for _, m := range []struct {
		result string
		value  func(webhook.Stats) uint64
	}{
		{"delivered", func(s webhook.Stats) uint64 { return s.Delivered }},
		{"failed", func(s webhook.Stats) uint64 { return s.Failed }},
		{"dead", func(s webhook.Stats) uint64 { return s.Dead }},
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenure_webhook_attempts_total", Help: "Attempts of this server to send webhooks; dead are messages that were given up.",
			ConstLabels: prometheus.Labels{"result": m.result},
		}, func() float64 { return float64(m.value(sender.Stats())) }))
	}
}
