package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/internal/tenancy"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Names from examples/tenancy.yaml that the story is about.
const (
	source     = "client-acme-corp"
	target     = "bu-customer-care"
	chatbot    = source + "/acme-chatbot-prod"
	ingestKey  = chatbot + "/ingest"
	consultant = "ada.ackermann@example.com"   // ADMIN in both organizations
	developer  = "carla.castro@example.com"    // MEMBER in the source with an override VIEWER; VIEWER in the target
	colleague  = "dmitri.dimitrov@example.com" // MEMBER in the source, NONE in the target
)

// story plays the parts of the demo, each through the API, and fails where an answer is not what it must be.
type story struct {
	out io.Writer
	url string
	// secret is the admin key.
	secret string
	// redisURL is where what caches need is kept, "" for nowhere, and redisPrefix what its names begin with.
	redisURL, redisPrefix string
	admin                 clients
	made                  *tenancy.Result
}

func (s *story) play(ctx context.Context) error {
	for _, part := range []func(context.Context) error{s.override, s.verify, s.transfer, s.changed, s.revoke, s.invite, s.explain, s.offer, s.history, s.search, s.past, s.rebuild} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) override(ctx context.Context) error {
	heading(s.out, "2. A project's override beats the role in the organization")
	for _, c := range []struct {
		project string
		allowed bool
		role    string
	}{
		{source + "/acme-chatbot-dev", true, "MEMBER"},
		{chatbot, false, "VIEWER"},
	} {
		if err := s.check(ctx, developer, "prompts:CUD", c.project, c.allowed, c.role); err != nil {
			return err
		}
	}
	return nil
}

// check asks whether somebody may do something and compares the answer.
func (s *story) check(ctx context.Context, who, permission, project string, allowed bool, role string) error {
	res, err := s.admin.access.Check(ctx, &tenurev1.CheckRequest{
		UserId: s.made.Users[who], Permission: permission, ProjectId: s.made.Projects[project],
	})
	if err != nil {
		return err
	}
	word := map[bool]string{true: "may", false: "may not"}
	held := res.Role
	if held == "" {
		held = "no role"
	}
	name := project[strings.Index(project, "/")+1:]
	fmt.Fprintf(s.out, "%s %s %s in %s: %s (%s)\n", who, word[res.Allowed], permission, name, held, res.Reason)
	if res.Allowed != allowed || res.Role != role {
		return fmt.Errorf("check of %s in %s: got allowed=%v as %q, expected allowed=%v as %q", who, project, res.Allowed, res.Role, allowed, role)
	}
	return nil
}

func (s *story) verify(ctx context.Context) error {
	heading(s.out, "3. Verifying a key, and asking who may work in its project")
	if err := s.verified(ctx, ingestKey, chatbot, source); err != nil {
		return err
	}
	return s.check(ctx, colleague, "prompts:CUD", chatbot, true, "MEMBER")
}

