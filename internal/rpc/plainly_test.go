package rpc

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"pgregory.net/rapid"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// What is let through plainly the validator lets through as well, and of ordinary requests it is not a rare case. Fails if any
// condition of plainCheck or plainID is taken out: tried.
func TestPlainlyValidIsValid(t *testing.T) {
	t.Parallel()
	id := rapid.OneOf(
		rapid.Just(""), rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`), rapid.StringMatching(`[@-Z\x5b-z{]{1,3}`), rapid.StringN(1, 70, -1),
		rapid.Just(strings.Repeat("x", 65)),
	)
	permission := rapid.OneOf(rapid.Just("project:read"), rapid.Just(""), rapid.StringN(99, 102, -1))
	check := rapid.Custom(func(t *rapid.T) *tenurev1.CheckRequest {
		return &tenurev1.CheckRequest{
			UserId: id.Draw(t, "user"), KeyId: id.Draw(t, "key"), OrgId: id.Draw(t, "org"), ProjectId: id.Draw(t, "project"),
			Permission: permission.Draw(t, "permission"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		one := check.Draw(t, "check")
		if plainlyValid(one) {
			if err := protovalidate.Validate(one); err != nil {
				t.Fatal(err)
			}
		}
		batch := &tenurev1.BatchCheckRequest{Checks: rapid.SliceOfN(check, 0, 3).Draw(t, "checks")}
		if plainlyValid(batch) {
			if err := protovalidate.Validate(batch); err != nil {
				t.Fatal(err)
			}
		}
	})
	for c := range rune(256) {
		for _, text := range []string{string(c), strings.Repeat(string(c), 64), strings.Repeat(string(c), 65)} {
			for _, m := range []*tenurev1.CheckRequest{
				{OrgId: text, Permission: "x"}, {ProjectId: text, Permission: "x"}, {UserId: text, OrgId: "x", Permission: "x"},
				{KeyId: text, OrgId: "x", Permission: "x"}, {OrgId: "x", Permission: strings.Repeat(string(c), 100)},
				{OrgId: "x", Permission: strings.Repeat(string(c), 101)},
			} {
				if err := protovalidate.Validate(m); plainlyValid(m) && err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	ordinary := &tenurev1.CheckRequest{UserId: "usr_01K0000000000000000000000Z", ProjectId: "prj-1", Permission: "auditLogs:read"}
	many := &tenurev1.BatchCheckRequest{}
	for range 1001 {
		many.Checks = append(many.Checks, ordinary)
	}
	if !plainlyValid(ordinary) || plainlyValid(many) || plainlyValid(&tenurev1.BatchCheckRequest{}) {
		t.Error("the ordinary is not let through, or too much is")
	}
}
