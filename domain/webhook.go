package domain

import (
	"net/url"
	"slices"
	"sync"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Webhooks, in words:
//
//  1. A webhook sends events of one organization to a URL: all, or those of some types. An organization has at most MaxWebhooks.
//  2. The URL is https, unless the installation allows http, and holds no user information.
//  3. Messages are signed with a secret that the domain sees sealed. After a rotation the one before signs as well for a grace, and
//     no third one.
//  4. A webhook that is disabled sends nothing: because it was paused, or because its receiver said that it is gone for good.

// MaxWebhooks is how many an organization may have.
const MaxWebhooks = 20

// Why a webhook sends nothing.
const (
	WebhookPaused = "paused"
	WebhookGone   = "gone"
)

// Webhook is an address that events of an organization are sent to.
type Webhook struct {
	ID          WebhookID
	Org         OrgID
	URL         string
	Description string
	EventTypes  []string // sorted; none means all
	Disabled    string   // why nothing is sent; "" if it is
	// Secret, and until OldUntil OldSecret, sign messages; both are sealed under the webhook's id.
	Secret    string
	OldSecret string
	OldUntil  time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// CreateWebhook begins to send.
type CreateWebhook struct {
	ID          WebhookID
	Chosen      bool // the caller chose the id
	Org         OrgID
	URL         string
	AllowHTTP   bool // the installation's setting
	Description string
	EventTypes  []string
	Secret      []byte // sealed
}

// UpdateWebhook changes what is given.
type UpdateWebhook struct {
	ID          WebhookID
	URL         *string
	AllowHTTP   bool
	Description *string
	EventTypes  *[]string
	Paused      *bool
}

// RotateWebhookSecret makes another secret the one that signs.
type RotateWebhookSecret struct {
	ID     WebhookID
	Secret []byte // sealed
	Grace  time.Duration
}

// DisableWebhook ends sending because the receiver at a URL said that it is gone. Only Tenure itself gives it.
type DisableWebhook struct {
	ID  WebhookID
	URL string
}

// DeleteWebhook ends a webhook.
type DeleteWebhook struct{ ID WebhookID }

// Name is the method's name, if there is one.
func (CreateWebhook) Name() string       { return "CreateWebhook" }
func (UpdateWebhook) Name() string       { return "UpdateWebhook" }
func (RotateWebhookSecret) Name() string { return "RotateWebhookSecret" }
func (DisableWebhook) Name() string      { return "DisableWebhook" }
func (DeleteWebhook) Name() string       { return "DeleteWebhook" }

// Targets names the organization.
func (c CreateWebhook) Targets(s *State) ([]Target, error)       { return s.OrgTarget(c.Org) }
func (c UpdateWebhook) Targets(s *State) ([]Target, error)       { return s.WebhookTarget(c.ID) }
func (c RotateWebhookSecret) Targets(s *State) ([]Target, error) { return s.WebhookTarget(c.ID) }
func (c DisableWebhook) Targets(s *State) ([]Target, error)      { return s.WebhookTarget(c.ID) }
func (c DeleteWebhook) Targets(s *State) ([]Target, error)       { return s.WebhookTarget(c.ID) }

// WebhookTarget is the organization of a webhook that a request names.
func (s *State) WebhookTarget(id WebhookID) ([]Target, error) {
	w, ok := s.webhooks.Get(id)
	if !ok {
		return nil, webhookNotFound(id)
	}
	targets, err := s.OrgTarget(w.Org)
	if err != nil {
		return nil, err
	}
	targets[0].Missing = webhookNotFound(id)
	return targets, nil
}

func webhookNotFound(id WebhookID) *Error { return notFound(WebhookNotFound, "webhook", id) }

func (c CreateWebhook) decide(s *State, by Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, err := s.undeleted(c.Org)
	if err != nil {
		return nil, err
	}
	if err := s.chosenID(c.Chosen, by); err != nil {
		return nil, err
	}
	if s.webhooks.Has(c.ID) {
		return nil, idTaken(string(c.ID))
	}
	if o.Webhooks.Len() >= MaxWebhooks {
		return nil, Errorf(CodeExhausted, TooManyWebhooks, "an organization has at most %d webhooks; delete one", MaxWebhooks)
	}
	if err := checkWebhookURL(c.URL, c.AllowHTTP); err != nil {
		return nil, err
	}
	types, err := eventTypes(c.EventTypes)
	if err != nil {
		return nil, err
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_WebhookCreated{WebhookCreated: &eventv1.WebhookCreated{
		WebhookId: string(c.ID), Url: c.URL, Description: c.Description, EventTypes: types, Secret: c.Secret,
	}}})), nil
}

func (c UpdateWebhook) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	w, o, err := s.liveWebhook(c.ID)
	if err != nil {
		return nil, err
	}
	body := &eventv1.WebhookUpdated{
		WebhookId: string(c.ID), Url: stringChange(w.URL, c.URL), Description: stringChange(w.Description, c.Description),
	}
	if body.Url != nil {
		if err := checkWebhookURL(body.Url.New, c.AllowHTTP); err != nil {
			return nil, err
		}
	}
	if c.EventTypes != nil {
		types, err := eventTypes(*c.EventTypes)
		if err != nil {
			return nil, err
		}
		body.EventTypes = stringsChange(w.EventTypes, types)
	}
	if c.Paused != nil {
		disabled := ""
		if *c.Paused {
			disabled = WebhookPaused
		}
		body.Disabled = stringChange(w.Disabled, &disabled)
	}
	if body.Url == nil && body.Description == nil && body.EventTypes == nil && body.Disabled == nil {
		return nil, nil
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_WebhookUpdated{WebhookUpdated: body}})), nil
}

