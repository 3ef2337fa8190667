package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

var raised = []domain.Command{domain.RaiseFormat{To: 3}}

// formatRows fail if the format can be lowered, or is raised to what it is: tried.
var formatRows = []row{
	{name: "of a log that never was", by: instance, when: domain.RaiseFormat{To: 2}, then: `format_raised{old:1 new:2}`},
	{name: "again, by a person who is an instance admin", given: append(raised[:1:1], admins...), by: user("sam"), when: domain.RaiseFormat{To: 5}, then: `format_raised{old:3 new:5}`},
	{name: "to what it begins with", by: instance, when: domain.RaiseFormat{To: 1}},
	{name: "to what it is", given: raised, by: instance, when: domain.RaiseFormat{To: 3}},
	{name: "to what it was", given: raised, by: instance, when: domain.RaiseFormat{To: 2}},
	{name: "to nothing", given: raised, by: instance, when: domain.RaiseFormat{}},
	{name: "by an OWNER", by: user("olga"), when: domain.RaiseFormat{To: 2}, code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by a key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: domain.RaiseFormat{To: 2}, code: domain.CodeDenied, reason: domain.KeyCeiling},
	{
		name: "at the begin, with nobody there who is older", unborn: true, by: system, when: domain.CreateInstance{LogID: "log", Pepper: "pep", Format: 2},
		then: `instance_created{log_id:"log" pepper_id:"pep"} & format_raised{old:1 new:2}`,
	},
	{
		name: "at the begin, with nothing new", unborn: true, by: system, when: domain.CreateInstance{LogID: "log", Pepper: "pep", Format: 1},
		then: `instance_created{log_id:"log" pepper_id:"pep"}`,
	},
}

// Fails if a log that was never raised has no format: tried.
func TestLogFormat(t *testing.T) {
	t.Parallel()
	for want, s := range map[uint32]*domain.State{1: world(), 3: given(t, raised...)} {
		if got := s.Instance.LogFormat(); got != want {
			t.Errorf("the log has format %d, want %d", got, want)
		}
	}
	if got := (domain.Instance{}).LogFormat(); got != 1 {
		t.Errorf("before its first commit the log has format %d, want 1", got)
	}
}
