package cli

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What follows reads the API's conventions out of its descriptors.

// isList tells whether a method answers in pages.
func isList(m protoreflect.MethodDescriptor) bool {
	return m.Input().Fields().ByName("page_token") != nil
}

func noSideEffects(m protoreflect.MethodDescriptor) bool {
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// listField is the first repeated field of a response.
func listField(m protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.IsList() {
			return f
		}
	}
	return nil
}

// subject is what a response is about: the field that is named, else its first message, else nil for all of it.
func subject(m protoreflect.MessageDescriptor, named string) protoreflect.FieldDescriptor {
	if named != "" {
		return m.Fields().ByName(protoreflect.Name(named))
	}
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.Message() != nil && !f.IsList() && !f.IsMap() && !wellKnown(f) && f.Message().Parent() != m {
			return f
		}
	}
	return nil
}

func wellKnown(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && strings.HasPrefix(string(f.Message().FullName()), "google.protobuf.")
}

// get is the field of a name, which must be there.
func get(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}
