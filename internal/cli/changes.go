package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// changesOf writes what an event holds in one line: "name: client-acme -> client-acme-corp, retention days: 30".
//
// Old and new values come in three forms: {name: {old: a, new: b}}, {old_name: a, new_name: b}, and {old: {...}, new: {...}}
// of the event as a whole. A side that is missing was, or is, not there.
func changesOf(data *structpb.Struct) string {
	var parts []string
	fields := data.GetFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		subject, isOld := strings.CutPrefix(name, "old_")
		if !isOld {
			subject, _ = strings.CutPrefix(name, "new_")
		}
		switch {
		case name == "old" || name == "new" && fields["old"] == nil:
			parts = append(parts, difference("", fields["old"], fields["new"])...)
		case name == "new":
		case isOld || subject != name && fields["old_"+subject] == nil:
			parts = append(parts, difference(subject, fields["old_"+subject], fields["new_"+subject])...)
		case subject != name:
		case isChange(fields[name].GetStructValue()):
			change := fields[name].GetStructValue().Fields
			parts = append(parts, difference(name, change["old"], change["new"])...)
		default:
			parts = append(parts, said(name)+": "+plain(fields[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// difference tells what changed in a value, and of one that consists of several only those that did.
func difference(name string, from, to *structpb.Value) (parts []string) {
	before, after := from.GetStructValue(), to.GetStructValue()
	if before == nil && after == nil || grantOf(before) != "" || grantOf(after) != "" {
		if name != "" {
			name = said(name) + ": "
		}
		return []string{name + plain(from) + " -> " + plain(to)}
	}
	keys := map[string]bool{}
	for _, s := range []*structpb.Struct{before, after} {
		for key := range s.GetFields() {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if a, b := before.GetFields()[key], after.GetFields()[key]; !proto.Equal(a, b) {
			parts = append(parts, difference(strings.TrimSpace(name+" "+key), a, b)...)
		}
	}
	return parts
}

func said(name string) string { return visible(strings.ReplaceAll(name, "_", " ")) }

func isChange(s *structpb.Struct) bool {
	for name := range s.GetFields() {
		if name != "old" && name != "new" {
			return false
		}
	}
	return len(s.GetFields()) > 0
}

// plain is a value in a line.
func plain(v *structpb.Value) string {
	switch v := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		if t, err := time.Parse(time.RFC3339, v.StringValue); err == nil {
			return t.Local().Format(brief)
		}
		if v.StringValue == "" || strings.ContainsAny(v.StringValue, " ,") {
			return `"` + visible(v.StringValue) + `"`
		}
		return visible(v.StringValue)
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(v.NumberValue, 'f', -1, 64)
	case *structpb.Value_BoolValue:
		return map[bool]string{true: "yes", false: "no"}[v.BoolValue]
	case *structpb.Value_ListValue:
		var list []string
		for _, item := range v.ListValue.Values {
			list = append(list, plain(item))
		}
		return "[" + strings.Join(list, " ") + "]"
	case *structpb.Value_StructValue:
		if grant := grantOf(v.StructValue); grant != "" {
			return grant
		}
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(v.StructValue.Fields)) {
			pairs = append(pairs, visible(name)+"="+plain(v.StructValue.Fields[name]))
		}
		return strings.Join(pairs, " ")
	}
	return "(none)"
}

// grantOf says a grant as people do: a role, and until when. It is "" for anything else.
func grantOf(s *structpb.Struct) string {
	role, until := s.GetFields()["role"], s.GetFields()["expires_at"]
	switch {
	case role != nil && len(s.Fields) == 1:
		return plain(role)
	case role != nil && until != nil && len(s.Fields) == 2:
		return plain(role) + " until " + plain(until)
	}
	return ""
}
