package domain_test

import (
	"strings"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func (m *machine) instanceCommand(t *rapid.T) {
	switch dice(t, "what", 13) {
	case 0, 1, 11:
		m.give(t, domain.GrantInstanceAdmin{User: m.user(t)}, admin)
	case 2, 3:
		if id, ok := find(t, "admin", m.model.admins, func(domain.UserID, bool) bool { return true }); ok {
			m.give(t, domain.RevokeInstanceAdmin{User: id}, admin)
			return
		}
		m.give(t, domain.RevokeInstanceAdmin{User: m.user(t)}, admin)
	case 4, 5, 6:
		m.give(t, m.policy(t), admin)
	case 7:
		m.do(t, system, domain.IntroducePepper{Pepper: one(t, "pepper", words("pep pep2"))})
	case 8:
		m.do(t, system, domain.CreateInstance{LogID: "other", Pepper: "other"})
	case 12:
		m.give(t, domain.RaiseFormat{To: uint32(dice(t, "format", 5))}, admin)
	default:
		c := domain.ExtendCatalog{}
		for _, e := range []domain.CatalogEntry{
			{Level: domain.OrgLevel, Name: "own:both"}, {Level: domain.ProjectLevel, Name: "own:both"}, {Level: domain.OrgLevel, Name: "own:org"},
		} {
			if e.From = one(t, "from", append([]domain.Role{""}, weakestFirst...)); e.From != "" {
				c.Own = append(c.Own, e)
			}
		}
		m.do(t, system, c)
	}
}

func (m *machine) policy(t *rapid.T) domain.UpdatePolicy {
	c := domain.UpdatePolicy{}
	switch dice(t, "part", 3) {
	case 0:
		c.Naming = &domain.Naming{
			OrgPattern:     one(t, "orgs", []string{"", "^[a-cA-C]$"}),
			ProjectPattern: one(t, "projects", []string{"", "^[a-z]$"}), WarnOnly: seldom(t, "warn"),
		}
	case 1:
		c.Creators = m.creators(t)
	default:
		c.SignUp = m.signUp(t)
	}
	return c
}

func (m *machine) creators(t *rapid.T) *domain.Creators {
	c := domain.Creators{Who: one(t, "creators", []domain.OrgCreators{
		domain.CreatorsEveryone, domain.CreatorsListed, domain.CreatorsAdmins,
	})}
	if c.Who == domain.CreatorsListed {
		c.Domains, c.Emails = []string{"EVEN.EXAMPLE"}, [][]byte{[]byte(m.email(t))}
	}
	return &c
}

func (m *machine) signUp(t *rapid.T) *[]domain.SignUpGrant {
	var grants []domain.SignUpGrant
	for range dice(t, "grants", 3) {
		g := domain.SignUpGrant{Org: m.org(t)}
		g.Role = m.role(t, g.Org)
		if dice(t, "in project", 2) == 0 {
			g.Project, g.ProjectRole = m.projectOf(t, g.Org), m.role(t, g.Org)
		}
		grants = append(grants, g)
	}
	return &grants
}

// init is given twice: the second time nothing is left to do.
func (m *machine) init(t *rapid.T) {
	if !seldom(t, "init") {
		return
	}
	email := m.email(t)
	c := domain.Init{
		Org: m.org(t), OrgName: name(t), Project: m.project(t), ProjectName: name(t), User: domain.UserID(m.fresh("u")), Email: sealed("init", email),
		EmailDigest: []byte(email), Key: minted(domain.KeyID(m.fresh("k"))),
	}
	if len(m.model.orgs) < 5 && seldom(t, "new org") {
		c.Org = domain.OrgID(m.fresh("o"))
	}
	if len(m.model.projects) < 6 && dice(t, "new project", 2) == 0 {
		c.Project = domain.ProjectID(m.fresh("p"))
	}
	if len(m.model.users) > 7 {
		c.User = ""
	}
	if len(m.model.keys) > 9 {
		c.Key.Public = ""
	}
	switch dice(t, "with", 6) {
	case 0:
		c.SignUp = m.signUp(t)
	case 1:
		c.Creators = m.creators(t)
	}
	m.do(t, system, c)
	if again, err := domain.Decide(m.state, c, ruleOf(c), system, m.now); err == nil && len(again) > 0 {
		t.Fatalf("init again: %+v", again)
	}
}

// emails are few, so that they clash.
func (m *machine) email(t *rapid.T) string {
	return "digest of " + one(t, "e-mail", words("u0 u1 u2 u3 e4 e5 e6 e7"))
}

// domainOf is the domain of an address, whose digest ends in a number here.
func domainOf(email string) string {
	if email != "" && strings.Contains("02468", email[len(email)-1:]) {
		return "even.example"
	}
	return "odd.example"
}

func verifier(hash string) *eventv1.Verifier {
	return &eventv1.Verifier{Scheme: "hmac", PepperId: "pep", Hash: []byte(hash)}
}

// webhookCommand makes and changes webhooks. The model does not know them: they change nothing of what it compares.
func (m *machine) webhookCommand(t *rapid.T) {
	update := need("organization:update")
	ids := m.state.Webhooks().Keys()
	if len(ids) < 2 || dice(t, "new", 3) == 0 {
		o := m.org(t)
		m.give(t, domain.CreateWebhook{ID: domain.WebhookID(m.fresh("w")), Org: o, URL: "https://example.com", Secret: []byte(m.fresh("secret"))}, update, place{org: o})
		return
	}
	w, _ := m.state.Webhook(one(t, "webhook", ids))
	at := place{org: w.Org}
	switch dice(t, "change", 4) {
	case 0:
		m.give(t, domain.UpdateWebhook{ID: w.ID, Paused: new(dice(t, "paused", 2) == 0), EventTypes: &[]string{"OrgUpdated"}}, update, at)
	case 1:
		m.give(t, domain.RotateWebhookSecret{ID: w.ID, Secret: []byte(m.fresh("secret")), Grace: hour}, update, at)
	case 2:
		m.do(t, system, domain.DisableWebhook{ID: w.ID, URL: w.URL})
	default:
		m.give(t, domain.DeleteWebhook{ID: w.ID}, update, at)
	}
}
