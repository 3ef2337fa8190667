package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Format writes records as lines.
type Format struct {
	// Head is the first line of a file; "" for none.
	Head string
	// Line writes a record with its line's end.
	Line func(logID string, r *tenurev1.AuditRecord) ([]byte, error)
}

// Formats are all there are.
var Formats = map[tenurev1.AuditFormat]Format{
	tenurev1.AuditFormat_AUDIT_FORMAT_UNSPECIFIED: {Line: ndjson},
	tenurev1.AuditFormat_AUDIT_FORMAT_CSV:         {Head: csvLine(csvColumns), Line: csvRecord},
	tenurev1.AuditFormat_AUDIT_FORMAT_CLOUDEVENTS: {Line: cloudEvent},
	tenurev1.AuditFormat_AUDIT_FORMAT_OCSF:        {Line: ocsf},
}

// JSON is a record as a JSON object in one line. protojson spaces its output at random, so it is written anew.
func JSON(r *tenurev1.AuditRecord) (json.RawMessage, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, b)
	return out.Bytes(), err
}

func ndjson(_ string, r *tenurev1.AuditRecord) ([]byte, error) {
	b, err := JSON(r)
	return append(b, '\n'), err
}

var csvColumns = []string{
	"position", "index", "time", "event_type", "command", "command_id", "actor_kind", "actor_id", "actor_key_id", "actor_method", "actor_role", "org_ids",
	"project_id", "user_id", "key_id", "reason", "data", "request_id", "trace_id", "ip", "user_agent",
}

// csvLine is a line of RFC 4180. A value that a spreadsheet would take for a formula is put behind an apostrophe.
func csvLine(values []string) string {
	safe := make([]string, len(values))
	for i, v := range values {
		if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
			v = "'" + v
		}
		safe[i] = v
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	_ = w.Write(safe) // into memory
	w.Flush()
	return b.String()
}

func csvRecord(_ string, r *tenurev1.AuditRecord) ([]byte, error) {
	data, err := json.Marshal(r.Data.AsMap())
	return []byte(csvLine([]string{
		fmt.Sprint(r.Position), fmt.Sprint(r.Index), moment(r), r.EventType, r.Command, r.CommandId, r.Actor.GetKind(), r.Actor.GetId(),
		r.Actor.GetKeyId(), r.Actor.GetMethod(), r.Actor.GetRole(), strings.Join(r.OrgIds, " "), r.ProjectId, r.UserId, r.KeyId, r.Reason, string(data),
		r.RequestId, r.TraceId, r.Ip, r.UserAgent,
	})), err
}

func moment(r *tenurev1.AuditRecord) string { return r.Time.AsTime().UTC().Format(time.RFC3339Nano) }

// id tells a record from all others, of other logs too.
func id(logID string, r *tenurev1.AuditRecord) string {
	return fmt.Sprintf("%s/%d/%d", logID, r.Position, r.Index)
}

// Subject is what a record is about, the narrowest thing first.
func Subject(r *tenurev1.AuditRecord) string {
	for _, s := range []struct{ kind, id string }{{"keys", r.KeyId}, {"users", r.UserId}, {"projects", r.ProjectId}} {
		if s.id != "" {
			return s.kind + "/" + s.id
		}
	}
	if len(r.OrgIds) > 0 {
		return "organizations/" + r.OrgIds[0]
	}
	return "instance"
}

// cloudEvent follows CloudEvents 1.0.2, JSON event format.
func cloudEvent(logID string, r *tenurev1.AuditRecord) ([]byte, error) {
	data, err := JSON(r)
	if err != nil {
		return nil, err
	}
	return line(struct {
		Specversion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         string          `json:"subject"`
		Time            string          `json:"time"`
		Datacontenttype string          `json:"datacontenttype"`
		Data            json.RawMessage `json:"data"`
	}{"1.0", id(logID, r), "tenure/" + logID, "tenure." + r.EventType, Subject(r), moment(r), "application/json", data})
}

func line(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}

// Classes of OCSF 1.3, category 3, Identity & Access Management (schema.ocsf.io/1.3.0).
const (
	ocsfCategory         = 3
	ocsfAccountChange    = 3001
	ocsfEntityManagement = 3004
	ocsfUserAccess       = 3005
	ocsfGroupManagement  = 3006
	ocsfActivityOther    = 99
	ocsfSeverityInfo     = 1
	ocsfStatusSuccess    = 1
	ocsfUserTypeUser     = 1
	ocsfUserTypeAdmin    = 2
	ocsfUserTypeSystem   = 3
	ocsfUserTypeOther    = 99
	ocsfEntityCreate     = 1
	ocsfEntityUpdate     = 3
	ocsfEntityDelete     = 4
	ocsfAccountCreate    = 1
	ocsfAccountEnable    = 2
	ocsfAccountDisable   = 5
	ocsfAccountDelete    = 6
	ocsfAssignPrivileges = 1
	ocsfRevokePrivileges = 2
	ocsfGroupCreate      = 6
	ocsfGroupDelete      = 5
)