func (c RotateWebhookSecret) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	_, o, err := s.liveWebhook(c.ID)
	if err != nil {
		return nil, err
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_WebhookSecretRotated{WebhookSecretRotated: &eventv1.WebhookSecretRotated{
		WebhookId: string(c.ID), Secret: c.Secret, OldUntil: storedTime(now.Add(c.Grace)),
	}}})), nil
}

func (c DisableWebhook) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	w, o, err := s.liveWebhook(c.ID)
	if err != nil {
		return nil, err
	}
	if w.Disabled != "" || w.URL != c.URL {
		return nil, nil
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_WebhookUpdated{WebhookUpdated: &eventv1.WebhookUpdated{
		WebhookId: string(c.ID), Disabled: &eventv1.StringChange{New: WebhookGone},
	}}})), nil
}

func (c DeleteWebhook) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	w, o, err := s.liveWebhook(c.ID)
	if err != nil {
		return nil, err
	}
	return one(Place{Org: o}.event(&eventv1.Event{Body: &eventv1.Event_WebhookDeleted{WebhookDeleted: &eventv1.WebhookDeleted{
		WebhookId: string(c.ID), Url: w.URL,
	}}})), nil
}

func (s *State) liveWebhook(id WebhookID) (*Webhook, *Org, error) {
	w, ok := s.webhooks.Get(id)
	if !ok {
		return nil, nil, webhookNotFound(id)
	}
	o, _ := s.orgs.Get(w.Org) // a deleted one has none
	return w, o, nil
}

func checkWebhookURL(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		return Invalidf("url", InvalidField, "must be a URL such as https://example.com/hooks, without a fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && allowHTTP):
		return Invalidf("url", InvalidField, "must begin with https://")
	case u.User != nil:
		return Invalidf("url", InvalidField, "must not hold a user or password; verify the signature instead")
	}
	return nil
}

// EventTypes are the names of all events.
var EventTypes = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	fields := (&eventv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range fields.Len() {
		names[string(fields.Get(i).Message().Name())] = true
	}
	return names
})

// eventTypes checks names of events and sorts them.
func eventTypes(names []string) ([]string, error) {
	for _, name := range names {
		if !EventTypes()[name] {
			return nil, Invalidf("event_types", UnknownEventType, "there is no event %q; there are such as ProjectCreated and KeyRevoked", name)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

func (s *State) webhookCreated(e *eventv1.Event, body *eventv1.WebhookCreated, at moment) {
	w := &Webhook{
		ID: WebhookID(body.WebhookId), Org: OrgID(e.OrgIds[0]), URL: body.Url, Description: body.Description, EventTypes: body.EventTypes,
		Secret: string(body.Secret), CreatedAt: at.Time, UpdatedAt: at.Time,
	}
	s.webhooks = s.webhooks.With(w.ID, w)
	s.editOrg(w.Org, func(o *Org) { o.Webhooks = o.Webhooks.With(w.ID, struct{}{}) })
}

func (s *State) webhookUpdated(body *eventv1.WebhookUpdated, at moment) {
	s.editWebhook(body.WebhookId, func(w *Webhook) {
		w.UpdatedAt = at.Time
		if body.Url != nil {
			w.URL = body.Url.New
		}
		if body.Description != nil {
			w.Description = body.Description.New
		}
		if body.EventTypes != nil {
			w.EventTypes = body.EventTypes.New
		}
		if body.Disabled != nil {
			w.Disabled = body.Disabled.New
		}
	})
}

func (s *State) webhookSecretRotated(body *eventv1.WebhookSecretRotated, at moment) {
	s.editWebhook(body.WebhookId, func(w *Webhook) {
		w.UpdatedAt, w.OldUntil = at.Time, timeOf(body.OldUntil)
		w.OldSecret, w.Secret = w.Secret, string(body.Secret)
	})
}

func (s *State) webhookDeleted(e *eventv1.Event, body *eventv1.WebhookDeleted) {
	id := WebhookID(body.WebhookId)
	if !s.webhooks.Has(id) {
		panic(misfit("webhook " + body.WebhookId))
	}
	s.webhooks = s.webhooks.Without(id)
	s.changeOrg(e, func(o *Org) { o.Webhooks = o.Webhooks.Without(id) })
}

func (s *State) editWebhook(id string, change func(*Webhook)) {
	old, ok := s.webhooks.Get(WebhookID(id))
	if !ok {
		panic(misfit("webhook " + id))
	}
	w := *old
	change(&w)
	s.webhooks = s.webhooks.With(w.ID, &w)
}

// Webhooks are all webhooks by id.
func (s *State) Webhooks() Table[WebhookID, *Webhook] { return s.webhooks }

// Webhook finds a webhook by its id.
func (s *State) Webhook(id WebhookID) (*Webhook, bool) { return s.webhooks.Get(id) }
