package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Names from examples/tenancy.yaml that the second half of the story is about.
const (
	team      = "client-stark-energy"
	teamOwner = "tariq.tanaka@example.com"
	forecast  = team + "/stark-forecast-prod"
	newcomer  = "pia.park@example.com" // not in the file
	ownRole   = "Trace-Reader"

	giver      = "tenant-hooli-eu"
	giverOwner = "beatriz.bauer@example.com"
	given      = giver + "/hooli-assist-prod"
	taker      = "tenant-hooli-us" // has a project of the same name
	takerOwner = "emil.engel@example.com"
)

// as are the services in the name of somebody, by a personal key.
func (s *story) as(ctx context.Context, who string) (clients, error) {
	token, err := s.admin.keys.CreateKey(ctx, &tenurev1.CreateKeyRequest{UserId: s.made.Users[who], Name: "demo"})
	if err != nil {
		return clients{}, err
	}
	return s.clients(token.Secret), nil
}

func (s *story) invite(ctx context.Context) error {
	heading(s.out, "7. A role of the organization's own, and an invitation to it")
	owner, err := s.as(ctx, teamOwner)
	if err != nil {
		return err
	}
	org := s.made.Orgs[team]
	role, err := owner.roles.DefineRole(ctx, &tenurev1.DefineRoleRequest{
		OrgId: org, Role: ownRole, Description: "reads what models did", ProjectPermissions: []string{"project:read", "prompts:read", "comments:CUD"},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s defines %s: %s.\n", teamOwner, role.Role.Name, strings.Join(role.Role.ProjectPermissions, " "))
	sent, err := owner.invitations.Invite(ctx, &tenurev1.InviteRequest{OrgId: org, Email: newcomer, Role: ownRole, Reason: "joins the forecast team"})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is invited until %s; the token goes into the mail.\n", sent.Invitation.Email, sent.Invitation.ExpiresAt.AsTime().Format("2 January"))
	registered, err := s.admin.users.RegisterUser(ctx, &tenurev1.RegisterUserRequest{Email: newcomer, Name: "Pia Park"})
	if err != nil {
		return err
	}
	s.made.Users[newcomer] = registered.User.Id
	person, err := s.as(ctx, newcomer)
	if err != nil {
		return err
	}
	accepted, err := person.invitations.AcceptInvitation(ctx, &tenurev1.AcceptInvitationRequest{AcceptToken: sent.AcceptToken})
	if err != nil {
		return err
	}
	if accepted.Invitation.Status != tenurev1.InvitationStatus_INVITATION_STATUS_ACCEPTED {
		return fmt.Errorf("the invitation is %s, expected it to be accepted", accepted.Invitation.Status)
	}
	fmt.Fprintf(s.out, "%s signs up and accepts.\n", newcomer)
	return s.check(ctx, newcomer, "prompts:read", forecast, true, ownRole)
}

func (s *story) explain(ctx context.Context) error {
	heading(s.out, "8. Why somebody may not, in words")
	res, err := s.admin.access.Explain(ctx, &tenurev1.ExplainRequest{Check: &tenurev1.CheckRequest{
		UserId: s.made.Users[newcomer], Permission: "prompts:CUD", ProjectId: s.made.Projects[forecast],
	}})
	if err != nil {
		return err
	}
	names := strings.NewReplacer(s.made.Users[newcomer], newcomer, s.made.Orgs[team], team, s.made.Projects[forecast], strings.TrimPrefix(forecast, team+"/"))
	for _, step := range res.Steps {
		fmt.Fprintf(s.out, "%-12s %-9s %s\n", step.Kind, step.Finding, names.Replace(step.Text))
	}
	if res.Allowed || res.Reason != "ROLE_LACKS_PERMISSION" || len(res.Steps) == 0 {
		return fmt.Errorf("explain: got allowed=%v (%s) with %d steps, expected ROLE_LACKS_PERMISSION", res.Allowed, res.Reason, len(res.Steps))
	}
	return nil
}

func (s *story) offer(ctx context.Context) error {
	heading(s.out, "9. A project changes hands between two who have no rights in each other's organization")
	from, err := s.as(ctx, giverOwner)
	if err != nil {
		return err
	}
	to, err := s.as(ctx, takerOwner)
	if err != nil {
		return err
	}
	offered, err := from.transfers.OfferTransfer(ctx, &tenurev1.OfferTransferRequest{
		ProjectId: s.made.Projects[given], TargetOrgId: s.made.Orgs[taker], Reason: "one team for both regions",
	})
	if err != nil {
		return err
	}
	for _, side := range []struct {
		who string
		of  clients
	}{{giverOwner, from}, {takerOwner, to}} {
		res, err := side.of.transfers.PreviewOffer(ctx, &tenurev1.PreviewOfferRequest{OfferId: offered.Offer.Id})
		if err != nil {
			return err
		}
		gain, lose := 0, 0
		for _, c := range res.Preview.AccessChanges {
			if c.NewRole == "" {
				lose++
			} else {
				gain++
			}
		}
		var obstacles []string
		for _, o := range res.Preview.Obstacles {
			obstacles = append(obstacles, o.Reason)
		}
		fmt.Fprintf(s.out, "%s is told: %d of theirs gain and %d lose access, %d keys go on working, obstacles %v.\n",
			side.who, gain, lose, res.Preview.KeysKept, obstacles)
		if side.who == takerOwner && !slices.Equal(obstacles, []string{"NAME_TAKEN"}) {
			return fmt.Errorf("the preview of the offer has the obstacles %v, expected NAME_TAKEN", obstacles)
		}
	}
	name := "hooli-assist-eu"
	res, err := to.transfers.AcceptTransfer(ctx, &tenurev1.AcceptTransferRequest{OfferId: offered.Offer.Id, NewName: &name})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Accepted under another name: %s is now in %s.\n", res.Project.Name, taker)
	if res.Project.OrgId != s.made.Orgs[taker] {
		return fmt.Errorf("offer: the project is in %s", res.Project.OrgId)
	}
	return s.verified(ctx, given+"/ingest", given, taker)
}