// ocsfKinds are the class and activity of a type of event; others are entities that are made, changed or deleted, by their names.
var ocsfKinds = map[string][2]int{
	"UserRegistered": {ocsfAccountChange, ocsfAccountCreate}, "ServiceAccountCreated": {ocsfAccountChange, ocsfAccountCreate},
	"UserReactivated": {ocsfAccountChange, ocsfAccountEnable}, "UserDeactivated": {ocsfAccountChange, ocsfAccountDisable},
	"UserErased": {ocsfAccountChange, ocsfAccountDelete}, "UserUpdated": {ocsfAccountChange, ocsfActivityOther},
	"IdentityLinked": {ocsfAccountChange, ocsfActivityOther}, "IdentityUnlinked": {ocsfAccountChange, ocsfActivityOther},
	"RoleGranted": {ocsfUserAccess, ocsfAssignPrivileges}, "RoleRevoked": {ocsfUserAccess, ocsfRevokePrivileges},
	"InstanceAdminGranted": {ocsfUserAccess, ocsfAssignPrivileges}, "InstanceAdminRevoked": {ocsfUserAccess, ocsfRevokePrivileges},
	"GroupCreated": {ocsfGroupManagement, ocsfGroupCreate}, "GroupDeleted": {ocsfGroupManagement, ocsfGroupDelete},
	"GroupUpdated": {ocsfGroupManagement, ocsfActivityOther},
}

func ocsfKind(eventType string) (class, activity int) {
	if k, ok := ocsfKinds[eventType]; ok {
		return k[0], k[1]
	}
	activity = ocsfEntityUpdate
	for suffix, a := range map[string]int{
		"Created": ocsfEntityCreate, "Imported": ocsfEntityCreate, "Defined": ocsfEntityCreate, "Sent": ocsfEntityCreate, "Offered": ocsfEntityCreate,
		"Registered": ocsfEntityCreate, "Deleted": ocsfEntityDelete, "Revoked": ocsfEntityDelete,
	} {
		if strings.HasSuffix(eventType, suffix) {
			activity = a
		}
	}
	return ocsfEntityManagement, activity
}

func ocsf(logID string, r *tenurev1.AuditRecord) ([]byte, error) {
	class, activity := ocsfKind(r.EventType)
	kinds := map[string]int{"user": ocsfUserTypeUser, "instance": ocsfUserTypeAdmin, "system": ocsfUserTypeSystem}
	by := map[string]any{"uid": r.Actor.GetId(), "type_id": ocsfUserTypeOther, "type": r.Actor.GetKind()}
	if k, ok := kinds[r.Actor.GetKind()]; ok {
		by["type_id"] = k
	}
	if r.Actor.GetKeyId() != "" {
		by["credential_uid"] = r.Actor.GetKeyId()
	}
	event := map[string]any{
		"category_uid": ocsfCategory, "class_uid": class, "activity_id": activity, "type_uid": class*100 + activity, "activity_name": r.EventType,
		"severity_id": ocsfSeverityInfo, "status_id": ocsfStatusSuccess, "time": r.Time.AsTime().UnixMilli(), "message": r.Reason,
		"metadata": map[string]any{
			"version": "1.3.0", "uid": id(logID, r), "event_code": r.EventType, "correlation_uid": r.CommandId, "sequence": r.Position,
			"product": map[string]any{"name": "Tenure", "vendor_name": "Tenure"},
		},
		"actor":    map[string]any{"user": by},
		"api":      map[string]any{"operation": r.Command, "request": map[string]any{"uid": r.RequestId}},
		"resource": map[string]any{"uid": Subject(r), "data": r.Data.AsMap()},
		"unmapped": map[string]any{"org_ids": r.OrgIds, "project_id": r.ProjectId, "user_id": r.UserId, "key_id": r.KeyId, "trace_id": r.TraceId},
	}
	about := map[string]any{"uid": r.UserId}
	switch class {
	case ocsfAccountChange, ocsfUserAccess:
		event["user"] = about
		if class == ocsfUserAccess {
			event["privileges"] = []string{fmt.Sprint(r.Data.AsMap()["grant"])}
		}
	case ocsfGroupManagement:
		event["group"] = map[string]any{"uid": Subject(r)}
	default:
		event["entity"] = map[string]any{"uid": Subject(r), "type": r.EventType}
	}
	if r.Ip != "" {
		event["src_endpoint"] = map[string]any{"ip": r.Ip}
	}
	if r.UserAgent != "" {
		event["http_request"] = map[string]any{"user_agent": r.UserAgent}
	}
	return line(event)
}
