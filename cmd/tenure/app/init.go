package app

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/internal/rpc"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// InitSettings is what an installation begins with, see InitFromEnv. The zero InitSettings is nothing.
type InitSettings struct {
	OrgID, OrgName         string
	ProjectID, ProjectName string
	Retention              uint32
	PublicKey, SecretKey   string
	UserEmail, UserName    string
	DefaultOrgs            []string
	DefaultOrgRole         string
	DefaultProjects        []string
	DefaultProjectRole     string
	OrgCreators            []string
	notes                  []string
}

// Format prints all but the secret, whatever the verb.
func (s InitSettings) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{organization %q project %q key %q}", s.OrgID, s.ProjectID, s.PublicKey)
}

// InitFromEnv reads the settings from variables TENURE_INIT_*, TENURE_DEFAULT_* and TENURE_ALLOWED_ORGANIZATION_CREATORS, and where
// one is not set from the LANGFUSE_ one of the same name, whose meaning it has:
//
//	INIT_ORG_ID makes an organization of that id; without it the other INIT_ variables do nothing. INIT_ORG_NAME.
//	INIT_PROJECT_ID, INIT_PROJECT_NAME, INIT_PROJECT_RETENTION (days) make a project in it.
//	INIT_PROJECT_PUBLIC_KEY and INIT_PROJECT_SECRET_KEY make a key of the project.
//	INIT_USER_EMAIL, INIT_USER_NAME make a person its owner. INIT_USER_PASSWORD is read past: Tenure has no passwords.
//	DEFAULT_ORG_ID, DEFAULT_ORG_ROLE (VIEWER), DEFAULT_PROJECT_ID, DEFAULT_PROJECT_ROLE (VIEWER): what new people get.
//	ALLOWED_ORGANIZATION_CREATORS: addresses, or domains as *@example.com, separated by commas.
//
// An error names the variable that is wrong.
func InitFromEnv(getenv func(string) string) (s InitSettings, err error) {
	get := func(name string) string {
		return strings.TrimSpace(cmp.Or(getenv("TENURE_"+name), getenv("LANGFUSE_"+name)))
	}
	list := func(name string) (items []string) {
		for item := range strings.SplitSeq(get(name), ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items
	}
	s = InitSettings{
		OrgID: get("INIT_ORG_ID"), OrgName: cmp.Or(get("INIT_ORG_NAME"), "Provisioned Org"),
		ProjectID: get("INIT_PROJECT_ID"), ProjectName: cmp.Or(get("INIT_PROJECT_NAME"), "Provisioned Project"),
		PublicKey: get("INIT_PROJECT_PUBLIC_KEY"), SecretKey: get("INIT_PROJECT_SECRET_KEY"),
		UserEmail: strings.ToLower(get("INIT_USER_EMAIL")), UserName: cmp.Or(get("INIT_USER_NAME"), "Provisioned User"),
		DefaultOrgs: list("DEFAULT_ORG_ID"), DefaultOrgRole: cmp.Or(get("DEFAULT_ORG_ROLE"), "VIEWER"),
		DefaultProjects: list("DEFAULT_PROJECT_ID"), DefaultProjectRole: cmp.Or(get("DEFAULT_PROJECT_ROLE"), "VIEWER"),
		OrgCreators: list("ALLOWED_ORGANIZATION_CREATORS"),
	}
	if days := get("INIT_PROJECT_RETENTION"); days != "" {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil {
			return s, fmt.Errorf("INIT_PROJECT_RETENTION %q is not a number of days", days)
		}
		s.Retention = uint32(n)
	}
	if get("INIT_USER_PASSWORD") != "" {
		s.note("INIT_USER_PASSWORD is not used: Tenure has no passwords; people come in through your sign-in")
	}
	for name, value := range map[string]string{"INIT_PROJECT_ID": s.ProjectID, "INIT_USER_EMAIL": s.UserEmail, "INIT_PROJECT_PUBLIC_KEY": s.PublicKey} {
		if value != "" && s.OrgID == "" {
			s.note("%s does nothing without INIT_ORG_ID", name)
		}
	}
	if s.PublicKey != "" && s.SecretKey != "" && s.ProjectID == "" {
		s.note("INIT_PROJECT_PUBLIC_KEY does nothing without INIT_PROJECT_ID")
	}
	return s, s.check()
}

func (s *InitSettings) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// check holds the settings to the limits that the API declares.
func (s *InitSettings) check() error {
	if (s.PublicKey == "") != (s.SecretKey == "") {
		return fmt.Errorf("INIT_PROJECT_PUBLIC_KEY and INIT_PROJECT_SECRET_KEY belong together; set both or neither")
	}
	if s.OrgID == "" {
		return nil
	}
	if err := rpc.Validate(&tenurev1.CreateOrgRequest{OrgId: s.OrgID, Name: s.OrgName}); err != nil {
		return fmt.Errorf("INIT_ORG_ID, INIT_ORG_NAME: %w", err)
	}
	if s.ProjectID != "" {
		if err := rpc.Validate(&tenurev1.CreateProjectRequest{
			OrgId: s.OrgID, ProjectId: s.ProjectID, Name: s.ProjectName, RetentionDays: s.Retention,
		}); err != nil {
			return fmt.Errorf("INIT_PROJECT_ID, INIT_PROJECT_NAME, INIT_PROJECT_RETENTION: %w", err)
		}
	}
	if s.UserEmail != "" {
		if err := rpc.Validate(&tenurev1.RegisterUserRequest{Email: s.UserEmail, Name: s.UserName}); err != nil {
			return fmt.Errorf("INIT_USER_EMAIL, INIT_USER_NAME: %w", err)
		}
	}
	return nil
}

// applyInit makes what the settings name, in one commit, and tells what was found different.
func (a *App) applyInit(ctx context.Context, s InitSettings, ring *keyring.Ring) error {
	for _, note := range s.notes {
		a.cfg.Logger.Warn("init: " + note)
	}
	if s.OrgID == "" && len(s.DefaultOrgs) == 0 && len(s.OrgCreators) == 0 {
		return nil
	}
	c := domain.Init{
		Org: domain.OrgID(s.OrgID), OrgName: s.OrgName, Project: domain.ProjectID(s.ProjectID), ProjectName: s.ProjectName, RetentionDays: s.Retention,
		SignUp: s.signUp(a.Engine.State()),
	}
	if len(s.OrgCreators) > 0 {
		c.Creators = &domain.Creators{Who: domain.CreatorsListed}
		c.Creators.Domains, c.Creators.Emails = rpc.SplitCreators(s.OrgCreators, a.vault.Digest)
	}
	if s.SecretKey != "" && s.ProjectID != "" {
		c.Key = domain.Minted{
			ID: domain.KeyID("key_" + ulid.Make().String()), Public: s.PublicKey, Display: keyring.Mask(s.SecretKey), Verifier: ring.NewVerifier(s.SecretKey),
		}
	}
	if err := a.initUser(ctx, s, &c); err != nil {
		return err
	}
	out, err := a.Engine.Execute(ctx, engine.Request{
		Command: c, Rule: domain.Rule{Requirement: domain.Anyone}, Actor: domain.Actor{Kind: domain.ActorSystem}, Reason: "headless init",
	})
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if c.Email != nil {
		// Somebody else was quicker: the key made for this id holds nothing.
		if _, made := out.State.User(c.User); !made {
			if err := a.vault.Destroy(ctx, string(c.User)); err != nil {
				a.cfg.Logger.Warn("a personal key without a person could not be removed", "error", err)
			}
		}
	}
	if len(out.Events) > 0 {
		a.cfg.Logger.Info("init: made what was not there", "organization", c.Org, "project", c.Project, "events", len(out.Events))
	}
	a.init = &c
	for _, drift := range c.Drift(out.State, a.Engine.Now()) {
		a.cfg.Logger.Warn("init: found something else than the settings say, and left it: " + drift)
	}
	return nil
}

// initUser seals what is personal, if the address has no account.
func (a *App) initUser(ctx context.Context, s InitSettings, c *domain.Init) (err error) {
	if s.UserEmail == "" || s.OrgID == "" {
		return nil
	}
	id := "usr_" + ulid.Make().String()
	c.User, c.EmailDigest = domain.UserID(id), a.vault.Digest(s.UserEmail)
	if _, known := a.Engine.State().UserByEmail(c.EmailDigest); known {
		return nil
	}
	if c.Email, err = a.vault.Seal(ctx, id, "email", s.UserEmail); err != nil {
		return err
	}
	c.FullName, err = a.vault.Seal(ctx, id, "name", s.UserName)
	return err
}

// signUp is what new people get: a role in each default organization, and in those of the default projects that are in it. A
// project that is nowhere yet is taken for one of the first organization.
func (s InitSettings) signUp(state *domain.State) *[]domain.SignUpGrant {
	if len(s.DefaultOrgs) == 0 {
		return nil
	}
	var grants []domain.SignUpGrant
	for i, org := range s.DefaultOrgs {
		grant := domain.SignUpGrant{Org: domain.OrgID(org), Role: domain.Role(s.DefaultOrgRole)}
		whole := grant
		for _, project := range s.DefaultProjects {
			p, known := state.Project(domain.ProjectID(project))
			if known && p.Org != grant.Org || !known && i > 0 {
				continue
			}
			grant.Project, grant.ProjectRole = domain.ProjectID(project), domain.Role(s.DefaultProjectRole)
			grants = append(grants, grant)
		}
		if grant == whole {
			grants = append(grants, grant)
		}
	}
	return &grants
}
