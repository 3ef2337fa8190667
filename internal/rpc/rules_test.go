package rpc

import (
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Every procedure has a rule, and every kind of access is one that the domain knows: a kind without one would quietly
// become Nobody.
func TestRulesAreComplete(t *testing.T) {
	rules, err := methodRules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) == 0 || len(rules) != len(Procedures()) {
		t.Fatalf("%d rules for %d procedures", len(rules), len(Procedures()))
	}
	for _, procedure := range Procedures() {
		if rules[procedure].Requirement == domain.Nobody {
			t.Errorf("%s has no rule", procedure)
		}
	}
	for n, name := range tenurev1.Access_name {
		if _, ok := requirements[tenurev1.Access(n)]; !ok && n != int32(tenurev1.Access_ACCESS_UNSPECIFIED) {
			t.Errorf("%s means nothing to the domain", name)
		}
	}
}

// A method without a rule is refused to everybody, instance admins included.
func TestNoRuleIsNobody(t *testing.T) {
	rule := domain.Rule{Requirement: requirements[tenurev1.Access_ACCESS_UNSPECIFIED]}
	for _, actor := range []domain.Actor{{Kind: domain.ActorInstance, Method: "admin_key"}, {Kind: domain.ActorSystem}, {}} {
		if err := (&domain.State{}).Authorize(actor, rule, nil, time.Now()); err == nil {
			t.Errorf("%s may call a method without a rule", actor)
		}
	}
}

// Only WatchAudit, ReadLog, ReadPersonalKeys and what belongs to gRPC is a stream: everything else is held to the limits of unary requests.
func TestStreams(t *testing.T) {
	streaming := []string{
		"/tenure.v1.InvalidationService/WatchInvalidations", "/tenure.v1.AuditService/WatchAudit", "/tenure.v1.AuditService/ExportAudit", "/tenure.v1.ProjectionService/RebuildProjection",
		"/tenure.v1.ProjectionService/VerifyProjection", "/tenure.v1.LogService/ReadLog", "/tenure.v1.LogService/ReadPersonalKeys",
	}
	for _, procedure := range Procedures() {
		if got, want := IsStream(procedure), slices.Contains(streaming, procedure); got != want {
			t.Errorf("IsStream(%s) = %t", procedure, got)
		}
	}
	for path, want := range map[string]bool{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": true, "/grpc.health.v1.Health/Watch": true,
		"/grpc.health.v1.Health/Check": false, "/healthz": false, "/tenure.v1.AuditService/": false,
	} {
		if got := IsStream(path); got != want {
			t.Errorf("IsStream(%s) = %t", path, got)
		}
	}
}
