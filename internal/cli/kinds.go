package cli

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// kind is what a text on the command line stands for.
type kind int

const (
	text kind = iota
	org
	project
	group
	user
	role
	permission
	secret
)

// kindOf goes by the field's name: the API calls the same thing the same everywhere.
func kindOf(f protoreflect.FieldDescriptor) kind {
	name := strings.TrimSuffix(string(f.Name()), "s")
	switch {
	case f.Message() != nil:
		return text
	case isSecret(f):
		return secret
	case strings.HasSuffix(name, "org_id"):
		return org
	case strings.HasSuffix(name, "project_id"):
		return project
	case strings.HasSuffix(name, "user_id") || name == "by_id":
		return user
	case name == "group_id":
		return group
	case name == "role" || name == "project_role":
		return role
	case strings.HasSuffix(name, "permission") && f.Kind() == protoreflect.StringKind:
		return permission
	}
	return text
}

// isSecret tells what must never stand in a list of processes or a shell's history; "-" reads it from standard input.
func isSecret(f protoreflect.FieldDescriptor) bool {
	return f.Options().(*descriptorpb.FieldOptions).GetDebugRedact()
}

func (k kind) placeholder(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "key=value"
	}
	if f.Message() != nil {
		switch f.Message().Name() {
		case "Timestamp":
			return "time"
		case "Duration":
			return "duration"
		case "ProjectRole":
			return "project=ROLE"
		case "SignUpGrant":
			return "org=ROLE[/project=ROLE]"
		}
		return pairNames(f.Message())
	}
	switch k {
	case org:
		return "org"
	case project:
		return "org/project"
	case group:
		return "org/group"
	case user:
		return "user"
	case role:
		return "role"
	case permission:
		return "permission"
	case secret:
		return "secret"
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.EnumKind:
		return "word"
	case protoreflect.StringKind:
		return "text"
	}
	return "number"
}

// help is for fields that the proto has no comment on because their name says all.
func (k kind) help(f protoreflect.FieldDescriptor) string {
	switch k {
	case org:
		return "Organization, by id or name"
	case project:
		return "Project, by id or as org/project"
	case group:
		return "Group, by id or as org/group"
	case user:
		return "User, by id or e-mail"
	case role:
		return "OWNER, ADMIN, MEMBER, VIEWER, NONE, or a role of the organization"
	case permission:
		return `Permissions such as "prompts:CUD"`
	}
	switch f.Name() {
	case "reason":
		return "Why; kept in the audit history"
	case "expires_at":
		return "When it ends"
	}
	return sentence(strings.ReplaceAll(string(f.Name()), "_", " "))
}

// enumWord is a value as people say it: STATUS_ACTIVE of Status is "active".
func enumWord(v protoreflect.EnumValueDescriptor) string {
	var prefix strings.Builder
	for i, r := range string(v.Parent().Name()) {
		if i > 0 && r >= 'A' && r <= 'Z' {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(r)
	}
	word := strings.TrimPrefix(string(v.Name()), strings.ToUpper(prefix.String())+"_")
	return strings.ReplaceAll(strings.ToLower(word), "_", "-")
}

// enumWords are all but the zero value, which means not given.
func enumWords(e protoreflect.EnumDescriptor) (words []string) {
	for i := 1; i < e.Values().Len(); i++ {
		words = append(words, enumWord(e.Values().Get(i)))
	}
	return words
}
