package domain_test

import (
	"strconv"
	"testing"

	"github.com/tenurehq/tenure/domain"
)

func hook(id domain.WebhookID, types ...string) domain.CreateWebhook {
	return domain.CreateWebhook{ID: id, Org: "acme", URL: "https://example.com/hook", EventTypes: types, Secret: []byte("sealed")}
}

const hookText = `webhook_id:"whk" url:"https://example.com/hook"`

// webhookRows fail if a URL is not looked at, or only when a webhook is made; if types are taken as they come; if the number is not
// bounded; if DisableWebhook does not ask for the URL: tried, for each.
var webhookRows = func() []row {
	full := make([]domain.Command, domain.MaxWebhooks)
	for i := range full {
		full[i] = hook(domain.WebhookID("whk" + strconv.Itoa(i)))
	}
	one := []domain.Command{hook("whk", "KeyRevoked")}
	paused := with(one, domain.UpdateWebhook{ID: "whk", Paused: new(true)})
	rows := []row{
		{
			name: "by an ADMIN", by: user("adam"), when: hook("whk", "ProjectCreated", "KeyRevoked", "ProjectCreated"),
			then: `org_ids:"acme" webhook_created{` + hookText + ` event_types:"KeyRevoked" event_types:"ProjectCreated" secret:"sealed"}`,
		}, {
			name: "for everything, by the organization's key", by: orgKey("k_acme", "acme"), when: hook("whk"),
			then: `org_ids:"acme" webhook_created{` + hookText + ` secret:"sealed"}`,
		}, {
			name: "http where that is allowed", by: user("adam"), when: domain.CreateWebhook{ID: "whk", Org: "acme", URL: "http://example.com", AllowHTTP: true},
			then: `org_ids:"acme" webhook_created{webhook_id:"whk" url:"http://example.com"}`,
		},
		{name: "an unknown type", by: user("adam"), when: hook("whk", "ProjectPainted"), code: domain.CodeInvalid, reason: domain.UnknownEventType},
		{name: "one too many", given: full, by: user("adam"), when: hook("whk"), code: domain.CodeExhausted, reason: domain.TooManyWebhooks},
		{
			name: "one in the place of another", given: with(full, domain.DeleteWebhook{ID: "whk0"}), by: user("adam"), when: hook("whk"),
			then: `org_ids:"acme" webhook_created{` + hookText + ` secret:"sealed"}`,
		},
		{name: "a taken id", given: one, by: instance, when: hook("whk"), code: domain.CodeExists, reason: domain.IDTaken},
		{
			name: "a chosen id", by: user("olga"), when: domain.CreateWebhook{ID: "whk", Chosen: true, Org: "acme", URL: "https://example.com"},
			code: domain.CodeDenied, reason: domain.ChosenID,
		},
		{name: "by a MEMBER", by: user("mia"), when: hook("whk"), code: domain.CodeDenied, reason: domain.PermissionDenied},
		{name: "in a deleted organization", given: deleted("acme"), by: instance, when: hook("whk"), code: domain.CodePrecondition, reason: domain.OrgDeleted},

		{
			name: "everything", given: one, by: user("adam"), when: domain.UpdateWebhook{
				ID: "whk", URL: new("https://example.com/new"), Description: new("builds"), EventTypes: new(words("OrgUpdated")), Paused: new(true),
			},
			then: `org_ids:"acme" webhook_updated{webhook_id:"whk" url{old:"https://example.com/hook" new:"https://example.com/new"} description{new:"builds"}
				event_types{old:"KeyRevoked" new:"OrgUpdated"} disabled{new:"paused"}}`,
		},
		{
			name: "nothing new", given: one, by: user("adam"),
			when: domain.UpdateWebhook{ID: "whk", URL: new("https://example.com/hook"), EventTypes: new(words("KeyRevoked")), Paused: new(false)},
		},
		{
			name: "goes on after the receiver was gone", given: with(one, domain.DisableWebhook{ID: "whk", URL: "https://example.com/hook"}), by: user("adam"),
			when: domain.UpdateWebhook{ID: "whk", Paused: new(false)}, then: `org_ids:"acme" webhook_updated{webhook_id:"whk" disabled{old:"gone"}}`,
		},
		{
			name: "an unknown type", given: one, by: user("adam"), when: domain.UpdateWebhook{ID: "whk", EventTypes: new(words("Nothing"))},
			code: domain.CodeInvalid, reason: domain.UnknownEventType,
		},
		{name: "by a VIEWER", given: one, by: user("vic"), when: domain.UpdateWebhook{ID: "whk", Paused: new(true)}, code: domain.CodeDenied, reason: domain.PermissionDenied},
		{
			name: "with a grace", given: one, by: user("adam"), after: hour, when: domain.RotateWebhookSecret{ID: "whk", Secret: []byte("next"), Grace: 23 * hour},
			then: `org_ids:"acme" webhook_secret_rotated{webhook_id:"whk" secret:"next" old_until:{@24h}}`,
		},
		{
			name: "the receiver is gone", given: one, by: system, when: domain.DisableWebhook{ID: "whk", URL: "https://example.com/hook"},
			then: `org_ids:"acme" webhook_updated{webhook_id:"whk" disabled{new:"gone"}}`,
		},
		{name: "the receiver before is gone", given: one, by: system, when: domain.DisableWebhook{ID: "whk", URL: "https://example.com/old"}},
		{name: "the receiver of a paused one is gone", given: paused, by: system, when: domain.DisableWebhook{ID: "whk", URL: "https://example.com/hook"}},
		{
			name: "ends", given: one, by: user("adam"), when: domain.DeleteWebhook{ID: "whk"},
			then: `org_ids:"acme" webhook_deleted{` + hookText + `}`,
		},
		{name: "ends twice", given: with(one, domain.DeleteWebhook{ID: "whk"}), by: user("adam"), when: domain.DeleteWebhook{ID: "whk"}, code: domain.CodeNotFound, reason: domain.WebhookNotFound},
	}
	for _, url := range []string{
		"http://example.com", "ftp://example.com", "example.com", "https://", "https:///path", "https://u@example.com", "https://u:p@example.com",
		"https://example.com/#part", "mailto:a@example.com", "https://exa mple.com", "//example.com",
	} {
		rows = append(rows,
			row{name: url, by: user("adam"), when: domain.CreateWebhook{ID: "whk", Org: "acme", URL: url}, code: domain.CodeInvalid, reason: domain.InvalidField},
			row{name: url, given: one, by: user("adam"), when: domain.UpdateWebhook{ID: "whk", URL: &url}, code: domain.CodeInvalid, reason: domain.InvalidField})
	}
	for _, by := range []domain.Actor{user("sam"), user("gary"), projectKey("k_app", "app")} {
		for _, c := range []domain.Command{domain.UpdateWebhook{ID: "whk", Paused: new(true)}, domain.RotateWebhookSecret{ID: "whk"}, domain.DeleteWebhook{ID: "whk"}} {
			rows = append(rows, row{name: "hidden from " + by.String(), given: one, by: by, when: c, code: domain.CodeNotFound, reason: domain.WebhookNotFound, hides: "whk"})
		}
	}
	return rows
}()

// After two rotations the first secret signs no more. Fails if the old one is kept: tried.
func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	s := given(t, hook("whk"), domain.RotateWebhookSecret{ID: "whk", Secret: []byte("second"), Grace: hour}, domain.RotateWebhookSecret{ID: "whk", Secret: []byte("third"), Grace: hour})
	w, _ := s.Webhook("whk")
	if w.Secret != "third" || w.OldSecret != "second" || !w.OldUntil.Equal(in(hour)) {
		t.Errorf("%+v", w)
	}
}

// An organization that is deleted takes its webhooks with it. Fails if they stay: tried.
func TestDeletedOrgLeavesNoWebhook(t *testing.T) {
	t.Parallel()
	s := given(t, hook("whk"), hook("other"), domain.DeleteOrg{ID: "acme", Cascade: true})
	o, _ := s.Org("acme")
	if n, held := s.Webhooks().Len(), o.Webhooks.Len(); n > 0 || held > 0 {
		t.Errorf("%d webhooks are left, and %d of it", n, held)
	}
}
