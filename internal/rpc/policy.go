package rpc

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// UpdatePolicy replaces parts of the policy.
func (s *Server) UpdatePolicy(ctx context.Context, req *tenurev1.UpdatePolicyRequest) (*tenurev1.UpdatePolicyResponse, error) {
	c := domain.UpdatePolicy{}
	if n := req.Naming; n != nil {
		c.Naming = &domain.Naming{
			OrgPattern: n.OrgPattern, ProjectPattern: n.ProjectPattern, OrgForm: n.OrgForm, ProjectForm: n.ProjectForm, WarnOnly: n.WarnOnly,
		}
	}
	if w := req.OrgCreators; w != nil {
		var err error
		if c.Creators, err = s.creators(w); err != nil {
			return nil, err
		}
	}
	if u := req.SignUp; u != nil {
		grants := []domain.SignUpGrant{}
		for _, g := range u.Grants {
			grants = append(grants, domain.SignUpGrant{
				Org: domain.OrgID(g.OrgId), Role: domain.Role(g.Role), Project: domain.ProjectID(g.ProjectId), ProjectRole: domain.Role(g.ProjectRole),
			})
		}
		c.SignUp = &grants
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	view, err := s.policyView(ctx, out.State)
	return &tenurev1.UpdatePolicyResponse{Policy: view, Token: token(out)}, err
}

// GetPolicy answers the policy.
func (s *Server) GetPolicy(ctx context.Context, _ *tenurev1.GetPolicyRequest) (*tenurev1.GetPolicyResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	view, err := s.policyView(ctx, state)
	return &tenurev1.GetPolicyResponse{Policy: view}, err
}

var whoCreates = map[tenurev1.OrgCreatorsPolicy_Who]domain.OrgCreators{
	tenurev1.OrgCreatorsPolicy_WHO_EVERYONE: domain.CreatorsEveryone, tenurev1.OrgCreatorsPolicy_WHO_LISTED: domain.CreatorsListed,
	tenurev1.OrgCreatorsPolicy_WHO_INSTANCE_ADMINS: domain.CreatorsAdmins,
}

func (s *Server) creators(w *tenurev1.OrgCreatorsPolicy) (*domain.Creators, error) {
	who, ok := whoCreates[w.Who]
	if !ok {
		return nil, domain.Invalidf("org_creators.who", domain.InvalidField, "must be WHO_EVERYONE, WHO_LISTED or WHO_INSTANCE_ADMINS")
	}
	if (who == domain.CreatorsListed) != (len(w.Emails) > 0) {
		return nil, domain.Invalidf("org_creators.emails", domain.InvalidField, "must be given with WHO_LISTED, and only then")
	}
	c := &domain.Creators{Who: who}
	c.Domains, c.Emails = SplitCreators(w.Emails, s.Vault.Digest)
	return c, nil
}

// SplitCreators tells whole domains ("*@example.com") from single addresses, of which only digests are kept.
func SplitCreators(emails []string, digest func(string) []byte) (domains []string, digests [][]byte) {
	for _, e := range emails {
		if d, whole := strings.CutPrefix(strings.TrimSpace(e), "*@"); whole {
			domains = append(domains, strings.ToLower(d))
		} else {
			digests = append(digests, digest(e))
		}
	}
	return domains, digests
}

func (s *Server) policyView(ctx context.Context, state *domain.State) (*tenurev1.Policy, error) {
	p := state.Instance.Policy
	view := &tenurev1.Policy{
		Naming: &tenurev1.NamingPolicy{
			OrgPattern: p.OrgNamePattern, ProjectPattern: p.ProjectNamePattern, OrgForm: p.OrgNameForm, ProjectForm: p.ProjectNameForm, WarnOnly: p.WarnOnly,
		},
		OrgCreators: &tenurev1.OrgCreatorsPolicy{}, SignUp: &tenurev1.SignUpPolicy{},
	}
	for who, is := range whoCreates {
		if is == p.OrgCreators {
			view.OrgCreators.Who = who
		}
	}
	for _, d := range p.CreatorDomains {
		view.OrgCreators.Emails = append(view.OrgCreators.Emails, "*@"+d)
	}
	for _, digest := range p.CreatorEmails {
		email := "<unknown>"
		if u, ok := state.UserByEmail([]byte(digest)); ok {
			var err error
			if email, _, err = s.openUser(ctx, u); err != nil {
				return nil, err
			}
		}
		view.OrgCreators.Emails = append(view.OrgCreators.Emails, email)
	}
	slices.Sort(view.OrgCreators.Emails)
	for _, g := range p.SignUp {
		view.SignUp.Grants = append(view.SignUp.Grants, &tenurev1.SignUpGrant{
			OrgId: string(g.Org), Role: string(g.Role), ProjectId: string(g.Project), ProjectRole: string(g.ProjectRole),
		})
	}
	return view, nil
}
