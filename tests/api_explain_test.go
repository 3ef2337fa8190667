package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Explain answers as Check does, and each step on the way is told as data and in words. Seen to fail when an expired grant is
// passed over in explainMember.
func TestAPIExplainSteps(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	owner := s.bearer(a.owner.key.secret)
	soon := s.Engine.Now().Add(2 * time.Second)
	blocked, late, grouped, suspended, stranger := s.join(t, a.org, "ADMIN"), s.person(t), s.person(t), s.join(t, a.org, "MEMBER"), s.person(t)
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: blocked.id, Role: "NONE"})
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{OrgId: a.org, UserId: late.id, Role: "MEMBER", ExpiresAt: timestamppb.New(soon)})
	apiOK[*tenurev1.GrantRoleResponse](t, owner, &tenurev1.GrantRoleRequest{ProjectId: a.project, UserId: late.id, Role: "ADMIN"})
	group := apiOK[*tenurev1.CreateGroupResponse](t, owner, &tenurev1.CreateGroupRequest{
		OrgId: a.org, Name: "explained", Role: "VIEWER", UserIds: []string{grouped.id}, ProjectRoles: []*tenurev1.ProjectRole{{ProjectId: a.project, Role: "MEMBER"}},
	}).Group.Id
	apiOK[*tenurev1.SuspendMemberResponse](t, owner, &tenurev1.SuspendMemberRequest{OrgId: a.org, UserId: suspended.id})
	weak := s.key(t, owner, &tenurev1.CreateKeyRequest{ProjectId: a.project, Permissions: []string{"scores:CUD"}})
	s.ahead.Add(int64(2 * time.Second))
	for name, row := range map[string]struct {
		check   *tenurev1.CheckRequest
		verdict string
		// steps are kind, id, finding and role of each.
		steps []string
		words []string
	}{
		"blocked": {
			&tenurev1.CheckRequest{UserId: blocked.id, ProjectId: a.project, Permission: "project:read"}, "false BLOCKED_IN_PROJECT NONE",
			[]string{
				"user " + blocked.id + " passes", "organization " + a.org + " passes", "project " + a.project + " passes",
				"membership " + a.org + " overruled ADMIN", "override " + a.project + " decides NONE", "role NONE decides NONE",
			},
			[]string{"has ADMIN in organization", "has the override NONE in project", "NONE does not hold project:read, so it is not allowed in project"},
		},
		"expired": {
			&tenurev1.CheckRequest{UserId: late.id, ProjectId: a.project, Permission: "project:read"}, "false GRANT_EXPIRED",
			[]string{
				"user " + late.id + " passes", "organization " + a.org + " passes", "project " + a.project + " passes",
				"membership " + a.org + " expired", "override " + a.project + " overruled",
			},
			[]string{"MEMBER in organization " + a.org + " has expired", "needs a membership in force"},
		},
		"group": {
			&tenurev1.CheckRequest{UserId: grouped.id, ProjectId: a.project, Permission: "prompts:CUD"}, "true PROJECT_GROUP MEMBER",
			[]string{
				"user " + grouped.id + " passes", "organization " + a.org + " passes", "project " + a.project + " passes",
				"membership " + a.org + " absent", "group " + group + " overruled VIEWER", "group " + group + " decides MEMBER",
				"override " + a.project + " absent", "role MEMBER decides MEMBER",
			},
			[]string{"was granted to " + grouped.id + " directly", "group " + group + " gives MEMBER in project", "MEMBER holds prompts:CUD, so it is allowed"},
		},
		"suspended": {
			&tenurev1.CheckRequest{UserId: suspended.id, OrgId: a.org, Permission: "organizationMembers:read"}, "false MEMBER_SUSPENDED NONE",
			[]string{"user " + suspended.id + " passes", "organization " + a.org + " passes", "membership " + a.org + " denies"},
			[]string{"is suspended"},
		},
		"weak key": {
			&tenurev1.CheckRequest{KeyId: weak.id, ProjectId: a.project, Permission: "prompts:CUD"}, "false KEY_LACKS_PERMISSION",
			[]string{"key " + weak.id + " passes", "organization " + a.org + " passes", "project " + a.project + " passes", "key " + weak.id + " decides"},
			[]string{"the key does not hold prompts:CUD"},
		},
		"stranger": {
			&tenurev1.CheckRequest{UserId: stranger.id, OrgId: a.org, Permission: "organization:update"}, "false NOT_A_MEMBER",
			[]string{"subject " + stranger.id + " absent"}, []string{"nobody that can be told about"},
		},
		"nobody": {
			&tenurev1.CheckRequest{UserId: apiNowhere.user, OrgId: a.org, Permission: "organization:update"}, "false NOT_A_MEMBER",
			[]string{"subject " + apiNowhere.user + " absent"}, []string{"nobody that can be told about"},
		},
		"somebody's key": {
			&tenurev1.CheckRequest{KeyId: apiNowhere.key, OrgId: a.org, Permission: "organization:update"}, "false KEY_UNKNOWN",
			[]string{"subject " + apiNowhere.key + " absent"}, []string{"nobody that can be told about"},
		},
	} {
		res := apiOK[*tenurev1.ExplainResponse](t, owner, &tenurev1.ExplainRequest{Check: row.check})
		verdict := strings.TrimSpace(fmt.Sprintf("%t %s %s", res.Allowed, res.Reason, res.Role))
		if apiIs(t, owner, row.check, row.verdict); verdict != row.verdict {
			t.Errorf("%s: %q, want %q", name, verdict, row.verdict)
		}
		var steps, texts []string
		for _, step := range res.Steps {
			steps, texts = append(steps, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", step.Kind, step.Id, step.Finding, step.Role))), append(texts, step.Text)
		}
		if !slices.Equal(steps, row.steps) {
			t.Errorf("%s: steps\n%s\nwant\n%s", name, strings.Join(steps, "\n"), strings.Join(row.steps, "\n"))
		}
		for _, words := range row.words {
			if !strings.Contains(strings.Join(texts, "\n"), words) {
				t.Errorf("%s: %q is not among\n%s", name, words, strings.Join(texts, "\n"))
			}
		}
	}
}
