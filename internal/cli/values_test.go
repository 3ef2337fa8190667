package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

var testNow = time.Date(2031, 1, 31, 12, 0, 0, 0, time.UTC)

const (
	org1 = "org_01J00000000000000000000000"
	prj1 = "prj_01J00000000000000000000000"
	usr1 = "usr_01J00000000000000000000000"
)

// What stands on the command line becomes a request; what does not stand there is not in it. Fails if a value is read
// otherwise or one that was not given is sent: tried with presence ignored.
func TestCommandLineToRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line string
		want proto.Message
	}{
		{"org create acme-corp --metadata a=1 --metadata b=x=y,z --id acme --owner " + usr1,
			&tenurev1.CreateOrgRequest{Name: "acme-corp", OrgId: "acme", OwnerUserId: usr1, Metadata: map[string]string{"a": "1", "b": "x=y,z"}}},
		{"project update " + prj1 + " --retention-days 0", &tenurev1.UpdateProjectRequest{ProjectId: prj1, RetentionDays: proto.Uint32(0)}},
		{"project update " + prj1, &tenurev1.UpdateProjectRequest{ProjectId: prj1}},
		{"member grant " + usr1 + " ADMIN --org " + org1 + " --expires 7d",
			&tenurev1.GrantRoleRequest{UserId: usr1, Role: "ADMIN", OrgId: org1, ExpiresAt: timestamppb.New(testNow.Add(7 * 24 * time.Hour))}},
		{"key rotate k --grace 90m", &tenurev1.RotateKeyRequest{KeyId: "k", Grace: durationpb.New(90 * time.Minute)}},
		{"key rotate k --grace 0", &tenurev1.RotateKeyRequest{KeyId: "k", Grace: durationpb.New(0)}},
		{"key verify pk sk", &tenurev1.VerifyKeyRequest{PublicKey: "pk", Secret: "sk"}},
		{"key verify sk", &tenurev1.VerifyKeyRequest{Secret: "sk"}},
		{"key verify pk -", &tenurev1.VerifyKeyRequest{PublicKey: "pk", Secret: "typed in"}},
		{"key create --instance --permissions a:b,c:d --permissions e:f", &tenurev1.CreateKeyRequest{Instance: true, Permissions: []string{"a:b", "c:d", "e:f"}}},
		{"access check prompts:CUD --org " + org1, &tenurev1.CheckRequest{Permission: "prompts:CUD", OrgId: org1}},
		{"access explain " + usr1 + " prompts:CUD --project " + prj1,
			&tenurev1.ExplainRequest{Check: &tenurev1.CheckRequest{UserId: usr1, Permission: "prompts:CUD", ProjectId: prj1}}},
		{"access batch-check --check user=" + usr1 + ",permission=a:b,org=" + org1, &tenurev1.BatchCheckRequest{
			Checks: []*tenurev1.CheckRequest{{UserId: usr1, Permission: "a:b", OrgId: org1}}}},
		{"group create eng --org " + org1 + " --project-role " + prj1 + "=MEMBER --users " + usr1 + ",ada", &tenurev1.CreateGroupRequest{
			Name: "eng", OrgId: org1, UserIds: []string{usr1, "ada"}, ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: prj1, Role: "MEMBER"}}}},
		{"plan define pro --quota-projects 0 --quota-keys 5", &tenurev1.DefinePlanRequest{
			PlanId: "pro", Quotas: &tenurev1.Quotas{Projects: proto.Uint32(0), Keys: proto.Uint32(5)}}},
		{"instance set-policy --sign-up " + org1 + "=VIEWER/" + prj1 + "=MEMBER --sign-up " + org1 + "=NONE", &tenurev1.UpdatePolicyRequest{
			SignUp: &tenurev1.SignUpPolicy{Grants: []*tenurev1.SignUpGrant{
				{OrgId: org1, Role: "VIEWER", ProjectId: prj1, ProjectRole: "MEMBER"}, {OrgId: org1, Role: "NONE"}}}}},
		// An empty list is a part of the policy that was given.
		{"instance set-policy --sign-up ''", &tenurev1.UpdatePolicyRequest{SignUp: &tenurev1.SignUpPolicy{}}},
		{"instance set-policy --org-creators-who instance-admins", &tenurev1.UpdatePolicyRequest{
			OrgCreators: &tenurev1.OrgCreatorsPolicy{Who: tenurev1.OrgCreatorsPolicy_WHO_INSTANCE_ADMINS}}},
		{"org set-plan " + org1 + " ''", &tenurev1.SetPlanRequest{OrgId: org1}},
	} {
		got, err := requestOf(t, test.line)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.line, diff)
		}
	}
}

// Fails if something that is no value is sent as one: tried with an enumeration that takes any word.
func TestCommandLineRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"org create acme --metadata tier":                            `--metadata: "tier" is not key=value`,
		"key create --instance=perhaps":                              `--instance: "perhaps" is neither true nor false`,
		"project update p --retention-days -1":                       `--retention-days: "-1" is not a number from 0 to 4294967295`,
		"instance set-policy --org-creators-who nobody":              `--org-creators-who: "nobody" is none of everyone, listed, instance-admins`,
		"instance set-policy --sign-up acme":                         `--sign-up: "acme" is not org=ROLE or org=ROLE/project=ROLE`,
		"member grant u ADMIN --org " + org1 + " --expires soon":     `--expires: "soon" is neither a time such as 2031-01-31T12:00:00Z, nor a day, nor a time from now such as 24h or 7d`,
		"key rotate k --grace long":                                  `--grace: "long" is not a duration such as 90m, 24h or 7d`,
		"access batch-check --check role=x":                          `--check: "role=x" is not one of user=,key=,permission=,org=,project=`,
		"group create eng --org " + org1 + " --project-role " + prj1: `--project-role: "` + prj1 + `" is not project=ROLE`,
	} {
		if _, err := requestOf(t, line); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// requestOf is what a command line would send. It names by made ids alone, so that nothing is looked up.
func requestOf(t *testing.T, line string) (proto.Message, error) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(line, "''", "EMPTY"))
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "EMPTY", "")
	}
	for _, c := range commands {
		if c.noun != words[0] || c.verb != words[1] {
			continue
		}
		method := methodOf(c.method)
		inputs, _ := c.inputs(method.Input())
		cmd := c.command()
		cmd.ResetFlags()
		addFlags(cmd, inputs)
		if err := cmd.ParseFlags(words[2:]); err != nil {
			return nil, err
		}
		if err := distribute(cmd, c.arguments(inputs), cmd.Flags().Args()); err != nil {
			return nil, err
		}
		req := newMessage(method.Input())
		v := &values{names: newNames(&Connection{URL: "http://127.0.0.1:1"}), now: testNow, stdin: strings.NewReader("typed in\n")}
		// What is no made id in these lines stands for a chosen one.
		for _, in := range inputs {
			if in.kind >= org && in.kind <= user && in.set && !madeID.MatchString(in.values[0]) {
				in.kind = text
			}
		}
		err := v.fill(t.Context(), req, inputs)
		return req.Interface(), err
	}
	t.Fatalf("there is no command %q", words[:2])
	return nil, nil
}
