package rpc

import (
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// plainlyValid tells of the requests that come by the thousand, without the general validator, that it would let them through.
// False says nothing. A test holds it to the rules in the proto.
func plainlyValid(m proto.Message) bool {
	switch m := m.(type) {
	case *tenurev1.CheckRequest:
		return plainCheck(m)
	case *tenurev1.BatchCheckRequest:
		if len(m.Checks) == 0 || len(m.Checks) > 1000 {
			return false
		}
		for _, check := range m.Checks {
			if !plainCheck(check) {
				return false
			}
		}
		return true
	}
	return false
}

func plainCheck(m *tenurev1.CheckRequest) bool {
	return m != nil && (m.UserId == "" || m.KeyId == "") && (m.OrgId == "") != (m.ProjectId == "") &&
		plainID(m.UserId) && plainID(m.KeyId) && plainID(m.OrgId) && plainID(m.ProjectId) &&
		m.Permission != "" && utf8.RuneCountInString(m.Permission) <= 100
}

// plainID is the pattern of ids, or nothing.
func plainID(id string) bool {
	if len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '_' && c != '-' {
				return false
			}
		}
	}
	return true
}