// verified verifies a key and compares what it answers about organization and identity.
func (s *story) verified(ctx context.Context, key, project, org string) error {
	made := s.made.Keys[key]
	res, err := s.admin.keys.VerifyKey(ctx, &tenurev1.VerifyKeyRequest{
		PublicKey: made.Key.PublicKey, Secret: made.Secret, Environment: "production",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: valid=%v, key %s, project %s, organization %s (%s), permissions %s\n",
		made.Key.DisplaySecret, res.Valid, res.KeyId, res.ProjectId, res.OrgId, org, strings.Join(res.Permissions, " "))
	if !res.Valid || res.KeyId != made.Key.Id || res.OrgId != s.made.Orgs[org] || res.ProjectId != s.made.Projects[project] {
		return fmt.Errorf("verify: got valid=%v (%s), key %s in %s, expected key %s in %s", res.Valid, res.Reason, res.KeyId, res.OrgId, made.Key.Id, s.made.Orgs[org])
	}
	return nil
}

func (s *story) transfer(ctx context.Context) error {
	heading(s.out, "4. Transferring the project, by a person who is ADMIN in both organizations")
	token, err := s.admin.keys.CreateKey(ctx, &tenurev1.CreateKeyRequest{UserId: s.made.Users[consultant], Name: "laptop"})
	if err != nil {
		return err
	}
	person := s.clients(token.Secret)
	preview, err := person.projects.PreviewTransfer(ctx, &tenurev1.PreviewTransferRequest{
		ProjectId: s.made.Projects[chatbot], TargetOrgId: s.made.Orgs[target],
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "The preview: %d obstacles, access changes for %d people, %d overrides end, %d keys go on working.\n",
		len(preview.Obstacles), len(preview.AccessChanges), len(preview.DroppedOverrideUserIds), preview.KeysKept)
	res, err := person.projects.TransferProject(ctx, &tenurev1.TransferProjectRequest{
		ProjectId: s.made.Projects[chatbot], TargetOrgId: s.made.Orgs[target], Reason: "support takes over the chatbot",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is now in %s.\n", res.Project.Name, target)
	if res.Project.OrgId != s.made.Orgs[target] {
		return fmt.Errorf("transfer: the project is in %s", res.Project.OrgId)
	}
	return nil
}

func (s *story) changed(ctx context.Context) error {
	heading(s.out, "5. The same key, and who may do what now")
	if err := s.verified(ctx, ingestKey, chatbot, target); err != nil {
		return err
	}
	if err := s.check(ctx, colleague, "prompts:CUD", chatbot, false, "NONE"); err != nil {
		return err
	}
	return s.check(ctx, "nora.novak@example.com", "prompts:CUD", chatbot, true, "MEMBER")
}

func (s *story) revoke(ctx context.Context) error {
	heading(s.out, "6. Revoking the key, which another process keeps in its memory")
	made := s.made.Keys[ingestKey]
	service, err := s.startService(ctx, made)
	if err != nil {
		return err
	}
	if _, err := s.admin.keys.RevokeKey(ctx, &tenurev1.RevokeKeyRequest{KeyId: made.Key.Id, Reason: "found in a public repository"}); err != nil {
		return err
	}
	if err := service.refused(s.out, time.Now()); err != nil {
		return err
	}
	res, err := s.admin.keys.VerifyKey(ctx, &tenurev1.VerifyKeyRequest{PublicKey: made.Key.PublicKey, Secret: made.Secret, Environment: "production"})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: valid=%v, reason %s\n", made.Key.DisplaySecret, res.Valid, res.Reason)
	if res.Valid || res.Reason != "KEY_REVOKED" {
		return fmt.Errorf("the revoked key: got valid=%v (%s), expected KEY_REVOKED", res.Valid, res.Reason)
	}
	_, err = s.clients(made.Secret).orgs.ListOrgs(ctx, &tenurev1.ListOrgsRequest{})
	fmt.Fprintf(s.out, "used to call Tenure itself: %v\n", err)
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		return fmt.Errorf("the revoked key as a caller: got %v, expected unauthenticated", err)
	}
	return nil
}

func (s *story) history(ctx context.Context) error {
	heading(s.out, "10. The project's history, across both organizations")
	var records []*tenurev1.AuditRecord
	for token := ""; ; {
		res, err := s.admin.audit.QueryAudit(ctx, &tenurev1.QueryAuditRequest{ProjectId: s.made.Projects[chatbot], PageToken: token})
		if err != nil {
			return err
		}
		records = append(records, res.Records...)
		if token = res.NextPageToken; token == "" {
			break
		}
	}
	slices.Reverse(records)
	people, orgs := invert(s.made.Users), invert(s.made.Orgs)
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POSITION\tEVENT\tORGANIZATION\tBY\tABOUT\tREASON")
	var types []string
	for _, r := range records {
		types = append(types, r.EventType)
		var where []string
		for _, id := range r.OrgIds {
			where = append(where, orgs[id])
		}
		by := r.Actor.Kind
		if r.Actor.Id != "" {
			by = people[r.Actor.Id]
		}
		about := people[r.UserId]
		if r.KeyId != "" {
			about = r.KeyId
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Position, r.EventType, strings.Join(where, " -> "), by, about, r.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	expected := []string{"ProjectCreated", "RoleGranted", "RoleGranted", "KeyCreated", "KeyCreated", "ProjectTransferred", "KeyRevoked"}
	if !slices.Equal(types, expected) {
		return fmt.Errorf("the history is %v, expected %v", types, expected)
	}
	return nil
}

func invert(m map[string]string) map[string]string {
	inverse := make(map[string]string, len(m))
	for k, v := range m {
		inverse[v] = k
	}
	return inverse
}
