package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// values makes what was typed into fields of requests.
type values struct {
	names *names
	now   time.Time
	stdin io.Reader
	// stderr is where a person is asked for a secret.
	stderr io.Writer
	// unseen is the field that may name an organization that the caller can't see.
	unseen string
}

// fill sets all inputs that were given. Names of organizations are looked up before those of what is in them.
func (v *values) fill(ctx context.Context, m protoreflect.Message, inputs []*input) error {
	sorted := slices.Clone(inputs)
	slices.SortStableFunc(sorted, func(a, b *input) int { return order(a.kind) - order(b.kind) })
	for _, in := range sorted {
		if !in.set {
			continue
		}
		holder := m
		for _, f := range in.path[:len(in.path)-1] {
			holder = holder.Mutable(f).Message()
		}
		if err := v.set(ctx, holder, in.field(), in.kind, in.values); err != nil {
			return fmt.Errorf("%s: %w", in.say(), err)
		}
	}
	return nil
}

func order(k kind) int {
	if k >= org && k <= user {
		return int(k)
	}
	return int(user) + 1
}

func (v *values) set(ctx context.Context, m protoreflect.Message, f protoreflect.FieldDescriptor, k kind, given []string) error {
	if f.IsMap() {
		for _, pair := range given {
			key, value, ok := strings.Cut(pair, "=")
			if !ok {
				return fmt.Errorf("%q is not key=value", pair)
			}
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(value))
		}
		return nil
	}
	for _, s := range given {
		value, err := v.value(ctx, f, k, s)
		if err != nil {
			return err
		}
		if f.IsList() {
			m.Mutable(f).List().Append(value)
		} else {
			m.Set(f, value)
		}
	}
	return nil
}

// value is one text as a value of the field, or as an element of it.
func (v *values) value(ctx context.Context, f protoreflect.FieldDescriptor, k kind, s string) (protoreflect.Value, error) {
	var none protoreflect.Value
	switch f.Kind() {
	case protoreflect.MessageKind:
		if d, err := parseDuration(s); err == nil && looksBack(f) {
			return protoreflect.ValueOfMessage(timestamppb.New(v.now.Add(-d)).ProtoReflect()), nil
		}
		m, err := v.message(ctx, f.Message(), s)
		return protoreflect.ValueOfMessage(m), err
	case protoreflect.StringKind:
		resolved, err := v.resolve(ctx, k, s)
		var unknown *unknownName
		if errors.As(err, &unknown) && string(f.Name()) == v.unseen && anyID.MatchString(s) {
			resolved, err = s, nil
		}
		switch f.Name() {
		case "org_id":
			v.names.here.org = resolved
		case "project_id":
			v.names.here.project = resolved
		}
		return protoreflect.ValueOfString(resolved), err
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return none, fmt.Errorf("%q is neither true nor false", s)
		}
		return protoreflect.ValueOfBool(b), nil
	case protoreflect.EnumKind:
		for i := range f.Enum().Values().Len() {
			if value := f.Enum().Values().Get(i); enumWord(value) == strings.ToLower(s) {
				return protoreflect.ValueOfEnum(value.Number()), nil
			}
		}
		return none, fmt.Errorf("%q is none of %s", s, strings.Join(enumWords(f.Enum()), ", "))
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return none, fmt.Errorf("%q is not a number from 0 to %d", s, uint32(1<<32-1))
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return none, fmt.Errorf("%q is not a number from 0", s)
		}
		return protoreflect.ValueOfUint64(n), nil
	}
	return none, fmt.Errorf("this program can't send a %s yet", f.Kind())
}

func (v *values) resolve(ctx context.Context, k kind, s string) (string, error) {
	switch k {
	case org:
		return v.names.org(ctx, s)
	case project:
		return v.names.project(ctx, s)
	case group:
		return v.names.group(ctx, s)
	case user:
		return v.names.user(ctx, s)
	case secret:
		if s == "-" {
			return readSecret(v.stdin, v.stderr, "Secret: ")
		}
	}
	return s, nil
}

// looksBack tells of times that lie behind, from which on or until when something is looked for.
func looksBack(f protoreflect.FieldDescriptor) bool {
	return f.Name() == "since" || f.Name() == "until"
}

// message reads a message that stands in one text.
func (v *values) message(ctx context.Context, d protoreflect.MessageDescriptor, s string) (protoreflect.Message, error) {
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		t, err := parseTime(s, v.now)
		return timestamppb.New(t).ProtoReflect(), err
	case "google.protobuf.Duration":
		took, err := parseDuration(s)
		return durationpb.New(took).ProtoReflect(), err
	}
	m, pairs := newMessage(d), strings.Split(s, ",")
	defer v.names.within(v.names.here)
	switch d.Name() {
	case "ProjectRole":
		cut := strings.LastIndex(s, "=")
		if cut < 0 {
			return m, fmt.Errorf("%q is not project=ROLE", s)
		}
		pairs = []string{"project=" + s[:cut], "role=" + s[cut+1:]}
	case "SignUpGrant":
		here, rest, ok := strings.Cut(s, "=")
		role, there, also := strings.Cut(rest, "/")
		pairs = []string{"org=" + here, "role=" + role}
		if cut := strings.LastIndex(there, "="); also && cut >= 0 {
			pairs = append(pairs, "project="+there[:cut], "project-role="+there[cut+1:])
		} else if also || !ok {
			return m, fmt.Errorf("%q is not org=ROLE or org=ROLE/project=ROLE", s)
		}
	}
	var inputs []*input
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		var f protoreflect.FieldDescriptor
		for i := range d.Fields().Len() {
			if flagName(d.Fields().Get(i), "") == name {
				f = d.Fields().Get(i)
			}
		}
		if !ok || f == nil {
			return m, fmt.Errorf("%q is not one of %s", pair, pairNames(d))
		}
		inputs = append(inputs, &input{
			path: []protoreflect.FieldDescriptor{f}, name: name, kind: kindOf(f), given: given{values: []string{value}, set: true},
		})
	}
	return m, v.fill(ctx, m, inputs)
}

// pairNames are the fields of a message that is written as name=value,name=value.
func pairNames(d protoreflect.MessageDescriptor) string {
	var names []string
	for i := range d.Fields().Len() {
		names = append(names, flagName(d.Fields().Get(i), "")+"=")
	}
	return strings.Join(names, ",")
}

// parseTime reads a time, a day (its beginning here), or how far from now it is.
func parseTime(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return now, fmt.Errorf("%q is neither a time such as 2031-01-31T12:00:00Z, nor a day, nor a time from now such as 24h or 7d", s)
	}
	return now.Add(d), nil
}

// parseDuration knows days and weeks beside Go's units.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.ParseInt(strings.TrimSuffix(s, unit), 10, 32); err == nil && strings.HasSuffix(s, unit) {
			return time.Duration(n) * length, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90m, 24h or 7d", s)
	}
	return d, nil
}
